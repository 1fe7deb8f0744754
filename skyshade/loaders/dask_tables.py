"""`Columns` of a dask DataFrame: one partition at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from skyshade.errors import DataError, one_line
from skyshade.index.arrow import to_numpy
from skyshade.loaders.arrow import empty_table, fitted, plain_schema
from skyshade.loaders.columns import NoStatistics, width
from skyshade.loaders.memory import fresh_version
from skyshade.loaders.object_tables import pandas_arrow, plain
from skyshade.types import AnyArray

_KEPT = 256 << 20  # bytes of the partition that was read last


class DaskColumns(NoStatistics):
    """`Columns` of a dask DataFrame: a read computes the columns asked for, nothing else.

    The number of rows of each partition is computed when it is first needed. Of the partitions
    only the last one that was computed is kept.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    """

    unread = True

    def __init__(self, frame: Any) -> None:
        self._frame, self._version = frame, fresh_version()
        self._keys = {str(c): c for c in frame.columns}
        self._lock = Lock()
        self._starts: list[int] | None = None
        self._last: tuple[int, tuple[str, ...], Any] | None = None
        self._schema: Any = None

    @property
    def names(self) -> Sequence[str]:
        """Names of all columns."""
        return tuple(self._keys)

    @property
    def units(self) -> Mapping[str, str]:
        """Nothing: dask frames carry no units."""
        return {}

    @property
    def breaks(self) -> Sequence[int]:
        """First row of each partition, and the number of rows."""
        with self._lock:
            if self._starts is None:
                counts = self._frame.map_partitions(len).compute()
                self._starts = [0, *np.cumsum(np.asarray(counts, np.int64)).tolist()]
            return self._starts

    def __len__(self) -> int:
        return self.breaks[-1]

    def version(self) -> str:
        """Return a text that is the object's own."""
        return self._version

    def schema(self) -> Any:
        """Return the schema by dask's own types; a column of objects is text."""
        import pyarrow as pa  # noqa: PLC0415

        if self._schema is None:
            sample = self._frame._meta_nonempty
            fields = [pa.field(n, pandas_arrow(sample[k]).type) for n, k in self._keys.items()]
            self._schema = plain_schema(fields)
        return self._schema

    def row_bytes(self, names: Sequence[str]) -> float:
        """Return the bytes that a row of some columns takes in memory, estimated."""
        return width(self.schema(), names)

    def bounds(self, name: str) -> tuple[float, float] | None:  # noqa: ARG002 (of `Columns`)
        """Return None: it would take a computation."""
        return None

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop."""
        stop = len(self) if stop is None else stop
        table = self.read_arrow(names, start, stop)
        return {name: to_numpy(table.column(name)) for name in names}

    def read_arrow(self, names: Sequence[str], start: int, stop: int) -> Any:
        """Return rows start..stop of the partitions that hold them."""
        import pyarrow as pa  # noqa: PLC0415

        wanted = tuple(dict.fromkeys(names))
        schema = pa.schema([self.schema().field(n) for n in wanted])
        starts = self.breaks
        first = max(0, int(np.searchsorted(starts, start, side="right")) - 1)
        last = int(np.searchsorted(starts, max(start, stop), side="left"))
        parts = [empty_table(schema)]
        for index in range(first, min(last, len(starts) - 1)):
            begin = max(start, starts[index]) - starts[index]
            end = min(stop, starts[index + 1]) - starts[index]
            parts.append(self._arrow(index, wanted, schema).slice(begin, max(0, end - begin)))
        return pa.concat_tables(parts)

    def _arrow(self, index: int, names: tuple[str, ...], schema: Any) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        with self._lock:
            if self._last is not None and self._last[:2] == (index, names):
                return self._last[2]
        frame = self._compute(index, names)
        label = f"dask partition {index}"
        try:
            found = pa.table({n: _as(frame[n], schema.field(n).type) for n in names})
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(label, f"mixed types: {one_line(error, 160)}") from error
        found = fitted(found, schema, label)
        with self._lock:
            small = found.nbytes <= _KEPT
            self._last = (index, names, found) if small else None
        return found

    def _compute(self, index: int, names: tuple[str, ...]) -> Any:
        keys = [self._keys[n] for n in names]
        frame = self._frame.get_partition(index)[keys].compute()
        return frame.set_axis(list(names), axis=1)


def _as(series: Any, kind: Any) -> Any:
    """Return a Series as arrow; objects that are no text are written as such."""
    import pyarrow as pa  # noqa: PLC0415

    if series.dtype == object and pa.types.is_string(kind):
        texts = [None if i is None or i != i else str(i) for i in plain(series)]
        return pa.array(texts, pa.string())
    return pandas_arrow(series)
