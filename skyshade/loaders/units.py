"""Units as people write them into BUNIT and TUNIT."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from skyshade.errors import one_line
from skyshade.quiet import quiet

# Temperature scales written as part of the unit: K_CMB, mK(RJ), uK thermo. They are no units.
_NAMES = "CMB|RJ|thermodynamic|thermo|antenna"
_SCALE = re.compile(rf"[ _,]*(\(({_NAMES})\)|({_NAMES})(?![a-z]))", re.IGNORECASE)
_FACTOR = re.compile(
    r"^\s*(?:1(?:\.0*)?\s*[*x]\s*)?10\s*(?:\*\*|\^)\s*\(?\s*([+-]?\d+)\s*\)?[\s*.]*"
)
_EXPONENT = re.compile(r"^\s*(1(?:\.0*)?[eE][+-]?\d+)[\s*.]*(?=[A-Za-z])")
_WORD = re.compile(r"[A-Za-zÅ]+(-(?![A-Za-z0-9]))?")
_PREFIX = re.compile(r"(?<![A-Za-z])(micro|mu|µ|μ|milli|nano|kilo|mega|giga) ?(?=[A-Z])")
_PREFIXES = {"micro": "u", "mu": "u", "µ": "u", "μ": "u", "milli": "m", "nano": "n"} | {
    "kilo": "k",
    "mega": "M",
    "giga": "G",
}
_WORDS = {
    **dict.fromkeys(("counts", "count", "cts", "cnt", "cnts", "ct"), "ct"),
    **dict.fromkeys(("electrons", "electron", "e-", "e", "elec"), "electron"),
    **dict.fromkeys(("photons", "photon", "ph"), "ph"),
    **dict.fromkeys(("pixel", "pixels", "pix", "pxl"), "pix"),
    **dict.fromkeys(("sec", "second", "seconds", "secs", "s"), "s"),
    **dict.fromkeys(("steradian", "ster", "sterad", "sr", "str"), "sr"),
    **dict.fromkeys(("angstrom", "angstroms", "ang", "aa", "a", "å"), "Angstrom"),
    **dict.fromkeys(("jansky", "janskys", "jy"), "Jy"),
    **dict.fromkeys(("kelvin", "kelvins", "k"), "K"),
    **dict.fromkeys(("beam", "beams", "bm"), "beam"),
    **dict.fromkeys(("adu", "adus"), "adu"),
    **dict.fromkeys(("dn", "dns"), "DN"),
    **dict.fromkeys(("erg", "ergs"), "erg"),
    **dict.fromkeys(("micron", "microns"), "micron"),
    **dict.fromkeys(("arcsec", "arcsecs", "arcseconds", "asec"), "arcsec"),
    **dict.fromkeys(("arcmin", "arcmins", "arcminutes", "amin"), "arcmin"),
    **dict.fromkeys(("deg", "degs", "degree", "degrees"), "deg"),
    **dict.fromkeys(("nanomaggy", "nanomaggies", "nmgy"), "nmgy"),
    "mjy": "MJy",
    "hz": "Hz",
    "ghz": "GHz",
    "mhz": "MHz",
    "khz": "kHz",
    "cm": "cm",
    "m": "m",
    "ev": "eV",
    "kev": "keV",
    "mev": "MeV",
    "gev": "GeV",
    "tev": "TeV",
    "km": "km",
    "w": "W",
    "mag": "mag",
    "magnitude": "mag",
    "magnitudes": "mag",
    "volt": "V",
    "volts": "V",
}
_NONE = {"", "1", "none", "unitless", "dimensionless", "no unit", "n/a", "na", "-", "unknown"}


@lru_cache(maxsize=512)
def parse_unit(text: str) -> tuple[str, Any]:
    """Return the label of a unit and the unit itself.

    Parameters
    ----------
    text : str
        As in a header. Beside what astropy reads: uK_CMB, mK_RJ, muK, COUNTS/S, JY/PIXEL,
        10**(-6)counts/s, erg/s/cm2/AA, electrons/s, DN.

    Returns
    -------
    label : str
        The text as it was written, in one line; empty where it says that there is no unit.
    unit : astropy.units.UnitBase or None
        None where the text is empty or means nothing to astropy: never an error. Thermodynamic
        and Rayleigh-Jeans temperatures are both kelvin; the label keeps the difference.
    """
    label = one_line(text, 60)
    if label.lower() in _NONE:
        return "", None
    for spelling in dict.fromkeys((label, _rewritten(label))):
        unit = _parsed(spelling)
        if unit is not None:
            return label, unit
    return label, None


def unit_name(text: str) -> str:
    """Return astropy's name of a unit, e.g. ``"MJy / sr"``; empty where it has none."""
    unit = parse_unit(text)[1]
    return "" if unit is None else str(unit.to_string())


def _parsed(text: str) -> Any:
    from astropy import units  # noqa: PLC0415 (never at `import skyshade`)

    if text.count("/") > 1 and "(" not in text:
        text = _one_slash(text)
    try:
        with quiet():
            unit = units.Unit(text, parse_strict="raise")
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return None
    return None if isinstance(unit, units.StructuredUnit) else unit


def _rewritten(label: str) -> str:
    """Return a label without temperature scale, powers of ten as numbers, known words replaced."""
    text = _PREFIX.sub(lambda found: _PREFIXES[found[1]], _SCALE.sub("", label))
    top, slash, below = text.partition("/")
    text = top + slash + re.sub(r"-(?=[A-Za-z])", "/", below)  # W/m^2-sr
    factor = ""
    if found := _FACTOR.match(text):
        factor, text = f"1e{int(found[1])} ", text[found.end() :]
    elif found := _EXPONENT.match(text):
        factor, text = f"{found[1]} ", text[found.end() :]
    return factor + _WORD.sub(lambda word: _word(word[0]), text).strip()


def _word(word: str) -> str:
    return word if word in _KEPT else _WORDS.get(word.lower(), word)


_KEPT = {"mJy", "uJy", "nJy", "MJy", "mK", "uK", "nK", "MK", "mHz", "meV"}


def _one_slash(text: str) -> str:
    """Return a/b/c as a/(b c), which is what people mean by it, and a/b.c/d as a c/(b d)."""
    top, *below = (part.strip() for part in text.split("/"))
    above, under = [top or "1"], []
    for part in below:
        first, *rest = _TIMES.split(part)
        under.append(first)
        above += rest
    return f"{' '.join(above)}/({' '.join(under)})"


_TIMES = re.compile(r"\.(?!\d)|(?<!\*)\*(?!\*)")
