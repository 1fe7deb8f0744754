"""Addresses of tiles, as templates that Bokeh fills in."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import quote, urlencode

from skyshade.geometry.grids import MAX_ZOOM
from skyshade.types import Style


def tile_url(
    base: str,
    layer_id: str,
    style: Style,
    *,
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
    double : bool
        Ask for 512 px tiles. Bokeh draws tiles between 256 and 512 screen pixels wide: maps of 256
        would look blurred, while single rows of a catalogue would be lost on 512.
    version : str
        The layer's version, when it may be cached for good.
    token : str
    """
    asked = {name: _text(value) for name, value in asdict(style).items() if value is not None}
    if not style.reverse:
        asked.pop("reverse")
    asked |= {name: value for name, value in (("v", version), ("token", token)) if value}
    layer, size = quote(layer_id, safe=""), "@2x" if double else ""
    return f"{base}tiles/{layer}/square/{{Z}}/{{X}}/{{Y}}{size}.png?{urlencode(asked)}"


def deepest(max_zoom: int) -> int:
    """Return the last level of ``square`` worth asking for, given that of ``sky``.

    Two levels on: enlarged pixels get sharp edges there, and 512 px tiles add one more.
    """
    return min(max_zoom + 2, MAX_ZOOM - 1)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, float) else str(value)
