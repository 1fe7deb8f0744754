"""Columns of FITS tables: what their headers say, and what the bytes of a row mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io.fits import Header

from skyshade.errors import one_line
from skyshade.loaders.arrow import from_numpy, text_array
from skyshade.loaders.columns import distinct, null_objects
from skyshade.loaders.fits_headers import number, text, value, whole
from skyshade.types import AnyArray

_FIELDS = 999  # the standard's limit
_BITS = 62  # of a column that is one whole number
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
    bits : int
        Of code ``"X"``.
    """

    code: str
    offset: int
    width: int
    scale: float = 1.0
    zero: float = 0.0
    null: int | None = None
    bits: int = 0

    def decode(self, raw: AnyArray) -> AnyArray:
        """Return values of ``(rows, width)`` bytes: null is NaN, or None among objects."""
        if self.code == "A":
            return _texts(raw)
        values, missing = self._values(raw)
        if missing is None or not missing.any():
            return values
        if self.code == "L":
            objects = values.astype(object)
            objects[missing] = None
            return objects
        values = values.astype(np.float64)
        values[missing] = np.nan
        return values

    def arrow(self, raw: AnyArray) -> Any:
        """Return values of ``(rows, width)`` bytes as an arrow array of the type of the column."""
        if self.code == "A":
            return _arrow_texts(raw)
        values, missing = self._values(raw)
        return from_numpy(values, missing)

    def _values(self, raw: AnyArray) -> tuple[AnyArray, AnyArray | None]:
        """Return numbers or booleans, and which of them mean nothing."""
        if self.code == "L":
            return raw[:, 0] == ord("T"), (raw[:, 0] != ord("T")) & (raw[:, 0] != ord("F"))
        if self.code == "X":
            return self._flags(raw), None
        if self.code == "#":
            return self._written(raw), None
        stored = np.ascontiguousarray(raw).view(_STORED[self.code])[:, 0]
        missing = None if stored.dtype.kind == "f" or self.null is None else stored == self.null
        values = stored.astype(stored.dtype.newbyteorder("="))
        if (self.scale, self.zero) != (1.0, 0.0):
            values = self._offset(values)
        return values, missing

    def _flags(self, raw: AnyArray) -> AnyArray:
        """Return a boolean of one bit, or the number of several: the first is the highest."""
        if self.bits == 1:
            return raw[:, 0] >= 128
        found = np.zeros(len(raw), np.int64)
        for column in raw.T:
            found = found << 8 | column
        return found >> (8 * self.width - self.bits)

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


def read_fields(
    header: Header, ascii_: bool, pitch: int
) -> tuple[dict[str, Field], dict[str, str]]:
    """Return the columns of one value a row, and their units; ValueError when they do not fit."""
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
    if code == "X" and 1 <= repeat <= _BITS:
        return Field("X", offset, width, bits=repeat), width
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


def _texts(raw: AnyArray) -> AnyArray:
    """Return text up to the first NUL, without trailing blanks."""
    items = np.ascontiguousarray(raw).view(f"S{raw.shape[1]}")[:, 0].tolist()
    words = [i.split(b"\0", 1)[0].rstrip().decode("ascii", "replace") for i in items]
    return null_objects(words)


def _arrow_texts(raw: AnyArray) -> Any:
    """Return what `_texts` does as an arrow array, without an object a text."""
    import pyarrow as pa  # noqa: PLC0415

    rows, width = raw.shape
    if (raw > 127).any():
        return text_array(_texts(raw).tolist())
    ended = np.where((raw == 0).any(axis=1), (raw == 0).argmax(axis=1), width)
    inside = np.arange(width) < ended[:, None]
    solid = inside & (raw != ord(" "))
    lengths = np.where(solid.any(axis=1), width - solid[:, ::-1].argmax(axis=1), 0)
    data = raw[np.arange(width) < lengths[:, None]]
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets.view(np.uint8)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def _float(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return np.nan
