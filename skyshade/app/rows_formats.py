"""Rows as JSON, CSV, Parquet and Arrow, part by part."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from skyshade.app.api_errors import clean
from skyshade.layers.catalog_rows import Found, Rows
from skyshade.layers.rows_tables import schema_of, to_arrow
from skyshade.types import AnyArray

# What a spreadsheet would take for a formula: it could send cells elsewhere. A sign alone is none,
# or every declination would be one.
FORMULA = r"(?s)\A([=@\t\r]|[+-].*[(|!])"


class RowsFormat(NamedTuple):
    """A format of rows.

    Parameters
    ----------
    media_type : str
    most : int
        Rows of one answer, at most.
    write : callable
        From found rows to the bytes of the answer.
    """

    media_type: str
    most: int
    write: Callable[[Found], Iterator[bytes]]


class _Sink(io.RawIOBase):
    """Takes what a writer writes, to be fetched part by part."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def fetch(self) -> bytes:
        """Return what was written since the last time."""
        found, self._parts = b"".join(self._parts), []
        return found


def json_rows(found: Found) -> Iterator[bytes]:
    """Yield a list of objects; missing values and infinities are null."""
    yield b"["
    comma = b""
    for part in found.parts():
        body = json.dumps(records(part), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        inner = body[1:-1].encode()
        if inner:
            yield comma + inner
            comma = b","
    yield b"]"


def records(rows: Rows) -> list[dict[str, Any]]:
    """Return rows as plain dictionaries."""
    names = [clean(name) for name in rows.columns]
    cells = [plain_cells(values) for values in rows.columns.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def plain_cells(values: AnyArray) -> list[Any]:
    """Return a column as a list of what JSON knows."""
    if values.ndim == 1 and values.dtype.kind in "iub":
        found: list[Any] = values.tolist()
        return found
    if values.ndim == 1 and values.dtype.kind == "f":
        good = np.isfinite(values).tolist()
        if values.itemsize < 8:  # 8.1, not 8.100000381469727
            texts = zip(values.astype(str).tolist(), good, strict=True)
            return [float(text) if fine else None for text, fine in texts]
        pairs = zip(values.tolist(), good, strict=True)
        return [value if fine else None for value, fine in pairs]
    if values.dtype.kind == "M":
        return [None if v == "NaT" else v for v in np.datetime_as_string(values).tolist()]
    return [clean(value) for value in values.tolist()]


def csv_rows(found: Found) -> Iterator[bytes]:
    """Yield a line of names and one a row (RFC 4180, UTF-8); missing values are empty.

    A text that a spreadsheet would take for a formula (see `FORMULA`) gets an apostrophe before
    it; all other cells are as they are.
    """
    import pyarrow as pa  # noqa: PLC0415 (60 ms)
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.csv as pcsv  # noqa: PLC0415

    def safe(column: Any) -> Any:
        if pa.types.is_list(column.type):
            texts = [None if v is None else json.dumps(clean(v)) for v in column.to_pylist()]
            return pa.chunked_array([pa.array(texts, pa.string())])
        if pa.types.is_string(column.type):
            return pc.replace_substring_regex(column, FORMULA, r"'\1")
        return column

    options = pcsv.WriteOptions(include_header=False, quoting_style="needed")
    sink, schema = _Sink(), _schema(found)
    names = safe(pa.chunked_array([pa.array(schema.names, pa.string())])).to_pylist()
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(names)
    yield line.getvalue().encode("utf-8", "replace")
    for part in found.parts():
        table = to_arrow(part.columns, {}, schema)
        columns = [safe(column) for column in table.columns]
        pcsv.write_csv(pa.table(columns, schema.names), sink, options)
        yield sink.fetch()


def parquet_rows(found: Found) -> Iterator[bytes]:
    """Yield a Parquet file; units are in the metadata of its fields."""
    import pyarrow.parquet as pq  # noqa: PLC0415 (60 ms)

    sink, schema = _Sink(), _schema(found)
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for part in found.parts():
            writer.write_table(to_arrow(part.columns, {}, schema))
            yield sink.fetch()
    yield sink.fetch()


def arrow_rows(found: Found) -> Iterator[bytes]:
    """Yield an Arrow IPC stream; units are in the metadata of its fields."""
    import pyarrow as pa  # noqa: PLC0415 (60 ms)

    sink, schema = _Sink(), _schema(found)
    with pa.ipc.new_stream(sink, schema) as writer:
        for part in found.parts():
            writer.write_table(to_arrow(part.columns, {}, schema))
            yield sink.fetch()
    yield sink.fetch()


def _schema(found: Found) -> Any:
    return schema_of(found.part(0, 0).columns, found.units)


FORMATS = {
    "json": RowsFormat("application/json", 100_000, json_rows),
    "csv": RowsFormat("text/csv; charset=utf-8", 1_000_000, csv_rows),
    "parquet": RowsFormat("application/vnd.apache.parquet", 1_000_000, parquet_rows),
    "arrow": RowsFormat("application/vnd.apache.arrow.stream", 1_000_000, arrow_rows),
}
