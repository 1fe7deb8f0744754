"""The rows of an index on disk that pass a filter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skyshade.geometry.grids import SKY, TILE_SIZE
from skyshade.geometry.keys import decode, key_shift, tile_key_range
from skyshade.index.facts import Tally, changes, tally
from skyshade.index.format import KEY
from skyshade.index.pyramid import Pyramid, tile_frame
from skyshade.index.segment import Piece, SegmentReader
from skyshade.index.states import COUNT, summed
from skyshade.types import (
    DEC,
    RA,
    AnyArray,
    IntArray,
    RowBlock,
    RowFilter,
    RowView,
    State,
    StateArrays,
    TextCodes,
    Tile,
)

if TYPE_CHECKING:
    from skyshade.index.reader import DiskIndex

Mask = NDArray[np.bool_]

EVERYTHING = np.array([[0, np.iinfo(np.int64).max]])
ALL_TILES = 2  # level whose tiles are all looked at for their cells
SOME_TILES = 12  # that are looked at on deeper levels
AT_ONCE = 16  # requests to a far place
MANY = 64  # row groups: those of longer reads are not kept in memory


class DiskView:
    """Rows of an index that pass a filter, sorted by key within each segment; thread-safe.

    Parameters
    ----------
    index : DiskIndex
    where : tuple of RowFilter
        All must hold; () for every row with a valid position.
    """

    def __init__(self, index: DiskIndex, where: tuple[RowFilter, ...] = ()) -> None:
        self.index, self.where = index, where
        self.name = tuple(condition.text for condition in where)

    @property
    def level(self) -> int:
        """The sampling level of these rows."""
        if not self.where:
            return self.index.facts.level
        rough = self.rough
        if rough is not self:
            return rough.level
        level: int = self.index.cached(("level", self.name), lambda: self._tally().level)
        return level

    def _tally(self) -> Tally:
        blocks = list(self.blocks(EVERYTHING, (RA, DEC)))
        if not blocks:
            return Tally.empty()
        keys = np.sort(np.concatenate([block.keys for block in blocks]))
        ra, dec = (np.concatenate([b.columns[name] for b in blocks]) for name in (RA, DEC))
        return tally(keys, ra, dec)

    def blocks(
        self, ranges: IntArray, columns: Collection[str] = (), codes: Collection[str] = ()
    ) -> Iterator[RowBlock]:
        """Yield the rows of key ranges, segment after segment, each block sorted."""
        names = {name: self.categories(name) for name in codes}
        for number in range(len(self.index.segments)):
            yield from self.segment_blocks(number, ranges, columns, names)

    def segment_blocks(
        self,
        number: int,
        ranges: IntArray,
        columns: Collection[str],
        names: dict[str, tuple[str, ...]],
        *,
        keep: bool = True,
    ) -> Iterator[RowBlock]:
        """Yield the rows of key ranges of one segment.

        `names` are those of the codes wanted; `keep` says whether decoded columns are worth
        remembering, unless they are many.
        """
        segment, offset = self.index.segments[number], int(self.index.offsets[number])
        keep = keep and segment.groups_near(ranges) <= MANY
        if keep and self.index.folder.path is None:
            self._fetch(segment, ranges, columns, names)
        for piece in segment.pieces(ranges, keep=keep):
            mask = self._mask(segment, piece, keep=keep)
            if mask is not None and not mask.any():
                continue
            group, first, last = piece

            def cut(
                values: AnyArray, piece: Piece = piece, mask: AnyArray | None = mask
            ) -> AnyArray:
                part = values[piece.first : piece.last]
                return part if mask is None else part[mask]

            start = offset + int(segment.starts[group])
            rows = np.arange(start + first, start + last)
            yield RowBlock(
                cut(segment.column(group, KEY, keep=keep)),
                rows if mask is None else rows[mask],
                {name: cut(segment.column(group, name, keep=keep)) for name in columns},
                {n: cut(segment.codes(group, n, few, keep=keep)) for n, few in names.items()},
            )

    def _fetch(
        self,
        segment: SegmentReader,
        ranges: IntArray,
        columns: Collection[str],
        names: dict[str, tuple[str, ...]],
    ) -> None:
        """Decode what will be needed, many row groups at once: far places are slow to answer."""
        texts = {n: few for c in self.where for n in c.names if (few := self._texts(n))}
        plain = {KEY, *columns, *(n for c in self.where for n in c.names if n not in texts)}
        jobs: list[Callable[[], object]] = []
        for group in segment.groups_of(ranges):
            jobs += [partial(segment.column, group, name) for name in sorted(plain)]
            jobs += [partial(segment.codes, group, n, few) for n, few in (texts | names).items()]
        if len(jobs) > 1:
            with ThreadPoolExecutor(min(len(jobs), AT_ONCE)) as pool:
                for done in [pool.submit(job) for job in jobs]:
                    done.result()

    def _texts(self, name: str) -> tuple[str, ...] | None:
        """Return the values of a column of few different texts, None for another column."""
        few = self.index.facts.categories.get(name)
        return few if few is not None and self.index.type_of(name).kind == "O" else None

    def _mask(
        self, segment: SegmentReader, piece: Piece, *, keep: bool
    ) -> NDArray[np.bool_] | None:
        """Return which rows of a piece pass; None when all do."""
        if not self.where:
            return None

        def column(name: str) -> AnyArray | TextCodes:
            few = self._texts(name)
            if few is not None:
                codes = segment.codes(piece.group, name, few, keep=keep)
                return TextCodes(codes[piece.first : piece.last], few)
            return segment.column(piece.group, name, keep=keep)[piece.first : piece.last]

        mask = np.ones(piece.last - piece.first, np.bool_)
        for condition in self.where:
            mask &= condition.mask(column)
        return None if mask.all() else mask

    def take(self, rows: IntArray, columns: Collection[str]) -> dict[str, AnyArray]:
        """Return columns of rows by their numbers, in the order given."""
        return self.index.take(rows, columns)

    @property
    def rough(self) -> RowView:
        """A sample of the rows where they are many, else these rows."""
        few = self.index.few >= self.index.manifest.rows
        return self if few else self.index.demand.sample(self)

    def ready(self, state: State) -> bool:
        """Return whether `plane` gives exact numbers of a state by now."""
        if self.has_planes(state, SKY.id) or not self.many(EVERYTHING):
            return True
        return self.index.demand.ready(self, state)

    def wait(self, state: State, timeout: float | None = None) -> None:
        """Return when it does; TimeoutError if that takes longer than `timeout` seconds."""
        if not self.ready(state):
            self.index.demand.wait(self, state, timeout)

    def many(self, ranges: IntArray) -> bool:
        """Return whether key ranges hold so many rows that reading them takes long."""
        return self.index.near(ranges) > self.index.few

    def has_planes(self, state: State, grid: str) -> bool:
        """Return whether the state of every tile of a grid with many rows is stored."""
        return not self.where and self.index.stored_as(state, grid) is not None

    def plane(self, tile: Tile, state: State, grid: str = SKY.id) -> StateArrays | None:
        """Return the state of a tile that holds many rows; None where it has few.

        Where it is not stored, it is made in the background; until then it is a sample's.
        """
        stored = None if self.where else self.index.stored_as(state, grid)
        if stored is not None:
            return self._stored(tile, state, stored, grid)
        if grid != SKY.id or not self.many(np.array([tile_key_range(tile)])):
            return None
        return self.index.demand.plane(self, tile, state)

    def _stored(self, tile: Tile, state: State, stored: State, grid: str) -> StateArrays | None:
        """Return a stored plane, with the rows of the segments that have none."""
        parts, rest = [], []
        for number, segment in enumerate(self.index.segments):
            found = segment.planes.read(grid, stored, tile)
            if found is None:
                rest.append(number)
            else:
                parts.append(as_state(found, stored, state))
        if not parts or (rest and grid != SKY.id):
            return None
        if any(self.index.segments[n].rows_near(*tile_key_range(tile)) for n in rest):
            parts.append(self.bin(tile, state, rest))
        return summed(state, parts)

    def bin(
        self, tile: Tile, state: State, segments: Collection[int], *, keep: bool = True
    ) -> StateArrays:
        """Return the state of a tile from the rows of some segments; `keep` as for blocks."""
        coded = state.kind == "category"
        names = {state.column: self.categories(state.column)} if coded else {}
        columns = [] if coded or not state.column else [state.column]
        pixels = Pyramid([state], 0, {c: len(n) for c, n in names.items()}).empty(state)
        ranges, frame = np.array([tile_key_range(tile)]), tile_frame(tile)
        for number in segments:
            for block in self.segment_blocks(number, ranges, columns, names, keep=keep):
                pixels.add_rows(block, key_shift(tile.z), frame)
        return pixels.arrays()

    def cells(self, z: int) -> tuple[IntArray, IntArray]:
        """Return the occupied cells of a lattice level, sorted, and their numbers of rows.

        Of many rows on a deep level, those of some tiles, spread evenly over all that have rows.
        """
        if self.where and self.many(EVERYTHING):
            return self.index.demand.sample(self).cells(z)
        if self.many(EVERYTHING) and self.has_planes(COUNT, SKY.id):
            return self._cells_of_tiles(z)
        shift = key_shift(z)
        found = [runs(block.keys >> shift) for block in self.blocks(EVERYTHING)]
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        cells, counts = (np.concatenate(part) for part in zip(*found, strict=True))
        if len(self.index.segments) > 1:
            order = np.argsort(cells, kind="stable")
            cells, counts = cells[order], counts[order]
        return merged(cells, counts)

    def _cells_of_tiles(self, z: int) -> tuple[IntArray, IntArray]:
        level = max(z, 0)
        tiles = np.arange(2 << (2 * level)) if level <= ALL_TILES else self._some_tiles(level)
        found = [self._cells_of_tile(int(cell), level) for cell in tiles]
        cells, counts = (np.concatenate(part) for part in zip(*found, strict=True))
        return merged(cells >> (2 * (level - z)), counts)

    def _some_tiles(self, z: int) -> IntArray:
        """Return the Z-order numbers of a few tiles with rows, spread evenly."""
        bits = tile_key_range(Tile(z, 0, 0))[1].bit_length() - 1
        ends = [end >> bits for s in self.index.segments for end in (s.first, s.last)]
        tiles = np.unique(np.concatenate(ends))
        if tiles.size <= SOME_TILES:
            return tiles
        return tiles[np.linspace(0, tiles.size - 1, SOME_TILES).astype(np.intp)]

    def _cells_of_tile(self, cell: int, z: int) -> tuple[IntArray, IntArray]:
        x, y = (int(v[0]) for v in decode(np.array([cell])))
        tile = Tile(z, x, y)
        found = self.plane(tile, COUNT) or self.bin(tile, COUNT, range(len(self.index.segments)))
        counts = found.n.ravel()[z_order()]
        taken = np.flatnonzero(counts)
        return (cell * counts.size) + taken, counts[taken].astype(np.int64)

    def categories(self, column: str) -> tuple[str, ...]:
        """Return the sorted names of a column's values; InputError when there are too many."""
        return self.index.categories(column)


def runs(cells: IntArray) -> tuple[IntArray, IntArray]:
    """Return the different values of sorted cells and how often each is there."""
    first = changes(cells)
    return cells[first], np.diff(first, append=cells.size)


def merged(cells: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Return the different ones of sorted cells and the sums of their counts."""
    first = changes(cells)
    if first.size in (0, cells.size):
        return cells, counts
    return cells[first], np.add.reduceat(counts, first)


@cache
def z_order() -> IntArray:
    """Return the flat numbers of a tile's pixels in the order of their keys."""
    cols, rows = decode(np.arange(TILE_SIZE * TILE_SIZE))
    return rows * TILE_SIZE + cols


def as_state(arrays: StateArrays, stored: State, state: State) -> StateArrays:
    """Return a state that another one holds: values of any, the sum of moments."""
    if stored.kind == state.kind:
        return arrays
    if state.kind == "sum" and arrays.a is not None:
        return replace(arrays, a=arrays.a * arrays.n, b=None)
    return replace(arrays, a=None, b=None)
