"""Tile-compressed images (.fz): decoded to memory at the first read, within limits."""

from __future__ import annotations

import io
import logging
import math
import threading
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header

from skyshade.errors import DataError, UnsupportedError, one_line
from skyshade.loaders.fits_headers import Hdu, quiet, text, value, whole
from skyshade.loaders.fits_pixels import PixelFormat
from skyshade.storage import ByteFile, RawFile
from skyshade.types import AnyArray

log = logging.getLogger("skyshade")

LIMIT = 1 << 30  # decoded bytes
FREE_SIZE = 64 << 20  # decoded bytes up to which any ratio is taken
RATIO_LIMIT = 400
METHODS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS")


def is_compressed(hdu: Hdu) -> bool:
    """Tell a tile-compressed image from other tables."""
    return hdu.kind == "BINTABLE" and value(hdu.header, "ZIMAGE") is True


def check_sizes(hdu: Hdu, name: str) -> tuple[int, ...]:
    """Return ZNAXIS1, ZNAXIS2 ... after comparing what the header claims with the file."""
    method = text(hdu.header, "ZCMPTYPE")
    if method not in METHODS:
        cause = f"unknown compression {method!r}; known: {', '.join(METHODS)}"
        raise DataError(name, cause, hdu.part)
    if hdu.present < hdu.size:
        raise DataError(name, f"truncated: {hdu.present} of {hdu.size} bytes", hdu.part)
    try:
        axes, tiles, size = _claims(hdu.header)
        rows = whole(hdu.header, "NAXIS2")
    except ValueError as error:
        raise DataError(name, str(error), hdu.part) from error
    if math.prod(-(-a // t) for a, t in zip(axes, tiles, strict=True)) != rows:
        raise DataError(name, f"{rows} compressed tiles do not make up the image", hdu.part)
    if size > LIMIT or (size > FREE_SIZE and size > RATIO_LIMIT * hdu.size):
        cause = f"{hdu.size} bytes decompress to {size}: more than this version takes"
        raise UnsupportedError(name, cause, hdu.part)
    return axes


def _claims(header: Header) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return axes, tile sizes and decoded bytes; ValueError where they make no sense."""
    count = whole(header, "ZNAXIS")
    bitpix = whole(header, "ZBITPIX")
    if not 0 <= count <= 9 or bitpix not in (8, 16, 32, 64, -32, -64):
        message = f"ZNAXIS = {count}, ZBITPIX = {bitpix} are not allowed"
        raise ValueError(message)
    axes = tuple(whole(header, f"ZNAXIS{i + 1}") for i in range(count))
    tiles = tuple(whole(header, f"ZTILE{i + 1}", 1 if i else axes[0]) for i in range(count))
    if min(axes + tiles, default=0) < 1:
        message = f"image of {axes} pixels in tiles of {tiles}"
        raise ValueError(message)
    return axes, tiles, math.prod(axes) * abs(bitpix) // 8


class CompressedImage:
    """One tile-compressed HDU; its pixels are decoded once, when first asked for.

    Parameters
    ----------
    file : ByteFile
    hdu : Hdu
    """

    def __init__(self, file: ByteFile, hdu: Hdu) -> None:
        self._file, self._hdu = file, hdu
        self._lock = threading.Lock()
        self._decoded: tuple[AnyArray, PixelFormat] | None = None
        self._version = file.version()
        self.axes = check_sizes(hdu, file.name)
        self.header = self._open(lambda image: image.header.copy())

    def version(self) -> str:
        """Return the version of the file when it was opened."""
        return self._version

    def decoded(self, pixels: PixelFormat) -> tuple[AnyArray, PixelFormat]:
        """Return all stored numbers and how to read them; damaged tiles are NaN.

        Raises
        ------
        DataError
            Nothing of the image can be decoded.
        """
        with self._lock:
            if self._decoded is None:
                self._decoded = self._decode(pixels)
            return self._decoded

    def _decode(self, pixels: PixelFormat) -> tuple[AnyArray, PixelFormat]:
        try:
            stored = self._open(lambda image: np.asarray(image.data))
        except DataError as error:
            return self._salvage(pixels, error), PixelFormat(-64)
        if stored.shape != self.axes[::-1]:
            raise DataError(self._file.name, "decoded to another shape", self._hdu.part)
        return stored, replace(pixels, bitpix=_bitpix(stored.dtype))

    def _salvage(self, pixels: PixelFormat, first: DataError) -> AnyArray:
        """Decode what can be decoded, one row of tiles at a time."""
        values = np.full(self.axes[::-1], np.nan)
        height = max(1, whole(self._hdu.header, "ZTILE2", 1))

        def pick(image: Any) -> int:
            good = 0
            for index in np.ndindex(values.shape[:-2]):
                for y in range(0, values.shape[-2], height):
                    box = (*index, slice(y, y + height), slice(None))
                    stored = _section(image, box)
                    if stored is not None:
                        values[box] = replace(pixels, bitpix=_bitpix(stored.dtype)).decode(stored)
                        good += 1
            return good

        if not self._open(pick):
            raise first
        log.warning("%s, %s: damaged tiles are shown as missing", self._file.name, self._hdu.part)
        return values

    def _open(self, job: Any) -> Any:
        """Run `job` on astropy's HDU; whatever goes wrong in there is a DataError."""
        try:
            raw = io.BufferedReader(RawFile(self._file), 1 << 20)
            options = {"memmap": False, "do_not_scale_image_data": True}
            with quiet(), fits.open(raw, mode="readonly", **options) as hdus:
                return job(hdus[self._hdu.index])
        except Exception as error:
            # Decoders meet hostile bytes here and raise anything; the HDU is rejected or salvaged.
            log.debug("%s, %s cannot be decoded", self._file.name, self._hdu.part, exc_info=True)
            cause = one_line(str(error) or type(error).__name__, 160)
            raise DataError(
                self._file.name, f"cannot be decoded: {cause}", self._hdu.part
            ) from error


class CompressedReader:
    """A `PixelReader` of one plane of a `CompressedImage`."""

    def __init__(self, image: CompressedImage, index: tuple[int, ...], pixels: PixelFormat) -> None:
        self._image, self._index, self._pixels = image, index, pixels

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self._image.axes[1], self._image.axes[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._pixels.dtype

    def version(self) -> str:
        """Return a short text that changes with the file; differs between planes."""
        label = ".".join(map(str, (self._image._hdu.index, *self._index)))
        return f"{self._image.version()}-{label}"

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> AnyArray:
        """Return pixels ``[y0:y1:step, x0:x1:step]``; missing ones are NaN."""
        stored, pixels = self._image.decoded(self._pixels)
        key: Any = (*self._index, slice(max(0, y0), y1, step), slice(max(0, x0), x1, step))
        box: AnyArray = stored[key]
        return pixels.decode(box).astype(self.dtype, copy=False)


def _section(image: Any, box: tuple[Any, ...]) -> AnyArray | None:
    try:
        return np.asarray(image.section[box])
    except Exception:
        log.debug("tiles %s cannot be decoded", box, exc_info=True)
        return None


def _bitpix(dtype: np.dtype[Any]) -> int:
    return dtype.itemsize * (-8 if dtype.kind == "f" else 8)
