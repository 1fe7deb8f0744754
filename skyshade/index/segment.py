"""The rows of one segment of an index: found by key, decoded a column of a row group at a time."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import DataError, one_line
from skyshade.index.arrow import to_numpy
from skyshade.index.format import GROUP, GROUP_ROWS, KEY, Manifest, Segment
from skyshade.index.memory import category_text
from skyshade.index.reads import Reads
from skyshade.index.stored import StoredPlanes, read_records
from skyshade.storage import Folder
from skyshade.storage.cache import ByteCache
from skyshade.types import AnyArray, IntArray

FOOTER_BYTES = 32 << 20  # of Parquet footers that are kept
MAX_CHUNK = 1 << 30  # bytes of one column of one row group
TEXT_BYTES = 64  # what a Python text in an object array weighs, about


class Piece(NamedTuple):
    """Some rows of one row group."""

    group: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """What is kept of a file of rows: its footer and where its columns are."""

    size: int
    footer: Any
    columns: dict[str, int]


class SegmentReader:
    """Reads one segment; thread-safe.

    Parameters
    ----------
    folder : Folder
        Of the index.
    manifest : Manifest
    segment : Segment
    cache : ByteCache
        Of decoded columns, shared by all segments.
    reads : Reads

    Raises
    ------
    DataError
        The lists of row groups or planes are damaged, or are not those of the manifest.
    """

    def __init__(
        self,
        folder: Folder,
        manifest: Manifest,
        segment: Segment,
        cache: ByteCache[Any],
        reads: Reads,
    ) -> None:
        self.name, self.rows, self.sampled = segment.name, segment.rows, segment.sampled
        self.columns = tuple(column.name for column in manifest.columns)
        self._folder, self._cache, self._reads = folder, cache, reads
        self._root = f"segments/{segment.name}"
        self.footers: ByteCache[Leaf] = ByteCache(FOOTER_BYTES)
        self.planes = StoredPlanes(folder, manifest, segment.name, reads)
        groups = read_records(folder, f"{self._root}/groups.npy", GROUP)
        record = json.dumps([segment.name, segment.rows, dict(segment.origin)])
        self.identity = hashlib.sha256(groups.tobytes() + record.encode()).hexdigest()
        self._texts = frozenset(c.name for c in manifest.columns if c.type == "string")
        self._maps: dict[str, AnyArray] = {}
        self._leaf, self._number = groups["leaf"].tolist(), groups["group"].tolist()
        self.first, self.last = (np.ascontiguousarray(groups[n]) for n in ("first", "last"))
        self.starts = np.concatenate([[0], np.cumsum(groups["rows"], dtype=np.int64)])
        self._check(groups["rows"])

    def _check(self, rows: AnyArray) -> None:
        if int(self.starts[-1]) != self.rows:
            raise self._damaged(f"it lists {int(self.starts[-1]):,} rows, not {self.rows:,}")
        if rows.size and not 0 < int(rows.min()) <= int(rows.max()) <= GROUP_ROWS:
            raise self._damaged(f"a row group of {int(rows.max()):,} rows")
        if (self.first > self.last).any() or (self.first[1:] < self.last[:-1]).any():
            raise self._damaged("its row groups are not sorted")

    def span(self, first: int, end: int) -> tuple[int, int]:
        """Return the row groups [i, j) that may hold keys from `first` up to without `end`."""
        i = int(np.searchsorted(self.last, first, "left"))
        return i, max(i, int(np.searchsorted(self.first, end, "left")))

    def rows_near(self, first: int, end: int) -> int:
        """Return how many rows the row groups of a key range hold: at least those in it."""
        i, j = self.span(first, end)
        return int(self.starts[j] - self.starts[i])

    def groups_of(self, ranges: IntArray) -> list[int]:
        """Return the row groups that key ranges meet."""
        return [group for i, j in self._spans(ranges).tolist() for group in range(i, j)]

    def groups_near(self, ranges: IntArray) -> int:
        """Return how many row groups key ranges meet."""
        spans = self._spans(ranges)
        return int((spans[:, 1] - spans[:, 0]).sum())

    def near(self, ranges: IntArray) -> int:
        """Return how many rows the row groups of key ranges hold: at least those in them."""
        spans = self.starts[self._spans(ranges)]
        return int((spans[:, 1] - spans[:, 0]).sum())

    def _spans(self, ranges: IntArray) -> IntArray:
        """Return the row groups [i, j) that key ranges meet, each group once; shape (n, 2)."""
        opened = np.searchsorted(self.last, ranges[:, 0], "left")
        closed = np.maximum(np.searchsorted(self.first, ranges[:, 1], "left"), opened)
        opened[1:] = np.maximum(opened[1:], np.maximum.accumulate(closed)[:-1])
        return np.stack([opened, np.maximum(closed, opened)], axis=1)

    def pieces(self, ranges: IntArray, *, keep: bool = True) -> Iterator[Piece]:
        """Yield the rows of key ranges, in order; `keep` as for `column`."""
        opened = np.searchsorted(self.last, ranges[:, 0], "left").tolist()
        closed = np.searchsorted(self.first, ranges[:, 1], "left").tolist()
        touched = -1
        for (first, end), i, j in zip(ranges.tolist(), opened, closed, strict=True):
            for group in range(i, j):
                begin, stop = 0, int(self.starts[group + 1] - self.starts[group])
                if self.first[group] < first or self.last[group] >= end:
                    keys = self.column(group, KEY, keep=keep)
                    begin, stop = np.searchsorted(keys, (first, end)).tolist()
                self._reads.add(stop - begin, int(group != touched))
                touched = group
                if stop > begin:
                    yield Piece(group, begin, stop)

    def column(self, group: int, name: str, *, keep: bool = True) -> AnyArray:
        """Return a column of a row group, decoded; `keep` says whether it is worth remembering."""
        mapped = self._maps.get(name)
        if mapped is not None:
            return mapped[int(self.starts[group]) : int(self.starts[group + 1])]
        key = (self.name, group, name)
        found: AnyArray | None = self._cache.get(key)
        if found is None:
            found = self._cache.get_or_compute(
                key, bytes_of if keep else _nothing, lambda: self._values(group, name)
            )
        return found

    def map(self, name: str, values: AnyArray) -> None:
        """Read a column from `values`, which hold it for all rows, from now on."""
        if values.shape != (self.rows,):
            raise self._damaged(f"the cached column {name!r} has {values.size:,} rows")
        self._maps[name] = np.asarray(values)  # views of a memmap are slow

    def is_mapped(self, name: str) -> bool:
        """Return whether `map` was given a column."""
        return name in self._maps

    def _values(self, group: int, name: str) -> AnyArray:
        values = to_numpy(self.arrow(group, name))
        if name == KEY:
            ends = (int(self.first[group]), int(self.last[group]))
            if values.dtype != np.int64 or (int(values[0]), int(values[-1])) != ends:
                raise self._damaged(f"keys of row group {group} are not those listed")
        return values

    def codes(
        self, group: int, name: str, names: tuple[str, ...], *, keep: bool = True
    ) -> NDArray[np.int32]:
        """Return the category numbers of a column of a row group; -1 for what is none."""
        key = (self.name, group, name, "codes")
        found: NDArray[np.int32] = self._cache.get_or_compute(
            key, bytes_of if keep else _nothing, lambda: coded(self.arrow(group, name), names)
        )
        return found

    def arrow(self, group: int, name: str) -> Any:
        """Return a column of a row group as one arrow array.

        Raises
        ------
        DataError
            The file is damaged, or does not hold what is listed.
        """
        import pyarrow as pa  # noqa: PLC0415 (60 ms)

        leaf, number = self._open(self._leaf[group]), self._number[group]
        rows = int(self.starts[group + 1] - self.starts[group])
        key = self._key(self._leaf[group])
        if name not in leaf.columns or number >= leaf.footer.num_row_groups:
            raise self._damaged(f"{key} has no column {name!r} or row group {number}")
        self._check_chunk(leaf, number, leaf.columns[name], key, rows)
        try:
            source, texts = self._source(key, leaf.size), name in self._texts
            reader = _parquet(source, leaf.footer, [name] if texts else None)
            table = reader.read_row_group(
                number, column_indices=[leaf.columns[name]], use_threads=False
            )
            column = table.column(0).combine_chunks()
        except (pa.ArrowException, OSError, ValueError) as error:
            cause = f"{key} cannot be read: {one_line(error, 160)}"
            raise DataError(self._folder.name, cause) from error
        self._reads.add(decoded=1)
        if len(column) != rows:
            raise self._damaged(f"{key} has {len(column):,} rows in row group {number}")
        return column.chunk(0) if hasattr(column, "chunks") else column

    def sample(self, name: str, names: tuple[str, ...] | None = None) -> AnyArray:
        """Return a column of the sample, or its category numbers where `names` are given.

        Raises
        ------
        DataError
            The sample is damaged, or does not hold what the manifest says.
        """
        import pyarrow as pa  # noqa: PLC0415 (60 ms)
        from pyarrow import parquet  # noqa: PLC0415 (30 ms)

        key, rows = f"{self._root}/sample.parquet", -(-self.rows // self.sampled)
        texts = [name] if name in self._texts else None
        try:
            with self._folder.open(key) as raw:
                file = parquet.ParquetFile(raw, read_dictionary=texts, pre_buffer=False)
                if file.metadata.num_rows != rows:
                    cause = f"{key} has {file.metadata.num_rows:,} rows, not {rows:,}"
                    raise self._damaged(cause)
                column = file.read([name], use_threads=False).column(0).combine_chunks()
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            cause = f"{key} cannot be read: {one_line(error, 160)}"
            raise DataError(self._folder.name, cause) from error
        plain = column.chunk(0) if hasattr(column, "chunks") else column
        return to_numpy(plain) if names is None else coded(plain, names)

    def _check_chunk(self, leaf: Leaf, number: int, column: int, key: str, rows: int) -> None:
        group = leaf.footer.row_group(number)
        if group.num_rows != rows or group.column(column).total_uncompressed_size > MAX_CHUNK:
            size = group.column(column).total_uncompressed_size
            cause = f"row group {number} of {key} claims {group.num_rows:,} rows, {size:,} bytes"
            raise self._damaged(cause)

    def _open(self, leaf: int) -> Leaf:
        found = self.footers.get(leaf)
        if found is not None:
            return found
        return self.footers.get_or_compute(
            leaf, lambda made: 8 * int(made.footer.serialized_size), lambda: self._footer(leaf)
        )

    def _footer(self, leaf: int) -> Leaf:
        import pyarrow as pa  # noqa: PLC0415

        key = self._key(leaf)
        try:
            with self._folder.open(key) as file:
                size = file.seek(0, io.SEEK_END)
                footer = _parquet(pa.PythonFile(file, mode="r"), None).metadata
        except (pa.ArrowException, OSError, ValueError) as error:
            cause = f"{key} cannot be read: {one_line(error, 160)}"
            raise DataError(self._folder.name, cause) from error
        schema = footer.schema
        names = {schema.column(i).path: i for i in range(len(schema))}
        return Leaf(size, footer, names)

    def _key(self, leaf: int) -> str:
        return f"{self._root}/rows/{leaf:06d}.parquet"

    def _source(self, key: str, size: int) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        if self._folder.path is not None:
            return pa.OSFile(str(self._folder.path / key))
        return pa.PythonFile(RangeFile(self._folder, key, size), mode="r")

    def _damaged(self, cause: str) -> DataError:
        return DataError(self._folder.name, f"the index is damaged: {cause} ({self._root})")


class RangeFile(io.RawIOBase):
    """A file of a folder that is read by just the ranges asked for.

    Parameters
    ----------
    folder : Folder
    key : str
    size : int
        Its length.
    """

    def __init__(self, folder: Folder, key: str, size: int) -> None:
        self._folder, self._key, self._size, self._at = folder, key, size, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Return the next `size` bytes, or those up to the end."""
        left = max(self._size - self._at, 0)
        size = left if size is None or size < 0 else min(size, left)
        found = self._folder.read_range(self._key, self._at, size) if size else b""
        self._at += len(found)
        return found


def _parquet(source: Any, footer: Any, texts: list[str] | None = None) -> Any:
    from pyarrow import parquet  # noqa: PLC0415 (30 ms)

    file = parquet.ParquetFile(source, metadata=footer, read_dictionary=texts, pre_buffer=False)
    return file.reader


def coded(column: Any, names: tuple[str, ...]) -> NDArray[np.int32]:
    """Return category numbers of an arrow array; -1 for null, NaN and what has no name."""
    import pyarrow as pa  # noqa: PLC0415

    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    number = {name: i for i, name in enumerate(names)}
    values = to_numpy(encoded.dictionary).tolist()
    table = [-1 if v is None or v != v else number.get(category_text(v), -1) for v in values]
    indices = to_numpy(encoded.indices.cast(pa.int32()).fill_null(len(table)))
    codes: NDArray[np.int32] = np.array([*table, -1], np.int32)[indices]
    return codes


def bytes_of(values: AnyArray) -> int:
    """Return what an array weighs in memory, about."""
    return values.size * TEXT_BYTES if values.dtype.kind == "O" else values.nbytes


def _nothing(values: AnyArray) -> None:
    del values
