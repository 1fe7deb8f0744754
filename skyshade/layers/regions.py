"""Regions that rows are asked for: cones, rectangles and polygons; boundaries are included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError
from skyshade.geometry.coverage import circle_coverage
from skyshade.types import AnyArray, Coverage, FloatArray

EDGE = 1e-10  # degrees: a boundary includes what rounding may have pushed beyond it
MAX_VERTICES = 10_000
_PAD = 1e-9  # degrees around a polygon's coverage
_SAME = 1e-13  # radians between vertices that are one
_FLAT = 1e-6  # cosine of the largest distance of a vertex from the middle
_ROUNDS = 100


class Region(Protocol):
    """A part of the sky."""

    @property
    def coverage(self) -> Coverage:
        """A sky rectangle that holds the region."""
        ...

    def contains(self, ra: AnyArray, dec: AnyArray) -> NDArray[np.bool_]:
        """Return whether ICRS positions (degrees, shape (n,)) lie in the region."""
        ...


@dataclass(frozen=True, slots=True)
class Cone:
    """A circle on the sphere.

    Parameters
    ----------
    ra, dec : float
        Centre, ICRS degrees.
    radius : float
        Degrees, 0 to 180.

    Raises
    ------
    InputError
        Names the value that is not allowed.
    """

    ra: float
    dec: float
    radius: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.ra):
            msg = f"ra {self.ra!r} is not allowed: give degrees"
            raise InputError(msg)
        if not -90.0 <= self.dec <= 90.0:
            msg = f"dec {self.dec!r} is not allowed: give degrees from -90 to 90"
            raise InputError(msg)
        if not 0.0 <= self.radius <= 180.0:
            msg = f"radius {self.radius!r} is not allowed: give degrees from 0 to 180"
            raise InputError(msg)

    @property
    def coverage(self) -> Coverage:
        """A sky rectangle that holds the circle, a little too large."""
        return circle_coverage(self.ra % 360.0 % 360.0, self.dec, self.radius)

    def contains(self, ra: AnyArray, dec: AnyArray) -> NDArray[np.bool_]:
        """Return whether positions lie in the circle."""
        near, far = _haversines(ra, dec, self.ra, self.dec)
        inside: NDArray[np.bool_]
        if self.radius <= 90.0:
            inside = near <= _half_sine(self.radius + EDGE)
        else:
            inside = far >= _half_sine(180.0 - self.radius - EDGE)
        return inside

    def distances(self, ra: AnyArray, dec: AnyArray) -> FloatArray:
        """Return the angles of positions from the centre, degrees."""
        return separation(ra, dec, self.ra, self.dec)


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle of RA and declination, from its eastern side with falling RA to its western.

    Parameters
    ----------
    ra_east, ra_west, dec_min, dec_max : float
        ICRS degrees. ``ra_east`` is at least ``ra_west``, by at most 360: across RA 0 give e.g.
        365 and 355.

    Raises
    ------
    InputError
        Names the value that is not allowed.
    """

    ra_east: float
    ra_west: float
    dec_min: float
    dec_max: float

    def __post_init__(self) -> None:
        if not -EDGE <= self.ra_east - self.ra_west <= 360.0 + EDGE:
            msg = (
                f"ra_east {self.ra_east!r} is not between ra_west {self.ra_west!r} "
                "and 360 degrees more"
            )
            raise InputError(msg)
        if not self.dec_min <= self.dec_max:
            msg = f"dec_min {self.dec_min!r} is not below dec_max {self.dec_max!r}"
            raise InputError(msg)

    @property
    def coverage(self) -> Coverage:
        """The rectangle itself."""
        return Coverage(self.ra_east, self.ra_west, self.dec_min, self.dec_max)

    def contains(self, ra: AnyArray, dec: AnyArray) -> NDArray[np.bool_]:
        """Return whether positions lie in the rectangle."""
        inside: NDArray[np.bool_] = (dec >= self.dec_min - EDGE) & (dec <= self.dec_max + EDGE)
        width = self.ra_east - self.ra_west
        if width < 360.0:
            west = np.mod(self.ra_east - ra, 360.0)  # degrees west of the eastern edge
            inside &= (west <= width + EDGE) | (west >= 360.0 - EDGE)
        return inside


@dataclass(frozen=True)
class Polygon:
    """A polygon on the sphere whose sides are great circles.

    Its inside is the part within the hemisphere that holds its vertices, whatever their sense of
    rotation; it may hold a pole and cross RA 0. Where sides cross, what they enclose an even number
    of times is outside.

    Parameters
    ----------
    vertices : sequence of (float, float)
        ICRS (ra, dec) in degrees, three or more; the last is joined to the first.

    Raises
    ------
    InputError
        Vertices that are too few, not on the sky, or not within one hemisphere.
    """

    vertices: Sequence[tuple[float, float]]
    _nodes: FloatArray = field(init=False, repr=False, compare=False)
    _middle: FloatArray = field(init=False, repr=False, compare=False)
    _up: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = np.array(_pairs(self.vertices), np.float64)
        nodes = unit_vectors(given[:, 0], given[:, 1]).T
        nodes = nodes[np.abs(nodes - np.roll(nodes, 1, axis=0)).max(axis=1) > _SAME]
        if len(nodes) < 3:
            msg = f"a polygon of {len(nodes)} different vertices is not allowed: give 3 or more"
            raise InputError(msg)
        object.__setattr__(self, "vertices", tuple(map(tuple, given.tolist())))
        object.__setattr__(self, "_nodes", nodes)
        object.__setattr__(self, "_middle", _middle_of(nodes))
        object.__setattr__(self, "_up", _across(nodes, self._middle))

    @property
    def coverage(self) -> Coverage:
        """The sky rectangle around the polygon."""
        north, south = self.contains(np.zeros(2), np.array([90.0, -90.0]))
        low, high = _dec_range(self._nodes)
        low, high = max(low - _PAD, -90.0), min(high + _PAD, 90.0)
        ra = np.degrees(np.arctan2(self._nodes[:, 1], self._nodes[:, 0]))
        steps = np.mod(np.diff(ra, append=ra[0]) + 180.0, 360.0) - 180.0
        along = ra[0] + np.concatenate([[0.0], np.cumsum(steps)])
        if north or south or abs(along[-1] - along[0]) > 180.0:
            return Coverage(360.0, 0.0, -90.0 if south else low, 90.0 if north else high)
        pad = _PAD / max(math.cos(math.radians(max(abs(low), abs(high)))), 1e-9)
        width = min(float(np.ptp(along)) + 2.0 * pad, 360.0)
        west = (float(along.min()) - pad) % 360.0 % 360.0
        return Coverage(west + width, west, low, high)

    def contains(self, ra: AnyArray, dec: AnyArray) -> NDArray[np.bool_]:
        """Return whether positions lie in the polygon.

        In the gnomonic plane about a middle of the vertices sides are straight lines, and a point
        is inside when a ray from it crosses an odd number of them.
        """
        points = unit_vectors(ra, dec)
        ahead = self._middle @ points
        front = np.flatnonzero(ahead > 0)
        height = (self._up @ points[:, front]) / ahead[front]
        sort = np.argsort(height)
        found = np.zeros(ahead.shape, np.bool_)
        found[front[sort]] = self._holds(points[:, front[sort]], height[sort])
        return found

    def _holds(self, points: FloatArray, height: FloatArray) -> NDArray[np.bool_]:
        """Return whether unit vectors, sorted by their height in the plane, lie in the polygon."""
        inside, rim = np.zeros((2, height.size), np.bool_)
        edge, depth = math.radians(EDGE), self._nodes @ self._middle
        ends = (self._nodes @ self._up) / depth
        for i, last in enumerate(ends):  # the side that ends at node i
            first = ends[i - 1]
            low, high = min(first, last), max(first, last)
            more = 4.0 * edge / min(depth[i - 1], depth[i]) ** 2  # an edge's width in the plane
            crossed = slice(*np.searchsorted(height, (low, high)))
            near = slice(*np.searchsorted(height, (low - more, high + more)))
            normal, along_a, along_b = _side(self._nodes[i - 1], self._nodes[i])
            across = normal @ points[:, near]
            turn = across if first <= last else -across
            start = crossed.start - near.start
            inside[crossed] ^= turn[start : start + crossed.stop - crossed.start] > 0
            close = np.flatnonzero(np.abs(across) <= edge)
            some = points[:, near][:, close]
            rim[near.start + close] |= (along_a @ some >= -edge) & (along_b @ some <= edge)
        return inside | rim


def unit_vectors(ra: AnyArray, dec: AnyArray) -> FloatArray:
    """Return positions (degrees, shape (n,)) as unit vectors, shape (3, n)."""
    a, d = np.radians(ra), np.radians(dec)
    flat = np.cos(d)
    return np.stack([flat * np.cos(a), flat * np.sin(a), np.sin(d)])


def separation(ra: AnyArray, dec: AnyArray, ra0: float, dec0: float) -> FloatArray:
    """Return the angle to a position in degrees, exact for small angles and near 180."""
    near, far = _haversines(ra, dec, ra0, dec0)
    angle: FloatArray = np.degrees(2.0 * np.arctan2(np.sqrt(near), np.sqrt(far)))
    return angle


def _haversines(
    ra: AnyArray, dec: AnyArray, ra0: float, dec0: float
) -> tuple[FloatArray, FloatArray]:
    """Return haversines of the angles to a position and to its antipode."""
    half = np.radians(np.asarray(ra) - ra0) / 2.0
    d, d0 = np.radians(dec), math.radians(dec0)
    flat = np.cos(d) * math.cos(d0)
    near: FloatArray = np.sin((d - d0) / 2.0) ** 2 + flat * np.sin(half) ** 2
    far: FloatArray = np.sin((d + d0) / 2.0) ** 2 + flat * np.cos(half) ** 2
    return near, far


def _half_sine(angle: float) -> float:
    """Return the haversine of an angle in degrees; -1 below 0."""
    return math.sin(math.radians(angle) / 2.0) ** 2 if angle >= 0.0 else -1.0


def _pairs(vertices: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return vertices as checked pairs."""
    if not 3 <= len(vertices) <= MAX_VERTICES:
        msg = f"a polygon of {len(vertices)} vertices is not allowed: give 3 to {MAX_VERTICES}"
        raise InputError(msg)
    found = []
    for vertex in vertices:
        if len(vertex) != 2:
            msg = f"the vertex {vertex!r} of a polygon is not allowed: give (ra, dec)"
            raise InputError(msg)
        ra, dec = (float(value) for value in vertex)
        if not (math.isfinite(ra) and -90.0 <= dec <= 90.0):
            msg = f"the vertex {ra!r}, {dec!r} of a polygon is not allowed: give ICRS degrees"
            raise InputError(msg)
        found.append((ra % 360.0 % 360.0, dec))
    return found


def _middle_of(nodes: FloatArray) -> FloatArray:
    """Return a point from which all nodes are less than 90 degrees away.

    It lies towards the point of the nodes' convex hull that is nearest to the origin (found as
    Gilbert, Johnson and Keerthi 1988 do, by a few nodes at a time).
    """
    few = nodes[:1]
    for _ in range(_ROUNDS):
        few, nearest = _nearest_to_origin(few)
        heights = nodes @ nearest
        length = float(np.linalg.norm(nearest))
        if length < _FLAT or float(heights.min()) > 0.5 * length * length:
            break
        few = np.vstack([few, nodes[np.argmin(heights)]])
    if length < _FLAT or float(heights.min()) <= _FLAT * length:
        msg = "a polygon of a hemisphere or more is not allowed: its vertices lie too far apart"
        raise InputError(msg)
    unit: FloatArray = nearest / length
    return unit


def _nearest_to_origin(nodes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return those of at most four nodes whose hull is nearest to the origin, and its point."""
    best, chosen = np.full(3, np.inf), nodes
    for count in range(1, len(nodes) + 1):
        for some in map(list, combinations(range(len(nodes)), count)):
            part = nodes[some]
            system = np.ones((count + 1, count + 1))  # least distance, weights that sum up to 1
            system[:count, :count], system[count, count] = part @ part.T, 0.0
            weights = np.linalg.lstsq(system, np.eye(count + 1)[count])[0][:count]
            point = weights @ part
            if weights.min() >= -_SAME and np.linalg.norm(point) < np.linalg.norm(best):
                best, chosen = point, part
    return chosen, best


def _across(nodes: FloatArray, middle: FloatArray) -> FloatArray:
    """Return a unit vector across `middle` that is far from square to every side.

    Else a point on the prolongation of a side would lie at the height of all of that side.
    """
    axis = np.eye(3)[int(np.argmin(np.abs(middle)))]
    x = np.cross(axis, middle)
    x /= np.linalg.norm(x)
    y = np.cross(middle, x)
    flat = (nodes @ np.stack([x, y], axis=1)) / (nodes @ middle)[:, None]
    sides = flat - np.roll(flat, 1, axis=0)
    angles = np.sort(np.arctan2(sides[:, 1], sides[:, 0]) % np.pi)
    gaps = np.diff(angles, append=angles[0] + np.pi)
    widest = int(np.argmax(gaps))
    level = float(angles[widest] + gaps[widest] / 2.0)
    up: FloatArray = math.cos(level) * y - math.sin(level) * x
    return up


def _side(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the normal of the great circle from a to b, and its directions at both."""
    normal = np.cross(a - b, a + b)  # twice a x b, exact for short sides
    normal /= np.linalg.norm(normal)
    return normal, np.cross(normal, a), np.cross(normal, b)


def _dec_range(nodes: FloatArray) -> tuple[float, float]:
    """Return the least and the greatest declination of a polygon's sides, degrees."""
    decs = np.degrees(np.arctan2(nodes[:, 2], np.hypot(nodes[:, 0], nodes[:, 1])))
    low, high = float(decs.min()), float(decs.max())
    for a, b in zip(np.roll(nodes, 1, axis=0), nodes, strict=True):
        normal, along_a, along_b = _side(a, b)
        top = np.array([0.0, 0.0, 1.0]) - normal[2] * normal  # of the great circle
        dec = math.degrees(math.atan2(math.hypot(normal[0], normal[1]), abs(normal[2])))
        if along_a @ top >= 0.0 >= along_b @ top:
            high = max(high, dec)
        if along_a @ -top >= 0.0 >= along_b @ -top:
            low = min(low, -dec)
    return low, high
