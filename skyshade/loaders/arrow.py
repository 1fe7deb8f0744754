"""Arrow columns from numpy arrays, and arrow tables as `Columns`; without pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from skyshade.errors import DataError, one_line
from skyshade.index.arrow import to_numpy
from skyshade.loaders.columns import HeldColumns, distinct, extremes
from skyshade.loaders.private import in_words
from skyshade.types import AnyArray

TEXT_LIMIT = 512 << 20  # bytes of one column of texts at once


def from_numpy(values: AnyArray, missing: AnyArray | None = None) -> Any:
    """Return an arrow array of numbers, booleans, times or objects.

    Parameters
    ----------
    values : ndarray, shape (n,)
        NaN stays NaN, NaT and None become null.
    missing : ndarray of bool, shape (n,), optional
        Rows that are null.
    """
    import pyarrow as pa  # noqa: PLC0415

    if values.dtype.kind not in "fiubM":
        return _from_objects(values.tolist())
    if values.dtype.kind == "M":
        missing = np.isnat(values) if missing is None else missing | np.isnat(values)
        if values.dtype not in ("M8[s]", "M8[ms]", "M8[us]", "M8[ns]"):
            values = values.astype("M8[s]")
    kind = pa.from_numpy_dtype(values.dtype.newbyteorder("="))
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    data = np.packbits(values, bitorder="little") if values.dtype.kind == "b" else values
    bits = None
    if missing is not None and missing.any():
        bits = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    raw = pa.py_buffer(data.view(np.uint8))
    return pa.Array.from_buffers(kind, len(values), [bits, raw])


def text_array(items: Sequence[str | None]) -> Any:
    """Return texts as an arrow array; None is null."""
    import pyarrow as pa  # noqa: PLC0415

    raw = [b"" if item is None else item.encode("utf-8", "replace") for item in items]
    offsets = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(item) for item in raw], out=offsets[1:])
    if offsets[-1] >= 1 << 31:
        raise DataError("column", f"{in_words(int(offsets[-1]))} of text; at most 2 GiB at once")
    missing = np.array([item is None for item in items], bool)
    bits = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    buffers = [bits, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(raw))]
    return pa.Array.from_buffers(pa.string(), len(raw), buffers)


def _from_objects(items: list[Any]) -> Any:
    """Return objects in the type that they share; texts where they share none."""
    kinds = {type(item) for item in items} - {type(None)}
    if kinds and kinds <= {bool, int, float} and kinds != {bool, int}:
        return _from_numbers(items, kinds)
    if kinds and kinds <= {datetime, date}:
        import pyarrow as pa  # noqa: PLC0415

        return pa.array(items)
    return text_array([i if i is None or isinstance(i, str) else str(i) for i in items])


def _from_numbers(items: list[Any], kinds: set[type]) -> Any:
    missing = np.array([item is None for item in items], bool)
    dtype = bool if kinds == {bool} else np.int64 if kinds == {int} else np.float64
    try:
        values = np.array([0 if item is None else item for item in items], dtype)
    except OverflowError:
        values = np.array([0 if item is None else float(item) for item in items], np.float64)
    return from_numpy(values, missing)


def plain_texts(table: Any, schema: Any, name: str) -> Any:
    """Return a table whose dictionaries are texts where the schema says so.

    Raises
    ------
    DataError
        Texts that are repeated so often that they take more than `TEXT_LIMIT` bytes.
    """
    import pyarrow as pa  # noqa: PLC0415

    for i, field in enumerate(table.schema):
        wanted = schema.field(field.name).type
        if not pa.types.is_dictionary(field.type) or pa.types.is_dictionary(wanted):
            continue
        size = _text_size(table.column(i))
        if size > TEXT_LIMIT:
            cause = f"column {field.name!r}: {table.num_rows} rows decode to {in_words(size)}"
            raise DataError(name, f"{cause} of text; at most {in_words(TEXT_LIMIT)} at once")
        table = table.set_column(i, schema.field(field.name), table.column(i).cast(wanted))
    return table


def wrong_index(table: Any) -> str:
    """Return the name of a column whose indices go beyond its dictionary, "" where all is well.

    Arrow itself does not look when it reads or casts: it would read memory that is not its own.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    for name, column in zip(table.column_names, table.columns, strict=True):
        for chunk in column.chunks if pa.types.is_dictionary(column.type) else ():
            low, high = (pc.min_max(chunk.indices)[key].as_py() for key in ("min", "max"))
            if low is not None and not 0 <= low <= high < len(chunk.dictionary):
                return str(name)
    return ""


def _text_size(column: Any) -> int:
    import pyarrow.compute as pc  # noqa: PLC0415

    size = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary)
        size += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    return size


def fitted(table: Any, schema: Any, name: str) -> Any:
    """Return a table with the fields of a schema: others are cast, those not there are null.

    Raises
    ------
    DataError
        A column cannot be cast.
    """
    import pyarrow as pa  # noqa: PLC0415

    columns = []
    for field in schema:
        at = table.schema.get_field_index(field.name)
        if at < 0:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        try:
            columns.append(_cast(table.column(at), field.type))
        except pa.ArrowException as error:
            cause = f"column {field.name!r} is no {field.type}: {one_line(error, 120)}"
            raise DataError(name, cause) from error
    return pa.table(columns, schema=schema)


def _cast(column: Any, kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if column.type == kind:
        return column
    if pa.types.is_dictionary(kind):
        value = kind.value_type
        plain = column.cast(value)
        return plain.dictionary_encode().cast(kind)
    return column.cast(kind, safe=not pa.types.is_floating(kind))


def empty_table(schema: Any) -> Any:
    """Return a table of no rows; arrow's own way would import pandas."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table([pa.nulls(0, field.type) for field in schema], schema=schema)


def plain_schema(fields: Iterable[Any]) -> Any:
    """Return the schema of fields without metadata; large texts and views are texts."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.schema([pa.field(f.name, _plain(f.type)) for f in fields])


def _plain(kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_dictionary(kind):
        return pa.dictionary(pa.int32(), _plain(kind.value_type), ordered=kind.ordered)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


def unit_of(field: Any) -> str:
    """Return the unit in a field's metadata, "" where there is none."""
    metadata = {k.lower(): v for k, v in (field.metadata or {}).items()}
    raw = metadata.get(b"unit") or metadata.get(b"units") or b""
    return one_line(raw.decode("utf-8", "replace"), 60)


class ArrowColumns(HeldColumns):
    """`Columns` of an arrow table in memory.

    Parameters
    ----------
    table : pyarrow.Table
    version : str
    """

    def __init__(self, table: Any, version: str) -> None:
        import pyarrow as pa  # noqa: PLC0415

        flat = [i for i, f in enumerate(table.schema) if not f.type.num_fields]
        names = distinct([one_line(table.schema.field(i).name, 100) for i in flat])
        self._columns = {n: table.column(i) for n, i in zip(names, flat, strict=True)}
        fields = {n: table.schema.field(i) for n, i in zip(names, flat, strict=True)}
        self._units = {n: u for n, f in fields.items() if (u := unit_of(f))}
        self._rows, self._version = int(table.num_rows), version
        self._schema = plain_schema(pa.field(n, c.type) for n, c in self._columns.items())

    def schema(self) -> Any:
        """Return the schema of the table."""
        return self._schema

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop."""
        stop = self._rows if stop is None else min(stop, self._rows)
        count = max(0, stop - start)
        return {name: to_numpy(self._columns[name].slice(start, count)) for name in names}

    def read_arrow(self, names: Sequence[str], start: int, stop: int) -> Any:
        """Return rows start..stop, which share the memory of the table."""
        import pyarrow as pa  # noqa: PLC0415

        count = max(0, min(stop, self._rows) - start)
        found = pa.table({name: self._columns[name].slice(start, count) for name in names})
        return fitted(found, pa.schema([self._schema.field(n) for n in names]), "table")

    def bounds(self, name: str) -> tuple[float, float] | None:
        """Return least and greatest value of a column of numbers."""
        import pyarrow as pa  # noqa: PLC0415

        kind = self._schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            return None
        return extremes(self.read([name])[name])
