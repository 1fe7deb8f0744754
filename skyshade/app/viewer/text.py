"""Text for people: angles, numbers, HTML, and positions as people type them."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from skyshade.errors import InputError

MINUS = "\N{MINUS SIGN}"
FORMS = "266.4 -29.0, 17:45:40 -29:00:28, 17h45m40s -29d00m28s, l=0 b=0, or the name of a source"

_SIGNS = str.maketrans(
    {
        MINUS: "-",
        "\N{EN DASH}": "-",
        "\N{DEGREE SIGN}": "d",
        "\N{PRIME}": "m",
        "\N{DOUBLE PRIME}": "s",
        "\N{RIGHT SINGLE QUOTATION MARK}": "m",
        "'": "m",
        '"': "s",
        ";": ",",
    }
)
_GALACTIC = re.compile(
    r"(?:l\s*=?\s*(?P<l>[-+\d.]+)[\s,]+b\s*=?\s*(?P<b>[-+\d.]+))"
    r"|(?:gal(?:actic)?\s+(?P<l2>[-+\d.]+)[\s,]+(?P<b2>[-+\d.]+))"
    r"|(?:(?P<l3>[-+\d.]+)[\s,]+(?P<b3>[-+\d.]+)\s+gal(?:actic)?)",
    re.IGNORECASE,
)
_ANGLE = re.compile(
    r"(?P<sign>[-+]?)(?P<a>\d+(?:\.\d*)?|\.\d+)(?P<unit>[hd:]?)\s*"
    r"(?:(?P<m>\d+(?:\.\d*)?)[m:]?\s*(?:(?P<s>\d+(?:\.\d*)?)s?)?)?",
    re.IGNORECASE,
)

_RECIPROCAL = re.compile(r"^1 ?/ ?([A-Za-z]+)([0-9]*)$")
_POWER = re.compile(r"\b1(?:\.0*)?[eE]([-+]?)0*(\d+)\b")
_MICRO = re.compile(r"(?<![A-Za-z])u(?=(?:K|Jy|m|s|as|arcsec|V|W|A|G|g)(?![a-z]))")
_WORDS = re.compile(r"(?<![A-Za-z])(?:[Aa]ngstroms?|micron)(?![A-Za-z])")
_EXPONENT = re.compile(
    r"(?:(?<=[A-Za-z\u00b5\u00c5])(?:\*\*|\^)?|(?<=\d)(?:\*\*|\^))"
    r"(?:\(([-+]?\d+)\)|([-+]?\d+)(?![\w.]))"
)
_FACTOR = re.compile(r"(?<=10)([\u207b\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+) ?(?=[A-Za-z\u00b5])")
_RAISED = str.maketrans(
    "-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "+"
)


def escape(text: object) -> str:
    """Return `text` safe inside HTML elements and attributes."""
    return html.escape(str(text), quote=True)


def number(value: float, digits: int = 4) -> str:
    """Return `value` with `digits` significant figures, a true minus sign and short exponents."""
    if not math.isfinite(value):
        return "no value" if math.isnan(value) else f"{MINUS if value < 0 else ''}infinite"
    if value == int(value) and abs(value) < 10 ** max(digits, 6):
        text = f"{int(value):,}"
    else:
        text = f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    if exponent:
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", MINUS)


def cell(value: Any) -> str:
    """Return a table cell as text (not escaped): numbers shortened, nothing for missing ones."""
    if value is None or value is np.ma.masked:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value)).replace("-", MINUS)
    if isinstance(value, float | np.floating):
        return (
            ""
            if math.isnan(value)
            else number(float(value), 6 if isinstance(value, np.float32) else 8)
        )
    text = str(value)
    return text if len(text) <= 200 else text[:197] + "..."


def pretty_units(units: str) -> str:
    """Return units as they are printed in papers, from what FITS, astropy and people write.

    Raised exponents (``deg-2``, ``deg**-2``, ``1 / deg2``, ``10**(-6)counts/s``, ``1e-06 ct / s``),
    a true micro sign (``uK_CMB``, ``uJy/beam``), and no spaces about a slash.
    """
    units = _RECIPROCAL.sub(lambda found: f"{found[1]}-{found[2] or 1}", units)
    units = _WORDS.sub(lambda found: "\u00b5m" if found[0] == "micron" else "\u00c5", units)
    units = _MICRO.sub("\u00b5", units)
    units = _POWER.sub(lambda found: f"10**({found[1]}{found[2]})", units)
    units = _EXPONENT.sub(lambda found: (found[1] or found[2]).translate(_RAISED), units)
    return _FACTOR.sub(r"\1 ", units.replace(" / ", "/"))


def hms(ra: float, decimals: int = 1) -> str:
    """Return right ascension, degrees, as ``17h45m40.0s``."""
    ticks = round(ra % 360.0 / 15.0 * 3600.0 * 10**decimals) % (86400 * 10**decimals)
    hours, minutes, seconds = _sexagesimal(ticks, decimals)
    return f"{hours:02d}h{minutes:02d}m{seconds}s"


def dms(dec: float, decimals: int = 0) -> str:
    """Return declination, degrees, with signs of degrees and minutes and a true minus."""
    degrees, minutes, seconds = _sexagesimal(round(abs(dec) * 3600.0 * 10**decimals), decimals)
    sign = MINUS if dec < 0 else "+"
    return f"{sign}{degrees:02d}\N{DEGREE SIGN}{minutes:02d}\N{PRIME}{seconds}\N{DOUBLE PRIME}"


def _sexagesimal(ticks: int, decimals: int) -> tuple[int, int, str]:
    whole, part = divmod(ticks, 10**decimals)
    minutes, seconds = divmod(whole, 60)
    degrees, minutes = divmod(minutes, 60)
    tail = f".{part:0{decimals}d}" if decimals else ""
    return degrees, minutes, f"{seconds:02d}{tail}"


def parse_position(
    text: str, names: Mapping[str, tuple[float, float]] | None = None
) -> tuple[float, float]:
    """Return ICRS (ra, dec) in degrees of a position in any usual form, or of a known name.

    Parameters
    ----------
    text : str
        Two numbers are degrees; ``:`` or spaces between three make hours and degrees; ``l= b=``
        or ``galactic`` makes galactic coordinates.
    names : mapping of str to (ra, dec), optional
        Known sources; keys are casefolded.

    Raises
    ------
    InputError
        The message names what was not understood.
    """
    wanted = " ".join(text.split())
    if names and wanted.casefold() in names:
        return names[wanted.casefold()]
    plain = wanted.translate(_SIGNS)
    galactic = _GALACTIC.fullmatch(plain)
    if galactic:
        lon, lat = [group for group in galactic.groups() if group is not None]
        return _from_galactic(_angle(lon, wanted)[0], _latitude(lat, wanted, "galactic latitude"))
    first, second = _halves(plain, wanted)
    ra, sexagesimal = _angle(first, wanted)
    if sexagesimal:
        ra *= 15.0
    if not -180.0 <= ra <= 360.0:
        msg = f"right ascension {first} is not allowed: 0 to 360 degrees (0h to 24h)"
        raise InputError(msg)
    return ra % 360.0, _latitude(second, wanted, "declination")


def _halves(plain: str, wanted: str) -> tuple[str, str]:
    parts = [p.strip() for p in plain.split(",") if p.strip()] if "," in plain else plain.split()
    if len(parts) == 1:  # 17:45:40-29:00:28
        found = re.fullmatch(r"(.*?[\d.hdms])([-+].*)", parts[0])
        parts = [found[1], found[2]] if found else parts
    if len(parts) in (4, 6):
        half = len(parts) // 2
        parts = [" ".join(parts[:half]), " ".join(parts[half:])]
    if len(parts) != 2:
        msg = f"{wanted!r} is not understood: give a position such as {FORMS}"
        raise InputError(msg)
    return parts[0], parts[1]


def _angle(part: str, wanted: str) -> tuple[float, bool]:
    """Return (value, whether it is in hours when it is a right ascension)."""
    found = _ANGLE.fullmatch(part.strip())
    if not found:
        msg = f"{part!r} in {wanted!r} is not understood: give a position such as {FORMS}"
        raise InputError(msg)
    minutes, seconds = float(found["m"] or 0.0), float(found["s"] or 0.0)
    for thing, value in (("minutes", minutes), ("seconds", seconds)):
        if value >= 60.0:
            msg = f"{thing} {value:g} in {part!r} are not allowed: 0 to below 60"
            raise InputError(msg)
    unit = found["unit"].lower()
    size = float(found["a"]) + minutes / 60.0 + seconds / 3600.0
    hours = unit == "h" or (unit != "d" and found["m"] is not None)
    return (-size if found["sign"] == "-" else size), hours


def _latitude(part: str, wanted: str, thing: str) -> float:
    if "h" in part.lower():
        msg = f"{thing} {part} is not allowed: give degrees, {MINUS}90 to 90"
        raise InputError(msg)
    value, _ = _angle(part, wanted)
    if not -90.0 <= value <= 90.0:
        msg = f"{thing} {part} is not allowed: {MINUS}90 to 90 degrees"
        raise InputError(msg)
    return value


def _from_galactic(lon: float, lat: float) -> tuple[float, float]:
    from astropy.coordinates import SkyCoord  # noqa: PLC0415 (only for galactic positions)

    icrs = SkyCoord(lon, lat, unit="deg", frame="galactic").icrs
    return float(icrs.ra.deg), float(icrs.dec.deg)
