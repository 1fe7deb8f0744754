"""The table of compressed tiles of a FITS image: bounded reads, checked before they are decoded.

The decoders of astropy are C code that trusts its input. Every tile is therefore cut out of the
file with its place and its own header checked, and given to astropy as a small file in memory.
"""

from __future__ import annotations

import io
import math
import re
import struct
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header
from isal import igzip_lib

from skyshade.loaders.fits_headers import Hdu, text, value, whole
from skyshade.quiet import quiet
from skyshade.storage import ByteFile
from skyshade.types import AnyArray

METHODS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS")
_WIDTHS = {"L": 1, "X": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16}
_FORM = re.compile(r"\s*(\d*)([LXBIJKAEDCMPQ])([BIJKED]?)")
_CARDS = re.compile(
    r"(TFIELDS|T(TYPE|FORM|NULL|SCAL|ZERO)\d+|ZIMAGE|ZCMPTYPE|ZBITPIX|ZNAXIS|ZNAME\d+"
    r"|ZVAL\d+|ZQUANTIZ|ZBLANK|BLANK)$"
)
_SLACK = 1 << 16  # bytes that a tile may take beyond what its pixels take undone
_TILE_LIMIT = 1 << 30  # decoded bytes of one tile


@dataclass(frozen=True)
class Claims:
    """What the header says of the image: checked to make sense, fastest axis first.

    Parameters
    ----------
    axes, tiles : tuple of int
        Pixels of the image and of a tile.
    bitpix : int
    method : str
    """

    axes: tuple[int, ...]
    tiles: tuple[int, ...]
    bitpix: int
    method: str

    @classmethod
    def of(cls, header: Header) -> Claims:
        """Read a header; ValueError where it makes no sense."""
        method = text(header, "ZCMPTYPE")
        if method not in METHODS:
            message = f"unknown compression {method!r}; known: {', '.join(METHODS)}"
            raise ValueError(message)
        count, bitpix = whole(header, "ZNAXIS"), whole(header, "ZBITPIX")
        if not 0 <= count <= 9 or bitpix not in (8, 16, 32, 64, -32, -64):
            message = f"ZNAXIS = {count}, ZBITPIX = {bitpix} are not allowed"
            raise ValueError(message)
        axes = tuple(whole(header, f"ZNAXIS{i + 1}") for i in range(count))
        tiles = tuple(whole(header, f"ZTILE{i + 1}", 1 if i else axes[0]) for i in range(count))
        if min(axes + tiles, default=0) < 1:
            message = f"image of {axes} pixels in tiles of {tiles}"
            raise ValueError(message)
        tiles = tuple(min(a, t) for a, t in zip(axes, tiles, strict=True))
        found = cls(axes, tiles, bitpix, method)
        if (size := math.prod(tiles) * found.itemsize) > _TILE_LIMIT:
            message = f"tiles of {size} bytes; at most {_TILE_LIMIT} are decoded"
            raise ValueError(message)
        _check_settings(header)
        return found

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel."""
        return abs(self.bitpix) // 8

    @property
    def size(self) -> int:
        """Bytes of the decoded image."""
        return math.prod(self.axes) * self.itemsize

    @property
    def grid(self) -> tuple[int, ...]:
        """Tiles along each axis."""
        return tuple(-(-a // t) for a, t in zip(self.axes, self.tiles, strict=True))


def _check_settings(header: Header) -> None:
    """Refuse parameters of decoders that these would loop on, or overrun their buffers with."""
    for i in range(1, 10):
        name, setting = text(header, f"ZNAME{i}").upper(), value(header, f"ZVAL{i}")
        allowed = {"BLOCKSIZE": range(1, 1 << 16), "BYTEPIX": (1, 2, 4, 8)}.get(name)
        if allowed is not None and setting not in allowed:
            message = f"{name} = {setting} is not allowed"
            raise ValueError(message)
    if not 0 <= whole(header, "ZDITHER0", 0) <= 1 << 20:
        message = f"ZDITHER0 = {value(header, 'ZDITHER0')} is not between 1 and 10000"
        raise ValueError(message)


class TileTable:
    """Reads tiles of one HDU; safe in many threads.

    Parameters
    ----------
    file : ByteFile
    hdu : Hdu
    claims : Claims

    Raises
    ------
    ValueError
        The table is not what the image needs.
    """

    def __init__(self, file: ByteFile, hdu: Hdu, claims: Claims) -> None:
        self._file, self._hdu, self.claims = file, hdu, claims
        self._stamp = file.stamp()
        self._width, rows = whole(hdu.header, "NAXIS1"), whole(hdu.header, "NAXIS2")
        if math.prod(claims.grid) != rows:
            message = f"{rows} compressed tiles do not make up the image"
            raise ValueError(message)
        theap = whole(hdu.header, "THEAP", self._width * rows)
        self._heap = hdu.stop + theap
        self._heap_size = hdu.size - theap
        if theap < self._width * rows or self._heap_size < 0:
            message = f"THEAP = {theap} is not within the table"
            raise ValueError(message)
        self._columns = self._layout()
        read = {key: value(hdu.header, key) for key in hdu.header if _CARDS.match(key)}
        cards = [(key, found) for key, found in read.items() if found is not None]
        if claims.method.startswith("GZIP"):  # inflated here
            cards = [("ZCMPTYPE", "NOCOMPRESS") if c[0] == "ZCMPTYPE" else c for c in cards]
        self._cards = Header(cards).tostring(endcard=False, padding=False)
        self._seed = whole(hdu.header, "ZDITHER0", 0)

    def _layout(self) -> list[tuple[str, int, int, int]]:
        """Return name, place in a row, bytes of a descriptor's number, and of an element."""
        header, found, at = self._hdu.header, [], 0
        for i in range(1, whole(header, "TFIELDS") + 1):
            form = _FORM.match(text(header, f"TFORM{i}"))
            if form is None:
                message = f"TFORM{i} = {text(header, f'TFORM{i}')!r} is not known"
                raise ValueError(message)
            count, kind = int(form[1] or 1), form[2]
            if kind in "PQ":
                number = 4 if kind == "P" else 8
                name = text(header, f"TTYPE{i}").upper()
                found.append((name, at, number, _WIDTHS.get(form[3], 0)))
                at += 2 * number * count
            else:
                at += -(-count // 8) if kind == "X" else count * _WIDTHS[kind]
        if at != self._width or not any(c[0] == "COMPRESSED_DATA" for c in found):
            message = f"rows of {self._width} bytes do not hold the columns of compressed tiles"
            raise ValueError(message)
        return found

    def decode(self, first: int, count: int, shape: tuple[int, ...]) -> AnyArray:
        """Return the stored numbers of tiles that follow each other and make up a box.

        Parameters
        ----------
        first, count : int
            Rows of the table.
        shape : tuple of int
            Pixels of the box, slowest axis first.

        Raises
        ------
        Exception
            Of any class: a tile is damaged.
        ChangedError
            The file is not as it was when it was opened.
        """
        rows = np.frombuffer(
            bytearray(self._file.read(self._hdu.stop + first * self._width, count * self._width)),
            np.uint8,
        ).reshape(count, self._width)
        heap = self._gather(rows, self._pixels(first, count))
        self._file.check(self._stamp)
        raw = self._small_file(rows, heap, first, shape)
        options = {"memmap": False, "do_not_scale_image_data": True}
        with quiet(), fits.open(io.BytesIO(raw), **options) as hdus:
            found = np.asarray(hdus[1].data)
        if found.shape != shape:
            message = f"decoded to {found.shape} pixels instead of {shape}"
            raise ValueError(message)
        return found.astype(found.dtype.newbyteorder(">"), copy=False)

    def _pixels(self, first: int, count: int) -> list[int]:
        """Return the pixels of each tile; those at the edges of the image have fewer."""
        claims = self.claims
        places = np.unravel_index(np.arange(first, first + count), claims.grid[::-1])
        found = np.ones(count, np.int64)
        for at, length, side in zip(places, claims.axes[::-1], claims.tiles[::-1], strict=True):
            found *= np.minimum(side, length - at * side)
        return [int(n) for n in found]

    def _gather(self, rows: AnyArray, pixels: list[int]) -> bytes:
        """Return the bytes of all tiles of `rows`, and let these point to them."""
        heap = bytearray()
        for name, at, number, element in self._columns:
            pairs = rows[:, at : at + 2 * number].copy().view(f">i{number}")
            for row, (count, offset) in enumerate(pairs.tolist()):
                if not count:
                    continue
                size, limit = count * element, 16 * pixels[row] + _SLACK
                if not (0 < size <= limit and 0 <= offset <= self._heap_size - size):
                    message = f"{name} of tile {row} lies outside the file"
                    raise ValueError(message)
                data = self._file.read(self._heap + offset, size)
                data = _checked(name, self.claims.method, data, pixels[row])
                pairs[row] = len(data) // element, len(heap)
                heap += data
            rows[:, at : at + 2 * number] = pairs.view(np.uint8)
        return bytes(heap)

    def _small_file(self, rows: AnyArray, heap: bytes, first: int, shape: tuple[int, ...]) -> bytes:
        cards = {"BITPIX": 8, "NAXIS": 2, "NAXIS1": self._width, "NAXIS2": len(rows)}
        cards |= {"PCOUNT": len(heap), "GCOUNT": 1}
        text = f"{'XTENSION= ' + repr('BINTABLE'):<80}{_as_cards(cards)}{self._cards}"
        sizes = {"ZDITHER0": self._seed + first}
        for axis, length in enumerate(shape[::-1]):
            sizes |= {f"ZNAXIS{axis + 1}": length, f"ZTILE{axis + 1}": self.claims.tiles[axis]}
        text += f"{_as_cards(sizes)}{'END':<80}"
        header: bytes = text.ljust(-(-len(text) // 2880) * 2880).encode("ascii")
        data = rows.tobytes() + heap
        padding = bytes(-len(data) % 2880)
        return _PRIMARY + header + data + padding


def _as_cards(numbers: dict[str, int]) -> str:
    return "".join(f"{key:<8}= {number:>20d}".ljust(80) for key, number in numbers.items())


def _checked(name: str, method: str, data: bytes, pixels: int) -> bytes:
    """Return what to give to the decoder for a tile; ValueError where that would do harm."""
    if name == "GZIP_COMPRESSED_DATA":
        _inflated(data, pixels)
    elif name != "COMPRESSED_DATA":
        return data
    elif method.startswith("GZIP"):
        plain = _inflated(data, pixels)
        return _unshuffled(plain, pixels) if method == "GZIP_2" else plain
    elif method == "HCOMPRESS_1":
        return data + bytes(_check_hcompress(data, pixels))
    elif method == "PLIO_1":
        _check_plio(data)
    return data


def _inflated(data: bytes, pixels: int) -> bytes:
    inflate = cast("Any", igzip_lib).IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    plain: bytes = inflate.decompress(data, 8 * pixels + 1)
    if not 0 < len(plain) <= 8 * pixels or not inflate.eof:
        message = f"a tile of {pixels} pixels decodes to {len(plain)} bytes, or is cut short"
        raise ValueError(message)
    return plain


def _unshuffled(plain: bytes, pixels: int) -> bytes:
    """Return numbers whose first bytes came first, then the second ones, in the usual order."""
    size = len(plain) // pixels
    return np.frombuffer(plain, np.uint8).reshape(size, pixels).T.tobytes()


def _check_hcompress(data: bytes, pixels: int) -> int:
    """Check the head of an HCOMPRESS stream: its decoder writes as many pixels as that says."""
    if len(data) < 25 or data[:2] != b"\xdd\x99":
        message = "not an HCOMPRESS stream"
        raise ValueError(message)
    nx, ny = struct.unpack(">ii", data[2:10])
    planes = max(data[22:25])
    if nx < 1 or ny < 1 or nx * ny > pixels or planes > 62:
        message = f"HCOMPRESS stream of {nx} x {ny} pixels in a tile of {pixels}"
        raise ValueError(message)
    return pixels * (planes // 4 + 1) + 64  # the decoder does not look where its input ends


def _check_plio(data: bytes) -> None:
    """Check the length that a PLIO line list of 16-bit words claims, in its third word or more."""
    words = np.frombuffer(data[: len(data) // 2 * 2], ">i2")[:8].tolist()
    if len(words) < 4:
        claimed, start = len(data), 0
    elif words[2] > 0:
        claimed, start = words[2], 0
    else:
        claimed, start = (words[4] << 15) + words[3] if len(words) > 4 else len(data), words[1]
    if claimed > len(data) // 2 or start < 0:
        message = "a PLIO line list claims to be longer than it is"
        raise ValueError(message)


_PRIMARY: bytes = (
    Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)])
    .tostring()
    .encode("ascii")
)
