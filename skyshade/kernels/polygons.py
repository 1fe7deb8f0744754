"""Polygons filled on a window: which pixel centres lie inside, by the even-odd rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel
from skyshade.types import AnyArray, FloatArray, IntArray


@kernel(
    "void(float64[::1], float64[::1], int64[::1], int64[::1], float64[::1],"
    " int64[:,::1], uint32[:,::1], float64[:,::1])"
)
def fill_polygons(
    x: FloatArray,
    y: FloatArray,
    starts: IntArray,
    shape: IntArray,
    value: FloatArray,
    last: IntArray,
    n: NDArray[np.uint32],
    total: FloatArray,
) -> None:
    """Add polygons to the pixels whose centres they hold.

    Parameters
    ----------
    x, y : ndarray of float64, shape (vertices,)
        Pixels from the window's upper left corner; centres lie at +0.5.
    starts : ndarray of int64, shape (polygons + 1,)
        First vertex of each polygon; it is closed from its last one.
    shape : ndarray of int64, shape (polygons,)
        Not falling. Polygons of one shape count once in a pixel.
    value : ndarray of float64, shape (polygons,)
    last : ndarray of int64, shape (height, width)
        Updated: the last shape that a pixel was in; begin with -1.
    n : ndarray of uint32, shape (height, width)
        Updated: number of shapes.
    total : ndarray of float64, shape (height, width)
        Updated: sum of their values.
    """
    height, width = n.shape
    for i in range(starts.size - 1):
        px, py = x[starts[i] : starts[i + 1]], y[starts[i] : starts[i + 1]]
        rows = np.arange(max(int(np.ceil(py.min() - 0.5)), 0), height)
        rows = rows[rows + 0.5 < py.max()]
        inside = np.zeros((rows.size, width), np.bool_)
        for a in range(px.size):
            inside ^= _beyond(px, py, a, rows, width)
        seen = last[rows]
        new = inside & (seen != shape[i])
        n[rows] += new
        total[rows] += new * value[i]
        last[rows] = np.where(inside, shape[i], seen)


def _beyond(px: FloatArray, py: FloatArray, a: int, rows: IntArray, width: int) -> AnyArray:
    """Return which pixel centres have edge `a` on their left."""
    b = a - 1 if a else px.size - 1
    middle = rows + 0.5
    crossed = (py[a] <= middle) != (py[b] <= middle)
    with np.errstate(all="ignore"):
        at = px[b] + (middle - py[b]) * ((px[a] - px[b]) / (py[a] - py[b]))
    beyond: AnyArray = np.arange(width) + 0.5 > np.where(crossed, at, np.inf)[:, None]
    return beyond
