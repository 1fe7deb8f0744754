"""numba loops of `skyshade.kernels.colour`; names, arguments and results are the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.kernels.loops.jit import jit

# Repeated from the twins' module: numba freezes globals into its cache and would not see a change.
FIRST_CELL = 103 << 8


@jit
def index_linear(values: Any, low: Any, per_unit: Any, zero: Any, out: Any) -> None:
    """See the twin. Without branches, so that the compiler can use vector instructions."""
    flat, index = values.reshape(-1), out.reshape(-1)
    for i in range(flat.size):
        value = flat[i]
        step = (value - low) * per_unit + 1.5
        step = min(max(step, 1.0), 255.0)
        if value != value or (zero and value == 0):  # NaN
            step = 0.0
        index[i] = np.uint8(np.int32(step))


@jit
def _start(value: Any, low: Any, per_range: Any, cells: Any) -> Any:
    """Return how many thresholds surely lie below a value (0 for NaN)."""
    part = (value - low) * per_range
    part = part if 0.0 < part < 1.0 else (1.0 if part >= 1.0 else 0.0)
    cell = (np.float32(part).view(np.int32) >> 15) - FIRST_CELL
    return np.int64(cells[max(cell, 0)])


@jit
def index_steps(
    values: Any,
    low: Any,
    per_range: Any,
    thresholds: Any,
    cells: Any,
    jump: Any,
    absolute: Any,
    zero: Any,
    out: Any,
) -> None:
    """See the twin. Most norms have at most one threshold a cell; that loop is thrice as fast."""
    flat, index = values.reshape(-1), out.reshape(-1)
    if jump > 1:
        _bisect(flat, low, per_range, thresholds, cells, jump, absolute, zero, index)
        return
    for i in range(flat.size):
        value = np.float64(flat[i])
        missing = value != value or (zero and value == 0)  # NaN
        value = abs(value) if absolute else value
        below = _start(value, low, per_range, cells)
        below += np.int64(thresholds[below] <= value)
        index[i] = 0 if missing else below + 1


@jit
def _bisect(
    flat: Any,
    low: Any,
    per_range: Any,
    thresholds: Any,
    cells: Any,
    jump: Any,
    absolute: Any,
    zero: Any,
    index: Any,
) -> None:
    for i in range(flat.size):
        value = np.float64(flat[i])
        if value != value or (zero and value == 0):  # NaN
            index[i] = 0
            continue
        if absolute:
            value = abs(value)
        below = _start(value, low, per_range, cells)
        step = jump
        while step > 0:
            below += step if thresholds[below + step - 1] <= value else 0
            step >>= 1
        index[i] = below + 1


@jit
def mix_categories(
    values: Any, colours: Any, baseline: Any, zero: Any, total: Any, out: Any
) -> None:
    """See the twin."""
    height, width, depth = values.shape
    for y in range(height):
        for x in range(width):
            pixel = values[y, x]
            found, whole, above = 0, 0.0, 0.0
            for c in range(depth):
                if pixel[c] == pixel[c]:  # not NaN
                    found += 1
                    whole += pixel[c]
                    above += max(pixel[c] - baseline, 0.0)
            _mean_colour(pixel, colours, baseline, above, found, out[y, x])
            total[y, x] = np.nan if found == 0 or (zero and whole == 0.0) else whole


@jit
def _mean_colour(pixel: Any, colours: Any, baseline: Any, above: Any, found: Any, out: Any) -> None:
    red, green, blue = 0.0, 0.0, 0.0
    for c in range(pixel.size):
        if pixel[c] != pixel[c]:  # NaN
            continue
        weight = max(pixel[c] - baseline, 0.0) if above > 0.0 else 1.0
        red += weight * colours[c, 0]
        green += weight * colours[c, 1]
        blue += weight * colours[c, 2]
    sums = above if above > 0.0 else max(float(found), 1.0)
    out[0], out[1], out[2] = np.uint8(red / sums), np.uint8(green / sums), np.uint8(blue / sums)
