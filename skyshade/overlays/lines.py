"""Outlines of regions in a view, with as many vertices as the screen can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skyshade.geometry.outlines import Outlines
from skyshade.overlays.marks import View
from skyshade.types import AnyArray, FloatArray, IntArray

MOST_LINES, MOST_VERTICES = 1000, 16_000
LEAST_SIZE = 4.0  # cells' tenths that a line must span; smaller ones are but their marker


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """What a view draws of the outlines of a list.

    Parameters
    ----------
    u, v : ndarray of float32, shape (vertices,)
        Degrees from the middle of the view: to the right, and up.
    sizes : ndarray of int64, shape (lines,)
        Vertices of each line.
    rows : ndarray of int64, shape (lines,)
    colours : sequence of str, length lines
    """

    u: AnyArray
    v: AnyArray
    sizes: IntArray
    rows: IntArray
    colours: Sequence[str]


class Drawing:
    """The outlines of one list.

    Parameters
    ----------
    outlines : Outlines
    """

    def __init__(self, outlines: Outlines) -> None:
        self._outlines, self._boxes = outlines, outlines.boxes()

    def lines(self, view: View, pixel: float) -> Lines:
        """Return the lines that touch a view, the largest first.

        Parameters
        ----------
        view : View
        pixel : float
            Degrees of a screen pixel.
        """
        size = np.hypot(np.diff(self._boxes[:, :2])[:, 0], np.diff(self._boxes[:, 2:])[:, 0])
        turn = self._turns(view)
        chosen = np.flatnonzero(np.isfinite(turn) & (size >= LEAST_SIZE * pixel))
        chosen = chosen[np.argsort(-size[chosen], kind="stable")][:MOST_LINES]
        spans = [self._vertices(i, float(size[i]) / pixel) for i in chosen.tolist()]
        sizes = np.array([span.size for span in spans], np.int64)
        fitting = int(np.searchsorted(np.cumsum(sizes), MOST_VERTICES, side="right"))
        chosen, sizes = chosen[: max(fitting, 1)], sizes[: max(fitting, 1)]
        which = np.concatenate(spans[: chosen.size]) if spans else np.empty(0, np.int64)
        ours = self._outlines
        u = ours.u[which] + np.repeat(turn[chosen], sizes) + view.ra
        rows = ours.rows[chosen]
        return Lines(
            u.astype(np.float32),
            (ours.v[which] - view.dec).astype(np.float32),
            sizes,
            rows,
            [ours.colours[row] for row in rows],
        )

    def _turns(self, view: View) -> FloatArray:
        """Return what brings each line nearest to the view, NaN for one that does not touch it."""
        left, right, low, high = self._boxes.T
        middle = (left + right) / 2.0
        turn = -360.0 * np.round((middle + view.ra) / 360.0)
        apart = np.abs(middle + turn + view.ra) - (right - left) / 2.0
        inside = (apart <= view.width / 2.0) & (high >= view.south) & (low <= view.north)
        return np.where(inside, turn, np.nan)

    def _vertices(self, line: int, pixels: float) -> IntArray:
        """Return the vertices to draw of a line of some size: all corners, and a part of others."""
        first, last = self._outlines.starts[line : line + 2].tolist()
        step = max(1, round((last - first) / max(16.0, min(pixels, 1e6) ** 0.5 * 6.0)))
        kept = self._outlines.corner[first:last].copy()
        kept[::step] = True
        return np.asarray(np.flatnonzero(kept) + first, np.int64)
