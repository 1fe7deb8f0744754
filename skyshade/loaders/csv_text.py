"""The text of a CSV file: its header, and where rows end."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from skyshade.errors import DataError, one_line
from skyshade.loaders.columns import distinct
from skyshade.loaders.private import in_words
from skyshade.storage import ByteFile

LINE = 16 << 20  # bytes of one row
_HEAD = 1 << 20  # bytes that comments and header may take
_SEPARATORS = ",\t;|"
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Parameters
    ----------
    separator : str
        One character between fields.
    names : tuple of str
        Columns, all different.
    start : int
        Offset of the first row.
    """

    separator: str
    names: tuple[str, ...]
    start: int

    def end(self, raw: bytes) -> int:
        """Return where the last whole row of `raw`, which begins with a row, ends; 0 for none.

        Newlines within quotes do not end a row; a quote opens at the beginning of a field only.
        """
        if b'"' not in raw:
            return max(raw.rfind(b"\n"), raw.rfind(b"\r", 0, -1)) + 1
        found = _rows(self.separator).match(raw)
        return found.end() if found else 0


def _rows(separator: str) -> re.Pattern[bytes]:
    mark = re.escape(separator)
    rest = rf"[^{mark}\r\n]*+"
    field = rf'(?:"(?:[^"]++|"")*+"{rest}|(?!"){rest})'
    row = rf"{field}(?:{mark}{field})*+(?:\r?\n|\r(?=[^\n]))"
    return re.compile(f"(?:{row})*+".encode("latin-1"))


def dialect(file: ByteFile) -> Dialect:
    """Return how a file is written; the first line that is no comment names the columns.

    Comments begin with ``#``. The last of them names the columns if it has as many fields as the
    line after it and that holds a number.

    Raises
    ------
    DataError
        NUL bytes, UTF-16, or a header of more than 1 MiB.
    """
    head = file.read(0, _HEAD)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(file.name, "text in UTF-16; convert to UTF-8")
    check_text(file.name, head, 0)
    start = len(_MARK) if head.startswith(_MARK) else 0
    at, comment = start, b""
    while head.startswith(b"#", at):
        comment, at = head[at : _line_end(head, at)], _line_end(head, at)
    line = head[at : _line_end(head, at)]
    if comment and _names_columns(comment, line):
        return _dialect(comment.lstrip(b"#"), at)
    separator = _separator(line)
    end = Dialect(separator, (), at).end(line) if b'"' in line else len(line)
    while not end and at + len(line) < len(head):  # a newline within a quoted name
        line = head[at : _line_end(head, at + len(line))]
        end = Dialect(separator, (), at).end(line)
    if at + len(line) == len(head) == _HEAD < file.size:
        raise DataError(file.name, f"no end of the header within {in_words(_HEAD)}")
    return _dialect(line, at + len(line))


def check_text(name: str, raw: bytes, offset: int) -> None:
    """Raise DataError where a piece of a file, which lies at `offset`, holds NUL bytes."""
    at = raw.find(b"\0")
    if at >= 0:
        raise DataError(name, f"not a CSV file: holds NUL bytes (the first is byte {offset + at})")


def _line_end(raw: bytes, start: int) -> int:
    found = re.compile(rb"\r?\n|\r").search(raw, start)
    return found.end() if found else len(raw)


def _names_columns(comment: bytes, line: bytes) -> bool:
    mark = _separator(comment).encode()
    fields = line.strip().split(mark)
    same = len(fields) > 1 and comment.count(mark) == len(fields) - 1
    return same and any(_is_number(field) for field in fields)


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _separator(line: bytes) -> str:
    return max(_SEPARATORS, key=lambda mark: line.count(mark.encode()))


def _dialect(line: bytes, start: int) -> Dialect:
    text = _decoded(line).strip("\r\n")
    separator = _separator(line)
    fields = next(csv.reader([text], delimiter=separator), [])
    names = distinct([one_line(field.strip(), 100) for field in fields])
    return Dialect(separator, tuple(names), start)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
