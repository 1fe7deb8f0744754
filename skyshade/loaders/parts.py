"""Several Parquet files as one table."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import Any

import numpy as np

from skyshade.errors import DataError, UnsupportedError
from skyshade.index.arrow import to_numpy
from skyshade.loaders.arrow import empty_table, fitted, plain_schema
from skyshade.loaders.columns import width
from skyshade.loaders.parquet import ParquetColumns
from skyshade.loaders.remote import AnyFile
from skyshade.types import AnyArray, FloatArray

_OPEN = 16  # files kept open


@dataclass(frozen=True, eq=False)
class Part:
    """What is known of one file.

    Parameters
    ----------
    file : str
        Where it lies within the folder, or its name.
    opened : function
        Opens it.
    rows : tuple of int
        Of each row group.
    schema : pyarrow.Schema
        Of its flat columns.
    boxes : ndarray of float64, shape (row groups, 4)
        Extremes of longitude and latitude as stored; NaN where not known.
    version : str
    """

    file: str
    opened: Callable[[], AnyFile]
    rows: tuple[int, ...]
    schema: Any
    boxes: FloatArray
    version: str


class PartsColumns:
    """`Columns` of several Parquet files, one after the other.

    Columns are united by name: where a file lacks one, it is null. Numbers of different types
    become the one that holds both.

    Parameters
    ----------
    parts : sequence of Part
    units : mapping of str to str
    place : tuple of str
        Columns of longitude and latitude.
    name : str
        For messages.

    Raises
    ------
    UnsupportedError
        A column is of types that cannot be one.
    """

    def __init__(
        self, parts: Sequence[Part], units: Mapping[str, str], place: tuple[str, str], name: str
    ) -> None:
        self._parts, self._units, self._name = list(parts), dict(units), name
        self._place = place
        self._schema = united([(p.file, p.schema) for p in parts], name)
        rows = [sum(part.rows) for part in parts]
        self._starts = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
        self._lock = Lock()
        self._files: OrderedDict[int, ParquetColumns] = OrderedDict()
        text = "".join(f"{p.file}\0{p.version}\0" for p in parts)
        self._version = blake2b(text.encode(), digest_size=6).hexdigest()

    @property
    def parts(self) -> Sequence[Part]:
        """The files, in the order of their rows."""
        return self._parts

    @property
    def starts(self) -> Sequence[int]:
        """First row of each file, and the number of rows."""
        return [int(start) for start in self._starts]

    @property
    def names(self) -> Sequence[str]:
        """Columns of any of the files."""
        return tuple(self._schema.names)

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        return self._units

    @property
    def breaks(self) -> Sequence[int]:
        """First row of each row group, and the number of rows."""
        groups = [rows for part in self._parts for rows in part.rows]
        return [int(s) for s in np.concatenate([[0], np.cumsum(groups, dtype=np.int64)])]

    @property
    def unread(self) -> bool:
        """Whether nothing is known yet: never."""
        return False

    def __len__(self) -> int:
        return int(self._starts[-1])

    def version(self) -> str:
        """Return a short text made from the versions of all files."""
        return self._version

    def schema(self) -> Any:
        """Return the schema of all columns of all files."""
        return self._schema

    def row_bytes(self, names: Sequence[str]) -> float:
        """Return the bytes that a row takes, by the first file."""
        return width(self._schema, names)

    def bounds(self, name: str) -> tuple[float, float] | None:
        """Return least and greatest value of longitude or latitude, where all files say them."""
        if name not in self._place:
            return None
        first = 2 * self._place.index(name)
        found = np.concatenate([part.boxes[:, first : first + 2] for part in self._parts])
        known = found.size and np.isfinite(found).all()
        return (float(found[:, 0].min()), float(found[:, 1].max())) if known else None

    def boxes(self, lon: str, lat: str) -> FloatArray | None:
        """Return extremes of longitude and latitude of each row group, shape (groups, 4)."""
        if (lon, lat) != self._place:
            return None
        return np.concatenate([part.boxes for part in self._parts])

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop."""
        table = self.read_arrow(names, start, len(self) if stop is None else stop)
        return {name: to_numpy(table.column(name)) for name in names}

    def read_arrow(self, names: Sequence[str], start: int, stop: int) -> Any:
        """Return rows start..stop, from the files that hold them."""
        import pyarrow as pa  # noqa: PLC0415

        schema = pa.schema([self._schema.field(name) for name in dict.fromkeys(names)])
        tables = [empty_table(schema)]
        first = max(0, int(np.searchsorted(self._starts, start, side="right")) - 1)
        for index in range(first, int(np.searchsorted(self._starts, stop, side="left"))):
            begin, end = int(self._starts[index]), int(self._starts[index + 1])
            low, high = max(start, begin) - begin, min(stop, end) - begin
            if high > low:
                tables.append(self._read(index, schema, low, high))
        return pa.concat_tables(tables)

    def _read(self, index: int, schema: Any, start: int, stop: int) -> Any:
        part, columns = self._parts[index], self._opened(index)
        if len(columns) != sum(part.rows):
            cause = f"{part.file} has {len(columns)} rows where {sum(part.rows)} were promised"
            raise DataError(self._name, cause)
        present = [n for n in schema.names if n in part.schema.names]
        if present:
            return fitted(columns.read_arrow(present, start, stop), schema, part.file)
        return fitted(columns.read_arrow([columns.names[0]], start, stop), schema, part.file)

    def _opened(self, index: int) -> ParquetColumns:
        with self._lock:
            if index in self._files:
                self._files.move_to_end(index)
                return self._files[index]
        columns = ParquetColumns(self._parts[index].opened())
        columns.check_ratio(*self._place)
        with self._lock:
            self._files[index] = columns
            while len(self._files) > _OPEN:
                self._files.popitem(last=False)
        return columns


def united(schemas: Sequence[tuple[str, Any]], name: str) -> Any:
    """Return the schema that holds the columns of all files.

    Raises
    ------
    UnsupportedError
        A column is a number in one file and a text in another, or the like.
    """
    import pyarrow as pa  # noqa: PLC0415

    known: dict[str, tuple[str, Any]] = {}
    seen: list[Any] = []
    for file, schema in schemas:
        if any(schema.equals(other) for other in seen[-4:]):
            continue
        seen.append(schema)
        for field in schema:
            at, kind = known.get(field.name, (file, field.type))
            joined = _promoted(kind, field.type)
            if joined is None:
                cause = f"column {field.name!r} is {kind} in {at} and {field.type} in {file}"
                raise UnsupportedError(name, cause)
            known[field.name] = at, joined
    return plain_schema([pa.field(key, kind) for key, (_, kind) in known.items()])


def _promoted(one: Any, other: Any) -> Any:
    """Return the type that holds the values of both, None where there is none."""
    import pyarrow as pa  # noqa: PLC0415

    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_dictionary(one) or pa.types.is_dictionary(other):
        kinds = [k.value_type if pa.types.is_dictionary(k) else k for k in (one, other)]
        return _promoted(*kinds)
    if _is_number(one) and _is_number(other):
        return pa.from_numpy_dtype(np.result_type(one.to_pandas_dtype(), other.to_pandas_dtype()))
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz == other.tz:
        return max(one, other, key=lambda kind: ("s", "ms", "us", "ns").index(kind.unit))
    return None


def _is_number(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
