"""Regions of the package ``regions`` as a table of sources with outlines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skyshade.errors import UnsupportedError, one_line
from skyshade.geometry.outlines import Outlines, Ring, box, circle, ellipse, line, polygon
from skyshade.loaders.columns import null_objects
from skyshade.loaders.coordinates import Coordinates
from skyshade.loaders.memory import ArrayColumns
from skyshade.loaders.source_table import SourceTable, skipped
from skyshade.types import FloatArray

PIXELS = "in image or physical coordinates, which have no place on the sky: save it in ICRS"
_COLOUR = re.compile(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?|[A-Za-z]{3,30}")
_DS9_COLOURS = {"green": "#00ff00"}  # that of DS9 is brighter than that of web pages
Shape = tuple[list[Ring], str, tuple[float, float, float]]


def region_table(
    regions: Sequence[Any], name: str, version: str = "", file: str = ""
) -> SourceTable:
    """Return a table of regions: name, position, shape, width, height, angle, colour.

    Parameters
    ----------
    regions : sequence of regions.SkyRegion
    name : str
    version : str
    file : str
        Its name, for messages.

    Raises
    ------
    UnsupportedError
        No region can be shown; the message has the reason of the first one.
    """
    shapes: list[tuple[Any, Shape]] = []
    reasons: list[str] = []
    for number, region in enumerate(regions, 1):
        try:
            shapes.append((region, shape_of(region)))
        except (ValueError, TypeError, AttributeError) as error:
            reasons.append(f"region {number}: {one_line(error, 120)}")
    if not shapes:
        raise UnsupportedError(file or name, reasons[0] if reasons else "no regions")
    table = _table(shapes, name, version)
    if reasons:
        table.notes += (skipped(len(reasons), reasons[0]),)
    return table


def shape_of(region: Any) -> Shape:
    """Return the lines of a region in its own frame, its DS9 text, and (width, height, angle).

    Raises
    ------
    ValueError
        The region is of no known kind, or not finite.
    """
    kind = type(region).__name__
    make = _SHAPES.get(kind)
    if make is None:
        known = ", ".join(sorted(name.removesuffix("SkyRegion") for name in _SHAPES))
        cause = PIXELS if kind.endswith("PixelRegion") else f"not one of {known}"
        msg = f"a {kind} is {cause}"
        raise ValueError(msg)
    found = make(region)
    sound = [np.isfinite(ring.lon).all() and np.isfinite(ring.lat).all() for ring in found[0]]
    if not all(sound) or not all(np.isfinite(found[2])) or min(found[2][:2]) < 0:
        msg = f"{found[1]} is no finite shape"
        raise ValueError(msg)
    return found


def _place(at: Any) -> tuple[float, float]:
    """Return longitude and latitude of a SkyCoord in its own frame, degrees."""
    at = at.spherical
    return float(at.lon.deg), float(at.lat.deg)


def _degrees(*angles: Any) -> list[float]:
    return [float(angle.to_value("deg")) for angle in angles]


def _written(kind: str, at: tuple[float, ...], sizes: Sequence[float], *angle: float) -> str:
    parts = [f"{v:.8f}" for v in at] + [f'{v * 3600.0:.6g}"' for v in sizes]
    return f"{kind}({','.join([*parts, *(f'{a:.6g}' for a in angle)])})"


def _circle(region: Any) -> Shape:
    at, (r,) = _place(region.center), _degrees(region.radius)
    return [circle(*at, r)], _written("circle", at, [r]), (2 * r, 2 * r, 0.0)


def _annulus(region: Any) -> Shape:
    at, (a, b) = _place(region.center), _degrees(region.inner_radius, region.outer_radius)
    return [circle(*at, b), circle(*at, a)], _written("annulus", at, [a, b]), (2 * b, 2 * b, 0.0)


def _ellipse(region: Any) -> Shape:
    at, (w, h, a) = _place(region.center), _degrees(region.width, region.height, region.angle)
    return [ellipse(*at, w, h, a)], _written("ellipse", at, [w / 2, h / 2], a), (w, h, a)


def _box(region: Any) -> Shape:
    at, (w, h, a) = _place(region.center), _degrees(region.width, region.height, region.angle)
    return [box(*at, w, h, a)], _written("box", at, [w, h], a), (w, h, a)


def _rings(draw: Callable[..., Ring], kind: str, half: float) -> Callable[[Any], Shape]:
    """Return what makes annuli of ellipses and boxes."""

    def make(region: Any) -> Shape:
        at = _place(region.center)
        widths = _degrees(region.inner_width, region.outer_width)
        heights = _degrees(region.inner_height, region.outer_height)
        (a,) = _degrees(region.angle)
        sides = [v * half for pair in zip(widths, heights, strict=True) for v in pair]
        rings = [draw(*at, w, h, a) for w, h in zip(widths[::-1], heights[::-1], strict=True)]
        return rings, _written(kind, at, sides, a), (widths[1], heights[1], a)

    return make


def _polygon(region: Any) -> Shape:
    at = region.vertices.spherical
    lon, lat = np.atleast_1d(at.lon.deg), np.atleast_1d(at.lat.deg)
    ring = polygon(lon, lat)
    flat = tuple(float(v) for pair in zip(lon, lat, strict=True) for v in pair)
    return [ring], _written("polygon", flat, []), (*_extent(ring), 0.0)


def _line(region: Any) -> Shape:
    (lon0, lat0), (lon1, lat1) = _place(region.start), _place(region.end)
    ring = line(np.array([lon0, lon1]), np.array([lat0, lat1]))
    ends = (lon0, lat0, lon1, lat1)
    return [ring], f"{_written('line', ends, [])} # line=0 0", (*_extent(ring), 0.0)


def _point(region: Any) -> Shape:
    at = _place(region.center)
    return [], _written("point", at, []), (0.0, 0.0, 0.0)


def _text(region: Any) -> Shape:
    at = _place(region.center)
    return [], f"# {_written('text', at, [])}", (0.0, 0.0, 0.0)


def _extent(ring: Ring) -> tuple[float, float]:
    """Return the width (true degrees at the middle) and height of a line's rectangle."""
    span = np.ptp(np.unwrap(ring.lon, period=360.0))
    middle = (ring.lat.min() + ring.lat.max()) / 2.0
    return float(span * np.cos(np.radians(middle))), float(np.ptp(ring.lat))


_SHAPES: Mapping[str, Callable[[Any], Shape]] = {
    "CircleSkyRegion": _circle,
    "CircleAnnulusSkyRegion": _annulus,
    "EllipseSkyRegion": _ellipse,
    "EllipseAnnulusSkyRegion": _rings(ellipse, "ellipse", 0.5),
    "RectangleSkyRegion": _box,
    "RectangleAnnulusSkyRegion": _rings(box, "box", 1.0),
    "PolygonSkyRegion": _polygon,
    "LineSkyRegion": _line,
    "PointSkyRegion": _point,
    "TextSkyRegion": _text,
}


def _table(shapes: Sequence[tuple[Any, Shape]], name: str, version: str) -> SourceTable:
    rings = [ring for _, shape in shapes for ring in shape[0]]
    owners = [row for row, (_, shape) in enumerate(shapes) for _ in shape[0]]
    points = [_middle(region) for region, _ in shapes]
    frames = [_frame(at) for at in points]
    ra, dec = _to_icrs([np.array([at]).T for at in map(_place, points)], frames, points)
    lines = _to_icrs([np.stack([r.lon, r.lat]) for r in rings], [frames[i] for i in owners],
                     [points[i] for i in owners])  # fmt: skip
    cuts = np.cumsum([ring.lon.size for ring in rings])[:-1]
    parts = [np.split(part, cuts) if rings else [] for part in lines]
    icrs = [Ring(lon, lat, r.corner) for r, lon, lat in zip(rings, *parts, strict=True)]
    colours = [_colour(region) for region, _ in shapes]
    texts = [f"{_ds9_frame(f)}\n{shape[1]}" for f, (_, shape) in zip(frames, shapes, strict=True)]
    columns = {
        "ra": ra,
        "dec": dec,
        "name": null_objects([_label(region) for region, _ in shapes]),
        "shape": null_objects([_kind(region) for region, _ in shapes]),
        **{key: np.array([s[2][i] for _, s in shapes]) for i, key in enumerate(_SIZES)},
        "colour": null_objects(colours),
    }
    held = ArrayColumns(columns, version, dict.fromkeys(("ra", "dec", *_SIZES), "deg"))
    table = SourceTable(held, Coordinates("ra", "dec"), name)
    table.outlines = Outlines.of(icrs, owners, colours, texts)
    return table


_SIZES = ("width", "height", "angle")


def _middle(region: Any) -> Any:
    """Return the SkyCoord that a region is marked at."""
    if hasattr(region, "center"):
        return region.center
    ends = (region.start, region.end) if hasattr(region, "start") else region.vertices
    vectors = [np.asarray(at.cartesian.xyz.value, np.float64) for at in ends]
    x, y, z = np.sum(vectors, axis=0)
    first = ends[0]
    from astropy.coordinates import SkyCoord  # noqa: PLC0415 (only for regions)

    lon, lat = np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))
    return SkyCoord(lon, lat, unit="deg", frame=first.frame.replicate_without_data())


def _frame(at: Any) -> str:
    equinox = getattr(at.frame, "equinox", "")
    return f"{at.frame.name} {getattr(equinox, 'value', '')}".strip()


def _ds9_frame(frame: str) -> str:
    name = frame.split()[0]
    return "ecliptic" if "ecliptic" in name else name


def _to_icrs(
    parts: Sequence[FloatArray], frames: Sequence[str], points: Sequence[Any]
) -> tuple[FloatArray, FloatArray]:
    """Return ICRS positions of (lon, lat) arrays, each in its frame; one conversion a frame."""
    from astropy.coordinates import SkyCoord  # noqa: PLC0415 (only for regions)

    sizes = [part.shape[1] for part in parts]
    lon, lat = np.concatenate(parts, axis=1) if parts else np.empty((2, 0))
    belongs = np.repeat(np.array(frames, object), sizes)
    for frame in sorted(set(frames) - {"icrs"}):
        which = belongs == frame
        base = points[frames.index(frame)].frame.replicate_without_data()
        icrs = SkyCoord(lon[which], lat[which], unit="deg", frame=base).icrs
        lon[which], lat[which] = icrs.ra.deg, icrs.dec.deg
    return np.mod(lon, 360.0), lat


def _label(region: Any) -> str:
    text = (
        getattr(region, "text", "") or region.meta.get("text", "") or region.meta.get("label", "")
    )
    return one_line(text, 200)


def _kind(region: Any) -> str:
    plain = type(region).__name__.removesuffix("SkyRegion")
    words = re.findall(r"[A-Z][a-z]+", plain)
    return " ".join(words).lower().replace("rectangle", "box")


def _colour(region: Any) -> str:
    visual = getattr(region, "visual", {})
    found = str(visual.get("color") or visual.get("edgecolor") or "")
    found = _DS9_COLOURS.get(found.lower(), found)
    return found if _COLOUR.fullmatch(found) else ""
