"""Large row groups, read in pieces from first to last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple

from skyshade.loaders.arrow import empty_table
from skyshade.storage import Stamp

_BATCH = 65_536  # rows
_KEPT = 4  # streams that wait to be read on


class StreamKey(NamedTuple):
    """State of the file, row group and names of columns."""

    stamp: Stamp
    group: int
    names: tuple[str, ...]


class Stream:
    """Reads the rows of one row group forwards; used by one thread at a time.

    Parameters
    ----------
    key : StreamKey
    parquet : pyarrow.parquet.ParquetFile
        Closed with the stream.
    """

    def __init__(self, key: StreamKey, parquet: Any) -> None:
        self.key, self.at = key, 0
        self._parquet = parquet
        self._batches = parquet.iter_batches(
            _BATCH, row_groups=[key.group], columns=list(key.names), use_threads=False
        )
        self._rest: Any = None

    def read(self, start: int, stop: int) -> Any:
        """Return rows of the row group, which begin where the last ones ended or later.

        Fewer come where the file holds fewer.
        """
        import pyarrow as pa  # noqa: PLC0415

        found: list[Any] = []
        while self.at < stop:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            self._rest = None
            if batch is None:
                break
            skip = min(max(0, start - self.at), batch.num_rows)
            take = min(batch.num_rows - skip, stop - self.at - skip)
            if take > 0:
                found.append(batch.slice(skip, take))
            used = skip + max(0, take)
            self.at += used
            if used < batch.num_rows:
                self._rest = batch.slice(used)
        if found:
            return pa.Table.from_batches(found)
        schema = self._parquet.schema_arrow
        return empty_table(pa.schema([schema.field(n) for n in self.key.names]))

    def close(self) -> None:
        """Close the file."""
        self._parquet.close()


class Streams:
    """Streams that stopped within a row group and may be asked to go on; thread-safe."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[int, int], Stream] = OrderedDict()
        self._lock = Lock()

    def take(self, key: StreamKey, start: int, opened: Callable[[], Any]) -> Stream:
        """Return a stream that is at `start` or before it; a new one where none waits."""
        with self._lock:
            found = [k for k, s in self._waiting.items() if s.key == key and s.at <= start]
            if found:
                return self._waiting.pop(max(found, key=lambda k: k[1]))
        return Stream(key, opened())

    def give(self, stream: Stream) -> None:
        """Keep a stream for the next rows; the one that waited longest is closed."""
        with self._lock:
            self._waiting[(id(stream), stream.at)] = stream
            while len(self._waiting) > _KEPT:
                self._waiting.popitem(last=False)[1].close()
