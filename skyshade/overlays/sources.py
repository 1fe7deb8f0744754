"""Lists of named positions to draw; large ones read their names and columns when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from skyshade.errors import UnknownNameError
from skyshade.geometry.outlines import Outlines
from skyshade.overlays.export import csv_text, ds9_text, json_text
from skyshade.overlays.finding import Finder
from skyshade.overlays.importance import importance_column, numbers, order_of, sizes_by_magnitude
from skyshade.overlays.lines import Drawing
from skyshade.overlays.marks import Marks
from skyshade.overlays.text import plain_value
from skyshade.types import AnyArray, FloatArray

LIMIT = 250_000


@dataclass(frozen=True, eq=False)
class SourceList:
    """Named positions to draw, with what is known of them.

    Parameters
    ----------
    id, title : str
    ra, dec : ndarray of float64, shape (n,)
        ICRS degrees, all valid.
    names : sequence of str, length n
    columns : mapping of str to ndarray, shape (n,)
        Other columns of the table.
    units : mapping of str to str
    total : int
        Rows of the table with a valid position; `truncated` tells whether all are here.
    notes : tuple of str
    outlines : Outlines, optional
        Shapes of sources that are regions.
    prominent : bool
        Whether a viewer shows the list without being asked.
    """

    id: str
    title: str
    ra: FloatArray
    dec: FloatArray
    names: Sequence[str]
    columns: Mapping[str, AnyArray] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    total: int = 0
    notes: tuple[str, ...] = ()
    outlines: Outlines | None = None
    prominent: bool = True

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self.ra)

    @property
    def truncated(self) -> bool:
        """Whether the table has more rows than the list."""
        return len(self) < self.total

    @cached_property
    def ranked_by(self) -> tuple[str, bool] | None:
        """The column that ranks the sources, and whether its small values come first."""
        return importance_column(list(self.columns))

    @cached_property
    def marks(self) -> Marks:
        """The levels that tell which sources a view marks."""
        values, smallest = None, False
        if self.ranked_by is not None:
            name, smallest = self.ranked_by
            values = self.columns[name]
        return Marks(self.ra, self.dec, order_of(values, len(self), smallest=smallest))

    @cached_property
    def sizes(self) -> AnyArray | None:
        """Tenths of a pixel, uint8: brighter sources are larger; None without magnitudes."""
        if self.ranked_by is None or not self.ranked_by[1]:
            return None
        sizes = sizes_by_magnitude(numbers(self.columns[self.ranked_by[0]]), 5.0, 12.0)
        return np.rint(sizes * 10.0).astype(np.uint8)

    @cached_property
    def finder(self) -> Finder:
        """Search by name and order by column."""
        return Finder(self.names, {"ra": self.ra, "dec": self.dec}, self.columns)

    @cached_property
    def drawing(self) -> Drawing | None:
        """The outlines of regions, None for a list of plain sources."""
        return None if self.outlines is None else Drawing(self.outlines)

    def export(self, format: str) -> Iterator[str]:
        """Return the parts of the list as text.

        Parameters
        ----------
        format : {"json", "csv", "reg"}
            TileMaker's form; a table; DS9 regions.

        Raises
        ------
        UnknownNameError
            For another format.
        """
        writers = {"json": json_text, "csv": csv_text, "reg": ds9_text}
        if format not in writers:
            raise UnknownNameError("format", format, writers)
        return writers[format](self)

    def record(self, row: int) -> dict[str, Any]:
        """Return what is known of one source; raise UnknownNameError when there is no such row."""
        if not 0 <= row < len(self):
            raise UnknownNameError("source", row, (f"0 to {len(self) - 1}",) if len(self) else ())
        return self.records([row])[0]

    def records(self, rows: Iterable[int] | None = None) -> list[dict[str, Any]]:
        """Return ``{"ra", "dec", "name", "extra": {column: value}}`` of sources, all by default.

        Values are ready for JSON: plain numbers and texts, None for what is missing.
        """
        which = np.arange(len(self)) if rows is None else np.asarray(list(rows), np.int64)
        found = rows_of(self.columns, which)
        plain = {name: [plain_value(v) for v in column] for name, column in found.items()}
        return [
            {
                "ra": float(self.ra[row]),
                "dec": float(self.dec[row]),
                "name": self.names[row],
                "extra": {key: values[i] for key, values in plain.items()},
            }
            for i, row in enumerate(which.tolist())
        ]


class LazyColumns(Mapping[str, AnyArray]):
    """Columns of a table at some of its rows; read when asked for, the latest few kept.

    Parameters
    ----------
    table : PointTable
    names : sequence of str
    rows : ndarray of int64, shape (n,)
    """

    KEPT = 6

    def __init__(self, table: Any, names: Sequence[str], rows: AnyArray) -> None:
        self._table, self._names, self._rows = table, tuple(names), rows
        self._read: dict[str, AnyArray] = {}

    def __getitem__(self, name: str) -> AnyArray:
        found = self._read.get(name)
        if found is None:
            if name not in self._names:
                raise KeyError(name)
            found = np.asarray(self._table.column(name))[self._rows]
            self._read[name] = found
            for old in list(self._read)[: -self.KEPT]:
                self._read.pop(old, None)
        return found

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def at(self, rows: AnyArray) -> dict[str, AnyArray]:
        """Return all columns of some sources, a single one without reading whole columns."""
        read = getattr(self._table, "read", None)
        if len(rows) != 1 or read is None:
            return {name: self[name][rows] for name in self._names}
        row = int(self._rows[rows[0]])
        found = read(list(self._names), row, row + 1)
        return {name: np.asarray(found[name]) for name in self._names}


class LazyNames(Sequence[str]):
    """Names that are made when the first one is asked for.

    Parameters
    ----------
    count : int
    make : callable
        Returns the list of names.
    """

    def __init__(self, count: int, make: Any) -> None:
        self._count, self._make = count, make

    @cached_property
    def _names(self) -> list[str]:
        found: list[str] = self._make()
        return found

    def __getitem__(self, index: Any) -> Any:
        return self._names[index]

    def __len__(self) -> int:
        return self._count


def rows_of(columns: Mapping[str, AnyArray], rows: AnyArray) -> dict[str, AnyArray]:
    """Return columns at some rows."""
    if isinstance(columns, LazyColumns):
        return columns.at(rows)
    return {name: np.asarray(column)[rows] for name, column in columns.items()}
