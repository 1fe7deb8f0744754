"""Find the coordinate columns of a table, and turn them into ICRS degrees."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from skyshade.errors import InputError, UnsupportedError, one_line
from skyshade.geometry.frames import to_icrs
from skyshade.loaders.sexagesimal import angles
from skyshade.types import AnyArray, FloatArray

# Pairs of names in order of trust, lower case: longitude, latitude, frame, unit if none is given.
KNOWN = (
    ("ra", "dec", "icrs", "deg"),
    ("raj2000", "dej2000", "icrs", "deg"),
    ("_raj2000", "_dej2000", "icrs", "deg"),
    ("raj2000", "decj2000", "icrs", "deg"),
    ("radeg", "decdeg", "icrs", "deg"),
    ("radeg", "dedeg", "icrs", "deg"),
    ("ra_deg", "dec_deg", "icrs", "deg"),
    ("coord_ra", "coord_dec", "icrs", "rad"),
    ("_ra", "_de", "icrs", "deg"),
    ("_ra", "_dec", "icrs", "deg"),
    ("_ra_icrs", "_de_icrs", "icrs", "deg"),
    ("ra_icrs", "de_icrs", "icrs", "deg"),
    ("ra_icrs", "dec_icrs", "icrs", "deg"),
    ("ra_j2000", "dec_j2000", "icrs", "deg"),
    ("raj2000", "de_j2000", "icrs", "deg"),
    ("alpha_j2000", "delta_j2000", "icrs", "deg"),
    ("alphawin_j2000", "deltawin_j2000", "icrs", "deg"),
    ("ramean", "decmean", "icrs", "deg"),
    ("right_ascension", "declination", "icrs", "deg"),
    ("ra_rad", "dec_rad", "icrs", "rad"),
    ("s_ra", "s_dec", "icrs", "deg"),
    ("glon", "glat", "galactic", "deg"),
    ("gal_lon", "gal_lat", "galactic", "deg"),
    ("lon", "lat", "icrs", "deg"),
    ("longitude", "latitude", "icrs", "deg"),
)
_DEGREES = {
    **dict.fromkeys(("deg", "degs", "degree", "degrees", "d"), 1.0),
    **dict.fromkeys(("rad", "radian", "radians"), 180.0 / np.pi),
    **dict.fromkeys(("h", "hr", "hour", "hours", "hourangle"), 15.0),
    **dict.fromkeys(("arcmin", "arcminute"), 1 / 60.0),
    **dict.fromkeys(("arcsec", "arcsecond"), 1 / 3600.0),
    **dict.fromkeys(("mas",), 1 / 3.6e6),
    "hms": 15.0,
    "dms": 1.0,
}
_EQUATORIAL = ("icrs", "fk5", "fk4")
_SHOWN = 40  # column names in an error message


@dataclass(frozen=True)
class Coordinates:
    """Which columns are longitude and latitude, and what they mean.

    Parameters
    ----------
    lon, lat : str
        Column names.
    lon_unit, lat_unit : str
        A key of the table of angle units.
    frame : str
        ``"icrs"``, ``"galactic"`` ...
    """

    lon: str
    lat: str
    lon_unit: str = "deg"
    lat_unit: str = "deg"
    frame: str = "icrs"

    @property
    def guess(self) -> str:
        """One line for people, e.g. ``"ra, dec from RADeg, decDeg (deg)"``."""
        units = " and ".join(dict.fromkeys((self.lon_unit, self.lat_unit)))
        frame = "" if self.frame == "icrs" else f", {self.frame} to ICRS"
        return one_line(f"ra, dec from {self.lon}, {self.lat} ({units}{frame})")

    @property
    def degrees(self) -> tuple[float, float]:
        """Degrees in one unit of longitude and of latitude."""
        return _DEGREES[self.lon_unit], _DEGREES[self.lat_unit]

    def positions(self, lon: AnyArray, lat: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ICRS ra (0..360) and dec in degrees, NaN where not valid.

        Texts such as 12:34:56 are hours of right ascension (unless the unit is dms) and degrees of
        other angles. Valid is a finite pair with longitude in -180..360 and latitude in -90..90
        degrees.
        """
        equatorial = self.frame.split(" ")[0] in _EQUATORIAL
        x = _degrees(lon, self.lon_unit, hours=equatorial)
        y = _degrees(lat, self.lat_unit, hours=False)
        with np.errstate(invalid="ignore"):
            good = (x >= -180.0) & (x <= 360.0) & (np.abs(y) <= 90.0)
        x[~good] = y[~good] = np.nan
        if self.frame != "icrs":
            x, y = to_icrs(x, y, self.frame)
        x += 0.0  # no minus zero
        x[x < 0.0] += 360.0
        x[x >= 360.0] = 0.0  # also what was a tiny negative number
        return x, np.asarray(y, np.float64)


def find(
    columns: Sequence[str],
    units: Mapping[str, str],
    *,
    ra: str = "",
    dec: str = "",
    frame: str = "",
    name: str = "table",
    part: str = "",
) -> Coordinates:
    """Return the coordinate columns: those that the user named, else the best known pair.

    `ra` and `dec` may name units too: ``"x [rad]"``.

    Raises
    ------
    UnsupportedError
        Nothing was recognised, or a named column is not there; lists the columns.
    """
    if ra or dec:
        if not (ra and dec):
            raise UnsupportedError(name, f"ra={ra!r} and dec={dec!r}: name both columns", part)
        ra, dec, units = _with_units(columns, ra, dec, units)
        pair = (_named(columns, ra, name, part), _named(columns, dec, name, part))
        known = {(k[0], k[1]): k for k in KNOWN}.get((pair[0].lower(), pair[1].lower()))
        return _coordinates(pair, units, frame or (known[2] if known else "icrs"), known)
    lower = _by_lower_name(columns)
    for known in KNOWN:
        if known[0] in lower and known[1] in lower:
            pair = lower[known[0]], lower[known[1]]
            return _coordinates(pair, units, frame or known[2], known)
    relative = _suffixed(lower)
    if relative:
        return _coordinates(relative, units, frame or "icrs", None)
    cause = f"no coordinate columns recognised; {_HOW}; columns: {_listed(columns)}"
    raise UnsupportedError(name, cause, part)


_HOW = "name them with --ra and --dec (ra=, dec=)"


def _degrees(values: AnyArray, unit: str, *, hours: bool) -> FloatArray:
    """Return a fresh array of degrees; `hours`: texts with minutes are hours."""
    factor = _DEGREES[unit]
    array = np.asarray(values)
    if array.dtype.kind not in "OUS" or _masked(values):
        return as_float(values) * factor
    found, parted = angles(array)
    return found * np.where(
        parted, 15.0 if (hours and unit != "dms") or factor == 15 else 1, factor
    )


def as_float(values: AnyArray) -> FloatArray:
    """Return numbers, or text that can be read as numbers, as a fresh float64 array."""
    array = (
        np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)
        if _masked(values)
        else (np.asarray(values))
    )
    if array.dtype.kind in "fiub":
        return np.array(array, np.float64)
    return np.array([_number(item) for item in array.tolist()], np.float64)


def _masked(values: AnyArray) -> bool:
    return isinstance(values, np.ma.MaskedArray)


def _number(item: object) -> float:
    try:
        return float(item)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _coordinates(
    pair: tuple[str, str],
    units: Mapping[str, str],
    frame: str,
    known: tuple[str, str, str, str] | None,
) -> Coordinates:
    default = known[3] if known else "deg"
    lon, lat = (_unit(units.get(column, ""), default) for column in pair)
    return Coordinates(*pair, lon, lat, frame)


def _unit(stated: str, default: str) -> str:
    """Return a known angle unit: the one stated, else the default."""
    word = re.sub(r"[^a-z]", "", stated.lower())
    return word if word in _DEGREES else default


def _by_lower_name(columns: Sequence[str]) -> dict[str, str]:
    lower: dict[str, str] = {}
    for column in columns:
        lower.setdefault(column.lower(), column)
    return lower


def _suffixed(lower: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the first pair like source_ra, source_dec, as in HATS catalogues."""
    for key, column in lower.items():
        partner = f"{key[:-3]}_dec"
        if key.endswith("_ra") and partner in lower:
            return column, lower[partner]
    return None


def _with_units(
    columns: Sequence[str], ra: str, dec: str, units: Mapping[str, str]
) -> tuple[str, str, Mapping[str, str]]:
    """Return names and units of ``"name [unit]"``, as a user may write it."""
    names = []
    for wanted in (ra, dec):
        found = _NAME_UNIT.fullmatch(wanted)
        if found and wanted not in columns:
            if _unit(found[2], "") == "":
                msg = f"unit {found[2]!r} of {found[1]!r} is not allowed: {_UNITS}"
                raise InputError(msg)
            own = _by_lower_name(columns).get(found[1].lower(), found[1])
            units = {**units, own: found[2]}
        names.append(found[1] if found and wanted not in columns else wanted)
    return names[0], names[1], units


_NAME_UNIT = re.compile(r"(.*\S)\s*\[(\w+)\]")
_UNITS = "deg, rad, hour, arcmin, arcsec or mas"


def _named(columns: Sequence[str], wanted: str, name: str, part: str) -> str:
    if wanted in columns:
        return wanted
    found = _by_lower_name(columns).get(wanted.lower())
    if found is None:
        raise UnsupportedError(name, f"no column {wanted!r}; columns: {_listed(columns)}", part)
    return found


def _listed(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
    return one_line(", ".join(columns[:_SHOWN]) or "none", 600) + more
