"""From the sky to the pixels of a map and back, through wcslib."""

from __future__ import annotations

import copy
import math
import re
import threading
from hashlib import blake2b
from typing import Any

import numpy as np

from skyshade.geometry.distortion import Distortion, is_distorted
from skyshade.geometry.frames import frame_of, from_icrs, to_icrs
from skyshade.types import AnyArray, FloatArray

CYLINDRICAL = frozenset({"CAR", "CEA", "MER", "CYP"})

# Projections that wcslib inverts by a polynomial or that carry their own distortion: what comes
# back for positions far from the image may be another branch, so every point is verified.
_POLYNOMIAL = re.compile(r"C[PQ]DIS|-(ZPN|TPV|TPD|TNX|ZPX|DSS)'")  # in wcslib's own cards
ROUND_TRIP = 1e-6  # degrees
# Without parameters, both ways of these are inverse to each other wherever they are defined, unless
# the matrix is so skew or the reference pixel so far away (in degrees) that float64 loses digits.
_EXACT = frozenset({"TAN", "SIN", "STG", "ARC", "ZEA", "CAR", "CEA", "MER", "SFL", "AIT"})
_SKEW, _REACH = 1e4, 1e6
_STRAIGHT = 1e-6  # of a turn along x: how far it may lean
_KEPT = 64  # checked maps that nobody has asked for yet
_checked: dict[tuple[str, tuple[int, int]], PixelMap] = {}
_handing = threading.Lock()


def pixel_map(wcs: Any, shape: tuple[int, int], mark: str) -> PixelMap:
    """Return ``PixelMap(wcs, shape)``: that of `check_celestial` where it was made just before.

    `mark` is the fingerprint of the WCS.
    """
    with _handing:
        found = _checked.pop((mark, (int(shape[0]), int(shape[1]))), None)
    return PixelMap(wcs, shape) if found is None else found


def keep(pixels: PixelMap) -> None:
    """Keep a map for a `pixel_map` that comes soon, unless it holds tables of distortion."""
    if pixels.distorted:
        return
    with _handing:
        _checked[pixels.mark, pixels.shape] = pixels
        if len(_checked) > _KEPT:
            del _checked[next(iter(_checked))]


def projection_of(wcs: Any) -> str:
    """Return the three-letter projection code of a celestial WCS, "" when there is none."""
    ctype = str(wcs.wcs.ctype[wcs.wcs.lng])
    return ctype[5:8] if len(ctype) >= 8 and ctype[4] == "-" else ""


def fingerprint(wcs: Any) -> str:
    """Return a short text that changes when the WCS changes."""
    return _fingerprint(wcs, _cards(wcs))


def _cards(wcs: Any) -> str:
    return str(wcs.wcs.to_header(relax=True))


def _fingerprint(wcs: Any, cards: str) -> str:
    digest = blake2b(cards.encode(), digest_size=8)
    if wcs.sip is not None:
        for part in (wcs.sip.a, wcs.sip.b, wcs.sip.crpix):
            digest.update(b"" if part is None else np.ascontiguousarray(part).tobytes())
    for table in (wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2):
        if table is not None:
            digest.update(np.ascontiguousarray(table.data).tobytes())
    return digest.hexdigest()


def separation(ra1: AnyArray, dec1: AnyArray, ra2: AnyArray, dec2: AnyArray) -> FloatArray:
    """Return the angle between positions, all in degrees (haversine formula)."""
    with np.errstate(invalid="ignore"):
        half_dec, half_ra = np.radians((dec2 - dec1) / 2), np.radians((ra2 - ra1) / 2)
        cosines = np.cos(np.radians(dec1)) * np.cos(np.radians(dec2))
        square = np.sin(half_dec) ** 2 + cosines * np.sin(half_ra) ** 2
        angle: FloatArray = np.degrees(2.0 * np.arcsin(np.sqrt(np.clip(square, 0.0, 1.0))))
    return angle


def scale_matrix(prm: Any) -> FloatArray:
    """Return the matrix from pixel offsets to projection plane degrees (CD, or CDELT times PC)."""
    return np.asarray(prm.get_cdelt(), np.float64)[:, None] * np.asarray(prm.get_pc(), np.float64)


class PixelMap:
    """The way between ICRS positions and the pixels of one image, through wcslib.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, pixel order (x, y), checked with `skyshade.geometry.checks.check_celestial`.
    shape : (int, int)
        (ny, nx) of the image.

    Attributes
    ----------
    shape : (int, int)
    mark : str
        `fingerprint` of the WCS.
    frame : str
        As `skyshade.geometry.frames` names it.
    projection : str
        Three letters, e.g. ``"CAR"``.
    period : float
        Pixels along x for one turn of native longitude, when the projection is cylindrical and x
        is longitude; else 0. Cylindrical maps, also rotated ones, are found wherever they lie
        across native +-180 degrees.
    resolution : float
        Side of a pixel in degrees: sqrt of its area (at the image's centre, when not cylindrical).

    Notes
    -----
    Where wcslib may lead a position to a pixel that lies elsewhere, or does so at one of 600
    places, every pixel is led back to the sky, and is NaN where that is another position.

    wcslib's parameter blocks may not be used by two threads at once: each thread has a copy.
    """

    def __init__(self, wcs: Any, shape: tuple[int, int]) -> None:
        self.shape = (int(shape[0]), int(shape[1]))
        self.frame = frame_of(wcs)
        self.projection = projection_of(wcs)
        cards = _cards(wcs)
        self.mark = _fingerprint(wcs, cards)
        self._master = copy.copy(wcs.wcs)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._lng = int(wcs.wcs.lng)
        self._distortion = Distortion(wcs, self.shape) if is_distorted(wcs) else None
        self._crpix = [float(value) - 1.0 for value in wcs.wcs.crpix]
        self._turn = self._find_turn()
        self.period = self._find_period()
        curved = self._distortion is not None or _POLYNOMIAL.search(cards) is not None
        self._verify = curved or not (self._is_exact() or self._one_sided())
        self.resolution = self._find_resolution()

    def sky_to_pixel(self, ra: AnyArray, dec: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return 0-based pixel coordinates (x, y) of ICRS degrees; integers are pixel centres.

        NaN where the projection does not show the position. With a `period`, x lies in
        -0.5 <= x < period - 0.5; on other cylindrical maps the copy on the image is given, if
        there is one. Arrays of any (broadcast) shape.
        """
        shape = np.broadcast_shapes(np.shape(ra), np.shape(dec))
        lon, lat = from_icrs(ra, dec, self.frame)
        x, y = self._from_native(lon.ravel(), lat.ravel())
        return x.reshape(shape), y.reshape(shape)

    def pixel_to_sky(self, x: AnyArray, y: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ICRS (ra 0..360, dec) in degrees of 0-based pixel coordinates; NaN off the sky."""
        x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        lon, lat = self._to_native(x.ravel(), y.ravel())
        ra, dec = to_icrs(lon, lat, self.frame)
        return ra.reshape(x.shape), dec.reshape(x.shape)

    @property
    def distorted(self) -> bool:
        """Whether astropy applies a distortion before wcslib does the rest."""
        return self._distortion is not None

    def inside(self, x: AnyArray, y: AnyArray) -> Any:
        """Return whether pixel coordinates lie on the image, half a pixel round included."""
        ny, nx = self.shape
        return (x >= -0.5) & (x <= nx - 0.5) & (y >= -0.5) & (y <= ny - 0.5)

    def _prm(self) -> Any:
        """Return this thread's parameter block."""
        prm = getattr(self._local, "prm", None)
        if prm is None:
            with self._lock:  # copying touches the master
                prm = copy.copy(self._master)
            prm.bounds_check(True, True)
            prm.set()
            self._local.prm = prm
        return prm

    def _from_native(self, lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return pixels of positions in the map's own frame, shape (n,)."""
        world = np.empty((lon.size, 2))
        world[:, self._lng], world[:, 1 - self._lng] = lon, lat
        x, y = self._s2p(world)
        if self._distortion:
            x, y = self._distortion.undo(x, y)
        if self._verify:
            lon2, lat2 = self._to_native(x, y)
            with np.errstate(invalid="ignore"):
                off = ~(separation(lon, lat, lon2, lat2) < ROUND_TRIP)
            x[off] = y[off] = np.nan
        if self.period:
            x = x - self.period * np.floor((x + 0.5) / self.period)
        return self.nearest_copy(x, y)

    def _s2p(self, world: FloatArray) -> tuple[FloatArray, FloatArray]:
        if not len(world):
            return np.empty(0), np.empty(0)
        found = self._prm().s2p(world, 0)
        pixels, bad = found["pixcrd"], found["stat"] != 0
        if bad.any():
            pixels[bad] = np.nan
        return pixels[:, 0], pixels[:, 1]

    def _to_native(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        if not x.size:
            return np.empty(0), np.empty(0)
        if self._turn is not None:  # wcslib knows native longitudes of -180 to 180 only
            dx, dy = x - self._crpix[0], y - self._crpix[1]
            turns = np.round(self._along[0] * dx + self._along[1] * dy)
            x, y = x - turns * self._turn[0], y - turns * self._turn[1]
        if self._distortion:
            x, y = self._distortion.apply(x, y)
        found = self._prm().p2s(np.column_stack([x, y]), 0)
        world, bad = found["world"], found["stat"] != 0
        if bad.any():
            world[bad] = np.nan
        return world[:, self._lng], world[:, 1 - self._lng]

    def _find_turn(self) -> tuple[float, float] | None:
        """Return the pixels from a place to itself, one turn of native longitude on; maybe None.

        Sets what gives the turns of a pixel offset, too.
        """
        if self.projection not in CYLINDRICAL or self._distortion is not None:
            return None
        stretch = 1.0
        if self.projection == "CYP":  # x = lambda * longitude, lambda is PVi_2
            stretch = next((v for _, m, v in self._master.get_pv() if m == 2), 1.0)
        matrix = scale_matrix(self._master)
        goal = np.zeros(2)
        goal[self._lng] = 360.0 * stretch
        self._along = matrix[self._lng] / goal[self._lng]
        turn = np.linalg.solve(matrix, goal)
        if abs(turn[1]) <= _STRAIGHT * abs(turn[0]):
            turn[1] = 0.0
        return float(turn[0]), float(turn[1])

    def _find_period(self) -> float:
        if self._turn is None or self._lng != 0 or self._turn[1] != 0.0:
            return 0.0  # rotated on the pixel grid, or with longitude along y
        return abs(self._turn[0])

    def unturned(self, dx: FloatArray, dy: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return pixel offsets without the whole turns of native longitude that they hold."""
        if self._turn is None:
            return dx, dy
        turns = np.round(self._along[0] * dx + self._along[1] * dy)
        return dx - turns * self._turn[0], dy - turns * self._turn[1]

    def nearest_copy(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Move pixels by whole turns onto the image, else towards its middle.

        Those of maps with a `period` and of maps that are not cylindrical are left as they are.
        """
        if self._turn is None or self.period:
            return x, y
        lost = ~self.inside(x, y)
        (tx, ty), (ny, nx) = self._turn, self.shape
        at_x, at_y = x[lost], y[lost]
        off = ((nx - 1) / 2.0 - at_x) * tx + ((ny - 1) / 2.0 - at_y) * ty
        turns = np.round(off / (tx * tx + ty * ty))
        at_x, at_y = at_x + turns * tx, at_y + turns * ty
        for step in (-1.0, 1.0):  # an image longer than a turn may show the next copy only
            other_x, other_y = at_x + step * tx, at_y + step * ty
            beside = ~self.inside(at_x, at_y) & self.inside(other_x, other_y)
            at_x, at_y = np.where(beside, other_x, at_x), np.where(beside, other_y, at_y)
        x, y = x.copy(), y.copy()
        x[lost], y[lost] = at_x, at_y
        return x, y

    def _is_exact(self) -> bool:
        """Return whether wcslib leads every position back by its formulas alone."""
        if self.projection not in _EXACT or self._master.get_pv():
            return False
        (a, b), (c, d) = scale_matrix(self._master).tolist()
        square, det = a * a + b * b + c * c + d * d, abs(a * d - b * c)
        reach = max(map(abs, self._crpix)) + max(self.shape)
        return bool(square <= _SKEW * det and square * reach**2 <= _REACH**2)

    def _one_sided(self) -> bool:
        """Return whether wcslib leads every position back, tried at 600 places all over the sky."""
        n = np.arange(600)
        lon = (n * 360.0 * (math.sqrt(5.0) - 1.0) / 2.0) % 360.0
        lat = np.degrees(np.arcsin(2.0 * (n + 0.5) / n.size - 1.0))
        x, y = self._s2p(np.column_stack([lon, lat] if self._lng == 0 else [lat, lon]))
        shown = np.isfinite(x)
        back = self._to_native(x[shown], y[shown])
        return bool(np.all(separation(lon[shown], lat[shown], *back) < ROUND_TRIP))

    def _find_resolution(self) -> float:
        nominal = math.sqrt(abs(float(np.linalg.det(scale_matrix(self._master)))))
        if self.projection in CYLINDRICAL:
            return nominal
        ny, nx = self.shape
        x, y = (nx - 1) / 2 + np.array([0.0, 0.5, 0.0]), (ny - 1) / 2 + np.array([0.0, 0.0, 0.5])
        lon, lat = self._to_native(x, y)
        flat = np.cos(np.radians(lat[0]))
        dlon, dlat = ((lon[1:] - lon[0] + 180.0) % 360.0 - 180.0) * flat, lat[1:] - lat[0]
        area = 4.0 * abs(dlon[0] * dlat[1] - dlon[1] * dlat[0])
        local = math.sqrt(area) if math.isfinite(area) else 0.0
        return local if 0.01 * nominal < local < 100.0 * nominal else nominal
