"""The Parquet loader: row groups and columns are read when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from skyshade.errors import DataError, SkyshadeError, one_line
from skyshade.loaders.arrow import to_numpy, unit_of
from skyshade.loaders.source import Loaded, Options, Source
from skyshade.loaders.tables import SkyTable
from skyshade.storage import ByteFile, RawFile
from skyshade.types import AnyArray


def sniff(head: bytes, uri: str) -> bool:
    """Tell Parquet by its first bytes or its name."""
    return head.startswith(b"PAR1") or uri.lower().endswith((".parquet", ".parq", ".pq"))


def open(source: Source, options: Options) -> Loaded:
    """Return the table in a Parquet file."""
    columns = ParquetColumns(source.file)
    return Loaded(tables=[SkyTable.of(columns, source.stem, options, source.name)])


class ParquetColumns:
    """`Columns` of a Parquet file.

    Parameters
    ----------
    file : ByteFile

    Raises
    ------
    DataError
        Not a Parquet file, or a broken one.
    """

    def __init__(self, file: ByteFile) -> None:
        self._file = file
        with self._opened() as parquet:
            schema = parquet.schema_arrow
            self._metadata = parquet.metadata
            # Nested columns have no single value a row.
            flat = [f for f in schema if not f.type.num_fields]
            self._names = tuple(f.name for f in flat)
            self._units = {f.name: u for f in flat if (u := unit_of(f))}
            groups = [self._metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(groups, dtype=np.int64)])

    @property
    def names(self) -> Sequence[str]:
        """Columns of one value a row."""
        return self._names

    @property
    def units(self) -> Mapping[str, str]:
        """Units from the fields' metadata."""
        return self._units

    @property
    def divisions(self) -> Sequence[int]:
        """First row of each row group, and the number of rows."""
        return [int(s) for s in self._starts]

    def __len__(self) -> int:
        return int(self._starts[-1])

    def version(self) -> str:
        """Return a short text that changes with the file."""
        return self._file.version()

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
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = int(np.searchsorted(self._starts, max(start, stop), side="left"))
        groups = list(range(max(0, first), last))
        before = self._file.stamp()
        with self._opened(self._metadata) as parquet:
            table = parquet.read_row_groups(groups, columns=list(names), use_threads=False)
        self._file.check(before)
        begin = start - int(self._starts[groups[0]]) if groups else 0
        table = table.slice(begin, max(0, stop - start))
        return {name: to_numpy(table.column(name)) for name in names}

    @contextmanager
    def _opened(self, metadata: Any = None) -> Iterator[Any]:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        try:
            with pq.ParquetFile(RawFile(self._file), metadata=metadata) as parquet:
                yield parquet
        except SkyshadeError:
            raise
        except (pa.ArrowException, OSError, ValueError, MemoryError, KeyError) as error:
            cause = f"broken Parquet file: {one_line(error, 160)}"
            raise DataError(self._file.name, cause) from error
