"""Statistics and the power-of-two scale of a layer's values."""

from __future__ import annotations

import math

import numpy as np

from skyshade.types import PERCENTILES, AnyArray, FloatArray, Statistics

HISTOGRAM_BINS = 128
_LARGEST = float(np.finfo(np.float32).max)


def valid_values(values: AnyArray) -> FloatArray:
    """Return the values that can be shown, flat, as float64.

    What is not finite, or too large for float32 (infinite in every tile), is left out.
    """
    flat = np.asarray(values, np.float64).ravel()
    with np.errstate(invalid="ignore"):
        return flat[np.abs(flat) <= _LARGEST]


def statistics_of(values: AnyArray, exact: bool) -> Statistics:
    """Return the statistics of the valid numbers of `values`.

    Parameters
    ----------
    values : ndarray, any shape
        NaN and infinities are left out; select before what else should not count.
    exact : bool
        Whether `values` are all the data, not a sample.

    Returns
    -------
    Statistics
        Finite numbers only; None and empty where there is no valid value. The histogram has
        `HISTOGRAM_BINS` bins from the 0.1 to the 99.9 percentile, and leaves out what lies beyond
        (of fewer than 1000 values: from the minimum to the maximum).
    """
    good = valid_values(values)
    if not good.size:
        return Statistics(n_valid=0, exact=exact)
    points = np.percentile(good, [float(p) for p in PERCENTILES])
    ends = (points[0], points[-1]) if good.size >= 1000 else (good.min(), good.max())
    counts, edges = _histogram(good, float(ends[0]), float(ends[1]))
    return Statistics(
        n_valid=int(good.size),
        minimum=float(good.min()),
        maximum=float(good.max()),
        mean=float(good.mean()),
        std=float(good.std()),
        percentiles={name: float(p) for name, p in zip(PERCENTILES, points, strict=True)},
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
        exact=exact,
    )


def _histogram(values: FloatArray, low: float, high: float) -> tuple[AnyArray, AnyArray]:
    if not high - low > 4.0 * HISTOGRAM_BINS * np.spacing(max(abs(low), abs(high))):
        width = abs(low) * 1e-6 or 1.0  # a constant: one full bin in the middle
        low, high = low - width, high + width
    return np.histogram(values, bins=HISTOGRAM_BINS, range=(low, high))


def scale_of(values: AnyArray) -> float:
    """Return the power of two that brings the 99.9th percentile of the absolute value to about 1.

    1.0 when there is no valid value or all are zero. The quotient lies in 0.5 to 1, so float16
    holds values up to 65504 times the percentile.
    """
    good = np.abs(valid_values(values))
    top = float(np.percentile(good, 99.9)) if good.size else 0.0
    if not top > 0.0:
        top = float(good.max()) if good.size else 0.0
    if not top > 0.0:
        return 1.0
    return math.ldexp(1.0, min(max(math.frexp(top)[1], -126), 127))
