"""The CSV loader (also TSV and semicolons)."""

from __future__ import annotations

import io
from typing import Any

from skyshade.errors import DataError, UnsupportedError, one_line
from skyshade.loaders.arrow import ArrowColumns
from skyshade.loaders.source import Loaded, Options, Source
from skyshade.loaders.tables import SkyTable
from skyshade.storage import RawFile

LIMIT = 4 << 30  # bytes
ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.bz2", ".tsv.bz2")
_SEPARATORS = ",\t;|"


def sniff(head: bytes, uri: str) -> bool:  # noqa: ARG001 (the loaders' common form)
    """Tell CSV by its name: the bytes say nothing."""
    return uri.lower().endswith(ENDINGS)


def open(source: Source, options: Options) -> Loaded:
    """Return the table in a CSV file; the first line that is no comment names the columns.

    Rows with another number of fields are dropped, with a note.
    """
    if source.file.size > LIMIT:
        cause = f"{source.file.size} bytes; CSV files of at most {LIMIT} are read"
        raise UnsupportedError(source.name, f"{cause}: convert to Parquet")
    if b"\0" in source.head:
        raise DataError(source.name, "not a CSV file: holds NUL bytes")
    dropped: list[int] = []
    before = source.file.stamp()
    table = _parse(source, dropped)
    source.file.check(before)
    columns = ArrowColumns(table, source.file.version())
    found = SkyTable.of(columns, source.stem, options, source.name)
    if dropped:
        found.notes += (f"{len(dropped)} rows with another number of fields were dropped",)
    return Loaded(tables=[found])


def _parse(source: Source, dropped: list[int]) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    skipped, header = _first_line(source.head)
    separator = max(_SEPARATORS, key=header.count)

    def drop(row: Any) -> str:
        dropped.append(row.number or 0)
        return "skip"

    try:
        source.head.decode()
        encoding = "utf8"
    except UnicodeDecodeError as error:
        cut = error.start > len(source.head) - 4  # the head may end inside a character
        encoding = "utf8" if cut else "latin-1"
    try:
        return csv.read_csv(
            io.BufferedReader(RawFile(source.file), 1 << 20),
            read_options=csv.ReadOptions(skip_rows=skipped, encoding=encoding, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=separator, invalid_row_handler=drop),
            convert_options=csv.ConvertOptions(strings_can_be_null=True),
        )
    except (pa.ArrowException, ValueError, OSError) as error:
        raise DataError(source.name, f"broken CSV file: {one_line(error, 160)}") from error


def _first_line(head: bytes) -> tuple[int, str]:
    """Return the number of leading comment lines, and the line after them."""
    lines = head.removeprefix(b"\xef\xbb\xbf").decode("latin-1").splitlines() or [""]
    skipped = 0
    while skipped < len(lines) - 1 and lines[skipped].startswith("#") and "," not in lines[skipped]:
        skipped += 1
    return skipped, lines[skipped]
