"""An index on disk or at any fsspec URL: opened, checked, and read as far as a tile needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np

from skyshade.errors import UnknownNameError
from skyshade.geometry.grids import SKY
from skyshade.index.arrow import numpy_type, to_numpy
from skyshade.index.columns import ColumnCache
from skyshade.index.demand import Demand
from skyshade.index.facts import Tally
from skyshade.index.format import MANIFEST, RESERVED, read_manifest, version_of
from skyshade.index.memory import MAX_CATEGORIES, category_order, category_text, too_many
from skyshade.index.pyramid import FEW
from skyshade.index.reads import Reads
from skyshade.index.segment import SegmentReader, bytes_of
from skyshade.index.states import is_missing
from skyshade.index.view import DiskView
from skyshade.storage import Folder
from skyshade.storage.cache import ByteCache
from skyshade.types import DEC, RA, AnyArray, IntArray, RowFacts, RowFilter, State

CACHE_BYTES = 256 << 20  # of decoded columns of row groups
SAMPLE_BYTES = 256 << 20  # of columns of the sample
KEPT_BYTES = 64 << 20  # of other results
_FROM = {"present": ("sum", "moments", "min", "max"), "sum": ("moments",)}


class DiskIndex:
    """A catalogue of any size, read through its index; thread-safe.

    Parameters
    ----------
    folder : Folder or str or Path
        Where ``manifest.json`` is.
    cache_bytes : int
        How much decoded data is kept in memory.
    columns : ColumnCache, optional
        Where decoded columns are kept on disk.

    Raises
    ------
    DataError
        There is no index, it is damaged, or of a newer version.
    """

    def __init__(
        self,
        folder: Folder | str | Path,
        *,
        cache_bytes: int = CACHE_BYTES,
        columns: ColumnCache | None = None,
    ) -> None:
        self.folder = folder if isinstance(folder, Folder) else Folder(folder)
        data = self.folder.read(MANIFEST)
        self.manifest = read_manifest(data, self.folder.name)
        self._version = version_of(data)
        self.reads = Reads()
        self.chunks: ByteCache[Any] = ByteCache(cache_bytes)
        self._kept: ByteCache[Any] = ByteCache(KEPT_BYTES)
        self.segments = tuple(
            SegmentReader(self.folder, self.manifest, segment, self.chunks, self.reads)
            for segment in self.manifest.segments
        )
        rows = [segment.rows for segment in self.segments]
        self.offsets = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
        self._types = {column.name: column.type for column in self.manifest.columns}
        self._stored = frozenset(self.manifest.stored)
        largest = max((int(np.diff(s.starts).max(initial=0)) for s in self.segments), default=0)
        self.few = max(FEW * self.manifest.threshold, 4 * largest)  # a tile is less than a group
        self._samples: ByteCache[Any] = ByteCache(SAMPLE_BYTES)
        self.demand = Demand(self, ColumnCache() if columns is None else columns)

    @property
    def name(self) -> str:
        """Title of the catalogue."""
        return self.manifest.title

    @property
    def columns(self) -> Sequence[str]:
        """All columns of the original table, in its order."""
        return tuple(self._types)

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        return {column.name: column.unit for column in self.manifest.columns if column.unit}

    @property
    def guess(self) -> str:
        """How the coordinates were found."""
        return self.manifest.guess

    @property
    def frame(self) -> str:
        """Frame of the original coordinates."""
        return self.manifest.frame

    @property
    def notes(self) -> Sequence[str]:
        """Warnings that a user should read."""
        return self.manifest.notes

    @property
    def invalid(self) -> int:
        """Rows without a valid position."""
        return self.manifest.invalid

    def __len__(self) -> int:
        return self.manifest.rows + self.manifest.invalid

    def version(self) -> str:
        """Return a short text that changes with the manifest."""
        return self._version

    @cached_property
    def facts(self) -> RowFacts:
        """What is known of all valid rows."""
        tallies = [segment.tally for segment in self.manifest.segments]
        found = reduce(Tally.__add__, tallies, Tally.empty())
        few = {c.name: c.categories for c in self.manifest.columns if c.categories is not None}
        return RowFacts(found.coverage, found.max_zoom, found.level, few)

    @cached_property
    def base(self) -> DiskView:
        """All rows with a valid position."""
        return DiskView(self)

    def view(self, filters: Sequence[RowFilter] = ()) -> DiskView:
        """Return the rows for which every filter holds."""
        return DiskView(self, tuple(filters)) if filters else self.base

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called whenever planes of a view became exact."""
        self.demand.listen(listener)

    def cached(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return what `make` made under `key`, calling it again only if it had to be dropped."""
        return self._kept.get_or_compute(key, _size_of, make)

    def sampled(self, key: tuple[Any, ...], make: Callable[[], AnyArray]) -> AnyArray:
        """Return what `make` made of the sample, kept as in `cached`."""
        found: AnyArray = self._samples.get_or_compute(key, bytes_of, make)
        return found

    def stored_as(self, state: State, grid: str = SKY.id) -> State | None:
        """Return the stored state that holds another one; None when planes must be made."""
        if grid not in self.manifest.grids:
            return None
        kinds = (state.kind, *_FROM.get(state.kind, ()))
        found = (State(kind, state.column) for kind in kinds)
        return next((other for other in found if other in self._stored), None)

    def near(self, ranges: IntArray) -> int:
        """Return how many rows the row groups of key ranges hold: at least those in them."""
        return sum(segment.near(ranges) for segment in self.segments)

    def type_of(self, column: str) -> np.dtype[Any]:
        """Return the numpy type of a column where it has no nulls."""
        return np.dtype(np.float64) if column in (RA, DEC) else numpy_type(self._types[column])

    def take(self, rows: IntArray, columns: Collection[str]) -> dict[str, AnyArray]:
        """Return columns of rows by their numbers, in the order given."""
        for name in columns:
            if name not in RESERVED and name not in self._types:
                raise UnknownNameError("column", name, self.columns)
        places = list(self._places(np.asarray(rows, np.int64)))
        return {name: self._taken(places, name, len(rows)) for name in columns}

    def _places(self, rows: IntArray) -> Any:
        """Yield (segment, row group, which of `rows`, their places in the group)."""
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        for segment, offset in zip(self.segments, self.offsets.tolist(), strict=False):
            ends = np.searchsorted(wanted, offset + segment.starts)
            for group in np.flatnonzero(np.diff(ends)).tolist():
                mine = slice(int(ends[group]), int(ends[group + 1]))
                yield segment, group, order[mine], wanted[mine] - offset - segment.starts[group]

    def _taken(self, places: Any, name: str, count: int) -> AnyArray:
        parts = [(which, s.column(group, name)[at]) for s, group, which, at in places]
        if not parts:
            return np.empty(count, self.type_of(name))
        found = np.empty(count, np.result_type(*(values for _, values in parts)))
        for which, values in parts:
            found[which] = values
        return found

    def categories(self, column: str) -> tuple[str, ...]:
        """Return the sorted names of a column's values; InputError when there are too many."""
        known = self.facts.categories.get(column)
        if known is not None:
            return known
        found: tuple[str, ...] = self.cached(("categories", column), lambda: self._names(column))
        return found

    def _names(self, column: str) -> tuple[str, ...]:
        values: set[Any] = set()
        for segment in self.segments:
            for group in range(len(segment.first)):
                few = segment.arrow(group, column).unique()
                if len(few) <= 2 * MAX_CATEGORIES:
                    values |= {v for v in to_numpy(few).tolist() if not is_missing(v)}
                if max(len(few) - 2, len(values)) > MAX_CATEGORIES:
                    raise too_many(column, f"more than {MAX_CATEGORIES}")
        return tuple(category_text(v) for v in sorted(values, key=category_order))


def _size_of(value: object) -> int:
    if isinstance(value, np.ndarray):
        return bytes_of(value)
    if isinstance(value, tuple):
        return sum(map(_size_of, value))
    return 256
