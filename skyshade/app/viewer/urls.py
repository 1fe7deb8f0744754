"""Addresses of tiles, as templates that Bokeh fills in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from urllib.parse import quote, urlencode

from skyshade.geometry.grids import MAX_ZOOM
from skyshade.types import Coverage, Style

NOTHING: Mapping[str, str] = MappingProxyType({})


def tile_url(
    base: str,
    layer_id: str,
    style: Style,
    *,
    choice: Mapping[str, str] = NOTHING,
    double: bool = True,
    version: str = "",
    token: str = "",
) -> str:
    """Return the template of a layer's tiles on the grid ``square``.

    Parameters
    ----------
    base : str
        Ends in "/", or "" for addresses relative to the page.
    layer_id : str
    style : Style
        Fields that are None are left to the server, which takes the layer's own.
    choice : mapping of str to str
        What changes the numbers: ``agg``, ``plane``.
    double : bool
        Ask for 512 px tiles. Bokeh draws tiles between 256 and 512 screen pixels wide: maps of 256
        would look blurred, while single rows of a catalogue would be lost on 512.
    version : str
        The version of the numbers; tiles of the current one are cached for good.
    token : str
    """
    asked = style_query(style)
    asked |= choice
    asked |= {name: value for name, value in (("v", version), ("token", token)) if value}
    layer, size = quote(layer_id, safe=""), "@2x" if double else ""
    return f"{base}tiles/{layer}/square/{{Z}}/{{X}}/{{Y}}{size}.png?{urlencode(asked)}"


def style_query(style: Style) -> dict[str, str]:
    """Return the parameters of a style; fields that are None are left out."""
    asked = {name: _text(value) for name, value in asdict(style).items() if value is not None}
    if not style.reverse:
        asked.pop("reverse")
    return asked


def cutout_url(
    base: str, layer_id: str, view: Coverage, asked: Mapping[str, str], token: str = ""
) -> str:
    """Return the address of the pixels in a rectangle of right ascension and declination.

    Parameters
    ----------
    base, layer_id, token
        As for `tile_url`.
    view : Coverage
        ICRS degrees.
    asked : mapping of str to str
        Format, style and what changes the numbers.
    """
    query = {"box": ",".join(f"{value:.9g}" for value in view), **asked}
    query |= {"token": token} if token else {}
    return f"{base}api/layers/{quote(layer_id, safe='')}/cutout?{urlencode(query, safe=',')}"


def deepest(max_zoom: int) -> int:
    """Return the last level of ``square`` worth asking for, given that of ``sky``.

    Two levels on: enlarged pixels get sharp edges there, and 512 px tiles add one more.
    """
    return min(max_zoom + 2, MAX_ZOOM - 1)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, float) else str(value)
