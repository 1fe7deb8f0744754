"""The CSV loader (also TSV and semicolons)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skyshade.index.arrow import to_numpy
from skyshade.loaders.arrow import ArrowColumns, empty_table, fitted
from skyshade.loaders.columns import NoStatistics, width
from skyshade.loaders.coordinates import find
from skyshade.loaders.csv_scan import Block, Scan, parse, scan
from skyshade.loaders.csv_text import Dialect, dialect
from skyshade.loaders.source import Loaded, Options, Source
from skyshade.loaders.tables import SkyTable
from skyshade.storage import ByteFile
from skyshade.types import AnyArray

HELD = 32 << 20  # bytes of a file that is kept in memory
ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.bz2", ".tsv.bz2")


def sniff(head: bytes, uri: str) -> bool:  # noqa: ARG001 (the loaders' common form)
    """Tell CSV by its name: the bytes say nothing."""
    return uri.lower().endswith(ENDINGS)


def open(source: Source, options: Options) -> Loaded:
    """Return the table in a CSV file of any size; it is read through once.

    The first line that is no comment names the columns. A column that holds a text anywhere is
    text. Rows with another number of fields are dropped, with a note.
    """
    before = source.file.stamp()
    style = dialect(source.file)
    find(style.names, {}, ra=options.ra, dec=options.dec, name=source.name)
    found = scan(source.file, style)
    columns: CsvColumns | ArrowColumns = CsvColumns(source.file, style, found)
    if source.file.size <= HELD:
        whole = columns.read_arrow(style.names, 0, len(columns))
        columns = ArrowColumns(whole, source.file.version())
    source.file.check(before)
    table = SkyTable.of(columns, source.stem, options, source.name)
    table.notes += found.notes()
    return Loaded(tables=[table])


class CsvColumns(NoStatistics):
    """`Columns` of a CSV file that has been scanned: blocks are parsed when asked for.

    Parameters
    ----------
    file : ByteFile
    style : Dialect
    found : Scan
    """

    def __init__(self, file: ByteFile, style: Dialect, found: Scan) -> None:
        self._file, self._style, self._scan = file, style, found

    @property
    def names(self) -> Sequence[str]:
        """Columns in the order of the file."""
        return self._style.names

    @property
    def units(self) -> Mapping[str, str]:
        """Nothing: CSV has no units."""
        return {}

    @property
    def breaks(self) -> Sequence[int]:
        """First row of each block, and the number of rows."""
        return [*(block.row for block in self._scan.blocks), len(self)]

    def __len__(self) -> int:
        return sum(block.rows for block in self._scan.blocks)

    def version(self) -> str:
        """Return a short text that changes with the file."""
        return self._file.version()

    def schema(self) -> Any:
        """Return the schema that the scan found."""
        import pyarrow as pa  # noqa: PLC0415

        types = self._scan.types
        return pa.schema([pa.field(n, types.get(n, pa.string())) for n in self.names])

    def row_bytes(self, names: Sequence[str]) -> float:
        """Return the bytes that a row of some columns takes in memory, estimated."""
        return width(self.schema(), names)

    def bounds(self, name: str) -> tuple[float, float] | None:
        """Return least and greatest value, which the scan found."""
        return self._scan.bounds.get(name)

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop."""
        table = self.read_arrow(names, start, len(self) if stop is None else stop)
        return {name: to_numpy(table.column(name)) for name in names}

    def read_arrow(self, names: Sequence[str], start: int, stop: int) -> Any:
        """Return rows start..stop, from the blocks that hold them.

        Raises
        ------
        ChangedError
            The file changed while it was read.
        """
        import pyarrow as pa  # noqa: PLC0415

        whole = self.schema()
        schema = pa.schema([whole.field(name) for name in dict.fromkeys(names)])
        parts = [empty_table(schema)]
        blocks = self._scan.blocks
        first = int(np.searchsorted([b.row for b in blocks], start, side="right")) - 1
        before = self._file.stamp()
        for block in blocks[max(0, first) :]:
            if block.row >= stop:
                break
            begin = max(start, block.row) - block.row
            count = min(stop, block.row + block.rows) - block.row - begin
            parts.append(self._parsed(block, schema).slice(begin, max(0, count)))
        self._file.check(before)
        return pa.concat_tables(parts)

    def _parsed(self, block: Block, schema: Any) -> Any:
        raw = self._file.read(block.offset, block.size)
        types = {field.name: field.type for field in schema}
        table, _ = parse(raw, self._style, self._file.name, types, schema.names)
        return fitted(table, schema, self._file.name)
