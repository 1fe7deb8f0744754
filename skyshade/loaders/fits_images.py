"""One FITS HDU -> its planes as `SkyImage` values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skyshade.errors import DataError, UnsupportedError
from skyshade.loaders.fits_compressed import CompressedImage, is_compressed
from skyshade.loaders.fits_headers import AnyHeader, Hdu, number, text, value
from skyshade.loaders.fits_pixels import FitsReader, PixelFormat
from skyshade.loaders.fits_planes import plane_axes, planes
from skyshade.loaders.fits_wcs import celestial, distortion_notes
from skyshade.loaders.private import MAX_DECODED
from skyshade.loaders.source import Source
from skyshade.loaders.units import parse_unit, unit_name
from skyshade.types import AnyArray, PixelReader, SkyImage

KEPT = (
    *("OBJECT", "TELESCOP", "INSTRUME", "DETECTOR", "FILTER", "BAND", "FREQ", "WAVELEN", "ORIGIN"),
    *("DATE-OBS", "MJD-OBS", "EXPTIME", "RADESYS", "EQUINOX", "POLCCONV", "BUNIT", "AUTHOR"),
    *("BTYPE", "BMAJ", "BMIN", "BPA", "RESTFRQ", "SPECSYS", "CREATOR", "REFERENC", "EXTVER"),
)
_PRESENT = 0.25  # of the declared bytes: a truncated image with less is rejected


@dataclass(frozen=True, eq=False)
class Block:
    """The pixels of an HDU before they are split into planes."""

    header: AnyHeader
    axes: tuple[int, ...]
    pixels: PixelFormat
    reader: Callable[[int], PixelReader]
    notes: tuple[str, ...] = ()


class Transposed:
    """A `PixelReader` with rows and columns of another exchanged."""

    def __init__(self, reader: PixelReader) -> None:
        self._reader = reader

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self._reader.shape[1], self._reader.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._reader.dtype

    def version(self) -> str:
        """Return the version of the other reader."""
        return self._reader.version()

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> AnyArray:
        """Return pixels ``[y0:y1:step, x0:x1:step]``."""
        return np.ascontiguousarray(self._reader.read(x0, x1, y0, y1, step).T)


def holds_image(hdu: Hdu) -> bool:
    """Tell whether an HDU is an image with at least one pixel axis."""
    return is_compressed(hdu) or (hdu.kind in ("IMAGE", "GROUPS") and bool(hdu.axes))


def read_images(
    source: Source, hdu: Hdu, max_decoded: int = MAX_DECODED, bands: Sequence[str] = ()
) -> list[SkyImage]:
    """Return the planes of an image HDU; of a cube of any number of axes, all share one WCS.

    Parameters
    ----------
    source : Source
    hdu : Hdu
    max_decoded : int, optional
        Bytes that a compressed image may decode to.
    bands : sequence of str, optional
        Names of energy bands from a table of the file.

    Raises
    ------
    UnsupportedError
        No celestial WCS, or no pixels.
    DataError
        Broken.
    """
    packed = is_compressed(hdu)
    block = _compressed(source, hdu, max_decoded) if packed else _plain(source, hdu)
    axes = plane_axes(block.header, block.axes, block.pixels.bitpix < 0, bands)
    axis, names = planes(axes)
    wcs, swapped = celestial(block.header, (block.axes[1], block.axes[0]), source.name, hdu.part)
    common: dict[str, Any] = {
        "wcs": wcs,
        "name": source.stem,
        "plane_axis": axis,
        "units": parse_unit(text(block.header, "BUNIT"))[0],
        "title": text(block.header, "OBJECT"),
        "integer": block.pixels.integer,
        "attrs": _attributes(block.header, hdu),
        "notes": block.notes + distortion_notes(block.header),
    }
    images = []
    for index, name in enumerate(names):
        reader = block.reader(index)
        reader = Transposed(reader) if swapped else reader
        images.append(SkyImage(reader=reader, plane=name, **common))
    return images


def pixel_format(header: AnyHeader, bitpix: int) -> tuple[PixelFormat, tuple[str, ...]]:
    """Return how pixels are stored, and notes on cards that make no sense."""
    scale, zero = number(header, "BSCALE", 1.0), number(header, "BZERO", 0.0)
    blank = value(header, "BLANK")
    if bitpix < 0 or isinstance(blank, bool) or not isinstance(blank, int):
        blank = None
    pixels = PixelFormat(bitpix, scale, zero, blank)
    notes: tuple[str, ...] = ()
    if pixels.overflows:
        cards = f"BSCALE = {scale:g}, BZERO = {zero:g}"
        notes = (f"{cards}: values beyond 3.4e38 are shown as missing",)
    return pixels, notes


def _plain(source: Source, hdu: Hdu) -> Block:
    if hdu.kind == "GROUPS":
        raise UnsupportedError(source.name, "random groups are not shown", hdu.part)
    _check_axes(source.name, hdu.axes, hdu.part)
    bitpix = int(str(value(hdu.header, "BITPIX")))
    pixels, notes = pixel_format(hdu.header, bitpix)
    if hdu.present < hdu.size:
        lost = f"truncated: {hdu.present} of {hdu.size} bytes"
        if hdu.present < _PRESENT * hdu.size:
            raise DataError(source.name, lost, hdu.part)
        notes += (f"{lost}; the missing rows are blank",)
    plane = hdu.axes[0] * hdu.axes[1] * abs(bitpix) // 8
    shape = hdu.axes[1], hdu.axes[0]
    first = FitsReader(
        source.file, (hdu.start, hdu.stop), hdu.stop, shape, pixels, f"-{hdu.index}.0"
    )

    def reader(index: int) -> PixelReader:
        return first.plane(hdu.stop + index * plane, f"-{hdu.index}.{index}")

    return Block(hdu.header, hdu.axes, pixels, reader, notes)


def _compressed(source: Source, hdu: Hdu, max_decoded: int) -> Block:
    image = CompressedImage(source.file, hdu, max_decoded)
    _check_axes(source.name, image.axes, hdu.part)
    header = hdu.header.full.copy()
    if "ZBLANK" in header and "BLANK" not in header:
        header["BLANK"] = value(header, "ZBLANK")
    pixels, notes = pixel_format(header, image.claims.bitpix)
    notes += image.notes()
    return Block(header, image.axes, pixels, partial(image.reader, pixels=pixels), notes)


def _check_axes(name: str, axes: tuple[int, ...], part: str) -> None:
    sizes = " x ".join(map(str, axes))
    if 0 in axes:
        raise UnsupportedError(name, f"no data ({sizes} pixels)", part)
    if len(axes) < 2:
        raise UnsupportedError(name, f"not an image: one axis of {sizes} numbers", part)


def _attributes(header: AnyHeader, hdu: Hdu) -> dict[str, Any]:
    found: dict[str, Any] = {"HDU": hdu.index}
    if hdu.extname:
        found["EXTNAME"] = hdu.extname
    return found | kept_cards(header)


def kept_cards(header: AnyHeader) -> dict[str, Any]:
    """Return the cards worth keeping, texts as one line, and astropy's name of BUNIT as "unit"."""
    found: dict[str, Any] = {}
    for key in (k for k in KEPT if k in header):
        content = value(header, key)
        if content not in (None, ""):
            found[key] = text(header, key) if isinstance(content, str) else content
    if unit := unit_name(text(header, "BUNIT")):
        found["unit"] = unit
    return found
