"""Overviews: the coarse levels of a map, merged from every pixel and kept in memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skyshade.errors import ChangedError
from skyshade.layers.background import Background
from skyshade.layers.levels import StoredLevel
from skyshade.layers.states import MEAN, Base, Pixels, Reduction, State, level_shape
from skyshade.types import PixelReader

log = logging.getLogger("skyshade")

FIRST = 3  # levels below it are merged when a tile needs them
RESTARTS = 3  # times that a map may change while it is being read
_STRIP = 1 << 20  # pixels merged at once; twice as many where that needs no memory of their own
_TURN = 0.05  # seconds after which a worker lets the pool's other work in
_SMALLEST = 64


def top_level(shape: tuple[int, int]) -> int:
    """Return the coarsest level that is kept: its longer side has at most 64 pixels."""
    k = FIRST
    while max(level_shape(shape, k)) > _SMALLEST:
        k += 1
    return k


@dataclass(eq=False)
class _Build:
    """One attempt: what has been merged of one version of the pixels."""

    version: str
    state: State
    taken: int = 0
    merged: int = 0


class Overview(Background):
    """Levels `FIRST` and coarser of one image, built once, by whichever threads offer to help.

    Means are exact weighted means of the valid base pixels. Each pixel is read once, in strips of
    whole rows; 2 % of them are kept in the end (weights are dropped). All come from one version of
    the pixels: when these change on the way, building begins anew.

    Parameters
    ----------
    reader : PixelReader
    reduction : Reduction, optional
        What coarse pixels show; means when left out.
    weight : PixelReader, optional
        Inverse variances on the same pixels, for means.
    """

    def __init__(
        self, reader: PixelReader, reduction: Reduction = MEAN, weight: PixelReader | None = None
    ) -> None:
        super().__init__()
        self._base = Base(reader, reduction, weight)
        self._levels: list[Pixels] = []
        self._build: _Build | None = None
        ny, nx = reader.shape
        pixels = _STRIP * 2 if self._base.fast else _STRIP
        self._rows = max(8, pixels // max(nx, 1) // 8 * 8)
        self._strips = -(-ny // self._rows)
        self._restarts = 0

    @property
    def ready(self) -> bool:
        """Whether the levels can be used."""
        return bool(self._levels)

    @property
    def version(self) -> str:
        """Version of the pixels that the levels are made of; "" before the first is read."""
        build = self._build
        return build.version if build else ""

    def current_version(self) -> str:
        """Return the version of the pixels as they are now."""
        return self._base.version()

    @property
    def progress(self) -> float:
        """Part of the image that has been read, 0 to 1."""
        build = self._build
        return build.merged / self._strips if build else 0.0

    def level(self, k: int) -> StoredLevel:
        """Return level `k`, `FIRST` or more, at most `top_level`; only when ready."""
        return StoredLevel(self._levels[k - FIRST], k)

    def _pieces(self) -> int:
        return self._strips

    def _begin(self, submit: Callable[..., Any]) -> None:
        submit(partial(self._turn, submit))

    def _help(self) -> None:
        self._work(None)

    def _turn(self, submit: Callable[..., Any]) -> None:
        """Work for a while, then queue up behind what else the pool has to do."""
        if not self._work(_TURN):
            return
        try:
            submit(partial(self._turn, submit))
        except RuntimeError as error:  # the pool takes no more work: the server is closing
            log.debug("an overview is left unfinished: %s", error)

    def _work(self, seconds: float | None) -> bool:
        """Merge strips for `seconds`, or until there are none; return whether some are left."""
        end = time.monotonic() + seconds if seconds is not None else None
        while (job := self._take()) is not None:
            build, strip = job
            try:
                self._merge_strip(build, strip)
                callbacks = self._count(build)
            except ChangedError as error:
                self._begin_anew(build, error)
                continue
            except Exception as error:  # noqa: BLE001 (a thread's end: nobody else would hear of it)
                self._fail(error)
                return False
            for call in callbacks:
                call()
            if end is not None and time.monotonic() >= end:
                return True
        return False

    def _take(self) -> tuple[_Build, int] | None:
        with self._lock:
            if self._error is not None or self._levels:
                return None
            build = self._build
            if build is None:
                shape = level_shape(self._base.shape, FIRST)
                planes = self._base.reduction.planes
                state = tuple(np.empty(shape, np.float32) for _ in range(planes))
                build = self._build = _Build(self._base.version(), state)
            if build.taken >= self._strips:
                return None
            build.taken += 1
            return build, build.taken - 1

    def _merge_strip(self, build: _Build, strip: int) -> None:
        ny, nx = self._base.shape
        y0, y1 = strip * self._rows >> FIRST, min((strip + 1) * self._rows, ny)
        y1 = -(-y1 >> FIRST)
        state = self._base.level(FIRST, (y0, y1, 0, -(-nx >> FIRST)))
        if self._base.version() != build.version:
            raise ChangedError("map", "changed while its overview was built")
        for whole, part in zip(build.state, state, strict=True):
            whole[y0:y1] = part

    def _count(self, build: _Build) -> list[Callable[[], None]]:
        """Count a merged strip; after the last one, finish and return whom to tell."""
        with self._lock:
            build.merged += 1
            if build.merged < self._strips or self._build is not build or self._error is not None:
                return []
        reduction, state = self._base.reduction, build.state
        levels = [reduction.shown(state)]
        for _ in range(FIRST, top_level(self._base.shape)):
            state = reduction.coarser(state)
            levels.append(reduction.shown(state))
        with self._lock:
            if self._error is not None:  # cancelled meanwhile
                return []
            self._levels, build.state = levels, ()
            callbacks, self._callbacks = self._callbacks, []
        self._finished.set()
        return callbacks

    def _begin_anew(self, build: _Build, error: ChangedError) -> None:
        """Discard what came from a version that is no more; give up after `RESTARTS` times."""
        with self._lock:
            if self._build is not build:
                return
            self._restarts += 1
            self._build = None
        if self._restarts > RESTARTS:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._error is not None or self._levels:
                return
            self._error, self._build, self._callbacks = error, None, []
        log.info("an overview is not built: %s", error)
        self._finished.set()
