"""Celestial frames: rotations between ICRS and the frame of a map.

A frame is named by a short text: ``"icrs"``, ``"fk5"`` (J2000), ``"fk5 J1975"``, ``"fk4"``
(B1950), ``"fk4 B1975"``, ``"galactic"``, ``"supergalactic"``, ``"ecliptic"`` (mean, J2000) or
``"ecliptic J1980"``. All but FK4, whose E-terms of aberration are no rotation, are 3 x 3 matrices.

Sources: ICRS to FK5, frame bias of USNO Circular 179 (eq. 3.4 and text); precession and the mean
ecliptic, IAU 2006 as in ERFA's ``bp06`` and ``ecm06``; galactic pole and node of Reid & Brunthaler
2004 (ApJ 616, 872, appendix A, for J2000); supergalactic pole at l = 47.37, b = 6.32 and origin at
l = 137.37, b = 0 (de Vaucouleurs et al. 1976, Second Reference Catalogue).
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.planes import wrap_ra
from skyshade.types import AnyArray, FloatArray

FRAMES = ("icrs", "fk5", "fk4", "galactic", "supergalactic", "ecliptic")
_EPOCHS = {"fk5": ("J", 2000.0), "fk4": ("B", 1950.0), "ecliptic": ("J", 2000.0)}
_BY_LONGITUDE = {"GLON": "galactic", "SLON": "supergalactic"}
_J2000 = 2451545.0


def from_icrs(ra: AnyArray, dec: AnyArray, frame: str) -> tuple[FloatArray, FloatArray]:
    """Return (lon 0..360, lat) in `frame` of ICRS positions; degrees, broadcast shape.

    Positions that are not finite become NaN. Raises UnknownNameError or InputError for a frame
    that is not known.
    """
    name, equinox = split_frame(frame)
    if name == "fk4":
        return _through_astropy(ra, dec, equinox, to_icrs=False)
    return _rotate(ra, dec, _matrix(name, equinox))


def to_icrs(lon: AnyArray, lat: AnyArray, frame: str) -> tuple[FloatArray, FloatArray]:
    """Return ICRS (ra 0..360, dec) of positions in `frame`; degrees, broadcast shape.

    Positions that are not finite become NaN. Raises UnknownNameError or InputError for a frame
    that is not known.
    """
    name, equinox = split_frame(frame)
    if name == "fk4":
        return _through_astropy(lon, lat, equinox, to_icrs=True)
    matrix = _matrix(name, equinox)
    return _rotate(lon, lat, None if matrix is None else matrix.T)


def split_frame(frame: str) -> tuple[str, float]:
    """Return the name and the equinox (a year; 0 where a frame has none) of a frame's text.

    Raises
    ------
    UnknownNameError
        The name is not among `FRAMES`.
    InputError
        The equinox is not a year of the right kind (J for FK5 and ecliptic, B for FK4).
    """
    name, _, epoch = frame.partition(" ")
    if name not in FRAMES:
        raise UnknownNameError("frame", name, FRAMES)
    letter, year = _EPOCHS.get(name, ("", 0.0))
    if not epoch:
        return name, year
    if not letter or not re.fullmatch(letter + r"\d{4}(\.\d*)?", epoch):
        wanted = f"{letter}{year:g} or another year" if letter else "this frame has none"
        msg = f"equinox {epoch!r} of frame {name!r} is not allowed: {wanted}"
        raise InputError(msg)
    return name, float(epoch[1:])


def frame_of(wcs: Any) -> str:
    """Return the frame of a celestial `astropy.wcs.WCS`, from CTYPE, RADESYS and EQUINOX.

    The rules are those of FITS WCS paper II, section 3.1: without RADESYS, EQUINOX before 1984
    means FK4, later FK5, none ICRS. (astropy's wcs_to_celestial_frame takes ELON/ELAT for ICRS.)

    Raises
    ------
    InputError
        The axes are neither equatorial, galactic, supergalactic nor ecliptic.
    """
    prm = wcs.wcs
    kind, equinox = str(prm.lngtyp).strip(), float(prm.equinox)
    if kind in _BY_LONGITUDE:
        return _BY_LONGITUDE[kind]
    if kind == "ELON":
        return _with_epoch("ecliptic", equinox)
    if kind != "RA":
        msg = f"axis type {kind!r} is not a known sky frame: allowed are RA, GLON, SLON and ELON"
        raise InputError(msg)
    return _equatorial(str(prm.radesys).strip().upper(), equinox)


def _equatorial(radesys: str, equinox: float) -> str:
    if radesys.startswith("FK4"):  # FK4-NO-E differs by less than 0.35 arcsec
        return _with_epoch("fk4", equinox)
    if radesys == "FK5":
        return _with_epoch("fk5", equinox)
    if radesys in {"", "GAPPT"} and math.isfinite(equinox):
        return _with_epoch("fk4" if equinox < 1984.0 else "fk5", equinox)
    return "icrs"


def _with_epoch(name: str, equinox: float) -> str:
    letter, usual = _EPOCHS[name]
    if not math.isfinite(equinox) or equinox == usual or not 1800 <= equinox <= 2200:
        return name
    return f"{name} {letter}{equinox:g}"


def _rotate(
    lon: AnyArray, lat: AnyArray, matrix: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    if matrix is None:
        bad = ~(np.isfinite(lon) & np.isfinite(lat))
        if not bad.any():
            return wrap_ra(lon), lat.copy()
        lon, lat = np.where(bad, np.nan, lon), np.where(bad, np.nan, lat)
        return wrap_ra(lon), lat
    with np.errstate(invalid="ignore"):
        a, b = np.radians(lon), np.radians(lat)
        flat, up = np.cos(b), np.sin(b)
        east, north = flat * np.cos(a), flat * np.sin(a)
        # not a matrix product: BLAS rounds differently with the number of positions
        x, y, z = (row[0] * east + row[1] * north + row[2] * up for row in matrix)
        # arctan2 keeps full precision near the poles, where arcsin(z) loses half the digits
        turned = wrap_ra(np.degrees(np.arctan2(y, x)))
        return turned, np.degrees(np.arctan2(z, np.hypot(x, y)))


@lru_cache(maxsize=64)
def _matrix(name: str, equinox: float) -> FloatArray | None:
    """Return the matrix from ICRS to a frame; None for ICRS itself."""
    if name == "icrs":
        return None
    if name == "ecliptic":
        return _ecliptic(equinox)
    bias = _spin("x", 19.9 / 3.6e6) @ _spin("y", 9.1 / 3.6e6) @ _spin("z", -22.9 / 3.6e6)
    if name == "fk5":
        return bias if equinox == 2000.0 else _precession(equinox) @ bias
    pole_ra, pole_dec, node = 192.8594812065348, 27.12825118085622, 122.9319185680026
    galactic = _spin("z", 180.0 - node) @ _spin("y", 90.0 - pole_dec) @ _spin("z", pole_ra) @ bias
    if name == "galactic":
        return galactic
    return _spin("z", 90.0) @ _spin("y", 90.0 - 6.32) @ _spin("z", 47.37) @ galactic


def _spin(axis: str, degrees: float) -> FloatArray:
    """Return the matrix that turns the axes (not the vectors) about x, y or z."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    if axis == "x":
        return np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    if axis == "y":
        return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def _ecliptic(equinox: float) -> FloatArray:
    import erfa  # noqa: PLC0415 (most maps are not ecliptic)

    return np.asarray(erfa.ecm06(_J2000, (equinox - 2000.0) * 365.25), np.float64)


def _precession(equinox: float) -> FloatArray:
    import erfa  # noqa: PLC0415 (nearly every FK5 map has equinox 2000)

    return np.asarray(erfa.bp06(_J2000, (equinox - 2000.0) * 365.25)[1], np.float64)


def _through_astropy(
    lon: AnyArray, lat: AnyArray, equinox: float, *, to_icrs: bool
) -> tuple[FloatArray, FloatArray]:
    from astropy import units  # noqa: PLC0415 (half a second, FK4 only)
    from astropy.coordinates import FK4, ICRS, SkyCoord  # noqa: PLC0415 (half a second, FK4 only)

    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    fine = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90.0)
    fk4 = FK4(equinox=f"B{equinox!r}")
    begin, end = (fk4, ICRS()) if to_icrs else (ICRS(), fk4)
    place = SkyCoord(
        np.where(fine, lon, 0) * units.deg, np.where(fine, lat, 0) * units.deg, frame=begin
    )
    there = place.transform_to(end).spherical
    out = wrap_ra(there.lon.deg), np.asarray(there.lat.deg, np.float64)
    return np.where(fine, out[0], np.nan), np.where(fine, out[1], np.nan)
