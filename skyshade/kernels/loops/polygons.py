"""numba loop of `skyshade.kernels.polygons`; name, arguments and results are the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skyshade.kernels.loops.jit import jit


@jit
def _first_beyond(at: Any, width: Any) -> Any:
    """Return the first column whose centre lies beyond a crossing."""
    if at < 0.5:
        return 0
    if at >= width:
        return width
    return math.floor(at - 0.5) + 1


@jit
def _mark_crossings(x: Any, y: Any, first: Any, end: Any, middle: Any, flips: Any) -> None:
    """Count, by column, the edges that a row of centres crosses."""
    width = flips.size - 1
    flips[:] = 0
    b = end - 1
    for a in range(first, end):
        if (y[a] <= middle) != (y[b] <= middle):
            at = x[b] + (middle - y[b]) * ((x[a] - x[b]) / (y[a] - y[b]))
            flips[_first_beyond(at, width)] += 1
        b = a


@jit
def fill_polygons(
    x: Any, y: Any, starts: Any, shape: Any, value: Any, last: Any, n: Any, total: Any
) -> None:
    """See the twin."""
    height, width = n.shape
    flips = np.zeros(width + 1, np.int64)
    for i in range(starts.size - 1):
        first, end = starts[i], starts[i + 1]
        low, high = y[first:end].min(), y[first:end].max()
        for row in range(max(math.ceil(low - 0.5), 0), height):
            if row + 0.5 >= high:
                break
            _mark_crossings(x, y, first, end, row + 0.5, flips)
            crossed = 0
            for col in range(width):
                crossed += flips[col]
                if crossed & 1 and last[row, col] != shape[i]:
                    last[row, col] = shape[i]
                    n[row, col] += 1
                    total[row, col] += value[i]
