"""Regions of the sky: circles, patches of true angles, rectangles of RA and declination."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry.planes import wrap_ra
from skyshade.types import AnyArray, Coverage, FloatArray

_RIM = 1e-10  # degrees; pixel centres on a side belong to it whatever rounding does


class Region(Protocol):
    """A part of the sky."""

    @property
    def middle(self) -> tuple[float, float]:
        """ICRS degrees of a point from which `outer` and `inner` are measured."""
        ...

    @property
    def outer(self) -> float:
        """Degrees from the middle within which the whole region lies."""
        ...

    @property
    def inner(self) -> float:
        """Degrees from the middle within which all belongs to the region; -1 for nothing."""
        ...

    def holds(self, ra: AnyArray, dec: AnyArray) -> AnyArray:
        """Return whether ICRS positions (degrees) lie in the region; False for NaN."""
        ...


@dataclass(frozen=True, slots=True)
class Cone:
    """A circle on the sphere, its rim included.

    Parameters
    ----------
    ra, dec, radius : float
        ICRS degrees; radius above 0, at most 180.
    """

    ra: float
    dec: float
    radius: float

    def __post_init__(self) -> None:
        check_position(self.ra, self.dec)
        if not 0.0 < self.radius <= 180.0:
            msg = f"radius={self.radius!r} is not allowed: degrees above 0, at most 180"
            raise InputError(msg)

    @property
    def middle(self) -> tuple[float, float]:
        """Centre."""
        return self.ra, self.dec

    @property
    def outer(self) -> float:
        """Radius."""
        return self.radius

    @property
    def inner(self) -> float:
        """Radius."""
        return self.radius

    @property
    def area(self) -> float:
        """Solid angle in square degrees, 4 pi sin(radius / 2)**2 steradians."""
        half = math.sin(math.radians(self.radius) / 2.0)
        return 4.0 * math.pi * half * half * math.degrees(1.0) ** 2

    def holds(self, ra: AnyArray, dec: AnyArray) -> AnyArray:
        """Return whether positions lie in the circle (haversine, of the nearer of both poles).

        The haversine keeps full precision where the angle is small.
        """
        if self.radius <= 90.0:
            limit = math.sin(math.radians(self.radius) / 2.0) ** 2
            return _haversine(ra, dec, self.ra, self.dec) <= limit
        limit = math.sin(math.radians(180.0 - self.radius) / 2.0) ** 2
        return _haversine(ra, dec, self.ra + 180.0, -self.dec) >= limit


@dataclass(frozen=True, slots=True)
class Patch:
    """What lies within half a width along a great circle and half a height across it.

    In the frame whose origin is the position and whose latitude grows towards the north pole:
    abs(longitude) <= width / 2 and abs(latitude) <= height / 2. So sizes are true angles at any
    declination.

    Parameters
    ----------
    ra, dec : float
        ICRS degrees.
    width, height : float
        Degrees above 0, at most 360 and 180.
    """

    ra: float
    dec: float
    width: float
    height: float

    def __post_init__(self) -> None:
        check_position(self.ra, self.dec)
        if not (0.0 < self.width <= 360.0 and 0.0 < self.height <= 180.0):
            msg = (
                f"size={self.width!r},{self.height!r} is not allowed: degrees above 0, "
                "at most 360 wide and 180 high"
            )
            raise InputError(msg)

    @property
    def middle(self) -> tuple[float, float]:
        """Position."""
        return self.ra, self.dec

    @property
    def outer(self) -> float:
        """Distance of the farthest corner."""
        a, b = math.radians(self.width / 2.0), math.radians(self.height / 2.0)
        corner = math.degrees(math.acos(max(-1.0, min(1.0, math.cos(a) * math.cos(b)))))
        return max(corner, self.width / 2.0, self.height / 2.0)

    @property
    def inner(self) -> float:
        """Half of the shorter side."""
        return min(self.width, self.height) / 2.0

    def holds(self, ra: AnyArray, dec: AnyArray) -> AnyArray:
        """Return whether positions lie in the patch."""
        with np.errstate(invalid="ignore"):
            away, up = np.radians(ra - self.ra), np.radians(dec)
            c, s = math.cos(math.radians(self.dec)), math.sin(math.radians(self.dec))
            flat = np.cos(up)
            east, high = flat * np.sin(away), np.sin(up)
            near = flat * np.cos(away)
            ahead, north = s * high + c * near, c * high - s * near
            lon = np.degrees(np.arctan2(east, ahead))
            lat = np.degrees(np.arctan2(north, np.hypot(east, ahead)))
            inside: AnyArray = np.abs(lon) <= self.width / 2.0 + _RIM
            inside &= np.abs(lat) <= self.height / 2.0 + _RIM
        return inside


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of RA and declination.

    Parameters
    ----------
    coverage : Coverage
    """

    coverage: Coverage

    @property
    def middle(self) -> tuple[float, float]:
        """Middle in RA and in declination."""
        box = self.coverage
        return (box.ra_east + box.ra_west) / 2.0 % 360.0, (box.dec_min + box.dec_max) / 2.0

    @property
    def outer(self) -> float:
        """Half the height and half the longest parallel: the way along both is longer."""
        box = self.coverage
        crosses = box.dec_min <= 0.0 <= box.dec_max
        lowest = 0.0 if crosses else min(abs(box.dec_min), abs(box.dec_max))
        along = (box.ra_east - box.ra_west) / 2.0 * math.cos(math.radians(lowest))
        return min(180.0, (box.dec_max - box.dec_min) / 2.0 + along)

    @property
    def inner(self) -> float:
        """Nothing is known."""
        return -1.0

    def holds(self, ra: AnyArray, dec: AnyArray) -> AnyArray:
        """Return whether positions lie in the rectangle, its sides included."""
        box = self.coverage
        with np.errstate(invalid="ignore"):
            west = wrap_ra(ra - box.ra_west + _RIM)
            inside: AnyArray = west <= box.ra_east - box.ra_west + 2.0 * _RIM
            inside &= (dec >= box.dec_min - _RIM) & (dec <= box.dec_max + _RIM)
        return inside


def box_of(ra_east: float, ra_west: float, dec_min: float, dec_max: float) -> Coverage:
    """Return the rectangle that runs from `ra_east` with falling RA to `ra_west`, all in degrees.

    Equal RAs mean the whole circle.

    Raises
    ------
    InputError
        A number is not finite, RA not within -360 to 720, or the declinations not in order.
    """
    given = f"box={ra_east:g},{ra_west:g},{dec_min:g},{dec_max:g}"
    if not all(math.isfinite(v) and -360.0 <= v <= 720.0 for v in (ra_east, ra_west)):
        msg = f"{given} is not allowed: RA is 0 to 360 degrees"
        raise InputError(msg)
    if not -90.0 <= dec_min < dec_max <= 90.0:
        msg = f"{given} is not allowed: -90 <= dec_min < dec_max <= 90 degrees"
        raise InputError(msg)
    west = float(wrap_ra(np.array(ra_west)))
    width = (ra_east - ra_west) % 360.0 or 360.0
    return Coverage(west + width, west, float(dec_min), float(dec_max))


def check_position(ra: float, dec: float) -> None:
    """Raise InputError unless a position is finite and its declination within the poles."""
    if not (math.isfinite(ra) and abs(ra) <= 720.0):
        msg = f"ra={ra!r} is not allowed: degrees from 0 to 360"
        raise InputError(msg)
    if not -90.0 <= dec <= 90.0:
        msg = f"dec={dec!r} is not allowed: degrees from -90 to 90"
        raise InputError(msg)


def _haversine(ra: AnyArray, dec: AnyArray, ra0: float, dec0: float) -> FloatArray:
    with np.errstate(invalid="ignore"):
        up = np.sin(np.radians(dec - dec0) / 2.0)
        side = np.sin(np.radians(ra - ra0) / 2.0)
        found: FloatArray = up * up + np.cos(np.radians(dec)) * math.cos(math.radians(dec0)) * (
            side * side
        )
    return found
