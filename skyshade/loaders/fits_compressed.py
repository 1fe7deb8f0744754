"""Tile-compressed images (.fz): tiles are decoded once, when first needed, into a private file."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import ChangedError, DataError, one_line
from skyshade.loaders.fits_headers import Hdu, value
from skyshade.loaders.fits_pixels import FitsReader, PixelFormat
from skyshade.loaders.fits_tiles import Claims, TileTable
from skyshade.loaders.private import MAX_DECODED, PrivateCopy, check_decoded
from skyshade.storage import ByteFile
from skyshade.types import AnyArray

log = logging.getLogger("skyshade")

_BAND = 4 << 20  # bytes decoded in one go
_GAP = 400_000  # pixels that are decoded for nothing rather than to start the decoder once more
_SMALL = 1 << 20  # bytes; such images are decoded when they are opened, so that damage is known


def is_compressed(hdu: Hdu) -> bool:
    """Tell a tile-compressed image from other tables."""
    return hdu.kind == "BINTABLE" and value(hdu.header, "ZIMAGE") is True


class CompressedImage:
    """One tile-compressed HDU.

    Tiles are decoded in rows, those that a read needs, and kept in an anonymous temporary file of
    the decoded size (what is not decoded takes no disk). Damaged tiles are NaN.

    Parameters
    ----------
    file : ByteFile
    hdu : Hdu
    max_decoded : int, optional
        Bytes that the image may decode to.

    Raises
    ------
    DataError
        The header makes no sense, does not fit the file, or asks for more than `max_decoded`.
    """

    def __init__(self, file: ByteFile, hdu: Hdu, max_decoded: int = MAX_DECODED) -> None:
        self._file, self._hdu, self._version = file, hdu, file.version()
        if hdu.present < hdu.size:
            raise DataError(file.name, f"truncated: {hdu.present} of {hdu.size} bytes", hdu.part)
        try:
            self.claims = Claims.of(hdu.header)
            self._table = TileTable(file, hdu, self.claims)
        except ValueError as error:
            raise DataError(file.name, str(error), hdu.part) from error
        check_decoded(file.name, self.claims.size, max_decoded, hdu.part)
        self._lock = threading.Lock()
        self._scratch: PrivateCopy | None = None
        grid = (*self.claims.grid, 1)[1::-1] if len(self.claims.axes) > 1 else (1, 1)
        self._lead = self.claims.grid[:1:-1]
        self._done = np.zeros((math.prod(self._lead), grid[0]), bool)
        self._bad = np.zeros((*self._done.shape, grid[1]), bool)
        self._cause = ""

    @property
    def axes(self) -> tuple[int, ...]:
        """Pixels of the image, fastest axis first."""
        return self.claims.axes

    def version(self) -> str:
        """Return the version of the compressed file when it was opened: pixels are kept."""
        return self._version

    def notes(self) -> tuple[str, ...]:
        """Return what was found when a small image was decoded; larger ones are not looked at.

        Raises
        ------
        DataError
            No tile can be decoded.
        """
        if self.claims.size > _SMALL or len(self.axes) < 2:
            return ()
        for lead in range(len(self._done)):
            self._decode_rows(lead, range(self._done.shape[1]))
        bad = int(self._bad.sum())
        if bad == self._bad.size:
            raise DataError(self._file.name, f"cannot be decoded: {self._cause}", self._hdu.part)
        return (f"{bad} of {self._bad.size} tiles are damaged and shown as missing",) if bad else ()

    def reader(self, index: int, pixels: PixelFormat) -> CompressedReader:
        """Return the reader of a plane, counted in the order of the file."""
        return CompressedReader(self, index, pixels)

    def label(self, index: int) -> str:
        """Return what tells the plane apart in versions."""
        return f"-{self._hdu.index}.{index}"

    def scratch(self) -> PrivateCopy:
        """Return the file of decoded pixels, big-endian as in an uncompressed FITS file."""
        with self._lock:
            if self._scratch is None:
                self._scratch = PrivateCopy.of(self._file, self.claims.size)
            return self._scratch

    def ensure(self, index: int, rows: range) -> None:
        """Decode the tiles that hold rows of a plane, unless that was done.

        Raises
        ------
        ChangedError
            The file is not as it was when it was opened.
        """
        height = self.claims.tiles[1]
        needed = np.unique(np.fromiter(rows, np.int64, len(rows)) // height)
        lead = self._lead_of(index)
        if not self._done[lead, needed].all():
            self._decode_rows(lead, needed.tolist())

    def damage(self, index: int, rows: range, columns: range) -> AnyArray | None:
        """Return where pixels belong to damaged tiles: (row, column), None where none do."""
        bad = self._bad[self._lead_of(index)]
        if not bad.any():
            return None
        width, height = self.claims.tiles[:2]
        at = np.array(rows) // height, np.array(columns) // width
        return np.asarray(bad[np.ix_(*at)])

    def _lead_of(self, index: int) -> int:
        """Return the number of the box of tiles along the higher axes that a plane lies in."""
        if not self._lead:
            return 0
        at = np.unravel_index(index, self.axes[:1:-1])
        tiles = self.claims.tiles[:1:-1]
        where = tuple(int(i) // t for i, t in zip(at, tiles, strict=True))
        return int(np.ravel_multi_index(where, self._lead))

    def _decode_rows(self, lead: int, rows: Any) -> None:
        scratch = self.scratch()
        depth = math.prod(self._extent(lead))
        pixels = self.axes[0] * self.claims.tiles[1] * depth
        most = max(1, _BAND // (pixels * self.claims.itemsize))
        for start, stop in _runs(rows, most, _GAP // pixels):
            with self._lock:
                missing = start + np.flatnonzero(~self._done[lead, start:stop])
                if missing.size:
                    some = int(missing[0]), int(missing[-1]) + 1
                    self._fill(scratch, lead, some, (0, self.claims.grid[0]))
                    self._done[lead, some[0] : some[1]] = True

    def _fill(
        self, scratch: PrivateCopy, lead: int, rows: tuple[int, int], columns: tuple[int, int]
    ) -> None:
        """Decode tiles of a box into the file; where that fails, each half of it, down to one."""
        height, width = rows[1] - rows[0], columns[1] - columns[0]
        _, gy = self.claims.grid[:2]
        first = (lead * gy + rows[0]) * self.claims.grid[0] + columns[0]
        (y0, y1), (x0, x1) = self._pixels(1, rows), self._pixels(0, columns)
        shape = (*self._extent(lead), y1 - y0, x1 - x0)
        try:
            box = self._table.decode(first, height * width, shape)
        except ChangedError:
            raise
        except Exception as error:
            # Decoders meet hostile bytes here and raise anything: such tiles are shown as missing.
            log.debug("tiles %d + %d cannot be decoded", first, height * width, exc_info=True)
            if height * width == 1:
                self._give_up(lead, rows[0], columns[0], error)
            elif height > 1:
                middle = (rows[0] + rows[1]) // 2
                self._fill(scratch, lead, (rows[0], middle), columns)
                self._fill(scratch, lead, (middle, rows[1]), columns)
            else:
                middle = (columns[0] + columns[1]) // 2
                self._fill(scratch, lead, rows, (columns[0], middle))
                self._fill(scratch, lead, rows, (middle, columns[1]))
            return
        self._write(scratch, lead, box, y0, x0)

    def _give_up(self, lead: int, row: int, column: int, error: Exception) -> None:
        if not self._cause:
            self._cause = one_line(str(error) or type(error).__name__, 160)
            place = f"{self._file.name}, {self._hdu.part}"
            level = logging.DEBUG if self.claims.size <= _SMALL else logging.WARNING  # see `notes`
            log.log(level, "%s: damaged tiles are shown as missing (%s)", place, self._cause)
        self._bad[lead, row, column] = True

    def _write(self, scratch: PrivateCopy, lead: int, box: AnyArray, y0: int, x0: int) -> None:
        nx, ny = self.axes[:2]
        size = self.claims.itemsize
        corner = self._corner(lead)
        for at in np.ndindex(*box.shape[:-2]):
            place = tuple(c + i for c, i in zip(corner, at, strict=True))
            index = int(np.ravel_multi_index(place, self.axes[:1:-1])) if place else 0
            plane = np.ascontiguousarray(box[at])
            start = (index * ny + y0) * nx + x0
            if plane.shape[1] == nx:
                scratch.write(plane, start * size)
                continue
            for y, line in enumerate(plane):
                scratch.write(line, (start + y * nx) * size)

    def _pixels(self, axis: int, tiles: tuple[int, int]) -> tuple[int, int]:
        step = self.claims.tiles[axis]
        return tiles[0] * step, min(self.axes[axis], tiles[1] * step)

    def _corner(self, lead: int) -> tuple[int, ...]:
        """Return the first pixel along the higher axes, slowest first, of a box of tiles."""
        if not self._lead:
            return ()
        at = np.unravel_index(lead, self._lead)
        return tuple(int(i) * t for i, t in zip(at, self.claims.tiles[:1:-1], strict=True))

    def _extent(self, lead: int) -> tuple[int, ...]:
        corner = self._corner(lead)
        axes, tiles = self.axes[:1:-1], self.claims.tiles[:1:-1]
        return tuple(min(t, a - c) for a, t, c in zip(axes, tiles, corner, strict=True))


class CompressedReader:
    """A `PixelReader` of one plane of a `CompressedImage`."""

    def __init__(self, image: CompressedImage, index: int, pixels: PixelFormat) -> None:
        self._image, self._index, self._pixels = image, index, pixels
        self._inner: FitsReader | None = None

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
        return f"{self._image.version()}{self._image.label(self._index)}"

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> AnyArray:
        """Return pixels ``[y0:y1:step, x0:x1:step]``; missing ones are NaN.

        Raises
        ------
        ChangedError
            The file is not as it was when it was opened.
        DataError
            There is no room for the decoded pixels.
        """
        rows = range(max(0, y0), min(self.shape[0], y1), step)
        columns = range(max(0, x0), min(self.shape[1], x1), step)
        if rows and columns:
            self._image.ensure(self._index, rows)
        values = self._plain().read(y0, y1, x0, x1, step)
        damaged = self._image.damage(self._index, rows, columns) if values.size else None
        if damaged is not None:
            values[damaged] = np.nan
        return values

    @property
    def stored(self) -> np.dtype[Any] | None:
        """Type of the decoded numbers when they are the values themselves; None if scaled."""
        return None if self._pixels.scaled else self._pixels.stored

    @property
    def blank(self) -> int | None:
        """Stored integer that means "no value"."""
        return self._pixels.blank if self._pixels.bitpix > 0 else None

    def stored_rows(
        self, y0: int, y1: int, x0: int, x1: int, work: Callable[[int, int, int], bool]
    ) -> bool:
        """Read a box as `FitsReader.stored_rows` does; False where it holds damaged tiles."""
        if not self._whole(range(y0, y1), range(x0, x1)):
            return False
        return self._plain().stored_rows(y0, y1, x0, x1, work)

    def stored_boxes(
        self, corners: Sequence[tuple[int, int]], shape: tuple[int, int], buffer: NDArray[np.uint8]
    ) -> AnyArray | None:
        """Read boxes as `FitsReader.stored_boxes` does; None where they hold damaged tiles."""
        high, wide = shape
        if not all(self._whole(range(y, y + high), range(x, x + wide)) for y, x in corners):
            return None
        return self._plain().stored_boxes(corners, shape, buffer)

    def _whole(self, rows: range, columns: range) -> bool:
        """Decode the tiles of a box; return whether none is damaged."""
        self._image.ensure(self._index, rows)
        damaged = self._image.damage(self._index, rows, columns)
        return damaged is None or not damaged.any()

    def _plain(self) -> FitsReader:
        if self._inner is None:
            ny, nx = self.shape
            offset = self._index * ny * nx * self._pixels.stored.itemsize
            scratch = self._image.scratch()
            self._inner = FitsReader(scratch, (0, 0), offset, (ny, nx), self._pixels)
        return self._inner


def _runs(rows: Any, most: int, gap: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) that hold all rows, of at most `most`; gaps up to `gap` are closed."""
    start = stop = -1
    for row in rows:
        if stop < 0 or row - stop > gap or row + 1 - start > most:
            if stop >= 0:
                yield start, stop
            start = row
        stop = row + 1
    if stop >= 0:
        yield start, stop
