"""Selections that an index has no planes for: a sample at once, exact planes in the background."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from skyshade.geometry.keys import tile_key_range
from skyshade.index.columns import ColumnCache
from skyshade.index.making import Making
from skyshade.index.sample import SampleView
from skyshade.types import State, StateArrays, Tile

if TYPE_CHECKING:
    from skyshade.index.reader import DiskIndex
    from skyshade.index.view import DiskView

MAX_BYTES = 256 << 20  # of packed planes

Key = tuple[tuple[str, ...], State]


class Demand:
    """Makes planes of filters and columns of one index; thread-safe.

    Parameters
    ----------
    index : DiskIndex
    columns : ColumnCache
        Where rows are read from, once they are there.
    """

    def __init__(self, index: DiskIndex, columns: ColumnCache) -> None:
        self._index, self._columns = index, columns
        self._makings: OrderedDict[Key, Making] = OrderedDict()
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def sample(self, view: DiskView) -> SampleView:
        """Return the sample of a view."""
        return SampleView(self._index, view.where)

    def plane(self, view: DiskView, tile: Tile, state: State) -> StateArrays | None:
        """Return the state of a tile with many rows: exact where it is made, else a sample's."""
        making = self._making(view, state)
        found = making.plane(tile)
        if found is not None:
            return found
        rough = self.sample(view).plane(tile, state)
        making.start(self._tell)  # only now: its threads would slow the answer down
        return rough

    def ready(self, view: DiskView, state: State) -> bool:
        """Return whether the planes of a selection are made."""
        return self._making(view, state).ready

    def wait(self, view: DiskView, state: State, timeout: float | None = None) -> None:
        """Make the planes of a selection, or help who does; see `Making.wait`."""
        making = self._making(view, state)
        making.start(self._tell)
        making.wait(timeout)

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called without arguments whenever something became exact."""
        with self._lock:
            if listener not in self._listeners:
                self._listeners.append(listener)

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def _making(self, view: DiskView, state: State) -> Making:
        key = view.name, state
        few = len(self._index.categories(state.column)) if state.kind == "category" else 0
        with self._lock:
            found = self._makings.get(key)
            if found is None or found.outdated:
                found = self._makings[key] = self._begin(view, state, few)
            self._makings.move_to_end(key)
            self._drop()
            return found

    def _drop(self) -> None:
        """Forget the planes that were not asked for lately, when there are too many."""
        total = sum(making.nbytes for making in self._makings.values())
        for key, making in list(self._makings.items())[:-1]:
            if total <= MAX_BYTES:
                return
            if making.ready:
                total -= making.nbytes
                del self._makings[key]

    def _begin(self, view: DiskView, state: State, categories: int) -> Making:
        index, every = self._index, range(len(self._index.segments))

        def rows_near(tile: Tile) -> int:
            first, end = tile_key_range(tile)
            return sum(segment.rows_near(first, end) for segment in index.segments)

        def prepare() -> None:
            used = [name for condition in view.where for name in condition.names]
            if state.column and state.kind != "category":
                used.append(state.column)
            for segment in index.segments:
                self._columns.fill(segment, used, index.type_of)

        def bin(tile: Tile) -> StateArrays:
            return view.bin(tile, state, every, keep=False)

        return Making(index.name, state, categories, rows_near, index.few, bin, prepare)
