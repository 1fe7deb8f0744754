"""Layers on ``WorldCRS84Quad``: the ``sky`` window, flipped left-right, pixel for pixel."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import numpy as np

from skyshade.geometry.grids import unmirrored
from skyshade.types import Aggregate, Window

L = TypeVar("L")


def mirrored(compute: Callable[[L, Window], Aggregate]) -> Callable[[L, Window], Aggregate]:
    """Make a layer's ``compute`` answer for ``WorldCRS84Quad`` too; it never sees that grid."""

    @wraps(compute)
    def wrapper(self: L, window: Window) -> Aggregate:
        sky, flipped = unmirrored(window)
        made = compute(self, sky)
        if not flipped:
            return made
        return made.moved(lambda array: np.ascontiguousarray(array[:, ::-1]))

    return wrapper
