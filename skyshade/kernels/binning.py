"""Binning of catalogue rows that are sorted by their Z-order key.

A key interleaves the bits of a lattice (column, row): column bits in the even places, row bits in
the odd ones. `shift` = 2 * levels drops the finest levels, so rows of one pixel of any level lie
next to each other. ``frame = (column of the window, row of the window, lattice columns)``; columns
are periodic and their number is a power of two.

The twins need *sorted* keys, as the loops do to be fast: a pixel is decoded once per run of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel
from skyshade.types import FloatArray, IntArray

SUM, MIN, MAX, MOMENTS = 0, 1, 2, 3

_SPREAD = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)
_GATHER = (
    (1, 0x3333333333333333),
    (2, 0x0F0F0F0F0F0F0F0F),
    (4, 0x00FF00FF00FF00FF),
    (8, 0x0000FFFF0000FFFF),
    (16, 0x00000000FFFFFFFF),
)


def spread(value: IntArray) -> IntArray:
    """Put a zero bit between the bits of values below 2**32."""
    for step, mask in _SPREAD:
        value = (value | (value << step)) & mask
    return value


def gather(value: IntArray) -> IntArray:
    """Return the bits in even places, packed: the inverse of `spread`."""
    value = value & 0x5555555555555555
    for step, mask in _GATHER:
        value = (value | (value >> step)) & mask
    return value


@kernel("void(int64[::1], int64[::1], int64[::1])")
def interleave(cols: IntArray, rows: IntArray, keys: IntArray) -> None:
    """Write the Z-order keys of lattice positions.

    Parameters
    ----------
    cols, rows : ndarray of int64, shape (n,)
        Not negative, below 2**32 and 2**31.
    keys : ndarray of int64, shape (n,)
        Written.
    """
    keys[:] = spread(cols) | (spread(rows) << 1)


@kernel("void(int64[::1], int64, int64[::1], uint32[:,::1])")
def bin_count(keys: IntArray, shift: int, frame: IntArray, out: NDArray[np.uint32]) -> None:
    """Add the number of rows of every pixel of a window to `out`.

    Parameters
    ----------
    keys : ndarray of int64, shape (rows,)
        Sorted; rows outside the window are passed over.
    shift : int
        Twice the number of levels between the keys' lattice and the window's.
    frame : ndarray of int64, shape (3,)
        Column and row of the window, number of lattice columns.
    out : ndarray of uint32, shape (height, width)
    """
    starts, pixels, inside = _runs(keys, shift, frame, out.shape[:2])
    out.reshape(-1)[pixels] += np.diff(starts, append=keys.size)[inside].astype(np.uint32)


@kernel(
    "void(int64[::1], float64[::1], int64, int64[::1], int64,"
    " uint32[:,::1], float64[:,::1], float64[:,::1])"
)
def bin_values(
    keys: IntArray,
    values: FloatArray,
    shift: int,
    frame: IntArray,
    state: int,
    n: NDArray[np.uint32],
    a: FloatArray,
    b: FloatArray,
) -> None:
    """Update the state of every pixel of a window with the rows' values; NaN is passed over.

    Parameters
    ----------
    keys, shift, frame
        As in `bin_count`.
    values : ndarray of float64, shape (rows,)
    state : int
        `SUM`: `a` holds the sum. `MIN`, `MAX`: `a` holds the extreme (start with NaN).
        `MOMENTS`: `a` holds the mean and `b` the sum of squared differences from it.
    n : ndarray of uint32, shape (height, width)
        Number of values that are not NaN.
    a, b : ndarray of float64, shape (height, width)
        `b` is touched by `MOMENTS` only.
    """
    good = ~np.isnan(values)
    if not good.all():
        keys, values = keys[good], values[good]
    starts, pixels, inside = _runs(keys, shift, frame, n.shape)
    if pixels.size == 0:
        return
    counts = np.diff(starts, append=keys.size)
    flat_n, flat_a, flat_b = n.reshape(-1), a.reshape(-1), b.reshape(-1)
    if state == SUM:
        flat_a[pixels] += np.add.reduceat(values, starts)[inside]
    elif state == MIN:
        flat_a[pixels] = np.fmin(flat_a[pixels], np.minimum.reduceat(values, starts)[inside])
    elif state == MAX:
        flat_a[pixels] = np.fmax(flat_a[pixels], np.maximum.reduceat(values, starts)[inside])
    else:
        mean = np.add.reduceat(values, starts) / counts
        m2 = np.add.reduceat((values - np.repeat(mean, counts)) ** 2, starts)
        _merge_moments(pixels, counts[inside], mean[inside], m2[inside], (flat_n, flat_a, flat_b))
    flat_n[pixels] += counts[inside].astype(np.uint32)


@kernel("void(int64[::1], int32[::1], int64, int64[::1], uint32[:,:,::1])")
def bin_categories(
    keys: IntArray,
    codes: NDArray[np.int32],
    shift: int,
    frame: IntArray,
    out: NDArray[np.uint32],
) -> None:
    """Add the number of rows of every pixel and category to `out`.

    Parameters
    ----------
    keys, shift, frame
        As in `bin_count`.
    codes : ndarray of int32, shape (rows,)
        Index along the third axis of `out`; -1 for none.
    out : ndarray of uint32, shape (height, width, categories)
    """
    for code in range(out.shape[2]):
        layer = np.zeros(out.shape[:2], np.uint32)
        starts, pixels, inside = _runs(keys[codes == code], shift, frame, out.shape[:2])
        counts = np.diff(starts, append=np.count_nonzero(codes == code))
        layer.reshape(-1)[pixels] += counts[inside].astype(np.uint32)
        out[:, :, code] += layer


def _runs(
    keys: IntArray, shift: int, frame: IntArray, shape: tuple[int, ...]
) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
    """Return the first row of every run, and of the runs inside the window: pixels and mask."""
    height, width = shape
    cells = keys >> shift
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    cells = cells[starts]
    cols = (gather(cells) - frame[0]) & (frame[2] - 1)
    rows = gather(cells >> 1) - frame[1]
    inside = (cols < width) & (rows >= 0) & (rows < height)
    return starts, (rows * width + cols)[inside], inside


def _merge_moments(
    pixels: IntArray,
    counts: IntArray,
    mean: FloatArray,
    m2: FloatArray,
    state: tuple[Any, FloatArray, FloatArray],
) -> None:
    """Merge (counts, mean, m2) into the state of `pixels` (Chan, Golub and LeVeque 1979)."""
    n, a, b = state
    old = n[pixels].astype(np.float64)
    total = old + counts
    delta = mean - a[pixels]
    a[pixels] += delta * counts / total
    b[pixels] += m2 + delta * delta * old * counts / total
