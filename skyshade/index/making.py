"""Planes of one selection, made from all rows in the background and kept packed in memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from skyshade.errors import SkyshadeError, one_line
from skyshade.geometry.keys import KEY_ZOOM
from skyshade.index.packing import pack, unpack
from skyshade.index.pyramid import Pyramid, children, roots
from skyshade.types import State, StateArrays, Tile

log = logging.getLogger("skyshade")

WORKERS = 2
RETRY = 30.0  # seconds after which planes that could not be made are tried again

Bin = Callable[[Tile], StateArrays]


class Making:
    """The planes of every tile with many rows, of one state; thread-safe.

    Parameters
    ----------
    name : str
        Of the catalogue, for messages.
    state : State
    categories : int
        How many there are, for ``category``.
    rows_near : callable
        Returns how many rows a tile holds, at least; monotonous from parents to children.
    few : int
        Tiles that hold more have a plane.
    bin : callable
        Returns the state of a tile from its rows.
    prepare : callable
        Called once before any tile is binned.
    """

    def __init__(
        self,
        name: str,
        state: State,
        categories: int,
        rows_near: Callable[[Tile], int],
        few: int,
        bin: Bin,
        prepare: Callable[[], object],
    ) -> None:
        self.name, self.state = name, state
        self._pyramid = Pyramid([state], 0, {state.column: categories})
        self._bin, self._prepare = bin, prepare
        self._planes: dict[Tile, bytes] = {}
        self._parents: set[Tile] = set()
        self._units = list(self._cut(roots(), rows_near, few))[::-1]
        self._total = max(len(self._units), 1)
        self._waiting: dict[Tile, dict[Tile, StateArrays | None]] = {}
        self._left = len(self._units)
        self._lock, self._done = threading.Lock(), threading.Event()
        self._preparing = threading.Lock()
        self._prepared = self._started = False
        self._error: BaseException | None = None
        self._failed = 0.0
        self._callbacks: list[Callable[[], None]] = []
        if not self._units:
            self._done.set()

    def _cut(self, tiles: Sequence[Tile], rows_near: Callable[[Tile], int], few: int) -> list[Tile]:
        """Return the tiles to bin, in key order: children with few rows of tiles with many."""
        found = []
        for tile in tiles:
            if rows_near(tile) <= few or tile.z == KEY_ZOOM:
                found.append(tile)
            else:
                self._parents.add(tile)
                found += self._cut(children(tile), rows_near, few)
        return found if self._parents else []

    @property
    def ready(self) -> bool:
        """Whether all planes are there."""
        return self._done.is_set() and self._error is None

    @property
    def outdated(self) -> bool:
        """Whether they could not be made, and it is time to try again."""
        return self._error is not None and time.monotonic() - self._failed > RETRY

    @property
    def progress(self) -> float:
        """Part of the work that is done, 0 to 1."""
        return 1.0 - self._left / self._total

    @property
    def nbytes(self) -> int:
        """Bytes of the packed planes."""
        return sum(map(len, self._planes.values()))

    def plane(self, tile: Tile) -> StateArrays | None:
        """Return the state of a tile with many rows; None until all is ready."""
        data = self._planes.get(tile) if self.ready else None
        return None if data is None else unpack(data, self.name)

    def start(self, on_ready: Callable[[], None]) -> None:
        """Begin, unless begun; `on_ready` is called once by whoever finishes."""
        with self._lock:
            if self._started or self._done.is_set():
                return
            self._started = True
            self._callbacks.append(on_ready)
        for _ in range(WORKERS):
            threading.Thread(target=self._work, daemon=True, name="skyshade-planes").start()

    def wait(self, timeout: float | None = None) -> None:
        """Help, and return when it is ready.

        Raises
        ------
        SkyshadeError
            The rows could not be read.
        TimeoutError
            Others were still at it after `timeout` seconds.
        """
        self._work()
        if not self._done.wait(timeout):
            msg = f"{self.name} is not exact after {timeout} s: {self.progress:.0%} is done"
            raise TimeoutError(msg)
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            with self._preparing:
                if not self._prepared:
                    self._prepare()
                    self._prepared = True
            while (tile := self._next()) is not None:
                self._give(tile, self._binned(tile))
        except Exception as error:  # noqa: BLE001 (not swallowed: every waiter gets it)
            self._fail(error)

    def _binned(self, tile: Tile) -> StateArrays:
        try:
            return self._bin(tile)
        except BaseException:  # also when it is interrupted: somebody else can go on
            with self._lock:
                self._units.append(tile)
            raise

    def _next(self) -> Tile | None:
        with self._lock:
            return self._units.pop() if self._units and self._error is None else None

    def _give(self, tile: Tile, arrays: StateArrays) -> None:
        """Take a finished tile; the last child of a parent gives that too."""
        while True:
            if tile in self._parents or tile.z == KEY_ZOOM:
                self._planes[tile] = pack(arrays)
            if tile.z == 0:
                break
            parent = Tile(tile.z - 1, tile.x >> 1, tile.y >> 1)
            with self._lock:
                known = self._waiting.setdefault(parent, {})
                known[tile] = arrays if arrays.n.any() else None
                if len(known) < 4:
                    break
                del self._waiting[parent]
            below = [known[child] for child in children(parent)]
            states = [None if part is None else {self.state: part} for part in below]
            tile, arrays = parent, self._pyramid.merge(states)[self.state]
        self._count()

    def _count(self) -> None:
        """Note that a unit is done; tell everybody when it was the last."""
        with self._lock:
            self._left -= 1
            if self._left:
                return
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._error, self._failed = error, time.monotonic()
            self._planes.clear()
            self._waiting.clear()
            self._done.set()
        log.warning("%s stays a sample: %s", self.name, one_line(error))
        if not isinstance(error, SkyshadeError):
            log.debug("planes on demand", exc_info=error)
