"""Values along an axis as short, distinct, readable names: "1.42 GHz", "3.2 km/s"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

# Units as CUNIT spells them, in upper case: family and size in the family's first unit.
_UNITS: dict[str, tuple[str, float]] = {
    "HZ": ("Hz", 1.0),
    "KHZ": ("Hz", 1e3),
    "MHZ": ("Hz", 1e6),
    "GHZ": ("Hz", 1e9),
    "THZ": ("Hz", 1e12),
    "M/S": ("m/s", 1.0),
    "KM/S": ("m/s", 1e3),
    "CM/S": ("m/s", 1e-2),
    "M": ("m", 1.0),
    "CM": ("m", 1e-2),
    "MM": ("m", 1e-3),
    "UM": ("m", 1e-6),
    "MICRON": ("m", 1e-6),
    "NM": ("m", 1e-9),
    "ANGSTROM": ("m", 1e-10),
    "AA": ("m", 1e-10),
    "EV": ("eV", 1.0),
    "KEV": ("eV", 1e3),
    "MEV": ("eV", 1e6),
    "GEV": ("eV", 1e9),
    "TEV": ("eV", 1e12),
    "J": ("eV", 1.0 / 1.602176634e-19),
    "S": ("s", 1.0),
    "SEC": ("s", 1.0),
    "MIN": ("s", 60.0),
    "H": ("s", 3600.0),
    "D": ("s", 86400.0),
}
_SPELLINGS = {" S-1": "/S", "/SEC": "/S", "MICRONS": "MICRON", "ANGSTROMS": "ANGSTROM"}
# What a value of a family is shown in, largest first: the first one that is not larger.
_STEPS: dict[str, tuple[tuple[float, str], ...]] = {
    "Hz": ((1e12, "THz"), (1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz"), (0.0, "Hz")),
    "m/s": ((0.0, "km/s"),),
    "m": ((1.0, "m"), (1e-2, "cm"), (1e-3, "mm"), (1e-6, "um"), (0.0, "nm")),
    "eV": ((1e12, "TeV"), (1e9, "GeV"), (1e6, "MeV"), (1e3, "keV"), (0.0, "eV")),
    "s": ((0.0, "s"),),
}
_SIZES = {"THz": 1e12, "GHz": 1e9, "MHz": 1e6, "kHz": 1e3, "km/s": 1e3, "TeV": 1e12, "GeV": 1e9} | {
    "MeV": 1e6,
    "keV": 1e3,
    "cm": 1e-2,
    "mm": 1e-3,
    "um": 1e-6,
    "nm": 1e-9,
}
_WIDE = 1e4  # ratio of the largest to the smallest value above which each has a unit of its own
_FINE = 0.05  # of the smallest step: no name is further than that from its value
_EXACT = 1e-6  # of the smallest step
_MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)


def family_of(unit: str) -> tuple[str, float] | None:
    """Return the basic unit that belongs to a CUNIT, and its size in that; None if not known."""
    key = unit.strip().upper()
    for old, new in _SPELLINGS.items():
        key = key.replace(old, new)
    if unit.strip() in ("mHz", "meV", "mM"):  # capitals tell these from MHz, MeV
        return None
    return _UNITS.get(key.replace("**-1", "-1").replace(" ", ""))


def names_of(values: Sequence[float], unit: str) -> list[str]:
    """Return a name for each value, in units that suit them.

    Parameters
    ----------
    values : sequence of float
    unit : str
        Of the values, as in CUNIT; one that is not known is repeated as it stands.
    """
    known = family_of(unit)
    if known is None:
        return [f"{number} {unit}".strip() for number in numbers(values)]
    family, size = known
    basic = [v * size for v in values]
    if not all(map(math.isfinite, basic)):
        return [f"{number} {unit}" for number in numbers(values)]
    scale = [abs(v) for v in basic if v]
    if scale and max(scale) > _WIDE * min(scale):
        return [_single(v, family) for v in basic]
    shown = _shown(min(scale, default=1.0), family)
    if family == "m" and unit.strip().upper().startswith(("ANG", "AA")):
        return [f"{number} Angstrom" for number in numbers(values)]
    return [f"{number} {shown}" for number in numbers([v / _SIZES.get(shown, 1.0) for v in basic])]


def ranges_of(low: Sequence[float], high: Sequence[float], unit: str) -> list[str]:
    """Return a name for each range of values, e.g. ``"10-13.9 GeV"``."""
    family, size = family_of(unit) or (unit, 1.0)
    names = []
    for a, b in zip(low, high, strict=True):
        shown = _shown(abs(a * size), family) if family in _STEPS else unit
        scale = size / _SIZES.get(shown, 1.0) if family in _STEPS else 1.0
        names.append(f"{_rounded(a * scale, 3)}-{_rounded(b * scale, 3)} {shown}".strip())
    return names


def numbers(values: Sequence[float]) -> list[str]:
    """Return values with as many digits as tell them apart, and at least three.

    Up to two digits more are shown where these are all that there are.
    """
    steps = [abs(b - a) for a, b in pairwise(values) if b != a]
    most = max((abs(v) for v in values), default=0.0)
    if not (steps and most):
        return [_rounded(v, 3) for v in values]
    step, before = min(steps), math.floor(math.log10(most)) + 1
    digits = max(3, min(15, before - math.floor(math.log10(2 * _FINE * step))))
    for more in (digits, digits + 1, digits + 2):
        if all(abs(float(f"{v:.{more}g}") - v) <= _EXACT * step for v in values):
            digits = more
            break
    return [_rounded(v, digits) for v in values]


def times(values: Sequence[float], unit: str, start: float) -> list[str] | None:
    """Return ISO dates of times counted in `unit` from a modified Julian date; None if impossible.

    To the minute, the second or the microsecond: whatever tells them apart.
    """
    known = family_of(unit)
    if known is None or known[0] != "s":
        return None
    try:
        moments = [_MJD_ZERO + timedelta(days=start, seconds=v * known[1]) for v in values]
    except OverflowError:
        return None
    steps = [abs(b - a).total_seconds() for a, b in pairwise(moments)]
    step = min(steps, default=86400.0)
    spec = "minutes" if step >= 1200.0 else ("seconds" if step >= 20.0 else "microseconds")
    half = {"minutes": 30.0, "seconds": 0.5}.get(spec, 0.0)
    rounded = (m + timedelta(seconds=half) for m in moments)
    return [m.replace(tzinfo=None).isoformat(timespec=spec) for m in rounded]


def _single(value: float, family: str) -> str:
    shown = _shown(abs(value), family)
    return f"{_rounded(value / _SIZES.get(shown, 1.0), 4)} {shown}"


def _shown(value: float, family: str) -> str:
    return next(name for least, name in _STEPS[family] if value >= least * (1 - 1e-12))


def _rounded(value: float, digits: int) -> str:
    """Return a number rounded to `digits`, without exponent where that is readable."""
    short = float(f"{value:.{digits}g}")
    if short == 0.0 or 1e-4 <= abs(short) < 1e7:
        return f"{short:.15f}".rstrip("0").rstrip(".") if abs(short) < 1e-3 else f"{short:.12g}"
    return f"{short:.{digits}g}"
