"""What a catalogue says of itself: extent, useful depth, sampling level.

Everything is counted in parts that can be added up: of the leaves of an index, of its segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skyshade.geometry.grids import MAX_ZOOM
from skyshade.geometry.keys import key_shift
from skyshade.types import ALL_SKY, Coverage, FloatArray, IntArray

LEAST_ZOOM = 8  # a catalogue can always be zoomed into
SHARED = 0.01  # of the rows may share a pixel of the deepest useful level
SAMPLE_ROWS = 8  # rows in an occupied pixel of the sampling level, on average
SAMPLE_LEVELS = range(-5, 13)
LEVELS = range(-5, MAX_ZOOM + 1)
RA_BINS = 3600
LEAST_GAP = 10  # bins: narrower holes in right ascension belong to the catalogue


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Counts of some rows, from which the facts follow; parts can be added.

    Parameters
    ----------
    rows : int
        With a valid position.
    distinct : int
        Different keys.
    occupied : ndarray of int64, shape (28,)
        Occupied cells of every lattice level of `LEVELS`.
    west, east : ndarray of float64, shape (3600,)
        Least and greatest right ascension in every tenth of a degree; infinite where there is none.
    south, north : float
        Least and greatest declination.
    """

    rows: int
    distinct: int
    occupied: IntArray
    west: FloatArray
    east: FloatArray
    south: float
    north: float

    @classmethod
    def empty(cls) -> Tally:
        """Return the tally of no rows."""
        west, east = np.full(RA_BINS, np.inf), np.full(RA_BINS, -np.inf)
        return cls(0, 0, np.zeros(len(LEVELS), np.int64), west, east, 90.0, -90.0)

    def __add__(self, other: Tally) -> Tally:
        """Return the tally of the rows of both, which must lie in different cells to be exact."""
        return Tally(
            self.rows + other.rows,
            self.distinct + other.distinct,
            self.occupied + other.occupied,
            np.minimum(self.west, other.west),
            np.maximum(self.east, other.east),
            min(self.south, other.south),
            max(self.north, other.north),
        )

    def then(self, other: Tally, last: int, first: int) -> Tally:
        """Return the tally of the rows of both, where the other ones follow in key order.

        Parameters
        ----------
        other : Tally
        last, first : int
            Last key of these rows, first key of the other ones: they may share cells.
        """
        both = self + other
        shared = np.array([last >> key_shift(z) == first >> key_shift(z) for z in LEVELS])
        occupied = both.occupied - shared.astype(np.int64)
        return replace(both, distinct=both.distinct - int(last == first), occupied=occupied)

    def record(self) -> dict[str, Any]:
        """Return all but the number of rows as plain values."""
        taken = np.flatnonzero(self.west <= self.east)
        return {
            "distinct": self.distinct,
            "occupied": self.occupied.tolist(),
            "dec": [self.south, self.north],
            "ra": [[int(i), float(self.west[i]), float(self.east[i])] for i in taken],
        }

    @classmethod
    def of_record(cls, rows: int, record: Mapping[str, Any]) -> Tally:
        """Return the tally of a `record`."""
        none = cls.empty()
        for i, west, east in record["ra"]:
            none.west[int(i)], none.east[int(i)] = float(west), float(east)
        south, north = map(float, record["dec"])
        occupied = np.array(record["occupied"], np.int64)
        return cls(rows, int(record["distinct"]), occupied, none.west, none.east, south, north)

    @property
    def max_zoom(self) -> int:
        """The first level (8 to 22) on which hardly any two positions share a pixel."""
        for z in range(LEAST_ZOOM, MAX_ZOOM):
            shared = self.distinct - int(self.occupied[z - LEVELS[0]])
            if shared <= max(self.distinct * SHARED, 1):  # one close pair is allowed
                return z
        return MAX_ZOOM

    @property
    def level(self) -> int:
        """The deepest level (-5 to 12) whose occupied pixels hold eight rows on average."""
        level = SAMPLE_LEVELS[0]
        for z in SAMPLE_LEVELS:
            if int(self.occupied[z - LEVELS[0]]) * SAMPLE_ROWS > self.rows:
                break
            level = z
        return level

    @property
    def coverage(self) -> Coverage:
        """The sky rectangle of the positions; it may cross RA 0.

        The largest hole of at least one degree in right ascension is left out.
        """
        taken = np.flatnonzero(self.west <= self.east)
        if taken.size == 0:
            return ALL_SKY
        gaps = np.diff(taken, append=taken[0] + RA_BINS)  # to the next bin that is taken
        widest = int(np.argmax(gaps))
        if gaps[widest] <= LEAST_GAP:
            return Coverage(360.0, 0.0, self.south, self.north)
        west = float(self.west[taken[(widest + 1) % taken.size]])
        east = float(self.east[taken[widest]])
        width = (east - west) % 360.0
        return Coverage(west + width, west, self.south, self.north)


def tally(keys: IntArray, ra: FloatArray, dec: FloatArray) -> Tally:
    """Count rows with valid positions.

    Parameters
    ----------
    keys : ndarray of int64, shape (n,)
        Sorted.
    ra, dec : ndarray of float64, shape (n,)
        ICRS degrees, RA 0..360; in any order.
    """
    if keys.size == 0:
        return Tally.empty()
    occupied = occupied_cells(keys)
    west, east = np.full(RA_BINS, np.inf), np.full(RA_BINS, -np.inf)
    bins = (ra * (RA_BINS / 360)).astype(np.int64) % RA_BINS
    turned = np.mod(ra, 360.0)
    np.minimum.at(west, bins, turned)
    np.maximum.at(east, bins, turned)
    return Tally(
        keys.size, int(occupied[-1]), occupied, west, east, float(dec.min()), float(dec.max())
    )


def occupied_cells(keys: IntArray) -> IntArray:
    """Return how many cells of every level of `LEVELS` sorted keys lie in."""
    apart = keys[1:] ^ keys[:-1]
    # Without its lower ones the first bit that differs stays when it is rounded to a float.
    bits = np.frexp((apart & ~(apart >> 1)).astype(np.float64))[1]
    steps = np.bincount(bits, minlength=key_shift(LEVELS[0]) + 65)  # bits 1.. that differ
    beyond = np.cumsum(steps[::-1])[::-1]
    return np.array([1 + beyond[key_shift(z) + 1] for z in LEVELS], np.int64)


def changes(cells: IntArray) -> IntArray:
    """Return where runs of equal sorted cells begin."""
    return np.flatnonzero(np.diff(cells, prepend=-1))
