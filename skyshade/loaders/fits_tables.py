"""Columns of FITS tables by bounded reads: only the bytes of the rows asked for, never the heap."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.io.fits import Header

from skyshade.errors import DataError, one_line
from skyshade.loaders.fits_headers import Hdu, number, text, value, whole
from skyshade.loaders.tables import distinct, null_objects
from skyshade.storage import ByteFile
from skyshade.types import AnyArray

_CHUNK = 8 << 20  # bytes of rows read at once
_FIELDS = 999  # the standard's limit
_BINARY = re.compile(r"^(\d*)([LXBIJKAEDCMPQ])")
_WIDTH = {"L": 1, "X": 0.125, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8}
_WIDTH |= {"M": 16, "P": 8, "Q": 16}
_STORED = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_ASCII = re.compile(r"^([AIFED])(\d+)")


@dataclass(frozen=True)
class Field:
    """One column: where it lies in a row and what its bytes mean.

    Parameters
    ----------
    code : str
        TFORM letter; ``"#"`` is a number written as text.
    offset, width : int
        Bytes in the row.
    scale, zero : float
    null : int, optional
    """

    code: str
    offset: int
    width: int
    scale: float = 1.0
    zero: float = 0.0
    null: int | None = None

    def decode(self, raw: AnyArray) -> AnyArray:
        """Return values of ``(rows, width)`` bytes."""
        if self.code == "A":
            return _texts(raw)
        if self.code == "L":
            return _logicals(raw[:, 0])
        if self.code == "#":
            return self._written(raw)
        stored = np.ascontiguousarray(raw).view(_STORED[self.code])[:, 0]
        return self._scaled(stored)

    def _scaled(self, stored: AnyArray) -> AnyArray:
        values = stored.astype(stored.dtype.newbyteorder("="))
        nulls = None if stored.dtype.kind == "f" or self.null is None else stored == self.null
        if (self.scale, self.zero) != (1.0, 0.0):
            values = self._offset(values)
        if nulls is not None and nulls.any():
            values = values.astype(np.float64)
            values[nulls] = np.nan
        return values

    def _offset(self, values: AnyArray) -> AnyArray:
        bits = values.dtype.itemsize * 8
        if values.dtype.kind in "iu" and self.scale == 1.0:
            if self.code != "B" and self.zero == 2.0 ** (bits - 1):
                unsigned = values.view(f"u{values.dtype.itemsize}")
                turned: AnyArray = unsigned ^ unsigned.dtype.type(1 << (bits - 1))
                return turned
            if self.code == "B" and self.zero == -128.0:
                signed: AnyArray = np.bitwise_xor(values, np.uint8(128)).view(np.int8)
                return signed
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(np.float64) * self.scale + self.zero

    def _written(self, raw: AnyArray) -> AnyArray:
        words = [w.strip().upper().replace("D", "E") for w in _texts(raw).tolist()]
        values = np.array([_float(word) for word in words], np.float64)
        if self.null is not None:
            values[values == self.null] = np.nan
        return values * self.scale + self.zero


class FitsColumns:
    """`Columns` of a binary or ASCII table.

    Vector columns and variable-length ones are left out of `names` (they have no single value).

    Parameters
    ----------
    file : ByteFile
    hdu : Hdu

    Raises
    ------
    DataError
        Truncated, or columns that do not fit into a row.
    """

    def __init__(self, file: ByteFile, hdu: Hdu) -> None:
        self._file, self._part, self._start = file, hdu.part, hdu.stop
        if len(hdu.axes) != 2:
            raise DataError(file.name, f"table with NAXIS = {len(hdu.axes)}", hdu.part)
        self._pitch, self._rows = hdu.axes
        need = self._pitch * self._rows
        if hdu.present < need:
            raise DataError(file.name, f"truncated: {hdu.present} of {need} bytes", hdu.part)
        try:
            self._fields, self._units = _read_fields(hdu.header, hdu.kind == "TABLE", self._pitch)
        except ValueError as error:
            raise DataError(file.name, str(error), hdu.part) from error
        self._label = f"-{hdu.index}"

    @property
    def names(self) -> Sequence[str]:
        """Columns of one number or text a row."""
        return tuple(self._fields)

    @property
    def units(self) -> Mapping[str, str]:
        """TUNITn of the columns that have one."""
        return self._units

    def __len__(self) -> int:
        return self._rows

    def version(self) -> str:
        """Return a short text that changes with the file; differs between tables."""
        return f"{self._file.version()}{self._label}"

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop.

        Raises
        ------
        ChangedError
            The file changed while it was read.
        """
        stop = self._rows if stop is None else min(stop, self._rows)
        fields = [self._fields[name] for name in names]
        parts: list[list[AnyArray]] = [[f.decode(_no_bytes(f.width))] for f in fields]
        before = self._file.stamp()
        for rows in self._chunks(start, stop):
            for part, field in zip(parts, fields, strict=True):
                part.append(field.decode(rows[:, field.offset : field.offset + field.width]))
        self._file.check(before)
        return {n: _joined(p) for n, p in zip(names, parts, strict=True)}

    def _chunks(self, start: int, stop: int) -> Iterator[AnyArray]:
        """Yield the bytes of rows, shape (rows, bytes a row)."""
        step = max(1, _CHUNK // max(1, self._pitch))
        for at in range(start, stop, step):
            count = min(step, stop - at)
            buffer = np.empty((count, self._pitch), np.uint8)
            if self._file.read_into(buffer, self._start + at * self._pitch) < buffer.size:
                raise DataError(self._file.name, "the file became shorter", self._part)
            yield buffer


def _read_fields(
    header: Header, ascii_: bool, pitch: int
) -> tuple[dict[str, Field], dict[str, str]]:
    count = whole(header, "TFIELDS")
    if not 0 <= count <= _FIELDS:
        message = f"TFIELDS = {count} is not between 0 and {_FIELDS}"
        raise ValueError(message)
    names = distinct([one_line(text(header, f"TTYPE{i + 1}"), 100) for i in range(count)])
    fields: dict[str, Field] = {}
    units: dict[str, str] = {}
    offset = 0
    for i, name in enumerate(names, 1):
        if ascii_:
            field = _ascii_field(header, i)
        else:
            field, width = _binary_field(header, i, offset)
            offset += width
        if field is None:
            continue
        if field.offset < 0 or field.offset + field.width > pitch:
            message = f"column {name!r} lies outside its rows of {pitch} bytes"
            raise ValueError(message)
        fields[name] = field
        if unit := text(header, f"TUNIT{i}"):
            units[name] = unit
    return fields, units


def _binary_field(header: Header, i: int, offset: int) -> tuple[Field | None, int]:
    """Return the field (None where it is not one value a row) and the bytes it takes in the row."""
    form = text(header, f"TFORM{i}")
    match = _BINARY.match(form.strip())
    if not match:
        message = f"TFORM{i} = {form!r} is not a FITS column format"
        raise ValueError(message)
    repeat, code = int(match[1] or 1), match[2]
    width = -(-repeat // 8) if code == "X" else int(repeat * _WIDTH[code])
    if code == "A" and repeat:
        return Field("A", offset, repeat), width
    if repeat != 1 or (code not in _STORED and code != "L"):
        return None, width
    return Field(code, offset, width, *_scaling(header, i)), width


def _ascii_field(header: Header, i: int) -> Field | None:
    form = text(header, f"TFORM{i}")
    match = _ASCII.match(form.strip())
    if not match:
        message = f"TFORM{i} = {form!r} is not a FITS column format"
        raise ValueError(message)
    offset, width = whole(header, f"TBCOL{i}", 1) - 1, int(match[2])
    if not width:
        return None
    if match[1] == "A":
        return Field("A", offset, width)
    return Field("#", offset, width, *_scaling(header, i))


def _scaling(header: Header, i: int) -> tuple[float, float, int | None]:
    null = value(header, f"TNULL{i}")
    whole_null = null if isinstance(null, int) and not isinstance(null, bool) else None
    return number(header, f"TSCAL{i}", 1.0), number(header, f"TZERO{i}", 0.0), whole_null


def _no_bytes(width: int) -> AnyArray:
    return np.empty((0, width), np.uint8)


def _joined(parts: list[AnyArray]) -> AnyArray:
    """Concatenate; nulls in one chunk may have made it float64, then all are."""
    return np.concatenate(parts[1:]) if len(parts) > 1 else parts[0]


def _texts(raw: AnyArray) -> AnyArray:
    """Return text up to the first NUL, without trailing blanks."""
    items = np.ascontiguousarray(raw).view(f"S{raw.shape[1]}")[:, 0].tolist()
    words = [i.split(b"\0", 1)[0].rstrip().decode("ascii", "replace") for i in items]
    return null_objects(words)


def _logicals(raw: AnyArray) -> AnyArray:
    known = (raw == ord("T")) | (raw == ord("F"))
    if known.all():
        return np.equal(raw, ord("T"))
    return null_objects([{84: True, 70: False}.get(b) for b in raw.tolist()])


def _float(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return np.nan
