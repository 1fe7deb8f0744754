"""The Parquet loader: row groups and columns are read when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from skyshade.errors import DataError, SkyshadeError, one_line
from skyshade.index.arrow import to_numpy
from skyshade.loaders.arrow import (
    empty_table,
    plain_schema,
    plain_texts,
    unit_of,
    wrong_index,
)
from skyshade.loaders.columns import width
from skyshade.loaders.parquet_footer import Chunk, read_groups
from skyshade.loaders.parquet_streams import StreamKey, Streams
from skyshade.loaders.private import MAX_DECODED, in_words
from skyshade.loaders.remote import AnyFile, raw
from skyshade.loaders.source import Loaded, Options, Source
from skyshade.loaders.tables import SkyTable
from skyshade.storage import Stamp
from skyshade.types import AnyArray, FloatArray

MAGIC = b"PAR1"
FOOTER = 32 << 20  # bytes of a footer
_TEXTS, _LISTS = 16 << 20, 500_000  # bytes of a text, and items of a list, within a footer
WHOLE = 64 << 20  # bytes that a row group may decode to when only a part of it is wanted
BOMB_SIZE, BOMB_RATIO = 64 << 20, 200  # positions that take more, and so much more than stored


def sniff(head: bytes, uri: str) -> bool:
    """Tell Parquet by its first bytes or its name."""
    return head.startswith(MAGIC) or uri.lower().endswith((".parquet", ".parq", ".pq"))


def open(source: Source, options: Options) -> Loaded:
    """Return the table in a Parquet file."""
    columns = ParquetColumns(source.file)
    table = SkyTable.of(columns, source.stem, options, source.name)
    if options.max_decoded == MAX_DECODED:  # who says another limit means it
        columns.check_ratio(table.coordinates.lon, table.coordinates.lat)
    return Loaded(tables=[table])


class ParquetColumns:
    """`Columns` of a Parquet file.

    Parameters
    ----------
    file : ByteFile or RangeFile

    Raises
    ------
    DataError
        Not a Parquet file, or a broken one.
    """

    def __init__(self, file: AnyFile) -> None:
        self._file = file
        self._groups = read_groups(read_footer(file), file.name)
        with self._opened() as parquet:
            schema = parquet.schema_arrow
            self._metadata = parquet.metadata
            # Nested columns have no single value a row.
            flat = [f for f in schema if not f.type.num_fields]
        self._schema = plain_schema(flat)
        self._units = {f.name: u for f in flat if (u := unit_of(f))}
        groups = [group.rows for group in self._groups]
        self._starts = np.concatenate([[0], np.cumsum(groups, dtype=np.int64)])
        self._streams = Streams()

    @property
    def names(self) -> Sequence[str]:
        """Columns of one value a row."""
        return tuple(self._schema.names)

    @property
    def units(self) -> Mapping[str, str]:
        """Units from the fields' metadata."""
        return self._units

    @property
    def breaks(self) -> Sequence[int]:
        """First row of each row group, and the number of rows."""
        return [int(s) for s in self._starts]

    @property
    def unread(self) -> bool:
        """Whether nothing is known yet: never."""
        return False

    def __len__(self) -> int:
        return int(self._starts[-1])

    def version(self) -> str:
        """Return a short text that changes with the file."""
        return self._file.version()

    def schema(self) -> Any:
        """Return the schema of all flat columns, without metadata."""
        return self._schema

    def row_bytes(self, names: Sequence[str]) -> float:
        """Return the bytes that a row takes, from the footer."""
        stored = sum(self._sizes(name)[0] for name in names) / max(1, len(self))
        return max(width(self._schema, names), stored)

    def bounds(self, name: str) -> tuple[float, float] | None:
        """Return least and greatest value by the statistics of the row groups."""
        found = self.group_bounds(name)
        if found is None or not len(found) or not np.isfinite(found).all():
            return None
        return float(found[:, 0].min()), float(found[:, 1].max())

    @property
    def paths(self) -> list[str]:
        """The file of each row group, in a footer of many files; "" for the file itself."""
        return [next((c.file for c in g.chunks.values()), "") for g in self._groups]

    def group_bounds(self, name: str) -> AnyArray | None:
        """Return least and greatest value of each row group, (groups, 2); None without statistics.

        Floats may be NaN beside them. Integers keep their type.
        """
        import pyarrow as pa  # noqa: PLC0415

        kind = self._schema.field(name).type
        if not (pa.types.is_floating(kind) or pa.types.is_signed_integer(kind)):
            return None
        found = [chunk.bounds for chunk in self._column_chunks(name)]
        if len(found) != len(self._groups) or None in found:
            return None
        return np.array(found or np.empty((0, 2)))

    def boxes(self, lon: str, lat: str) -> FloatArray:
        """Return extremes of two columns in each row group, shape (groups, 4); NaN: not known."""
        count = len(self._groups)
        found = [self.group_bounds(name) for name in (lon, lat)]
        pairs = [np.full((count, 2), np.nan) if f is None else f for f in found]
        return np.concatenate(pairs, axis=1).astype(np.float64)

    def check_ratio(self, *names: str) -> None:
        """Raise DataError when columns decode to far more than positions can shrink by."""
        stored = max(1, min(sum(self._sizes(n)[1] for n in set(names)), self._file.size))
        decoded = int(len(self) * width(self._schema, sorted(set(names))))
        if decoded > max(BOMB_SIZE, BOMB_RATIO * stored):
            cause = f"positions of {len(self)} rows in {in_words(stored)}, which decode to "
            cause += f"{in_words(decoded)}; at most {BOMB_RATIO} bytes a stored byte are allowed"
            raise DataError(self._file.name, f"{cause} (max_decoded)")

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop, from the row groups that hold them.

        Raises
        ------
        ChangedError
            The file changed while it was read.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        table = self._read(names, start, max(start, stop))
        return {name: to_numpy(table.column(name)) for name in names}

    def read_arrow(self, names: Sequence[str], start: int, stop: int) -> Any:
        """Return rows start..stop."""
        table = self._read(names, start, max(start, min(stop, len(self))))
        return plain_texts(table, self._schema, self._file.name)

    def _read(self, names: Sequence[str], start: int, stop: int) -> Any:
        """Return rows; texts that are stored as dictionaries come as such."""
        import pyarrow as pa  # noqa: PLC0415

        wanted = [*dict.fromkeys(names)]
        before = self._file.stamp()
        parts = [self._group(before, wanted, *place) for place in self._groups_of(start, stop)]
        self._file.check(before)
        if not parts:
            return empty_table(plain_schema(self._schema.field(name) for name in wanted))
        table = parts[0] if len(parts) == 1 else pa.concat_tables(_alike(parts))
        if table.num_rows != stop - start:
            cause = f"broken Parquet file: {table.num_rows} rows of {stop - start}"
            raise DataError(self._file.name, cause)
        if wrong := wrong_index(table):
            raise DataError(self._file.name, f"broken Parquet file: column {wrong!r} is damaged")
        return table

    def _groups_of(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield each row group that holds some of the rows, and which of its rows these are."""
        if stop <= start:
            return
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        for group in range(first, int(np.searchsorted(self._starts, stop, side="left"))):
            begin, end = int(self._starts[group]), int(self._starts[group + 1])
            yield group, max(start, begin) - begin, min(stop, end) - begin

    def _group(self, stamp: Stamp, names: list[str], group: int, start: int, stop: int) -> Any:
        rows = int(self._starts[group + 1] - self._starts[group])
        chunks = self._groups[group].chunks
        size = sum(chunks[name].decoded for name in names if name in chunks)
        whole = max(size, rows * width(self._schema, names)) <= WHOLE
        with self._translated():
            if whole or (start, stop) == (0, rows):
                with self._open(names) as parquet:
                    table = parquet.read_row_group(group, columns=names, use_threads=False)
                return table.slice(start, stop - start)
            key = StreamKey(stamp, group, tuple(names))
            stream = self._streams.take(key, start, lambda: self._open(names, streaming=True))
            table = stream.read(start, stop)
            if stop < rows:
                self._streams.give(stream)
            else:
                stream.close()
            return table

    def _column_chunks(self, name: str) -> Iterator[Chunk]:
        return (group.chunks[name] for group in self._groups if name in group.chunks)

    def _sizes(self, name: str) -> tuple[int, int]:
        """Return the bytes of a column, decoded (texts as dictionaries) and as stored."""
        chunks = list(self._column_chunks(name))
        decoded = sum(c.decoded for c in chunks)
        return decoded, sum(c.stored for c in chunks)

    def _open(self, names: Sequence[str] = (), *, streaming: bool = False) -> Any:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        kinds = {name: self._schema.field(name).type for name in names}
        texts = [n for n, k in kinds.items() if pa.types.is_string(k) or pa.types.is_binary(k)]
        return pq.ParquetFile(
            raw(self._file),
            metadata=self._metadata if names else None,
            read_dictionary=texts,
            buffer_size=1 << 20 if streaming else 0,
            pre_buffer=False,  # its threads would wait for Python's lock when the process ends
            thrift_string_size_limit=_TEXTS,
            thrift_container_size_limit=_LISTS,
        )

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with self._translated(), self._open() as parquet:
            yield parquet

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import pyarrow as pa  # noqa: PLC0415

        try:
            yield
        except SkyshadeError:
            raise
        except (pa.ArrowException, OSError, ValueError, MemoryError, KeyError) as error:
            cause = f"broken Parquet file: {one_line(error, 160)}"
            raise DataError(self._file.name, cause) from error


def read_footer(file: AnyFile) -> bytes:
    """Return the footer; DataError when there is none, or one that the file cannot hold."""
    size = file.size
    end = file.read(max(0, size - 8), 8)
    if size < 12 or end[4:] != MAGIC:
        raise DataError(file.name, "broken Parquet file: no footer at its end (cut short?)")
    length = int.from_bytes(end[:4], "little")
    if length > min(size - 12, FOOTER):
        cause = f"broken Parquet file: its footer claims {length} bytes, the file has {size}"
        raise DataError(file.name, f"{cause}; at most {in_words(FOOTER)} are read")
    return file.read(size - 8 - length, length)


def _alike(parts: list[Any]) -> list[Any]:
    """Return parts of one schema: a row group may store texts plainly, another as dictionary."""
    schema = parts[0].schema
    return [p if p.schema.equals(schema) else p.cast(schema) for p in parts]
