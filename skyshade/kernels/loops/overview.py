"""numba loops of `skyshade.kernels.overview`; their arguments are described there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from skyshade.kernels.loops.files import read_rows
from skyshade.kernels.loops.jit import jit

_LARGEST = np.float32(np.finfo(np.float32).max)
_CHUNK = 1024  # columns whose sums stay in the first cache
_NATIVE = {types.uint16: types.int16, types.uint32: types.float32, types.uint64: types.float64}


@intrinsic  # type: ignore[untyped-decorator]
def _native(_typing: Any, stored: Any) -> Any:
    """Return the number whose big-endian bytes were read as a native unsigned integer."""
    made = _NATIVE[stored]

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(builder.bswap(args[0]), context.get_value_type(made))

    return made(stored), generate


@jit
def _add_rows(a: Any, b: Any, both: bool, first: bool, blank: int, sums: Any, counts: Any) -> None:
    """Add two rows (`a` alone unless `both`) to the sums of their columns, which `first` begins."""
    for c in range(a.size):
        u, v = _native(a[c]), _native(b[c])
        good_u = (abs(u) <= _LARGEST) & (a[c] != blank)
        good_v = (abs(v) <= _LARGEST) & (b[c] != blank) & both
        two = (np.float64(u) if good_u else 0.0) + (np.float64(v) if good_v else 0.0)
        number = np.int32(good_u) + np.int32(good_v)
        sums[c] = two if first else sums[c] + two
        counts[c] = number if first else counts[c] + number


@jit
def _fold(sums: Any, counts: Any, to_sums: Any, to_counts: Any) -> None:
    """Merge pairs of columns."""
    for c in range(to_sums.size):
        to_sums[c] = sums[2 * c] + sums[2 * c + 1]
        to_counts[c] = counts[2 * c] + counts[2 * c + 1]


@jit
def _divide(sums: Any, counts: Any, mean: Any, weight: Any) -> None:
    for c in range(mean.size):
        mean[c] = sums[c] / counts[c] if counts[c] else np.nan
        weight[c] = counts[c]


@jit
def block_means(stored: Any, blank: int, side: int, mean: Any, weight: Any) -> None:
    """Merge blocks, two rows of a chunk of columns at a time."""
    height, width = stored.shape
    sums, counts = np.empty((2, _CHUNK)), np.empty((2, _CHUNK), np.int32)
    for r in range(mean.shape[0]):
        last = min((r + 1) * side, height)
        for x in range(0, width, _CHUNK):
            n = min(_CHUNK, width - x)
            if n < _CHUNK:  # blocks that end the row may be wider than it
                sums[0] = 0.0
                counts[0] = 0
            for y in range(r * side, last, 2):
                both, first = y + 1 < last, y == r * side
                below = stored[y + 1 if both else y, x : x + n]
                _add_rows(stored[y, x : x + n], below, both, first, blank, sums[0], counts[0])
            whole, at = _CHUNK, 0
            while whole * side > _CHUNK:
                whole //= 2
                _fold(sums[at], counts[at], sums[1 - at, :whole], counts[1 - at, :whole])
                at = 1 - at
            start, end = x // side, (x + n + side - 1) // side
            _divide(sums[at], counts[at], mean[r, start:end], weight[r, start:end])


@jit
def file_means(
    fd: int,
    offset: int,
    pitch: int,
    height: int,
    raw: Any,
    stored: Any,
    blank: int,
    side: int,
    mean: Any,
    weight: Any,
) -> int:
    """Read and merge piece by piece; rows that follow one another are one read."""
    rows = stored.shape[0]
    for y in range(0, height, rows):
        n, at = min(rows, height - y), offset + y * pitch
        if pitch == raw.shape[1]:
            filled = n * read_rows(fd, at, 0, raw[:n].reshape(1, n * pitch))
        else:
            filled = read_rows(fd, at, pitch, raw[:n])
        if filled < n:
            return y
        first, last = y // side, (y + n + side - 1) // side
        block_means(stored[:n], blank, side, mean[first:last], weight[first:last])
    return height


@jit
def _pixel_row(row: Any, sums: Any, weights: Any) -> None:
    """Add a row of pixels to column pairs."""
    w = row.size
    for c in range(w // 2):
        a, b = np.float64(row[2 * c]), np.float64(row[2 * c + 1])
        fine_a, fine_b = a - a == 0.0, b - b == 0.0
        sums[c] += (a if fine_a else 0.0) + (b if fine_b else 0.0)
        weights[c] += (1.0 if fine_a else 0.0) + (1.0 if fine_b else 0.0)
    if w & 1:
        a = np.float64(row[w - 1])
        if a - a == 0.0:
            sums[w // 2] += a
            weights[w // 2] += 1.0


@jit
def _state_row(row: Any, weight: Any, sums: Any, weights: Any) -> None:
    """Add a row of states to column pairs."""
    w = row.size
    for c in range(w // 2):
        p, q = np.float64(weight[2 * c]), np.float64(weight[2 * c + 1])
        a = np.float64(row[2 * c]) * p if p > 0.0 else 0.0
        b = np.float64(row[2 * c + 1]) * q if q > 0.0 else 0.0
        sums[c] += a + b
        weights[c] += p + q
    if w & 1 and weight[w - 1] > 0.0:
        sums[w // 2] += np.float64(row[w - 1]) * np.float64(weight[w - 1])
        weights[w // 2] += np.float64(weight[w - 1])


@jit
def _write(sums: Any, weights: Any, mean: Any, weight: Any) -> None:
    for c in range(mean.size):
        mean[c] = sums[c] / weights[c] if weights[c] > 0.0 else np.nan
        weight[c] = weights[c]


@jit
def merge_pixels(pixels: Any, mean: Any, weight: Any) -> None:
    """Merge pixels, row pair by row pair."""
    sums, weights = np.empty(mean.shape[1]), np.empty(mean.shape[1])
    for r in range(mean.shape[0]):
        sums[:] = 0.0
        weights[:] = 0.0
        for k in range(2 * r, min(2 * r + 2, pixels.shape[0])):
            _pixel_row(pixels[k], sums, weights)
        _write(sums, weights, mean[r], weight[r])


@jit
def merge_states(mean: Any, weight: Any, coarse: Any, coarse_weight: Any) -> None:
    """Merge states, row pair by row pair."""
    sums, weights = np.empty(coarse.shape[1]), np.empty(coarse.shape[1])
    for r in range(coarse.shape[0]):
        sums[:] = 0.0
        weights[:] = 0.0
        for k in range(2 * r, min(2 * r + 2, mean.shape[0])):
            _state_row(mean[k], weight[k], sums, weights)
        _write(sums, weights, coarse[r], coarse_weight[r])


@jit
def _larger_row(upper: Any, lower: Any, row: Any) -> None:
    """Take the larger of two rows of pixels; minus infinity where both are missing."""
    lowest = np.float32(-np.inf)
    for c in range(upper.size):
        a = upper[c] if abs(upper[c]) <= _LARGEST else lowest
        b = lower[c] if abs(lower[c]) <= _LARGEST else lowest
        row[c] = a if a > b else b


@jit
def merge_max(pixels: Any, coarse: Any) -> None:
    """Take the largest, row pair by row pair."""
    height, width = pixels.shape
    row = np.full(2 * coarse.shape[1], np.float32(-np.inf), np.float32)
    for r in range(coarse.shape[0]):
        _larger_row(pixels[2 * r], pixels[min(2 * r + 1, height - 1)], row[:width])
        for c in range(coarse.shape[1]):
            a, b = row[2 * c], row[2 * c + 1]
            most = a if a > b else b
            coarse[r, c] = most if most >= -_LARGEST else np.float32(np.nan)


@jit
def _add_moments(n: Any, mean: Any, m2: Any, counts: Any, sums: Any, squares: Any) -> None:
    """Add a row of states to the sums of their columns."""
    for c in range(n.size):
        count = np.float64(n[c])
        middle = np.float64(mean[c]) if count > 0.0 else 0.0
        counts[c] += count
        sums[c] += count * middle
        squares[c] += (m2[c] if count > 0.0 else 0.0) + count * middle * middle


@jit
def merge_moments(n: Any, mean: Any, m2: Any, out_n: Any, out_mean: Any, out_m2: Any) -> None:
    """Merge moments, row pair by row pair; float64 holds more digits than the squares need."""
    height, width = n.shape
    counts, sums, squares = np.zeros(width + 1), np.zeros(width + 1), np.zeros(width + 1)
    for r in range(out_n.shape[0]):
        counts[:] = 0.0
        sums[:] = 0.0
        squares[:] = 0.0
        for y in range(2 * r, min(2 * r + 2, height)):
            _add_moments(n[y], mean[y], m2[y], counts, sums, squares)
        for c in range(out_n.shape[1]):
            count = counts[2 * c] + counts[2 * c + 1]
            total = sums[2 * c] + sums[2 * c + 1]
            middle = total / count if count > 0.0 else np.nan
            spread = squares[2 * c] + squares[2 * c + 1] - total * middle
            out_n[r, c], out_mean[r, c] = count, middle
            out_m2[r, c] = spread if spread > 0.0 else 0.0
