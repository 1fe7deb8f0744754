"""Planes that tile grids are laid on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from skyshade.types import AnyArray, FloatArray


@dataclass(frozen=True, slots=True)
class SkyPlane:
    """Plate carree with east to the left: x = -RA wrapped to -180..180, y = Dec, in degrees."""

    frame: Literal["sky", "plane"] = "sky"
    period: float | None = 360.0

    def to_sky(self, x: AnyArray, y: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ICRS (ra 0..360, dec) in degrees; NaN where |y| > 90."""
        dec = np.asarray(y, np.float64)
        inside = np.abs(dec) <= 90.0
        ra = wrap_ra(-np.asarray(x, np.float64))
        return np.where(inside, ra, np.nan), np.where(inside, dec, np.nan)

    def from_sky(self, ra: AnyArray, dec: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return x in -180..180 (180 excluded) and y of ICRS positions in degrees."""
        t = sky_fraction(ra)
        return 360.0 * t - 180.0, np.asarray(dec, np.float64)


def wrap_ra(ra: AnyArray) -> FloatArray:
    """Return right ascension in 0 <= ra < 360 degrees."""
    wrapped = np.mod(np.asarray(ra, np.float64), 360.0)
    return np.where(wrapped >= 360.0, 0.0, wrapped)  # mod of a tiny negative rounds to 360


def sky_fraction(ra: AnyArray) -> FloatArray:
    """Return t = ((180 - ra) / 360) mod 1: 0 at RA 180, growing as RA falls."""
    t = np.mod((180.0 - np.asarray(ra, np.float64)) / 360.0, 1.0)
    return np.where(t >= 1.0, 0.0, t)
