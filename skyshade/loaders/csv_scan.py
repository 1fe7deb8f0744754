"""One pass over a CSV file: where its rows are, and what its columns hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from skyshade.errors import DataError, one_line
from skyshade.loaders.csv_text import LINE, Dialect, check_text
from skyshade.loaders.private import in_words
from skyshade.storage import ByteFile

BLOCK = 8 << 20  # bytes
_SAMPLE = 5000  # values of a column that are looked at for numbers among texts
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"


@dataclass(frozen=True)
class Block:
    """Whole rows of a file.

    Parameters
    ----------
    offset, size : int
        Bytes.
    row, rows : int
        Number of the first row, and how many there are.
    """

    offset: int
    size: int
    row: int
    rows: int


@dataclass
class Scan:
    """What the pass found.

    Parameters
    ----------
    blocks : list of Block
    types : dict of str to pyarrow.DataType
    bounds : dict of str to (float, float)
        Extremes of columns of numbers.
    dropped : int
        Rows with another number of fields.
    latin : bool
        Whether some text is not UTF-8.
    mixed : dict of str to str
        Columns that hold numbers and texts, with one of the texts.
    """

    blocks: list[Block] = field(default_factory=list)
    types: dict[str, Any] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    dropped: int = 0
    latin: bool = False
    mixed: dict[str, str] = field(default_factory=dict)

    def notes(self) -> tuple[str, ...]:
        """Return what a user should know."""
        notes = []
        if self.dropped:
            notes.append(f"{self.dropped} rows with another number of fields were dropped")
        if self.latin:
            notes.append("text that is not UTF-8 was read as Latin-1")
        for name, example in self.mixed.items():
            text = one_line(f"column {name!r} is text: {example!r} among its numbers", 160)
            notes.append(text)
        return tuple(notes)


def scan(file: ByteFile, dialect: Dialect) -> Scan:
    """Read a file once from start to end; memory does not grow with it.

    Raises
    ------
    DataError
        NUL bytes, or a row of more than 16 MiB.
    """
    found = Scan()
    row = 0
    for offset, raw in _blocks(file, dialect):
        table, dropped = parse(raw, dialect, file.name)
        found.blocks.append(Block(offset, len(raw), row, table.num_rows))
        row += table.num_rows
        found.dropped += dropped
        found.latin = found.latin or not _is_utf8(raw)
        _learn(found, table)
    found.types = {n: _settled(t) for n, t in found.types.items()}
    return found


def parse(
    raw: bytes,
    dialect: Dialect,
    name: str,
    types: dict[str, Any] | None = None,
    columns: Sequence[str] | None = None,
) -> tuple[Any, int]:
    """Return the rows in `raw` as a `pyarrow.Table`, and how many were dropped.

    Parameters
    ----------
    raw : bytes
        Whole rows.
    dialect : Dialect
    name : str
        Of the file, for messages.
    types : dict, optional
        Types of columns; guessed by default.
    columns : sequence of str, optional
        All by default.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    counted: Counter[str] = Counter()

    def drop(row: Any) -> str:  # noqa: ARG001 (pyarrow's protocol)
        counted["rows"] += 1
        return "skip"

    encoding = "utf8" if _is_utf8(raw) else "latin-1"
    try:
        table = csv.read_csv(
            pa.BufferReader(raw),
            read_options=csv.ReadOptions(
                column_names=list(dialect.names),
                encoding=encoding,
                use_threads=False,
                block_size=max(1 << 16, 2 * len(raw)),
            ),
            parse_options=csv.ParseOptions(
                delimiter=dialect.separator, newlines_in_values=True, invalid_row_handler=drop
            ),
            convert_options=csv.ConvertOptions(
                strings_can_be_null=True, column_types=types, include_columns=columns
            ),
        )
    except (pa.ArrowException, ValueError, OSError) as error:
        raise DataError(name, f"broken CSV file: {one_line(error, 160)}") from error
    return table, counted["rows"]


def _blocks(file: ByteFile, dialect: Dialect) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the bytes of whole rows, about `BLOCK` at a time."""
    at, size, room = dialect.start, file.size, BLOCK
    while at < size:
        raw = file.read(at, room)
        end = len(raw) if at + len(raw) >= size else dialect.end(raw)
        if not end:
            if room >= LINE:
                cause = f"broken CSV file: the row at byte {at} is longer than {in_words(LINE)}"
                raise DataError(file.name, f"{cause} (a quote that is not closed?)")
            room = min(LINE, 2 * room)
            continue
        if end > LINE:
            raise DataError(file.name, f"broken CSV file: no row end after byte {at}")
        check_text(file.name, raw[:end], at)
        yield at, raw[:end]
        at, room = at + end, BLOCK


def _learn(found: Scan, table: Any) -> None:
    """Join what a block says of each column to what is known."""
    import pyarrow as pa  # noqa: PLC0415

    first = not found.types
    for name, column in zip(table.column_names, table.columns, strict=True):
        before = found.types.get(name, pa.null())
        kind = found.types[name] = _joined(before, column.type)
        numbers = _is_number(before) or _is_number(column.type)
        if pa.types.is_string(kind) and (numbers or first) and name not in found.mixed:
            example = _odd_one(column, always=numbers)
            if example is not None:
                found.mixed[name] = example
        if _is_number(column.type):
            _widen(found, name, column)


def _widen(found: Scan, name: str, column: Any) -> None:
    import pyarrow.compute as pc  # noqa: PLC0415

    least, most = (pc.min_max(column)[key].as_py() for key in ("min", "max"))
    if least is not None:
        low, high = found.bounds.get(name, (least, most))
        found.bounds[name] = min(low, float(least)), max(high, float(most))


def _joined(one: Any, other: Any) -> Any:
    """Return the type that holds the values of both; text where there is no better one."""
    import pyarrow as pa  # noqa: PLC0415

    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if _is_number(one) and _is_number(other):
        return pa.float64()
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other):
        return pa.timestamp("ns")
    return pa.string()


def _settled(kind: Any) -> Any:
    """Return a type to read a column by: text for what holds nothing, and for 12:34:56."""
    import pyarrow as pa  # noqa: PLC0415

    unclear = pa.types.is_null(kind) or pa.types.is_time(kind) or pa.types.is_binary(kind)
    return pa.string() if unclear else kind


def _is_number(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _odd_one(column: Any, *, always: bool) -> str | None:
    """Return a text among values most of which are numbers (`always`: among any), or None."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if not pa.types.is_string(column.type):
        return "text" if always else None
    sample = column if always else column.slice(0, _SAMPLE)
    sample = sample.drop_null()
    numeric = pc.match_substring_regex(sample, _NUMBER)
    count = pc.sum(numeric).as_py() or 0
    if count == len(sample) or (not always and 2 * count < len(sample)):
        return None
    return str(sample.filter(pc.invert(numeric))[0].as_py())


def _is_utf8(raw: bytes) -> bool:
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
