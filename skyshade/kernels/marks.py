"""Marks (discs and other small shapes) drawn smoothly on a window, one after the other.

Every edge is one pixel wide: the opacity is that of a ramp over the signed distance from the
outline, 1/2 on it. Distances are in pixels; squares and diamonds have the area of the disc.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel
from skyshade.types import AnyArray, FloatArray

CIRCLE, SQUARE, CROSS, DIAMOND = 0, 1, 2, 3
EQUAL = 0.886226925452758  # half the side of a square whose area is that of the disc of radius 1
ARM, BAR = 1.35, 0.3  # half the length and half the width of a cross's bars, in radii
THIN = 0.5  # pixels: no bar is narrower than twice that


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[::1], int64,"
    " uint8[:,::1], int32[:,::1])"
)
def draw_marks(
    x: FloatArray,
    y: FloatArray,
    radius: FloatArray,
    strength: FloatArray,
    shape: int,
    opacity: NDArray[np.uint8],
    owner: NDArray[np.int32],
) -> None:
    """Draw marks; a pixel belongs to the last of those that cover it most.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n,)
        Centres from the window's upper left corner, in pixels; pixel centres lie at +0.5. Marks
        may lie outside.
    radius : ndarray of float64, shape (n,)
        Pixels.
    strength : ndarray of float64, shape (n,)
        Opacity of a pixel that a mark covers, 0 to 255.
    shape : int
        `CIRCLE`, `SQUARE`, `CROSS` or `DIAMOND`.
    opacity : ndarray of uint8, shape (height, width)
        Updated: the greatest so far.
    owner : ndarray of int32, shape (height, width)
        Updated: number of the mark that each pixel belongs to.
    """
    height, width = opacity.shape
    for i in range(x.size):
        reach = radius[i] * (ARM if shape == CROSS else 1.2533141373155) + 1.0
        x0, x1 = max(int(np.floor(x[i] - reach)), 0), min(int(np.ceil(x[i] + reach)), width)
        y0, y1 = max(int(np.floor(y[i] - reach)), 0), min(int(np.ceil(y[i] + reach)), height)
        if x0 >= x1 or y0 >= y1:
            continue
        across = np.abs(np.arange(x0, x1) + 0.5 - x[i])
        down = np.abs(np.arange(y0, y1) + 0.5 - y[i])[:, None]
        inside = 0.5 - _distance(across, down, radius[i], shape)
        level = np.floor(np.clip(inside, 0.0, 1.0) * strength[i] + 0.5).astype(np.uint8)
        there = opacity[y0:y1, x0:x1]
        wins = (level > 0) & (level >= there)
        there[wins] = level[wins]
        owner[y0:y1, x0:x1][wins] = i


def _distance(across: AnyArray, down: AnyArray, radius: float, shape: int) -> AnyArray:
    """Return signed distances from the outline, negative inside."""
    found: AnyArray
    if shape == CIRCLE:
        found = np.sqrt(across * across + down * down) - radius
    elif shape == SQUARE:
        found = np.maximum(across, down) - radius * EQUAL
    elif shape == DIAMOND:
        found = (across + down) * np.sqrt(0.5) - radius * EQUAL
    else:
        arm, bar = radius * ARM, max(radius * BAR, THIN)
        lying = np.maximum(across - arm, down - bar)
        found = np.minimum(lying, np.maximum(across - bar, down - arm))
    return found


def mark_reach(radius: float) -> int:
    """Return how many pixels a mark of this radius can reach beyond its centre's pixel."""
    return int(np.ceil(radius * ARM)) + 2
