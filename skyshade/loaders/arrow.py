"""Arrow columns as numpy arrays, without pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skyshade.errors import one_line
from skyshade.loaders.tables import HeldColumns, distinct, null_objects
from skyshade.types import AnyArray


def to_numpy(column: Any) -> AnyArray:
    """Return a (chunked) arrow array: numbers with NaN for null, or objects with None for null."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        dtype = np.dtype(kind.to_pandas_dtype())
        return _joined([_numbers(chunk, dtype) for chunk in _chunks(column)], dtype)
    if pa.types.is_boolean(kind) and not column.null_count:
        return np.array(column.to_pylist(), bool)
    if pa.types.is_decimal(kind):
        return np.asarray(to_numpy(column.cast(pa.float64(), safe=False)))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return np.asarray(column.cast(pa.timestamp("us"), safe=False).to_numpy())
    return null_objects(_objects(column))


def _objects(column: Any) -> list[Any]:
    """Return Python objects; bytes that are no UTF-8 become replacement characters."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        raw = column.cast(pa.large_binary()).to_pylist()
        return [None if value is None else value.decode("utf-8", "replace") for value in raw]


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
        flat = [i for i, f in enumerate(table.schema) if not f.type.num_fields]
        names = distinct([one_line(table.schema.field(i).name, 100) for i in flat])
        self._columns = {n: table.column(i) for n, i in zip(names, flat, strict=True)}
        fields = {n: table.schema.field(i) for n, i in zip(names, flat, strict=True)}
        self._units = {n: u for n, f in fields.items() if (u := unit_of(f))}
        self._rows, self._version = int(table.num_rows), version

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop."""
        stop = self._rows if stop is None else min(stop, self._rows)
        count = max(0, stop - start)
        return {name: to_numpy(self._columns[name].slice(start, count)) for name in names}


def _chunks(column: Any) -> list[Any]:
    return list(column.chunks) if hasattr(column, "chunks") else [column]


def _joined(parts: list[AnyArray], dtype: np.dtype[Any]) -> AnyArray:
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _numbers(chunk: Any, dtype: np.dtype[Any]) -> AnyArray:
    """Return a chunk of numbers from its buffers: arrow's own way would import pandas (0.4 s)."""
    bits, data = chunk.buffers()
    count, start = len(chunk), chunk.offset
    if data is None or not count:
        return np.full(count, np.nan) if count else np.empty(0, dtype)
    values = np.frombuffer(data, dtype, count, start * dtype.itemsize)
    if bits is None or not chunk.null_count:
        return values
    valid = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[start : start + count]
    values = values.astype(dtype if dtype.kind == "f" else np.float64)
    values[valid == 0] = np.nan
    return values
