"""What each displayed pixel covers of a map, and reductions of all the pixels that it touches.

A footprint is the box, along the map's axes, around the four corners of a displayed pixel. A corner
is the middle of the four displayed pixels that meet there, so that neighbours share it and no map
pixel is lost between them. Where one of the four is not on the map, or lies across a cut of the
projection, the footprint reaches a whole step towards it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skyshade.geometry.control import ControlGrid, Coordinates
from skyshade.kernels.sampling import touched_max, touched_std
from skyshade.layers.levels import MAX_BOX, Level, Sheet, read_round
from skyshade.layers.states import Pixels, level_shape
from skyshade.types import AnyArray, FloatArray, Window

RING = 2  # displayed pixels around a window that its footprints depend on
_CUT = 4.0  # a step this many times longer than those before and after it crosses a cut
_HAIR = 1e-6  # level pixels that do not count as touched


@dataclass(frozen=True, slots=True, eq=False)
class Footprints:
    """Extents of displayed pixels in base pixel coordinates; NaN where there is none.

    Parameters
    ----------
    x0, x1, y0, y1 : ndarray of float64, shape (h, w)
        Or (1, w) and (h, 1) for a separable map.
    shape : (int, int)
        (h, w).
    """

    x0: FloatArray
    x1: FloatArray
    y0: FloatArray
    y1: FloatArray
    shape: tuple[int, int]


def footprints(grid: ControlGrid, window: Window) -> Footprints | None:
    """Return the footprints of a window's pixels; None when the map is elsewhere."""
    at = grid.coordinates(window.pad(RING))
    if at is None:
        return None
    period = grid.pixels.period
    with np.errstate(invalid="ignore"):
        if at.separable:
            x, y = _along(at.x[0], period), _along(at.y[:, 0], 0.0)
            return Footprints(
                x[0][None, :], x[1][None, :], y[0][:, None], y[1][:, None], window.shape
            )
        return _boxes(at, period, window.shape)


def _near(step: FloatArray, period: float) -> FloatArray:
    """Return steps the short way round."""
    return step - period * np.round(step / period) if period else step


def _along(centres: FloatArray, period: float) -> tuple[FloatArray, FloatArray]:
    """Return both ends of the footprints along one axis; `centres` has a ring of two."""
    step = _near(np.diff(centres), period)
    good = np.isfinite(step)
    back, on = _reaches(step, good, 0)
    middle, ends = centres[2:-2], (back[1:-1], on[1:-1])
    return middle + np.minimum(*ends), middle + np.maximum(*ends)


def _reaches(step: FloatArray, good: AnyArray, axis: int) -> tuple[FloatArray, FloatArray]:
    """Return how far pixels reach back and on along `axis`, all but the first and the last one.

    Half a step; where there is no step, a whole one like that on the other side.
    """
    before, after = _ends(step, axis)
    fine_before, fine_after = _ends(good, axis)
    back = np.where(fine_before, -before / 2.0, np.where(fine_after, -after, 0.0))
    on = np.where(fine_after, after / 2.0, np.where(fine_before, before, 0.0))
    return back, on


def _ends(steps: AnyArray, axis: int) -> tuple[AnyArray, AnyArray]:
    if axis == 0:
        return steps[:-1], steps[1:]
    return steps[:, :-1], steps[:, 1:]


def _boxes(at: Coordinates, period: float, shape: tuple[int, int]) -> Footprints:
    on = np.isfinite(at.x) & np.isfinite(at.y)
    good = [_steps_on(on, at, axis, period) for axis in (0, 1)]
    corners = good[1][:-1] & good[1][1:] & good[0][:, :-1] & good[0][:, 1:]
    ends = []
    for values, turn in ((np.where(on, at.x, np.nan), period), (np.where(on, at.y, np.nan), 0.0)):
        low, high = _extent(values, turn, good, corners)
        ends += [values[2:-2, 2:-2] + low, values[2:-2, 2:-2] + high]
    return Footprints(ends[0], ends[1], ends[2], ends[3], shape)


def _steps_on(on: AnyArray, at: Coordinates, axis: int, period: float) -> AnyArray:
    """Return which steps from pixel to pixel along `axis` stay on the map and cross no cut."""
    x, y = _near(np.diff(at.x, axis=axis), period), np.diff(at.y, axis=axis)
    before, after = _ends(on, axis)
    long = np.where(before & after, np.hypot(x, y), 0.0)
    first, last = _ends(long, axis)
    beside = np.zeros(long.shape)
    inner: AnyArray = beside[1:] if axis == 0 else beside[:, 1:]
    inner[...] = first
    outer: AnyArray = beside[:-1] if axis == 0 else beside[:, :-1]
    np.maximum(outer, last, out=outer)
    cut = (long > _CUT * beside) & (long > _CUT) & (beside > 0.0)
    stays: AnyArray = before & after & ~cut
    return stays


def _extent(
    values: FloatArray, period: float, good: list[AnyArray], corners: AnyArray
) -> tuple[FloatArray, FloatArray]:
    """Return how far footprints reach down and up in one coordinate, relative to the centres."""
    right, down = _near(np.diff(values, axis=1), period), _near(np.diff(values, axis=0), period)
    middle = (2.0 * right[:-1] + down[:, :-1] + down[:, 1:]) / 4.0  # from the upper left pixel
    rows = [part[1:-1] for part in _reaches(down[:, 2:-2], good[0][:, 2:-2], 0)]
    cols = [part[:, 1:-1] for part in _reaches(right[2:-2], good[1][2:-2], 1)]
    offsets = (
        (middle - right[:-1] - down[:, 1:], corners, np.s_[1:-2, 1:-2], rows[0] + cols[0]),
        (middle - down[:, :-1], corners, np.s_[1:-2, 2:-1], rows[0] + cols[1]),
        (middle - right[:-1], corners, np.s_[2:-1, 1:-2], rows[1] + cols[0]),
        (middle, corners, np.s_[2:-1, 2:-1], rows[1] + cols[1]),
    )
    found = [np.where(fine[part], offset[part], other) for offset, fine, part, other in offsets]
    low = np.minimum(np.minimum(found[0], found[1]), np.minimum(found[2], found[3]))
    high = np.maximum(np.maximum(found[0], found[1]), np.maximum(found[2], found[3]))
    return low, high


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """First and last level columns and rows of displayed pixels; `right` < `left` for none.

    In a map with a period columns count on beyond the last one of a turn.
    """

    left: AnyArray
    right: AnyArray
    low: AnyArray
    high: AnyArray


def ranges(found: Footprints, k: int, sheet: Sheet, turn: float) -> Ranges:
    """Return what footprints touch of level `k`, int32 of shape (h, w).

    Parameters
    ----------
    found : Footprints
    k : int
    sheet : Sheet
    turn : float
        Base columns of one turn; 0 when x has no period.
    """
    with np.errstate(invalid="ignore"):
        low, high, rows_on = _limited(found.y0, found.y1, sheet.shape[0], k)
        if turn:
            left, right, cols_on = _round(found.x0, found.x1, turn, sheet, k)
        else:
            left, right, cols_on = _limited(found.x0, found.x1, sheet.shape[1], k)
    right = np.where(rows_on & cols_on, right, -1)
    left = np.where(rows_on & cols_on, left, 0)
    parts = np.broadcast_arrays(left, right, low, high)
    return Ranges(*(np.ascontiguousarray(part, np.int32) for part in parts))


def _limited(
    first: FloatArray, last: FloatArray, size: int, k: int
) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return first and last level pixels of extents along an axis, and which lie on the map."""
    on = (last > -0.5) & (first < size - 0.5)
    first = np.where(on, np.maximum(first, -0.5), 0.0)
    last = np.where(on, np.minimum(last, size - 0.5), 0.0)
    low = _pixel(first, k)
    return low, np.maximum(_last_pixel(last, k), low), on


def _round(
    first: FloatArray, last: FloatArray, turn: float, sheet: Sheet, k: int
) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return what `_limited` does where x has a period."""
    count, on = _columns(turn, sheet, k), np.isfinite(first)
    wide = np.where(on, np.minimum(last - first, turn), 0.0)
    first = np.where(on, first - turn * np.floor((first + 0.5) / turn), 0.0)
    last = first + wide
    over = last > turn - 0.5
    left = _pixel(first, k)
    right = np.where(over, _last_pixel(last - turn, k) + count, _last_pixel(last, k))
    right = np.clip(right, left, left + count - 1)
    on &= (left < level_shape(sheet.shape, k)[1]) | (right >= count)
    return left, right, on


def _columns(turn: float, sheet: Sheet, k: int) -> int:
    """Return the level columns of one turn; 0 when there is none."""
    return sheet.columns(k) or int(np.ceil(turn / (1 << k)))


def _pixel(at: FloatArray, k: int) -> AnyArray:
    return np.floor((at + 0.5) / (1 << k) + _HAIR).astype(np.int64)


def _last_pixel(at: FloatArray, k: int) -> AnyArray:
    return np.ceil((at + 0.5) / (1 << k) - _HAIR).astype(np.int64) - 1


def reduce_touched(level: Level, found: Footprints, sheet: Sheet, turn: float) -> Pixels:
    """Reduce all level pixels that each footprint touches.

    Parameters
    ----------
    level : Level
        Of one plane (its largest value counts), or of three (moments: standard deviations).
    found : Footprints
    sheet : Sheet
    turn : float
        Base columns of one turn; 0 when x has no period.

    Returns
    -------
    ndarray of float32, shape (h, w)
        NaN where no valid pixel is touched.
    """
    return _reduce(level, ranges(found, level.k, sheet, turn), sheet, turn)


def _reduce(level: Level, at: Ranges, sheet: Sheet, turn: float) -> Pixels:
    out = np.full(at.left.shape, np.nan, np.float32)
    box = _box(level.k, at, sheet, turn)
    if box is None:
        return out
    y0, y1, x0, x1 = box
    if (y1 - y0) * (x1 - x0) * level.cost > MAX_BOX and out.size > 1:
        return _in_parts(level, at, sheet, turn)
    pixels = read_round(level, box, sheet.columns(level.k))
    place = np.array([x0, y0, _columns(turn, sheet, level.k)], np.int64)
    where = at.left, at.right, at.low, at.high, place, out
    if pixels.ndim == 3:
        touched_std(pixels[0], pixels[1], pixels[2], *where)
    else:
        touched_max(pixels, *where)
    return out


def _box(k: int, at: Ranges, sheet: Sheet, turn: float) -> tuple[int, int, int, int] | None:
    """Return y0, y1, x0, x1 around all ranges; columns may run on beyond a cyclic map's last."""
    on = at.right >= at.left
    if not on.any():
        return None
    left, right = at.left[on], at.right[on]
    y0, y1 = int(at.low[on].min()), int(at.high[on].max()) + 1
    x0, x1 = int(left.min()), int(right.max()) + 1
    cols = level_shape(sheet.shape, k)[1]
    if not turn:
        return y0, y1, x0, x1
    count = _columns(turn, sheet, k)
    if not sheet.turn:
        return (y0, y1, 0, cols) if x1 > count else (y0, y1, x0, min(x1, cols))
    early = left < count // 2
    moved0 = int(np.where(early, left + count, left).min())
    moved1 = int(np.where(early, right + count, right).max()) + 1
    if moved1 - moved0 < x1 - x0:
        x0, x1 = moved0, moved1
    if x1 - x0 >= count:
        return y0, y1, 0, count
    return (y0, y1, x0 - count, x1 - count) if x0 >= count else (y0, y1, x0, x1)


def _in_parts(level: Level, at: Ranges, sheet: Sheet, turn: float) -> Pixels:
    axis = 0 if at.left.shape[0] >= at.left.shape[1] else 1
    parts = (np.array_split(v, 2, axis) for v in (at.left, at.right, at.low, at.high))
    made = [
        _reduce(level, Ranges(*map(np.ascontiguousarray, half)), sheet, turn)
        for half in zip(*parts, strict=True)
    ]
    return np.concatenate(made, axis=axis)
