"""The rows themselves: inside a cone or a sky rectangle, found through the index."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.coverage import circle_coverage
from skyshade.geometry.keys import coverage_window, window_key_ranges
from skyshade.layers.catalog_bins import MAX_CELLS, spans
from skyshade.layers.catalog_index import View
from skyshade.types import ALL_SKY, AnyArray, Coverage, FloatArray, IntArray

EDGE = 1e-10  # degrees: a boundary includes what rounding may have pushed beyond it


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows of a catalogue.

    Parameters
    ----------
    columns : dict of str to ndarray
        ``ra`` and ``dec`` (ICRS degrees, whatever the table stores), then the wanted columns.
    rows : ndarray of int64
        Their numbers in the table, from 0.
    total : int
        Rows that were found.
    truncated : bool
        Whether fewer than that are given.
    separation : ndarray of float64, optional
        Degrees from the centre of a cone.
    """

    columns: Mapping[str, AnyArray]
    rows: IntArray
    total: int
    truncated: bool
    separation: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Cone:
    """A circle on the sky, degrees."""

    ra: float
    dec: float
    radius: float


def cone_of(ra: float, dec: float, radius: float) -> Cone:
    """Return a checked cone; InputError names the value that is not allowed."""
    if not math.isfinite(ra):
        msg = f"ra {ra!r} is not allowed: give degrees"
        raise InputError(msg)
    if not -90.0 <= dec <= 90.0:
        msg = f"dec {dec!r} is not allowed: give degrees from -90 to 90"
        raise InputError(msg)
    if not 0.0 <= radius <= 180.0:
        msg = f"radius {radius!r} is not allowed: give degrees from 0 to 180"
        raise InputError(msg)
    return Cone(ra % 360.0 % 360.0, dec, radius)


def rows_in_cone(view: View, cone: Cone) -> tuple[IntArray, FloatArray]:
    """Return table rows within a cone (boundary included), nearest first, and separations."""
    rows = _candidates(view, cone_coverage(cone))
    ra, dec = (values[rows] for values in view.index.positions())
    distance = separation(ra, dec, cone.ra, cone.dec)
    inside = distance <= cone.radius + EDGE
    rows, distance = rows[inside], distance[inside]
    sort = np.lexsort((rows, distance))
    return rows[sort], distance[sort]


def rows_in_coverage(view: View, coverage: Coverage) -> IntArray:
    """Return table rows within a sky rectangle (edges included), in table order."""
    _check_coverage(coverage)
    rows = _candidates(view, coverage)
    ra, dec = (values[rows] for values in view.index.positions())
    width = coverage.ra_east - coverage.ra_west
    west = np.mod(coverage.ra_east - ra, 360.0)  # degrees west of the eastern edge
    inside = (west <= width + EDGE) | (west >= 360.0 - EDGE)
    inside &= (dec >= coverage.dec_min - EDGE) & (dec <= coverage.dec_max + EDGE)
    return np.sort(rows[inside])


def _check_coverage(coverage: Coverage) -> None:
    east, west, south, north = coverage
    if not -EDGE <= east - west <= 360.0 + EDGE:
        msg = f"ra_east {east!r} is not between ra_west {west!r} and 360 degrees more"
        raise InputError(msg)
    if not south <= north:
        msg = f"dec_min {south!r} is not below dec_max {north!r}"
        raise InputError(msg)


def gather_rows(
    view: View,
    rows: IntArray,
    columns: Sequence[str] | None,
    limit: int,
    distance: FloatArray | None = None,
) -> Rows:
    """Return the first `limit` of table rows with their columns (None: all)."""
    if limit < 0:
        msg = f"limit {limit!r} is not allowed: give 0 or more rows"
        raise InputError(msg)
    known = view.index.table.columns
    for name in columns or ():
        if name not in known:
            raise UnknownNameError("column", name, known)
    kept = rows[:limit]
    ra, dec = view.index.positions()
    found: dict[str, AnyArray] = {"ra": ra[kept], "dec": dec[kept]}
    for name in known if columns is None else columns:
        if name not in found:
            found[name] = view.index.raw(name)[kept]
    near = None if distance is None else distance[:limit]
    return Rows(found, kept, rows.size, kept.size < rows.size, near)


def cone_coverage(cone: Cone) -> Coverage:
    """Return a sky rectangle around a cone, a little too large."""
    return circle_coverage(cone.ra, cone.dec, cone.radius)


def separation(ra: AnyArray, dec: AnyArray, ra0: float, dec0: float) -> FloatArray:
    """Return the angle to a position in degrees (haversine, exact for small angles)."""
    ra, dec = np.radians(ra), np.radians(dec)
    a0, d0 = math.radians(ra0), math.radians(dec0)
    chord = np.sin((dec - d0) / 2) ** 2
    chord += np.cos(dec) * math.cos(d0) * np.sin((ra - a0) / 2) ** 2
    angle: FloatArray = np.degrees(2 * np.arcsin(np.sqrt(np.minimum(chord, 1.0))))
    return angle


def _candidates(view: View, coverage: Coverage) -> IntArray:
    """Return table rows of the aligned cells that cover a sky rectangle."""
    if coverage == ALL_SKY:
        return view.order.astype(np.int64)
    ranges = window_key_ranges(coverage_window(coverage), MAX_CELLS)
    found = [view.order[s] for s in spans(view, ranges)]
    return np.concatenate(found).astype(np.int64) if found else np.empty(0, np.int64)
