"""Where windows lie on the keys' lattice: their tiles, their key ranges, the rows in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skyshade.geometry.coverage import window_coverage
from skyshade.geometry.grids import SKY, TILE_SIZE
from skyshade.geometry.keys import KEY_ZOOM, coverage_window, window_key_ranges
from skyshade.index.states import Pixels
from skyshade.types import (
    ALL_SKY,
    DEC,
    RA,
    AnyArray,
    Coverage,
    IntArray,
    RowBlock,
    RowView,
    State,
    StateArrays,
    Tile,
    Window,
)

MAX_CELLS = 64  # of the index, around what is no aligned tile


def from_rows(
    pixels: Pixels, blocks: Iterator[RowBlock], shift: int, frame: IntArray
) -> StateArrays:
    """Return `pixels` with the rows of all blocks, see `Pixels.add_rows`."""
    for block in blocks:
        pixels.add_rows(block, shift, frame)
    return pixels.arrays()


def tiles_of(window: Window) -> Iterator[tuple[Tile, int, int]]:
    """Yield the tiles that a window of ``sky`` touches and where each begins on the lattice.

    Columns go on beyond the lattice, where the sky repeats.
    """
    height, width = SKY.lattice_shape(window.z)
    first, last = window.row // TILE_SIZE, (window.row + window.height - 1) // TILE_SIZE
    left, right = window.col // TILE_SIZE, (window.col + window.width - 1) // TILE_SIZE
    for y in range(max(first, 0), min(last, height // TILE_SIZE - 1) + 1):
        for x in range(left, right + 1):
            yield Tile(window.z, x % (width // TILE_SIZE), y), x * TILE_SIZE, y * TILE_SIZE


def pasted(found: StateArrays, plane: StateArrays, x: int, y: int) -> StateArrays:
    """Return `found` with the pixels of a tile in it whose upper left one lies at (x, y)."""
    height, width = found.n.shape[:2]
    side = plane.n.shape[0]
    to_y, to_x = _overlap(y, side, height), _overlap(x, side, width)
    from_y, from_x = (slice(s.start - at, s.stop - at) for s, at in ((to_y, y), (to_x, x)))
    arrays: list[AnyArray | None] = []
    for target, part in ((found.n, plane.n), (found.a, plane.a), (found.b, plane.b)):
        if target is not None and part is not None:
            if part.dtype.itemsize > target.dtype.itemsize:
                target = target.astype(part.dtype)
            target[to_y, to_x] = part[from_y, from_x]
        arrays.append(target)
    n, a, b = arrays
    quality = plane.quality if plane.quality != "exact" else found.quality
    return StateArrays(found.n if n is None else n, a, b, quality)


def _overlap(at: int, side: int, size: int) -> slice:
    return slice(max(at, 0), min(at + side, size))


def columns_of(state: State) -> tuple[list[str], list[str]]:
    """Return the columns and the category columns that a state is made of."""
    if state.kind == "category":
        return [], [state.column]
    return ([state.column] if state.column else []), []


def ranges_near(window: Window) -> IntArray:
    """Return key ranges that hold all rows of a window of any sky grid, and some beside."""
    if window.grid.id != SKY.id:
        coverage = window_coverage(window)
        return np.empty((0, 2), np.int64) if coverage is None else ranges_over(coverage)
    if window.z > KEY_ZOOM:
        window = coarser(window)
    return window_key_ranges(window)


def ranges_over(coverage: Coverage) -> IntArray:
    """Return key ranges that hold all rows of a sky rectangle, and some beside."""
    if coverage == ALL_SKY:
        return np.array([[0, np.iinfo(np.int64).max]])
    return window_key_ranges(coverage_window(coverage), MAX_CELLS)


def frame_of(window: Window) -> IntArray:
    """Return the frame of a window of ``sky`` as `kernels.binning` takes it."""
    return np.array([window.col, window.row, SKY.lattice_shape(window.z)[1]], np.int64)


def coarser(window: Window) -> Window:
    """Return the window of the keys' own level around one of the level below it."""
    return replace(
        window,
        z=KEY_ZOOM,
        col=window.col >> 1,
        row=window.row >> 1,
        width=(window.width >> 1) + 1,
        height=(window.height >> 1) + 1,
    )


def placed_rows(view: RowView, ranges: IntArray, state: State) -> Iterator[RowBlock]:
    """Yield the rows of key ranges with their positions and what a state is made of."""
    columns, codes = columns_of(state)
    return view.blocks(ranges, [RA, DEC, *columns], codes)


def rekeyed(block: RowBlock, keys: IntArray, inside: NDArray[np.bool_]) -> RowBlock:
    """Return the rows of a block that are inside, under other keys."""
    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(keys[rows], kind="stable")]
    return RowBlock(
        keys[rows],
        block.rows[rows],
        {name: values[rows] for name, values in block.columns.items()},
        {name: values[rows] for name, values in block.codes.items()},
    )


def offsets(window: Window, ra: AnyArray, dec: AnyArray) -> tuple[IntArray, IntArray]:
    """Return columns and rows of positions from a window's upper left pixel, maybe outside it.

    What the window's grid does not show gets a negative column.
    """
    height, width = window.grid.lattice_shape(window.z)
    cols, rows = window.grid.lattice(ra, dec, window.z)
    x = cols - window.col
    if window.grid.periodic:
        x = np.mod(x, width)
    shown = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    return np.where(shown, x, -1), rows - window.row


def window_over(coverage: Coverage, z: int) -> Window:
    """Return a window of ``sky`` over a sky rectangle at a level."""
    width = SKY.lattice_shape(z)[1]
    dec = np.array([coverage.dec_max, coverage.dec_min])
    cols, rows = SKY.lattice(np.full(2, coverage.ra_east), dec, z)
    span = math.ceil((coverage.ra_east - coverage.ra_west) / 360.0 * width) + 1
    return Window(SKY, z, int(cols[0]), int(rows[0]), min(span, width), int(rows[1] - rows[0]) + 1)
