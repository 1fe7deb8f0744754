"""numba loop of `skyshade.kernels.cubic`; its arguments are described there."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.kernels.loops.jit import jit


@jit
def _fill(g: Any, row: int, col: int, weights: Any, period: float, out: Any) -> None:
    step, skipped = weights.shape[0], max(0, -col)
    for r in range(max(0, -row), min(step, out.shape[0] - row)):
        w = weights[r]
        a = w[0] * g[0, 0] + w[1] * g[1, 0] + w[2] * g[2, 0] + w[3] * g[3, 0]
        b = w[0] * g[0, 1] + w[1] * g[1, 1] + w[2] * g[2, 1] + w[3] * g[3, 1]
        c = w[0] * g[0, 2] + w[1] * g[1, 2] + w[2] * g[2, 2] + w[3] * g[3, 2]
        d = w[0] * g[0, 3] + w[1] * g[1, 3] + w[2] * g[2, 3] + w[3] * g[3, 3]
        line = out[row + r, col + skipped : max(0, col + step)]
        for k in range(line.size):
            v = weights[skipped + k]
            line[k] = v[0] * a + v[1] * b + v[2] * c + v[3] * d
        if period > 0.0:
            for k in range(line.size):
                line[k] -= period * np.floor((line[k] + 0.5) / period)


@jit
def fill_cubic(
    nodes_x: Any, nodes_y: Any, corners: Any, weights: Any, period: float, out_x: Any, out_y: Any
) -> None:
    """Fill cells between nodes."""
    for n in range(nodes_x.shape[0]):
        _fill(nodes_x[n], corners[n, 0], corners[n, 1], weights, period, out_x)
        _fill(nodes_y[n], corners[n, 0], corners[n, 1], weights, 0.0, out_y)
