"""Lines on the sphere as they lie on a window: cut into pieces, placed, closed over a pole."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from skyshade.geometry.grids import SKY
from skyshade.geometry.outlines import Outlines
from skyshade.types import ALL_SKY, Coverage, FloatArray, Grid, Window

PIECE = 32  # pixels: edges are cut into pieces no longer than this
PIECES = 1 << 12  # of an edge, at most


def poles_of(lines: Outlines) -> FloatArray:
    """Return the pole that each closed line goes round: 90 or -90, 0 for none."""
    first, end = lines.starts[:-1], lines.starts[1:] - 1
    round_it = np.abs(lines.u[end] - lines.u[first]) > 180.0
    sums = np.add.reduceat(lines.v, first) if first.size else np.empty(0)
    return np.where(round_it, np.where(sums >= 0.0, 90.0, -90.0), 0.0)


def boxes_of(lines: Outlines, poles: FloatArray) -> FloatArray:
    """Return (u_min, u_max, v_min, v_max) of each line, its pole included; shape (lines, 4)."""
    boxes = lines.boxes()
    boxes[:, 2] = np.where(poles < 0.0, -90.0, boxes[:, 2])
    boxes[:, 3] = np.where(poles > 0.0, 90.0, boxes[:, 3])
    return boxes


def touching(boxes: FloatArray, window: Window) -> Iterator[tuple[int, int]]:
    """Yield the lines whose rectangle can touch a window, and the turns between the two."""
    if window.grid.id != SKY.id:
        turns = (-1, 0, 1) if window.grid.periodic else (0,)
        yield from ((i, turn) for turn in turns for i in range(len(boxes)))
        return
    if not len(boxes):
        return
    side = SKY.pixel_size(window.z)
    left, top = window.col * side - 180.0, 90.0 - window.row * side
    right, low = left + window.width * side, top - window.height * side
    u0, u1, v0, v1 = boxes.T
    hair = 2.0 * side
    level = (v1 >= low - hair) & (v0 <= top + hair)
    first = math.floor((left - float(u1.max())) / 360.0)
    last = math.ceil((right - float(u0.min())) / 360.0)
    for turn in range(first, last + 1):
        shift = 360.0 * turn
        inside = level & (u1 + shift >= left - hair) & (u0 + shift <= right + hair)
        yield from ((int(i), turn) for i in np.flatnonzero(inside))


def cut_edges(u: FloatArray, v: FloatArray, window: Window) -> tuple[FloatArray, FloatArray]:
    """Return a line with its edges cut into great-circle pieces of at most `PIECE` pixels.

    The number of pieces follows from the edge and the level alone, so it is the same in every
    window.
    """
    side = window.grid.pixel_degrees(window.z) / _stretch(window.grid)
    across = np.maximum(np.abs(np.diff(u)), np.abs(np.diff(v)))
    parts = np.clip(np.ceil(across / (side * PIECE)), 1, PIECES).astype(np.int64)
    if parts.max(initial=1) == 1:
        return u, v
    edge = np.repeat(np.arange(parts.size), parts)
    t = (np.arange(edge.size) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[edge]
    a, d = np.radians(u), np.radians(v)
    at = np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    mixed = at[:, edge] * (1.0 - t) + at[:, edge + 1] * t
    angle = np.degrees(np.arctan2(mixed[1], mixed[0]))
    straight = u[edge] + np.diff(u)[edge] * t
    fine_u = straight + (angle - straight + 180.0) % 360.0 - 180.0
    fine_v = np.degrees(np.arctan2(mixed[2], np.hypot(mixed[0], mixed[1])))
    fine_u, fine_v = np.where(t == 0.0, u[edge], fine_u), np.where(t == 0.0, v[edge], fine_v)
    return np.append(fine_u, u[-1]), np.append(fine_v, v[-1])


def _stretch(grid: Grid) -> float:
    """Return how much smaller than on the grid's true scale pixels can be, in degrees."""
    if grid.periodic:
        return 1.0 if grid.id == SKY.id else 12.0  # Mercator at its ends
    return 4.0  # a tangent plane at its corners


def placed(
    u: FloatArray, v: FloatArray, window: Window, turn: int
) -> tuple[FloatArray, FloatArray]:
    """Return positions in pixels from a window's upper left corner; NaN off a tangent plane."""
    grid, z = window.grid, window.z
    height, width = grid.lattice_shape(z)
    if grid.id == SKY.id:
        x, y = (u + 180.0) * (width / 360.0), (90.0 - v) * (height / 180.0)
    else:
        cols, rows = grid.lattice(np.mod(-u, 360.0), v, z + 6)
        x, y = (np.asarray((n + 0.5) / 64.0, np.float64) for n in (cols, rows))
        if not grid.periodic:
            shown = (x > 0) & (x < width) & (y > 0) & (y < height)
            x = np.where(shown, x, np.nan)
        if grid.periodic and x.size:
            steps = (np.diff(x, prepend=x[0]) + width / 2.0) % width - width / 2.0
            x = x[0] + np.cumsum(steps)
    return x - (window.col - turn * width), y - window.row


def closed_over(
    xy: tuple[FloatArray, FloatArray], pole: float, window: Window
) -> tuple[FloatArray, FloatArray]:
    """Return a polygon that goes round a pole, closed along the edge of the lattice there.

    What a tangent plane does not show is left out.
    """
    x, y = xy
    if not window.grid.periodic:
        shown = np.isfinite(x)
        x, y = x[shown], y[shown]
    elif pole:
        edge = -1.0 if pole > 0.0 else window.grid.lattice_shape(window.z)[0] + 1.0
        x = np.concatenate([x, [x[-1], x[0]]])
        y = np.concatenate([y, [edge - window.row] * 2])
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def coverage(boxes: FloatArray) -> Coverage:
    """Return a sky rectangle around all lines."""
    if not len(boxes):
        return ALL_SKY
    low, high = float(boxes[:, 2].min()), float(boxes[:, 3].max())
    left, right = float(boxes[:, 0].min()), float(boxes[:, 1].max())
    if right - left >= 360.0:
        return Coverage(360.0, 0.0, low, high)
    west = -right % 360.0
    return Coverage(west + right - left, west, low, high)
