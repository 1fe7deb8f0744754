"""Values to palette indices: 0 for missing, 1 to 255 for the colour steps.

A value is missing when it is NaN or, where `zero` is set, when it is 0 (counts, masks). Values
beyond the range get the first or the last colour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel
from skyshade.types import AnyArray, FloatArray

COLOURS = 255
THRESHOLDS = COLOURS - 1
CELLS = 24 * 256 + 1
_FIRST_CELL = 103 << 8  # float32 bits of 2**-24, without the 15 lowest


@kernel(
    *(
        f"void({t}[:,::1], float64, float64, boolean, uint8[:,::1])"
        for t in ("float32", "float64", "uint32")
    )
)
def index_linear(
    values: AnyArray, low: float, per_unit: float, zero: bool, out: NDArray[np.uint8]
) -> None:
    """Write the palette indices of a linear norm.

    Parameters
    ----------
    values : ndarray of float32, float64 or uint32, shape (height, width)
    low : float
        Value of the first colour.
    per_unit : float
        Colour steps a unit, 254 / (high - low); finite.
    zero : bool
        Whether 0 is missing.
    out : ndarray of uint8, shape (height, width)
    """
    missing = np.isnan(values) | (zero & (values == 0))
    with np.errstate(over="ignore", invalid="ignore"):
        step = (values.astype(np.float64) - low) * per_unit + 1.5
    out[:] = np.where(missing, 0.0, np.clip(step, 1.0, 255.0)).astype(np.uint8)


@kernel(
    *(
        f"void({t}[:,::1], float64, float64, float64[::1], uint8[::1], int64, boolean, boolean,"
        " uint8[:,::1])"
        for t in ("float32", "float64")
    )
)
def index_steps(
    values: AnyArray,
    low: float,
    per_range: float,
    thresholds: FloatArray,
    cells: NDArray[np.uint8],
    jump: int,
    absolute: bool,
    zero: bool,
    out: NDArray[np.uint8],
) -> None:
    """Write the palette indices of any rising norm, given the values where the colour changes.

    The loop looks up in `cells` how many thresholds surely lie below a value, then bisects the
    few that remain; the twin bisects them all. Both are exact.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (height, width)
    low, per_range : float
        ``(value - low) * per_range`` is 0 to 1 inside the range; finite.
    thresholds : ndarray of float64, shape (512,)
        Rising; the first 254 are real, the rest is NaN (not even infinity reaches it).
    cells : ndarray of uint8, shape (CELLS,)
        See `cell_starts`.
    jump : int
        The first step of the bisection, a power of two.
    absolute : bool
        Whether ``abs(value)`` is coloured.
    zero : bool
        Whether 0 is missing.
    out : ndarray of uint8, shape (height, width)
    """
    missing = np.isnan(values) | (zero & (values == 0))
    del low, per_range, cells, jump  # what makes the loop fast
    size = np.abs(values) if absolute else values
    found = np.searchsorted(thresholds[:THRESHOLDS], size, side="right") + 1
    out[:] = np.where(missing, 0, found).astype(np.uint8)


def cell_starts(
    thresholds: FloatArray, low: float, per_range: float
) -> tuple[NDArray[np.uint8], int]:
    """Return the table and the first jump that `index_steps` needs.

    A cell is a run of float32 numbers with the same exponent and 8 leading mantissa bits, so cells
    are fine where logarithmic norms change fast. The cell number never falls with rising value;
    thresholds of lower cells thus lie below every value of a cell.

    Returns
    -------
    starts : ndarray of uint8, shape (CELLS,)
        Number of thresholds in lower cells.
    jump : int
    """
    with np.errstate(over="ignore"):
        part = np.clip((thresholds[:THRESHOLDS] - low) * per_range, 0.0, 1.0).astype(np.float32)
    cell = np.maximum((part.view(np.int32) >> 15) - _FIRST_CELL, 0)
    most = int(np.bincount(cell).max())
    starts = np.searchsorted(cell, np.arange(CELLS), side="left")
    return starts.astype(np.uint8), 1 << (most.bit_length() - 1)


@kernel("void(float64[:,:,::1], float64[:,::1], float64, boolean, float64[:,::1], uint8[:,:,::1])")
def mix_categories(
    values: FloatArray,
    colours: FloatArray,
    baseline: float,
    zero: bool,
    total: FloatArray,
    out: NDArray[np.uint8],
) -> None:
    """Write the mean colour of every pixel's categories, weighted by value, and their total.

    Where no value lies above the baseline, the categories that are present count alike.

    Parameters
    ----------
    values : ndarray of float64, shape (height, width, category)
        NaN where a category is not present.
    colours : ndarray of float64, shape (category, 3)
    baseline : float
        What counts as nothing.
    zero : bool
        Whether a pixel of total 0 is missing.
    total : ndarray of float64, shape (height, width)
        Written; NaN for a missing pixel.
    out : ndarray of uint8, shape (height, width, 4)
        Written, opacity excepted.
    """
    present = ~np.isnan(values)
    weights = np.where(present, np.maximum(values - baseline, 0.0), 0.0)
    weights = np.where(weights.sum(axis=2, keepdims=True) > 0.0, weights, present)
    sums = weights.sum(axis=2, keepdims=True)
    out[:, :, :3] = (weights @ colours) / np.where(sums > 0.0, sums, 1.0)
    total[:] = np.where(present, values, 0.0).sum(axis=2)
    total[~present.any(axis=2) | (zero & (total == 0.0))] = np.nan
