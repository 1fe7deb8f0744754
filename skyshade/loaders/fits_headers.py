"""Walk the HDUs of a FITS file: headers only, sizes checked against the file first of all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from astropy.io.fits import Header, VerifyError

from skyshade.errors import DataError, one_line
from skyshade.loaders.fits_cards import CARD, Cards
from skyshade.quiet import quiet
from skyshade.storage import ByteFile

AnyHeader: TypeAlias = Header | Cards
BLOCK = 2880
HEADER_LIMIT = 1000 * BLOCK  # bytes: 36,000 cards
HDU_LIMIT = 1000
BITPIX = (8, 16, 32, 64, -32, -64)
_AXES_LIMIT = 999
_READ = 8 * BLOCK
_END = re.compile(rb"END {5}|END\Z")


@dataclass(frozen=True, eq=False)
class Hdu:
    """One header-data unit; nothing of its data has been read.

    Parameters
    ----------
    index : int
    header : Cards
    kind : str
        ``"IMAGE"``, ``"BINTABLE"``, ``"TABLE"`` or what XTENSION says.
    axes : tuple of int
        NAXIS1, NAXIS2 ... (fastest first).
    start, stop : int
        Byte positions of the header and of the data.
    size : int
        Bytes of data that the header declares.
    present : int
        Bytes of them in the file.
    """

    index: int
    header: Cards
    kind: str
    axes: tuple[int, ...]
    start: int
    stop: int
    size: int
    present: int

    @property
    def part(self) -> str:
        """The HDU's name in messages: its number and EXTNAME."""
        name = self.extname
        return f"HDU {self.index} ({name})" if name else f"HDU {self.index}"

    @property
    def extname(self) -> str:
        """EXTNAME as one short line."""
        return one_line(text(self.header, "EXTNAME"), 60)


def value(header: AnyHeader, key: str, default: object = None) -> object:
    """Return a card's value; `default` where it is absent or cannot be parsed."""
    try:
        if key not in header:
            return default
        found = header.get(key, default) if isinstance(header, Cards) else _get(header, key)
    except (VerifyError, ValueError, TypeError, KeyError, IndexError):
        return default
    return found if isinstance(found, bool | int | float | complex | str) else default


def _get(header: Header, key: str) -> object:
    with quiet():
        found: object = header[key]
    return found


def text(header: AnyHeader, key: str) -> str:
    """Return a card's value as one line of text, "" where there is none."""
    found = value(header, key, "")
    return one_line(found).strip()


def number(header: AnyHeader, key: str, default: float) -> float:
    """Return a card's value as a finite number, else `default`."""
    found = value(header, key, default)
    usable = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    return float(found) if usable else default  # type: ignore[arg-type]


def whole(header: AnyHeader, key: str, default: int | None = None) -> int:
    """Return a card's value as an integer; ValueError where it is none."""
    found = value(header, key, default)
    if isinstance(found, bool) or not isinstance(found, int):
        message = f"{key} = {one_line(found, 40)} is not a whole number"
        raise ValueError(message)  # noqa: TRY004 (a wrong value in a file, not a wrong type)
    return found


def walk(file: ByteFile) -> Iterator[Hdu | DataError]:
    """Yield every HDU in turn; a DataError is the last thing yielded, what follows it is lost."""
    at, length = 0, file.size
    for index in range(HDU_LIMIT):
        if at >= length:
            return
        try:
            hdu = _read_hdu(file, index, at, length)
        except DataError as error:
            yield error
            return
        if hdu is None:
            return
        yield hdu
        at = hdu.stop + -(-hdu.size // BLOCK) * BLOCK
    yield DataError(file.name, f"more than {HDU_LIMIT} HDUs; the rest is ignored")


def _read_hdu(file: ByteFile, index: int, at: int, length: int) -> Hdu | None:
    part = f"HDU {index}"
    first = file.read(at, _READ)
    if not first.startswith(b"SIMPLE" if index == 0 else b"XTENSION"):
        if index:
            return None  # padding or junk after the last HDU is allowed by the standard
        begin = one_line(first[:24].decode("ascii", "replace"))
        raise DataError(file.name, f"not a FITS file: begins with {begin!r}")
    raw, stop = _header_bytes(file, at, part, first)
    header = Cards(_ascii(raw))
    try:
        kind, axes, size = _layout(header, index)
    except ValueError as error:
        raise DataError(file.name, str(error), part) from error
    present = max(0, min(size, length - stop))
    return Hdu(index, header, kind, axes, at, stop, size, present)


def _header_bytes(file: ByteFile, at: int, part: str, first: bytes) -> tuple[bytes, int]:
    """Return the cards before END and the position of the data; `first` is read already."""
    raw = b""
    while len(raw) < HEADER_LIMIT:
        more = file.read(at + len(raw), _READ) if raw else first
        seen = len(raw)
        raw += more
        for position in range(seen, len(raw) - 7, CARD):
            if _END.match(raw, position, position + 8):
                return raw[:position], at + -(-(position + CARD) // BLOCK) * BLOCK
        if len(more) < _READ:
            raise DataError(file.name, f"header without END card ({len(raw)} bytes)", part)
    raise DataError(file.name, f"header too large: more than {HEADER_LIMIT} bytes", part)


def _ascii(raw: bytes) -> str:
    """Decode header bytes; what is not printable ASCII becomes "?" (tab and newline: a space)."""
    return raw.translate(_PRINTABLE).decode("ascii")


_PRINTABLE = bytes(c if 32 <= c < 127 else (32 if c in b"\t\n\r\0" else 63) for c in range(256))


def _layout(header: Cards, index: int) -> tuple[str, tuple[int, ...], int]:
    """Return kind, axes and declared bytes; ValueError where the header makes no sense."""
    bitpix = whole(header, "BITPIX")
    if bitpix not in BITPIX:
        message = f"BITPIX = {bitpix} is not one of {', '.join(map(str, BITPIX))}"
        raise ValueError(message)
    count = whole(header, "NAXIS")
    if not 0 <= count <= _AXES_LIMIT:
        message = f"NAXIS = {count} is not between 0 and {_AXES_LIMIT}"
        raise ValueError(message)
    axes = tuple(_axis(header, i + 1) for i in range(count))
    groups, heap = whole(header, "GCOUNT", 1), whole(header, "PCOUNT", 0)
    if min(groups, heap) < 0:
        message = f"GCOUNT = {groups}, PCOUNT = {heap}: must not be negative"
        raise ValueError(message)
    kind = text(header, "XTENSION").upper() if index else "IMAGE"
    used = axes
    if index == 0 and axes[:1] == (0,) and value(header, "GROUPS") is True:
        kind, used = "GROUPS", axes[1:]
    items = math.prod(used) if used else 0
    return kind, axes, abs(bitpix) // 8 * groups * (heap + items)


def _axis(header: Cards, number: int) -> int:
    length = whole(header, f"NAXIS{number}")
    if length < 0:
        message = f"NAXIS{number} = {length} is negative"
        raise ValueError(message)
    return length
