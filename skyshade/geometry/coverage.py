"""Sky rectangles: what an image, a circle or a window covers, and which cells touch one."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from skyshade.geometry.planes import wrap_ra
from skyshade.geometry.wcs import PixelMap, separation
from skyshade.types import AnyArray, Coverage, FloatArray, Window

_EDGE, _INNER = 129, 33
_PATCH_EDGE, _PATCH_INNER = 33, 9
_PATCH = 20.0  # degrees along both axes: no larger image is a patch
_FAR_NORTH = 75.0  # degrees of Dec: a patch stays clear of the poles
_SKY_STEP = 2.0
_NODES, _WIDER = 33, 1.15  # of a window whose sides are curved: positions along one, room between
_GAP = 15.0  # degrees of RA without a sample that count as not covered


def coverage_of(pixels: PixelMap) -> Coverage:
    """Return the smallest sky rectangle known to hold the image of `pixels`.

    Sampled at the image's edges, on a coarse grid inside, at the poles and, where the edges leave
    the sky, every `_SKY_STEP` degrees over the sky; of a small image far from the poles, at fewer
    places of its edges and inside. May be too large (never more than `_GAP`
    degrees of RA, or where curved edges are sampled coarsely), not too small by more than a
    hundredth of its sides.
    """
    patch = _patch(*pixels.pixel_to_sky(*_samples(pixels.shape, _PATCH_EDGE, _PATCH_INNER)))
    return patch or _whole(pixels)


def _patch(ra: FloatArray, dec: FloatArray) -> Coverage | None:
    """Return the rectangle around positions all over an image; None if that is no small patch."""
    low, high = float(dec.min()), float(dec.max())
    if not (high - low <= _PATCH and max(high, -low) <= _FAR_NORTH):  # NaN, too
        return None
    east = (ra - ra[0] + 180.0) % 360.0 - 180.0
    west, width = float(east.min()), float(east.max() - east.min())
    if not width <= _PATCH:
        return None
    west = float(wrap_ra(ra[0] + west))
    return Coverage(west + width, west, low, high)


def _whole(pixels: PixelMap) -> Coverage:
    """Return what `coverage_of` does, of any image."""
    ra, dec = pixels.pixel_to_sky(*_samples(pixels.shape, _EDGE, _INNER))
    shown = np.isfinite(ra) & np.isfinite(dec)
    pad = 0.0
    if not shown.all():
        sky_ra, sky_dec = _sky_inside(pixels)
        ra, dec = np.append(ra[shown], sky_ra), np.append(dec[shown], sky_dec)
        pad = _SKY_STEP
    if not ra.size:
        return Coverage(360.0, 0.0, -90.0, 90.0)
    low, high = max(float(dec.min()) - pad, -90.0), min(float(dec.max()) + pad, 90.0)
    south, north = _poles_inside(pixels)
    west, width = _ra_range(ra, pad / max(np.cos(np.radians(max(abs(low), abs(high)))), 0.01))
    if south or north or width >= 360.0:
        west, width = 0.0, 360.0
    return Coverage(west + width, west, -90.0 if south else low, 90.0 if north else high)


@lru_cache(8)  # many files are of one size
def _samples(shape: tuple[int, int], edge: int, inner: int) -> tuple[FloatArray, FloatArray]:
    """Return pixel coordinates along the four edges (a hair inside) and within."""
    ny, nx = shape
    low = -0.5 + 1e-6
    ex, ey = np.linspace(low, nx - 1 - low, edge), np.linspace(low, ny - 1 - low, edge)
    ix, iy = np.meshgrid(np.linspace(low, nx - 1 - low, inner), np.linspace(0, ny - 1, inner))
    x = np.concatenate([ex, ex, np.full(edge, ex[0]), np.full(edge, ex[-1]), ix.ravel()])
    y = np.concatenate([np.full(edge, ey[0]), np.full(edge, ey[-1]), ey, ey, iy.ravel()])
    x.flags.writeable = y.flags.writeable = False
    return x, y


def _sky_inside(pixels: PixelMap) -> tuple[FloatArray, FloatArray]:
    ra, dec = np.meshgrid(np.arange(0.0, 360.0, _SKY_STEP), np.arange(-89.0, 90.0, _SKY_STEP))
    inside = pixels.inside(*pixels.sky_to_pixel(ra, dec))
    return ra[inside], dec[inside]


def _poles_inside(pixels: PixelMap) -> tuple[bool, bool]:
    """Return whether the image holds each pole, whatever the RA it is reached along."""
    ra, dec = np.meshgrid(np.arange(0.0, 360.0, 30.0), [-90.0, 90.0])
    south, north = np.all(pixels.inside(*pixels.sky_to_pixel(ra, dec)), axis=1)
    return bool(south), bool(north)


def _ra_range(ra: AnyArray, pad: float) -> tuple[float, float]:
    """Return the west end and the width of the RA interval outside the widest gap."""
    ordered = np.unique(wrap_ra(ra))
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    widest = int(np.argmax(gaps))
    if gaps[widest] - 2.0 * pad < _GAP:
        return 0.0, 360.0
    west = float(wrap_ra(ordered[(widest + 1) % ordered.size] - pad))
    return west, 360.0 - float(gaps[widest]) + 2.0 * pad


def circle_coverage(ra: float, dec: float, radius: float) -> Coverage:
    """Return a sky rectangle around a circle, a little too large; degrees."""
    pad = 1e-9
    south, north = dec - radius - pad, dec + radius + pad
    if south <= -90.0 or north >= 90.0:
        return Coverage(360.0, 0.0, max(south, -90.0), min(north, 90.0))
    sine = math.sin(math.radians(radius)) / math.cos(math.radians(dec))
    half = math.degrees(math.asin(min(sine, 1.0))) * (1 + 1e-9) + pad
    west = (ra - half) % 360.0 % 360.0
    return Coverage(west + min(2 * half, 360.0), west, south, north)


def window_coverage(window: Window) -> Coverage | None:
    """Return a sky rectangle that holds the part of a window on its lattice; None if none is.

    That of a separable grid is exact but for rounding; that of a tangent plane is the rectangle
    around the circle through the furthest corner, that on ``hips`` one around many positions.
    """
    grid, z = window.grid, window.z
    height, width = grid.lattice_shape(z)
    rows = np.clip([window.row, window.row + window.height], 0, height)
    cols = np.array([window.col, window.col + window.width])
    if not grid.periodic:
        cols = np.clip(cols, 0, width)
    if rows[0] >= rows[1] or cols[0] >= cols[1]:
        return None
    if grid.id == "hips":
        part = np.arange(_NODES) / (_NODES - 1)
        across, down = (ends[0] + (ends[1] - ends[0]) * part for ends in (cols, rows))
        return _around(*grid.sky(z, across, down[:, None]))
    if not grid.separable:
        ra, dec = grid.sky(z, cols.mean(), rows.mean(), beyond=True)
        corners = grid.sky(z, cols, rows[:, None], beyond=True)
        radius = float(separation(ra, dec, *corners).max())
        return circle_coverage(float(ra), float(dec), radius)
    dec = np.clip(grid.sky_axes(z, np.zeros(()), rows)[1], -90.0, 90.0)
    wide = 360.0 * min(window.width / width, 1.0)
    ends, beside = grid.sky_axes(z, cols, rows)[0], grid.sky_axes(z, cols + 1, rows)[0]
    east_left = np.mod(ends[0] - beside[0], 360.0) < 180.0
    west = float(wrap_ra((ends[0] if east_left else ends[1]) - wide))
    return Coverage(west + wide, west, float(dec[1]), float(dec[0]))


def _around(ra: AnyArray, dec: AnyArray) -> Coverage | None:
    """Return a rectangle around positions and what lies between them; NaN are left out."""
    shown = np.isfinite(ra)
    if not shown.any():
        return None
    a, d = np.radians(ra[shown]), np.radians(dec[shown])
    x, y, z = (np.cos(d) * np.cos(a)).mean(), (np.cos(d) * np.sin(a)).mean(), np.sin(d).mean()
    lon, lat = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    radius = float(separation(lon, lat, ra[shown], dec[shown]).max())
    return circle_coverage(float(lon), float(lat), min(_WIDER * radius, 180.0))


def overlap(coverage: Coverage, window: Window, cell: int, margin: float) -> AnyArray:
    """Return which cells of a window may touch a sky rectangle.

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
    ndarray of bool, shape (rows of cells, columns of cells)
    """
    tall = coverage.dec_max - coverage.dec_min
    wide = coverage.ra_east - coverage.ra_west
    up = margin + 0.01 * tall
    steep = min(max(abs(coverage.dec_max), abs(coverage.dec_min)) + up, 89.0)
    side = up / np.cos(np.radians(steep)) + 0.01 * wide
    rows = window.row + cell * np.arange(window.height // cell + 1)
    cols = window.col + cell * np.arange(window.width // cell + 1)
    chosen = _touching_axes if window.grid.separable else _touching
    found = chosen(coverage, window, rows, cols, (up, side))
    height, width = window.grid.lattice_shape(window.z)
    found &= ((rows[1:] > 0) & (rows[:-1] < height))[:, None]
    return found if window.grid.periodic else found & (cols[1:] > 0) & (cols[:-1] < width)


def _touching_axes(
    coverage: Coverage, window: Window, rows: AnyArray, cols: AnyArray, pad: tuple[float, float]
) -> AnyArray:
    """Compare Dec of row edges and RA of column edges with the grown rectangle."""
    up, side = pad
    ra, dec = window.grid.sky_axes(window.z, cols, rows)
    down = (dec[:-1] > coverage.dec_min - up) & (dec[1:] < coverage.dec_max + up)
    span = float(np.mod(ra[0] - ra[1], 360.0))  # of a cell, west of its left edge
    east = ra[:-1] if span < 180.0 else ra[1:]
    span = min(span, 360.0 - span)
    offset = np.mod(coverage.ra_east + side - east, 360.0)
    wide = coverage.ra_east - coverage.ra_west + 2.0 * side
    across = (offset < wide) | (offset + span > 360.0)
    found: AnyArray = down[:, None] & across
    return found


def _touching(
    coverage: Coverage, window: Window, rows: AnyArray, cols: AnyArray, pad: tuple[float, float]
) -> AnyArray:
    """Compare circles around cells with the grown rectangle."""
    up, side = pad
    dec, ra, radius = _circles(*window.grid.sky(window.z, cols, rows[:, None], beyond=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        reach = np.degrees(np.arcsin(np.sin(np.radians(radius)) / np.cos(np.radians(dec))))
    reach = np.where(np.abs(dec) + radius < 90.0, reach, 180.0)
    wide = coverage.ra_east - coverage.ra_west
    away = np.abs(np.mod(ra - coverage.ra_west - wide / 2.0 + 180.0, 360.0) - 180.0)
    found: AnyArray = away <= wide / 2.0 + side + reach
    found &= (dec - radius < coverage.dec_max + up) & (dec + radius > coverage.dec_min - up)
    return found


def _circles(ra: FloatArray, dec: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return dec, ra and radius of circles through the furthest corner of cells, degrees."""
    a, d = np.radians(ra), np.radians(dec)
    flat = np.cos(d)
    nodes = np.stack([flat * np.cos(a), flat * np.sin(a), np.sin(d)])
    four = nodes[:, :-1, :-1], nodes[:, :-1, 1:], nodes[:, 1:, :-1], nodes[:, 1:, 1:]
    middle = four[0] + four[1] + four[2] + four[3]
    middle /= np.sqrt(np.sum(middle * middle, axis=0))
    chord = np.sqrt(np.max([np.sum((middle - node) ** 2, axis=0) for node in four], axis=0))
    x, y, z = middle
    radius = np.degrees(2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0)))
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x)), radius
