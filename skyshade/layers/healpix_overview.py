"""Overviews of HEALPix maps: coarse levels, gathered from every pixel in one pass over the file.

The map is cut into tasks of whole coarse pixels: blocks of NESTED maps, bands of coarse rings of
RING maps (a band reads the rings of which it holds a part, so that a few per cent of the rings are
read twice). Tasks share nothing, so the numbers do not depend on who did what, or when.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import ChangedError, DataError
from skyshade.geometry.healpix import order_of
from skyshade.kernels.healpix import coarse_rings, first_of_ring, renumber
from skyshade.layers.background import Background
from skyshade.layers.healpix_states import Fold, Kind, State, kept, merged
from skyshade.layers.states import as_pixels
from skyshade.types import AnyArray, IntArray, SphereReader

FINEST = 10  # order of the finest level that is kept: nside 1024
_READ = 1 << 20  # pixels read at once; some milliseconds
_TASK = 1 << 23  # pixels of a task


def first_level(order: int) -> int:
    """Return how many orders the finest kept level is coarser than a map of `order`."""
    return max(1, order - FINEST)


def checked(values: AnyArray, count: int) -> AnyArray:
    """Return what a reader gave; DataError when it is not `count` pixels (kernels rely on it)."""
    if values.shape != (count,):
        raise DataError("map", f"pixels of shape {values.shape} were read, not {count}")
    return values


class SphereOverview(Background):
    """Levels `first_level` and coarser of one map, built once, by whichever threads offer to help.

    Parameters
    ----------
    reader : SphereReader
        Of order 1 (nside 2) at least.
    kind : {"mean", "std", "extremes"}
    """

    def __init__(self, reader: SphereReader, kind: Kind) -> None:
        super().__init__()
        self._reader, self._kind = reader, kind
        self._version = reader.version()
        self._order = order_of(reader.nside)
        self.first = first_level(self._order)
        self._levels: list[State] = []
        self._state: State | None = None
        self._tasks = _bands(self._order, self.first, reader.nested)
        self._begun: list[Iterator[bool]] = []  # tasks of which some pieces are gathered
        self._taken = self._done = 0

    @property
    def ready(self) -> bool:
        """Whether the levels can be used."""
        return bool(self._levels)

    @property
    def progress(self) -> float:
        """Part of the map that has been read, 0 to 1."""
        return self._done / len(self._tasks)

    def level(self, k: int) -> State:
        """Return what is kept of the level `k` orders coarser than the map; only when ready."""
        return self._levels[k - self.first]

    def _pieces(self) -> int:
        return len(self._tasks)

    def _step(self) -> bool:
        """Gather a piece of a task; who goes on with it does not matter."""
        task = self._take()
        if task is None:
            return False
        try:
            finished = next(task, False) is False
            last = self._put_back(task, finished)
        except Exception as error:  # noqa: BLE001 (a thread's end: nobody else would hear of it)
            self._fail(error)
        else:
            if last:
                self._tell()
        return True

    def _take(self) -> Iterator[bool] | None:
        with self._lock:
            if self._error is not None or self._levels:
                return None
            if self._begun:
                return self._begun.pop()
            if self._taken >= len(self._tasks):
                return None
            if self._state is None:
                count = 12 << 2 * (self._order - self.first)
                arrays = {"mean": 2, "std": 3, "extremes": 2}[self._kind]
                self._state = tuple(np.empty(count, np.float32) for _ in range(arrays))
            self._taken += 1
            return self._gather(self._tasks[self._taken - 1])

    def _gather(self, task: tuple[int, int]) -> Iterator[bool]:
        """Do a task, and yield after each of its pieces."""
        first, last = task
        nested, order = self._reader.nested, self._order - self.first
        if nested:
            begin, end = first, last
        else:
            begin, end = (int(n) for n in first_of_ring(np.array([first, last]), order))
        fold = Fold(self._kind, begin, end - begin)
        for values, at in self._pixels(first, last):
            fold.add(values, at)
            yield True
        if self._reader.version() != self._version:
            raise ChangedError("map", "changed while its overview was built")
        place: IntArray | slice = slice(begin, end)
        if not nested:
            place = np.empty(end - begin, np.int64)
            renumber(np.arange(begin, end), order, False, place)
        whole = self._state  # None once another thread has failed
        for array, part in zip(whole or (), fold.state(), strict=False):
            array[place] = part

    def _pixels(self, first: int, last: int) -> Iterator[tuple[NDArray[np.float32], IntArray]]:
        """Yield the base pixels of a task in pieces, with the coarse pixels that hold them."""
        k = self.first
        if self._reader.nested:
            start, stop = first << 2 * k, last << 2 * k
        else:
            rings = np.array([((first - 1) << k) + 1, last << k])
            start, stop = (int(n) for n in first_of_ring(rings, self._order))
        for begin in range(start, stop, _READ):
            end = min(begin + _READ, stop)
            values = as_pixels(checked(self._reader.read(begin, end), end - begin))
            if self._reader.nested:
                at = np.arange(begin, end) >> 2 * k
            else:
                at = np.empty(end - begin, np.int64)
                coarse_rings(begin, self._order, k, at)
            yield values, at

    def _put_back(self, task: Iterator[bool], finished: bool) -> bool:
        """Keep a task that has more pieces; after the last one, make the levels that are left."""
        with self._lock:
            if not finished:
                if self._error is None:
                    self._begun.append(task)
                return False
            self._done += 1
            state = self._state if self._done == len(self._tasks) else None
        if state is None:  # not the last one, or another thread has failed
            return False
        levels = []
        for k in range(self.first, self._order + 1):
            coarser = merged(self._kind, state) if k < self._order else ()
            levels.append(kept(self._kind, state))
            state = coarser
        with self._lock:
            if self._error is not None:  # cancelled meanwhile
                return False
            self._levels, self._state = levels, None
        return True

    def _discard(self) -> None:
        self._state = None
        self._begun.clear()


def _bands(order: int, k: int, nested: bool) -> list[tuple[int, int]]:
    """Return the tasks of a map: first and last (excluded) coarse pixel, or coarse ring from 1."""
    coarse = order - k
    if nested:
        step, ends = _TASK >> 2 * k, (0, 12 << 2 * coarse)
    else:
        step, ends = max(1, _TASK >> (2 * k + 2 + coarse)), (1, 4 << coarse)
    return [(at, min(at + step, ends[1])) for at in range(*ends, step)]
