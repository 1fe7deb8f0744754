"""Overviews: the coarse levels of a map, merged from every pixel and kept in memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from skyshade.errors import DataError, SkyshadeError
from skyshade.layers.levels import (
    Pixels,
    StoredLevel,
    as_pixels,
    level_shape,
    merge,
    merge_again,
)
from skyshade.types import PixelReader

log = logging.getLogger("skyshade")

FIRST = 3  # levels below it are merged when a tile needs them
WORKERS = 2
_STRIP = 1 << 21  # pixels read at once
_SMALLEST = 64


def top_level(shape: tuple[int, int]) -> int:
    """Return the coarsest level that is kept: its longer side has at most 64 pixels."""
    k = FIRST
    while max(level_shape(shape, k)) > _SMALLEST:
        k += 1
    return k


class Overview:
    """Levels `FIRST` and coarser of one image, built once, by whichever threads offer to help.

    Means are exact weighted means of the valid base pixels. Each pixel is read once, in strips of
    whole rows; 2 % of them are kept in the end (weights are dropped).

    Parameters
    ----------
    reader : PixelReader
    """

    def __init__(self, reader: PixelReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._levels: list[Pixels] = []
        self._state: tuple[Pixels, Pixels] | None = None
        self._error: BaseException | None = None
        ny, nx = reader.shape
        self._rows = max(8, _STRIP // max(nx, 1) // 8 * 8)
        self._strips = -(-ny // self._rows)
        self._taken = self._merged = 0
        self._started = False

    @property
    def ready(self) -> bool:
        """Whether the levels can be used."""
        return bool(self._levels)

    @property
    def progress(self) -> float:
        """Part of the image that has been read, 0 to 1."""
        return self._merged / self._strips

    def level(self, k: int) -> StoredLevel:
        """Return level `k`, `FIRST` or more, at most `top_level`; only when ready."""
        return StoredLevel(self._levels[k - FIRST], k)

    def start(self, submit: Callable[..., Any], on_ready: Callable[[], None] | None = None) -> None:
        """Build in the background.

        Parameters
        ----------
        submit : callable
            ``submit(function)`` runs a function in a thread, e.g. an executor's; called
            `WORKERS` times, at the first call only.
        on_ready : callable, optional
            Called without arguments when the overview is ready, from the thread that made it so;
            at once when it is already. Not called when building fails.
        """
        with self._lock:
            first, self._started = not self._started, True
            done = self.ready
            if on_ready is not None and not done:
                self._callbacks.append(on_ready)
        if done:
            if on_ready is not None:
                on_ready()
            return
        for _ in range(min(WORKERS, self._strips) if first else 0):
            submit(self._work)

    def wait(self, timeout: float | None = None) -> None:
        """Help to build, then wait until the overview is ready.

        Since the caller's thread takes part, a full pool cannot block it. Time spent helping is not
        held against `timeout` (seconds).

        Raises
        ------
        DataError
            The image could not be read, or building was cancelled.
        TimeoutError
        """
        with self._lock:
            self._started = True
        self._work()
        if not self._finished.wait(timeout):
            msg = f"overview is not ready after {timeout} s: {self.progress:.0%} is done"
            raise TimeoutError(msg)
        if isinstance(self._error, SkyshadeError):
            raise self._error
        if self._error is not None:
            raise DataError("map", f"cannot be read: {self._error}") from self._error

    def cancel(self) -> None:
        """Stop building after the strips at hand; `wait` raises DataError from now on."""
        if not self.ready:
            self._fail(DataError("map", "building its overview was cancelled"))

    def _work(self) -> None:
        """Merge strips until there are none left."""
        callbacks: list[Callable[[], None]] = []
        while (strip := self._take()) is not None:
            try:
                self._merge_strip(strip)
                callbacks = self._count()
            except Exception as error:  # noqa: BLE001 (a thread's end: nobody else would hear of it)
                log.warning("overview cannot be built, coarse tiles stay previews: %s", error)
                self._fail(error)
        for call in callbacks:
            call()

    def _take(self) -> int | None:
        with self._lock:
            if self._error is not None or self._taken >= self._strips:
                return None
            if self._state is None:
                shape = level_shape(self._reader.shape, FIRST)
                self._state = np.empty(shape, np.float32), np.empty(shape, np.float32)
            self._taken += 1
            return self._taken - 1

    def _merge_strip(self, strip: int) -> None:
        ny, nx = self._reader.shape
        y0, y1 = strip * self._rows, min((strip + 1) * self._rows, ny)
        state = merge(as_pixels(self._reader.read(y0, y1, 0, nx)))
        for _ in range(FIRST - 1):
            state = merge_again(state)
        whole = self._state  # None once another thread has failed
        if whole is not None:
            rows = np.s_[y0 >> FIRST : -(-y1 >> FIRST)]
            whole[0][rows], whole[1][rows] = state

    def _count(self) -> list[Callable[[], None]]:
        """Count a merged strip; after the last one, finish and return whom to tell."""
        with self._lock:
            self._merged += 1
            state = self._state if self._merged == self._strips else None
        if state is None:  # not the last one, or another thread has failed
            return []
        levels = [state[0]]
        for _ in range(FIRST, top_level(self._reader.shape)):
            state = merge_again(state)
            levels.append(state[0])
        with self._lock:
            self._levels, self._state = levels, None
            callbacks, self._callbacks = self._callbacks, []
        self._finished.set()
        return callbacks

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
            self._state = None
            self._callbacks = []
        self._finished.set()
