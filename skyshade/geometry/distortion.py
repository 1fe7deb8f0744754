"""Distortions between an image's pixels and the focal plane: SIP polynomials and lookup tables."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from skyshade.types import FloatArray

_STEPS = 30


def is_distorted(wcs: Any) -> bool:
    """Return whether a WCS has a distortion that astropy applies before wcslib."""
    tables = wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2
    return wcs.sip is not None or any(table is not None for table in tables)


class Distortion:
    """The distortion of one image and its inverse; thread-safe.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
    shape : (int, int)
        (ny, nx) of the image.

    Notes
    -----
    astropy's SIP has a scratch buffer, which two threads may not use at once: each has a copy.
    """

    def __init__(self, wcs: Any, shape: tuple[int, int]) -> None:
        self._wcs = wcs
        self._lock = threading.Lock()
        self._local = threading.local()
        self._shift, self._near = self._find_reach(shape)

    def apply(self, x: FloatArray, y: FloatArray) -> Any:
        """Return focal plane coordinates of pixels (0-based), shape (n,)."""
        wcs = getattr(self._local, "wcs", None)
        if wcs is None:
            with self._lock:
                wcs = self._local.wcs = self._wcs.deepcopy()
        return wcs.pix2foc(x, y, 0)

    def undo(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return pixels of focal plane coordinates, NaN far from the image.

        By fixed-point iteration: what has not settled is found out by applying the distortion.
        """
        x0, x1, y0, y1 = self._near
        with np.errstate(invalid="ignore", over="ignore"):
            near = (x > x0) & (x < x1) & (y > y0) & (y < y1)
            out_x, out_y = np.full_like(x, np.nan), np.full_like(y, np.nan)
            goal_x, goal_y = x[near], y[near]
            at_x, at_y = goal_x - self._shift[0], goal_y - self._shift[1]
            for _ in range(_STEPS if goal_x.size else 0):
                foc_x, foc_y = self.apply(at_x, at_y)
                step_x, step_y = goal_x - foc_x, goal_y - foc_y
                at_x, at_y = at_x + step_x, at_y + step_y
                if not np.any(np.hypot(step_x, step_y) >= 1e-9):
                    break
        out_x[near], out_y[near] = at_x, at_y
        return out_x, out_y

    def _find_reach(
        self, shape: tuple[int, int]
    ) -> tuple[tuple[float, float], tuple[float, float, float, float]]:
        """Return by how much the distortion moves the image, and x0, x1, y0, y1 around it.

        Polynomials run wild far from the image, so positions that lie more than an image away
        from its distorted border are not looked for.
        """
        ny, nx = shape
        along, up = np.linspace(-0.5, nx - 0.5, 65), np.linspace(-0.5, ny - 0.5, 65)
        side, end = np.full(65, -0.5), np.full(65, 1.0)
        x = np.concatenate([along, along, side, end * (nx - 0.5)])
        y = np.concatenate([side, end * (ny - 0.5), up, up])
        foc_x, foc_y = self.apply(x, y)
        shift = float(np.mean(foc_x - x)), float(np.mean(foc_y - y))
        x0, x1 = float(foc_x.min()), float(foc_x.max())
        y0, y1 = float(foc_y.min()), float(foc_y.max())
        wide, tall = max(nx, x1 - x0), max(ny, y1 - y0)
        return shift, (x0 - wide, x1 + wide, y0 - tall, y1 + tall)
