"""numba loops of `skyshade.kernels.smooth`; names, arguments and results are the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skyshade.kernels.loops.jit import jit


@jit
def _reach(near: Any, cosines: Any, cut: Any, step: Any, half_turn: Any) -> Any:
    """Return the farthest column within `cut`; -1 when the row is too far."""
    left = math.sin(cut / 2.0) ** 2 - near
    if left < 0.0:
        return -1
    if left >= cosines:
        return half_turn
    return min(int(2.0 * math.asin(math.sqrt(left / cosines)) / step), half_turn)


@jit
def _add(row: Any, weights: Any, n: Any, half_turn: Any, pad: Any, out: Any) -> None:
    """Add a row convolved with symmetric weights; the far column of a turn counts once."""
    columns = out.size
    here = row[pad : pad + columns]
    for x in range(columns):
        out[x] += weights[0] * here[x]
    pairs = n if n < half_turn else half_turn - 1
    for k in range(1, pairs + 1):
        weight = weights[k]
        west, east = row[pad - k : pad - k + columns], row[pad + k : pad + k + columns]
        for x in range(columns):
            out[x] += weight * (west[x] + east[x])
    if n == half_turn:
        far = row[pad - n : pad - n + columns]
        for x in range(columns):
            out[x] += weights[n] * far[x]


@jit
def smooth_row(
    values: Any,
    valid: Any,
    whole: Any,
    decs: Any,
    dec: Any,
    step: Any,
    sigma: Any,
    cut: Any,
    half_turn: Any,
    pad: Any,
    out: Any,
) -> None:
    """See the twin."""
    weights = np.empty(half_turn + 1)
    for j in range(decs.size):
        near = math.sin((dec - decs[j]) / 2.0) ** 2
        cosines = math.cos(dec) * math.cos(decs[j])
        n = _reach(near, cosines, cut, step, half_turn)
        if n < 0:
            continue
        total = 0.0
        for k in range(n + 1):
            square = near + cosines * math.sin(k * step / 2.0) ** 2
            distance = 2.0 * math.asin(math.sqrt(min(square, 1.0)))
            weights[k] = math.exp(-0.5 * (distance / sigma) ** 2)
            total += weights[k] if k == 0 or k == half_turn else 2.0 * weights[k]
        _add(values[j], weights, n, half_turn, pad, out[0])
        area = math.cos(decs[j]) * total
        out[2] += area
        if whole[j]:
            out[1] += area
        else:
            _add(valid[j], weights, n, half_turn, pad, out[1])
