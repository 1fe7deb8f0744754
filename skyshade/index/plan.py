"""Where the sky is cut into leaves: the quadtree tiles whose rows are merged at once.

A tile is split while it holds more rows than a leaf may, down to level 22. The rows of a tile of
that level that still are too many come in pieces: cells of its lattice, and of one cell the rows of
some runs after those of others. All this is counted, not estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skyshade.geometry.keys import decode, encode
from skyshade.index.job import Job
from skyshade.index.lattices import Lattice
from skyshade.index.pools import Pool
from skyshade.index.runs import Run, keys_key
from skyshade.types import IntArray, Tile

TILE_BITS = 16  # of the keys within a tile of the deepest level


class Cell(NamedTuple):
    """Keys from ``number << bits`` on, ``1 << bits`` of them, of level `zoom`."""

    number: int
    bits: int
    zoom: int

    @property
    def first(self) -> int:
        """The first key."""
        return self.number << self.bits

    @property
    def end(self) -> int:
        """The key after the last."""
        return (self.number + 1) << self.bits

    @property
    def tile(self) -> Tile:
        """The tile that it is, or that of the deepest level that it lies in."""
        cell = self.number >> max(0, TILE_BITS - self.bits)
        col, row = decode(np.array([cell]))
        z = self.zoom - max(0, self.bits - TILE_BITS) // 2
        return Tile(z, int(col[0]), int(row[0]))

    def quarters(self) -> list[Cell]:
        """Return the four parts in the order of their keys."""
        return [Cell(4 * self.number + i, self.bits - 2, self.zoom) for i in range(4)]


@dataclass(frozen=True, eq=False)
class Leaf:
    """The rows of a tile, from all runs.

    Parameters
    ----------
    number : int
        Leaves are numbered lattice by lattice in the order of their keys.
    lattice : int
    tile : Tile
    start, rows : int
        Number of the first row in key order, and how many there are.
    pieces : tuple of ndarray of int64, shape (runs, 2)
        Rows [first, last) of every run; what is in one piece is merged at once.
    """

    number: int
    lattice: int
    tile: Tile
    start: int
    rows: int
    pieces: tuple[IntArray, ...]


class EdgeUnit(NamedTuple):
    """Keys to be found in a run."""

    run: int
    lattice: int
    rows: int
    edges: IntArray


def find_edges(job: Job, unit: EdgeUnit) -> IntArray:
    """Return how many rows of a run are before every edge."""
    keys = job.work.read_keys(keys_key(unit.run, unit.lattice), 0, unit.rows)
    return np.searchsorted(keys, unit.edges)


def plan_leaves(job: Job, runs: Sequence[Run], leaf_rows: int, pool: Pool) -> list[Leaf]:
    """Return the leaves of all lattices; tiles without rows are left out."""
    leaves: list[Leaf] = []
    for lattice in job.lattices:
        finder = _Finder(job, runs, pool, lattice.number)
        cells = _split(lattice, finder, leaf_rows)
        leaves += _leaves(cells, finder, leaf_rows, len(leaves))
    return leaves


def _split(lattice: Lattice, finder: _Finder, leaf_rows: int) -> list[Cell]:
    """Return cells of few enough rows, or of a single key, in the order of their keys."""
    bits = TILE_BITS + 2 * lattice.zoom
    todo = [Cell(cell_of(tile), bits, lattice.zoom) for tile in lattice.roots()]
    finder.look([edge for cell in todo for edge in (cell.first, cell.end)])
    found: list[Cell] = []
    while todo:
        split = [c for c in todo if finder.count(c) > leaf_rows and c.bits > 0]
        found += [c for c in todo if 0 < finder.count(c) <= leaf_rows or not c.bits]
        todo = [quarter for cell in split for quarter in cell.quarters()]
        finder.look([cell.first for cell in todo])
    return sorted((c for c in found if finder.count(c)), key=lambda c: c.first)


def cell_of(tile: Tile) -> int:
    """Return the Z-order number of a tile."""
    return int(encode(np.array([tile.x]), np.array([tile.y]))[0])


def _leaves(cells: Sequence[Cell], finder: _Finder, leaf_rows: int, number: int) -> list[Leaf]:
    leaves: list[Leaf] = []
    for cell in cells:
        pieces, rows, tile = finder.pieces(cell, leaf_rows), finder.count(cell), cell.tile
        if leaves and leaves[-1].tile == tile:
            last = leaves[-1]
            both = (*last.pieces, *pieces)
            leaves[-1] = replace(last, rows=last.rows + rows, pieces=both)
            continue
        start = leaves[-1].start + leaves[-1].rows if leaves else 0
        next_ = number + len(leaves)
        leaves.append(Leaf(next_, finder.lattice, tile, start, rows, tuple(pieces)))
    return leaves


class _Finder:
    """Counts the rows of cells, over all runs."""

    def __init__(self, job: Job, runs: Sequence[Run], pool: Pool, lattice: int) -> None:
        self.lattice = lattice
        self._job, self._runs, self._pool = job, runs, pool
        self._places: dict[int, NDArray[np.uint32]] = {}  # edge -> rows before it, of every run

    def look(self, edges: Sequence[int]) -> None:
        """Find edges that are not known yet."""
        new = np.array(sorted(set(edges) - set(self._places)), np.int64)
        if new.size == 0:
            return
        units = [
            EdgeUnit(i, self.lattice, run.shown[self.lattice], new)
            for i, run in enumerate(self._runs)
        ]
        here = self._job.work.folder.path is not None  # keys are mapped: less work than a task
        found = (
            [find_edges(self._job, unit) for unit in units]
            if here
            else self._pool.run(find_edges, self._job, units)
        )
        places = np.array(found, np.uint32).reshape(len(units), new.size)
        for i, edge in enumerate(new.tolist()):
            self._places[edge] = np.ascontiguousarray(places[:, i])

    def count(self, cell: Cell) -> int:
        """Return the rows of a cell."""
        first, last = self._places[cell.first], self._places[cell.end]
        return int(last.sum(dtype=np.int64) - first.sum(dtype=np.int64))

    def pieces(self, cell: Cell, most: int) -> list[IntArray]:
        """Return the rows of a cell; those of one key some runs at a time."""
        ends = np.stack([self._places[cell.first], self._places[cell.end]], axis=1)
        slices: IntArray = ends.astype(np.int64)
        if cell.bits or len(slices) == 0:
            return [slices]
        totals = np.cumsum(slices[:, 1] - slices[:, 0])
        part = (np.maximum(totals, 1) - 1) // most
        return [np.where((part == p)[:, None], slices, 0) for p in np.unique(part)]
