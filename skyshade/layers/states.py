"""What is kept of the pixels under a coarser one, for every reduction that maps have.

A state is a few planes of one shape: mean and weight; number, mean and squared differences; or one
plane whose largest value counts. States merge 2 x 2, so that a level is made from the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.overview import (
    block_means,
    file_means,
    merge_max,
    merge_moments,
    merge_pixels,
    merge_states,
)
from skyshade.storage import Scratch
from skyshade.types import AnyArray, PixelReader, StoredPixels

Pixels = NDArray[np.float32]
State = tuple[Pixels, ...]
Box = tuple[int, int, int, int]

FAST = {">f4": np.uint32, ">f8": np.uint64, ">i2": np.uint16}  # stored types that are swapped here
_AT_ONCE = 1 << 20  # stored bytes: they stay in the cache between reading and merging
_PIXELS = 1 << 18  # of other readers, for the same reason


def level_shape(shape: tuple[int, int], k: int) -> tuple[int, int]:
    """Return (rows, columns) of level `k` of a map of `shape`."""
    return -(-shape[0] >> k), -(-shape[1] >> k)


def as_pixels(values: AnyArray) -> Pixels:
    """Return values as float32 in C order; what float32 cannot hold becomes infinite (missing)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(values, np.float32)


@dataclass(frozen=True)
class Reduction:
    """How many pixels become one.

    Parameters
    ----------
    name : str
    base : callable
        ``base(pixels, weight)`` gives the state of base pixels.
    merge : callable
        Kernel that writes a coarser state from a state.
    planes : int
        Planes of a merged state.
    kept : int
        How many of them tiles need.
    touched : bool
        Whether a displayed pixel stands for all that it touches, not for a position.
    """

    name: str
    base: Callable[[Pixels, Pixels | None], State]
    merge: Callable[..., None]
    planes: int
    kept: int
    touched: bool = True

    def coarser(self, state: State) -> State:
        """Return a state merged 2 x 2."""
        shape = level_shape(state[0].shape, 1)
        made = tuple(np.empty(shape, np.float32) for _ in range(self.planes))
        merge = merge_pixels if self.merge is merge_states and len(state) == 1 else self.merge
        merge(*state, *made)
        return made

    def shown(self, state: State) -> Pixels:
        """Return the planes that tiles need: shape (rows, columns), or (planes, rows, columns)."""
        return state[0] if self.kept == 1 else np.stack(state[: self.kept])


def _weighted(pixels: Pixels, weight: Pixels | None) -> State:
    if weight is None:
        return (pixels,)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(pixels) & np.isfinite(weight) & (weight > 0.0)
    return pixels, np.where(good, weight, np.float32(0.0))


def _moments(pixels: Pixels, _: Pixels | None) -> State:
    good = np.isfinite(pixels)
    return good.astype(np.float32), np.where(good, pixels, np.nan), np.zeros_like(pixels)


MEAN = Reduction("mean", _weighted, merge_states, 2, 1, touched=False)
NEAREST = Reduction("nearest", _weighted, merge_states, 2, 1, touched=False)
STD = Reduction("std", _moments, merge_moments, 3, 3)
MAX = Reduction("max", lambda pixels, _: (pixels,), merge_max, 1, 1)
MIN = Reduction("min", lambda pixels, _: (-pixels,), merge_max, 1, 1)  # the largest of -v
ABSMAX = Reduction("absmax", lambda pixels, _: (np.abs(pixels),), merge_max, 1, 1)
REDUCTIONS = {r.name: r for r in (MEAN, STD, MAX, MIN, ABSMAX, NEAREST)}


@dataclass(frozen=True, eq=False)
class Base:
    """The pixels of a map and how they are reduced.

    Parameters
    ----------
    reader : PixelReader
    reduction : Reduction
    weight : PixelReader, optional
        Inverse variances for means; those that are not above zero, or not finite, count as none.
    """

    reader: PixelReader
    reduction: Reduction = MEAN
    weight: PixelReader | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self.reader.shape

    def version(self) -> str:
        """Return a text that changes with the pixels or their weights."""
        mine = self.reader.version()
        return mine if self._weights is None else f"{mine}/{self._weights.version()}"

    @property
    def _weights(self) -> PixelReader | None:
        return self.weight if self.reduction is MEAN else None

    @property
    def fast(self) -> bool:
        """Whether means are merged straight from the bytes of a file."""
        stored = getattr(self.reader, "stored", None)
        mean = self.reduction is MEAN and self.weight is None
        return mean and stored is not None and stored.str in FAST

    def level(self, k: int, box: Box) -> State:
        """Return the state of a box of level `k`, from base pixels.

        Parameters
        ----------
        k : int
        box : (int, int, int, int)
            y0, y1, x0, x1 of level pixels within the level.
        """
        (ny, nx), (y0, y1, x0, x1) = self.shape, box
        base = y0 << k, min(y1 << k, ny), x0 << k, min(x1 << k, nx)
        if k == 0:
            return self.pixels(*base)
        found = self._means(k, base) if self.fast else None
        return self._merged(k, base) if found is None else found

    def _merged(self, k: int, base: Box) -> State:
        """Merge what the reader gives, a few rows at a time."""
        y0, y1, x0, x1 = base
        rows = max(1, _PIXELS // ((x1 - x0) << k)) << k
        if rows >= y1 - y0:
            return self._merged_once(k, base)
        shape = level_shape((y1 - y0, x1 - x0), k)
        whole = tuple(np.empty(shape, np.float32) for _ in range(self.reduction.planes))
        for y in range(y0, y1, rows):
            state = self._merged_once(k, (y, min(y + rows, y1), x0, x1))
            for to, part in zip(whole, state, strict=True):
                at = (y - y0) >> k
                to[at : at + len(part)] = part
        return whole

    def _merged_once(self, k: int, base: Box) -> State:
        state = self.pixels(*base)
        if self._weights is not None:
            state = self.reduction.base(state[0], as_pixels(self._weights.read(*base)))
        for _ in range(k):
            state = self.reduction.coarser(state)
        return state

    def pixels(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> State:
        """Return the state of base pixels ``[y0:y1:step, x0:x1:step]``, without their weights."""
        return self.reduction.base(as_pixels(self.reader.read(y0, y1, x0, x1, step)), None)

    def _means(self, k: int, base: Box) -> State | None:
        """Merge bytes of the file, a few rows at a time; None when it does not hold them all."""
        y0, y1, x0, x1 = base
        reader, side = cast("StoredPixels", self.reader), 1 << k
        stored: Any = reader.stored
        height, width = y1 - y0, (x1 - x0) * stored.itemsize
        rows = max(1, min(_AT_ONCE // (width * side), -(-height // side))) * side
        mean, weight = np.empty((2, *level_shape((height, x1 - x0), k)), np.float32)
        blank = _blank(stored, reader.blank)
        with Scratch(rows * width) as buffer:
            raw = buffer.reshape(rows, width)
            numbers = raw.view(f"u{stored.itemsize}")

            def merge(fd: int, offset: int, pitch: int) -> bool:
                means = numbers, blank, side, mean, weight
                return file_means(fd, offset, pitch, height, raw, *means) == height

            whole = reader.stored_rows(y0, y1, x0, x1, merge)
        return (mean, weight) if whole else None

    def boxes(self, k: int, corners: Sequence[tuple[int, int]], wide: int) -> State:
        """Return the state of boxes of level `k` all over the map, merged together.

        Parameters
        ----------
        k : int
            At least 1.
        corners : sequence of (int, int)
            First row and column of each box, base pixels; what lies beyond the map is missing.
        wide : int
            Pixels of the level along a box; all are one pixel high.

        Returns
        -------
        tuple of ndarray, shape (boxes, wide)
        """
        (ny, nx), side = self.shape, 1 << k
        whole = all(y + side <= ny and x + wide * side <= nx for y, x in corners)
        found = self._box_means(k, corners, wide) if self.fast and whole else None
        if found is not None:
            return found
        shape = side, wide * side
        weight = None if self._weights is None else _stacked(self._weights, corners, shape)
        state = self.reduction.base(_stacked(self.reader, corners, shape), weight)
        for _ in range(k):
            state = self.reduction.coarser(state)
        return state

    def _box_means(self, k: int, corners: Sequence[tuple[int, int]], wide: int) -> State | None:
        """Merge boxes from bytes of the file, some at a time; None when it does not hold them."""
        reader, side = cast("StoredPixels", self.reader), 1 << k
        stored: Any = reader.stored
        shape = side, wide * side
        size = side * wide * side * stored.itemsize
        some = max(1, _AT_ONCE // size)
        mean, weight = np.empty((2, len(corners), wide), np.float32)
        blank = _blank(stored, reader.blank)
        with Scratch(some * size) as buffer:
            for n in range(0, len(corners), some):
                part = np.s_[n : n + some]
                numbers = reader.stored_boxes(corners[part], shape, buffer)
                if numbers is None:
                    return None
                block_means(numbers, blank, side, mean[part], weight[part])
        return mean, weight


def _stacked(
    reader: PixelReader, corners: Sequence[tuple[int, int]], shape: tuple[int, int]
) -> Pixels:
    """Return boxes of one shape below one another; NaN beyond the map."""
    (ny, nx), (high, wide) = reader.shape, shape
    made = np.full((len(corners), high, wide), np.nan, np.float32)
    for box, (y, x) in zip(made, corners, strict=True):
        part = as_pixels(reader.read(y, min(y + high, ny), x, min(x + wide, nx)))
        box[: part.shape[0], : part.shape[1]] = part
    return made.reshape(-1, wide)


def _blank(stored: np.dtype[Any], blank: int | None) -> Any:
    """Return how a missing integer looks among stored numbers; all bits set when there is none."""
    wide = np.uint64 if stored.itemsize == 8 else np.uint32
    if blank is None or stored.kind == "f" or not -(1 << 15) <= blank < 1 << 15:
        return wide(np.iinfo(wide).max)
    return wide(np.array(blank, stored).view(f"u{stored.itemsize}"))
