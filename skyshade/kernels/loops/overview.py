"""numba loops of `skyshade.kernels.overview`; their arguments are described there."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.kernels.loops.jit import jit


@jit
def _pixel_row(row: Any, sums: Any, weights: Any) -> None:
    """Add a row of pixels to column pairs."""
    w = row.size
    for c in range(w // 2):
        a, b = np.float64(row[2 * c]), np.float64(row[2 * c + 1])
        fine_a, fine_b = a - a == 0.0, b - b == 0.0
        sums[c] += (a if fine_a else 0.0) + (b if fine_b else 0.0)
        weights[c] += (1.0 if fine_a else 0.0) + (1.0 if fine_b else 0.0)
    if w & 1:
        a = np.float64(row[w - 1])
        if a - a == 0.0:
            sums[w // 2] += a
            weights[w // 2] += 1.0


@jit
def _state_row(row: Any, weight: Any, sums: Any, weights: Any) -> None:
    """Add a row of states to column pairs."""
    w = row.size
    for c in range(w // 2):
        p, q = np.float64(weight[2 * c]), np.float64(weight[2 * c + 1])
        a = np.float64(row[2 * c]) * p if p > 0.0 else 0.0
        b = np.float64(row[2 * c + 1]) * q if q > 0.0 else 0.0
        sums[c] += a + b
        weights[c] += p + q
    if w & 1 and weight[w - 1] > 0.0:
        sums[w // 2] += np.float64(row[w - 1]) * np.float64(weight[w - 1])
        weights[w // 2] += np.float64(weight[w - 1])


@jit
def _write(sums: Any, weights: Any, mean: Any, weight: Any) -> None:
    for c in range(mean.size):
        mean[c] = sums[c] / weights[c] if weights[c] > 0.0 else np.nan
        weight[c] = weights[c]


@jit
def merge_pixels(pixels: Any, mean: Any, weight: Any) -> None:
    """Merge pixels, row pair by row pair."""
    sums, weights = np.empty(mean.shape[1]), np.empty(mean.shape[1])
    for r in range(mean.shape[0]):
        sums[:] = 0.0
        weights[:] = 0.0
        for k in range(2 * r, min(2 * r + 2, pixels.shape[0])):
            _pixel_row(pixels[k], sums, weights)
        _write(sums, weights, mean[r], weight[r])


@jit
def merge_states(mean: Any, weight: Any, coarse: Any, coarse_weight: Any) -> None:
    """Merge states, row pair by row pair."""
    sums, weights = np.empty(coarse.shape[1]), np.empty(coarse.shape[1])
    for r in range(coarse.shape[0]):
        sums[:] = 0.0
        weights[:] = 0.0
        for k in range(2 * r, min(2 * r + 2, mean.shape[0])):
            _state_row(mean[k], weight[k], sums, weights)
        _write(sums, weights, coarse[r], coarse_weight[r])
