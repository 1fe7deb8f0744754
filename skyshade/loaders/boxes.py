"""Boxes of longitude and latitude, for leaving out what lies elsewhere."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from skyshade.geometry.healpix import pixel_centres
from skyshade.types import Coverage, FloatArray

_MARGIN = 1e-9  # degrees
_DEEPER = 4


def overlap(boxes: FloatArray, coverage: Coverage) -> NDArray[np.bool_]:
    """Return which boxes may share a position with a sky rectangle.

    Parameters
    ----------
    boxes : ndarray, shape (n, 4)
        Least and greatest longitude (-180..360), least and greatest latitude, degrees. A box with
        a NaN may lie anywhere.
    coverage : Coverage
    """
    west, east, south, north = (boxes[:, i] for i in range(4))
    inside = (south <= coverage.dec_max + _MARGIN) & (north >= coverage.dec_min - _MARGIN)
    around = np.full(len(boxes), coverage.ra_east - coverage.ra_west >= 360.0)
    for turn in (-720.0, -360.0, 0.0, 360.0):
        low, high = coverage.ra_west + turn - _MARGIN, coverage.ra_east + turn + _MARGIN
        around |= (west <= high) & (east >= low)
    found: NDArray[np.bool_] = (inside & around) | np.isnan(boxes).any(axis=1)
    return found


def pixel_box(order: int, pix: int) -> tuple[float, float, float, float]:
    """Return a box that holds a NESTED HEALPix pixel: west, east (maybe > 360), south, north.

    It is that of the circles around the pixels four levels deeper. Their radius: HEALPix
    ``max_pixrad`` (Gorski et al. 2005, ApJ 622, 759).
    """
    nside = 1 << order + _DEEPER
    below = (pix << 2 * _DEEPER) + np.arange(1 << 2 * _DEEPER)
    lon, lat = pixel_centres(nside, below, True)
    radius = math.degrees(_largest_radius(nside)) * (1 + 1e-6)
    south, north = max(-90.0, lat.min() - radius), min(90.0, lat.max() + radius)
    if north >= 90.0 or south <= -90.0:  # the quarter of the sky that its base pixel lies in
        quarter = 90.0 * ((pix >> 2 * order) % 4)
        return quarter, quarter + 90.0, south, north
    half = np.degrees(np.arcsin(math.sin(math.radians(radius)) / np.cos(np.radians(lat))))
    turned = np.mod(lon - lon[0] + 180.0, 360.0) - 180.0
    west, east = lon[0] + (turned - half).min(), lon[0] + (turned + half).max()
    return float(west), float(east), float(south), float(north)


def _largest_radius(nside: int) -> float:
    """Return the largest distance of a corner from the centre of a pixel, radians."""
    one = _vector(2.0 / 3.0, math.pi / (4.0 * nside))
    other = _vector(1.0 - (1.0 - 1.0 / nside) ** 2 / 3.0, 0.0)
    return math.acos(min(1.0, float(one @ other)))


def _vector(z: float, phi: float) -> FloatArray:
    flat = math.sqrt((1.0 - z) * (1.0 + z))
    return np.array([flat * math.cos(phi), flat * math.sin(phi), z])
