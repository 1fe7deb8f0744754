"""Numbers of a catalogue on one window: counts, densities and column reductions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError
from skyshade.geometry.grids import SKY, TILE_SIZE
from skyshade.geometry.keys import (
    KEY_ZOOM,
    key_shift,
    keys_of,
    tile_key_range,
    window_key_ranges,
)
from skyshade.index.states import COUNT, Pixels, halved
from skyshade.layers.catalog_grids import state_elsewhere
from skyshade.layers.catalog_places import (
    coarser,
    columns_of,
    frame_of,
    from_rows,
    pasted,
    placed_rows,
    ranges_near,
    rekeyed,
    tiles_of,
)
from skyshade.layers.reductions import Reduction
from skyshade.types import (
    DEC,
    RA,
    AnyArray,
    IntArray,
    Quality,
    RowBlock,
    RowView,
    State,
    StateArrays,
    Tile,
    Window,
)

_KINDS = {"sum": "sum", "mean": "sum", "count": "present", "std": "moments"}


def reduce_window(
    view: RowView, window: Window, reduction: Reduction, *, exact: bool = False
) -> tuple[AnyArray, tuple[str, ...], Quality]:
    """Reduce the rows of a view in every pixel of a window of a sky grid.

    Parameters
    ----------
    view : RowView
    window : Window
        Up to the lattice of 512 px tiles of the last level; what lies beyond it is empty.
    reduction : Reduction
        Any but "canvas".
    exact : bool
        Read the rows where planes would be approximate, however many they are.

    Returns
    -------
    values : ndarray, shape (height, width) or (height, width, categories)
        uint32 for counts, float32 (NaN: no rows) for density, float64 (NaN: no values) otherwise.
    categories : tuple of str
    quality : {"exact", "sample", "approximate"}
    """
    columns = window.grid.lattice_shape(window.z)[1]
    if window.grid.periodic and window.width > columns:  # more than once round: repeat them
        once = replace(window, width=columns)
        values, names, quality = reduce_window(view, once, reduction, exact=exact)
        return np.take(values, np.arange(window.width) % columns, axis=1), names, quality
    state = state_of(reduction)
    names = view.categories(state.column) if state.kind == "category" else ()
    found = state_on(view, window, state, len(names), exact=exact)
    return _result(reduction, found, window), names, found.quality


def state_of(reduction: Reduction) -> State:
    """Return what must be kept of the rows of a pixel for a reduction."""
    if reduction.name == "count_cat":
        return State("category", reduction.column)
    if not reduction.column:
        return COUNT
    return State(_KINDS.get(reduction.name, reduction.name), reduction.column)


def state_on(
    view: RowView, window: Window, state: State, categories: int, *, exact: bool = False
) -> StateArrays:
    """Return the state of every pixel of a window, from planes where there are some, and rows.

    Parameters
    ----------
    view : RowView
    window : Window
    state : State
    categories : int
        How many there are, for ``category``.
    exact : bool
        Read the rows where planes would be approximate, however many they are.
    """
    deepest = window.grid.max_zoom + 1
    if window.z > deepest:
        msg = f"level {window.z} is too deep for a catalogue: the lattice ends at {deepest}"
        raise InputError(msg)
    pixels = Pixels.empty(state, window.shape, categories)
    if window.grid.id != SKY.id:

        def sky(part: Window) -> StateArrays:
            return state_on(view, part, state, categories)

        return state_elsewhere(view, window, pixels, sky, exact=exact)
    if window.z > KEY_ZOOM:
        return _from_finer(view, window, pixels, exact=exact)
    if window.z < 0:
        return _from_above(view, window, state, categories)
    return _from_tiles(view, window, pixels)


Placed = tuple[Tile, int, int, StateArrays]


def _planes(view: RowView, window: Window, state: State) -> tuple[list[Placed], IntArray]:
    """Return the planes of a window's tiles, and the key ranges of the tiles that have none."""
    placed = [(*t, view.plane(t[0], state)) for t in tiles_of(window)]
    planes = [(tile, col, row, plane) for tile, col, row, plane in placed if plane is not None]
    if not planes:
        return [], _ranges_of(window)
    free = sorted({tile_key_range(tile) for tile, _, _, plane in placed if plane is None})
    return planes, np.array(free, np.int64).reshape(-1, 2)


def _ranges_of(window: Window) -> IntArray:
    """Return the key ranges of a window, of a single tile in a tenth of the time."""
    side = TILE_SIZE - 1
    aligned = (window.width, window.height) == (TILE_SIZE, TILE_SIZE)
    if aligned and not (window.col | window.row) & side:
        height, width = SKY.lattice_shape(window.z)
        x, y = window.col % width // TILE_SIZE, window.row // TILE_SIZE
        if 0 <= window.row < height:
            return np.array([tile_key_range(Tile(window.z, x, y))])
    return window_key_ranges(window)


def _from_tiles(view: RowView, window: Window, pixels: Pixels) -> StateArrays:
    """Return the state on a window of ``sky`` (level 0 to 22), tile by tile.

    Tiles without a plane are binned from their rows in one go: their number is bounded.
    """
    planes, ranges = _planes(view, window, pixels.state)
    blocks = view.blocks(ranges, *columns_of(pixels.state))
    found = from_rows(pixels, blocks, key_shift(window.z), frame_of(window))
    for _, col, row, plane in planes:
        found = pasted(found, plane, col - window.col, row - window.row)
    return found


def _from_finer(view: RowView, window: Window, pixels: Pixels, *, exact: bool) -> StateArrays:
    """Return the state on a level below the keys' own, from positions.

    Where a tile holds too many rows, its plane is enlarged.
    """
    planes, ranges = _planes(view, coarser(window), pixels.state)
    if exact or not planes:
        planes, ranges = [], ranges_near(window)
    found = from_rows(pixels, _finer_rows(view, window, ranges, pixels.state), 0, frame_of(window))
    for _, col, row, plane in planes:
        fine = replace(enlarged(pixels.state, plane), quality="approximate")
        found = pasted(found, fine, 2 * col - window.col, 2 * row - window.row)
    return found


def enlarged(state: State, arrays: StateArrays) -> StateArrays:
    """Return a state on pixels half as large: rows and sums are shared out among the four.

    Sums stay what they were; means and extremes are the same in all four.
    """
    n = np.zeros([2 * side for side in arrays.n.shape[:2]] + [*arrays.n.shape[2:]], arrays.n.dtype)
    for i in range(4):
        n[i // 2 :: 2, i % 2 :: 2] = (arrays.n.astype(np.uint64) + (3 - i)) // 4
    if arrays.a is None:
        return StateArrays(n)
    a, whole = (v.repeat(2, 0).repeat(2, 1) for v in (arrays.a, np.maximum(arrays.n, 1)))
    if state.kind == "sum":
        return StateArrays(n, a * (n / whole))
    if arrays.b is not None:
        return StateArrays(n, a, arrays.b.repeat(2, 0).repeat(2, 1) * (n / whole))
    return StateArrays(n, np.where(n == 0, np.nan, a))


def _from_above(view: RowView, window: Window, state: State, categories: int) -> StateArrays:
    """Return the state on a lattice above level 0, from that of level 0."""
    steps = -window.z
    below = Window(
        SKY,
        0,
        window.col << steps,
        window.row << steps,
        window.width << steps,
        window.height << steps,
    )
    found = state_on(view, below, state, categories)
    for _ in range(steps):
        found = replace(halved(state, found), quality=found.quality)
    return found


def _finer_rows(
    view: RowView, window: Window, ranges: IntArray, state: State
) -> Iterator[RowBlock]:
    """Yield rows with keys of the window's own level, which is finer than the view's."""
    for block in placed_rows(view, ranges, state):
        keys = keys_of(block.columns[RA], block.columns[DEC], window.z)
        yield rekeyed(block, keys, np.ones(keys.shape, np.bool_))


def _result(reduction: Reduction, state: StateArrays, window: Window) -> AnyArray:
    """Return the reduction from the state of every pixel."""
    n, a, b = state.n, state.a, state.b
    if reduction.name == "density":
        return density(n, window)
    if a is None:
        return n
    with np.errstate(all="ignore"):  # infinite values, and 0 / 0 where there is none
        if reduction.name == "sum":
            return np.where(n == 0, np.nan, a)
        if reduction.name == "mean":
            mean: AnyArray = a / n
            return mean
        found: AnyArray = a if b is None else np.sqrt(b / n)
    return found


def density(counts: NDArray[Any], window: Window) -> NDArray[np.float32]:
    """Return counts as rows per square degree, NaN where there are none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = window.row + np.arange(window.height)[:, None]
        areas = window.grid.pixel_areas(window.z, window.col + np.arange(window.width), rows)
        values = counts.astype(np.float32)
        empty = np.float32(0) / values  # NaN where there are none, else 0: quicker than a mask
        values *= (1.0 / areas).astype(np.float32)
        values += empty
    return values
