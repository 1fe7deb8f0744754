"""HEALPix pixels of positions, and their numbers, after Gorski et al. 2005 (ApJ 622, 759).

The sphere is laid into a plane of quarter turns: ``u = t`` and ``v = 3 z / 4`` where |z| <= 2/3,
else ``v = 1 - sigma / 2`` with ``sigma = sqrt(3 (1 - |z|))`` (mirrored in the south), where ``u``
is drawn towards the middle of its quarter turn. There the twelve base faces are squares on their
corners, and ``a = u - v + 1/2`` and ``b = u + v + 1/2`` run along their sides. Face pixels are
(x, y) with x = y = 0 in the southern corner; ``nside = 2**order``.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel
from skyshade.types import AnyArray, FloatArray, IntArray

Cells = tuple[IntArray, IntArray, IntArray]

_SPREAD = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


@kernel("void(float64[::1], float64[::1], float64[::1], int64, boolean, int64[::1])")
def find_pixels(
    t: FloatArray, z: FloatArray, s: FloatArray, order: int, nested: bool, out: IntArray
) -> None:
    """Find the pixels that hold positions.

    Parameters
    ----------
    t : ndarray of float64, shape (n,)
        Longitudes in quarter turns, 0 <= t <= 4.
    z, s : ndarray of float64, shape (n,)
        Sine and cosine of the latitude; the cosine is what counts near the poles.
    order : int
        log2 of nside.
    nested : bool
        Number pixels NESTED; else RING.
    out : ndarray of int64, shape (n,)
        Pixel numbers; -1 where t, z or s is not finite.
    """
    fine = np.isfinite(t) & np.isfinite(z) & np.isfinite(s)
    cells = cells_at(np.where(fine, t, 0.0), np.where(fine, z, 0.0), np.where(fine, s, 1.0), order)
    out[...] = np.where(fine, to_nested(*cells, order) if nested else to_ring(*cells, order), -1)


@kernel("void(float64[:,:,::1], float64[:,:,::1], float64[:,::1], int64, boolean, int64[:,::1])")
def find_window(
    across: FloatArray,
    along: FloatArray,
    matrix: FloatArray,
    order: int,
    nested: bool,
    out: IntArray,
) -> None:
    """Find the pixels under a window of ICRS positions.

    Parameters
    ----------
    across : ndarray of float64, shape (2, 1 or h, w)
        Cosine and sine of right ascension; one row where all rows are alike.
    along : ndarray of float64, shape (2, h, 1 or w)
        Cosine and sine of declination; one column where all columns are alike.
    matrix : ndarray of float64, shape (3, 3)
        From ICRS to the frame of the pixels.
    order, nested : int, bool
        As for `find_pixels`.
    out : ndarray of int64, shape (h, w)
        Pixel numbers; -1 where a position is not finite.
    """
    east, north = along[0] * across[0], along[0] * across[1]
    x, y, z = (row[0] * east + row[1] * north + row[2] * along[1] for row in matrix)
    t = np.arctan2(y, x) * (2.0 / np.pi)
    t = np.where(t < 0.0, t + 4.0, t)
    flat = (np.ascontiguousarray(part).ravel() for part in (t, z, np.hypot(x, y)))
    found = np.empty(out.size, np.int64)
    find_pixels.twin(*flat, order, nested, found)  # type: ignore[attr-defined]
    out[...] = found.reshape(out.shape)


@kernel("void(int64[::1], int64, boolean, int64[::1])")
def renumber(pixels: IntArray, order: int, nested: bool, out: IntArray) -> None:
    """Give pixels their numbers in the other order.

    Parameters
    ----------
    pixels : ndarray of int64, shape (n,)
        Valid numbers.
    order : int
        log2 of nside.
    nested : bool
        From NESTED to RING; else from RING to NESTED.
    out : ndarray of int64, shape (n,)
    """
    cells = cells_of(pixels, order, nested)
    out[...] = to_ring(*cells, order) if nested else to_nested(*cells, order)


@kernel("void(int64, int64, int64, int64[::1])")
def coarse_rings(first: int, order: int, k: int, out: IntArray) -> None:
    """Find, for consecutive RING pixels, the RING pixels `k` orders coarser that hold them.

    Parameters
    ----------
    first : int
        RING number of the first pixel.
    order : int
        log2 of nside.
    k : int
        Orders between the two.
    out : ndarray of int64, shape (n,)
    """
    face, x, y = cells_of(first + np.arange(out.size), order, nested=False)
    out[...] = to_ring(face, x >> k, y >> k, order - k)


@kernel("void(int64[::1], int64, int64, int64[:,::1])")
def child_rings(cells: IntArray, order: int, k: int, out: IntArray) -> None:
    """Find the RING numbers of all pixels within coarser ones.

    Parameters
    ----------
    cells : ndarray of int64, shape (n,)
        NESTED numbers, `k` orders coarser.
    order : int
        log2 of nside of the children.
    k : int
    out : ndarray of int64, shape (n, 4**k)
        In NESTED order.
    """
    children = (cells << 2 * k)[:, None] + np.arange(1 << 2 * k)
    out[...] = to_ring(*cells_of(children, order, nested=True), order)


def cells_at(t: FloatArray, z: FloatArray, s: FloatArray, order: int) -> Cells:
    """Return face, x and y of positions; see `find_pixels`."""
    nside = 1 << order
    # towards the equator: along the sides of the faces
    v = 0.75 * z
    a = np.floor((t + 0.5 - v) * nside).astype(np.int64)
    b = np.floor((t + 0.5 + v) * nside).astype(np.int64)
    row, col = a >> order, b >> order
    face = np.where(row == col, (row & 3) + 4, np.where(row < col, row & 3, (col & 3) + 8))
    x, y = b & (nside - 1), nside - 1 - (a & (nside - 1))
    # around a pole: distances from the tip of the face
    quarter = np.minimum(np.floor(t), 3.0)
    sigma = s * np.sqrt(3.0 / (1.0 + np.abs(z))) * nside
    east = np.minimum(((1.0 - (t - quarter)) * sigma).astype(np.int64), nside - 1)
    west = np.minimum(((t - quarter) * sigma).astype(np.int64), nside - 1)
    polar, north = np.abs(z) > 2.0 / 3.0, z > 0.0
    face = np.where(polar, quarter.astype(np.int64) + np.where(north, 0, 8), face)
    x = np.where(polar, np.where(north, nside - 1 - east, west), x)
    y = np.where(polar, np.where(north, nside - 1 - west, east), y)
    return face, x, y


def cells_of(pixels: IntArray, order: int, nested: bool) -> Cells:
    """Return face, x and y of pixels given by their numbers."""
    if nested:
        rest = pixels & ((1 << 2 * order) - 1)
        return pixels >> 2 * order, gather(rest), gather(rest >> 1)
    nside = 1 << order
    ring, at, length = ring_of(pixels, order)
    # in the belt: twice the distance along the sides of the faces, in pixels
    u, v = 2 * at + 1 - ((ring - nside) & 1), 2 * nside - ring
    a, b = (u - v + nside) >> 1, (u + v + nside) >> 1
    row, col = a >> order, b >> order
    face = np.where(row == col, (row & 3) + 4, np.where(row < col, row & 3, (col & 3) + 8))
    x, y = b & (nside - 1), nside - 1 - (a & (nside - 1))
    quarter, rest = at // length, at % length
    for cap, first, corner in ((ring < nside, 0, nside), (ring > 3 * nside, 8, length)):
        face = np.where(cap, quarter + first, face)
        x = np.where(cap, corner - length + rest, x)
        y = np.where(cap, corner - 1 - rest, y)
    return face, x, y


def ring_of(pixels: IntArray, order: int) -> Cells:
    """Return the ring (1 to 4 nside - 1), the place in it (from 0) and a quarter of its length."""
    nside = 1 << order
    cap, last = 2 * nside * (nside - 1), 12 * nside * nside - 1
    north, south = pixels < cap, pixels > last - cap
    from_tip = np.where(south, last - pixels, np.where(north, pixels, 0))
    length = (1 + np.sqrt(1.0 + 2.0 * from_tip).astype(np.int64)) >> 1
    ring = nside + (pixels - cap) // (4 * nside)
    at = (pixels - cap) % (4 * nside)
    at = np.where(north, pixels - 2 * length * (length - 1), at)
    at = np.where(south, pixels - last - 1 + 2 * length * (length + 1), at)
    ring = np.where(north, length, np.where(south, 4 * nside - length, ring))
    return ring, at, np.where(north | south, length, nside)


def to_nested(face: IntArray, x: IntArray, y: IntArray, order: int) -> IntArray:
    """Return NESTED numbers."""
    return (face << 2 * order) + spread(x) + (spread(y) << 1)


def to_ring(face: IntArray, x: IntArray, y: IntArray, order: int) -> IntArray:
    """Return RING numbers."""
    nside = 1 << order
    ring = (2 + (face >> 2)) * nside - x - y - 1
    length = np.minimum(np.minimum(ring, 4 * nside - ring), nside)
    shift = np.where(length < nside, 0, (ring - nside) & 1)
    # twice the longitude of the face's middle in quarter turns
    middle = 2 * (face & 3) + ((face >> 2) != 1)
    at = (middle * length + x - y + shift - 1) >> 1
    at = np.where(at < 0, at + 4 * length, at)
    at = np.where(at >= 4 * length, at - 4 * length, at)
    number: IntArray = first_of_ring(ring, order) + at
    return number


def first_of_ring(ring: AnyArray, order: int) -> IntArray:
    """Return the number of the first pixel of rings (4 nside: all pixels)."""
    nside = 1 << order
    ring = np.asarray(ring, np.int64)
    south = 4 * nside - ring
    belt = 2 * nside * (nside - 1) + 4 * nside * (ring - nside)
    first = np.where(ring < nside, 2 * ring * (ring - 1), belt)
    return np.where(ring > 3 * nside, 12 * nside * nside - 2 * south * (south + 1), first)


def spread(values: IntArray) -> IntArray:
    """Move bit n of numbers below 2**32 to bit 2 n."""
    for shift, mask in _SPREAD:
        values = (values | (values << shift)) & mask
    return values


def gather(values: IntArray) -> IntArray:
    """Move the even bits together; undoes `spread`."""
    values = values & _SPREAD[-1][1]
    for n in range(len(_SPREAD) - 1, -1, -1):
        mask = _SPREAD[n - 1][1] if n else 0xFFFFFFFF
        values = (values | (values >> _SPREAD[n][0])) & mask
    return values


@kernel("void(int64[:,::1], int64, uint8[::1])")
def mark(pixels: IntArray, bits: int, flags: NDArray[np.uint8]) -> None:
    """Mark the blocks of ``2**bits`` pixels that hold some pixel.

    Parameters
    ----------
    pixels : ndarray of int64, shape (h, w)
        Negative: none.
    bits : int
    flags : ndarray of uint8
        1 is written where a block is needed.
    """
    flags[pixels[pixels >= 0] >> bits] = 1


@kernel("void(float32[::1], int64[::1], int64, int64[:,::1], float32[:,::1])")
def pick(
    values: NDArray[np.float32],
    where: IntArray,
    bits: int,
    pixels: IntArray,
    out: NDArray[np.float32],
) -> None:
    """Take the values of pixels out of blocks.

    Parameters
    ----------
    values : ndarray of float32
    where : ndarray of int64
        Place in `values` of the first pixel of each block of ``2**bits``.
    bits : int
    pixels : ndarray of int64, shape (h, w)
        Negative: none.
    out : ndarray of float32, shape (h, w)
        NaN where there is no pixel, or its value is infinite.
    """
    some = pixels >= 0
    at = np.where(some, pixels, 0)
    taken = values[np.where(some, where[at >> bits] + (at & ((1 << bits) - 1)), 0)]
    out[...] = np.where(some & np.isfinite(taken), taken, np.nan)


@kernel("void(float32[::1], int64[::1], int64, float64[::1], float64[::1], float64[::1])")
def fold_sums(
    values: NDArray[np.float32],
    at: IntArray,
    first: int,
    counts: FloatArray,
    sums: FloatArray,
    squares: FloatArray,
) -> None:
    """Add the valid values to coarser pixels.

    Parameters
    ----------
    values : ndarray of float32, shape (n,)
    at : ndarray of int64, shape (n,)
        Coarser pixel of each; those outside first..first + m are left out.
    first : int
    counts, sums : ndarray of float64, shape (m,)
    squares : ndarray of float64, shape (m,) or (0,)
        Sums of squares, where they are wanted.
    """
    place = at - first
    good = (place >= 0) & (place < counts.size) & np.isfinite(values)
    place, kept = place[good], values[good].astype(np.float64)
    counts += np.bincount(place, minlength=counts.size)
    sums += np.bincount(place, kept, counts.size)
    if squares.size:
        squares += np.bincount(place, kept * kept, counts.size)


@kernel("void(float32[::1], int64[::1], int64, float32[::1], float32[::1])")
def fold_extremes(
    values: NDArray[np.float32],
    at: IntArray,
    first: int,
    low: NDArray[np.float32],
    high: NDArray[np.float32],
) -> None:
    """Take the valid values into the least and the greatest of coarser pixels.

    Parameters
    ----------
    values, at, first
        As for `fold_sums`.
    low, high : ndarray of float32, shape (m,)
        Begin with inf and -inf.
    """
    place = at - first
    good = (place >= 0) & (place < low.size) & np.isfinite(values)
    np.minimum.at(low, place[good], values[good])
    np.maximum.at(high, place[good], values[good])


@kernel(
    "void(uint32[:], float64, float64, float32[::1])",
    "void(uint64[:], float64, float64, float64[::1])",
)
def native_floats(stored: AnyArray, missing: float, near: float, out: AnyArray) -> None:
    """Turn big-endian floats of a file into native ones.

    Parameters
    ----------
    stored : ndarray of unsigned integers, shape (n,)
        Their bytes as native integers.
    missing, near : float
        Values within `near` of `missing` are missing, as those that are not finite.
    out : ndarray of float, shape (n,)
        NaN where missing.
    """
    swapped = stored if sys.byteorder == "big" else stored.byteswap()
    out[...] = swapped.view(out.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        gone = ~np.isfinite(out) | (np.abs(out.astype(np.float64) - missing) <= near)
    out[gone] = np.nan
