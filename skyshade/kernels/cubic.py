"""Pixel coordinates of a window from control points, by cubic interpolation."""

from __future__ import annotations

import numpy as np

from skyshade.kernels.dispatch import kernel
from skyshade.kernels.sampling import put_cells
from skyshade.types import FloatArray, IntArray


def cubic_weights(step: int) -> FloatArray:
    """Return Lagrange's weights of the nodes -1, 0, 1, 2 at the `step` pixel centres in 0..1."""
    f = (np.arange(step) + 0.5) / step
    before, first = -f * (f - 1.0) * (f - 2.0) / 6.0, (f + 1.0) * (f - 1.0) * (f - 2.0) / 2.0
    second, after = -(f + 1.0) * f * (f - 2.0) / 2.0, (f + 1.0) * f * (f - 1.0) / 6.0
    return np.stack([before, first, second, after], axis=1)


@kernel(
    "void(float64[:,:,::1], float64[:,:,::1], int64[:,::1], float64[:,::1], float64,"
    " float64[:,::1], float64[:,::1])"
)
def fill_cubic(
    nodes_x: FloatArray,
    nodes_y: FloatArray,
    corners: IntArray,
    weights: FloatArray,
    period: float,
    out_x: FloatArray,
    out_y: FloatArray,
) -> None:
    """Fill square cells with coordinates that are cubic along both axes between exact nodes.

    Parameters
    ----------
    nodes_x, nodes_y : ndarray of float64, shape (n, 4, 4)
        Coordinates at the corners of every cell and at the nodes around it; x must not jump by
        turns within a cell.
    corners : ndarray of int64, shape (n, 2)
        (row, column) of a cell's first pixel in `out_x`; cells may reach beyond its edges.
    weights : ndarray of float64, shape (step, 4)
        `cubic_weights` of the side of a cell.
    period : float
        Of x; 0 when it has none. Results lie in -0.5 <= x < period - 0.5.
    out_x, out_y : ndarray of float64, shape (h, w)
        Written where there are cells.
    """
    filled = _between(nodes_x, weights)
    if period > 0.0:
        filled -= period * np.floor((filled + 0.5) / period)
    put_cells(corners, filled, out_x)
    put_cells(corners, _between(nodes_y, weights), out_y)


def _between(nodes: FloatArray, weights: FloatArray) -> FloatArray:
    across = np.einsum("rj,njk->nrk", weights, nodes)
    found: FloatArray = np.einsum("ck,nrk->nrc", weights, across)
    return found
