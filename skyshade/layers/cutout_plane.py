"""Cutouts of layers without rows of pixels of their own: resampled to a tangent plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.layers.analysis_numbers import Deadline
from skyshade.layers.analysis_regions import Region
from skyshade.layers.analysis_where import where_from
from skyshade.layers.cutout import Cutout
from skyshade.layers.sampled import Shown, tangent_plane


def plane_cutout(
    layer: Shown,
    region: Region,
    resolution: float,
    max_pixels: int | None,
    deadline: Deadline,
) -> Cutout:
    """Return a piece of sky on the tangent plane at its middle, in the layer's exact numbers.

    Parameters
    ----------
    layer : Layer
        Of numbers or colours on the sky.
    region : Region
        At most 120 degrees a side.
    resolution : float
        Degrees along a pixel, at the middle.
    max_pixels : int, optional
    deadline : Deadline

    Raises
    ------
    InputError
        The region is too wide for a plane.
    NoOverlapError, TooLargeError, ChangedError, TimeoutError
    """
    version, info = layer.version, layer.info
    made, grid = tangent_plane(layer, region, resolution, max_pixels, deadline)
    image: Any = getattr(layer, "image", None)
    name, hdu, plane = (str(getattr(image, key, "")) for key in ("name", "hdu", "plane"))
    return Cutout(
        np.ascontiguousarray(made.values[::-1]),
        grid.wcs,
        units=made.units,
        title=info.title,
        plane=plane,
        attrs=getattr(image, "attrs", {}),
        history=(
            *where_from((name or info.title, hdu, plane), info.id, region, version),
            f"Resampled to a tangent plane, {resolution:.6g} degrees a pixel",
        ),
        quality="resampled",
        categories=made.categories,
    )
