"""The sky rectangle that an image covers."""

from __future__ import annotations

import numpy as np

from skyshade.geometry.planes import wrap_ra
from skyshade.geometry.wcs import PixelMap
from skyshade.types import AnyArray, Coverage, FloatArray, Window

_EDGE, _INNER = 129, 33
_SKY_STEP = 2.0
_GAP = 15.0  # degrees of RA without a sample that count as not covered


def coverage_of(pixels: PixelMap) -> Coverage:
    """Return the smallest sky rectangle known to hold the image of `pixels`.

    Sampled at the image's edges, on a coarse grid inside, at the poles and, where the edges leave
    the sky, every `_SKY_STEP` degrees over the sky. May be too large (never more than `_GAP`
    degrees of RA, or where curved edges are sampled coarsely), not too small by more than a
    hundredth of its sides.
    """
    ra, dec = pixels.pixel_to_sky(*_samples(pixels.shape))
    shown = np.isfinite(ra) & np.isfinite(dec)
    pad = 0.0
    if not shown.all():
        sky_ra, sky_dec = _sky_inside(pixels)
        ra, dec = np.append(ra[shown], sky_ra), np.append(dec[shown], sky_dec)
        pad = _SKY_STEP
    if not ra.size:
        return Coverage(360.0, 0.0, -90.0, 90.0)
    low, high = max(float(dec.min()) - pad, -90.0), min(float(dec.max()) + pad, 90.0)
    south, north = (_pole_inside(pixels, pole) for pole in (-90.0, 90.0))
    west, width = _ra_range(ra, pad / max(np.cos(np.radians(max(abs(low), abs(high)))), 0.01))
    if south or north or width >= 360.0:
        west, width = 0.0, 360.0
    return Coverage(west + width, west, -90.0 if south else low, 90.0 if north else high)


def _samples(shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Return pixel coordinates along the four edges (a hair inside) and within."""
    ny, nx = shape
    low = -0.5 + 1e-6
    ex, ey = np.linspace(low, nx - 1 - low, _EDGE), np.linspace(low, ny - 1 - low, _EDGE)
    ix, iy = np.meshgrid(np.linspace(low, nx - 1 - low, _INNER), np.linspace(0, ny - 1, _INNER))
    x = np.concatenate([ex, ex, np.full(_EDGE, ex[0]), np.full(_EDGE, ex[-1]), ix.ravel()])
    y = np.concatenate([np.full(_EDGE, ey[0]), np.full(_EDGE, ey[-1]), ey, ey, iy.ravel()])
    return x, y


def _sky_inside(pixels: PixelMap) -> tuple[FloatArray, FloatArray]:
    ra, dec = np.meshgrid(np.arange(0.0, 360.0, _SKY_STEP), np.arange(-89.0, 90.0, _SKY_STEP))
    inside = pixels.inside(*pixels.sky_to_pixel(ra, dec))
    return ra[inside], dec[inside]


def _pole_inside(pixels: PixelMap, dec: float) -> bool:
    """Return whether the image holds a pole, whatever the RA it is reached along."""
    ra = np.arange(0.0, 360.0, 30.0)
    inside = pixels.inside(*pixels.sky_to_pixel(ra, np.full(ra.shape, dec)))
    return bool(np.all(inside))


def _ra_range(ra: AnyArray, pad: float) -> tuple[float, float]:
    """Return the west end and the width of the RA interval outside the widest gap."""
    ordered = np.unique(wrap_ra(ra))
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    widest = int(np.argmax(gaps))
    if gaps[widest] - 2.0 * pad < _GAP:
        return 0.0, 360.0
    west = float(wrap_ra(ordered[(widest + 1) % ordered.size] - pad))
    return west, 360.0 - float(gaps[widest]) + 2.0 * pad


def overlap(
    coverage: Coverage, window: Window, cell: int, margin: float
) -> tuple[AnyArray, AnyArray]:
    """Return which cell rows and cell columns of a ``sky`` window may touch a sky rectangle.

    Parameters
    ----------
    coverage : Coverage
    window : Window
        Column, row and size are multiples of `cell`.
    cell : int
        Side of a cell in lattice pixels.
    margin : float
        Degrees by which the rectangle is grown; a hundredth of its sides is added.

    Returns
    -------
    (ndarray of bool, ndarray of bool)
        One for each row and for each column of cells.
    """
    height, width = window.grid.lattice_shape(window.z)
    tall = coverage.dec_max - coverage.dec_min
    wide = coverage.ra_east - coverage.ra_west
    up = margin + 0.01 * tall
    steep = min(max(abs(coverage.dec_max), abs(coverage.dec_min)) + up, 89.0)
    side = up / np.cos(np.radians(steep)) + 0.01 * wide
    top = window.row + cell * np.arange(window.height // cell)
    first = (90.0 - coverage.dec_max - up) / 180.0 * height
    last = (90.0 - coverage.dec_min + up) / 180.0 * height
    rows = (top + cell > first) & (top < last) & (top + cell > 0) & (top < height)
    left = window.col + cell * np.arange(window.width // cell)
    east = np.mod((180.0 - coverage.ra_east - side) / 360.0, 1.0) * width
    offset = np.mod(left - east, width)
    cols = (offset < (wide + 2.0 * side) / 360.0 * width) | (offset + cell > width)
    return rows, cols
