"""numba loops of `skyshade.kernels.binning`; names, arguments and results are the same."""

from __future__ import annotations

from typing import Any

from skyshade.kernels.loops.jit import jit

# Repeated from the twins' module: numba freezes globals into its cache and would not see a change.
SUM, MIN, MOMENTS = 0, 1, 3


@jit
def _spread(value: Any) -> Any:
    value = (value | (value << 16)) & 0x0000FFFF0000FFFF
    value = (value | (value << 8)) & 0x00FF00FF00FF00FF
    value = (value | (value << 4)) & 0x0F0F0F0F0F0F0F0F
    value = (value | (value << 2)) & 0x3333333333333333
    return (value | (value << 1)) & 0x5555555555555555


@jit
def _gather(value: Any) -> Any:
    value = value & 0x5555555555555555
    value = (value | (value >> 1)) & 0x3333333333333333
    value = (value | (value >> 2)) & 0x0F0F0F0F0F0F0F0F
    value = (value | (value >> 4)) & 0x00FF00FF00FF00FF
    value = (value | (value >> 8)) & 0x0000FFFF0000FFFF
    return (value | (value >> 16)) & 0x00000000FFFFFFFF


@jit
def _pixel(cell: Any, col0: Any, row0: Any, columns: Any, height: Any, width: Any) -> Any:
    """Return the flat pixel of a cell, -1 outside the window."""
    col = (_gather(cell) - col0) & (columns - 1)
    row = _gather(cell >> 1) - row0
    if col < width and 0 <= row < height:
        return row * width + col
    return -1


@jit
def interleave(cols: Any, rows: Any, keys: Any) -> None:
    """See the twin."""
    for i in range(keys.size):
        keys[i] = _spread(cols[i]) | (_spread(rows[i]) << 1)


@jit
def bin_count(keys: Any, shift: Any, frame: Any, out: Any) -> None:
    """See the twin."""
    height, width = out.shape
    flat = out.reshape(-1)
    last, pixel = -1, -1
    for i in range(keys.size):
        cell = keys[i] >> shift
        if cell != last:
            last, pixel = cell, _pixel(cell, frame[0], frame[1], frame[2], height, width)
        if pixel >= 0:
            flat[pixel] += 1


@jit
def bin_values(
    keys: Any, values: Any, shift: Any, frame: Any, state: Any, n: Any, a: Any, b: Any
) -> None:
    """See the twin."""
    height, width = n.shape
    flat_n, flat_a, flat_b = n.reshape(-1), a.reshape(-1), b.reshape(-1)
    last, pixel = -1, -1
    for i in range(keys.size):
        cell = keys[i] >> shift
        if cell != last:
            last, pixel = cell, _pixel(cell, frame[0], frame[1], frame[2], height, width)
        value = values[i]
        if pixel < 0 or value != value:  # NaN
            continue
        flat_n[pixel] += 1
        if state == MOMENTS:  # Welford's method
            delta = value - flat_a[pixel]
            flat_a[pixel] += delta / flat_n[pixel]
            flat_b[pixel] += delta * (value - flat_a[pixel])
        else:
            flat_a[pixel] = _fold(value, state, flat_n[pixel], flat_a[pixel])


@jit
def _fold(value: Any, state: Any, n: Any, a: Any) -> Any:
    """Return the new sum or extreme; scalars only, for arrays would be counted at every call."""
    if state == SUM:
        return a + value
    if n == 1:
        return value
    return min(a, value) if state == MIN else max(a, value)


@jit
def bin_categories(keys: Any, codes: Any, shift: Any, frame: Any, out: Any) -> None:
    """See the twin."""
    height, width, depth = out.shape
    flat = out.reshape((height * width, depth))
    last, pixel = -1, -1
    for i in range(keys.size):
        cell = keys[i] >> shift
        if cell != last:
            last, pixel = cell, _pixel(cell, frame[0], frame[1], frame[2], height, width)
        if pixel >= 0 and codes[i] >= 0:
            flat[pixel, codes[i]] += 1
