"""The HEALPix maps of a FITS file: what the header of a table says about its columns.

Sources: the HEALPix primer, appendix A (keywords PIXTYPE, ORDERING, NSIDE, INDXSCHM, COORDSYS), and
what healpy, Planck, WMAP and LIGO write.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from skyshade.errors import DataError, UnsupportedError, one_line
from skyshade.geometry.frames import split_frame
from skyshade.loaders.columns import distinct
from skyshade.loaders.fits_compressed import is_compressed
from skyshade.loaders.fits_headers import Hdu, number, text, value, whole
from skyshade.loaders.fits_images import KEPT
from skyshade.loaders.fits_pixels import PixelFormat
from skyshade.loaders.fits_spheres import (
    LISTED,
    Column,
    FullSphere,
    Index,
    PartialSphere,
    Series,
)
from skyshade.loaders.source import Source
from skyshade.loaders.units import parse_unit
from skyshade.types import SphereImage, SphereReader

MAX_NSIDE = 8192
MAX_COLUMNS = 64
UNSEEN = -1.6375e30
USUAL_FRAME = "galactic"
FRAMES = {
    **dict.fromkeys(("C", "Q", "EQ", "CELESTIAL", "EQUATORIAL", "ICRS", "RADEC"), "icrs"),
    **dict.fromkeys(("G", "GAL", "GALACTIC"), "galactic"),
    **dict.fromkeys(("E", "ECL", "ECLIPTIC"), "ecliptic"),
}
ORDERS = {"RING": False, "RINGED": False, "NEST": True, "NESTED": True}
_FORM = re.compile(r"^\s*(\d*)([LXBIJKAEDCMPQ])")
_BITS = {"B": 8, "I": 16, "J": 32, "K": 64, "E": -32, "D": -64}
_BYTES = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16}
_BYTES |= {"P": 8, "Q": 16}
_PIXEL = re.compile(
    r"^(HPX_?|HEALPIX_?|I)?PIX(EL)?(_?(NUM(BER)?|INDEX|ID))?$|^INDEX$", re.IGNORECASE
)
_STOKES = re.compile(r"^([IQUV])([ _-]?(STOKES|POL(ARI[SZ]ATION)?))?$", re.IGNORECASE)
_TEMPERATURE = re.compile(r"^T(EMP(ERATURE)?)?$|^INTENSITY$", re.IGNORECASE)
_PRESENT = 0.25  # of the declared bytes: a truncated map with less is rejected


class _Field(NamedTuple):
    """One column as the header describes it."""

    name: str
    number: int
    column: Column
    units: str


class _Sky(NamedTuple):
    """How the pixels of a map are numbered, and where they lie."""

    nside: int
    nested: bool
    frame: str
    notes: tuple[str, ...]


def holds_sphere(hdu: Hdu) -> bool:
    """Tell whether an HDU is a HEALPix map: a table or an image that says so."""
    if hdu.kind not in ("BINTABLE", "IMAGE") or not hdu.axes or is_compressed(hdu):
        return False
    if text(hdu.header, "PIXTYPE").upper() == "HEALPIX":
        return True
    ordered = text(hdu.header, "ORDERING").upper() in {*ORDERS, "NUNIQ"}
    said = bool(text(hdu.header, "INDXSCHM")) or value(hdu.header, "NSIDE") is not None
    return hdu.kind == "BINTABLE" and ordered and said


def read_spheres(source: Source, hdu: Hdu, frame: str = "") -> list[SphereImage]:
    """Return the columns of a HEALPix map, one image each; the list of pixels is read, no values.

    Parameters
    ----------
    source : Source
    hdu : Hdu
        One that `holds_sphere`.
    frame : str, optional
        The user's word for the frame of the pixels. By default that of COORDSYS (C, G or E), and
        galactic where there is none, as other HEALPix viewers have it.

    Raises
    ------
    DataError
        NSIDE, the size of the table and its columns do not go together.
    UnsupportedError
        Another order than RING or NESTED, or an unknown COORDSYS.
    """
    try:
        fields = _fields(hdu)
        return _images(source, hdu, fields, frame)
    except ValueError as error:
        raise DataError(source.name, str(error), hdu.part) from error


def plane_names(names: Sequence[str]) -> tuple[str, list[str]]:
    """Return the axis and the names of planes from names of columns.

    Stokes parameters lose their decoration where there is more than one: TEMPERATURE, Q_STOKES and
    U-POLARISATION are I, Q and U.
    """
    if len(names) == 1:
        return "", [""]
    found = [_STOKES.match(name.strip()) for name in names]
    letters = [m[1].upper() if m else "" for m in found]
    if {"Q", "U"} <= set(letters) and "I" not in letters:
        letters = [
            "I" if not letter and _TEMPERATURE.match(name.strip()) else letter
            for letter, name in zip(letters, names, strict=True)
        ]
    planes = distinct([letter or name for letter, name in zip(letters, names, strict=True)])
    return ("stokes" if all(letters) else "plane"), list(planes)


def _images(source: Source, hdu: Hdu, fields: list[_Field], frame: str) -> list[SphereImage]:
    explicit = _explicit(hdu, fields)
    sky = _sky(source, hdu, fields, explicit, frame)
    index = None if explicit is None else _index(source, hdu, explicit, sky.nside)
    wanted = 12 * sky.nside**2 if explicit is None else explicit.column.size
    values = [f for f in fields if f is not explicit]
    shown = [f for f in values if f.column.size == wanted][:MAX_COLUMNS]
    if not shown:
        sizes = ", ".join(dict.fromkeys(str(f.column.size) for f in values)) or "no"
        cause = f"{sizes} pixels, NSIDE = {sky.nside} needs {wanted}"
        raise DataError(source.name, cause, hdu.part)
    axis, planes = plane_names([f.name for f in shown])
    images = []
    for field, plane in zip(shown, planes, strict=True):
        label = f"-{hdu.index}-{field.number}"
        series = Series(source.file, (hdu.start, hdu.stop), field.column, label)
        reader: SphereReader = FullSphere(series, sky.nside, sky.nested)
        if index is not None:
            reader = PartialSphere(series, index, sky.nside, sky.nested)
        images.append(_image(source, hdu, field, sky, reader, (axis, plane)))
    return images


def _index(source: Source, hdu: Hdu, field: _Field, nside: int) -> Index:
    """Read the list of pixels of a partial map."""
    count, size = 12 * nside**2, field.column.size
    if size > count:
        cause = f"lists {size} pixels, NSIDE = {nside} has {count}"
        raise DataError(source.name, cause, hdu.part)
    if size > LISTED:
        cause = f"lists {size} pixels; at most {LISTED} are read of a partial map"
        raise DataError(source.name, cause, hdu.part)
    return Index(Series(source.file, (hdu.start, hdu.stop), field.column, ""), count, hdu.part)


def _image(
    source: Source, hdu: Hdu, field: _Field, sky: _Sky, reader: SphereReader, plane: tuple[str, str]
) -> SphereImage:
    title = text(hdu.header, "OBJECT")
    attrs: dict[str, Any] = {}
    for key in KEPT:
        found = value(hdu.header, key)
        if found is not None:
            attrs[key] = one_line(found) if isinstance(found, str) else found
    if title.upper() in ("FULLSKY", "PARTIAL"):  # healpy's word for the kind of map
        title = ""
        attrs.pop("OBJECT", None)
    if field.name and not plane[1]:
        attrs["BTYPE"] = field.name
    attrs |= {"HDU": hdu.index} | ({"EXTNAME": hdu.extname} if hdu.extname else {})
    return SphereImage(
        reader,
        sky.frame,
        source.stem,
        plane=plane[1],
        plane_axis=plane[0],
        units=field.units,
        title=title,
        integer=field.column.pixels.integer,
        attrs=attrs,
        notes=sky.notes,
    )


def _sky(
    source: Source, hdu: Hdu, fields: list[_Field], explicit: _Field | None, frame: str
) -> _Sky:
    notes = []
    nside = _nside(hdu, fields, explicit)
    order = text(hdu.header, "ORDERING").upper()
    if order and order not in ORDERS:
        cause = f"ORDERING = {order!r} is not read: allowed are RING and NESTED"
        raise UnsupportedError(source.name, cause, hdu.part)
    if not order:
        notes.append("no ORDERING: taken for RING")
    found, note = _frame(source, hdu, frame)
    notes += [note] if note else []
    if hdu.present < hdu.size:
        notes.append(f"truncated: {hdu.present} of {hdu.size} bytes")
    return _Sky(nside, ORDERS.get(order, False), found, tuple(notes))


def _frame(source: Source, hdu: Hdu, said: str) -> tuple[str, str]:
    """Return the frame of the pixels, and a note where it is a guess."""
    if said:
        split_frame(said)
        return said, ""
    declared = (text(hdu.header, "COORDSYS") or text(hdu.header, "SKYCOORD")).strip()
    if not declared:
        return USUAL_FRAME, f"no COORDSYS: taken for {USUAL_FRAME}"
    if declared.upper() not in FRAMES:
        cause = f"COORDSYS = {declared!r} is not known: allowed are C, G and E, or give a frame"
        raise UnsupportedError(source.name, cause, hdu.part)
    return FRAMES[declared.upper()], ""


def _nside(hdu: Hdu, fields: list[_Field], explicit: _Field | None) -> int:
    """Return NSIDE of the header; of a full map without it, what its size says."""
    nside = value(hdu.header, "NSIDE")
    if nside is None and explicit is None:
        sizes = [math.isqrt(f.column.size // 12) for f in fields]
        good = [n for n, f in zip(sizes, fields, strict=True) if 12 * n * n == f.column.size > 0]
        nside = good[0] if good else None
    if isinstance(nside, float) and nside.is_integer():
        nside = int(nside)
    allowed = f"a power of two, 1 to {MAX_NSIDE}"
    if isinstance(nside, bool) or not isinstance(nside, int) or not 1 <= nside <= MAX_NSIDE:
        message = f"NSIDE = {one_line(nside, 40)} is not allowed: {allowed}"
        raise ValueError(message)
    if nside & (nside - 1):
        message = f"NSIDE = {nside} is not allowed: {allowed}"
        raise ValueError(message)
    return nside


def _explicit(hdu: Hdu, fields: list[_Field]) -> _Field | None:
    """Return the column of pixel numbers of a partial map."""
    scheme = text(hdu.header, "INDXSCHM").upper()
    partial = text(hdu.header, "OBJECT").upper() == "PARTIAL"
    if scheme not in ("", "IMPLICIT", "EXPLICIT"):
        message = f"INDXSCHM = {scheme!r} is not allowed: IMPLICIT or EXPLICIT"
        raise ValueError(message)
    if scheme == "IMPLICIT" or not (scheme or partial):
        return None
    for field in fields:
        if _PIXEL.match(field.name) and field.column.pixels.integer:
            return field
    names = ", ".join(f.name for f in fields) or "none"
    message = f"INDXSCHM = EXPLICIT without a PIXEL column of integers; columns: {names}"
    raise ValueError(message)


def _fields(hdu: Hdu) -> list[_Field]:
    if hdu.present < hdu.size * _PRESENT or not hdu.size:
        message = f"truncated: {hdu.present} of {hdu.size} bytes"
        raise ValueError(message)
    return _image_planes(hdu) if hdu.kind == "IMAGE" else _columns(hdu)


def _columns(hdu: Hdu) -> list[_Field]:
    """Return the columns of numbers, one or several a row."""
    if len(hdu.axes) != 2:
        message = f"table with NAXIS = {len(hdu.axes)}"
        raise ValueError(message)
    count = whole(hdu.header, "TFIELDS")
    if not 0 <= count <= 999:
        message = f"TFIELDS = {count} is not between 0 and 999"
        raise ValueError(message)
    found: list[_Field] = []
    at = 0
    for i in range(1, count + 1):
        form = text(hdu.header, f"TFORM{i}")
        match = _FORM.match(form)
        if not match:
            message = f"TFORM{i} = {form!r} is not a FITS column format"
            raise ValueError(message)
        repeat, code = int(match[1] or 1), match[2]
        width = -(-repeat // 8) if code == "X" else repeat * _BYTES[code]
        if at + width > hdu.axes[0]:
            message = f"column {i} lies outside its rows of {hdu.axes[0]} bytes"
            raise ValueError(message)
        if code in _BITS and repeat:
            found.append(_field(hdu, i, at, repeat, _BITS[code]))
        at += width
    return found


def _field(hdu: Hdu, i: int, at: int, repeat: int, bits: int) -> _Field:
    pitch, rows = hdu.axes
    pixels = _format(hdu, bits, f"TSCAL{i}", f"TZERO{i}", f"TNULL{i}")
    column = Column(hdu.stop + at, pitch, rows, repeat, pixels, _missing(hdu))
    name = one_line(text(hdu.header, f"TTYPE{i}"), 60) or str(i)
    return _Field(name, i, column, _units(hdu, f"TUNIT{i}"))


def _image_planes(hdu: Hdu) -> list[_Field]:
    """Return the planes of an image whose pixels are those of the sphere, in one row or several."""
    bits = whole(hdu.header, "BITPIX")
    pixels = _format(hdu, bits, "BSCALE", "BZERO", "BLANK")
    total, first = math.prod(hdu.axes), hdu.axes[0]
    nside = value(hdu.header, "NSIDE")
    whole_map = (
        total if nside is None else min(total, 12 * int(number(hdu.header, "NSIDE", 0)) ** 2)
    )
    count = whole_map if whole_map and total % whole_map == 0 else first
    planes = total // count if count else 0
    item = abs(bits) // 8
    fields = []
    for k in range(min(planes, MAX_COLUMNS)):
        start = hdu.stop + k * count * item
        column = Column(start, count * item, 1, count, pixels, _missing(hdu))
        fields.append(_Field(str(k + 1), k + 1, column, _units(hdu, "BUNIT")))
    return fields


def _format(hdu: Hdu, bits: int, scale: str, zero: str, null: str) -> PixelFormat:
    blank = value(hdu.header, null)
    usable = isinstance(blank, int) and not isinstance(blank, bool) and bits > 0
    factor, offset = number(hdu.header, scale, 1.0), number(hdu.header, zero, 0.0)
    return PixelFormat(bits, factor, offset, int(blank) if usable else None)  # type: ignore[call-overload]


def _missing(hdu: Hdu) -> float:
    """Return the value of pixels that were not observed: BAD_DATA, else UNSEEN."""
    return number(hdu.header, "BAD_DATA", UNSEEN)


def _units(hdu: Hdu, key: str) -> str:
    return parse_unit(text(hdu.header, key))[0]
