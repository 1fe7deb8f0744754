"""Norms: values to 0..1. Interval and stretch, as in `astropy.visualization`, in one value.

With d = value - low, w = high - low and t = d / w, clipped to 0..1:

========  ==================================================================================
linear    t
log       log1p(d) / log1p(w), datashader's: defined for any range, nearly linear where w << 1
          (so scale small numbers up, or take asinh)
asinh     arcsinh(t / 0.1) / arcsinh(1 / 0.1), astropy's AsinhStretch
sqrt      sqrt(t)
abs       linear in the absolute value; a range that holds 0 runs from 0 to its farther end
eq_hist   the cumulative histogram of the values, linear between its knots
========  ==================================================================================

A range of no width gives 1 from there on, as datashader does for one-valued data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skyshade.errors import UnknownNameError
from skyshade.kernels.colour import THRESHOLDS, cell_starts, index_linear, index_steps
from skyshade.types import STRETCHES, AnyArray, FloatArray, Statistics

ASINH_A = 0.1
_EXACT_LEVELS = 65536  # datashader's limit for counting integers one by one, and its bins
_WIDEST = 8e307
_Stretch = Callable[[AnyArray, float], AnyArray]


def linear(d: AnyArray, width: float) -> AnyArray:
    """Return d / width."""
    return d / width


def log(d: AnyArray, width: float) -> AnyArray:
    """Return log1p(d) / log1p(width), as datashader does."""
    made: AnyArray = np.log1p(d) / np.log1p(width)
    return made


def asinh(d: AnyArray, width: float) -> AnyArray:
    """Return arcsinh(t / a) / arcsinh(1 / a) with a = 0.1, as astropy's AsinhStretch does."""
    made: AnyArray = np.arcsinh(d / width / ASINH_A) / np.arcsinh(1 / ASINH_A)
    return made


def sqrt(d: AnyArray, width: float) -> AnyArray:
    """Return the square root of d / width."""
    return np.sqrt(d / width)


def _from_linear(t: AnyArray, width: float) -> AnyArray:
    return t * width


def _from_log(t: AnyArray, width: float) -> AnyArray:
    made: AnyArray = np.expm1(t * np.log1p(width))
    return made


def _from_asinh(t: AnyArray, width: float) -> AnyArray:
    made: AnyArray = np.sinh(t * np.arcsinh(1 / ASINH_A)) * ASINH_A * width
    return made


def _from_sqrt(t: AnyArray, width: float) -> AnyArray:
    return t * t * width


_PAIRS: Mapping[str, tuple[_Stretch, _Stretch]] = {
    "linear": (linear, _from_linear),
    "log": (log, _from_log),
    "asinh": (asinh, _from_asinh),
    "sqrt": (sqrt, _from_sqrt),
    "abs": (linear, _from_linear),
}


class Cumulative(NamedTuple):
    """A cumulative histogram: the part of all values that lies at or below each knot.

    Both are of one length, `values` strictly rising and `fractions` not falling.
    """

    values: tuple[float, ...] | FloatArray
    fractions: tuple[float, ...] | FloatArray


@dataclass(frozen=True, eq=False)
class Norm:
    """One stretch over one range.

    Parameters
    ----------
    stretch : str
        One of `skyshade.types.STRETCHES`.
    low, high : float
        The signed range in the units of the values; ``low <= high``.
    cumulative : Cumulative, optional
        For ``eq_hist``; without one it is linear.
    """

    stretch: str
    low: float
    high: float
    cumulative: Cumulative | None = None

    def __post_init__(self) -> None:
        if self.stretch not in STRETCHES:
            raise UnknownNameError("stretch", self.stretch, STRETCHES)

    @cached_property
    def span(self) -> tuple[float, float]:
        """First and last value that differ in colour; of absolute values for ``abs``."""
        low, high = max(self.low, -_WIDEST), min(self.high, _WIDEST)
        if self.stretch == "abs":
            inside = low <= 0.0 <= high
            ends = sorted((abs(low), abs(high)))
            low, high = 0.0 if inside else ends[0], ends[1]
        return low, max(low, high)

    @cached_property
    def _knots(self) -> tuple[FloatArray, FloatArray] | None:
        """Values and renormalised fractions of the histogram between the ends of the range."""
        if self.stretch != "eq_hist" or self.cumulative is None:
            return None
        values, fractions = (np.asarray(part, np.float64) for part in self.cumulative)
        first, last = np.interp(self.span, values, fractions)
        if not last > first:
            return None
        return values, (fractions - first) / (last - first)

    def fraction(self, values: AnyArray) -> FloatArray:
        """Return where values lie between the first colour (0) and the last (1); NaN stays."""
        low, high = self.span
        value = np.abs(values) if self.stretch == "abs" else values
        value = np.asarray(value, np.float64)
        if low == high:
            return np.where(np.isnan(value), np.nan, np.where(value >= low, 1.0, 0.0))
        value = np.clip(value, low, high)
        if self._knots is not None:
            return np.clip(np.interp(value, *self._knots), 0.0, 1.0)
        forward, _ = _PAIRS.get(self.stretch, _PAIRS["linear"])
        return np.clip(forward(value - low, high - low), 0.0, 1.0)

    def value(self, fraction: AnyArray) -> FloatArray:
        """Return the values that lie at `fraction` (0..1): the inverse of `fraction`."""
        low, high = self.span
        t = np.asarray(fraction, np.float64)
        if self._knots is not None:
            values, fractions = self._knots
            return np.clip(np.interp(t, fractions, values), low, high)
        _, inverse = _PAIRS.get(self.stretch, _PAIRS["linear"])
        return np.clip(low + inverse(t, high - low), low, high)

    @cached_property
    def _steps(self) -> tuple[float, float, FloatArray, Any, int]:
        """What the kernel needs: colours change halfway between two of 255 equal steps."""
        low, high = self.span
        thresholds = np.full(2 * (THRESHOLDS + 2), np.nan)  # nothing reaches the rest
        halfway = (np.arange(THRESHOLDS) + 0.5) / THRESHOLDS
        thresholds[:THRESHOLDS] = np.maximum.accumulate(self.value(halfway))
        per_range = min(1.0 / (high - low), 1e300) if high > low else 1.0
        cells, jump = cell_starts(thresholds, low, per_range)
        return low, per_range, thresholds, cells, jump

    def indices(self, values: AnyArray) -> Any:
        """Return palette indices of numbers: 0 for missing, else 1 to 255.

        Unsigned integers and booleans are missing where they are 0, floats where they are NaN.

        Parameters
        ----------
        values : ndarray, shape (height, width)

        Returns
        -------
        ndarray of uint8, shape (height, width)
        """
        zero = values.dtype.kind in "bu"
        low, high = self.span
        per_unit = THRESHOLDS / (high - low) if high - low > 1e-290 else 0.0
        out = np.empty(values.shape, np.uint8)
        if self.stretch == "linear" and per_unit:
            numbers = _numbers(values, ("float32", "float64", "uint32"))
            index_linear(numbers, low, per_unit, zero, out)
        else:
            numbers = _numbers(values, ("float32", "float64"))
            index_steps(numbers, *self._steps, self.stretch == "abs", zero, out)
        return out


def _numbers(values: AnyArray, known: tuple[str, ...]) -> AnyArray:
    """Return contiguous numbers of a type that a kernel knows."""
    name = values.dtype.name
    return np.ascontiguousarray(values, name if name in known else "float64")


def valid_values(values: AnyArray) -> AnyArray:
    """Return the values that have a colour of their own, shape (n,): finite, not empty."""
    if values.dtype.kind == "i":
        return values.reshape(-1)
    good = np.isfinite(values) if values.dtype.kind == "f" else values != 0
    found: AnyArray = values[good]
    return found


def cumulative_of(valid: AnyArray) -> Cumulative | None:
    """Return the cumulative histogram of valid values as datashader's eq_hist makes it.

    Whole numbers are counted one by one while they spread over fewer than 65,536, else in as many
    equal bins; None when there is no value.
    """
    if valid.size == 0:
        return None
    whole = valid.dtype.kind in "biu"
    if whole and int(valid.max()) - int(valid.min()) < _EXACT_LEVELS:
        knots, counts = np.unique(valid, return_counts=True)
    else:
        counts, edges = np.histogram(valid.astype(np.float64), bins=_EXACT_LEVELS)
        knots = ((edges[:-1] + edges[1:]) / 2)[counts > 0]
        counts = counts[counts > 0]
    return Cumulative(knots.astype(np.float64), np.cumsum(counts) / counts.sum())


def cumulative_from(statistics: Statistics) -> Cumulative | None:
    """Return a layer's cumulative histogram: one for all its tiles, so that they join.

    Made of percentiles, which are fine where values crowd, and of the histogram between the 0.1
    and the 99.9 percentile. None when there are no values.
    """
    if statistics.minimum is None or statistics.maximum is None:
        return None
    points = [(float(value), float(p) / 100) for p, value in statistics.percentiles.items()]
    total = sum(statistics.counts)
    if total:
        parts = 0.001 + 0.998 * np.cumsum((0, *statistics.counts)) / total
        points += zip(map(float, statistics.edges), parts.tolist(), strict=True)
    points += [(statistics.minimum, 0.0), (statistics.maximum, 1.0)]
    values, fractions = np.array(sorted(points)).T
    fractions = np.maximum.accumulate(fractions)
    last = np.append(np.diff(values) > 0, True)  # of equal values the greatest fraction counts
    return Cumulative(tuple(values[last].tolist()), tuple(fractions[last].tolist()))
