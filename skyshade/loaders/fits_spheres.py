"""Pixels of HEALPix maps in FITS tables, by bounded reads of the rows that hold them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import ChangedError, DataError
from skyshade.kernels.files import read_pieces
from skyshade.kernels.healpix import native_floats
from skyshade.loaders.fits_pixels import PixelFormat
from skyshade.storage import ByteFile, Stamp
from skyshade.types import AnyArray, IntArray

_GAP = 4096  # bytes between two values of a column that are read with them
_AT_ONCE = 8 << 20  # bytes of the file that are held at once
LISTED = 1 << 28  # pixels of a partial map: their numbers are held in memory
UNSORTED = 1 << 26  # pixels of a partial map in no order: these are held in memory
_NEAR = 1e-5  # of the value that means "missing", which is not an exact float32


@dataclass(frozen=True)
class Column:
    """Where the numbers of one column lie, and what they mean.

    Parameters
    ----------
    start : int
        Byte of the first number in the file.
    pitch, rows : int
        Bytes from a row of the table to the next one; rows.
    count : int
        Numbers in a row.
    pixels : PixelFormat
    missing : float
        Value of pixels that were not observed, UNSEEN.
    """

    start: int
    pitch: int
    rows: int
    count: int
    pixels: PixelFormat
    missing: float

    @property
    def size(self) -> int:
        """Numbers in all rows."""
        return self.rows * self.count

    @property
    def width(self) -> int:
        """Bytes of the column in a row."""
        return self.count * self.pixels.stored.itemsize

    @property
    def step(self) -> int:
        """Bytes from one number to the next in what is read at once.

        Single numbers with a narrow gap between them are read with the gap.
        """
        narrow = self.count == 1 and self.pitch - self.width <= _GAP
        return self.pitch if narrow else self.pixels.stored.itemsize

    @property
    def longest(self) -> int:
        """Numbers that can be read at once."""
        gapless = self.width == self.pitch or self.step == self.pitch
        return max(1, _AT_ONCE // self.step) if gapless else self.count

    def decode(self, stored: AnyArray) -> AnyArray:
        """Return values of big-endian numbers; what is missing is NaN."""
        near = _NEAR * abs(self.missing)
        if self.pixels.bitpix < 0 and not self.pixels.scaled:
            out = np.empty(stored.size, self.pixels.dtype)
            native_floats(stored.view(f"u{stored.itemsize}"), self.missing, near, out)
            return out
        values = self.pixels.decode(stored)
        with np.errstate(invalid="ignore"):
            values[np.abs(values - self.missing) <= near] = np.nan
        return values


class Series:
    """The numbers of one column, as one long row; safe in many threads.

    A file that changed since it was opened is read on with a new version if the header of the
    table is still the same.

    Parameters
    ----------
    file : ByteFile
    header : tuple of int
        First byte of the header, and of the data.
    column : Column
    label : str
        Told apart from other columns of the file in `version`.
    """

    def __init__(self, file: ByteFile, header: tuple[int, int], column: Column, label: str) -> None:
        self.file, self.column = file, column
        self._header, self._label = header, label
        self._stamp = file.stamp()
        self._cards = self._read_header()

    def version(self) -> str:
        """Return a short text that changes with the file; differs between columns."""
        return f"{self.file.version()}{self._label}"

    def current(self) -> Stamp:
        """Return the file's stamp.

        Raises
        ------
        ChangedError
            The header changed since the file was opened.
        """
        now = self.file.stamp()
        if now != self._stamp:
            if self._read_header() != self._cards:
                raise ChangedError(self.file.name, "its header changed; open it again")
            self._stamp = now
        return now

    def read(self, runs: IntArray) -> AnyArray:
        """Return the values of runs of numbers, one after the other.

        Parameters
        ----------
        runs : ndarray of int64, shape (n, 2)
            First number, and the one after the last; within the column.

        Raises
        ------
        ChangedError
            The file changed while it was read, or its header changed since it was opened.
        """
        before, column = self.current(), self.column
        out = np.empty(int((runs[:, 1] - runs[:, 0]).sum()), column.pixels.dtype)
        at = 0
        for pieces in _batches(_cut(runs, column), column):
            values = self._values(pieces, before.size)
            out[at : at + values.size] = values
            at += values.size
        self.file.check(before)
        return out

    def _values(self, pieces: IntArray, size: int) -> AnyArray:
        """Return the values of pieces: each lies in one row, or goes through rows of one value."""
        column, item = self.column, self.column.pixels.stored.itemsize
        rows, at = pieces[:, 0] // column.count, pieces[:, 0] % column.count
        offsets = column.start + rows * column.pitch + at * item
        counts = pieces[:, 1] - pieces[:, 0]
        step = column.step
        sizes = counts * step
        buffer = np.empty(int(sizes.sum()), np.uint8)
        filled = read_pieces(self.file.fd, offsets, sizes, buffer)
        stored = buffer.reshape(-1, step)[:, :item]
        values = column.decode(stored.view(column.pixels.stored)[:, 0])
        if filled < len(pieces):
            begins = np.repeat(offsets - np.cumsum(sizes) + sizes, counts)
            values[begins + step * np.arange(values.size) + item > size] = np.nan
        return values

    def _read_header(self) -> bytes:
        start, stop = self._header
        return self.file.read(start, stop - start)


def _cut(runs: IntArray, column: Column) -> IntArray:
    """Cut runs where other columns lie between the numbers, and to what is held at once."""
    limit = column.longest
    first, last = runs[:, 0] // limit, (runs[:, 1] - 1) // limit
    if np.array_equal(first, last):
        return runs
    parts = np.maximum(last - first + 1, 0)
    whose = np.repeat(np.arange(len(runs)), parts)
    number = np.arange(whose.size) - np.repeat(np.cumsum(parts) - parts, parts) + first[whose]
    begin = np.maximum(number * limit, runs[whose, 0])
    return np.stack([begin, np.minimum((number + 1) * limit, runs[whose, 1])], axis=1)


def _batches(pieces: IntArray, column: Column) -> Iterator[IntArray]:
    """Yield pieces together as far as they are held at once."""
    held = np.cumsum((pieces[:, 1] - pieces[:, 0]) * column.step)
    begin = 0
    while begin < len(pieces):
        done = held[begin - 1] if begin else 0
        end = max(int(np.searchsorted(held, done + _AT_ONCE, side="right")), begin + 1)
        yield pieces[begin:end]
        begin = end


class FullSphere:
    """A `SphereReader` of a column that holds every pixel of the sphere in turn."""

    listed: NDArray[np.int32] | None = None

    def __init__(self, series: Series, nside: int, nested: bool) -> None:
        self._series, self.nside, self.nested = series, nside, nested

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._series.column.pixels.dtype

    def version(self) -> str:
        """Return a short text that changes with the file; differs between columns."""
        return self._series.version()

    def read(self, start: int, stop: int) -> AnyArray:
        """Return pixels ``start`` to ``stop``; missing ones are NaN."""
        return self.read_runs(np.array([[start, stop]], np.int64))

    def read_runs(self, runs: IntArray) -> AnyArray:
        """Return the pixels of runs, shape (n, 2), one after the other; missing ones are NaN."""
        return self._series.read(runs)


class Index:
    """The pixel numbers that a partial map lists: read once, and again when the file changes.

    Parameters
    ----------
    series : Series
        The column of pixel numbers.
    count : int
        Pixels of the whole sphere.
    part : str
        The HDU, for messages.

    Raises
    ------
    DataError
        A number lies outside the sphere.
    """

    def __init__(self, series: Series, count: int, part: str) -> None:
        self._series, self._count, self._part = series, count, part
        self._lock = threading.Lock()
        self._held = self._read()

    def held(self) -> tuple[NDArray[np.int32], IntArray | None]:
        """Return the pixel numbers, sorted, and the place of each in the file (None: the same)."""
        with self._lock:
            if self._series.current() != self._held[0]:
                self._held = self._read()
            return self._held[1:]

    def _read(self) -> tuple[Stamp, NDArray[np.int32], IntArray | None]:
        column, stamp = self._series.column, self._series.current()
        pixels = np.empty(column.size, np.int32)
        step = _AT_ONCE // 8
        for at in range(0, column.size, step):
            some = self._series.read(np.array([[at, min(at + step, column.size)]], np.int64))
            if not ((some >= 0) & (some < self._count)).all():
                bad = some[~((some >= 0) & (some < self._count))][0]
                cause = f"pixel {bad:g} is not on the sphere: allowed are 0 to {self._count - 1}"
                raise DataError(self._series.file.name, cause, self._part)
            pixels[at : at + some.size] = some
        if (pixels[1:] >= pixels[:-1]).all():
            return stamp, pixels, None
        if pixels.size > UNSORTED:
            cause = f"{pixels.size} pixels in no order; allowed are {UNSORTED}, or sorted ones"
            raise DataError(self._series.file.name, cause, self._part)
        order = np.argsort(pixels, kind="stable")
        return stamp, pixels[order], order


class PartialSphere:
    """A `SphereReader` of a column beside a column of pixel numbers."""

    def __init__(self, series: Series, index: Index, nside: int, nested: bool) -> None:
        self._series, self._index = series, index
        self.nside, self.nested = nside, nested
        self._lock = threading.Lock()
        self._sorted: tuple[Stamp, AnyArray] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._series.column.pixels.dtype

    @property
    def listed(self) -> NDArray[np.int32] | None:
        """Pixel numbers that the map lists, sorted."""
        return self._index.held()[0]

    def version(self) -> str:
        """Return a short text that changes with the file; differs between columns."""
        return self._series.version()

    def read(self, start: int, stop: int) -> AnyArray:
        """Return pixels ``start`` to ``stop``; missing ones are NaN."""
        return self.read_runs(np.array([[start, stop]], np.int64))

    def read_runs(self, runs: IntArray) -> AnyArray:
        """Return the pixels of runs, shape (n, 2), one after the other; missing ones are NaN."""
        pixels, order = self._index.held()
        lengths = runs[:, 1] - runs[:, 0]
        out = np.full(int(lengths.sum()), np.nan, self.dtype)
        rows = np.stack([np.searchsorted(pixels, runs[:, n].astype(np.int32)) for n in (0, 1)], 1)
        some = rows[:, 1] > rows[:, 0]
        rows, shift = rows[some], (np.cumsum(lengths) - lengths - runs[:, 0])[some]
        if not len(rows):
            return out
        counts = rows[:, 1] - rows[:, 0]
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        place = pixels[np.repeat(rows[:, 0], counts) + within] + np.repeat(shift, counts)
        if order is None:
            out[place] = self._series.read(_joined(rows))
        else:
            out[place] = self._values(order)[np.repeat(rows[:, 0], counts) + within]
        return out

    def _values(self, order: IntArray) -> AnyArray:
        """Return all values in the order of the pixels, for a file that has another order."""
        with self._lock:
            stamp = self._series.current()
            if self._sorted is None or self._sorted[0] != stamp:
                everything = np.array([[0, self._series.column.size]], np.int64)
                self._sorted = stamp, self._series.read(everything)[order]
            return self._sorted[1]


def _joined(rows: IntArray) -> IntArray:
    """Join runs that follow one another."""
    begins = np.append(True, rows[1:, 0] != rows[:-1, 1])
    ends = np.append(rows[1:, 0] != rows[:-1, 1], True)
    return np.stack([rows[begins, 0], rows[ends, 1]], axis=1)
