"""Addresses of tiles, as templates that Bokeh fills in."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import quote, urlencode

from skyshade.geometry.grids import MAX_ZOOM
from skyshade.types import Style


def tile_url(base: str, layer_id: str, style: Style, *, version: str = "", token: str = "") -> str:
    """Return the template of a layer's tiles on the grid ``square``.

    Tiles are asked for at 512 px: Bokeh draws them between 256 and 512 screen pixels wide, and
    smaller ones would look blurred.

    Parameters
    ----------
    base : str
        Ends in "/", or "" for addresses relative to the page.
    layer_id : str
    style : Style
        Fields that are None are left to the server, which takes the layer's own.
    version : str
        The layer's version, when it may be cached for good.
    token : str
    """
    asked = {name: _text(value) for name, value in asdict(style).items() if value is not None}
    if not style.reverse:
        asked.pop("reverse")
    asked |= {name: value for name, value in (("v", version), ("token", token)) if value}
    layer = quote(layer_id, safe="")
    return f"{base}tiles/{layer}/square/{{Z}}/{{X}}/{{Y}}@2x.png?{urlencode(asked)}"


def deepest(max_zoom: int) -> int:
    """Return the last level of ``square`` worth asking for, given that of ``sky``.

    Two levels on: enlarged pixels get sharp edges there, and 512 px tiles add one more.
    """
    return min(max_zoom + 2, MAX_ZOOM - 1)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, float) else str(value)
