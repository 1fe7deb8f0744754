"""Outlines of shapes on the sphere, and how they lie on the plate carree plane.

Positions are degrees of one frame; a position angle runs from north through east. Shapes with axes
(ellipse, box) take the angle of their width axis counted from west through north, as regions files
do: that is counter-clockwise from the horizontal axis of an image with north up and east left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from skyshade.types import AnyArray, FloatArray, IntArray

AROUND = 120  # vertices of a circle
STEP = 0.5  # degrees, the longest side of what is drawn for a great circle
JUMP = 3.0  # degrees of right ascension between vertices, above which one is put between
ROUNDS = 14  # halvings: enough to come within 0.01 degrees of a pole


@dataclass(frozen=True)
class Ring:
    """One line on the sphere.

    Parameters
    ----------
    lon, lat : ndarray of float64, shape (n,)
        Degrees; a closed line ends where it begins.
    corner : ndarray of bool, shape (n,)
        Vertices that must not be left out when the line is drawn with fewer.
    """

    lon: FloatArray
    lat: FloatArray
    corner: AnyArray


@dataclass(frozen=True, eq=False)
class Outlines:
    """Lines that belong to the rows of a table, ready to be drawn.

    Parameters
    ----------
    u, v : ndarray of float64, shape (vertices,)
        -RA without jumps along each line, and Dec; degrees, ICRS.
    corner : ndarray of bool, shape (vertices,)
    starts : ndarray of int64, shape (lines + 1,)
        First vertex of each line.
    rows : ndarray of int64, shape (lines,)
        The row that each line belongs to.
    colours : sequence of str
        One a row: a name or ``#rrggbb``, "" for none.
    texts : sequence of str
        One a row: frame and shape as DS9 writes them, each on a line of its own.
    """

    u: FloatArray
    v: FloatArray
    corner: AnyArray
    starts: IntArray
    rows: IntArray
    colours: Sequence[str] = field(default=())
    texts: Sequence[str] = field(default=())

    @classmethod
    def of(
        cls,
        rings: Sequence[Ring],
        rows: Sequence[int],
        colours: Sequence[str],
        texts: Sequence[str],
    ) -> Outlines:
        """Join lines whose positions are ICRS degrees; more vertices are put in near the poles."""
        fine = [refined(ring) for ring in rings]
        sizes = [ring.lon.size for ring in fine]
        parts = [np.concatenate([getattr(r, n) for r in fine] or [[]]) for n in ("lon", "lat")]
        corner = np.concatenate([ring.corner for ring in fine] or [np.empty(0, bool)])
        starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        u = _unwrapped(-parts[0], starts)
        return cls(u, parts[1], corner, starts, np.asarray(rows, np.int64), colours, texts)

    def of_rows(self, rows: AnyArray) -> Outlines:
        """Return the same lines for a table that has kept only these rows, in this order."""
        place = np.full(max(len(self.colours), 1), -1, np.int64)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[self.rows] >= 0) if self.rows.size else self.rows
        spans = [np.arange(self.starts[i], self.starts[i + 1]) for i in kept]
        which = np.concatenate(spans) if spans else np.empty(0, np.int64)
        sizes = np.diff(self.starts)[kept]
        return replace(
            self,
            u=self.u[which],
            v=self.v[which],
            corner=self.corner[which],
            starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            rows=place[self.rows[kept]],
            colours=[self.colours[i] for i in rows],
            texts=[self.texts[i] for i in rows],
        )

    def boxes(self) -> FloatArray:
        """Return (u_min, u_max, v_min, v_max) of each line, shape (lines, 4)."""
        if not self.rows.size:
            return np.empty((0, 4))
        first = self.starts[:-1]
        ends = [f.reduceat(p, first) for p in (self.u, self.v) for f in (np.minimum, np.maximum)]
        return np.stack(ends, axis=1)


def circle(lon: float, lat: float, radius: float) -> Ring:
    """Return the small circle `radius` degrees about a position."""
    return ellipse(lon, lat, 2.0 * radius, 2.0 * radius, 0.0)


def ellipse(lon: float, lat: float, width: float, height: float, angle: float) -> Ring:
    """Return an ellipse: its points have their true distance and position angle from the centre.

    Parameters
    ----------
    lon, lat : float
    width, height : float
        Whole axes, degrees.
    angle : float
        Of the width axis, see the module.
    """
    turn = np.linspace(0.0, 2.0 * np.pi, AROUND + 1)
    x, y = width / 2.0 * np.cos(turn), height / 2.0 * np.sin(turn)
    corner = np.zeros(turn.size, bool)
    corner[[0, -1]] = True
    return Ring(*_from_plane(lon, lat, x, y, angle), corner)


def box(lon: float, lat: float, width: float, height: float, angle: float) -> Ring:
    """Return a rectangle: corners at their true distance and position angle, great circles between.

    Parameters as for `ellipse`; `width` and `height` are whole sides.
    """
    x, y = (
        np.array([-1.0, 1.0, 1.0, -1.0]) * width / 2,
        np.array([-1.0, -1.0, 1.0, 1.0]) * height / 2,
    )
    return polygon(*_from_plane(lon, lat, x, y, angle))


def polygon(lon: AnyArray, lat: AnyArray) -> Ring:
    """Return a closed line of great circles through vertices."""
    return line(np.append(lon, np.asarray(lon)[0]), np.append(lat, np.asarray(lat)[0]))


def line(lon: AnyArray, lat: AnyArray) -> Ring:
    """Return an open line of great circles through vertices."""
    at = _vectors(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    parts: list[FloatArray] = []
    corner: list[bool] = []
    for a, b in pairwise(at):
        apart = np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)
        n = max(1, int(np.ceil(np.degrees(apart) / STEP)))
        t = np.arange(n) / n
        if apart > 1e-12:
            mix = np.sin((1 - t) * apart)[:, None] * a + np.sin(t * apart)[:, None] * b
            parts.append(mix / np.sin(apart))
        else:
            parts.append(a[None])
            n = 1
        corner += [True] + [False] * (n - 1)
    parts.append(at[-1:])
    return Ring(*_angles(np.concatenate(parts)), np.array([*corner, True]))


def refined(ring: Ring) -> Ring:
    """Return a line with vertices put in where right ascension jumps: close to the poles."""
    lon, lat, corner = ring.lon, ring.lat, ring.corner
    for _ in range(ROUNDS):
        step = np.abs((np.diff(lon) + 180.0) % 360.0 - 180.0)
        polar = np.maximum(np.abs(lat[:-1]), np.abs(lat[1:])) > 89.9999
        wide = np.flatnonzero((step > JUMP) & ~polar)
        if not wide.size:
            break
        at = _vectors(lon, lat)
        middle = _angles(at[wide] + at[wide + 1])
        lon, lat = (np.insert(p, wide + 1, m) for p, m in zip((lon, lat), middle, strict=True))
        corner = np.insert(corner, wide + 1, True)
    return Ring(lon, lat, corner)


def _from_plane(
    lon: float, lat: float, x: FloatArray, y: FloatArray, angle: float
) -> tuple[FloatArray, FloatArray]:
    """Return positions given by offsets along turned axes, degrees (zenithal equidistant)."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    west, north = x * c - y * s, x * s + y * c
    distance, direction = np.radians(np.hypot(west, north)), np.arctan2(-west, north)
    a, d = np.radians(lon), np.radians(lat)
    centre = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    up = np.array([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)])
    east = np.array([-np.sin(a), np.cos(a), 0.0])
    along = np.cos(direction)[:, None] * up + np.sin(direction)[:, None] * east
    return _angles(np.cos(distance)[:, None] * centre + np.sin(distance)[:, None] * along)


def _vectors(lon: AnyArray, lat: AnyArray) -> FloatArray:
    a, d = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)


def _angles(at: FloatArray) -> tuple[FloatArray, FloatArray]:
    x, y, z = at[:, 0], at[:, 1], at[:, 2]
    lon = np.degrees(np.arctan2(y, x)) % 360.0
    return np.where(lon >= 360.0, 0.0, lon), np.degrees(np.arctan2(z, np.hypot(x, y)))


def _unwrapped(u: FloatArray, starts: IntArray) -> FloatArray:
    """Return `u` with steps of less than half a turn along each line, begun in -180..180."""
    if not u.size:
        return u
    steps = (np.diff(u, prepend=u[0]) + 180.0) % 360.0 - 180.0
    first = starts[:-1]
    steps[first] = 0.0
    run = np.cumsum(steps)
    begin = (u[first] + 180.0) % 360.0 - 180.0
    return np.asarray(run + np.repeat(begin - run[first], np.diff(starts)))
