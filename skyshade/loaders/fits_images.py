"""One FITS HDU -> its planes as `SkyImage` values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io.fits import Header

from skyshade.errors import DataError, UnsupportedError
from skyshade.loaders.fits_compressed import CompressedImage, CompressedReader, is_compressed
from skyshade.loaders.fits_headers import Hdu, number, text, value
from skyshade.loaders.fits_pixels import FitsReader, PixelFormat
from skyshade.loaders.fits_planes import MAX_PLANES, plane_names
from skyshade.loaders.fits_wcs import celestial
from skyshade.loaders.source import Source
from skyshade.types import AnyArray, PixelReader, SkyImage

KEPT = (
    *("OBJECT", "TELESCOP", "INSTRUME", "DETECTOR", "FILTER", "BAND", "FREQ", "WAVELEN", "ORIGIN"),
    *("DATE-OBS", "MJD-OBS", "EXPTIME", "RADESYS", "EQUINOX", "POLCCONV", "BUNIT", "AUTHOR"),
)
_PRESENT = 0.25  # of the declared bytes: a truncated image with less is rejected


@dataclass(frozen=True, eq=False)
class Block:
    """The pixels of an HDU before they are split into planes."""

    header: Header
    axes: tuple[int, ...]
    pixels: PixelFormat
    reader: Callable[[tuple[int, ...]], PixelReader]
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


def read_images(source: Source, hdu: Hdu) -> list[SkyImage]:
    """Return the planes of an image HDU.

    Raises
    ------
    UnsupportedError
        No celestial WCS, no pixels, or a cube that this version does not show.
    DataError
        Broken.
    """
    block = _compressed(source, hdu) if is_compressed(hdu) else _plain(source, hdu)
    try:
        axis, names, indices = _planes(block)
    except ValueError as error:
        raise UnsupportedError(source.name, str(error), hdu.part) from error
    wcs, swapped = celestial(block.header, (block.axes[1], block.axes[0]), source.name, hdu.part)
    common: dict[str, Any] = {
        "wcs": wcs,
        "name": source.stem,
        "plane_axis": axis,
        "units": text(block.header, "BUNIT"),
        "title": text(block.header, "OBJECT"),
        "integer": block.pixels.integer,
        "attrs": _attributes(block.header, hdu),
        "notes": block.notes,
    }
    images = []
    for name, index in zip(names, indices, strict=True):
        reader = block.reader(index)
        reader = Transposed(reader) if swapped else reader
        images.append(SkyImage(reader=reader, plane=name, **common))
    return images


def pixel_format(header: Header, bitpix: int) -> tuple[PixelFormat, tuple[str, ...]]:
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

    def reader(index: tuple[int, ...]) -> PixelReader:
        flat = int(np.ravel_multi_index(index, hdu.axes[:1:-1])) if index else 0
        shape, label = (hdu.axes[1], hdu.axes[0]), f"-{hdu.index}.{flat}"
        offset = hdu.stop + flat * plane
        return FitsReader(source.file, (hdu.start, hdu.stop), offset, shape, pixels, label)

    return Block(hdu.header, hdu.axes, pixels, reader, notes)


def _compressed(source: Source, hdu: Hdu) -> Block:
    image = CompressedImage(source.file, hdu)
    _check_axes(source.name, image.axes, hdu.part)
    bitpix = int(str(value(hdu.header, "ZBITPIX")))
    pixels, notes = pixel_format(image.header, bitpix)
    return Block(
        image.header,
        image.axes,
        pixels,
        lambda index: CompressedReader(image, index, pixels),
        notes,
    )


def _check_axes(name: str, axes: tuple[int, ...], part: str) -> None:
    sizes = " x ".join(map(str, axes))
    if 0 in axes:
        raise UnsupportedError(name, f"no data ({sizes} pixels)", part)
    if len(axes) < 2:
        raise UnsupportedError(name, f"not an image: one axis of {sizes} numbers", part)


def _planes(block: Block) -> tuple[str, list[str], list[tuple[int, ...]]]:
    """Return the name of the plane axis, names of planes, and their (slowest first) indices."""
    extra = block.axes[2:]
    long = [i for i, length in enumerate(extra) if length > 1]
    if not long:
        zero = tuple(0 for _ in extra)
        return "", [""], [zero]
    if len(long) > 1:
        sizes = " x ".join(map(str, block.axes))
        message = f"{sizes} pixels: more than three axes are not shown by this version"
        raise ValueError(message)
    at = long[0]
    count = extra[at]
    if count > MAX_PLANES:
        axis = text(block.header, f"CTYPE{at + 3}") or "third axis"
        message = f"cube of {count} planes ({axis}); at most {MAX_PLANES} are shown by this version"
        raise ValueError(message)
    axis, names = plane_names(block.header, at + 3, count, block.pixels.bitpix < 0)
    indices = [tuple(k if i == at else 0 for i in range(len(extra)))[::-1] for k in range(count)]
    return axis, names, indices


def _attributes(header: Header, hdu: Hdu) -> dict[str, Any]:
    found: dict[str, Any] = {"HDU": hdu.index}
    if hdu.extname:
        found["EXTNAME"] = hdu.extname
    for key in KEPT:
        content = value(header, key)
        if content not in (None, ""):
            found[key] = text(header, key) if isinstance(content, str) else content
    return found
