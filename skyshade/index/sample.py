"""A sample of an index's rows in memory: it answers anything at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skyshade.geometry.grids import SKY
from skyshade.geometry.keys import key_shift, tile_key_range
from skyshade.index.facts import SAMPLE_LEVELS
from skyshade.index.format import KEY
from skyshade.index.pyramid import Pyramid, tile_frame
from skyshade.index.states import summed
from skyshade.types import (
    AnyArray,
    IntArray,
    RowBlock,
    RowFilter,
    State,
    StateArrays,
    TextCodes,
    Tile,
)

if TYPE_CHECKING:
    from skyshade.index.reader import DiskIndex


class SampleView:
    """Every n-th row of an index, those that pass a filter; counts and sums are n times theirs.

    Parameters
    ----------
    index : DiskIndex
    where : tuple of RowFilter
    """

    def __init__(self, index: DiskIndex, where: tuple[RowFilter, ...] = ()) -> None:
        self.index, self.where = index, where
        self.name = tuple(condition.text for condition in where)

    @property
    def rough(self) -> SampleView:
        """Return this view: it is quick."""
        return self

    @property
    def level(self) -> int:
        """The sampling level of the rows that passed."""
        shown = sum(self._held(n, KEY).size for n in range(len(self.index.segments)))
        fewer = self.index.manifest.rows / max(shown, 1)
        level = math.floor(self.index.facts.level - math.log(fewer, 4) + 1e-9)
        return max(level, SAMPLE_LEVELS[0])

    def _held(self, number: int, name: str, *, codes: bool = False) -> AnyArray:
        """Return a column of the sampled rows of a segment that pass."""
        mask = self._mask(number)
        if mask is None:
            return self._every(number, name, codes=codes)
        return self.index.sampled(
            (self.name, number, name, codes),
            lambda: self._every(number, name, codes=codes)[mask],
        )

    def _every(self, number: int, name: str, *, codes: bool = False) -> AnyArray:
        """Return a column of all sampled rows of a segment."""

        def make() -> AnyArray:
            few = self.index.categories(name) if codes else None
            return self.index.segments[number].sample(name, few)

        return self.index.sampled(((), number, name, codes), make)

    def _mask(self, number: int) -> NDArray[np.bool_] | None:
        if not self.where:
            return None

        def column(name: str) -> AnyArray | TextCodes:
            few = self.index.facts.categories.get(name)
            if few is not None and self.index.type_of(name).kind == "O":
                return TextCodes(self._every(number, name, codes=True), few)
            return self._every(number, name)

        def make() -> NDArray[np.bool_]:
            mask = np.ones(self._every(number, KEY).size, np.bool_)
            for condition in self.where:
                mask &= condition.mask(column)
            return mask

        found: NDArray[np.bool_] = self.index.sampled((self.name, number, "mask"), make)
        return found

    def blocks(
        self, ranges: IntArray, columns: Collection[str] = (), codes: Collection[str] = ()
    ) -> Iterator[RowBlock]:
        """Yield the sampled rows of key ranges, segment after segment, each block sorted."""
        for number in range(len(self.index.segments)):
            yield from self.segment_blocks(number, ranges, columns, codes)

    def segment_blocks(
        self, number: int, ranges: IntArray, columns: Collection[str], codes: Collection[str]
    ) -> Iterator[RowBlock]:
        """Yield the sampled rows of key ranges of one segment."""
        keys = self._held(number, KEY)
        ends = np.searchsorted(keys, ranges)
        values = {name: self._held(number, name) for name in columns}
        coded = {name: self._held(number, name, codes=True) for name in codes}
        for first, last in ends[ends[:, 1] > ends[:, 0]].tolist():
            part = slice(first, last)
            yield RowBlock(
                keys[part],
                self._numbers(number)[part],
                {name: held[part] for name, held in values.items()},
                {name: held[part] for name, held in coded.items()},
            )

    def _numbers(self, number: int) -> IntArray:
        def make() -> IntArray:
            segment, start = self.index.segments[number], int(self.index.offsets[number])
            every = np.arange(start, start + segment.rows, segment.sampled)
            mask = self._mask(number)
            return every if mask is None else every[mask]

        found: IntArray = self.index.sampled((self.name, number, "rows"), make)
        return found

    def take(self, rows: IntArray, columns: Collection[str]) -> dict[str, AnyArray]:
        """Return columns of rows by their numbers, in the order given."""
        return self.index.take(rows, columns)

    def has_planes(self, state: State, grid: str) -> bool:
        """Return whether there are planes of a grid: of ``sky`` only."""
        del state
        return grid == SKY.id

    def ready(self, state: State) -> bool:
        """Return False: a sample is never exact."""
        del state
        return False

    def wait(self, state: State, timeout: float | None = None) -> None:
        """Return at once: it gets no better."""

    def many(self, ranges: IntArray) -> bool:
        """Return False: a sample is small."""
        del ranges
        return False

    def plane(self, tile: Tile, state: State, grid: str = SKY.id) -> StateArrays | None:
        """Return the state of any tile of ``sky``, of quality ``sample``."""
        if grid != SKY.id:
            return None
        coded = [state.column] if state.kind == "category" else []
        columns = [state.column] if state.column and not coded else []
        depth = {name: len(self.index.categories(name)) for name in coded}
        ranges, frame = np.array([tile_key_range(tile)]), tile_frame(tile)
        parts = []
        for number, segment in enumerate(self.index.segments):
            pixels = Pyramid([state], 0, depth).empty(state)
            for block in self.segment_blocks(number, ranges, columns, coded):
                pixels.add_rows(block, key_shift(tile.z), frame)
            parts.append(scaled(state, pixels.arrays(), segment.sampled))
        return replace(summed(state, parts), quality="sample")

    def cells(self, z: int) -> tuple[IntArray, IntArray]:
        """Return the occupied cells of a lattice level, sorted, and their numbers of rows."""
        shift = key_shift(z)
        cells = [self._held(n, KEY) >> shift for n in range(len(self.index.segments))]
        weights = [
            np.full(c.size, s.sampled) for c, s in zip(cells, self.index.segments, strict=True)
        ]
        if not cells:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        names, inverse = np.unique(np.concatenate(cells), return_inverse=True)
        counts = np.bincount(inverse, np.concatenate(weights), names.size)
        return names, counts.astype(np.int64)

    def categories(self, column: str) -> tuple[str, ...]:
        """Return the sorted names of a column's values; InputError when there are too many."""
        return self.index.categories(column)


def scaled(state: State, arrays: StateArrays, factor: int) -> StateArrays:
    """Return the state of `factor` times as many rows of the same values."""
    n: NDArray[Any] = arrays.n * np.uint64(factor)
    if int(n.max(initial=0)) < 1 << 32:
        n = n.astype(np.uint32)
    a = arrays.a * factor if arrays.a is not None and state.kind == "sum" else arrays.a
    return StateArrays(n, a, None if arrays.b is None else arrays.b * factor)
