"""numba loops of `skyshade.kernels.png`; names, arguments and results are the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.kernels.loops.jit import jit


@jit
def mark_used(pixels: Any, seen: Any) -> None:
    """See the twin."""
    flat = pixels.reshape(-1)
    for i in range(flat.size):
        seen[flat[i]] = 1


@jit
def up_pays(pixels: Any, stride: Any) -> Any:
    """See the twin."""
    height, width = pixels.shape
    plain, above = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for y in range(stride, height, stride):
        for x in range(width):
            plain[pixels[y, x]] += 1
            above[np.uint8(pixels[y, x] - pixels[y - 1, x])] += 1
    gain = 0
    for i in range(256):  # (summing arrays would take numba a second more to compile)
        gain += above[i] * above[i] - plain[i] * plain[i]
    return gain > 0
