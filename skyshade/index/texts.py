"""Columns of texts by their different values, so that a filter looks at each of them once."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.types import AnyArray, TextCodes


def text_codes(values: AnyArray) -> TextCodes | None:
    """Return texts, or other objects, by their different values; None where that cannot be (lists).

    Parameters
    ----------
    values : ndarray of objects, str or bytes, shape (n,)
    """
    numbers: dict[Any, int] = {}
    try:
        codes = np.fromiter(
            (numbers.setdefault(value, len(numbers)) for value in values.tolist()),
            np.int32,
            len(values),
        )
    except TypeError:
        return None
    return TextCodes(codes, tuple(numbers))
