"""Pairwise merging of pixels into coarser ones: (mean, weight) states, NaN aware.

The weight of a pixel is the number of valid base pixels in it; a mean without weight is NaN. Merged
means are the exact weighted means of the base (sums in float64, kept as float32).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel
from skyshade.types import AnyArray

Pixels = NDArray[np.float32]


@kernel("void(float32[:,::1], float32[:,::1], float32[:,::1])")
def merge_pixels(pixels: Pixels, mean: Pixels, weight: Pixels) -> None:
    """Merge 2 x 2 base pixels; those that are not finite are missing.

    Parameters
    ----------
    pixels : ndarray of float32, shape (h, w)
    mean, weight : ndarray of float32, shape ((h + 1) // 2, (w + 1) // 2)
        Written; a last odd row or column is merged with nothing.
    """
    merge_states_twin(pixels, np.isfinite(pixels).astype(np.float32), mean, weight)


@kernel("void(float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1])")
def merge_states(mean: Pixels, weight: Pixels, coarse: Pixels, coarse_weight: Pixels) -> None:
    """Merge 2 x 2 states.

    Parameters
    ----------
    mean, weight : ndarray of float32, shape (h, w)
    coarse, coarse_weight : ndarray of float32, shape ((h + 1) // 2, (w + 1) // 2)
        Written.
    """
    merge_states_twin(mean, weight, coarse, coarse_weight)


def merge_states_twin(mean: Pixels, weight: Pixels, coarse: Pixels, coarse_weight: Pixels) -> None:
    """Merge 2 x 2 states with numpy, compiled kernels or not."""
    valid = weight > 0.0
    sums = _four(np.where(valid, mean, 0.0).astype(np.float64) * weight)
    weights = _four(weight.astype(np.float64))
    filled = weights > 0.0
    coarse[...] = np.where(filled, sums / np.where(filled, weights, 1.0), np.nan)
    coarse_weight[...] = weights


def _four(values: AnyArray) -> AnyArray:
    h, w = values.shape
    even = np.pad(values, ((0, h % 2), (0, w % 2)))
    rows = even[0::2] + even[1::2]
    merged: AnyArray = rows[:, 0::2] + rows[:, 1::2]
    return merged
