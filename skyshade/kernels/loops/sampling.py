"""numba loops of `skyshade.kernels.sampling`; their arguments are described there."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.kernels.loops.jit import jit


@jit
def fill_cells(
    nodes_x: Any, nodes_y: Any, corners: Any, step: int, period: float, out_x: Any, out_y: Any
) -> None:
    """Fill cells between nodes."""
    m = nodes_x.shape[1] - 1
    for n in range(nodes_x.shape[0]):
        for a in range(m):
            for b in range(m):
                row, col = corners[n, 0] + a * step, corners[n, 1] + b * step
                _fill_y(nodes_y[n], a, b, row, col, step, out_y)
                _fill_x(nodes_x[n], a, b, row, col, step, period, out_x)


@jit
def _fill_y(g: Any, a: int, b: int, row: int, col: int, step: int, out: Any) -> None:
    skipped = max(0, -col)
    for r in range(max(0, -row), min(step, out.shape[0] - row)):
        f = (r + 0.5) / step
        left = g[a, b] + (g[a + 1, b] - g[a, b]) * f
        right = g[a, b + 1] + (g[a + 1, b + 1] - g[a, b + 1]) * f
        line = out[row + r, col + skipped : max(0, col + step)]
        for c in range(line.size):
            line[c] = left + (right - left) * ((skipped + c + 0.5) / step)


@jit
def _near(value: float, anchor: float, period: float) -> float:
    turns = np.round((value - anchor) / period) if period > 0.0 else 0.0
    near: float = value - period * turns
    return near


@jit
def _fill_x(g: Any, a: int, b: int, row: int, col: int, step: int, period: float, out: Any) -> None:
    first = g[0, 0]
    g00, g01 = _near(g[a, b], first, period), _near(g[a, b + 1], first, period)
    g10, g11 = _near(g[a + 1, b], first, period), _near(g[a + 1, b + 1], first, period)
    skipped = max(0, -col)
    for r in range(max(0, -row), min(step, out.shape[0] - row)):
        f = (r + 0.5) / step
        left = g00 + (g10 - g00) * f
        right = g01 + (g11 - g01) * f
        line = out[row + r, col + skipped : max(0, col + step)]
        for c in range(line.size):
            x = left + (right - left) * ((skipped + c + 0.5) / step)
            if period > 0.0:
                if x < -0.5:
                    x += period
                elif x >= period - 0.5:
                    x -= period
            line[c] = x


@jit
def span(x: Any, y: Any, limits: Any, half: float, out: Any) -> None:
    """Find the bounding box of coordinates on the image."""
    right, top = limits[1], limits[2]
    x0 = y0 = high = np.inf
    x1 = y1 = low = -np.inf
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            px, py = x[r, c], y[r, c]
            if px >= -0.5 and px <= right and py >= -0.5 and py <= top:
                x0, x1 = min(x0, px), max(x1, px)
                y0, y1 = min(y0, py), max(y1, py)
                if px >= half:
                    high = min(high, px)
                else:
                    low = max(low, px)
    out[0], out[1], out[2], out[3], out[4], out[5] = x0, x1, y0, y1, high, low


@jit
def _renormalised(a: float, b: float, c: float, d: float, fu: float, fv: float) -> float:
    total = weight = 0.0
    if a - a == 0.0:
        w = (1.0 - fu) * (1.0 - fv)
        total, weight = total + a * w, weight + w
    if b - b == 0.0:
        w = fu * (1.0 - fv)
        total, weight = total + b * w, weight + w
    if c - c == 0.0:
        w = (1.0 - fu) * fv
        total, weight = total + c * w, weight + w
    if d - d == 0.0:
        w = fu * fv
        total, weight = total + d * w, weight + w
    return total / weight if weight >= 0.5 else np.nan


@jit
def _locate(
    x: Any, y: Any, limits: Any, place: Any, shift: float, fu: Any, fv: Any, i: Any, j: Any
) -> None:
    """Split a row of positions into box indices and fractions; off the image fu is NaN.

    A pass of its own, without branches, so that it is compiled to vector instructions.
    """
    scale, right, top = limits[0], limits[1], limits[2]
    x0, y0, period = np.int32(place[0]), np.int32(place[1]), np.int32(place[2])
    for k in range(x.size):
        on = (x[k] >= -0.5) & (x[k] <= right) & (y[k] >= -0.5) & (y[k] <= top)
        u = (x[k] + 0.5) * scale + shift if on else 0.0
        v = (y[k] + 0.5) * scale + shift if on else 0.0
        floor_u, floor_v = np.floor(u), np.floor(v)
        fu[k] = u - floor_u if on else np.nan
        fv[k] = v - floor_v
        col = np.int32(floor_u) - x0
        i[k] = col + period if col < 0 else col
        j[k] = np.int32(floor_v) - y0


@jit
def _within(index: Any, last: Any) -> Any:
    return np.uint64(min(max(np.int64(index), 0), last))


@jit
def _mix(box: Any, j: int, i: int, fu: float, fv: float) -> float:
    last_row, last_col = box.shape[0] - 1, box.shape[1] - 1
    j0, j1 = _within(j, last_row), _within(j + 1, last_row)
    i0, i1 = _within(i, last_col), _within(i + 1, last_col)
    a, b = np.float64(box[j0, i0]), np.float64(box[j0, i1])
    c, d = np.float64(box[j1, i0]), np.float64(box[j1, i1])
    upper, lower = a + (b - a) * fu, c + (d - c) * fu
    s = upper + (lower - upper) * fv
    return s if s - s == 0.0 else _renormalised(a, b, c, d, fu, fv)


@jit
def bilinear(box: Any, x: Any, y: Any, limits: Any, place: Any, out: Any) -> None:
    """Sample four pixels a position."""
    width = x.shape[1]
    fu, fv = np.empty(width), np.empty(width)
    i, j = np.empty(width, np.int32), np.empty(width, np.int32)
    for r in range(x.shape[0]):
        _locate(x[r], y[r], limits, place, -0.5, fu, fv, i, j)
        for k in range(width):
            out[r, k] = _mix(box, j[k], i[k], fu[k], fv[k]) if fu[k] == fu[k] else np.nan


@jit
def _axis(x: Any, scale: float, last: float, first: int, turn: int, size: int, out: Any) -> None:
    """Split positions along one axis into two clipped indices and a fraction, NaN off the image."""
    at, beside, fraction = out
    for k in range(x.size):
        on = x[k] >= -0.5 and x[k] <= last
        u = (x[k] + 0.5) * scale - 0.5 if on else 0.0
        low = np.floor(u)
        fraction[k] = u - low if on else np.nan
        index = np.int64(low) - first
        index = index + turn if index < 0 else index
        at[k], beside[k] = min(max(index, 0), size - 1), min(max(index + 1, 0), size - 1)


@jit
def bilinear_axes(box: Any, x: Any, y: Any, limits: Any, place: Any, out: Any) -> None:
    """Sample four pixels a position: rows are mixed first, whole, then columns."""
    height, width = box.shape
    i0, i1, fu = np.empty(x.size, np.int64), np.empty(x.size, np.int64), np.empty(x.size)
    j0, j1, fv = np.empty(y.size, np.int64), np.empty(y.size, np.int64), np.empty(y.size)
    _axis(x, limits[0], limits[1], place[0], place[2], width, (i0, i1, fu))
    _axis(y, limits[0], limits[2], place[1], 0, height, (j0, j1, fv))
    mixed = np.empty(width)
    for r in range(y.size):
        upper, lower, f = box[j0[r]], box[j1[r]], fv[r]
        for c in range(width):
            mixed[c] = upper[c] + (np.float64(lower[c]) - upper[c]) * f
        for k in range(x.size):
            a, b = np.uint64(i0[k]), np.uint64(i1[k])
            s = mixed[a] + (mixed[b] - mixed[a]) * fu[k]
            if s - s != 0.0 and f == f and fu[k] == fu[k]:
                s = _renormalised(upper[a], upper[b], lower[a], lower[b], fu[k], f)
            out[r, k] = s


@jit
def nearest(box: Any, x: Any, y: Any, limits: Any, place: Any, out: Any) -> None:
    """Sample one pixel a position."""
    width, last_row, last_col = x.shape[1], box.shape[0] - 1, box.shape[1] - 1
    fu, fv = np.empty(width), np.empty(width)
    i, j = np.empty(width, np.int32), np.empty(width, np.int32)
    for r in range(x.shape[0]):
        _locate(x[r], y[r], limits, place, 0.0, fu, fv, i, j)
        for k in range(width):
            s = box[_within(j[k], last_row), _within(i[k], last_col)]
            out[r, k] = s if s - s == 0.0 and fu[k] == fu[k] else np.nan


@jit
def _column(i: int, first: int, period: int) -> int:
    """Return the box column of a level column, round a cyclic map."""
    col: int = i - first
    if col < 0:
        return col + period
    return col - period if period > 0 and col >= period else col


@jit
def touched_max(box: Any, left: Any, right: Any, low: Any, high: Any, place: Any, out: Any) -> None:
    """Take the largest pixel, displayed pixel by displayed pixel."""
    height, width = box.shape
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            most = np.float32(-np.inf)
            y0, y1 = max(low[r, c] - place[1], 0), min(high[r, c] - place[1], height - 1)
            for i in range(left[r, c], right[r, c] + 1):
                x = _column(i, place[0], place[2])
                if 0 <= x < width:
                    for y in range(y0, y1 + 1):
                        v = box[y, x]
                        if v - v == 0.0 and v > most:
                            most = v
            out[r, c] = most if most > -np.inf else np.nan


@jit
def _add_touched(n: Any, mean: Any, left: int, right: int, y0: int, y1: int, place: Any) -> Any:
    """Return the number of base pixels touched and their sum."""
    count = total = 0.0
    for i in range(left, right + 1):
        x = _column(i, place[0], place[2])
        if 0 <= x < n.shape[1]:
            for y in range(y0, y1 + 1):
                if n[y, x] > 0.0:
                    count += n[y, x]
                    total += np.float64(n[y, x]) * mean[y, x]
    return count, total


@jit
def touched_std(
    n: Any, mean: Any, m2: Any, left: Any, right: Any, low: Any, high: Any, place: Any, out: Any
) -> None:
    """Merge moments in two passes: the mean, then the differences from it."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            y0, y1 = max(low[r, c] - place[1], 0), min(high[r, c] - place[1], n.shape[0] - 1)
            count, total = _add_touched(n, mean, left[r, c], right[r, c], y0, y1, place)
            middle, spread = total / count if count > 0.0 else np.nan, 0.0
            for i in range(left[r, c], right[r, c] + 1):
                x = _column(i, place[0], place[2])
                if 0 <= x < n.shape[1]:
                    for y in range(y0, y1 + 1):
                        if n[y, x] > 0.0:
                            spread += m2[y, x] + n[y, x] * (mean[y, x] - middle) ** 2
            out[r, c] = np.sqrt(spread / count) if count > 0.0 else np.nan
