"""Overviews: the coarse levels of a map, merged from every pixel and kept in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skyshade.errors import ChangedError
from skyshade.layers.background import Background
from skyshade.layers.levels import StoredLevel
from skyshade.layers.states import MEAN, Base, Pixels, Reduction, State, level_shape
from skyshade.types import PixelReader

FIRST = 3  # levels below it are merged when a tile needs them
RESTARTS = 3  # times that a map may change while it is being read
_STRIP = 1 << 20  # pixels of a strip; four times as many where they need no memory of their own
_DEPTH = 3  # levels after the first that are merged while a strip's pixels are in the cache
_SMALLEST = 64


def top_level(shape: tuple[int, int]) -> int:
    """Return the coarsest level that is kept: its longer side has at most 64 pixels."""
    k = FIRST
    while max(level_shape(shape, k)) > _SMALLEST:
        k += 1
    return k


def _arrays(shapes: Sequence[tuple[int, ...]]) -> list[Pixels]:
    """Return arrays that share one piece of memory: only large pieces lie on huge pages."""
    rest, arrays = np.empty(sum(map(math.prod, shapes)), np.float32), []
    for shape in shapes:
        part, rest = np.split(rest, [math.prod(shape)])
        arrays.append(part.reshape(shape))
    return arrays


@dataclass(eq=False)
class _Build:
    """One attempt: what has been merged of one version of the pixels."""

    version: str
    levels: list[Pixels]  # that strips fill
    state: State  # of the level that follows them, filled by strips too
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
        pixels = _STRIP * 4 if self._base.fast else _STRIP
        rows = max(1 << FIRST, pixels // max(nx, 1))
        self._depth = min(_DEPTH, top_level(reader.shape) - FIRST, rows.bit_length() - 1 - FIRST)
        self._rows = rows >> FIRST + self._depth << FIRST + self._depth
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

    def _step(self) -> bool:
        """Merge a strip."""
        job = self._take()
        if job is None:
            return False
        build, strip = job
        try:
            self._merge_strip(build, strip)
            finished = self._count(build)
        except ChangedError as error:
            self._begin_anew(build, error)
        except Exception as error:  # noqa: BLE001 (a thread's end: nobody else would hear of it)
            self._fail(error)
        else:
            if finished:
                self._tell()
        return True

    def _take(self) -> tuple[_Build, int] | None:
        with self._lock:
            if self._error is not None or self._levels:
                return None
            build = self._build = self._build or self._new_build()
            if build.taken >= self._strips:
                return None
            build.taken += 1
            return build, build.taken - 1

    def _new_build(self) -> _Build:
        reduction, shape = self._base.reduction, self._base.shape
        last = FIRST + self._depth
        kept = () if reduction.kept == 1 else (reduction.kept,)
        levels = _arrays([(*kept, *level_shape(shape, k)) for k in range(FIRST, last)])
        state = tuple(
            np.empty(level_shape(shape, last), np.float32) for _ in range(reduction.planes)
        )
        return _Build(self._base.version(), levels, state)

    def _merge_strip(self, build: _Build, strip: int) -> None:
        ny, nx = self._base.shape
        y0, y1 = strip * self._rows >> FIRST, min((strip + 1) * self._rows, ny)
        y1 = -(-y1 >> FIRST)
        state = self._base.level(FIRST, (y0, y1, 0, -(-nx >> FIRST)))
        if self._base.version() != build.version:
            raise ChangedError("map", "changed while its overview was built")
        reduction = self._base.reduction
        for level in build.levels:
            level[..., y0:y1, :] = reduction.shown(state)
            state = reduction.coarser(state)
            y0, y1 = y0 >> 1, -(-y1 >> 1)
        for whole, part in zip(build.state, state, strict=True):
            whole[y0:y1] = part

    def _count(self, build: _Build) -> bool:
        """Count a merged strip; after the last one, make the levels that are left."""
        with self._lock:
            build.merged += 1
            if build.merged < self._strips or self._build is not build or self._error is not None:
                return False
        reduction, state = self._base.reduction, build.state
        levels = [*build.levels, reduction.shown(state)]
        for _ in range(FIRST + self._depth, top_level(self._base.shape)):
            state = reduction.coarser(state)
            levels.append(reduction.shown(state))
        with self._lock:
            if self._error is not None:  # cancelled meanwhile
                return False
            self._levels, build.levels, build.state = levels, [], ()
        return True

    def _begin_anew(self, build: _Build, error: ChangedError) -> None:
        """Discard what came from a version that is no more; give up after `RESTARTS` times."""
        with self._lock:
            if self._build is not build:
                return
            self._restarts += 1
            self._build = None
        if self._restarts > RESTARTS:
            self._fail(error)

    def _discard(self) -> None:
        self._build = None
