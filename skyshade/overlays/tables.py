"""From tables to lists of sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from skyshade.errors import UnknownNameError
from skyshade.geometry.outlines import Outlines
from skyshade.overlays.sources import LIMIT, LazyColumns, LazyNames, SourceList
from skyshade.overlays.text import plain_names
from skyshade.types import AnyArray, PointTable

NAME_COLUMNS = (
    *("name", "source_name", "objname", "designation", "label", "object", "main_id"),
    *("id", "source_id", "objid", "tyc_id"),
)
FEW = 10_000  # rows of a catalogue that is marked without being asked


def sources_from_table(
    table: PointTable,
    id: str,
    limit: int = LIMIT,
    *,
    name: str | None = None,
    columns: Sequence[str] | None = None,
) -> SourceList:
    """Return the first rows of a table as a list of sources; only positions are read.

    Parameters
    ----------
    table : PointTable
        One with an attribute ``outlines`` (regions, or None) is a list of sources by its nature.
    id : str
    limit : int
        Rows without a valid position do not count.
    name : str, optional
        Column of the names; None guesses (name, designation, id ...), and numbers the rows from
        1 when there is none.
    columns : sequence of str, optional
        Columns to keep; None keeps all but the names.

    Raises
    ------
    UnknownNameError
        When a column is not known.
    """
    for wanted in (*(columns or ()), *(() if name is None else (name,))):
        if wanted not in table.columns:
            raise UnknownNameError("column", wanted, table.columns)
    ra, dec = table.positions()
    valid = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0))
    rows = valid[:limit]
    named = name_column(table.columns) if name is None else name
    kept = [c for c in (table.columns if columns is None else columns) if c != named]
    outlines: Outlines | None = getattr(table, "outlines", None)
    return SourceList(
        id=id,
        title=table.name,
        ra=ra[rows],
        dec=dec[rows],
        names=LazyNames(rows.size, lambda: _names(table, named, rows)),
        columns=LazyColumns(table, kept, rows),
        units={c: u for c, u in table.units.items() if c in kept},
        total=valid.size,
        notes=tuple(_notes(table, rows.size, valid)),
        outlines=None if outlines is None else outlines.of_rows(rows),
        prominent=hasattr(table, "outlines") or len(table) <= FEW,
    )


def name_column(columns: Sequence[str]) -> str | None:
    """Return the column that most likely holds the sources' names, None if none looks like it."""
    by_lower = {column.lower(): column for column in reversed(columns)}
    return next((by_lower[name] for name in NAME_COLUMNS if name in by_lower), None)


def _names(table: PointTable, column: str | None, rows: AnyArray) -> list[str]:
    """Return the names; a source without one gets its row's number, counted from 1."""
    numbers = [f"{row + 1}" for row in rows.tolist()]
    if column is None:
        return numbers
    names = plain_names(np.asarray(table.column(column))[rows])
    return [name or number for name, number in zip(names, numbers, strict=True)]


def _notes(table: PointTable, shown: int, valid: AnyArray) -> Iterator[str]:
    if table.guess:
        yield table.guess
    yield from getattr(table, "notes", ())
    if valid.size < len(table):
        missing = len(table) - valid.size
        verb = "has" if missing == 1 else "have"
        first = int(np.flatnonzero(np.append(valid, -1) != np.arange(valid.size + 1))[0]) + 1
        told = f"{missing:,} of {len(table):,} rows {verb} no valid position"
        yield f"{told} (the first: row {first:,})"
    if shown < valid.size:
        yield f"the first {shown:,} of {valid.size:,} sources"
