"""Pixels of an uncompressed FITS image by bounded reads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import ChangedError
from skyshade.kernels.files import read_pieces
from skyshade.storage import ByteFile, Scratch, Stamp
from skyshade.types import AnyArray

_GAP = 8192  # bytes: copying this much costs about as much as one more system call
_SPAN = 4 << 20  # bytes of the file that are held at once
_UNSIGNED = {8: -128.0, 16: 32768.0, 32: 2147483648.0, 64: 9223372036854775808.0}
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class PixelFormat:
    """How stored numbers become values: ``BZERO + BSCALE * stored``, BLANK and Inf become NaN.

    Parameters
    ----------
    bitpix : int
    bscale, bzero : float
    blank : int, optional
        Stored integer that means "no value".
    """

    bitpix: int
    bscale: float = 1.0
    bzero: float = 0.0
    blank: int | None = None

    @cached_property
    def stored(self) -> np.dtype[Any]:
        """Type in the file: big-endian; one byte is unsigned."""
        kind = "f" if self.bitpix < 0 else ("u" if self.bitpix == 8 else "i")
        return np.dtype(f">{kind}{abs(self.bitpix) // 8}")

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values: float32 where that loses nothing that matters, else float64."""
        wide = self.bitpix in (-64, 32, 64) or self.overflows
        return np.dtype(np.float64 if wide else np.float32)

    @property
    def overflows(self) -> bool:
        """Whether stored integers may stand for values that float32 cannot hold."""
        if self.bitpix < 0:
            return False  # cannot be known; overflow becomes NaN
        return abs(self.bscale) * 2.0**self.bitpix + abs(self.bzero) > _FLOAT32_MAX

    @property
    def scaled(self) -> bool:
        """Whether values differ from the stored numbers."""
        return (self.bscale, self.bzero) != (1.0, 0.0)

    @property
    def integer(self) -> bool:
        """Whether values are whole numbers: unscaled, or the convention for unsigned ones."""
        plain = self.bscale == 1.0 and self.bzero in (0.0, _UNSIGNED.get(self.bitpix))
        return self.bitpix > 0 and plain

    def decode(self, stored: AnyArray) -> AnyArray:
        """Return values of `stored` numbers as a fresh array of `dtype`."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.scaled:
                values = (stored.astype(np.float64) * self.bscale + self.bzero).astype(self.dtype)
            else:
                values = stored.astype(self.dtype)
        if self.blank is not None and self.bitpix > 0:
            values[stored == self.blank] = np.nan
        if self.bitpix < 0 or self.scaled:
            infinite = np.isinf(values)
            if infinite.any():
                values[infinite] = np.nan
        return values


class FitsReader:
    """A `PixelReader` of one plane of an uncompressed image; safe in many threads.

    Full-width rows are one contiguous read, which is what an overview builder wants. A file that
    changed since it was opened is read on with a new version if its header is still the same.

    Parameters
    ----------
    file : ByteFile
    header : tuple of int
        First byte of the header, and of the HDU's data.
    offset : int
        First byte of the plane.
    shape : tuple of int
        (ny, nx).
    pixels : PixelFormat
    label : str
        Told apart from other planes of the file in `version`.
    """

    def __init__(
        self,
        file: ByteFile,
        header: tuple[int, int],
        offset: int,
        shape: tuple[int, int],
        pixels: PixelFormat,
        label: str = "",
    ) -> None:
        self._file, self._header, self._offset = file, header, offset
        self._shape, self._pixels, self._label = shape, pixels, label
        self._stamp = file.stamp()
        self._cards = self._read_header()

    def plane(self, offset: int, label: str) -> FitsReader:
        """Return the reader of another plane of the same HDU, without another look at the file."""
        other = copy.copy(self)
        other._offset, other._label = offset, label
        return other

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._pixels.dtype

    def version(self) -> str:
        """Return a short text that changes with the file; differs between planes."""
        return f"{self._file.version()}{self._label}"

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> AnyArray:
        """Return pixels ``[y0:y1:step, x0:x1:step]``; missing ones are NaN.

        Raises
        ------
        ChangedError
            The file changed while it was read, or its header changed since it was opened.
        """
        ny, nx = self._shape
        rows = range(max(0, y0), min(ny, y1), step)
        x0, x1 = max(0, x0), min(nx, x1)
        if not rows or x0 >= x1:
            return np.empty((len(rows), max(0, -(-(x1 - x0) // step))), self.dtype)
        before = self._current()
        values = self._decode_all(rows, x0, x1, step)
        self._file.check(before)
        columns = range(x0, x1, step)
        if self._place(rows[-1], columns[-1] + 1) > before.size:
            self._blank_missing(values, rows, columns, before.size)
        return values

    @property
    def stored(self) -> np.dtype[Any] | None:
        """Type of the numbers in the file when they are the values themselves; None if scaled."""
        return None if self._pixels.scaled else self._pixels.stored

    @property
    def blank(self) -> int | None:
        """Stored integer that means "no value"."""
        return self._pixels.blank if self._pixels.bitpix > 0 else None

    def stored_rows(
        self, y0: int, y1: int, x0: int, x1: int, work: Callable[[int, int, int], bool]
    ) -> bool:
        """Have the rows of a box within the image read as they lie in the file.

        Parameters
        ----------
        y0, y1, x0, x1 : int
            Rows and columns.
        work : callable
            ``work(fd, offset, pitch)`` reads big-endian numbers from a file: its descriptor, place
            of the first row and bytes from one row to the next. Returns whether it got them all.

        Returns
        -------
        bool
            False when a truncated file does not hold the box, or `work` did not get all of it.

        Raises
        ------
        ChangedError
            As `read`.
        """
        before = self._current()
        if self._place(y1 - 1, x1) > before.size:
            return False
        pitch = self._shape[1] * self._pixels.stored.itemsize
        whole = work(self._file.fd, self._place(y0, x0), pitch)
        self._file.check(before)
        return whole

    def stored_boxes(
        self, corners: Sequence[tuple[int, int]], shape: tuple[int, int], buffer: NDArray[np.uint8]
    ) -> AnyArray | None:
        """Read boxes of one shape as they lie in the file, all at once.

        Parameters
        ----------
        corners : sequence of (int, int)
            First row and column of each.
        shape : (int, int)
            Rows and columns of a box; all lie within the image.
        buffer : ndarray of uint8
            Filled with the numbers; as large as they are, or larger.

        Returns
        -------
        ndarray of unsigned integers, shape (boxes * rows, columns)
            A view of `buffer`: the bytes of big-endian numbers read as native integers. None when
            a truncated file does not hold the boxes.

        Raises
        ------
        ChangedError
            As `read`.
        """
        before, (high, wide) = self._current(), shape
        size = self._pixels.stored.itemsize
        first = np.array([self._place(y, x) for y, x in corners], np.int64)
        offsets = (first[:, None] + np.arange(high) * (self._shape[1] * size)).ravel()
        block = buffer[: offsets.size * wide * size]
        filled = read_pieces(self._file.fd, offsets, np.full(offsets.size, wide * size), block)
        if filled < offsets.size:
            return None
        self._file.check(before)
        return block.view(f"u{size}").reshape(-1, wide)

    def _place(self, y: int, x: int) -> int:
        return self._offset + (y * self._shape[1] + x) * self._pixels.stored.itemsize

    def _decode_all(self, rows: range, x0: int, x1: int, step: int) -> AnyArray:
        """Return the values of `rows`, columns x0..x1, decoded from a bounded buffer."""
        nx, size = self._shape[1], self._pixels.stored.itemsize
        width, pitch = (x1 - x0) * size, nx * rows.step * size
        gapless = pitch - width <= _GAP
        at_once = max(1, _SPAN // (pitch if gapless else width))
        parts = []
        for first in range(0, len(rows), at_once):
            some = rows[first : first + at_once]
            start = self._place(some[0], x0)
            with Scratch(len(some) * (pitch if gapless else width)) as buffer:
                if gapless:
                    block = self._fetch_span(buffer.reshape(-1, pitch), start, width)
                else:
                    block = buffer.reshape(-1, width)
                    self._file.read_pieces(block, start, pitch)
                parts.append(self._pixels.decode(block.view(self._pixels.stored)[:, ::step]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _fetch_span(self, lines: NDArray[np.uint8], start: int, width: int) -> NDArray[np.uint8]:
        """Read whole lines of the file at once; return the first `width` bytes of each."""
        flat = lines.reshape(-1)
        wanted = flat.size - (lines.shape[1] - width)
        flat[self._file.read_into(flat[:wanted], start) :] = 0
        return lines[:, :width]

    def _blank_missing(self, values: AnyArray, rows: range, columns: range, size: int) -> None:
        """Set to NaN what lies beyond the end of a truncated file."""
        present = (size - self._offset) // self._pixels.stored.itemsize
        y, x = np.array(rows)[:, None], np.array(columns)[None, :]
        values[y * self._shape[1] + x >= present] = np.nan

    def _current(self) -> Stamp:
        """Return the file's stamp; accept a changed file only if its header is the same."""
        now = self._file.stamp()
        if now != self._stamp:
            if self._read_header() != self._cards:
                raise ChangedError(self._file.name, "its header changed; open it again")
            self._stamp = now
        return now

    def _read_header(self) -> bytes:
        start, stop = self._header
        return self._file.read(start, stop - start)
