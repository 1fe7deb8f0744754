"""Angles that are written as text: 12:34:56.7, 12 34 56.7, 12h34m56.7s, -12d34m."""

from __future__ import annotations

import re

import numpy as np

from skyshade.types import AnyArray, FloatArray

_ANGLE = re.compile(
    r"\s*([-+\N{MINUS SIGN}]?)\s*(\d{1,3})\s*[:hd\N{DEGREE SIGN}\s]\s*(\d{1,2}(?:\.\d*)?)"
    r"\s*(?:[:m'\N{PRIME}\s]\s*(?:(\d{1,2}(?:\.\d*)?)\s*[s\"\N{DOUBLE PRIME}]?\s*)?)?",
    re.IGNORECASE,
)


def angles(texts: AnyArray) -> tuple[FloatArray, AnyArray]:
    """Return texts as numbers, and which of them have minutes (of an hour or a degree).

    What is neither a number nor an angle is NaN.
    """
    values = np.empty(len(texts))
    parted = np.zeros(len(texts), bool)
    for i, item in enumerate(texts.tolist()):
        try:
            values[i] = float(item)
        except (TypeError, ValueError, OverflowError):
            values[i], parted[i] = _angle(item)
    return values, parted


def _angle(item: object) -> tuple[float, bool]:
    text = item.decode("ascii", "replace") if isinstance(item, bytes) else item
    found = _ANGLE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return np.nan, False
    sign, whole, minutes, seconds = found.groups()
    if float(minutes) > 60 or float(seconds or 0) > 60:
        return np.nan, False
    size = int(whole) + float(minutes) / 60 + float(seconds or 0) / 3600
    return (size if sign in ("", "+") else -size), True
