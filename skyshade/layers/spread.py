"""Numbers spread over neighbouring pixels, so that single rows can be seen.

As `datashader.transfer_functions.spread` and `dynspread` do, with one difference: how far is
decided by the layer's rows on a level, not by a tile's, so tiles join.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.mirror import mirrored
from skyshade.layers.catalog_drawn import DrawnCatalog
from skyshade.layers.points_windows import clear_beyond, level_of
from skyshade.types import Aggregate, AnyArray, Window

if TYPE_CHECKING:
    from skyshade.layers.catalog import CatalogLayer

ENGINE = "spread-1"
MOST = 16  # pixels
WIDEST = 3  # pixels, as dynspread's max_px
THRESHOLD = 0.5  # of the occupied pixels have a neighbour, at most
HOW = ("add", "max", "min")
MASKS = ("circle", "square")
_ADDED = ("count", "sum", "count_cat")


def circle(px: int) -> AnyArray:
    """Return a disc of ``2 px + 1`` pixels across, as datashader cuts it."""
    away = np.arange(-px, px + 1) ** 2
    mask: AnyArray = np.sqrt(away + away[:, None]) <= px + 0.5
    return mask


def spread(values: AnyArray, px: int, how: str, shape: str = "circle") -> AnyArray:
    """Return every pixel spread over those around it.

    Parameters
    ----------
    values : ndarray, shape (height, width) or (height, width, categories)
        Missing where NaN (floats) or 0 (counts).
    px : int
        Pixels to each side.
    how : {"add", "max", "min"}
        What becomes of pixels that meet.
    shape : {"circle", "square"}

    Returns
    -------
    ndarray
        Of the same shape; what lies beyond the edges adds nothing.
    """
    if px == 0:
        return values
    mask = circle(px) if shape == "circle" else np.ones((2 * px + 1, 2 * px + 1), np.bool_)
    floats = values.dtype.kind == "f"
    missing = {"add": 0, "max": -np.inf, "min": np.inf}[how] if floats else 0
    valid = ~np.isnan(values) if floats else values != 0
    known = np.where(valid, values, np.asarray(missing, values.dtype))
    most = None if floats or how != "min" else np.iinfo(values.dtype).max
    if most is not None:
        known = np.where(valid, values, most)
    around = ((px, px), (px, px), *((0, 0),) * (values.ndim - 2))
    edge = missing if most is None else most
    known, valid = np.pad(known, around, constant_values=edge), np.pad(valid, around)
    join: Any = {"add": np.add, "max": np.maximum, "min": np.minimum}[how]
    made, any_valid = np.full_like(values, edge), np.zeros(values.shape, np.bool_)
    height, width = values.shape[:2]
    for y, x in np.argwhere(mask):
        join(made, known[y : y + height, x : x + width], out=made)
        any_valid |= valid[y : y + height, x : x + width]
    made[~any_valid] = np.nan if floats else 0
    return made


def auto_px(rows: float) -> int:
    """Return how far to spread where pixels hold so many rows on average, 0 to `WIDEST`.

    The largest distance at which fewer than half of the occupied pixels have a neighbour within
    twice of it, for rows scattered at random (dynspread counts them in the picture).
    """
    for px in range(1, WIDEST + 1):
        neighbours = (4 * px + 1) ** 2 - 1
        if 1.0 - math.exp(-rows * neighbours) > THRESHOLD:
            return px - 1
    return WIDEST


class SpreadLayer(DrawnCatalog):
    """A catalogue's numbers, every pixel spread over its neighbours.

    Counts and sums add up where pixels meet, minima take the smaller and all others the larger.

    Parameters
    ----------
    base : CatalogLayer
    px : int or "auto"
        Pixels of the tile to each side; "auto" decides by the rows in a pixel on each level.
    shape : {"circle", "square"}
    """

    def __init__(self, base: CatalogLayer, px: int | str = "auto", shape: str = "circle") -> None:
        if px != "auto" and not (isinstance(px, int) and 0 <= px <= MOST):
            msg = f"spread {px!r} is not allowed: give auto, or 0 to {MOST} pixels"
            raise InputError(msg)
        if shape not in MASKS:
            raise UnknownNameError("shape", shape, MASKS)
        super().__init__(base, f"{ENGINE}|{px}|{shape}")
        self.px, self.shape = px, shape

    def _of(self, base: CatalogLayer) -> SpreadLayer:
        return SpreadLayer(base, self.px, self.shape)

    @property
    def how(self) -> str:
        """What becomes of pixels that meet."""
        if self.reduction.name in _ADDED:
            return "add"
        return "min" if self.reduction.name == "min" else "max"

    @property
    def _rows(self) -> float:
        counts = self.base.view.cells(self.base.view.level)[1]
        return float(counts.mean()) if counts.size else 0.0

    def pixels(self, window: Window) -> int:
        """Return how far numbers are spread on the level of a window."""
        if isinstance(self.px, int):
            return self.px
        return auto_px(self._rows * 4.0 ** (self.base.view.level - level_of(window)))

    @mirrored
    def compute(self, window: Window) -> Aggregate:
        """Return the numbers on a window, spread; it is computed with a margin and cut out."""
        px = self.pixels(window)
        made = self.base.compute(window.pad(px))
        values = spread(made.values, px, self.how, self.shape)
        if px:
            values = values[px:-px, px:-px]
        values = np.array(values, order="C")
        clear_beyond(window, values)
        return replace(made, values=values, version=self.version)
