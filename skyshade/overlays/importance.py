"""Which sources matter most: bright, large or significant ones, by the name of a column."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from skyshade.types import AnyArray, FloatArray

_MAGNITUDE = re.compile(r"(?:[ugrizyjhkvbw]|vt|bt|hp|phot_g_mean|g_?mean|w1)_?(?:mag|t)?|mag\w*")
_STRENGTH = re.compile(
    r"s(?:ig)?n_?r|fixed_?snr|signif\w*(?:_avg)?|detection_significance|significance|sigma|ts|"
    r"sqrt_ts\w*|.*flux(?:_?\d+)?|(?:peak|total|int)_?flux\w*|size|maj(?:or)?(?:_?ax\w*)?|"
    r"radius|diam(?:eter)?|mass|m500\w*|m200\w*|richness|weight|priority|rank"
)


def magnitude_column(columns: Sequence[str]) -> str | None:
    """Return the first column whose name looks like a magnitude, None when there is none."""
    others = {name.lower() for name in columns}
    for name in columns:
        low = name.lower()
        if low == "z" and not others & {"g", "r", "i", "y"}:
            continue  # a redshift
        if _MAGNITUDE.fullmatch(low) or re.search(r"(?:^|_)mag(?:_|$|\d)", low):
            return name
    return None


def strength_column(columns: Sequence[str]) -> str | None:
    """Return the first column whose large values make a source important, None without one."""
    return next((name for name in columns if _STRENGTH.fullmatch(name.lower())), None)


def importance_column(columns: Sequence[str]) -> tuple[str, bool] | None:
    """Return the column that ranks sources, and whether small values come first."""
    magnitude = magnitude_column(columns)
    if magnitude is not None:
        return magnitude, True
    strength = strength_column(columns)
    return None if strength is None else (strength, False)


def order_of(values: AnyArray | None, count: int, *, smallest: bool) -> AnyArray:
    """Return the rows from the most to the least important one, shape (count,).

    Rows without a finite value come last. Where values are equal, or there are none, an order
    decides that looks random and is always the same.

    Parameters
    ----------
    values : ndarray, shape (count,), or None
    count : int
    smallest : bool
        Whether small values are the important ones.
    """
    mixed = _mixed(count)
    if values is None:
        return np.argsort(mixed, kind="stable")
    key = numbers(values)
    key = np.where(np.isfinite(key), key if smallest else -key, np.inf)
    return np.lexsort((mixed, key))


def numbers(values: AnyArray) -> FloatArray:
    """Return a column as float64, NaN for what is no number."""
    array = np.asarray(values)
    if array.dtype.kind in "fiub":
        return np.asarray(array, np.float64)
    return np.array([_number(value) for value in array.tolist()], np.float64)


def sizes_by_magnitude(values: AnyArray, low: float = 2.5, high: float = 14.0) -> AnyArray:
    """Return marker sizes in pixels, larger for smaller (brighter) values; shape (n,)."""
    mag = np.asarray(values, np.float64)
    good = np.isfinite(mag)
    if not good.any():
        return np.full(mag.shape, 6.0)
    first, last = np.min(mag[good]), np.max(mag[good])
    span = max(last - first, 1e-9) if last > first else 1.0
    bright = (last - np.where(good, mag, last)) / span
    return np.asarray(low + (high - low) * bright**2)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _mixed(count: int) -> AnyArray:
    """Return row numbers with their bits stirred (Knuth's multiplicative hash, TAOCP 6.4)."""
    rows = np.arange(count, dtype=np.uint32)
    return rows * np.uint32(2654435761)
