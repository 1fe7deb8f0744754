"""The twelve base faces of HEALPix in one plane: what the tile grid ``hips`` is laid on.

The faces lie in a band across 5 x 5 squares, each beside its true neighbours; 13 show no sky:

     .   .   .  11   7
     .   .   8   4   3
     .   9   5   0   .
    10   6   1   .   .
     .   2   .   .   .

As in the tiles of HiPS (IVOA 1.0, section 4.2.1), NESTED y grows to the right (north-west) and x
downwards (north-east), so the southern corner of a face is its upper left one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from skyshade.geometry.healpix import order_of, pixel_of, resolution
from skyshade.kernels.healpix import cells_of
from skyshade.types import AnyArray, FloatArray, IntArray

SIDE = 5  # faces
_FACES = np.full((SIDE + 1, SIDE + 1), -1)
_FACES[:SIDE, :SIDE] = [
    [-1, -1, -1, 11, 7],
    [-1, -1, 8, 4, 3],
    [-1, 9, 5, 0, -1],
    [10, 6, 1, -1, -1],
    [-1, 2, -1, -1, -1],
]
_PLACES = np.array([np.argwhere(face == _FACES)[0] for face in range(12)])
_HAIR = 1e-12  # faces: a position on an edge belongs to the face that is there


@dataclass(frozen=True, slots=True)
class HealpixPlane:
    """x to the right and y upwards, in sides of a face, 0 to 5; equal areas."""

    frame: Literal["sky", "plane"] = "sky"
    period: float | None = None
    separable: bool = False
    degrees: float = resolution(1)

    def to_sky(self, x: AnyArray, y: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ICRS (ra 0..360, dec) in degrees; NaN where no face is.

        The inverse of what `skyshade.kernels.healpix` does: on a face, a and b along its sides,
        then u and v of the plane of quarter turns.
        """
        x, down = np.broadcast_arrays(np.asarray(x, np.float64), SIDE - np.asarray(y, np.float64))
        row, col = _square(x, down)
        face = _FACES[row, col]
        along, across = down - row, x - col
        quarter, zone = face & 3, face >> 2
        a = quarter + np.where(zone == 2, 2.0, 1.0) - across
        b = quarter + np.where(zone == 0, 1.0, 0.0) + along
        u, v = (a + b - 1.0) / 2.0, (b - a) / 2.0
        sigma = 2.0 * (1.0 - np.abs(v))
        cap = (np.abs(v) > 0.5) & (sigma > 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(cap, quarter + 0.5 + (u - quarter - 0.5) / sigma, u)
            polar = 90.0 - np.degrees(2.0 * np.arcsin(np.clip(sigma, 0, 1) / math.sqrt(6.0)))
            level = np.degrees(np.arcsin(np.clip(v / 0.75, -1.0, 1.0)))
        dec = np.where(np.abs(v) > 0.5, np.copysign(polar, v), level)
        none = face < 0
        return np.where(none, np.nan, np.mod(90.0 * t, 360.0)), np.where(none, np.nan, dec)

    def from_sky(self, ra: AnyArray, dec: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return x and y of ICRS positions, to 2e-9 of a face: centres of pixels of nside 2**29."""
        nside = 1 << 29
        cols, rows = self.cells(ra, dec, nside)
        return (cols + 0.5) / nside, SIDE - (rows + 0.5) / nside

    def cells(self, ra: AnyArray, dec: AnyArray, nside: int) -> tuple[IntArray, IntArray]:
        """Return (columns, rows) of the HEALPix pixels that hold ICRS positions; -1 for none."""
        pixels = pixel_of(nside, ra, dec, nested=True)
        face, x, y = cells_of(np.maximum(pixels, 0), order_of(nside), nested=True)
        place = _PLACES[face]
        cols, rows = place[..., 1] * nside + y, place[..., 0] * nside + x
        return np.where(pixels < 0, -1, cols), np.where(pixels < 0, -1, rows)


def _square(x: FloatArray, down: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the square that positions lie in: of those that meet there, one with a face."""
    best = None
    for dy, dx in ((0.0, 0.0), (0.0, _HAIR), (_HAIR, 0.0), (_HAIR, _HAIR)):
        inside = (x >= 0) & (x <= SIDE) & (down >= 0) & (down <= SIDE)
        row = np.where(inside, np.floor(down - dy), SIDE).astype(np.int64)
        col = np.where(inside, np.floor(x - dx), SIDE).astype(np.int64)
        row, col = np.where(row < 0, SIDE, row), np.where(col < 0, SIDE, col)
        if best is None:
            best = row, col
        else:
            none = _FACES[best] < 0
            best = np.where(none, row, best[0]), np.where(none, col, best[1])
        if (_FACES[best] >= 0).all():
            break
    return best if best is not None else (np.empty(0, np.int64), np.empty(0, np.int64))
