"""Which pixels of a map have their centres in a region: all of them, found fast.

A map is cut into blocks. The sky positions of a block's corners and of its middle bound how far any
of its pixels can lie from the region's middle; only the pixels of blocks that may be touched are
tried one by one. Where a block's corners are off the sky, its neighbours stand for it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from skyshade.geometry.wcs import CYLINDRICAL, PixelMap
from skyshade.layers.analysis_regions import Region
from skyshade.types import AnyArray, FloatArray

STRIP = 1 << 20  # pixels of one piece
_SMALL = 1 << 17  # maps of no more pixels are tried whole
_BLOCKS = 192  # along each side, at most
_SIDE = 16  # pixels of a block, at least
_MARGIN = 1.5  # of the distance between a block's middle and its farthest corner
_EDGE = 4.0  # of the steps around, where the sky ends: angles grow like square roots there


class Piece(NamedTuple):
    """A rectangle of pixels; `inside` when every pixel is known to belong to the region."""

    y0: int
    y1: int
    x0: int
    x1: int
    inside: bool = False

    @property
    def size(self) -> int:
        """Number of pixels."""
        return (self.y1 - self.y0) * (self.x1 - self.x0)


def unique_columns(pixels: PixelMap) -> int:
    """Return how many columns, from the first, show each place of the sky once.

    Fewer than the image has where it is wider than 360 degrees.
    """
    nx = pixels.shape[1]
    return min(nx, math.ceil(pixels.period - 0.55)) if pixels.period else nx


def pieces(pixels: PixelMap, region: Region) -> list[Piece]:
    """Return rectangles that hold every pixel whose centre lies in `region`, and few others.

    They do not overlap; columns that repeat the sky (see `unique_columns`) are left out. Rows of
    blocks from the first to the last, in each from left to right.
    """
    ny, nx = pixels.shape[0], unique_columns(pixels)
    if ny * nx <= _SMALL:
        return [Piece(0, ny, 0, nx)]
    rows, cols = _edges(ny), _edges(nx)
    touched, inside = _blocks(pixels, region, rows, cols)
    found: list[Piece] = []
    for i in np.flatnonzero(touched.any(axis=1)):
        kind = touched[i].astype(np.int8) + inside[i]
        starts = np.flatnonzero(np.diff(kind, prepend=0, append=0))
        found += [
            Piece(int(rows[i]), int(rows[i + 1]), int(cols[a]), int(cols[b]), bool(kind[a] == 2))
            for a, b in itertools.pairwise(starts)
            if kind[a]
        ]
    return found


def strips(found: list[Piece]) -> Iterator[Piece]:
    """Yield pieces cut into parts of at most `STRIP` pixels."""
    for piece in found:
        wide = min(piece.x1 - piece.x0, STRIP)
        tall = max(1, STRIP // wide)
        for y in range(piece.y0, piece.y1, tall):
            for x in range(piece.x0, piece.x1, wide):
                y1, x1 = min(y + tall, piece.y1), min(x + wide, piece.x1)
                yield Piece(y, y1, x, x1, piece.inside)


def mask_of(pixels: PixelMap, region: Region, piece: Piece) -> AnyArray:
    """Return which pixels of a piece have their centres in `region`."""
    shape = piece.y1 - piece.y0, piece.x1 - piece.x0
    rotated = pixels.projection in CYLINDRICAL and not pixels.period
    if piece.inside and not rotated:
        return np.ones(shape, bool)
    x, y = np.arange(piece.x0, piece.x1), np.arange(piece.y0, piece.y1)[:, None]
    ra, dec = pixels.pixel_to_sky(x, y)
    mask = region.holds(ra, dec)
    if rotated:  # such a map may show a place twice, one turn of native longitude apart
        shown = pixels.sky_to_pixel(ra, dec)
        with np.errstate(invalid="ignore"):
            mask &= (np.abs(shown[0] - x) < 0.5) & (np.abs(shown[1] - y) < 0.5)
    return mask


def _edges(n: int) -> AnyArray:
    """Return where blocks begin along an axis of `n` pixels, and `n`."""
    return np.append(np.arange(0, n, max(_SIDE, -(-n // _BLOCKS))), n)


def _blocks(
    pixels: PixelMap, region: Region, rows: AnyArray, cols: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """Return which blocks the region may touch, and which lie in it with all their pixels."""
    nodes = _vectors(pixels, rows - 0.5, cols - 0.5, clip=True)
    middles = _vectors(pixels, (rows[1:] + rows[:-1] - 1) / 2, (cols[1:] + cols[:-1] - 1) / 2)
    corners = np.stack([nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, :-1], nodes[1:, 1:]])
    reach = _angle(corners, middles).max(axis=0)  # NaN where a corner or the middle is off the sky
    away = _angle(middles, _unit(*(np.array(v) for v in region.middle)))
    with np.errstate(invalid="ignore"):
        touched = away - _MARGIN * reach <= region.outer
        inside = away + _MARGIN * reach <= region.inner
    torn = np.isnan(reach)
    if torn.any():
        touched |= torn & _near_edge(middles, reach, away, region.outer)
        inside &= _spread(torn.astype(np.float64), 2, np.maximum) == 0.0  # gaps may begin there
    return touched, inside


def _near_edge(middles: Any, reach: FloatArray, away: FloatArray, outer: float) -> AnyArray:
    """Return which blocks lie so near to the region that one off the sky's edge may be touched."""
    step = _spread(np.nan_to_num(_steps(middles)), 2, np.maximum)
    step = np.maximum(step, _spread(np.nan_to_num(reach), 2, np.maximum))
    nearest = _spread(np.nan_to_num(away, nan=np.inf), 2, np.minimum)
    known = np.isfinite(nearest)
    near: AnyArray = known & ((nearest <= outer + _EDGE * step) | (step == 0.0))
    return near


def _steps(middles: FloatArray) -> FloatArray:
    """Return the larger of the angles to the next block right and below; NaN where unknown."""
    found = np.full((2, *middles.shape[:2]), np.nan)
    found[0, :, :-1] = _angle(middles[:, 1:], middles[:, :-1])
    found[1, :-1] = _angle(middles[1:], middles[:-1])
    longer: FloatArray = np.fmax(found[0], found[1])
    return longer


def _spread(values: FloatArray, n: int, pick: Any) -> FloatArray:
    """Return the largest (or smallest) of the values up to `n` blocks away along each axis."""
    out = values.copy()
    for axis in (0, 1):
        base = np.moveaxis(out.copy(), axis, 0)
        view = np.moveaxis(out, axis, 0)
        for k in range(1, min(n + 1, len(base))):
            view[k:] = pick(view[k:], base[:-k])
            view[:-k] = pick(view[:-k], base[k:])
    return out


def _vectors(pixels: PixelMap, rows: AnyArray, cols: AnyArray, clip: bool = False) -> FloatArray:
    """Return unit vectors at pixel coordinates, shape (rows, columns, 3)."""
    if clip:  # to the outermost pixel centres: what lies beyond may be off the sky
        rows = np.clip(rows, 0.0, rows[-1] - 0.5)
        cols = np.clip(cols, 0.0, cols[-1] - 0.5)
    return _unit(*pixels.pixel_to_sky(cols, rows[:, None]))


def _unit(ra: AnyArray, dec: AnyArray) -> FloatArray:
    a, d = np.radians(ra), np.radians(dec)
    flat = np.cos(d)
    return np.stack(np.broadcast_arrays(flat * np.cos(a), flat * np.sin(a), np.sin(d)), axis=-1)


def _angle(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the angle between unit vectors in degrees, from their chord."""
    chord = np.sqrt(np.square(one - other).sum(axis=-1))
    angle: FloatArray = np.degrees(2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0)))
    return angle
