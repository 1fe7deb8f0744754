"""What is known of the pixels within a coarser HEALPix pixel, merged pairwise.

A state is a tuple of float32 arrays over consecutive NESTED pixels:

- ``"mean"``: mean and number of the valid base pixels;
- ``"std"``: mean, number, and the sum of squared deviations from the mean;
- ``"extremes"``: the least and the greatest valid value.

What has no valid base pixel has NaN.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.healpix import fold_extremes, fold_sums
from skyshade.types import IntArray

State = tuple[NDArray[np.float32], ...]
Kind = Literal["mean", "std", "extremes"]
REDUCTIONS: dict[str, Kind] = {
    "mean": "mean",
    "std": "std",
    "max": "extremes",
    "min": "extremes",
    "absmax": "extremes",
}
_AT_ONCE = 1 << 18  # pixels merged at once


class Fold:
    """Base pixels gathered into the states of the coarser pixels ``first`` to ``first + count``."""

    def __init__(self, kind: Kind, first: int, count: int) -> None:
        self._kind, self._first = kind, first
        if kind == "extremes":
            self._low = np.full(count, np.inf, np.float32)
            self._high = np.full(count, -np.inf, np.float32)
        else:
            self._counts, self._sums = np.zeros(count), np.zeros(count)
            self._squares = np.zeros(count if kind == "std" else 0)

    def add(self, values: NDArray[np.float32], at: IntArray) -> None:
        """Add values, each to the coarser pixel `at`; those elsewhere are left out."""
        if self._kind == "extremes":
            fold_extremes(values, at, self._first, self._low, self._high)
        else:
            fold_sums(values, at, self._first, self._counts, self._sums, self._squares)

    def state(self) -> State:
        """Return what has been gathered."""
        if self._kind == "extremes":
            none = self._low > self._high
            self._low[none] = self._high[none] = np.nan
            return self._low, self._high
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._sums / self._counts
            if self._kind == "mean":
                return mean.astype(np.float32), self._counts.astype(np.float32)
            spread = np.maximum(self._squares - self._sums * mean, 0.0)
        return tuple(a.astype(np.float32) for a in (mean, self._counts, spread))


def state_of(kind: Kind, values: NDArray[np.float32], k: int) -> State:
    """Return the state of pixels from their ``4**k`` base pixels each, in turn."""
    fold = Fold(kind, 0, values.size >> 2 * k)
    fold.add(values, np.arange(values.size) >> 2 * k)
    return fold.state()


def merged(kind: Kind, state: State) -> State:
    """Return the state of pixels from those of their four children each."""
    count = state[0].size // 4
    out = tuple(np.empty(count, np.float32) for _ in state)
    for begin in range(0, count, _AT_ONCE):
        end = min(begin + _AT_ONCE, count)
        parts = [array[4 * begin : 4 * end].reshape(-1, 4) for array in state]
        merge = _merge_extremes if kind == "extremes" else _merge_moments
        for whole, part in zip(out, merge(parts), strict=True):
            whole[begin:end] = part
    return out


def _merge_extremes(parts: list[NDArray[np.float32]]) -> State:
    return np.fmin.reduce(parts[0], axis=1), np.fmax.reduce(parts[1], axis=1)


def _merge_moments(parts: list[NDArray[np.float32]]) -> State:
    count = parts[1].astype(np.float64)
    mean = np.where(count > 0, parts[0], 0.0).astype(np.float64)
    total = count.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = (mean * count).sum(axis=1) / total
    found = [whole, total]
    if len(parts) == 3:
        inner = np.where(count > 0, parts[2], 0.0).sum(axis=1, dtype=np.float64)
        apart = np.where(count > 0, mean - whole[:, None], 0.0)
        found.append(np.where(total > 0, inner + (count * apart * apart).sum(axis=1), np.nan))
    return tuple(a.astype(np.float32) for a in found)


def kept(kind: Kind, state: State) -> State:
    """Return what tiles need of a state that is merged no further; it is used up."""
    if kind == "mean":
        return state[:1]
    if kind == "std":
        spread = state[2]
        with np.errstate(invalid="ignore", divide="ignore"):
            np.divide(spread, state[1], out=spread)
        return (np.sqrt(spread, out=spread),)
    return state


def shown(reduction: str, state: State) -> NDArray[np.float32]:
    """Return the numbers that a reduction shows of a state that was `kept`."""
    if reduction == "min":
        return state[0]
    if reduction == "absmax":
        magnitude: NDArray[np.float32] = np.maximum(-state[0], state[1])
        return magnitude
    return state[-1]


def of_pixels(reduction: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a reduction shows of base pixels, each by itself."""
    if reduction == "std":
        return np.where(np.isfinite(values), np.float32(0.0), np.float32(np.nan))
    return np.abs(values) if reduction == "absmax" else values


def together(reduction: str, values: NDArray[np.float32], parts: int) -> NDArray[np.float32]:
    """Return what "max", "min" or "absmax" makes of ``parts`` x ``parts`` positions each."""
    if parts == 1:
        return values
    height, width = values.shape[0] // parts, values.shape[1] // parts
    take = np.fmin if reduction == "min" else np.fmax
    rows = take.reduce(values.reshape(height, parts, width * parts), axis=1)
    made: NDArray[np.float32] = take.reduce(rows.reshape(height, width, parts), axis=2)
    return made
