"""What a user should be told of the positions of a table, from what is known without reading it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from skyshade.loaders.columns import Columns
from skyshade.loaders.coordinates import Coordinates

_NEAR = 0.08  # radians from the bounds of the circle; degrees rarely end just there
_HIGH = 1.5  # radians of latitude that a table covers at least, to look like radians

Bounds = tuple[float, float]


def place_notes(columns: Columns, place: Coordinates) -> tuple[str, ...]:
    """Return notes on a table without rows, on positions off the sky, and on likely radians.

    Extremes come from statistics, a scan, or a sample of the rows; what is said is true of these.
    """
    if columns.unread:
        return ()
    if not len(columns):
        return ("0 rows",)
    lon, lat = columns.bounds(place.lon), columns.bounds(place.lat)
    if lon is None or lat is None:
        return ()
    stated = place.lon in columns.units or place.lat in columns.units
    plain = place.degrees == (1.0, 1.0)
    if plain and not stated and look_like_radians(lon, lat):
        return (_radians(place, lon, lat),)
    x, y = place.degrees
    return _off_the_sky(place, (lon[0] * x, lon[1] * x), (lat[0] * y, lat[1] * y))


def look_like_radians(lon: Bounds, lat: Bounds) -> bool:
    """Tell whether extremes are just those of the whole circle in radians.

    A field of degrees can look like that only if it ends within 0.08 degrees of both 0 and 6.28 (or
    of -3.14 and 3.14) in longitude, and is 1.5 to 3.14 degrees high about the equator.
    """
    full = any(
        low <= lon[0] <= low + _NEAR and high - _NEAR <= lon[1] <= high
        for low, high in ((0.0, 2 * math.pi), (-math.pi, math.pi))
    )
    return full and max(map(abs, lat)) <= math.pi / 2 and lat[1] - lat[0] >= _HIGH


def _radians(place: Coordinates, lon: Bounds, lat: Bounds) -> str:
    spans = f"{place.lon} {_span(lon)} and {place.lat} {_span(lat)} look like radians"
    said = f"--ra '{place.lon} [rad]' --dec '{place.lat} [rad]'"
    return f"{spans}, but are read as degrees: {said} reads them as radians"


def _off_the_sky(place: Coordinates, lon: Bounds, lat: Bounds) -> tuple[str, ...]:
    off: Sequence[str] = [
        f"{name} is {_span(bounds)} degrees: positions outside {low}..{high} are not shown"
        for name, bounds, low, high in (
            (place.lon, lon, -180, 360),
            (place.lat, lat, -90, 90),
        )
        if bounds[0] < low or bounds[1] > high
    ]
    return tuple(off)


def _span(bounds: Bounds) -> str:
    return f"{bounds[0]:.4g} to {bounds[1]:.4g}"
