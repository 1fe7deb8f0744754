"""A large table before it has an index: a sample far out, its own rows where they are few.

Where the table knows which row groups or partitions meet a sky rectangle (Parquet statistics, HATS
pixels), a deep tile is read in place and exact at once. Meanwhile an index is built; from then on
everything comes from there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skyshade.geometry.coverage import window_coverage
from skyshade.geometry.grids import SKY
from skyshade.geometry.keys import KEY_ZOOM, decode, key_shift, keys_of, tile_key_range
from skyshade.index.arrow import to_numpy
from skyshade.index.described import Described
from skyshade.index.memory import MemoryIndex, MemoryView, category_text
from skyshade.index.pyramid import FEW, THRESHOLD, Pyramid, tile_frame
from skyshade.index.sampled import SampleTable
from skyshade.storage.cache import ByteCache
from skyshade.types import (
    ALL_SKY,
    DEC,
    RA,
    AnyArray,
    ChunkedTable,
    Coverage,
    IntArray,
    RowBlock,
    RowFacts,
    RowFilter,
    RowIndex,
    RowRange,
    RowView,
    State,
    StateArrays,
    Tile,
    Window,
)

log = logging.getLogger("skyshade")

CACHE_BYTES = 256 << 20  # of rows read in place
PIECE_ROWS = 1 << 18
SHALLOWEST = -8
TEXT_BYTES = 64
Build = Callable[[], RowIndex]


class InPlaceIndex(Described):
    """A `RowIndex` of a table that is too large to be sorted in memory; thread-safe.

    Parameters
    ----------
    table : ChunkedTable
    build : callable, optional
        Returns the index on disk; called once, in a thread, by `start` or `wait`. An error is
        logged, and the sample stays.
    """

    table: ChunkedTable

    def __init__(self, table: ChunkedTable, build: Build | None = None) -> None:
        self.table = table
        self.sample = MemoryIndex(SampleTable(table))
        self.error: BaseException | None = None
        self._build = build
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._started = False
        self._listeners: list[Callable[[], None]] = []
        self._built: RowIndex | None = None
        self._pieces: ByteCache[Any] = ByteCache(CACHE_BYTES)

    @property
    def built(self) -> RowIndex | None:
        """The index on disk, once it is there."""
        return self._built

    @property
    def notes(self) -> Sequence[str]:
        """Warnings of the table's loader, and that this is a sample."""
        notes = tuple(self.table.notes)
        if self._built is not None:
            return notes
        if self.error is not None:
            return (*notes, f"a sample of {self.factor:.0f} times fewer rows: {self.error}")
        return (*notes, f"a sample of {self.factor:.0f} times fewer rows, until the index is built")

    @property
    def factor(self) -> float:
        """How many rows one row of the sample stands for."""
        table = self.sample.table
        return table.factor if isinstance(table, SampleTable) else 1.0

    @property
    def invalid(self) -> int:
        """Rows without a valid position; 0 until all were looked at."""
        return 0 if self._built is None else self._built.invalid

    @property
    def facts(self) -> RowFacts:
        """What is known of all valid rows, or of the sample."""
        return (self._built or self.sample).facts

    def __len__(self) -> int:
        return len(self.table)

    def version(self) -> str:
        """Return the version of the table."""
        return self.table.version()

    def view(self, filters: Sequence[RowFilter] = ()) -> RowView:
        """Return the rows for which every filter holds."""
        built = self._built
        if built is not None:
            return built.view(filters)
        shown = InPlaceView(self, self.sample.view(filters))  # first: it is quick
        self.start()
        return shown

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called when the index is there, and whenever planes became exact."""
        with self._lock:
            if listener not in self._listeners:
                self._listeners.append(listener)
            built = self._built
        if built is not None:
            built.listen(listener)

    def cached(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return what `make` made under `key`; what the sample gave is not used for the index."""
        return (self._built or self.sample).cached(key, make)

    def start(self) -> None:
        """Begin to build the index, in a thread; once."""
        with self._lock:
            if self._started or self._build is None:
                return
            self._started = True
        threading.Thread(target=self._run, name="skyshade-index", daemon=True).start()

    def wait(self, timeout: float | None = None) -> None:
        """Return when the index is there.

        Raises
        ------
        TimeoutError
            It takes longer than `timeout` seconds.
        SkyshadeError
            It cannot be built.
        """
        self.start()
        if self._build is not None and not self._finished.wait(timeout):
            msg = f"{self.name}: its index is not ready after {timeout} s"
            raise TimeoutError(msg)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            built = None if self._build is None else self._build()
        except BaseException as error:  # noqa: BLE001 (told in the notes and to who waits)
            log.warning("%s is shown as a sample, its index cannot be built: %s", self.name, error)
            self.error = error
        else:
            with self._lock:
                self._built = built
                listeners = list(self._listeners)
            if built is not None:
                for listener in listeners:
                    built.listen(listener)
        self._finished.set()
        for listener in list(self._listeners):
            listener()

    def pieces_near(self, ranges: IntArray) -> list[RowRange] | None:
        """Return the row ranges that hold all rows of key ranges; None when they are too many."""
        where = getattr(self.table, "partitions_in", None)
        if where is None:
            return None
        found: set[RowRange] = set()
        for first, end in ranges.tolist():
            for part in where(range_coverage(first, end)):
                starts = range(part.start, part.stop, PIECE_ROWS)
                found |= {RowRange(s, min(s + PIECE_ROWS, part.stop)) for s in starts}
                if sum(p.stop - p.start for p in found) > FEW * THRESHOLD:
                    return None
        return sorted(found)

    def placed(self, piece: RowRange) -> tuple[IntArray, IntArray]:
        """Return the sorted keys of a piece's valid rows, and which rows of it they are."""

        def make() -> tuple[IntArray, IntArray]:
            ra, dec = self.values(piece, RA), self.values(piece, DEC)
            rows = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0))
            keys = keys_of(ra[rows], dec[rows])
            sort = np.argsort(keys, kind="stable")
            return np.ascontiguousarray(keys[sort]), rows[sort]

        found: tuple[IntArray, IntArray] = self._pieces.get_or_compute((piece, "keys"), _size, make)
        return found

    def values(self, piece: RowRange, column: str) -> AnyArray:
        """Return a column of a piece, in table order."""

        def make() -> AnyArray:
            wanted = () if column in (RA, DEC) else (column,)
            return to_numpy(self.table.read_chunk(*piece, wanted).column(column))

        found: AnyArray = self._pieces.get_or_compute((piece, column), _size, make)
        return found


class InPlaceView:
    """Rows of a table without an index that pass a filter.

    Parameters
    ----------
    index : InPlaceIndex
    sample : MemoryView
        Those of the sample that do.
    """

    def __init__(self, index: InPlaceIndex, sample: MemoryView) -> None:
        self.index, self.sample = index, sample
        self.name, self.where = sample.name, sample.where

    @property
    def level(self) -> int:
        """The sampling level of the sampled rows."""
        return self.sample.level

    @property
    def rough(self) -> InPlaceView:
        """Return this view: it is quick."""
        return self

    def many(self, ranges: IntArray) -> bool:
        """Return whether only the sample knows rows of key ranges."""
        return self.index.pieces_near(ranges) is None

    def blocks(
        self, ranges: IntArray, columns: Collection[str] = (), codes: Collection[str] = ()
    ) -> Iterator[RowBlock]:
        """Yield the rows of key ranges, or those of the sample where they are many."""
        pieces = self.index.pieces_near(ranges)
        if pieces is None:
            for block in self.sample.blocks(ranges, columns, codes):
                yield replace(block, rows=self._table_rows(block.rows))
            return
        for piece in pieces:
            yield from self._piece_blocks(piece, ranges, columns, codes)

    def _table_rows(self, rows: NDArray[Any]) -> IntArray:
        table = self.index.sample.table
        found: IntArray = table.rows[rows] if isinstance(table, SampleTable) else rows
        return found

    def _piece_blocks(
        self, piece: RowRange, ranges: IntArray, columns: Collection[str], codes: Collection[str]
    ) -> Iterator[RowBlock]:
        keys, order = self.index.placed(piece)
        for first, last in np.searchsorted(keys, ranges.ravel()).reshape(-1, 2).tolist():
            if first == last:
                continue
            rows, near = order[first:last], keys[first:last]
            mask = self._mask(piece, rows)
            if mask is not None:
                rows, near = rows[mask], near[mask]
            values = {name: self.index.values(piece, name)[rows] for name in columns}
            coded = {name: self._coded(piece, name, rows) for name in codes}
            yield RowBlock(near, rows + piece.start, values, coded)

    def _mask(self, piece: RowRange, rows: IntArray) -> NDArray[np.bool_] | None:
        if not self.where:
            return None
        mask = np.ones(rows.size, np.bool_)
        for condition in self.where:
            mask &= condition.mask(lambda name: self.index.values(piece, name)[rows])
        return mask

    def _coded(self, piece: RowRange, column: str, rows: IntArray) -> NDArray[np.int32]:
        number = {name: i for i, name in enumerate(self.categories(column))}
        values = self.index.values(piece, column)[rows].tolist()
        found = (-1 if v is None or v != v else number.get(category_text(v), -1) for v in values)
        return np.fromiter(found, np.int32, len(values))

    def take(self, rows: IntArray, columns: Collection[str]) -> dict[str, AnyArray]:
        """Return columns of rows by their numbers in the table."""
        rows = np.asarray(rows, np.int64)
        order = np.argsort(rows, kind="stable")
        wanted = [c for c in columns if c not in (RA, DEC)]
        cuts = np.flatnonzero(np.diff(rows[order] // PIECE_ROWS, prepend=-1))
        parts = []
        for group in np.split(order, cuts[1:]) if rows.size else [order]:
            start = int(rows[group[0]]) if group.size else 0
            stop = int(rows[group[-1]]) + 1 if group.size else 0
            table = self.index.table.read_chunk(start, stop, wanted)
            parts.append({n: to_numpy(table.column(n))[rows[group] - start] for n in columns})
        back = np.empty(rows.size, np.int64)
        back[order] = np.arange(rows.size)
        return {name: np.concatenate([part[name] for part in parts])[back] for name in columns}

    def has_planes(self, state: State, grid: str) -> bool:
        """Return whether there are planes of a grid: of ``sky`` only, from the sample."""
        del state
        return grid == SKY.id

    def plane(self, tile: Tile, state: State, grid: str = SKY.id) -> StateArrays | None:
        """Return the sample's state of a tile of ``sky``; None where its rows are few."""
        ranges = np.array([tile_key_range(tile)])
        if grid != SKY.id or not self.many(ranges):
            return None
        coded = [state.column] if state.kind == "category" else []
        columns = [state.column] if state.column and not coded else []
        depth = {name: len(self.categories(name)) for name in coded}
        pixels = Pyramid([state], 0, depth).empty(state)
        for block in self.sample.blocks(ranges, columns, coded):
            pixels.add_rows(block, key_shift(tile.z), tile_frame(tile))
        return scaled(state, pixels.arrays(), self.index.factor)

    def ready(self, state: State) -> bool:
        """Return False: there is no index yet."""
        del state
        return False

    def wait(self, state: State, timeout: float | None = None) -> None:
        """Return when there is an index; see `InPlaceIndex.wait`."""
        del state
        self.index.wait(timeout)

    def cells(self, z: int) -> tuple[IntArray, IntArray]:
        """Return the cells that sampled rows occupy, and about how many rows they hold."""
        cells, counts = self.sample.cells(z)
        return cells, np.rint(counts * self.index.factor).astype(np.int64)

    def categories(self, column: str) -> tuple[str, ...]:
        """Return the sorted names of a column's values in the sample."""
        return self.sample.categories(column)


def scaled(state: State, arrays: StateArrays, factor: float) -> StateArrays:
    """Return the state that `factor` times as many rows have, of quality ``sample``."""
    n = np.rint(arrays.n * factor).astype(np.uint64 if arrays.n.max() * factor > 4e9 else np.uint32)
    sums = state.kind == "sum"
    a = arrays.a * factor if sums and arrays.a is not None else arrays.a
    b = arrays.b * factor if arrays.b is not None else None
    return StateArrays(n, a, b, "sample")


def range_coverage(first: int, end: int) -> Coverage:
    """Return the sky rectangle of the smallest aligned cell that holds a range of keys."""
    bits = (first ^ max(end - 1, first)).bit_length()
    up = (bits + 1) // 2
    if KEY_ZOOM - up < SHALLOWEST:
        return ALL_SKY
    col, row = (int(v[0]) for v in decode(np.array([first >> 2 * up])))
    return window_coverage(Window(SKY, KEY_ZOOM - up, col, row, 1, 1)) or ALL_SKY


def _size(value: Any) -> int:
    if isinstance(value, tuple):
        return sum(_size(part) for part in value)
    return value.size * TEXT_BYTES if value.dtype.kind == "O" else int(value.nbytes)
