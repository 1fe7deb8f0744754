"""Names of the planes along the third axis of an image."""

from __future__ import annotations

import re

from astropy.io.fits import Header

from skyshade.loaders.fits_headers import number, text

MAX_PLANES = 16

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
    r"(FREQ|ENER|WAVN|VRAD|WAVE|VOPT|ZOPT|AWAV|VELO|BETA|TIME)(-|$)|LOG", re.IGNORECASE
)


def plane_names(header: Header, axis: int, count: int, floating: bool) -> tuple[str, list[str]]:
    """Return the name of an axis and of its planes; names differ from each other.

    Parameters
    ----------
    header : astropy.io.fits.Header
    axis : int
        FITS number of the axis, 3 or more.
    count : int
        Planes along it.
    floating : bool
        Whether pixels are floating-point: three such planes on an unnamed axis are I, Q, U, the
        way CMB map makers write them.
    """
    kind = text(header, f"CTYPE{axis}").strip().upper()
    if kind == "STOKES" or (not kind and count == 3 and floating):
        return "stokes", _distinct(_stokes(header, axis, count))
    listed = _listed(header, count) if kind == "PLANE" else []
    if listed:
        return "plane", _distinct(listed)
    if _LINEAR.match(kind):
        return kind.split("-")[0].lower(), _distinct(_values(header, axis, count))
    return (kind.lower() or "plane"), [str(i + 1) for i in range(count)]


def _coordinate(header: Header, axis: int, index: int) -> float:
    step = number(header, f"CD{axis}_{axis}", number(header, f"CDELT{axis}", 1.0))
    origin, at = number(header, f"CRPIX{axis}", 1.0), number(header, f"CRVAL{axis}", 1.0)
    return at + step * (index + 1 - origin)


def _stokes(header: Header, axis: int, count: int) -> list[str]:
    values = [round(_coordinate(header, axis, i)) for i in range(count)]
    return [_STOKES.get(v, str(v)) for v in values]


def _values(header: Header, axis: int, count: int) -> list[str]:
    unit = text(header, f"CUNIT{axis}")
    return [f"{_coordinate(header, axis, i):.6g} {unit}".strip() for i in range(count)]


def _listed(header: Header, count: int) -> list[str]:
    """Return the names listed in OBJECT, as in "Tycho-2 counts, mean BT-VT, mean VT"."""
    names = [part.strip() for part in text(header, "OBJECT").split(",")]
    if len(names) != count or not all(names):
        return []
    whose, _, what = names[0].partition(" ")
    if what and whose[0].isupper():
        names[0] = what  # the first name follows the name of the data
    return names


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) == len(names):
        return names
    return [str(i + 1) for i in range(len(names))]
