"""numba loops of `skyshade.kernels.rgb`; names, arguments and results are the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skyshade.kernels.loops.jit import jit

FRACTION = 0.1  # repeated from the twins' module: numba freezes globals into its cache


@jit
def _light(value: Any, low: Any, per_unit: Any) -> Any:
    return (np.float64(value) - low) * per_unit if value == value else 0.0  # NaN


@jit
def _shade(red: Any, green: Any, blue: Any, q: Any, slope: Any) -> Any:
    """Return by what the three are multiplied."""
    mean = (red + green + blue) / 3.0
    if not mean > 0.0:
        return 0.0
    factor = math.asinh(q * mean) * slope / mean
    return factor / max(max(red, green, blue) * factor, 1.0)


@jit
def _count(x: Any) -> Any:
    return np.uint8(min(max(x, 0.0), 1.0) * 255.0 + 0.5)


@jit
def colour_bands(values: Any, low: Any, per_unit: Any, q: Any, out: Any) -> None:
    """See the twin."""
    slope = FRACTION / math.asinh(FRACTION * q) if q > 0.0 else 1.0
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            a, b, c = values[i, j, 0], values[i, j, 1], values[i, j, 2]
            if a != a and b != b and c != c:  # NaN
                out[i, j] = 0
                continue
            red = _light(a, low[0], per_unit[0])
            green = _light(b, low[1], per_unit[1])
            blue = _light(c, low[2], per_unit[2])
            factor = _shade(red, green, blue, q, slope) if q > 0.0 else 1.0
            out[i, j, 0], out[i, j, 1] = _count(red * factor), _count(green * factor)
            out[i, j, 2], out[i, j, 3] = _count(blue * factor), 255
