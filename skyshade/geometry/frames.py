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
_FIRST, _LAST = 1800, 2200  # years between which the precession formulas hold well


def from_icrs(ra: AnyArray, dec: AnyArray, frame: str) -> tuple[FloatArray, FloatArray]:
    """Return (lon 0..360, lat) in `frame` of ICRS positions; degrees, broadcast shape.

    Positions that are not finite become NaN. Raises UnknownNameError or InputError for a frame
    that is not known.
    """
    name, equinox = split_frame(frame)
    if name == "fk4":
        return _fk4_from_icrs(ra, dec, equinox)
    return _rotate(ra, dec, _matrix(name, equinox))


def to_icrs(lon: AnyArray, lat: AnyArray, frame: str) -> tuple[FloatArray, FloatArray]:
    """Return ICRS (ra 0..360, dec) of positions in `frame`; degrees, broadcast shape.

    Positions that are not finite become NaN. Raises UnknownNameError or InputError for a frame
    that is not known.
    """
    name, equinox = split_frame(frame)
    if name == "fk4":
        return _fk4_to_icrs(lon, lat, equinox)
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
        The axes are neither equatorial, galactic, supergalactic nor ecliptic, or the equinox of
        FK4, FK5 or ecliptic axes is no year.
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
    if math.isnan(equinox) or equinox == usual:  # NaN: not given
        return name
    if not _FIRST <= equinox <= _LAST:
        msg = f"EQUINOX = {equinox:g} is not allowed: a year from {_FIRST} to {_LAST}, or none"
        raise InputError(msg)
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
    return _angles(_turned(matrix, _vectors(lon, lat)))


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


def _fk4_to_icrs(lon: AnyArray, lat: AnyArray, equinox: float) -> tuple[FloatArray, FloatArray]:
    """Take the E-terms A off, r - A + (r A) r (Explanatory Supplement 1992, 3.531), then rotate."""
    matrix, _, terms = _fk4(equinox)
    r = _vectors(lon, lat)
    along = 1.0 + _dot(terms, r)
    return _angles(_turned(matrix, [along * c - a for c, a in zip(r, terms, strict=True)]))


def _fk4_from_icrs(ra: AnyArray, dec: AnyArray, equinox: float) -> tuple[FloatArray, FloatArray]:
    """Return the inverse of `_fk4_to_icrs`: for a direction n, r = s n + A with s = 1 + r A - n A.

    A is 1.7e-6, so two rounds leave less than 1e-16.
    """
    _, matrix, terms = _fk4(equinox)
    n = _turned(matrix, _vectors(ra, dec))
    length = np.sqrt(_dot(n, n))
    n = [c / length for c in n]
    fixed = 1.0 - _dot(terms, n)
    scale, r = fixed, n
    for _ in range(2):
        r = [scale * c + a for c, a in zip(n, terms, strict=True)]
        scale = fixed + _dot(terms, r) / np.sqrt(_dot(r, r))
    return _angles([scale * c + a for c, a in zip(n, terms, strict=True)])


def _vectors(lon: AnyArray, lat: AnyArray) -> list[FloatArray]:
    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    with np.errstate(invalid="ignore"):
        a, b = np.radians(lon), np.radians(lat)
        flat = np.cos(b)
        return [flat * np.cos(a), flat * np.sin(a), np.sin(b)]


def _turned(matrix: FloatArray, v: list[FloatArray]) -> list[FloatArray]:
    return [_dot(row, v) for row in matrix]  # BLAS rounds differently with the number of positions


def _dot(a: Any, b: Any) -> Any:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _angles(v: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    # arctan2 keeps full precision near the poles, where arcsin(z) loses half the digits
    with np.errstate(invalid="ignore"):
        lon = wrap_ra(np.degrees(np.arctan2(v[1], v[0])))
        return lon, np.degrees(np.arctan2(v[2], np.hypot(v[0], v[1])))


@lru_cache(maxsize=64)
def _fk4(equinox: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the matrix from FK4 without E-terms to ICRS, its inverse and the E-terms.

    Read off what astropy makes of a few directions: the E-terms from x and y, which become
    (1, -Ay, -Az) and (-Ax, 1, -Az) times a number.
    """
    from astropy import units  # noqa: PLC0415 (half a second, FK4 only)
    from astropy.coordinates import (  # noqa: PLC0415 (half a second, FK4 only)
        FK4,
        ICRS,
        CartesianRepresentation,
        FK4NoETerms,
        SkyCoord,
    )

    plain = FK4NoETerms(equinox=f"B{equinox!r}")
    axes = plain.realize_frame(CartesianRepresentation(np.eye(3) * units.one))
    matrix = np.asarray(SkyCoord(axes).transform_to(ICRS()).cartesian.xyz.value, np.float64)
    full = FK4(equinox=f"B{equinox!r}")
    xy = SkyCoord([0.0, 90.0] * units.deg, [0.0, 0.0] * units.deg, frame=full)
    x, y = xy.transform_to(plain).cartesian.xyz.value.T
    inverse: FloatArray = np.linalg.inv(matrix).astype(np.float64)
    return matrix, inverse, np.array([-y[0] / y[1], -x[1] / x[0], -x[2] / x[0]])
