"""Arrow columns as numpy arrays, without pandas."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.types import AnyArray

_TYPES = {"halffloat": "f2", "float": "f4", "double": "f8", "bool": "?"}
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def to_numpy(column: Any) -> AnyArray:
    """Return a (chunked) arrow array: numbers with NaN for null, or objects with None for null."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _looked_up(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        dtype = np.dtype(kind.to_pandas_dtype())
        return _joined([_numbers(chunk, dtype) for chunk in _chunks(column)], dtype)
    if pa.types.is_boolean(kind) and not column.null_count:
        return _joined([_flags(chunk) for chunk in _chunks(column)], np.dtype(np.bool_))
    if pa.types.is_decimal(kind):
        return to_numpy(column.cast(pa.float64(), safe=False))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        times = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        dtype = np.dtype(np.int64)
        parts = [_numbers(chunk.fill_null(_NAT), dtype) for chunk in _chunks(times)]
        return _joined(parts, dtype).view("M8[us]")
    return _objects(column)


_NAT = int(np.datetime64("NaT", "us").astype(np.int64))


def numpy_type(text: str) -> np.dtype[Any]:
    """Return the numpy type of a column without nulls from the name of its arrow type."""
    if text in _INTEGERS:
        return np.dtype(text)
    if text.startswith("decimal"):
        return np.dtype("f8")
    if text.startswith(("timestamp", "date")):
        return np.dtype("M8[us]")
    return np.dtype(_TYPES.get(text, "O"))


def _chunks(column: Any) -> list[Any]:
    return list(column.chunks) if hasattr(column, "chunks") else [column]


def _joined(parts: list[AnyArray], dtype: np.dtype[Any]) -> AnyArray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.empty(0, dtype)])


def _numbers(chunk: Any, dtype: np.dtype[Any]) -> AnyArray:
    """Return a chunk of numbers from its buffers: arrow's own way would import pandas (0.4 s)."""
    bits, data = chunk.buffers()
    count, start = len(chunk), chunk.offset
    if data is None or not count:
        return np.full(count, np.nan) if count else np.empty(0, dtype)
    values = np.frombuffer(data, dtype, count, start * dtype.itemsize)
    if bits is None or not chunk.null_count:
        return values
    values = values.astype(dtype if dtype.kind == "f" else np.float64)
    values[~_bits(bits, start, count)] = np.nan
    return values


def _flags(chunk: Any) -> AnyArray:
    _, data = chunk.buffers()
    return _bits(data, chunk.offset, len(chunk)) if len(chunk) else np.empty(0, np.bool_)


def _bits(data: Any, start: int, count: int) -> AnyArray:
    every = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    return every[start : start + count].view(np.bool_)


def _looked_up(column: Any) -> AnyArray:
    """Return the values of a dictionary array; equal texts are one object."""
    import pyarrow as pa  # noqa: PLC0415

    parts = []
    for chunk in _chunks(column):
        values = to_numpy(chunk.dictionary)
        indices = to_numpy(chunk.indices.cast(pa.int64()).fill_null(-1))
        gone = indices < 0
        if not values.size:
            values = np.array([None if values.dtype.kind == "O" else np.nan])
        found = values[np.where(gone, 0, indices)]
        parts.append(_masked(found, gone) if gone.any() else found)
    return np.concatenate(parts) if parts else to_numpy(pa.array([], column.type.value_type))


def _masked(values: AnyArray, gone: AnyArray) -> AnyArray:
    """Return values with None (objects), NaT (times) or NaN where they are gone."""
    if values.dtype.kind == "b":
        values = values.astype(object)
    elif values.dtype.kind not in "OM":
        values = values.astype(np.result_type(values, np.float32))
    values[gone] = {"O": None, "M": np.datetime64("NaT")}.get(values.dtype.kind, np.nan)
    return values


def _objects(column: Any) -> AnyArray:
    """Return Python objects; bytes that are no UTF-8 become replacement characters."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        items = column.to_pylist()
    except UnicodeDecodeError:
        raw = column.cast(pa.large_binary()).to_pylist()
        items = [None if v is None else v.decode("utf-8", "replace") for v in raw]
    array = np.empty(len(items), object)
    array[:] = items
    return array
