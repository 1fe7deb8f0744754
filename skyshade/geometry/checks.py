"""Whether a WCS places an image on the sky at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from astropy.wcs import NoConvergence, WcsError

from skyshade.errors import InputError, one_line
from skyshade.geometry.wcs import (
    ROUND_TRIP,
    PixelMap,
    keep,
    projection_of,
    scale_matrix,
    separation,
)
from skyshade.types import AnyArray, FloatArray

# Beyond these, float64 leaves too little of a position, or the numbers are not what they say.
_FAR = 1e9  # pixels from the image to the reference pixel
_TURNS = 3600.0  # degrees of a reference position
_SIDES = (1e-11, 360.0)  # degrees along a pixel
_FEW = 9  # every so many of the places on an image are tried before all are
_ROUNDING = 1e-15  # of a determinant
_ANGLE = 1000.0  # degrees of a native pole: 999 is an old way to leave it open
POLES = ("LONPOLE", "LATPOLE")
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
        keep(pixels)
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
    crval, crpix, cdelt = (v.tolist() for v in (prm.crval, prm.crpix, prm.get_cdelt()))
    for name, values in (("CRVAL", crval), ("CRPIX", crpix), ("CDELT", cdelt)):
        if not all(map(math.isfinite, values)):
            msg = f"{name} is not finite: {', '.join(f'{v:g}' for v in values)}"
            raise InputError(msg)
    (a, b), (c, d) = matrix = scale_matrix(prm).tolist()
    det = a * d - b * c
    if not (math.isfinite(det) and abs(det) > _ROUNDING * (abs(a * d) + abs(b * c))):
        msg = "the matrix from pixels to degrees is singular (CDELT, PC or CD)"
        raise InputError(msg)
    check_poles({"LONPOLE": prm.lonpole})
    _check_sizes(crval, crpix, matrix)


def _check_sizes(crval: list[float], crpix: list[float], matrix: list[list[float]]) -> None:
    """Refuse finite numbers that no sky map has."""
    for name, values, most, cause in (
        ("CRPIX", crpix, _FAR, "nowhere near the image"),
        ("CRVAL", crval, _TURNS, "no position in degrees"),
    ):
        if max(map(abs, values)) > most:
            msg = f"{name} = {', '.join(f'{v:g}' for v in values)} is {cause}"
            raise InputError(msg)
    sides = [math.hypot(*column) for column in zip(*matrix, strict=True)]
    if not (_SIDES[0] <= min(sides) and max(sides) <= _SIDES[1]):
        text = " x ".join(f"{v:g}" for v in sides)
        msg = f"pixels of {text} degrees are not allowed: {_SIDES[0]:g} to {_SIDES[1]:g} (CDELT)"
        raise InputError(msg)


def check_poles(cards: Mapping[str, Any]) -> None:
    """Check LONPOLE and LATPOLE among the cards of a header.

    wcslib replaces a LATPOLE that it cannot use, so that `check_celestial` sees nothing of it; for
    some maps that means the other hemisphere.

    Raises
    ------
    InputError
        One of them is no angle in degrees.
    """
    for name in POLES:
        value = cards.get(name)
        if isinstance(value, int | float) and not abs(value) <= _ANGLE:
            msg = f"{name} = {value:g} is no angle in degrees"
            raise InputError(msg)


def _check_sample(pixels: PixelMap) -> None:
    x, y = _sample(*pixels.shape)
    if _leads_back(pixels, x[::_FEW], y[::_FEW]) or _leads_back(pixels, x, y):
        return
    msg = "sky positions do not lead back to the pixels they come from"
    if not _on_sky(*pixels.pixel_to_sky(x, y)).any():
        msg = "no pixel of the image lies on the sky"
    raise InputError(msg)


def _leads_back(pixels: PixelMap, x: FloatArray, y: FloatArray) -> bool:
    """Return whether one of some pixels is on the sky, at a position that leads back to it."""
    ra, dec = pixels.pixel_to_sky(x, y)
    found = _on_sky(ra, dec)
    ra, dec = ra[found], dec[found]
    away = separation(ra, dec, *pixels.pixel_to_sky(*pixels.sky_to_pixel(ra, dec)))
    return bool(np.any(away < min(max(1e-9, 0.01 * pixels.resolution), ROUND_TRIP)))


def _on_sky(ra: FloatArray, dec: FloatArray) -> AnyArray:
    return np.isfinite(ra) & np.isfinite(dec)


@lru_cache(8)  # many files are of one size
def _sample(ny: int, nx: int) -> tuple[FloatArray, FloatArray]:
    """Return 17 x 17 places all over an image, as two arrays of one axis."""
    columns, rows = np.meshgrid(np.linspace(0, nx - 1, 17), np.linspace(0, ny - 1, 17))
    x, y = columns.ravel(), rows.ravel()
    x.flags.writeable = y.flags.writeable = False
    return x, y
