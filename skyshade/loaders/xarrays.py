"""`SkyImage` planes as lazy xarray and dask objects."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.geometry.frames import frame_of
from skyshade.types import AnyArray, PixelReader, SkyImage, SphereImage

if TYPE_CHECKING:
    import xarray as xr

CHUNK = 2048  # pixels a side


class LazyPixels:
    """Readers as one array-like of (y, x) or (plane, y, x); a slice reads only its box.

    There is no `copy` here on purpose: `dask.array.from_array` would call it and read everything.
    """

    def __init__(self, readers: Sequence[PixelReader]) -> None:
        self._readers = tuple(readers)
        self.dtype = np.result_type(*(r.dtype for r in readers))
        first = readers[0].shape
        self.shape = first if len(readers) == 1 else (len(readers), *first)
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> AnyArray:
        parts = key if isinstance(key, tuple) else (key,)
        parts = (*parts, *[slice(None)] * (self.ndim - len(parts)))
        if self.ndim == 2:
            return self._box(self._readers[0], *parts)
        wanted = self._readers[parts[0]]
        if not isinstance(wanted, tuple):
            return self._box(wanted, *parts[1:])
        return (
            np.stack([self._box(r, *parts[1:]) for r in wanted])
            if wanted
            else np.empty((0, *self._box(self._readers[0], *parts[1:]).shape), self.dtype)
        )

    def _box(self, reader: PixelReader, rows: Any, columns: Any) -> AnyArray:
        (y0, y1, ystep, yback), (x0, x1, xstep, xback) = (
            _bounds(part, n) for part, n in zip((rows, columns), reader.shape, strict=True)
        )
        common = ystep if ystep == xstep else 1
        box = reader.read(y0, y1, x0, x1, common).astype(self.dtype, copy=False)
        if common == 1:
            box = box[::ystep, ::xstep]
        turned: AnyArray = box[yback, xback]
        return turned


def to_dataarray(images: Sequence[SkyImage]) -> xr.DataArray:
    """Return the planes of one map as a lazy DataArray: (y, x) or (stokes, y, x).

    Coordinates y and x are pixel numbers from 0; attrs hold units, wcs, frame and header values.
    """
    import dask.array as da  # noqa: PLC0415 (not on the tile path)
    import xarray as xr  # noqa: PLC0415 (not on the tile path)

    pixels = LazyPixels([i.reader for i in images])
    chunks = (1,) * (pixels.ndim - 2) + (CHUNK, CHUNK)
    versions = "|".join(i.reader.version() for i in images)
    token = f"skyshade-{blake2b(versions.encode(), digest_size=8).hexdigest()}"
    meta = np.empty((0,) * pixels.ndim, pixels.dtype)
    array = da.from_array(pixels, chunks=chunks, name=token, meta=meta, asarray=True)
    dims, coords = axes(images)
    return xr.DataArray(
        array, dims=dims, coords=coords, name=label(images[0]) or None, attrs=attributes(images)
    )


def axes(images: Sequence[SkyImage]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return dims and coordinates of the planes of one map."""
    ny, nx = images[0].reader.shape
    coords: dict[str, Any] = {"y": np.arange(ny), "x": np.arange(nx)}
    if len(images) == 1:
        if images[0].plane:
            coords[images[0].plane_axis or "plane"] = images[0].plane
        return ("y", "x"), coords
    axis = images[0].plane_axis or "plane"
    coords[axis] = [i.plane for i in images]
    return (axis, "y", "x"), coords


def attributes(images: Sequence[SkyImage]) -> dict[str, Any]:
    """Return attrs: units, wcs, frame, integer, notes and header values."""
    first = images[0]
    found = {
        "units": first.units,
        "wcs": first.wcs,
        "frame": frame_of(first.wcs),
        "integer": first.integer,
        **first.attrs,
    }
    if first.title:
        found["title"] = first.title
    if first.notes:
        found["notes"] = list(first.notes)
    return found


def label(image: SkyImage | SphereImage) -> str:
    """Return the name of a map within its file: stem, and HDU where there are several."""
    return f"{image.name}-{image.hdu}" if image.hdu else image.name


def _bounds(part: Any, length: int) -> tuple[int, int, int, Any]:
    """Return start, stop and positive step of an index, and what turns the result into it."""
    if not isinstance(part, slice):
        at = range(length)[part]
        return at, at + 1, 1, 0
    start, stop, step = part.indices(length)
    if step > 0:
        return start, max(start, stop), step, slice(None)
    picked = range(start, stop, step)
    if not picked:
        return 0, 0, 1, slice(None)
    return picked[-1], picked[0] + 1, -step, slice(None, None, -1)
