"""From errors to HTTP statuses, and JSON that browsers can read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from skyshade.errors import (
    ChangedError,
    DataError,
    InputError,
    NoOverlapError,
    OutsideGridError,
    SkyshadeError,
    TooLargeError,
    UnknownNameError,
    UnsupportedError,
    one_line,
)

IN_PATHS = ("layer", "grid", "source list", "tile format")  # unknown ones are 404, others 422


class OverloadError(SkyshadeError):
    """Raised when an answer took longer than its deadline."""


STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (OutsideGridError, 404),
    (UnsupportedError, 404),
    (NoOverlapError, 404),
    (TooLargeError, 413),
    (InputError, 422),
    (ChangedError, 409),
    (DataError, 422),
    (OverloadError, 503),
    (TimeoutError, 503),
)
INTERNAL = "internal error; the server's log says more"


def status_of(error: BaseException) -> int:
    """Return the HTTP status of an error; 500 for those that nobody foresaw."""
    if isinstance(error, UnknownNameError):
        return 404 if error.thing in IN_PATHS else 422
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def sentence(error: BaseException) -> str:
    """Return what the client is told: one line, and nothing of unforeseen errors."""
    return INTERNAL if status_of(error) == 500 else one_line(error, 600)


def clean(value: Any) -> Any:
    """Return `value` made of plain JSON types; NaN and infinities become None."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, Mapping):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return clean(value.tolist())
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    return value if value is None else _text(value)


def _text(value: object) -> str:
    """Return text without lone surrogates, which cannot be sent as UTF-8."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", "replace").decode("utf-8")


def dump(value: Any) -> bytes:
    """Return strict JSON in UTF-8."""
    text = json.dumps(clean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")
