"""Merging of pixels into coarser ones, NaN aware, for every reduction that maps have.

The weight of a pixel is the number of valid base pixels in it, or the sum of their weights; a mean
without weight is NaN. Merged means are the exact weighted means of the base (sums in float64, kept
as float32).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel
from skyshade.kernels.files import read_rows
from skyshade.types import AnyArray

Pixels = NDArray[np.float32]
_LARGEST = float(np.finfo(np.float32).max)
_NATIVE = {2: np.int16, 4: np.float32, 8: np.float64}


@kernel(
    "void(uint32[:,::1], uint32, int64, float32[:,::1], float32[:,::1])",
    "void(uint64[:,::1], uint64, int64, float32[:,::1], float32[:,::1])",
    "void(uint16[:,::1], uint32, int64, float32[:,::1], float32[:,::1])",
)
def block_means(stored: AnyArray, blank: int, side: int, mean: Pixels, weight: Pixels) -> None:
    """Merge blocks of big-endian numbers, as they lie in a file.

    Parameters
    ----------
    stored : ndarray of uint32, uint64 or uint16, shape (h, w)
        Bytes of float32, float64 or int16 numbers, read as native unsigned integers. Those that
        are not finite as float32 are missing.
    blank : uint32, or uint64 with such numbers
        What stands for a missing one in `stored`. All bits set means that nothing does (among
        floats it is a NaN).
    side : int
        Pixels along a block: a power of two, 2 to 1024.
    mean, weight : ndarray of float32, shape (ceil(h / side), ceil(w / side))
        Written; blocks at the end are merged from what there is.
    """
    native = stored.byteswap().view(_NATIVE[stored.itemsize]).astype(np.float64)
    with np.errstate(invalid="ignore"):
        valid = (np.abs(native) <= _LARGEST) & (stored != blank)
    sums, counts = _blocks(np.where(valid, native, 0.0), side), _blocks(valid * 1.0, side)
    mean[...] = np.where(counts > 0.0, sums / np.where(counts > 0.0, counts, 1.0), np.nan)
    weight[...] = counts


@kernel(
    "int64(int64, int64, int64, int64, uint8[:,::1], uint32[:,::1], uint32, int64,"
    " float32[:,::1], float32[:,::1])",
    "int64(int64, int64, int64, int64, uint8[:,::1], uint64[:,::1], uint64, int64,"
    " float32[:,::1], float32[:,::1])",
    "int64(int64, int64, int64, int64, uint8[:,::1], uint16[:,::1], uint32, int64,"
    " float32[:,::1], float32[:,::1])",
)
def file_means(
    fd: int,
    offset: int,
    pitch: int,
    height: int,
    raw: NDArray[np.uint8],
    stored: AnyArray,
    blank: int,
    side: int,
    mean: Pixels,
    weight: Pixels,
) -> int:
    """Read a box of numbers from a file and merge its blocks, a few rows at a time.

    Compiled, all is done without the GIL, and a piece is merged while it lies in the cache.

    Parameters
    ----------
    fd : int
        Open file descriptor.
    offset : int
        Place of the box's first number in the file, bytes.
    pitch : int
        Bytes from the beginning of a row to that of the next.
    height : int
        Rows of the box.
    raw : ndarray of uint8, shape (rows, bytes of a row)
        Memory for a piece: a multiple of `side` rows.
    stored : ndarray of uint32, uint64 or uint16, shape (rows, w)
        The same memory as numbers.
    blank, side, mean, weight
        As `block_means`.

    Returns
    -------
    int
        Rows that were merged; fewer than `height` when a read came up short.
    """
    rows = len(stored)
    for y in range(0, height, rows):
        n = min(rows, height - y)
        if read_rows(fd, offset + y * pitch, pitch, raw[:n]) < n:
            return y
        part = np.s_[y // side : -(-(y + n) // side)]
        block_means(stored[:n], blank, side, mean[part], weight[part])
    return height


@kernel("void(float32[:,::1], float32[:,::1], float32[:,::1])")
def merge_pixels(pixels: Pixels, mean: Pixels, weight: Pixels) -> None:
    """Merge 2 x 2 base pixels; those that are not finite are missing.

    Parameters
    ----------
    pixels : ndarray of float32, shape (h, w)
    mean, weight : ndarray of float32, shape ((h + 1) // 2, (w + 1) // 2)
        Written; a last odd row or column is merged with nothing.
    """
    merge_states_twin(pixels, np.isfinite(pixels).astype(np.float32), mean, weight)


@kernel("void(float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1])")
def merge_states(mean: Pixels, weight: Pixels, coarse: Pixels, coarse_weight: Pixels) -> None:
    """Merge 2 x 2 states.

    Parameters
    ----------
    mean, weight : ndarray of float32, shape (h, w)
    coarse, coarse_weight : ndarray of float32, shape ((h + 1) // 2, (w + 1) // 2)
        Written.
    """
    merge_states_twin(mean, weight, coarse, coarse_weight)


@kernel("void(float32[:,::1], float32[:,::1])")
def merge_max(pixels: Pixels, coarse: Pixels) -> None:
    """Take the largest of 2 x 2 pixels; those that are not finite are missing.

    Parameters
    ----------
    pixels : ndarray of float32, shape (h, w)
    coarse : ndarray of float32, shape ((h + 1) // 2, (w + 1) // 2)
        Written; NaN where all are missing.
    """
    four = _four_of(np.where(np.isfinite(pixels), pixels, -np.inf), -np.inf)
    most = four.max(axis=0)
    coarse[...] = np.where(most > -np.inf, most, np.nan)


@kernel(
    "void(float32[:,::1], float32[:,::1], float32[:,::1],"
    " float32[:,::1], float32[:,::1], float32[:,::1])"
)
def merge_moments(
    n: Pixels, mean: Pixels, m2: Pixels, out_n: Pixels, out_mean: Pixels, out_m2: Pixels
) -> None:
    """Merge 2 x 2 states of a variance (Chan, Golub & LeVeque 1983).

    Parameters
    ----------
    n, mean, m2 : ndarray of float32, shape (h, w)
        Number of pixels, their mean, and the sum of squared differences from it.
    out_n, out_mean, out_m2 : ndarray of float32, shape ((h + 1) // 2, (w + 1) // 2)
        Written; NaN mean where n is 0.
    """
    counts = _four_of(n, 0.0).astype(np.float64)
    means = np.where(counts > 0.0, _four_of(mean, 0.0).astype(np.float64), 0.0)
    total = counts.sum(axis=0)
    filled = total > 0.0
    middle = (counts * means).sum(axis=0) / np.where(filled, total, 1.0)
    out_n[...] = total
    out_mean[...] = np.where(filled, middle, np.nan)
    spread = np.where(counts > 0.0, _four_of(m2, 0.0).astype(np.float64), 0.0)
    out_m2[...] = (spread + counts * (means - middle) ** 2).sum(axis=0)


def merge_states_twin(mean: Pixels, weight: Pixels, coarse: Pixels, coarse_weight: Pixels) -> None:
    """Merge 2 x 2 states with numpy, compiled kernels or not."""
    valid = weight > 0.0
    sums = _blocks(np.where(valid, mean, 0.0).astype(np.float64) * weight, 2)
    weights = _blocks(weight.astype(np.float64), 2)
    filled = weights > 0.0
    coarse[...] = np.where(filled, sums / np.where(filled, weights, 1.0), np.nan)
    coarse_weight[...] = weights


def _blocks(values: AnyArray, side: int) -> AnyArray:
    """Return the sums of blocks of side x side."""
    h, w = values.shape
    even = np.pad(values, ((0, -h % side), (0, -w % side)))
    summed: AnyArray = even.reshape(-(-h // side), side, -1, side).sum(axis=(1, 3))
    return summed


def _four_of(values: AnyArray, fill: float) -> AnyArray:
    """Return the four parts of 2 x 2 blocks, shape (4, rows, columns)."""
    h, w = values.shape
    even = np.pad(values, ((0, h % 2), (0, w % 2)), constant_values=fill)
    parts = (even[0::2, 0::2], even[0::2, 1::2], even[1::2, 0::2], even[1::2, 1::2])
    return np.stack(parts)
