"""The rows themselves: found in a region through the index, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.grids import SKY
from skyshade.layers.analysis_numbers import Deadline
from skyshade.layers.catalog_places import ranges_over
from skyshade.layers.regions import Cone, Region
from skyshade.layers.rows_tables import to_arrow, to_pandas
from skyshade.types import ALL_SKY, DEC, RA, AnyArray, FloatArray, IntArray, RowView

if TYPE_CHECKING:
    import pandas as pd

SCAN = 2_000_000  # rows that are read only to count them, at most
PART = 65_536  # rows of which all columns are held at once
_PIECE = 65_536
_HELD = 1 << 20  # rows of a cone that are kept before the nearest are chosen
_GROWTH = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows of a catalogue.

    Parameters
    ----------
    columns : mapping of str to ndarray
        ``ra`` and ``dec`` (ICRS degrees, whatever the table stores), then the wanted columns.
    rows : ndarray of int64
        Their numbers in the table, from 0.
    total : int, optional
        Rows that were found; None where counting them would take too long.
    truncated : bool
        Whether fewer than that are given.
    separation : ndarray of float64, optional
        Degrees from the centre of a cone.
    units : mapping of str to str
        Of the columns that have any.
    """

    columns: Mapping[str, AnyArray]
    rows: IntArray
    total: int | None
    truncated: bool
    separation: FloatArray | None = None
    units: Mapping[str, str] = field(default_factory=dict)

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame whose index are the numbers of the rows.

        Its ``attrs`` hold ``total``, ``truncated`` and ``units``.
        """
        attrs = {"total": self.total, "truncated": self.truncated, "units": dict(self.units)}
        return to_pandas(self.columns, self.rows, attrs)

    def to_arrow(self) -> Any:
        """Return a `pyarrow.Table`; units are in the metadata of its fields (``unit``)."""
        return to_arrow(self.columns, self.units)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Rows that were found, by their numbers; their columns are read when asked for.

    Parameters
    ----------
    view : RowView
    names : tuple of str
        The wanted columns.
    units : mapping of str to str
    rows, total, truncated, separation
        As in `Rows`.
    """

    view: RowView
    names: tuple[str, ...]
    units: Mapping[str, str]
    rows: IntArray
    total: int | None
    truncated: bool
    separation: FloatArray | None = None

    def __len__(self) -> int:
        return int(self.rows.size)

    def part(self, start: int = 0, stop: int | None = None) -> Rows:
        """Return the rows from `start` up to and without `stop` with their columns."""
        some = slice(start, stop)
        kept = self.rows[some]
        wanted = [name for name in self.names if name not in ("ra", "dec")]
        found = dict(self.view.take(kept, [RA, DEC, *wanted]))
        named = {"ra": found.pop(RA), "dec": found.pop(DEC), **found}
        near = None if self.separation is None else self.separation[some]
        return Rows(named, kept, self.total, self.truncated, near, self.units)

    def parts(self) -> Iterator[Rows]:
        """Yield all rows in parts of at most `PART`; one without rows when there are none."""
        for start in range(0, max(len(self), 1), PART):
            yield self.part(start, start + PART)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Numbers of rows, how many there are in all, and how far they are."""

    rows: IntArray
    total: int | None
    separation: FloatArray | None = None


def checked_columns(columns: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the columns to give (None: all); UnknownNameError for one that is not there."""
    if isinstance(columns, str):
        columns = (columns,)
    for name in columns or ():
        if name not in known and name not in ("ra", "dec"):
            raise UnknownNameError("column", name, known)
    return tuple(known if columns is None else dict.fromkeys(columns))


def find(
    view: RowView,
    region: Region | None,
    limit: int | None,
    names: tuple[str, ...],
    units: Mapping[str, str],
    *,
    scan: int = SCAN,
    known: int | None = None,
    timeout: float | None = None,
) -> Found:
    """Find rows in a region.

    Parameters
    ----------
    view : RowView
    region : Region, optional
        None is the whole sky. Of a cone the nearest rows come first, else the lowest numbers.
    limit : int, optional
        Most rows; None gives all.
    names : tuple of str
        The wanted columns.
    units : mapping of str to str
    scan : int
        Most rows that are read only to be counted. What is beyond is not: then `total` is None.
    known : int, optional
        How many rows there are, where that is known.
    timeout : float, optional
        Seconds after which the search is given up.

    Raises
    ------
    InputError
        A negative limit.
    TimeoutError
    """
    if limit is not None and limit < 0:
        msg = f"limit {limit!r} is not allowed: give 0 or more rows"
        raise InputError(msg)
    deadline = Deadline(timeout)
    if isinstance(region, Cone):
        found = _nearest(view, region, limit, scan, deadline)
    else:
        found = _first(view, region, limit, scan if known is None else 0, deadline)
    if known is not None:
        found = replace(found, total=known)
    truncated = found.total is None or found.rows.size < found.total
    units = {name: units[name] for name in names if name in units}
    places = {"ra": "deg", "dec": "deg"}
    return Found(view, names, units | places, found.rows, found.total, truncated, found.separation)


def nearest_of(view: RowView, cone: Cone) -> tuple[int, float] | None:
    """Return number and distance of the row nearest to a cone's centre; None without rows."""
    found = _growing(view, cone, 1, Deadline())
    if not found.rows.size or found.separation is None:
        return None
    return int(found.rows[0]), float(found.separation[0])


def _first(
    view: RowView, region: Region | None, limit: int | None, scan: int, deadline: Deadline
) -> _Numbers:
    """Return the rows of lowest numbers.

    An index on disk gives them in that order, so that reading can stop; one in memory is read
    as a whole.
    """
    kept: list[IntArray] = []
    count, read, last, ordered = 0, 0, -1, True
    for rows, ra, dec in _pieces(view, region, deadline):
        read += rows.size
        numbers = rows if region is None else rows[region.contains(ra, dec)]
        if not numbers.size:
            continue
        ordered = ordered and _ascending(numbers, last)
        last = int(numbers[-1])
        if not ordered or limit is None or count < limit:
            kept.append(numbers.astype(np.int64))
        count += numbers.size
        if ordered and limit is not None and count > limit and read > scan:
            return _Numbers(np.concatenate(kept)[:limit], None)
    found = np.concatenate(kept) if kept else np.empty(0, np.int64)
    return _Numbers(np.sort(found)[:limit], count)


def _ascending(numbers: AnyArray, last: int) -> bool:
    return int(numbers[0]) > last and bool((numbers[1:] > numbers[:-1]).all())


def _nearest(
    view: RowView, cone: Cone, limit: int | None, scan: int, deadline: Deadline
) -> _Numbers:
    """Return the nearest rows of a cone, in order.

    Where there are too many to look at all, of circles that grow until they hold enough.
    """
    most = None if limit is None else max(scan, limit)
    found = _within(view, cone, limit, most, deadline)
    return _growing(view, cone, limit or 0, deadline) if found is None else found


def _growing(view: RowView, cone: Cone, limit: int, deadline: Deadline) -> _Numbers:
    """Return the nearest rows from circles that grow up to the cone; `total` is often unknown."""
    radius = SKY.pixel_size(view.level) * math.sqrt(limit / 8.0 + 1.0)  # eight rows a pixel
    while radius < cone.radius:
        found = _within(view, replace(cone, radius=radius), limit, None, deadline)
        if found is not None and found.rows.size >= limit:
            return replace(found, total=None)
        radius *= _GROWTH
    whole = _within(view, cone, limit, None, deadline)
    return _Numbers(np.empty(0, np.int64), 0, np.empty(0)) if whole is None else whole


def _within(
    view: RowView, cone: Cone, limit: int | None, scan: int | None, deadline: Deadline
) -> _Numbers | None:
    """Return the nearest rows of a cone; None when more than `scan` rows would be read."""
    rows, distance = np.empty(0, np.int64), np.empty(0)
    most = None if limit is None else max(limit, 1)
    count = read = 0
    waiting: list[tuple[IntArray, FloatArray]] = []
    held = 0
    for numbers, ra, dec in _pieces(view, cone, deadline):
        read += numbers.size
        if scan is not None and read > scan:
            return None
        inside = cone.contains(ra, dec)
        if not inside.any():
            continue
        some = numbers[inside].astype(np.int64)
        waiting.append((some, cone.distances(ra[inside], dec[inside])))
        count, held = count + some.size, held + some.size
        if most is not None and held > most + _HELD:
            rows, distance = _closest([(rows, distance), *waiting], most)
            waiting, held = [], rows.size
    rows, distance = _closest([(rows, distance), *waiting], limit)
    return _Numbers(rows, count, distance)


def _closest(
    parts: list[tuple[IntArray, FloatArray]], most: int | None
) -> tuple[IntArray, FloatArray]:
    """Return the `most` rows of least distance, in order; of equal ones the lower numbers."""
    rows, distance = (np.concatenate(part) for part in zip(*parts, strict=True))
    if most is not None and 0 < most < rows.size:
        near = distance <= np.partition(distance, most - 1)[most - 1]
        rows, distance = rows[near], distance[near]
    sort = np.lexsort((rows, distance))[:most]
    return rows[sort], distance[sort]


def _pieces(
    view: RowView, region: Region | None, deadline: Deadline
) -> Iterator[tuple[AnyArray, AnyArray, AnyArray]]:
    """Yield (rows, ra, dec) of the cells that cover a region, cut to stay in the cache."""
    coverage = ALL_SKY if region is None else region.coverage
    columns = () if region is None else (RA, DEC)
    for block in view.blocks(ranges_over(coverage), columns):
        deadline.check()
        if region is None:
            yield block.rows, block.rows, block.rows
            continue
        ra, dec = block.columns[RA], block.columns[DEC]
        for start in range(0, block.rows.size, _PIECE):
            some = slice(start, start + _PIECE)
            yield block.rows[some], ra[some], dec[some]
