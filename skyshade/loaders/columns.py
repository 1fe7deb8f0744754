"""What each format of tables implements, and how rows are cut into chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from skyshade.types import AnyArray, FloatArray, RowRange

CHUNK_BYTES = 256 << 20  # of the columns of a chunk, estimated
_TEXT = 32.0  # bytes of a text, where nothing is known


class Columns(Protocol):
    """Lazy columns: what each table format implements; thread-safe."""

    @property
    def names(self) -> Sequence[str]:
        """Columns of one number or text a row, in order."""
        ...

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        ...

    @property
    def breaks(self) -> Sequence[int]:
        """Rows at which reading begins cheaply, from 0 to the number of rows."""
        ...

    @property
    def unread(self) -> bool:
        """Whether even the number of rows is computed when it is asked for."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def version(self) -> str:
        """Return a short text that changes when the rows change."""
        ...

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop: numbers (null is NaN), or objects (null is None)."""
        ...

    def schema(self) -> Any:
        """Return the `pyarrow.Schema` of all columns."""
        ...

    def read_arrow(self, names: Sequence[str], start: int, stop: int) -> Any:
        """Return rows start..stop as a `pyarrow.Table` of the types of `schema`."""
        ...

    def row_bytes(self, names: Sequence[str]) -> float:
        """Return the bytes that a row of some columns takes in memory, estimated."""
        ...

    def bounds(self, name: str) -> tuple[float, float] | None:
        """Return least and greatest value of a column of numbers; None where not known cheaply."""
        ...

    def boxes(self, lon: str, lat: str) -> FloatArray | None:
        """Return the extremes of two columns between breaks, shape (n, 4); None: not known."""
        ...


class NoStatistics:
    """Columns of which nothing is known before they are read."""

    unread = False

    def boxes(self, lon: str, lat: str) -> FloatArray | None:  # noqa: ARG002 (of `Columns`)
        """Return None."""
        return None


class HeldColumns(NoStatistics):
    """What `Columns` that are held whole have in common; subclasses fill the fields and read."""

    _columns: Mapping[str, Any]
    _units: Mapping[str, str]
    _rows: int
    _version: str

    @property
    def names(self) -> Sequence[str]:
        """Names of all columns, one value a row each."""
        return tuple(self._columns)

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        return self._units

    @property
    def breaks(self) -> Sequence[int]:
        """Nothing but both ends: any row is as good as another."""
        return 0, self._rows

    def __len__(self) -> int:
        return self._rows

    def version(self) -> str:
        """Return the version given."""
        return self._version

    def schema(self) -> Any:
        """Return the `pyarrow.Schema` of all columns."""
        raise NotImplementedError

    def row_bytes(self, names: Sequence[str]) -> float:
        """Return the bytes that a row of some columns takes in memory, estimated."""
        return width(self.schema(), names)

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop."""
        raise NotImplementedError

    def bounds(self, name: str) -> tuple[float, float] | None:
        """Return least and greatest value of a column of numbers."""
        return extremes(self.read([name])[name])


def width(schema: Any, names: Sequence[str]) -> float:
    """Return the bytes that a row of some columns takes in memory, estimated."""
    return sum(_width(schema.field(name).type) for name in names)


def _width(kind: Any) -> float:
    try:
        return float(kind.bit_width) / 8
    except ValueError:
        return _TEXT


def plan(breaks: Sequence[int], rows: int) -> list[RowRange]:
    """Return ranges of at most `rows` rows that end at breaks where that is possible.

    Neighbouring pieces are joined; a piece of more than `rows` rows is split.
    """
    ranges: list[RowRange] = []
    begin = breaks[0] if breaks else 0
    for here, after in pairwise(breaks):
        if after - begin <= rows:
            continue
        if here > begin:
            ranges.append(RowRange(begin, here))
        begin = here
        while after - begin > rows:
            ranges.append(RowRange(begin, begin + rows))
            begin += rows
    if breaks and breaks[-1] > begin:
        ranges.append(RowRange(begin, breaks[-1]))
    return ranges


def extremes(values: AnyArray) -> tuple[float, float] | None:
    """Return least and greatest finite value; None of texts and where there is none."""
    if values.dtype.kind not in "fiu":
        return None
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def distinct(names: Sequence[str]) -> list[str]:
    """Return non-empty names that differ: a repeated one gets _2, _3 ..."""
    seen: set[str] = set()
    result = []
    for i, name in enumerate(names):
        base = unique = name or f"col{i + 1}"
        count = 1
        while unique in seen:
            count += 1
            unique = f"{base}_{count}"
        seen.add(unique)
        result.append(unique)
    return result


def null_objects(values: Sequence[object]) -> AnyArray:
    """Return a one-dimensional object array, whatever the items are."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
