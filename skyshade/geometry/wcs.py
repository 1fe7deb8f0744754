"""From the sky to the pixels of a map, and whether a WCS can do that at all."""

from __future__ import annotations

import copy
import math
import threading
from hashlib import blake2b
from typing import Any

import numpy as np
from astropy.wcs import NoConvergence, WcsError

from skyshade.errors import InputError, one_line
from skyshade.geometry.frames import frame_of, from_icrs, to_icrs
from skyshade.types import AnyArray, FloatArray

CYLINDRICAL = frozenset({"CAR", "CEA", "MER", "CYP"})

# Projections that wcslib inverts by a polynomial or that carry their own distortion: what comes
# back for positions far from the image may be another branch, so every point is verified.
_POLYNOMIAL = frozenset({"ZPN", "TPV", "TPD", "TNX", "ZPX", "DSS"})
_ROUND_TRIP = 1e-6  # degrees
# Beyond these, float64 leaves too little of a position, or the numbers are not what they say.
_FAR = 1e9  # pixels from the image to the reference pixel
_TURNS = 3600.0  # degrees of a reference position
_SIDES = (1e-11, 360.0)  # degrees along a pixel
_STEPS = 30
_NOWHERE = (0.0, 0.0), (0.0, 0.0, 0.0, 0.0)  # maps without distortion do not look for any
_FAILURES = (
    WcsError,
    NoConvergence,
    ValueError,
    TypeError,
    MemoryError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    AttributeError,
)


def check_celestial(wcs: Any, shape: tuple[int, int]) -> None:
    """Check that a WCS places an image on the sky.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Two axes, pixel order (x, y).
    shape : (int, int)
        (ny, nx) of the image.

    Raises
    ------
    InputError
        With the cause in a few words: no two celestial axes, values that are not finite or out
        of all reason, a singular matrix, an unknown projection, no pixel on the sky, or no way
        back to pixels.
    """
    if len(shape) != 2 or min(shape) < 1:
        msg = f"image shape {tuple(shape)} is not allowed: two axes of at least one pixel"
        raise InputError(msg)
    try:
        _check_axes(wcs)
        _check_numbers(wcs.wcs)
        pixels = PixelMap(wcs, shape)
        _check_sample(pixels)
    except InputError:
        raise
    except _FAILURES as error:  # wcslib on real headers raises all of these
        msg = one_line(_wcslib_cause(error), 160)
        raise InputError(msg) from error


def _wcslib_cause(error: BaseException) -> str:
    """Return the last line of wcslib's report, which says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("ERROR")] or lines
    return said[-1].rstrip(".") if said else type(error).__name__


def _check_axes(wcs: Any) -> None:
    if wcs.wcs.naxis != 2:
        msg = f"the WCS has {wcs.wcs.naxis} axes: two celestial ones are needed"
        raise InputError(msg)
    wcs.wcs.set()
    types = ", ".join(str(t) for t in wcs.wcs.ctype)
    if min(wcs.wcs.lng, wcs.wcs.lat) < 0:
        msg = f"no two celestial axes (CTYPE {types})"
        raise InputError(msg)
    if not projection_of(wcs):
        msg = f"no projection (CTYPE {types})"
        raise InputError(msg)


def _check_numbers(prm: Any) -> None:
    for name, values in (("CRVAL", prm.crval), ("CRPIX", prm.crpix), ("CDELT", prm.get_cdelt())):
        if not np.all(np.isfinite(values)):
            msg = f"{name} is not finite: {', '.join(f'{v:g}' for v in values)}"
            raise InputError(msg)
    det = float(np.linalg.det(_scale_matrix(prm)))
    if not (math.isfinite(det) and det != 0.0):
        msg = "the matrix from pixels to degrees is singular (CDELT, PC or CD)"
        raise InputError(msg)
    _check_sizes(prm)


def _check_sizes(prm: Any) -> None:
    """Refuse finite numbers that no sky map has."""
    for name, values, most, cause in (
        ("CRPIX", prm.crpix, _FAR, "nowhere near the image"),
        ("CRVAL", prm.crval, _TURNS, "no position in degrees"),
    ):
        if np.abs(values).max() > most:
            msg = f"{name} = {', '.join(f'{v:g}' for v in values)} is {cause}"
            raise InputError(msg)
    sides = np.hypot(*_scale_matrix(prm))
    if not (_SIDES[0] <= sides.min() and sides.max() <= _SIDES[1]):
        text = " x ".join(f"{v:g}" for v in sides)
        msg = f"pixels of {text} degrees are not allowed: {_SIDES[0]:g} to {_SIDES[1]:g} (CDELT)"
        raise InputError(msg)


def _check_sample(pixels: PixelMap) -> None:
    ny, nx = pixels.shape
    x, y = np.meshgrid(np.linspace(0, nx - 1, 17), np.linspace(0, ny - 1, 17))
    ra, dec = pixels.pixel_to_sky(x, y)
    found = np.isfinite(ra) & np.isfinite(dec)
    if not found.any():
        msg = "no pixel of the image lies on the sky"
        raise InputError(msg)
    back = pixels.pixel_to_sky(*pixels.sky_to_pixel(ra[found], dec[found]))
    away = separation(ra[found], dec[found], *back)
    if not np.any(away < max(1e-9, 0.01 * pixels.resolution)):
        msg = "sky positions do not lead back to the pixels they come from"
        raise InputError(msg)


def projection_of(wcs: Any) -> str:
    """Return the three-letter projection code of a celestial WCS, "" when there is none."""
    ctype = str(wcs.wcs.ctype[wcs.wcs.lng])
    return ctype[5:8] if len(ctype) >= 8 and ctype[4] == "-" else ""


def fingerprint(wcs: Any) -> str:
    """Return a short text that changes when the WCS changes."""
    digest = blake2b(str(wcs.wcs.to_header(relax=True)).encode(), digest_size=8)
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


def _scale_matrix(prm: Any) -> FloatArray:
    """Return the matrix from pixel offsets to projection plane degrees (CD, or CDELT times PC)."""
    return np.asarray(prm.get_cdelt(), np.float64)[:, None] * np.asarray(prm.get_pc(), np.float64)


class PixelMap:
    """The way between ICRS positions and the pixels of one image, through wcslib.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, pixel order (x, y), checked with `check_celestial`.
    shape : (int, int)
        (ny, nx) of the image.

    Attributes
    ----------
    shape : (int, int)
    frame : str
        As `skyshade.geometry.frames` names it.
    projection : str
        Three letters, e.g. ``"CAR"``.
    period : float
        Pixels along x for one turn of native longitude, when the projection is cylindrical and x
        is longitude; else 0. Such maps are found wherever they lie across native +-180 degrees.
    resolution : float
        Side of a pixel in degrees: sqrt of its area (at the image's centre, when not cylindrical).

    Notes
    -----
    wcslib's parameter blocks and astropy's SIP (it has a scratch buffer) may not be used by two
    threads at once: each thread has copies.
    """

    def __init__(self, wcs: Any, shape: tuple[int, int]) -> None:
        self._wcs = wcs
        self.shape = (int(shape[0]), int(shape[1]))
        self.frame = frame_of(wcs)
        self.projection = projection_of(wcs)
        self._master = copy.copy(wcs.wcs)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._lng = int(wcs.wcs.lng)
        self._distorted = wcs.sip is not None or any(
            table is not None for table in (wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2)
        )
        self._crpix = float(wcs.wcs.crpix[0]) - 1.0
        self._shift, self._near = self._find_reach() if self._distorted else _NOWHERE
        self.period = self._find_period()
        self._verify = self._distorted or self.projection in _POLYNOMIAL or not self._one_sided()
        self.resolution = self._find_resolution()

    def sky_to_pixel(self, ra: AnyArray, dec: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return 0-based pixel coordinates (x, y) of ICRS degrees; integers are pixel centres.

        NaN where the projection does not show the position. With a `period`, x lies in
        -0.5 <= x < period - 0.5. Arrays of any (broadcast) shape.
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

    def _distort(self, x: FloatArray, y: FloatArray) -> Any:
        """Apply the distortion (SIP and tables), with this thread's copy of it."""
        wcs = getattr(self._local, "wcs", None)
        if wcs is None:
            with self._lock:
                wcs = self._local.wcs = self._wcs.deepcopy()
        return wcs.pix2foc(x, y, 0)

    def _from_native(self, lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return pixels of positions in the map's own frame, shape (n,)."""
        world = np.empty((lon.size, 2))
        world[:, self._lng], world[:, 1 - self._lng] = lon, lat
        x, y = self._s2p(world)
        if self._distorted:
            x, y = self._undo_distortion(x, y)
        if self._verify:
            lon2, lat2 = self._to_native(x, y)
            with np.errstate(invalid="ignore"):
                off = ~(separation(lon, lat, lon2, lat2) < _ROUND_TRIP)
            x[off] = y[off] = np.nan
        if self.period:
            x = x - self.period * np.floor((x + 0.5) / self.period)
        return x, y

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
        if self.period:  # wcslib knows native longitudes of -180 to 180 only
            x = x - self.period * np.round((x - self._crpix) / self.period)
        if self._distorted:
            x, y = self._distort(x, y)
        found = self._prm().p2s(np.column_stack([x, y]), 0)
        world, bad = found["world"], found["stat"] != 0
        if bad.any():
            world[bad] = np.nan
        return world[:, self._lng], world[:, 1 - self._lng]

    def _undo_distortion(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Invert the distortion by fixed-point iteration; NaN far from the image.

        What has not settled is found out by the verification that follows.
        """
        x0, x1, y0, y1 = self._near
        with np.errstate(invalid="ignore", over="ignore"):
            near = (x > x0) & (x < x1) & (y > y0) & (y < y1)
            out_x, out_y = np.full_like(x, np.nan), np.full_like(y, np.nan)
            goal_x, goal_y = x[near], y[near]
            at_x, at_y = goal_x - self._shift[0], goal_y - self._shift[1]
            for _ in range(_STEPS if goal_x.size else 0):
                foc_x, foc_y = self._distort(at_x, at_y)
                step_x, step_y = goal_x - foc_x, goal_y - foc_y
                at_x, at_y = at_x + step_x, at_y + step_y
                if not np.any(np.hypot(step_x, step_y) >= 1e-9):
                    break
        out_x[near], out_y[near] = at_x, at_y
        return out_x, out_y

    def _find_reach(self) -> tuple[tuple[float, float], tuple[float, float, float, float]]:
        """Return by how much the distortion moves the image, and x0, x1, y0, y1 around it.

        Polynomials run wild far from the image, so positions that lie more than an image away
        from its distorted border are not looked for.
        """
        ny, nx = self.shape
        along, up = np.linspace(-0.5, nx - 0.5, 65), np.linspace(-0.5, ny - 0.5, 65)
        side, end = np.full(65, -0.5), np.full(65, 1.0)
        x = np.concatenate([along, along, side, end * (nx - 0.5)])
        y = np.concatenate([side, end * (ny - 0.5), up, up])
        foc_x, foc_y = self._distort(x, y)
        shift = float(np.mean(foc_x - x)), float(np.mean(foc_y - y))
        x0, x1 = float(foc_x.min()), float(foc_x.max())
        y0, y1 = float(foc_y.min()), float(foc_y.max())
        wide, tall = max(nx, x1 - x0), max(ny, y1 - y0)
        return shift, (x0 - wide, x1 + wide, y0 - tall, y1 + tall)

    def _find_period(self) -> float:
        if self.projection not in CYLINDRICAL or self._distorted or self._lng != 0:
            return 0.0
        stretch = 1.0
        if self.projection == "CYP":  # x = lambda * longitude, lambda is PVi_2
            stretch = next((v for _, m, v in self._master.get_pv() if m == 2), 1.0)
        turn = np.linalg.solve(_scale_matrix(self._master), [360.0 * stretch, 0.0])
        if abs(turn[1]) > 1e-6 * abs(turn[0]):
            return 0.0  # rotated on the pixel grid
        return float(abs(turn[0]))

    def _one_sided(self) -> bool:
        """Return whether wcslib leads every position back, tried at 600 places all over the sky."""
        n = np.arange(600)
        lon = (n * 360.0 * (math.sqrt(5.0) - 1.0) / 2.0) % 360.0
        lat = np.degrees(np.arcsin(2.0 * (n + 0.5) / n.size - 1.0))
        x, y = self._s2p(np.column_stack([lon, lat] if self._lng == 0 else [lat, lon]))
        shown = np.isfinite(x)
        back = self._to_native(x[shown], y[shown])
        return bool(np.all(separation(lon[shown], lat[shown], *back) < _ROUND_TRIP))

    def _find_resolution(self) -> float:
        nominal = math.sqrt(abs(float(np.linalg.det(_scale_matrix(self._master)))))
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
