"""Levels of a map, each half as wide as the one before, and sampling of a window from one.

Level k has ceil(n / 2**k) pixels along an axis of n. Levels 1 and 2 are merged from base pixels
when they are asked for; coarser ones come from an overview, or, as a preview, from every 2**k-th
base pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from skyshade.geometry.control import Coordinates
from skyshade.geometry.wcs import PixelMap
from skyshade.kernels.sampling import bilinear, bilinear_axes, nearest, span
from skyshade.layers.states import Base, Pixels, level_shape
from skyshade.types import AnyArray, FloatArray

MAX_BOX = 1 << 23  # base pixels read at once for one window


class Level(Protocol):
    """A map at one resolution."""

    @property
    def k(self) -> int:
        """Number of halvings."""
        ...

    @property
    def cost(self) -> int:
        """Base pixels read for one pixel of the level; 0 when it is in memory."""
        ...

    def read(self, y0: int, y1: int, x0: int, x1: int) -> Pixels:
        """Return level pixels within the level, float32, C order.

        Of shape (rows, columns), or (planes, rows, columns) for reductions that keep several.
        """
        ...


@dataclass(frozen=True, slots=True)
class MergedLevel:
    """A level merged from base pixels when read; level 0 is the base itself."""

    base: Base
    k: int

    @property
    def cost(self) -> int:
        """Base pixels read for one pixel of the level."""
        return 1 << 2 * self.k

    def read(self, y0: int, y1: int, x0: int, x1: int) -> Pixels:
        """Return level pixels, reduced from all valid base pixels."""
        return self.base.reduction.shown(self.base.level(self.k, (y0, y1, x0, x1)))


@dataclass(frozen=True, slots=True)
class StridedLevel:
    """A preview of a level: the base pixel nearest to the middle of each coarse pixel."""

    base: Base
    k: int
    cost: int = 1

    def read(self, y0: int, y1: int, x0: int, x1: int) -> Pixels:
        """Return level pixels, each one base pixel."""
        y = _strided(y0, y1, self.base.shape[0], self.k)
        x = _strided(x0, x1, self.base.shape[1], self.k)
        return self.base.reduction.shown(self.base.pixels(*y, *x, 1 << self.k))


def _strided(first: int, last: int, size: int, k: int) -> tuple[int, int]:
    """Return the base range whose every 2**k-th pixel stands for level pixels first..last."""
    rest = size - ((-(-size >> k) - 1) << k)  # base pixels in the last level pixel
    start = (first << k) + min(1 << k >> 1, rest - 1)
    return start, start + ((last - first - 1) << k) + 1


@dataclass(frozen=True, slots=True, eq=False)
class StoredLevel:
    """A level kept in memory."""

    pixels: Pixels
    k: int
    cost: int = 0

    def read(self, y0: int, y1: int, x0: int, x1: int) -> Pixels:
        """Return level pixels."""
        return np.ascontiguousarray(self.pixels[..., y0:y1, x0:x1])


@dataclass(frozen=True, slots=True)
class Sheet:
    """How the pixels of a map lie: its size, and whether column 0 follows the last one.

    Parameters
    ----------
    shape : (int, int)
        (ny, nx) of the base.
    turn : float
        Base columns of one turn, when the map covers it and they are a whole number; else 0.
    reach: float = 0.0
        Base columns that are shown, when a turn is part of a pixel wider than the map; else 0.
        The last column fills the rest.
    """

    shape: tuple[int, int]
    turn: float = 0.0
    reach: float = 0.0

    @classmethod
    def of(cls, pixels: PixelMap) -> Sheet:
        """Return the sheet of a map."""
        turn, nx = pixels.period, pixels.shape[1]
        whole = round(turn)
        cyclic = whole > 1 and abs(turn - whole) < 0.05 and nx >= whole
        return cls(pixels.shape, turn if cyclic else 0.0, turn if nx < turn < nx + 1 else 0.0)

    @property
    def right(self) -> float:
        """Largest x on the map."""
        return max(self.shape[1], self.turn, self.reach) - 0.5

    def columns(self, k: int) -> int:
        """Return the level columns of one turn; 0 when the map is not cyclic."""
        return -(-round(self.turn) >> k)


def sample(level: Level, at: Coordinates, sheet: Sheet, smooth: bool) -> Pixels:
    """Sample a window.

    Parameters
    ----------
    level : Level
    at : Coordinates
        Base pixel coordinates, shape (h, w).
    sheet : Sheet
        Of the base.
    smooth : bool
        Bilinear; else the nearest pixel.

    Returns
    -------
    ndarray of float32, shape (h, w)
        NaN off the map and where there is no valid pixel. At most `MAX_BOX` base pixels are held
        at once: a window whose pixels are strewn over the map is done in parts.
    """
    limits = np.array([1.0 / (1 << level.k), sheet.right, sheet.shape[0] - 0.5])
    found = _span(at, limits, sheet.turn / 2.0)
    if not (found[0] <= found[1] and found[2] <= found[3]):
        return np.full(at.shape, np.nan, np.float32)
    y0, y1, x0, x1 = _box(found, level.k, sheet)
    if (y1 - y0) * (x1 - x0) * level.cost > MAX_BOX and at.shape != (1, 1):
        return _in_parts(level, at, sheet, smooth)
    box = read_round(level, (y0, y1, x0, x1), sheet.columns(level.k))
    place = np.array([x0, y0, sheet.columns(level.k)], np.int64)
    out = np.empty(at.shape, np.float32)
    if smooth and at.separable:
        bilinear_axes(box, at.x[0], np.ascontiguousarray(at.y[:, 0]), limits, place, out)
    else:
        full = at.full()
        (bilinear if smooth else nearest)(box, full.x, full.y, limits, place, out)
    return out


def _span(at: Coordinates, limits: FloatArray, half: float) -> FloatArray:
    """Return what `kernels.sampling.span` finds; axis by axis where the map is separable."""
    found = np.empty(6)
    if not at.separable:
        span(at.x, at.y, limits, half, found)
        return found
    along = np.empty(6)
    span(at.x, np.zeros(at.x.shape), limits, half, found)
    span(np.zeros(at.y.shape), np.ascontiguousarray(at.y), limits, half, along)
    found[2:4] = along[2:4]
    return found


def _box(found: AnyArray, k: int, sheet: Sheet) -> tuple[int, int, int, int]:
    """Return y0, y1, x0, x1 of the level pixels around a bounding box of base coordinates.

    In a cyclic map x0 may be -1, and x1 may lie beyond the last column.
    """
    xmin, xmax, ymin, ymax, high, low = found
    rows, cols = level_shape(sheet.shape, k)
    both = np.isfinite(low) and np.isfinite(high)
    if sheet.turn and both and low + sheet.turn - high < xmax - xmin:  # shorter round the end
        xmin, xmax = high, low + sheet.turn
    x0, x1 = _around(xmin, xmax, k)
    y0, y1 = _around(ymin, ymax, k)
    if not sheet.turn:
        x0, x1 = max(x0, 0), min(x1, cols)
    return max(y0, 0), min(y1, rows), x0, x1


def _around(low: float, high: float, k: int) -> tuple[int, int]:
    scale = 1.0 / (1 << k)
    first = np.floor((low + 0.5) * scale - 0.5)
    return int(first), int(np.floor((high + 0.5) * scale - 0.5)) + 2


def read_round(level: Level, box: tuple[int, int, int, int], turn: int) -> Pixels:
    """Read a box whose columns may run round a cyclic map."""
    y0, y1, x0, x1 = box
    if not turn or (x0 >= 0 and x1 <= turn):
        return level.read(y0, y1, x0, x1)
    parts = []
    while x0 < x1:
        begin = x0 % turn
        wide = min(x1 - x0, turn - begin)
        parts.append(level.read(y0, y1, begin, begin + wide))
        x0 += wide
    return np.ascontiguousarray(np.concatenate(parts, axis=-1))


def _in_parts(level: Level, at: Coordinates, sheet: Sheet, smooth: bool) -> Pixels:
    at = at.full()
    axis = 0 if at.shape[0] >= at.shape[1] else 1
    halves = zip(np.array_split(at.x, 2, axis), np.array_split(at.y, 2, axis), strict=True)
    made = [
        sample(level, Coordinates(np.ascontiguousarray(x), np.ascontiguousarray(y)), sheet, smooth)
        for x, y in halves
    ]
    return np.concatenate(made, axis=axis)
