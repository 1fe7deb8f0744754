"""The xarray backend: ``xr.open_dataset(path, engine="skyshade")``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from skyshade.loaders.api import load
from skyshade.loaders.xarrays import LazyPixels, attributes, axes, label
from skyshade.types import AnyArray, SkyImage


class PixelArray(BackendArray):
    """Lazy pixels under xarray's indexing protocol."""

    def __init__(self, pixels: LazyPixels) -> None:
        self._pixels = pixels
        self.shape, self.dtype = pixels.shape, np.dtype(pixels.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> AnyArray:
        support = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(  # type: ignore[no-any-return]
            key, self.shape, support, self._pixels.__getitem__
        )


class SkyshadeBackend(BackendEntrypoint):
    """Opens every map of a file as a variable; asked for by name only."""

    description = "Sky maps in FITS files, through skyshade"
    open_dataset_parameters: ClassVar[tuple[str, ...]] = ("filename_or_obj", "drop_variables")

    def open_dataset(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None
    ) -> xr.Dataset:
        """Return a Dataset with a variable a map.

        Maps of different sizes get dimensions of their own, e.g. ``y_coverage``.
        """
        dropped = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
        variables: dict[str, xr.Variable] = {}
        coords: dict[str, Any] = {}
        sizes: dict[str, int] = {}
        loaded = load(filename_or_obj)
        for images in [*loaded.images, *loaded.pictures]:
            name = label(images[0])
            if name in dropped:
                continue
            dims = _dims(images, name, sizes)
            variables[name] = _variable(images, dims)
            own = axes(images)
            coords |= {d: own[1][o] for d, o in zip(dims, own[0], strict=True)}
        return xr.Dataset(variables, coords=coords)

    def guess_can_open(self, filename_or_obj: Any) -> bool:  # noqa: ARG002 (xarray's protocol)
        """Return False: FITS files have other readers; name this engine."""
        return False


def _variable(images: list[SkyImage], dims: tuple[str, ...]) -> xr.Variable:
    pixels = LazyPixels([i.reader for i in images])
    lazy = indexing.LazilyIndexedArray(PixelArray(pixels))
    return xr.Variable(dims, lazy, attrs=attributes(images))


def _dims(images: list[SkyImage], name: str, sizes: dict[str, int]) -> tuple[str, ...]:
    """Return dims; one that another map has with another size gets the map's name appended."""
    pixels = LazyPixels([i.reader for i in images])
    dims = []
    for dim, size in zip(axes(images)[0], pixels.shape, strict=True):
        own = dim if sizes.setdefault(dim, size) == size else f"{dim}_{images[0].hdu or name}"
        sizes[own] = size
        dims.append(own)
    return tuple(dims)
