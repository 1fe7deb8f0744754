"""The one numba decorator of the project."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numba

log = logging.getLogger("skyshade")
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def jit(function: Callable[..., Any]) -> Any:
    """Compile lazily, without the GIL, cached on disk where the cache can be written."""
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError as error:  # numba found no folder that it may write its cache to
        log.info("kernels are compiled anew at every start: %s", error)
        return numba.njit(**_OPTIONS)(function)
