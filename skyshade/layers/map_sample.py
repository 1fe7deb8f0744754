"""The numbers behind a map's range: from the pixels of a small map, from blocks of a large one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from skyshade.layers.overview import FIRST
from skyshade.layers.states import ABSMAX, MIN, NEAREST, STD, Base, Pixels, as_pixels
from skyshade.layers.stats import scale_of, statistics_of
from skyshade.types import AnyArray, PixelReader, Statistics

SMALL = 1 << 22  # pixels; an overview of fewer is built by the tile that needs it
SAMPLE = 300_000  # pixels of a small map, at most
_BOXES = 192  # of a large one
_BOX = 64  # blocks along a box of one row of blocks
_ENOUGH = 1000  # valid blocks
_FEW = 10_000
# fractions that spread points evenly over a square: 1 / g and 1 / g**2, g**3 = g + 1
_ALONG, _UP = 0.7548776662466927, 0.5698402909980532


class Numbers(NamedTuple):
    """Statistics of a layer and the power of two that its value tiles are divided by."""

    statistics: Statistics
    scale: float


def numbers_of(base: Base, symmetric: bool) -> Numbers:
    """Return the numbers of what tiles show of a map.

    Parameters
    ----------
    base : Base
    symmetric : bool
        Whether zero is the middle of the range.
    """
    values, exact = _values(base)
    statistics = replace(statistics_of(values, exact), symmetric=symmetric)
    return Numbers(statistics, scale_of(values))


def _values(base: Base) -> tuple[AnyArray, bool]:
    """Return values that stand for all, and whether they are all there are.

    Of large maps blocks of 8 x 8 pixels, which is what their first tiles show: single pixels are
    noisier. Standard deviations are always those of blocks.
    """
    ny, nx = base.shape
    large = ny * nx >= SMALL and base.reduction is not NEAREST
    if large or base.reduction is STD:
        values = block_sample(base)
        if np.count_nonzero(np.isfinite(values)) >= _ENOUGH or base.reduction is STD:
            return values, False
    pixels, exact = lattice_sample(base.reader)
    return (np.abs(pixels) if base.reduction is ABSMAX else pixels), exact


def block_sample(base: Base) -> Pixels:
    """Return blocks of 8 x 8 pixels from small boxes all over the map, reduced, flat.

    The places depend on the size of the map only. Blocks that are not whole, along the last row
    and column, are left out unless there are no others.
    """
    rows, cols = (max(size >> FIRST, 1) for size in base.shape)
    wide = min(_BOX, cols)
    n = np.arange(min(_BOXES, rows * -(-cols // wide)))
    y = np.floor((0.5 + n * _UP) % 1.0 * rows).astype(int) << FIRST
    x = np.floor((0.5 + n * _ALONG) % 1.0 * (cols - wide + 1)).astype(int) << FIRST
    state = base.boxes(FIRST, list(zip(y.tolist(), x.tolist(), strict=True)), wide)
    if base.reduction is STD:
        return _std_of(state[0], state[2]).ravel()
    return (-state[0] if base.reduction is MIN else state[0]).ravel()


def _std_of(n: Pixels, m2: Pixels) -> Pixels:
    """Return standard deviations of moments; NaN where there is no pixel."""
    made: Pixels = np.sqrt(np.where(n > 0, m2, np.nan) / np.maximum(n, 1))
    return made


def lattice_sample(reader: PixelReader) -> tuple[AnyArray, bool]:
    """Return at most `SAMPLE` pixels on a regular lattice, and whether they are all there are.

    Where few of them are valid, the box around those is sampled more densely.
    """
    ny, nx = reader.shape
    step = max(1, math.ceil(math.sqrt(ny * nx / SAMPLE)))
    values = reader.read(0, ny, 0, nx, step)
    good = np.isfinite(as_pixels(values))
    if step == 1 or not good.any() or np.count_nonzero(good) >= _FEW:
        return values, step == 1
    rows, cols = np.flatnonzero(good.any(axis=1)), np.flatnonzero(good.any(axis=0))
    y0, y1 = max(0, (rows[0] - 1) * step), min(ny, (rows[-1] + 1) * step + 1)
    x0, x1 = max(0, (cols[0] - 1) * step), min(nx, (cols[-1] + 1) * step + 1)
    dense = max(1, math.ceil(math.sqrt((y1 - y0) * (x1 - x0) / SAMPLE)))
    return reader.read(int(y0), int(y1), int(x0), int(x1), dense), False
