"""Large VOTables: the rows of TABLEDATA go into a private Parquet file, some thousands at a time.

astropy reads what is left without them: the fields, their units and frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from xml.parsers import expat

import numpy as np

from skyshade.errors import DataError, one_line
from skyshade.loaders.arrow import from_numpy, text_array
from skyshade.loaders.private import check_room
from skyshade.loaders.votable_check import Check, Rows
from skyshade.storage import ByteFile

_CHUNK = 1 << 20
_ROWS = 65_536
_NUMBERS = {"unsignedByte": "u1", "short": "i2", "int": "i4", "long": "i8"}
_NUMBERS |= {"float": "f4", "double": "f8"}
_TRUE, _FALSE = frozenset({"t", "1", "true"}), frozenset({"f", "0", "false"})
_NROWS = re.compile(rb"""\snrows\s*=\s*("[^"]*"|'[^']*')""")


def without_rows(file: ByteFile, seen: Check) -> BytesIO:
    """Return the file without the contents of its TABLEDATA, and without ``nrows``."""
    kept, at = [], 0
    for rows in seen.ranges:
        kept.append(file.read(at, rows.start - at))
        at = rows.stop
    kept.append(file.read(at, file.size - at))
    return BytesIO(_NROWS.sub(b"", b"".join(kept)))


def row_file(
    file: ByteFile, rows: Sequence[Rows], fields: Sequence[Any], names: Sequence[str], encoding: str
) -> ByteFile:
    """Return a private Parquet file of the rows of one table.

    Parameters
    ----------
    file : ByteFile
        The VOTable.
    rows : sequence of Rows
        Where they lie.
    fields : sequence of astropy.io.votable.tree.Field
    names : sequence of str
        A column each; those of arrays are left out.
    encoding : str
        Of the file.

    Raises
    ------
    DataError
        A row of more cells than there are fields, or no room on the disk.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415

    check_room(file.name, sum(part.stop - part.start for part in rows))
    copy, handle = ByteFile.private(file.name, file.version())
    cells = Cells(file.name, fields, names)
    with handle, pq.ParquetWriter(handle, cells.schema()) as writer:
        for part in rows:
            cells.feed(file, part, encoding, writer)
        cells.flush(writer)
    return copy


class Cells:
    """The texts of some rows, by column.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    fields, names : sequence
        As in `row_file`.
    """

    def __init__(self, name: str, fields: Sequence[Any], names: Sequence[str]) -> None:
        self._name, self._fields, self._names = name, fields, names
        self._rows: list[list[str]] = []
        self._row: list[str] = []
        self._cell: list[str] = []
        self._inside = False

    def schema(self) -> Any:
        """Return the schema of the columns."""
        return self._table().schema

    def feed(self, file: ByteFile, rows: Rows, encoding: str, writer: Any) -> None:
        """Read rows and write them as they fill up."""
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(b"<TABLEDATA>", False)
        for at in range(rows.start, rows.stop, _CHUNK):
            parser.Parse(file.read(at, min(_CHUNK, rows.stop - at)), False)
            if len(self._rows) >= _ROWS:
                self.flush(writer)
        parser.Parse(b"</TABLEDATA>", True)

    def flush(self, writer: Any) -> None:
        """Write the rows that have been read."""
        if self._rows:
            writer.write_table(self._table())
        self._rows = []

    def _start(self, tag: str, _: dict[str, str]) -> None:
        if tag.endswith("TR"):
            self._row = []
        elif tag.endswith("TD"):
            self._inside, self._cell = True, []

    def _text(self, text: str) -> None:
        if self._inside:
            self._cell.append(text)

    def _end(self, tag: str) -> None:
        if tag.endswith("TD"):
            self._row.append("".join(self._cell))
            self._inside = False
        elif tag.endswith("TR"):
            absent = len(self._fields) - len(self._row)
            if absent < 0:
                cause = f"a row of {len(self._row)} cells, more than the {len(self._fields)} fields"
                raise DataError(self._name, f"broken VOTable: {cause}")
            self._rows.append(self._row + [""] * absent)

    def _table(self) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        found, kept = [], []
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * len(self._fields)
        for name, field, texts in zip(self._names, self._fields, columns, strict=True):
            if not _is_scalar(field):
                continue
            array = column_of(texts, field)
            unit = one_line(field.unit if field.unit is not None else "", 60).strip("\"'")
            found.append(array)
            kept.append(pa.field(name, array.type, metadata={"unit": unit} if unit else None))
        return pa.table(found, schema=pa.schema(kept))


def _is_scalar(field: Any) -> bool:
    text = field.datatype in ("char", "unicodeChar")
    one = field.arraysize in (None, "", "1")
    known = text or one
    return known and (text or field.datatype in _NUMBERS or field.datatype in ("boolean", "bit"))


def column_of(texts: Sequence[str], field: Any) -> Any:
    """Return the cells of a field as an arrow array; empty ones and its null value are null."""
    words = [text.strip() for text in texts]
    if field.datatype in ("char", "unicodeChar"):
        return text_array(words)
    if field.datatype in ("boolean", "bit"):
        values = np.array([word.lower() in _TRUE for word in words], bool)
        known = np.array([word.lower() in _TRUE | _FALSE for word in words], bool)
        return from_numpy(values, ~known)
    null = getattr(field.values, "null", None)
    return _numbers(words, np.dtype(_NUMBERS[field.datatype]), "" if null is None else str(null))


def _numbers(words: list[str], dtype: np.dtype[Any], null: str) -> Any:
    missing = np.array([word in ("", null) for word in words], bool)
    filled = ["0" if gone else word for word, gone in zip(words, missing.tolist(), strict=True)]
    try:
        values = np.array(filled, np.str_).astype(dtype)
    except (ValueError, OverflowError):
        values, wrong = _one_by_one(filled, dtype)
        missing |= wrong
    if dtype.kind == "f":
        missing |= np.isnan(values)  # which is how floats say that there is no value
    return from_numpy(values, missing)


def _one_by_one(words: Sequence[str], dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return numbers, also hexadecimal ones, and which words are none."""
    values, wrong = np.zeros(len(words), dtype), np.zeros(len(words), bool)
    for i, word in enumerate(words):
        try:
            values[i] = float(word) if dtype.kind == "f" else int(word, 0)
        except (ValueError, OverflowError):
            wrong[i] = True
    return values, wrong
