"""Catalogues on grids that an index was not made for: ``WebMercatorQuad``, ``tan-{n}`` and others.

Exact from planes of the grid where the index has them, else from the rows of the sky rectangle
around a window; where those are too many, counted again from the pixels of a finer ``sky`` level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from skyshade.geometry.coverage import window_coverage
from skyshade.geometry.grids import SKY, TILE_SIZE
from skyshade.geometry.keys import KEY_ZOOM, encode
from skyshade.index.states import Pixels
from skyshade.layers.catalog_places import (
    from_rows,
    offsets,
    pasted,
    placed_rows,
    ranges_near,
    rekeyed,
    window_over,
)
from skyshade.types import (
    DEC,
    RA,
    AnyArray,
    IntArray,
    RowBlock,
    RowView,
    State,
    StateArrays,
    Tile,
    Window,
)

DEEPER = 2  # levels of ``sky`` below the one of about the same pixels
MAX_PIXELS = 1 << 22  # of that level
_NO_FRAME = np.array([0, 0, 1 << 32], np.int64)

Sky = Callable[[Window], StateArrays]


def state_elsewhere(
    view: RowView, window: Window, pixels: Pixels, sky: Sky, *, exact: bool
) -> StateArrays:
    """Return the state on a window of another grid than ``sky``.

    Parameters
    ----------
    view : RowView
    window : Window
    pixels : Pixels
        Empty, of the window.
    sky : callable
        Returns the state on a window of ``sky``.
    exact : bool
        Read the rows, however many they are.
    """
    if view.has_planes(pixels.state, window.grid.id):
        return _from_planes(view, window, pixels)
    if exact or not view.many(ranges_near(window)):
        return _rows_of(view, window, pixels)
    return _rebinned(window, pixels, sky)


def _rows_of(view: RowView, window: Window, pixels: Pixels) -> StateArrays:
    return from_rows(pixels, _rows_elsewhere(view, window, pixels.state), 0, _NO_FRAME)


def _rows_elsewhere(view: RowView, window: Window, state: State) -> Iterator[RowBlock]:
    """Yield the rows in a window of a grid that the index was not made for.

    Found through the sky rectangle around the window, placed by the grid's own formula; keys are
    of positions within the window.
    """
    for block in placed_rows(view, ranges_near(window), state):
        x, y = offsets(window, block.columns[RA], block.columns[DEC])
        inside = (x >= 0) & (x < window.width) & (y >= 0) & (y < window.height)
        yield rekeyed(block, encode(np.where(inside, x, 0), np.where(inside, y, 0)), inside)


def _from_planes(view: RowView, window: Window, pixels: Pixels) -> StateArrays:
    """Return the state from the planes of the grid's own tiles; tiles without have few rows."""
    found = pixels.arrays()
    for tile, col, row in _tiles(window):
        plane = view.plane(tile, pixels.state, window.grid.id)
        if plane is None:
            depth = found.n.shape[2] if found.n.ndim == 3 else 0
            empty = Pixels.empty(pixels.state, (TILE_SIZE, TILE_SIZE), depth)
            plane = _rows_of(view, Window.of(window.grid, tile), empty)
        found = pasted(found, plane, col - window.col, row - window.row)
    return found


def _tiles(window: Window) -> Iterator[tuple[Tile, int, int]]:
    """Yield the tiles that a window touches and where each begins on the lattice."""
    height, width = (side // TILE_SIZE for side in window.grid.lattice_shape(window.z))
    down = range(window.row // TILE_SIZE, -(-(window.row + window.height) // TILE_SIZE))
    across = range(window.col // TILE_SIZE, -(-(window.col + window.width) // TILE_SIZE))
    for y in (y for y in down if 0 <= y < height):
        for x in across:
            if window.grid.periodic or 0 <= x < width:
                yield Tile(window.z, x % width, y), x * TILE_SIZE, y * TILE_SIZE


def _rebinned(window: Window, pixels: Pixels, sky: Sky) -> StateArrays:
    """Return the state from pixels of ``sky``, each put where its centre lies."""
    coverage = window_coverage(window)
    if coverage is None:
        return pixels.arrays()
    z = level_of(window) + DEEPER
    below = window_over(coverage, min(z, KEY_ZOOM))
    while below.z > 0 and below.width * below.height > MAX_PIXELS:
        below = window_over(coverage, below.z - 1)
    found = sky(below)
    y, x = np.nonzero(found.n if found.n.ndim == 2 else found.n.any(axis=2))
    ra, dec = SKY.sky(below.z, below.col + x + 0.5, below.row + y + 0.5)
    to_x, to_y = offsets(window, ra, dec)
    inside = (to_x >= 0) & (to_x < window.width) & (to_y >= 0) & (to_y < window.height)
    x, y = x[inside], y[inside]
    part = StateArrays(
        found.n[y, x],
        None if found.a is None else found.a[y, x],
        None if found.b is None else found.b[y, x],
    )
    target = to_y[inside] * window.width + to_x[inside]
    made = gathered(pixels.state, part, target, window.shape)
    return replace(made, quality="sample" if found.quality == "sample" else "approximate")


def level_of(window: Window) -> int:
    """Return the first level of ``sky`` whose pixels are no larger than a window's."""
    size = window.grid.pixel_degrees(window.z)
    return next((z for z in range(KEY_ZOOM) if SKY.pixel_degrees(z) <= size * 1.001), KEY_ZOOM)


def gathered(
    state: State, part: StateArrays, target: IntArray, shape: tuple[int, int]
) -> StateArrays:
    """Return states added up in the pixels of a window.

    Parameters
    ----------
    state : State
    part : StateArrays
        Of n pixels: arrays of shape (n,) or (n, categories).
    target : ndarray of int64, shape (n,)
        Flat numbers of the pixels that they go to.
    shape : (height, width)
    """
    size = shape[0] * shape[1]

    def add(values: AnyArray) -> AnyArray:
        total: AnyArray = np.bincount(target, values, size)
        return total

    if part.n.ndim == 2:
        counts = [add(part.n[:, i]) for i in range(part.n.shape[1])]
        n = np.stack(counts, axis=1) if counts else np.zeros((size, 0))
        return StateArrays(_whole(n).reshape(*shape, part.n.shape[1]))
    n = add(part.n)
    if part.a is None:
        return StateArrays(_whole(n).reshape(shape))
    a, b = _values(state, part, target, n)
    return StateArrays(_whole(n).reshape(shape), a.reshape(shape), b and b[0].reshape(shape))


def _values(
    state: State, part: StateArrays, target: IntArray, n: AnyArray
) -> tuple[AnyArray, tuple[AnyArray] | None]:
    """Return the values of `gathered`, and the squared differences of moments."""
    a = np.asarray(part.a)
    if state.kind == "sum":
        return np.bincount(target, a, n.size), None
    if state.kind in ("min", "max"):
        found = np.full(n.size, np.nan)
        (np.fmin if state.kind == "min" else np.fmax).at(found, target, a)
        return found, None
    with np.errstate(all="ignore"):
        mean = np.bincount(target, part.n * a, n.size) / np.maximum(n, 1)
        spread = np.asarray(part.b) + part.n * (a - mean[target]) ** 2
        return mean, (np.bincount(target, spread, n.size),)


def _whole(counts: AnyArray) -> AnyArray:
    top = counts.max() if counts.size else 0
    return counts.astype(np.uint32 if top < 1 << 32 else np.uint64)
