"""One row of a Gaussian smoothing on the sphere."""

from __future__ import annotations

import math

import numpy as np

from skyshade.kernels.dispatch import kernel
from skyshade.types import FloatArray


@kernel(
    "void(float64[:,::1], float64[:,::1], boolean[::1], float64[::1], float64, float64, float64,"
    " float64, int64, int64, float64[:,::1])"
)
def smooth_row(
    values: FloatArray,
    valid: FloatArray,
    whole: np.ndarray[tuple[int], np.dtype[np.bool_]],
    decs: FloatArray,
    dec: float,
    step: float,
    sigma: float,
    cut: float,
    half_turn: int,
    pad: int,
    out: FloatArray,
) -> None:
    """Add the beam-weighted rows of a lattice for one row of output.

    The weight exp(-d**2 / (2 sigma**2)) of a cell, d its true angular distance up to `cut`,
    depends on the difference of right ascension only, for a pair of rows.

    Parameters
    ----------
    values : ndarray of float64, shape (rows, columns + 2 pad)
        Value times area of each cell, 0 where missing.
    valid : ndarray of float64
        Area of each cell that is not missing.
    whole : ndarray of bool, shape (rows,)
        Rows in which nothing is missing.
    decs : ndarray of float64, shape (rows,)
        Radians.
    dec : float
        Of the output row, radians.
    step : float
        Between columns, radians.
    sigma, cut : float
        Radians.
    half_turn : int
        Half of the columns of a turn.
    pad : int
        Columns before the first output column; `half_turn` where a beam reaches round the sky.
    out : ndarray of float64, shape (3, columns)
        Added to: weighted values, weighted area that is valid, weighted area of all cells.
    """
    columns = out.shape[1]
    for j in range(decs.size):
        weights = _weights(dec, float(decs[j]), step, sigma, cut, half_turn)
        n = weights.size - 1
        if n < 0:
            continue
        kernel_ = np.concatenate([weights[:0:-1], weights])
        if n == half_turn:
            kernel_ = kernel_[:-1]  # the far column counts once
        # np.convolve turns its second argument round: offsets -n to n (or n - 1) lie in reverse
        cut_out = np.s_[pad - n : pad + columns + kernel_.size - n - 1]
        flipped = kernel_[::-1]
        out[0] += np.convolve(values[j, cut_out], flipped, "valid")
        area = math.cos(float(decs[j])) * kernel_.sum()
        out[2] += area
        out[1] += area if whole[j] else np.convolve(valid[j, cut_out], flipped, "valid")


def _weights(
    dec: float, other: float, step: float, sigma: float, cut: float, half_turn: int
) -> FloatArray:
    """Return the weights of columns 0, 1, 2 ... away within `cut`; none when the row is too far."""
    near = math.sin((dec - other) / 2.0) ** 2
    cosines = math.cos(dec) * math.cos(other)
    left = math.sin(cut / 2.0) ** 2 - near
    if left < 0.0:
        return np.empty(0)
    n = half_turn
    if left < cosines:
        n = min(int(2.0 * math.asin(math.sqrt(left / cosines)) / step), half_turn)
    square = near + cosines * np.sin(np.arange(n + 1) * step / 2.0) ** 2
    distance = 2.0 * np.arcsin(np.sqrt(np.minimum(square, 1.0)))
    weights: FloatArray = np.exp(-0.5 * (distance / sigma) ** 2)
    return weights
