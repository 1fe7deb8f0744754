"""The threshold pyramid: states of every tile that holds too many rows to be computed from them.

A ``sky`` tile is stored when it holds more than a threshold of rows; any other is binned from its
rows, which lie together. So any tile costs one plane or a bounded number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from skyshade.geometry.grids import SKY, TILE_SIZE
from skyshade.geometry.keys import KEY_ZOOM, key_shift, tile_key_range
from skyshade.index.states import Pixels, halved
from skyshade.types import AnyArray, IntArray, RowBlock, State, StateArrays, Tile

THRESHOLD = 131_072  # rows
FEW = 16  # thresholds: so many rows are computed at once where no plane is stored
HALF = TILE_SIZE // 2

States = dict[State, StateArrays]
Put = Callable[[Tile, States], None]


@dataclass(frozen=True, slots=True)
class Pyramid:
    """How planes are made.

    Parameters
    ----------
    states : sequence of State
    threshold : int
        Tiles with more rows than this are put.
    categories : mapping of str to int
        How many categories a column has.
    zoom : int
        Level of the keys, for another grid than ``sky``.
    """

    states: Sequence[State]
    threshold: int
    categories: Mapping[str, int]
    zoom: int = KEY_ZOOM

    def build(self, tile: Tile, rows: RowBlock, put: Put) -> States:
        """Return the states of a tile, having put those of every tile below with many rows.

        Parameters
        ----------
        tile : Tile
            Of ``sky``.
        rows : RowBlock
            All rows of the tile, sorted by key.
        put : callable
            Given the tile (also `tile` itself) and its states; children come before parents.
        """
        n = rows.keys.size
        if n <= self.threshold or tile.z >= self.zoom:
            found = self.bin(tile, rows)
        else:
            below = []
            for child in children(tile):
                first, last = np.searchsorted(rows.keys, self.keys_of(child))
                part = part_of(rows, int(first), int(last))
                below.append(self.build(child, part, put) if part.keys.size else None)
            found = self.merge(below)
        if n > self.threshold:
            put(tile, found)
        return found

    def keys_of(self, tile: Tile) -> list[int]:
        """Return the keys [first, end) of a tile."""
        return [key >> key_shift(self.zoom) for key in tile_key_range(tile)]

    def shift(self, tile: Tile) -> int:
        """Return the number of bits between the keys and the pixels of a tile."""
        return key_shift(tile.z) - key_shift(self.zoom)

    def bin(self, tile: Tile, rows: RowBlock) -> States:
        """Return the states of a tile, from its rows."""
        frame = tile_frame(tile)
        made: States = {}
        for state in self.states:
            pixels = self.empty(state)
            pixels.add_rows(rows, self.shift(tile), frame)
            made[state] = pixels.arrays()
        return made

    def merge(self, below: Sequence[States | None]) -> States:
        """Return the states of a tile from those of its `children`; None for one without rows."""
        return {state: self._joined(state, below) for state in self.states}

    def _joined(self, state: State, below: Sequence[States | None]) -> StateArrays:
        none = self.empty(state).arrays()
        joined: list[AnyArray | None] = [
            None if array is None else array.copy() for array in (none.n, none.a, none.b)
        ]
        for (x, y), child in zip(((0, 0), (1, 0), (0, 1), (1, 1)), below, strict=True):
            if child is None:
                continue
            small = halved(state, child[state])
            place = np.s_[y * HALF : (y + 1) * HALF, x * HALF : (x + 1) * HALF]
            for i, part in enumerate((small.n, small.a, small.b)):
                target = joined[i]
                if part is None or target is None:
                    continue
                if part.dtype.itemsize > target.dtype.itemsize:
                    joined[i] = target = target.astype(part.dtype)
                target[place] = part
        n, a, b = joined
        return StateArrays(none.n if n is None else n, a, b)

    def empty(self, state: State) -> Pixels:
        """Return pixels of a tile without rows."""
        shape = (TILE_SIZE, TILE_SIZE)
        return Pixels.empty(state, shape, self.categories.get(state.column, 0))


def children(tile: Tile) -> list[Tile]:
    """Return the four tiles of the next level: upper left, upper right, lower left, lower right.

    Their key ranges follow one another in this order.
    """
    z, x, y = tile
    return [Tile(z + 1, 2 * x + i, 2 * y + j) for j in (0, 1) for i in (0, 1)]


def roots() -> list[Tile]:
    """Return the two tiles of level 0 in the order of their keys."""
    return [Tile(0, 0, 0), Tile(0, 1, 0)]


def tile_frame(tile: Tile) -> IntArray:
    """Return the frame of a tile as `kernels.binning` takes it."""
    columns = SKY.lattice_shape(tile.z)[1]
    return np.array([tile.x * TILE_SIZE, tile.y * TILE_SIZE, columns], np.int64)


def part_of(rows: RowBlock, first: int, last: int) -> RowBlock:
    """Return rows first..last of a block, as views."""
    if first == 0 and last == rows.keys.size:
        return rows
    part = slice(first, last)
    return RowBlock(
        rows.keys[part],
        rows.rows[part],
        {name: values[part] for name, values in rows.columns.items()},
        {name: values[part] for name, values in rows.codes.items()},
    )
