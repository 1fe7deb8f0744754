"""Values of tables as plain text and as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from skyshade.errors import one_line
from skyshade.overlays.boxes import MAX_NAME
from skyshade.types import AnyArray


def plain_value(value: object) -> object:
    """Return a value of a table as JSON can hold it: None, bool, int, float, str or a list."""
    if isinstance(value, np.ndarray | list | tuple):
        return [plain_value(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").rstrip()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def plain_names(values: AnyArray) -> list[str]:
    """Return names as single lines of printable text; "" for what is missing."""
    found = values.tolist() if values.dtype.kind in "OUSiub" else [plain_value(v) for v in values]
    return [_name(value) for value in found]


def _name(value: object) -> str:
    if isinstance(value, str) and len(value) <= MAX_NAME and value.isprintable():
        return value if "  " not in value and value == value.strip() else one_line(value)
    plain = plain_value(value)
    return "" if plain is None else one_line(plain, MAX_NAME)


def folded(names: Iterable[str]) -> list[str]:
    """Return names as they are compared: without case, single spaces."""
    return [" ".join(name.split()).casefold() for name in names]
