"""The pixel lattices that planes are made on: that of the rows, ``sky``, and those of other grids.

A quadtree of tiles on any lattice is a Z-order range of its keys, so the same code makes planes for
all of them. Rows are stored once, by the keys of ``sky``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry.grids import SKY, WORLD, TileGrid, grid_named
from skyshade.geometry.keys import KEY_ZOOM, encode
from skyshade.types import FloatArray, IntArray, Tile


@dataclass(frozen=True, slots=True)
class Lattice:
    """The pixels of a grid's deepest level that planes are made from.

    Parameters
    ----------
    number : int
        In `Manifest.grids`; 0 is ``sky``.
    grid : TileGrid
    """

    number: int
    grid: TileGrid

    @property
    def zoom(self) -> int:
        """Level of the keys."""
        return min(KEY_ZOOM, self.grid.max_zoom)

    def roots(self) -> list[Tile]:
        """Return the tiles of level 0."""
        return [Tile(0, x, y) for y in range(self.grid.rows) for x in range(self.grid.columns)]

    def keys(self, ra: FloatArray, dec: FloatArray) -> tuple[IntArray, IntArray]:
        """Return the sorted keys of valid positions that the grid shows, and their numbers."""
        cols, rows = self.grid.lattice(ra, dec, self.zoom)
        height, width = self.grid.lattice_shape(self.zoom)
        inside = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
        shown = np.flatnonzero(inside)
        keys = encode(cols[shown], rows[shown])
        order = np.argsort(keys, kind="stable")
        return keys[order], shown[order]


def lattices(grids: Sequence[str]) -> list[Lattice]:
    """Return the lattices of the grids of a manifest."""
    return [Lattice(number, grid_named(name)) for number, name in enumerate(grids)]


def plane_grids(names: Sequence[str]) -> tuple[str, ...]:
    """Return the grids that an index is to keep planes of, ``"sky"`` first.

    Raises
    ------
    InputError
        A grid is not known, or it needs no planes of its own.
    """
    found = [SKY.id]
    for name in names:
        grid = grid_named(name)
        if grid is WORLD:
            msg = f"grid {name!r} is the mirror image of {SKY.id!r} and has its planes"
            raise InputError(msg)
        found.append(grid.id)
    return tuple(dict.fromkeys(found))
