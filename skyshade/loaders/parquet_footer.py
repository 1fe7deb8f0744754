"""The footer of a Parquet file: sizes and extremes of its column chunks.

pyarrow's own view of column chunks ends the process where a damaged footer contradicts itself
(`ParquetException` through code that catches nothing), so this reads them. Sources: Apache Parquet
format, ``parquet.thrift``; Apache Thrift, compact protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from skyshade.errors import DataError

_BINARY, _LIST, _SET, _MAP, _STRUCT = 8, 9, 10, 11, 12
_FORMATS = {1: "<i", 2: "<q", 4: "<f", 5: "<d"}  # INT32, INT64, FLOAT, DOUBLE
_DEPTH = 16
_ITEMS = 500_000  # of a list

Field = dict[int, Any]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column of one row group.

    Parameters
    ----------
    path : str
        Name of the column.
    stored, decoded : int
        Bytes.
    bounds : (number, number) or None
        Least and greatest value, where the footer says them.
    file : str
        "" but in a footer of many files.
    """

    path: str
    stored: int
    decoded: int
    bounds: tuple[float, float] | None
    file: str


@dataclass(frozen=True, slots=True)
class Group:
    """One row group.

    Parameters
    ----------
    rows : int
    chunks : dict of str to Chunk
        By the path of the column.
    """

    rows: int
    chunks: dict[str, Chunk]


def read_groups(raw: bytes, name: str) -> list[Group]:
    """Return the row groups of a footer.

    Raises
    ------
    DataError
        A broken footer.
    """
    try:
        return list(_Reader(raw).groups())
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(name, "broken Parquet file: its footer is damaged") from error


def _chunk(column: Field) -> Chunk:
    meta = column[3]
    path = b".".join(meta[3]).decode("utf-8", "replace")
    file = column.get(1, b"").decode("utf-8", "replace")
    stored, decoded = max(0, int(meta[7])), max(0, int(meta[6]))
    return Chunk(path, stored, decoded, _bounds(meta), file)


def _bounds(meta: Field) -> tuple[float, float] | None:
    """Return the extremes of numbers: those of today, else those of before 2017."""
    layout = _FORMATS.get(meta[1])
    said = meta.get(12, {})
    low, high = (said.get(6), said.get(5)) if 6 in said else (said.get(2), said.get(1))
    size = struct.calcsize(layout or "")
    if not layout or low is None or high is None or len(low) != size or len(high) != size:
        return None
    return struct.unpack(layout, low)[0], struct.unpack(layout, high)[0]


class _Reader:
    """Reads the compact protocol; IndexError or ValueError where the bytes end or make no sense."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = raw, 0

    def groups(self) -> Iterator[Group]:
        """Yield the row groups of a FileMetaData."""
        for number, kind in self._headers():
            if number == 4 and kind == _LIST:
                for _ in range(self._count()[0]):
                    yield self._group()
            else:
                self._value(kind, 0)

    def _group(self) -> Group:
        rows, chunks = -1, {}
        for number, kind in self._headers():
            if number == 1 and kind == _LIST:
                for _ in range(self._count()[0]):
                    chunk = _chunk(self._struct(0))
                    chunks[chunk.path] = chunk
            elif number == 3:
                rows = int(self._value(kind, 0))
            else:
                self._value(kind, 0)
        if not 0 <= rows < 1 << 50:
            msg = f"{rows} rows"
            raise ValueError(msg)
        return Group(rows, chunks)

    def _headers(self) -> Iterator[tuple[int, int]]:
        """Yield number and type of the fields of a struct; who takes them reads their values."""
        number = 0
        while byte := self._byte():
            number = number + (byte >> 4) if byte >> 4 else self._zigzag()
            yield number, byte & 15

    def _struct(self, depth: int) -> Field:
        if depth > _DEPTH:
            msg = "too deep"
            raise ValueError(msg)
        return {number: self._value(kind, depth) for number, kind in self._headers()}

    def _value(self, kind: int, depth: int, *, listed: bool = False) -> Any:
        if kind in (1, 2):  # a boolean: in a list it is a byte of its own
            return self._byte() == 1 if listed else kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self._bytes(8)
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind in (_LIST, _SET):
            return self._items(depth)
        if kind == _STRUCT:
            return self._struct(depth + 1)
        msg = f"type {kind}"  # a map too: the footer has none
        raise ValueError(msg)

    def _items(self, depth: int) -> list[Any]:
        count, kind = self._count()
        if depth > _DEPTH:
            msg = "too deep"
            raise ValueError(msg)
        return [self._value(kind, depth + 1, listed=True) for _ in range(count)]

    def _count(self) -> tuple[int, int]:
        """Return the number of items of a list, and their type."""
        byte = self._byte()
        count = byte >> 4 if byte >> 4 < 15 else self._varint()
        if count > min(_ITEMS, len(self._raw) - self._at):
            msg = f"{count} items"
            raise ValueError(msg)
        return count, byte & 15

    def _byte(self) -> int:
        self._at += 1
        return self._raw[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        found = self._raw[self._at : self._at + count]
        if len(found) != count:
            msg = f"{count} bytes"
            raise ValueError(msg)
        self._at += count
        return found

    def _varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self._raw[self._at]
            self._at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                msg = "a number of more than 64 bits"
                raise ValueError(msg)

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
