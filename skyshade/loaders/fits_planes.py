"""Axes beyond the second: the planes of a cube, and names for them."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product

import numpy as np
from astropy.io.fits import Header
from astropy.wcs import WCS

from skyshade.loaders.axis_values import names_of, times
from skyshade.loaders.fits_headers import AnyHeader, number, text
from skyshade.quiet import quiet

log = logging.getLogger("skyshade")

# FITS standard 4.0, table 29: values of a STOKES axis.
_STOKES = {
    1: "I",
    2: "Q",
    3: "U",
    4: "V",
    -1: "RR",
    -2: "LL",
    -3: "RL",
    -4: "LR",
    -5: "XX",
    -6: "YY",
    -7: "XY",
    -8: "YX",
}
# Axes whose header values can be trusted; "Energy" and the like are often binned by a table.
_LINEAR = re.compile(
    r"(FREQ|ENER|WAVN|VRAD|WAVE|VOPT|ZOPT|AWAV|VELO|BETA|FELO)(-|$)", re.IGNORECASE
)
_TIME = re.compile(r"(TIME|UTC|TAI|TT|TDB|TCB|TCG|UT1|GPS|ET)$", re.IGNORECASE)
# FITS standard 4.0, section 8.4: units where CUNIT says nothing.
_SI = {"FREQ": "Hz", "ENER": "J", "WAVE": "m", "AWAV": "m", "WAVN": "/m"} | dict.fromkeys(
    ("VRAD", "VOPT", "VELO", "FELO"), "m/s"
)
_CONVERTED = re.compile(r"[A-Z]{4}-([A-Z]2[A-Z]|LOG)", re.IGNORECASE)
_MJD_OF_JD = 2400000.5


@dataclass(frozen=True)
class Axis:
    """One axis of more than one plane.

    Parameters
    ----------
    name : str
        E.g. ``"freq"``.
    planes : sequence of str
        Names, all different.
    """

    name: str
    planes: Sequence[str]


def plane_axes(
    header: AnyHeader, axes: Sequence[int], floating: bool, bands: Sequence[str] = ()
) -> list[Axis]:
    """Return the axes of a cube that hold more than one plane.

    Parameters
    ----------
    header : astropy.io.fits.Header or Cards
    axes : sequence of int
        NAXIS1, NAXIS2 ...
    floating : bool
        Whether pixels are floating-point: three such planes on an unnamed axis are I, Q, U, the
        way CMB map makers write them.
    bands : sequence of str, optional
        Names of energy bands from a table of the file.
    """
    long = [(i + 1, n) for i, n in enumerate(axes) if i > 1 and n > 1]
    found = [_axis(header, i, n, floating and len(long) == 1, bands) for i, n in long]
    taken = [a.name for a in found]
    return [
        Axis(f"{a.name}{i + 1}" if taken.index(a.name) < i else a.name, a.planes)
        for i, a in enumerate(found)
    ]


def planes(axes: Sequence[Axis]) -> tuple[str, list[str]]:
    """Return the name of what planes differ in, and their names in the order of the file.

    Planes along several axes are named after all, polarisation first: ``"I 1.42 GHz"``.
    """
    if not axes:
        return "", [""]
    if len(axes) == 1:
        return axes[0].name, list(axes[0].planes)
    order = sorted(range(len(axes)), key=lambda i: axes[i].name != "stokes")
    combined = product(*(axis.planes for axis in reversed(axes)))  # the last axis is the slowest
    names = [" ".join(parts[len(axes) - 1 - i] for i in order) for parts in combined]
    return "plane", names


def _axis(header: AnyHeader, axis: int, count: int, floating: bool, bands: Sequence[str]) -> Axis:
    kind = text(header, f"CTYPE{axis}").strip().upper()
    if not kind and count == 3 and floating:
        return Axis("stokes", ["I", "Q", "U"])
    if bands and len(bands) == count and kind != "STOKES" and not _TIME.match(kind):
        return Axis("energy", _distinct(list(bands)))
    name = kind.split("-")[0].strip().lower()
    name = "plane" if name in ("", "x", "y") else name  # those are the axes of pixels
    return Axis("time" if _TIME.match(kind) else name, _distinct(_names(header, axis, count, kind)))


def _names(header: AnyHeader, axis: int, count: int, kind: str) -> list[str]:
    values = _values(header, axis, count)
    if not all(map(math.isfinite, values)):
        return _numbered(count)
    if kind == "STOKES":
        return [_STOKES.get(round(v), str(round(v))) for v in values]
    if _LINEAR.match(kind):
        return _spectral(header, axis, values, kind)
    if _TIME.match(kind):
        return _times(header, axis, values)
    return (_listed(header, count) if kind == "PLANE" else []) or _numbered(count)


def _values(header: AnyHeader, axis: int, count: int) -> list[float]:
    """Return the linear coordinate of each plane: CRVAL + CDELT * (i - CRPIX)."""
    step = number(header, f"PC{axis}_{axis}", 1.0) * number(header, f"CDELT{axis}", 1.0)
    step = number(header, f"CD{axis}_{axis}", step)
    origin, at = number(header, f"CRPIX{axis}", 1.0), number(header, f"CRVAL{axis}", 1.0)
    return [at + step * (i + 1 - origin) for i in range(count)]


def _spectral(header: AnyHeader, axis: int, values: list[float], kind: str) -> list[str]:
    unit = text(header, f"CUNIT{axis}") or _SI.get(kind[:4], "")
    if _CONVERTED.match(kind):
        values, unit = _through_wcslib(header, axis, values, kind), _SI.get(kind[:4], "")
    return names_of(values, unit) if all(map(math.isfinite, values)) else _numbered(len(values))


def _through_wcslib(header: AnyHeader, axis: int, values: list[float], kind: str) -> list[float]:
    """Return SI coordinates of an axis sampled in another quantity, such as VOPT-F2W."""
    alone = Header([("NAXIS", 1), ("WCSAXES", 1), ("CTYPE1", kind), ("CRPIX1", 1.0)])
    alone["CRVAL1"], alone["CDELT1"] = values[0], values[1] - values[0]
    origin = number(header, f"CRPIX{axis}", 1.0)
    alone["CRPIX1"], alone["CRVAL1"] = origin, number(header, f"CRVAL{axis}", 1.0)
    alone["CUNIT1"] = text(header, f"CUNIT{axis}") or _SI.get(kind[:4], "")
    for key in ("RESTFRQ", "RESTWAV"):
        if rest := number(header, key, number(header, "RESTFREQ", 0.0) if "Q" in key else 0.0):
            alone[key] = rest
    try:
        with quiet():
            found = WCS(alone, naxis=1).wcs_pix2world(np.arange(len(values)), 0)[0]
    except Exception:
        # wcslib raises a dozen classes; the planes are numbered instead.
        log.debug("%s cannot be read; its planes are numbered", kind, exc_info=True)
        return [math.nan] * len(values)
    return [float(v) for v in found]


def _times(header: AnyHeader, axis: int, values: list[float]) -> list[str]:
    unit = text(header, f"CUNIT{axis}") or text(header, "TIMEUNIT") or "s"
    start = _time_zero(header)
    named = None if start is None else times(values, unit, start)
    return named or names_of(values, unit)


def _time_zero(header: AnyHeader) -> float | None:
    """Return the modified Julian date that times count from (FITS standard 4.0, section 9.2.2)."""
    if "MJDREF" in header or "MJDREFI" in header:
        whole = number(header, "MJDREF", number(header, "MJDREFI", 0.0))
        return whole + (0.0 if "MJDREF" in header else number(header, "MJDREFF", 0.0))
    if "JDREF" in header or "JDREFI" in header:
        whole = number(header, "JDREF", number(header, "JDREFI", 0.0))
        rest = 0.0 if "JDREF" in header else number(header, "JDREFF", 0.0)
        return whole - _MJD_OF_JD + rest
    try:
        moment = datetime.fromisoformat(text(header, "DATEREF")).replace(tzinfo=UTC)
    except ValueError:
        return None
    return (moment - datetime(1858, 11, 17, tzinfo=UTC)).total_seconds() / 86400.0


def _listed(header: AnyHeader, count: int) -> list[str]:
    """Return the names listed in OBJECT, as in "Tycho-2 counts, mean BT-VT, mean VT"."""
    names = [part.strip() for part in text(header, "OBJECT").split(",")]
    if len(names) != count or not all(names):
        return []
    whose, _, what = names[0].partition(" ")
    if what and whose[0].isupper():
        names[0] = what  # the first name follows the name of the data
    return names


def _numbered(count: int) -> list[str]:
    return [str(i + 1) for i in range(count)]


def _distinct(names: list[str]) -> list[str]:
    return names if len(set(names)) == len(names) else _numbered(len(names))
