"""numba loop of `skyshade.kernels.marks`; names, arguments and results are the same."""

from __future__ import annotations

import math
from typing import Any

from skyshade.kernels.loops.jit import jit

# Repeated from the twins' module: numba freezes globals into its cache and would not see a change.
CIRCLE, SQUARE, CROSS, DIAMOND = 0, 1, 2, 3
EQUAL = 0.886226925452758
ARM, BAR, THIN = 1.35, 0.3, 0.5


@jit
def _distance(across: Any, down: Any, radius: Any, shape: Any) -> Any:
    if shape == CIRCLE:
        return math.sqrt(across * across + down * down) - radius
    if shape == SQUARE:
        return max(across, down) - radius * EQUAL
    if shape == DIAMOND:
        return (across + down) * math.sqrt(0.5) - radius * EQUAL
    arm, bar = radius * ARM, max(radius * BAR, THIN)
    return min(max(across - arm, down - bar), max(across - bar, down - arm))


@jit
def draw_marks(
    x: Any, y: Any, radius: Any, strength: Any, shape: Any, opacity: Any, owner: Any
) -> None:
    """See the twin."""
    height, width = opacity.shape
    wide = ARM if shape == CROSS else 1.2533141373155
    for i in range(x.size):
        reach = radius[i] * wide + 1.0
        x0, x1 = max(math.floor(x[i] - reach), 0), min(math.ceil(x[i] + reach), width)
        y0, y1 = max(math.floor(y[i] - reach), 0), min(math.ceil(y[i] + reach), height)
        for row in range(y0, y1):
            down = abs(row + 0.5 - y[i])
            for col in range(x0, x1):
                inside = 0.5 - _distance(abs(col + 0.5 - x[i]), down, radius[i], shape)
                level = math.floor(min(max(inside, 0.0), 1.0) * strength[i] + 0.5)
                if level > 0 and level >= opacity[row, col]:
                    opacity[row, col] = level
                    owner[row, col] = i
