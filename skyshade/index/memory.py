"""The index of a catalogue in memory: its valid rows sorted by key, made once and shared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import ChangedError, InputError
from skyshade.geometry.grids import SKY
from skyshade.geometry.keys import key_shift, keys_of, tile_key_range
from skyshade.index.described import Described
from skyshade.index.facts import Tally, changes, tally
from skyshade.index.packing import pack, unpack
from skyshade.index.pyramid import FEW, THRESHOLD, Pyramid, States, part_of, roots
from skyshade.index.states import is_missing
from skyshade.index.texts import text_codes
from skyshade.types import (
    DEC,
    RA,
    AnyArray,
    FloatArray,
    IntArray,
    PointTable,
    RowBlock,
    RowFacts,
    RowFilter,
    State,
    StateArrays,
    TextCodes,
    Tile,
)

T = TypeVar("T")

CACHE_BYTES = 512 << 20
MAX_CATEGORIES = 32
SCANNED_CELLS = 5_000_000
TEXT_BYTES = 64  # what a Python text in an object array weighs, about


class MemoryView:
    """Rows that pass a filter, sorted by key.

    Parameters
    ----------
    index : MemoryIndex
    where : tuple of RowFilter
        All must hold; () for every row with a valid position.
    keys : ndarray of int64, shape (n,)
        Sorted.
    order : ndarray of uint32 or int64, shape (n,)
        Row of the table behind every key.
    """

    def __init__(
        self,
        index: MemoryIndex,
        where: tuple[RowFilter, ...],
        keys: IntArray,
        order: NDArray[Any],
    ) -> None:
        self.index, self.where, self.keys, self.order = index, where, keys, order
        self.name = tuple(w.text for w in where)

    @property
    def level(self) -> int:
        """The sampling level of these rows."""
        return self._tally.level

    @property
    def _tally(self) -> Tally:
        def make() -> Tally:
            ra, dec = self.index.positions()
            return tally(self.keys, ra[self.order], dec[self.order])

        return self.index.cached(("tally", self.name), make)

    def blocks(
        self, ranges: IntArray, columns: Collection[str] = (), codes: Collection[str] = ()
    ) -> Iterator[RowBlock]:
        """Yield the rows of key ranges, as views where memory allows."""
        ends = np.searchsorted(self.keys, ranges.ravel()).reshape(-1, 2)
        spans = [slice(int(a), int(b)) for a, b in ends if b > a]
        if not spans:
            return
        values = {name: self._column(name) for name in columns}
        numbers_of = {name: self._codes(name) for name in codes}
        for span in spans:
            yield RowBlock(
                self.keys[span],
                self.order[span],
                {name: held[span] for name, held in values.items()},
                {name: held[span] for name, held in numbers_of.items()},
            )

    def _column(self, name: str) -> AnyArray:
        """Return a column in key order."""

        def make() -> AnyArray:
            values: AnyArray = self.index.raw(name)[self.order]
            return values

        return self.index.cached(("values", self.name, name), make)

    def _codes(self, column: str) -> NDArray[np.int32]:
        def make() -> NDArray[np.int32]:
            codes: NDArray[np.int32] = self.index.codes(column)[0][self.order]
            return codes

        return self.index.cached(("codes", self.name, column), make)

    def take(self, rows: IntArray, columns: Collection[str]) -> dict[str, AnyArray]:
        """Return columns of rows by their numbers in the table."""
        return {name: self.index.raw(name)[rows] for name in columns}

    @property
    def rough(self) -> MemoryView:
        """These rows themselves."""
        return self

    def ready(self, state: State) -> bool:
        """Return True: whatever is asked for is made at once."""
        del state
        return True

    def wait(self, state: State, timeout: float | None = None) -> None:
        """Return at once."""

    def many(self, ranges: IntArray) -> bool:
        """Return whether key ranges hold so many rows that reading them takes long."""
        ends = np.searchsorted(self.keys, ranges)
        return int((ends[:, 1] - ends[:, 0]).sum()) > FEW * THRESHOLD

    def has_planes(self, state: State, grid: str) -> bool:
        """Return whether planes of all tiles with many rows can be had: of ``sky``."""
        del state
        return grid == SKY.id

    def plane(self, tile: Tile, state: State, grid: str = SKY.id) -> StateArrays | None:
        """Return the state of a tile that holds many rows, else None; planes are kept packed."""
        if grid != SKY.id:
            return None
        first, last = np.searchsorted(self.keys, tile_key_range(tile))
        if last - first <= THRESHOLD:
            return None
        planes = self.index.cached(("planes", self.name, state), lambda: self._planes(state))
        found = planes.get(tile)
        return None if found is None else unpack(found, self.index.name)

    def _planes(self, state: State) -> dict[Tile, bytes]:
        made: dict[Tile, bytes] = {}

        def put(tile: Tile, states: States) -> None:
            made[tile] = pack(states[state])

        columns = [state.column] if state.kind not in ("count", "category") else []
        codes = [state.column] if state.kind == "category" else []
        counts = {state.column: len(self.categories(state.column))} if codes else {}
        pyramid = Pyramid([state], THRESHOLD, counts)
        everything = np.array([[0, np.iinfo(np.int64).max]])
        for block in self.blocks(everything, columns, codes):
            for root in roots():
                first, last = np.searchsorted(block.keys, tile_key_range(root))
                pyramid.build(root, part_of(block, int(first), int(last)), put)
        return made

    def cells(self, z: int) -> tuple[IntArray, IntArray]:
        """Return the occupied cells of a lattice level, sorted, and their numbers of rows."""
        cells = self.keys >> key_shift(z)
        first = changes(cells)
        return cells[first], np.diff(first, append=cells.size)

    def categories(self, column: str) -> tuple[str, ...]:
        """Return the sorted names of a column's values; InputError when there are too many."""
        return self.index.codes(column)[1]


class MemoryIndex(Described):
    """Keys, columns and other costly results of one table, each made once, on first use.

    Thread-safe. Everything but the keys is kept in one cache of at most `CACHE_BYTES`.

    Parameters
    ----------
    table : PointTable
    """

    def __init__(self, table: PointTable) -> None:
        self.table = table
        self._rows = len(table)
        self._version = table.version()
        self._lock = threading.RLock()
        self._cache: OrderedDict[tuple[Any, ...], tuple[Any, int]] = OrderedDict()
        self._size = 0
        self._base: MemoryView | None = None

    @property
    def notes(self) -> Sequence[str]:
        """Warnings of the table's loader."""
        return tuple(getattr(self.table, "notes", ()))

    def __len__(self) -> int:
        return self._rows

    def version(self) -> str:
        """Return the version of the table that the index was made from."""
        return self._version

    @property
    def base(self) -> MemoryView:
        """All rows with a valid position."""
        with self._lock:
            if self._base is None:
                self._base = self._build()
            return self._base

    @property
    def invalid(self) -> int:
        """Number of rows without a valid position."""
        return self._rows - self.base.keys.size

    @property
    def facts(self) -> RowFacts:
        """What is known of all valid rows."""

        def make() -> RowFacts:
            found = self.base._tally
            return RowFacts(found.coverage, found.max_zoom, found.level, self._categories())

        return self.cached(("facts",), make)

    def _build(self) -> MemoryView:
        ra, dec = (np.asarray(values, np.float64) for values in self.table.positions())
        valid = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0)
        rows = np.flatnonzero(valid)
        keys = keys_of(ra[rows], dec[rows])
        sort = np.argsort(keys, kind="stable")
        small = np.uint32 if ra.size < 1 << 32 else np.int64
        return MemoryView(self, (), np.ascontiguousarray(keys[sort]), rows[sort].astype(small))

    def view(self, filters: Sequence[RowFilter] = ()) -> MemoryView:
        """Return the rows for which every filter holds."""
        base = self.base
        if not filters:
            return base
        name = ("view", *(w.text for w in filters))

        def make() -> tuple[IntArray, NDArray[Any]]:
            mask = np.ones(self._rows, np.bool_)
            for condition in filters:
                mask &= condition.mask(self.filtered)
            keep = mask[base.order]
            return base.keys[keep], base.order[keep]

        keys, order = self.cached(name, make)
        return MemoryView(self, tuple(filters), keys, order)

    def positions(self) -> tuple[FloatArray, FloatArray]:
        """Return ICRS ra and dec of all rows in table order, degrees."""
        return self.cached(("positions",), self.table.positions)

    def raw(self, column: str) -> AnyArray:
        """Return a column as the table gives it, in table order; `RA` and `DEC` too.

        ChangedError when the table is not any more what the index was made from.
        """
        if column in (RA, DEC):
            return self.positions()[column == DEC]

        def make() -> AnyArray:
            values = np.asarray(self.table.column(column))
            if values.shape[0] != self._rows or self.table.version() != self._version:
                raise ChangedError(self.table.name, "changed since it was opened: open it again")
            return values

        return self.cached(("raw", column), make)

    def filtered(self, column: str) -> AnyArray | TextCodes:
        """Return what filters read of a column: texts by their different values."""
        raw = self.raw(column)
        if raw.ndim != 1 or raw.dtype.kind not in "OSU":
            return raw
        found = self.cached(("texts", column), lambda: text_codes(raw))
        return raw if found is None else found

    def codes(self, column: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Return category numbers in table order (-1: none) and the category names."""
        return self.cached(("categories", column), lambda: self._codes(column))

    def _codes(self, column: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        raw = self.raw(column)
        values = raw.tolist()
        names = sorted({v for v in values if not is_missing(v)}, key=category_order)
        if raw.ndim != 1 or len(names) > MAX_CATEGORIES:
            raise too_many(column, f"{len(names):,}")
        number = {name: i for i, name in enumerate(names)}
        codes = np.fromiter((number.get(v, -1) for v in values), np.int32, len(values))
        return codes, tuple(category_text(name) for name in names)

    def _categories(self) -> dict[str, tuple[str, ...]]:
        """Return the columns with few enough different values for count_cat.

        Only text and integer columns are looked at, and only of tables of up to 5 million values:
        reading all of a large table would cost more than the hint is worth.
        """
        found: dict[str, tuple[str, ...]] = {}
        if self._rows * len(self.columns) > SCANNED_CELLS:
            return found
        for name in self.columns:
            if self.raw(name).dtype.kind not in "OUSbiu":
                continue
            try:
                _, names = self.codes(name)
            except InputError:
                continue
            if 1 < len(names) < max(self._rows, 3):
                found[name] = names
        return found

    def listen(self, listener: Callable[[], None]) -> None:
        """Do nothing: everything is exact at once."""

    def cached(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return what `make` made under `key`, calling it again only if it had to be dropped."""
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return cast("T", self._cache[key][0])
            value = make()
            size = _bytes_of(value)
            self._cache[key] = value, size
            self._size += size
            while self._size > CACHE_BYTES and len(self._cache) > 1:
                self._size -= self._cache.popitem(last=False)[1][1]
            return value


def _bytes_of(value: object) -> int:
    if isinstance(value, np.ndarray):
        return value.size * TEXT_BYTES if value.dtype.kind == "O" else value.nbytes
    if isinstance(value, dict):
        return _bytes_of(tuple(value.values()))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, tuple):
        return sum(_bytes_of(part) for part in cast("Iterable[object]", value))
    return 256


def too_many(column: str, found: str) -> InputError:
    """Return the error that a column has too many different values to be categories."""
    return InputError(
        f"column {column!r} has {found} different values: count_cat takes at most {MAX_CATEGORIES}"
    )


def category_order(value: object) -> tuple[bool, Any]:
    """Return what categories are sorted by: numbers first."""
    return isinstance(value, str), value if isinstance(value, int | float | str) else str(value)


def category_text(value: object) -> str:
    """Return the name of a category."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return f"{value:g}" if isinstance(value, float) else str(value)
