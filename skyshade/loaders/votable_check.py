"""A look at a VOTable before it is parsed: what could read other files or fill memory is refused.

astropy's reader follows ``<STREAM href=...>`` to local files and to hosts, and allocates what
``nrows`` and ``arraysize`` claim. This pass reads the same bytes with the same parser (expat) and
keeps nothing but names and counts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from xml.parsers import expat

from skyshade.errors import DataError, UnsupportedError, one_line
from skyshade.loaders.private import in_words
from skyshade.storage import ByteFile

LIMIT = 512 << 20  # bytes of what is parsed at once, and of its rows in memory
STREAMED = 32 << 20  # bytes of a file whose TABLEDATA is not parsed at once
_BYTEWISE = ("utf-8", "us-ascii", "ascii", "iso-8859-1")  # encodings whose pieces can be parsed
_CHUNK = 1 << 20
_DEPTH = 64  # of elements within one another
_LEAST = 256  # rows that the reader allocates
_BYTES = {"boolean": 1, "bit": 1, "unsignedByte": 1, "short": 2, "int": 4, "long": 8, "float": 4}
_BYTES |= {"double": 8, "char": 4, "unicodeChar": 4, "floatComplex": 8, "doubleComplex": 16}


class Rows(NamedTuple):
    """The contents of one TABLEDATA: number of its table from 0, first byte and that after it."""

    table: int
    start: int
    stop: int


@dataclass
class _Claim:
    """What one TABLE says of its size."""

    width: int = 0
    rows: int = 0
    counted: int = 0


@dataclass
class Check:
    """The handlers of the pass.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    size : int
        Bytes of the file.
    limit : int
        Bytes that the rows of all tables may take.
    streamed : bool
        Whether the rows of TABLEDATA are left out: they do not count then.

    Attributes
    ----------
    message : str
        What the service that made the file says of an error.
    ranges : list of Rows
    encoding : str
        As declared, lower case.
    """

    name: str
    size: int
    limit: int
    streamed: bool = False
    message: str = ""
    encoding: str = "utf-8"
    ranges: list[Rows] = field(default_factory=list)
    _claims: list[_Claim] = field(default_factory=list)
    _depth: int = 0
    _parser: Any = None
    _data: int = 0

    def parser(self) -> Any:
        """Return an expat parser that refuses what is dangerous."""
        parser = expat.ParserCreate()
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.ExternalEntityRefHandler = self._refuse_entity
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.XmlDeclHandler = self._declared
        parser.buffer_text = True
        self._parser = parser
        return parser

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.encoding = (encoding or "utf-8").lower()

    def _refuse_doctype(self, *_: object) -> None:
        raise DataError(self.name, "holds a DOCTYPE or entities; a VOTable has none: refused")

    def _refuse_entity(self, *_: object) -> int:
        self._refuse_doctype()
        return 0

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if tag == "TD" and not attributes and self._depth < _DEPTH:
            return
        local = tag.rpartition(":")[2]
        upper = local.upper()
        if self._depth == 1:
            self._check_root(local)
        if self._depth > _DEPTH:
            raise DataError(self.name, f"more than {_DEPTH} elements within one another: refused")
        if upper == "INCLUDE":
            raise DataError(self.name, "includes other files (XInclude): refused")
        if any(key.rpartition(":")[2].lower() == "href" for key in attributes) and upper != "LINK":
            href = next(v for k, v in attributes.items() if k.lower().endswith("href"))
            cause = f"{local} refers to {one_line(href, 80)!r}; data must be in the file: refused"
            raise DataError(self.name, cause)
        handler = {"TABLE": self._table, "FIELD": self._field, "TR": self._row, "INFO": self._info}
        handler["TABLEDATA"] = self._rows
        if upper in handler:
            handler[upper](attributes)

    def _check_root(self, local: str) -> None:
        if local.upper() != "VOTABLE":
            raise UnsupportedError(self.name, f"XML, but no VOTable: its root is {one_line(local)}")

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "TD":
            return
        if tag.rpartition(":")[2] == "TABLEDATA" and self._claims:
            rows = Rows(len(self._claims) - 1, self._data, self._parser.CurrentByteIndex)
            self.ranges.append(rows)
        if self.message:
            self._parser.CharacterDataHandler = None

    def _text(self, text: str) -> None:
        self.message += text[: max(0, 200 - len(self.message))]

    def _table(self, attributes: dict[str, str]) -> None:
        rows = attributes.get("nrows", "0").strip()
        if not rows.isdigit() or int(rows[:20]) > self.size:
            cause = f"a table of nrows = {one_line(rows, 30)!r}"
            raise DataError(self.name, f"{cause} in a file of {self.size} bytes")
        self._claims.append(_Claim(rows=int(rows)))

    def _field(self, attributes: dict[str, str]) -> None:
        shape = attributes.get("arraysize", "1").strip()
        numbers = [int(n[:9]) for n in re.findall(r"\d+", shape)]
        items = 2 if shape.endswith("*") else math.prod(numbers or [1])
        if self._claims:
            self._claims[-1].width += items * _BYTES.get(attributes.get("datatype", ""), 8)
            self.check_size()

    def _row(self, _: dict[str, str]) -> None:
        if self._claims:
            self._claims[-1].counted += 1
            if not self._claims[-1].counted & 0xFFFF:
                self.check_size()

    def _rows(self, _: dict[str, str]) -> None:
        self._data = self._parser.CurrentByteIndex

    def _info(self, attributes: dict[str, str]) -> None:
        if attributes.get("name") == "QUERY_STATUS" and attributes.get("value") == "ERROR":
            self.message, self._parser.CharacterDataHandler = "the query failed: ", self._text

    def check_size(self) -> None:
        """Raise DataError when the rows would not fit into memory."""
        counted = not self.streamed
        size = sum(max(c.rows * counted, c.counted * counted, _LEAST) * c.width
                   for c in self._claims)  # fmt: skip
        if size > self.limit:
            limit = in_words(self.limit)
            cause = f"its rows take at least {in_words(size)} in memory; at most {limit} are read"
            raise DataError(self.name, f"{cause}: convert to Parquet")


def check(file: ByteFile, limit: int = LIMIT) -> Check:
    """Read a VOTable once without keeping it.

    Raises
    ------
    DataError
        A DOCTYPE, entities, references to other files, a broken file, or one that is too large.
    UnsupportedError
        XML of another kind.
    """
    size, streamed = file.size, file.size > STREAMED
    if size > limit:
        raise _too_large(file.name, size, limit)
    found = Check(file.name, size, min(limit, LIMIT), streamed)
    parser = found.parser()
    try:
        for at in range(0, size, _CHUNK):
            parser.Parse(file.read(at, _CHUNK), at + _CHUNK >= size)
    except expat.ExpatError as error:
        raise DataError(file.name, f"broken VOTable: {one_line(error, 120)}") from error
    found.ranges = [_content(file, rows) for rows in found.ranges]
    found.streamed = streamed and found.encoding in _BYTEWISE and bool(found.ranges)
    found.check_size()
    held = size - found.streamed * sum(rows.stop - rows.start for rows in found.ranges)
    if held > min(limit, LIMIT):
        raise _too_large(file.name, held, min(limit, LIMIT))
    return found


def _content(file: ByteFile, rows: Rows) -> Rows:
    """Return where the rows lie within their TABLEDATA, whose tag begins at ``start``."""
    tag = file.read(rows.start, 4096)
    end = tag.find(b">") + 1
    return rows._replace(start=min(rows.start + end, rows.stop)) if end else rows


def _too_large(name: str, size: int, limit: int) -> UnsupportedError:
    cause = f"{in_words(size)}; VOTables of at most {in_words(limit)} are read"
    return UnsupportedError(name, f"{cause}: convert to Parquet")
