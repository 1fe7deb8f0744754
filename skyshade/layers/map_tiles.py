"""The numbers of one window of a map: which level it samples, and how."""

from __future__ import annotations

import math

import numpy as np

from skyshade.layers import map_sample
from skyshade.layers.footprints import footprints, reduce_touched
from skyshade.layers.levels import Level, MergedLevel, StridedLevel, sample
from skyshade.layers.overview import FIRST, top_level
from skyshade.layers.planes import MapPlane
from skyshade.layers.states import ABSMAX, MEAN, MIN, NEAREST, STD, Pixels, Reduction
from skyshade.types import Quality, Window

_ENLARGED = 0.5  # map pixels for a displayed one, below which pixels are shown as they are
_OFF = 0.1  # displayed pixels along the block of base pixels that one of them may stand for


def is_small(plane: MapPlane) -> bool:
    """Return whether the tile that needs an overview builds it."""
    ny, nx = plane.sheet.shape
    return ny * nx < map_sample.SMALL


def window_values(
    plane: MapPlane, reduction: Reduction, window: Window
) -> tuple[Pixels, Quality] | None:
    """Return the numbers of a window with their quality; None when the map is elsewhere."""
    resolution = plane.grid.pixels.resolution
    zoomed = window.grid.pixel_degrees(window.z) / resolution
    if reduction.touched and zoomed * plane.stretches[1] >= _ENLARGED:
        return _touched(plane, reduction, window, zoomed)
    at = plane.grid.coordinates(window)
    if at is None:
        return None
    if reduction is MEAN:
        level, quality = _level(plane, MEAN, zoomed * plane.stretches[0])
        return sample(level, at, plane.sheet, zoomed >= _ENLARGED and plane.mixed), quality
    if reduction is NEAREST:
        return sample(_fine_level(plane, zoomed), at, plane.sheet, False), "exact"
    values = sample(MergedLevel(plane.base(MEAN), 0), at, plane.sheet, False)
    return _alone(reduction, values), "exact"


def window_means(plane: MapPlane, window: Window, cell: float) -> tuple[Pixels, Quality] | None:
    """Return means over map pixels of at most `cell` degrees, interpolated on a finer window.

    Means over blocks of the window's pixels, each about as large as `cell`, then hold what there
    is in the map wherever in a block it lies. None when the map is elsewhere.
    """
    at = plane.grid.coordinates(window)
    if at is None:
        return None
    zoomed = cell / plane.grid.pixels.resolution
    level, quality = _level(plane, MEAN, zoomed * plane.stretches[0])
    return sample(level, at, plane.sheet, True), quality


def _touched(
    plane: MapPlane, reduction: Reduction, window: Window, zoomed: float
) -> tuple[Pixels, Quality] | None:
    found = footprints(plane.grid, window)
    if found is None:
        return None
    level, quality = _level(plane, reduction, zoomed * plane.stretches[0])
    values = reduce_touched(level, found, plane.sheet, plane.grid.pixels.period)
    return (-values if reduction is MIN else values), quality


def _alone(reduction: Reduction, values: Pixels) -> Pixels:
    """Return the reduction of single pixels, which no displayed one covers in full."""
    if reduction is STD:
        return values * np.float32(0.0)
    return np.abs(values) if reduction is ABSMAX else values


def _fine_level(plane: MapPlane, zoomed: float) -> Level:
    """Return base pixels, thinned out as far as displayed ones stay where they are (to 0.05)."""
    k = math.floor(math.log2(_OFF * zoomed)) if _OFF * zoomed >= 2.0 else 0
    base = plane.base(NEAREST)
    return StridedLevel(base, min(k, top_level(plane.sheet.shape))) if k else MergedLevel(base, 0)


def _level(plane: MapPlane, reduction: Reduction, zoomed: float) -> tuple[Level, Quality]:
    """Return the coarsest level whose pixels are no larger than displayed ones.

    It depends on the zoom level only, never on the window: neighbouring tiles must join.
    """
    wanted = math.floor(math.log2(zoomed) + 1e-9) if zoomed > 1.0 else 0
    k = min(wanted, top_level(plane.sheet.shape))
    base = plane.base(reduction)
    if k < FIRST:
        return MergedLevel(base, k), "exact"
    overview = plane.overview(reduction)
    if not overview.ready and is_small(plane):
        overview.wait()
    if overview.ready:
        return overview.level(k), "exact"
    plane.ensure(reduction)
    return StridedLevel(base, k), "preview"
