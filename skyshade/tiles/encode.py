"""Pictures to PNG, WebP or JPEG, and numbers to value tiles.

PNG is written here, with as few bits a pixel as the colours need; isal deflates it some ten times
faster than zlib. Level 2 makes tiles a few per cent smaller than level 1 in the same time.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError, UnknownNameError
from skyshade.kernels.png import mark_used, up_pays
from skyshade.types import AnyArray, Image

try:
    from isal import isal_zlib
except ImportError:  # slower, but the same files up to compression
    isal_zlib = None  # type: ignore[assignment]

MEDIA_TYPES = {
    "png": "image/png",
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "f2": "application/octet-stream",
    "f4": "application/octet-stream",
}
PICTURES = ("png", "webp", "jpg")
NUMBERS = ("f2", "f4")
QUALITY = 90
_LOSSLESS_EFFORT = 20  # twice as fast as 90, and 1 % larger
F2_MAX = 65504.0

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _RGBA = 0, 2, 3, 6  # PNG colour types
_ROWS_TRIED = 8  # the filter is chosen on every eighth row
_FEW = 128  # so few colours are numbered anew: a shorter palette, perhaps fewer bits

Bytes = NDArray[np.uint8]


class Encoded(NamedTuple):
    """A file's bytes and what they are."""

    data: bytes
    media_type: str


def encode(image: Image, fmt: str, *, backdrop: tuple[int, int, int] = (0, 0, 0)) -> Encoded:
    """Return a picture as a file.

    Parameters
    ----------
    image : Image
    fmt : {"png", "webp", "jpg"}
        PNG is exact. WebP is exact for palette images, lossy (quality 90) for RGBA ones.
    backdrop : tuple of int
        RGB behind transparent pixels of a JPEG.

    Raises
    ------
    UnknownNameError
        When `fmt` is none of these.
    """
    if fmt == "png":
        data = _png(image)
    elif fmt == "webp":
        data = _webp(image)
    elif fmt == "jpg":
        data = _jpeg(image, backdrop)
    else:
        raise UnknownNameError("picture format", fmt, PICTURES)
    return Encoded(data, MEDIA_TYPES[fmt])


def encode_values(values: AnyArray, fmt: str, scale: float = 1.0) -> Encoded:
    """Return numbers as a value tile: little-endian, row 0 on top, NaN for none.

    Parameters
    ----------
    values : ndarray, shape (height, width)
        Unsigned integers and booleans are missing where they are 0; infinities are missing.
    fmt : {"f2", "f4"}
        float16 of ``value / scale``, saturating at +-65504, or float32 of the value.
    scale : float
        Positive; for ``f2`` only.

    Raises
    ------
    InputError
        When the numbers have categories, or the scale is not positive.
    """
    if fmt not in NUMBERS:
        raise UnknownNameError("value format", fmt, NUMBERS)
    if values.ndim != 2:
        msg = f"a value tile holds (y, x) numbers, not {values.ndim} dimensions: ask for png"
        raise InputError(msg)
    if not (scale > 0 and math.isfinite(scale)):
        msg = f"scale={scale} is not allowed: give a positive number"
        raise InputError(msg)
    numbers = values if values.dtype.kind == "f" else values.astype(np.float64)
    missing = values == 0 if values.dtype.kind in "bu" else ~np.isfinite(numbers)
    with np.errstate(over="ignore", invalid="ignore"):
        kept = np.where(missing, np.nan, numbers / scale if fmt == "f2" else numbers)
    top = F2_MAX if fmt == "f2" else float(np.finfo(np.float32).max)
    return Encoded(np.clip(kept, -top, top).astype(f"<{fmt}").tobytes(), MEDIA_TYPES[fmt])


def constant(colour: tuple[int, int, int, int], height: int, width: int) -> bytes:
    """Return the PNG of one RGBA colour: one bit a pixel, remembered."""
    return _constant(bytes(colour), height, width)


@lru_cache(maxsize=1024)
def _constant(colour: bytes, height: int, width: int) -> bytes:
    rows = np.zeros((height, 1 + (width + 7) // 8), np.uint8)
    table = np.frombuffer(colour, np.uint8).reshape(1, 4)
    return _file((width, height), 1, _PALETTE, rows, table)


def _png(image: Image) -> bytes:
    if image.palette is None:
        return _png_rgba(image.pixels)
    return _png_palette(image.pixels, image.palette)


def _png_palette(indices: Bytes, palette: Bytes) -> bytes:
    """Write indices with the colours that occur, in 1, 2, 4 or 8 bits."""
    pixels = np.ascontiguousarray(indices)
    height, width = pixels.shape
    seen = np.zeros(256, np.uint8)
    mark_used(pixels, seen)
    used = np.flatnonzero(seen)
    if used.size == 1:
        return _constant(palette[used[0]].tobytes(), height, width)
    if used.size <= _FEW:
        place = np.zeros(256, np.uint8)
        place[used] = np.arange(used.size)
        pixels = place[pixels]
    else:
        used = np.arange(used[-1] + 1)
    bits = _bits(used.size)
    rows = _filtered(pixels) if bits == 8 else _packed(pixels, bits)
    return _file((width, height), bits, _PALETTE, rows, palette[used])


def _bits(colours: int) -> int:
    return next(bits for bits in (1, 2, 4, 8) if colours <= 1 << bits)


def _packed(pixels: Bytes, bits: int) -> Bytes:
    """Return rows of numbers below ``2**bits``, the leftmost pixel in the highest bits."""
    per_byte = 8 // bits
    height, width = pixels.shape
    if width % per_byte:
        pixels = np.pad(pixels, ((0, 0), (0, -width % per_byte)))
    parts = pixels.reshape(height, -1, per_byte)
    out = np.zeros((height, 1 + parts.shape[1]), np.uint8)  # the first byte: no filter
    for i in range(per_byte):
        out[:, 1:] |= parts[:, :, i] << np.uint8(8 - bits * (i + 1))
    return out


def _png_rgba(pixels: Bytes) -> bytes:
    """Write RGBA, or RGB when every pixel is opaque."""
    height, width, _ = pixels.shape
    first = pixels[0, 0]
    if np.all(pixels == first):
        return _constant(first.tobytes(), height, width)
    opaque = bool(np.all(pixels[:, :, 3] == 255))
    rows = np.ascontiguousarray(pixels[:, :, :3] if opaque else pixels).reshape(height, -1)
    return _file((width, height), 8, _RGB if opaque else _RGBA, _filtered(rows), None)


def _filtered(pixels: Bytes) -> Bytes:
    """Return rows with their filter byte: 2 (difference from the row above) where it pays, or 0."""
    up = up_pays(pixels, _ROWS_TRIED)
    out = np.empty((pixels.shape[0], pixels.shape[1] + 1), np.uint8)
    out[:, 0] = 2 if up else 0
    out[:, 1:] = pixels
    if up:
        out[1:, 1:] -= pixels[:-1]
    return out


def _file(size: tuple[int, int], bits: int, kind: int, rows: Bytes, table: Bytes | None) -> bytes:
    """Put a PNG file together (W3C PNG specification, third edition)."""
    parts = [_SIGNATURE, _chunk(b"IHDR", struct.pack(">2I5B", *size, bits, kind, 0, 0, 0))]
    if table is not None:
        parts.append(_chunk(b"PLTE", table[:, :3].tobytes()))
        clear = np.flatnonzero(table[:, 3] < 255)
        if clear.size:
            parts.append(_chunk(b"tRNS", table[: clear[-1] + 1, 3].tobytes()))
    parts += [_chunk(b"IDAT", _deflate(rows)), _chunk(b"IEND", b"")]
    return b"".join(parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", _crc(data, _crc(name)))


def _deflate(rows: Bytes) -> bytes:
    if isal_zlib is None:
        return zlib.compress(rows.data, 1)
    made: bytes = isal_zlib.compress(rows.data, 2)
    return made


def _crc(data: bytes, start: int = 0) -> int:
    made: int = zlib.crc32(data, start) if isal_zlib is None else isal_zlib.crc32(data, start)
    return made


def _webp(image: Image) -> bytes:
    from PIL import Image as Pillow  # noqa: PLC0415 (not on the way to a PNG tile)

    picture, out = Pillow.fromarray(np.ascontiguousarray(image.rgba())), io.BytesIO()
    lossless = image.palette is not None
    quality = _LOSSLESS_EFFORT if lossless else QUALITY
    picture.save(out, "WEBP", lossless=lossless, exact=lossless, method=0, quality=quality)
    return out.getvalue()


def _jpeg(image: Image, backdrop: tuple[int, int, int]) -> bytes:
    from PIL import Image as Pillow  # noqa: PLC0415 (not on the way to a PNG tile)

    colours = image.pixels if image.palette is None else image.palette
    a = colours[..., 3:] / 255.0
    mixed = np.rint(colours[..., :3] * a + np.array(backdrop) * (1.0 - a)).astype(np.uint8)
    rgb = mixed if image.palette is None else mixed[image.pixels]
    out = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(rgb)).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
