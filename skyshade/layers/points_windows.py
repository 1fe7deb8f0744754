"""Windows as marks and shapes need them: their level, crowded tiles, what lies beyond a lattice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skyshade.geometry.grids import SKY, TILE_SIZE
from skyshade.geometry.keys import KEY_ZOOM, tile_key_range
from skyshade.types import Aggregate, AnyArray, IntArray, RowView, State, Tile, Window

_COUNT = State("count")


def once_round(window: Window) -> Window:
    """Return a window that is no wider than the lattice where that is periodic."""
    width = window.grid.lattice_shape(window.z)[1]
    if window.grid.periodic and window.width > width:
        return replace(window, width=width)
    return window


def level_of(window: Window) -> int:
    """Return the level of ``sky`` whose pixels are about as large as a window's."""
    if window.grid.id == SKY.id:
        return window.z
    return round(math.log2(SKY.pixel_degrees(0) / window.grid.pixel_degrees(window.z)))


def tiles_of(window: Window) -> Iterator[tuple[Tile, int, int]]:
    """Yield the tiles that a window of ``sky`` touches, and where on the lattice each begins."""
    height, width = (n // TILE_SIZE for n in SKY.lattice_shape(window.z))
    first, last = window.row // TILE_SIZE, (window.row + window.height - 1) // TILE_SIZE
    left, right = window.col // TILE_SIZE, (window.col + window.width - 1) // TILE_SIZE
    for y in range(max(first, 0), min(last, height - 1) + 1):
        for x in range(left, right + 1):
            yield Tile(window.z, x % width, y), x * TILE_SIZE, y * TILE_SIZE


def dense_tiles(view: RowView, window: Window) -> IntArray:
    """Return (z, x, y, first key, end) of tiles in a window that hold too many rows to draw."""
    if window.grid.id != SKY.id or not 0 <= window.z <= KEY_ZOOM:
        return np.empty((0, 5), np.int64)
    tiles = {tile for tile, *_ in tiles_of(window)}
    found = [(*t, *tile_key_range(t)) for t in sorted(tiles) if view.plane(t, _COUNT) is not None]
    return np.array(found, np.int64).reshape(-1, 5)


def without(ranges: IntArray, dense: IntArray) -> IntArray:
    """Return key ranges without those of dense tiles."""
    left = [(int(a), int(b)) for a, b in ranges]
    for first, end in dense[:, 3:].tolist():
        left = [
            part
            for a, b in left
            for part in ((a, min(b, first)), (max(a, end), b))
            if part[0] < part[1]
        ]
    return np.array(left, np.int64).reshape(-1, 2)


def mask_of(dense: IntArray, window: Window) -> NDArray[np.bool_] | None:
    """Return which pixels lie in dense tiles; None when there is none."""
    mask = np.zeros(window.shape, np.bool_)
    wanted = {tuple(t) for t in dense[:, :3].tolist()}
    for tile, col, row in tiles_of(window) if wanted else ():
        if tile in wanted:
            x, y = col - window.col, row - window.row
            mask[max(y, 0) : y + TILE_SIZE, max(x, 0) : x + TILE_SIZE] = True
    return mask if mask.any() else None


def clear_beyond(window: Window, values: AnyArray) -> None:
    """Set what lies beyond the lattice to missing: NaN, or 0 of whole numbers."""
    height, width = window.grid.lattice_shape(window.z)
    missing = np.nan if values.dtype.kind == "f" else 0
    values[: max(-window.row, 0)] = missing
    values[max(height - window.row, 0) :] = missing
    if not window.grid.periodic:
        values[:, : max(-window.col, 0)] = missing
        values[:, max(width - window.col, 0) :] = missing


def wrapped(made: Aggregate, once: Window, window: Window) -> Aggregate:
    """Return the aggregate of one turn repeated over a wider window."""
    if once == window:
        return made
    cols = np.arange(window.width) % once.width
    return made.moved(lambda array: np.take(array, cols, axis=1))
