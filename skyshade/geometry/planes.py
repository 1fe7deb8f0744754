"""Planes that tile grids are laid on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from skyshade.types import AnyArray, FloatArray

EARTH = 6378137.0  # metres; the sphere of EPSG:3857
_FAR_SIDE = 1e-9  # cosine of the angle from the centre, below which a tangent plane shows nothing


@dataclass(frozen=True, slots=True)
class SkyPlane:
    """Plate carree: y = Dec, x = -RA (east left) or RA (east right) wrapped to -180..180, degrees.

    Parameters
    ----------
    mirrored : bool
        East to the right, as in a geographic map.
    """

    mirrored: bool = False
    frame: Literal["sky", "plane"] = "sky"
    period: float | None = 360.0
    separable: bool = True
    degrees: float = 1.0

    def to_sky(self, x: AnyArray, y: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ICRS (ra 0..360, dec) in degrees; NaN where |y| > 90."""
        x, dec = np.asarray(x, np.float64), np.asarray(y, np.float64)
        inside = np.abs(dec) <= 90.0
        ra = wrap_ra(x if self.mirrored else -x)
        return np.where(inside, ra, np.nan), np.where(inside, dec, np.nan)

    def from_sky(self, ra: AnyArray, dec: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return x and y of ICRS positions; x lies in -180..180 and the right end is excluded.

        The mirrored plane excludes the left end: it is the mirror image, edges included.
        """
        x = 360.0 * sky_fraction(ra) - 180.0
        return -x if self.mirrored else x, np.asarray(dec, np.float64)


@dataclass(frozen=True, slots=True)
class MercatorPlane:
    """Web Mercator (EPSG:3857) in metres, with longitude = RA, latitude = Dec, east right.

    x = R lon, y = R asinh(tan(lat)), for the sphere of R = 6378137 m; true scale at the equator.
    """

    frame: Literal["sky", "plane"] = "sky"
    period: float | None = 2.0 * math.pi * EARTH
    separable: bool = True
    degrees: float = math.degrees(1.0 / EARTH)

    def to_sky(self, x: AnyArray, y: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ICRS (ra 0..360, dec) in degrees."""
        with np.errstate(over="ignore"):
            dec = np.degrees(np.arctan(np.sinh(np.asarray(y, np.float64) / EARTH)))
        ra = wrap_ra(np.degrees(np.asarray(x, np.float64) / EARTH))
        ra, dec = np.broadcast_arrays(ra, dec)
        return ra, dec

    def from_sky(self, ra: AnyArray, dec: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return x (the right end, +180 degrees, excluded) and y in metres; infinite at a pole."""
        lon = np.mod(np.asarray(ra, np.float64) + 180.0, 360.0) - 180.0
        lon = np.where(lon >= 180.0, -180.0, lon)
        dec = np.asarray(dec, np.float64)
        with np.errstate(divide="ignore"):
            y = EARTH * np.arcsinh(np.tan(np.radians(dec)))
        pole = np.abs(dec) >= 90.0  # the tangent of pi / 2 in float64 is finite
        return EARTH * np.radians(lon), np.where(pole, np.copysign(np.inf, dec), y)


@dataclass(frozen=True)
class TangentPlane:
    """Gnomonic projection about a centre, east left: what FITS calls TAN, in degrees.

    x = -xi and y = eta, the standard coordinates of FITS WCS paper II (section 5.1.3) for a native
    pole at the centre. True scale at the centre; shows less than the hemisphere around it.

    Parameters
    ----------
    ra, dec : float
        Centre, ICRS degrees.
    """

    ra: float
    dec: float
    frame: Literal["sky", "plane"] = "sky"
    period: float | None = None
    separable: bool = False
    degrees: float = 1.0

    @cached_property
    def _axes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Unit vectors to the centre, to its west and to its north."""
        a, d = math.radians(self.ra), math.radians(self.dec)
        ca, sa, cd, sd = math.cos(a), math.sin(a), math.cos(d), math.sin(d)
        centre, west, north = (cd * ca, cd * sa, sd), (sa, -ca, 0.0), (-sd * ca, -sd * sa, cd)
        return np.array(centre), np.array(west), np.array(north)

    def to_sky(self, x: AnyArray, y: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ICRS (ra 0..360, dec) in degrees."""
        x, y = np.radians(np.asarray(x, np.float64)), np.radians(np.asarray(y, np.float64))
        u, v, w = (c + x * a + y * b for c, a, b in zip(*self._axes, strict=True))
        return wrap_ra(np.degrees(np.arctan2(v, u))), np.degrees(np.arctan2(w, np.hypot(u, v)))

    def from_sky(self, ra: AnyArray, dec: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return x and y of ICRS positions in degrees; NaN on the far hemisphere."""
        a, d = np.radians(np.asarray(ra, np.float64)), np.radians(np.asarray(dec, np.float64))
        flat = np.cos(d)
        u, v, w = flat * np.cos(a), flat * np.sin(a), np.sin(d)
        near, x, y = (axis[0] * u + axis[1] * v + axis[2] * w for axis in self._axes)
        with np.errstate(invalid="ignore"):
            near = np.where(near > _FAR_SIDE, near, np.nan)
        return np.degrees(x / near), np.degrees(y / near)


def wrap_ra(ra: AnyArray) -> FloatArray:
    """Return right ascension in 0 <= ra < 360 degrees."""
    wrapped = np.mod(np.asarray(ra, np.float64), 360.0)
    return np.where(wrapped >= 360.0, 0.0, wrapped)  # mod of a tiny negative rounds to 360


def sky_fraction(ra: AnyArray) -> FloatArray:
    """Return t = ((180 - ra) / 360) mod 1: 0 at RA 180, growing as RA falls."""
    t = np.mod((180.0 - np.asarray(ra, np.float64)) / 360.0, 1.0)
    return np.where(t >= 1.0, 0.0, t)
