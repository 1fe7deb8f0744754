"""Which sources of a list a view marks: all when they are few, else the first one of each cell.

The plane is cut into square cells of 360 / 2**level degrees. A source belongs to the coarsest level
on which it is the most important one of its cell; a view of some level shows the sources of that
level and of all coarser ones. So there is exactly one a cell, and whoever zooms in loses none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry import keys
from skyshade.types import AnyArray, FloatArray, IntArray

DEEPEST = 24  # level whose cells have 0.08 arcsec; sources that share one belong to the next level
STEPS = 65535


@dataclass(frozen=True, slots=True)
class View:
    """A rectangle of the plate carree plane, ICRS degrees.

    Parameters
    ----------
    ra, dec : float
        Its middle.
    width, height : float
        Along the axes; a width of 360 or more is the whole sky.
    """

    ra: float
    dec: float
    width: float
    height: float

    def __post_init__(self) -> None:
        values = (self.ra, self.dec, self.width, self.height)
        if not all(math.isfinite(v) for v in values) or self.width <= 0 or self.height <= 0:
            msg = f"view {values} is not allowed: finite degrees, a width and height above 0"
            raise InputError(msg)

    @property
    def east(self) -> float:
        """Right ascension of the left edge, not wrapped."""
        return self.ra + min(self.width, 360.0) / 2.0

    @property
    def south(self) -> float:
        """Declination of the lower edge, at least -90."""
        return max(self.dec - self.height / 2.0, -90.0)

    @property
    def north(self) -> float:
        """Declination of the upper edge, at most 90."""
        return min(self.dec + self.height / 2.0, 90.0)

    def offsets(self, ra: AnyArray) -> FloatArray:
        """Return degrees to the right of the left edge, 0 to below 360."""
        return np.asarray(np.mod(self.east - np.asarray(ra, np.float64), 360.0))


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a view marks.

    Parameters
    ----------
    view : View
    rows : ndarray of int64, shape (n,)
        Numbers of the sources in their list, the most important first.
    x, y : ndarray of uint16, shape (n,)
        Place in the view in 65535ths of its width (from the left) and height (from below).
    total : int
        Sources of the list in the view.
    """

    view: View
    rows: IntArray
    x: AnyArray
    y: AnyArray
    total: int


class Marks:
    """The levels of a list of sources.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        ICRS degrees, all valid.
    order : ndarray of int, shape (n,)
        The sources from the most to the least important one.
    """

    def __init__(self, ra: FloatArray, dec: FloatArray, order: AnyArray) -> None:
        self._rows = np.asarray(order, np.int64)
        self._ra = np.asarray(ra, np.float64)[self._rows]
        self._dec = np.asarray(dec, np.float64)[self._rows]
        self.levels = levels_of(self._ra, self._dec)

    def shown(self, view: View, cell: float, limit: int) -> Shown:
        """Return what a view marks.

        Parameters
        ----------
        view : View
        cell : float
            Degrees on a side of the cells of which each shows one source, when not all are shown.
        limit : int
            Most sources; up to this many, all that the view holds are shown.
        """
        inside = (self._dec >= view.south) & (self._dec <= view.north)
        if view.width < 360.0:
            inside &= view.offsets(self._ra) <= view.width
        found = np.flatnonzero(inside)
        total = found.size
        if total > limit:
            found = self._thinned(found, cell, limit)
        return self._placed(view, found, total)

    def _thinned(self, found: IntArray, cell: float, limit: int) -> IntArray:
        levels = self.levels[found]
        counts = np.cumsum(np.bincount(levels, minlength=DEEPEST + 2))
        fitting = int(np.searchsorted(counts, limit, side="right")) - 1
        wanted = math.floor(math.log2(360.0 / max(cell, 1e-9)))
        level = max(min(wanted, fitting), 0)
        return found[levels <= level][:limit]

    def _placed(self, view: View, found: IntArray, total: int) -> Shown:
        width, height = min(view.width, 360.0), view.north - view.south
        x = _steps(view.offsets(self._ra[found]) / width)
        y = _steps((self._dec[found] - view.south) / height)
        return Shown(view, self._rows[found], x, y, total)


def _steps(part: FloatArray) -> AnyArray:
    return np.rint(np.clip(part, 0.0, 1.0) * STEPS).astype(np.uint16)


def levels_of(ra: FloatArray, dec: FloatArray) -> AnyArray:
    """Return the coarsest level on which each source is the first one of its cell, shape (n,).

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        The most important source first.
    """
    levels = np.full(ra.size, DEEPEST + 1, np.uint8)
    if not ra.size:
        return levels
    cells = float(1 << DEEPEST)
    cols = np.floor(np.mod(180.0 - ra, 360.0) / 360.0 * cells).astype(np.int64)
    rows = np.floor((dec + 90.0) / 360.0 * cells).astype(np.int64)
    key = keys.encode(np.minimum(cols, (1 << DEEPEST) - 1), rows)
    order = np.argsort(key, kind="stable")
    key = key[order]
    for level in range(DEEPEST, -1, -1):
        cell = key >> (2 * (DEEPEST - level))
        starts = np.concatenate([[0], np.flatnonzero(np.diff(cell)) + 1])
        levels[np.minimum.reduceat(order, starts)] = level
    return levels
