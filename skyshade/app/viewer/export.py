"""Links to the pixels of what the map shows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from skyshade.app.viewer.text import escape
from skyshade.app.viewer.urls import cutout_url, style_query
from skyshade.layers.cutout import PIXELS
from skyshade.types import Coverage, LayerInfo, Style

KINDS = ("map", "healpix")


def export_html(
    base: str,
    info: LayerInfo,
    view: Coverage,
    style: Style,
    choice: Mapping[str, str],
    token: str,
) -> str:
    """Return links to a cutout of the view, as numbers and as a picture in the view's colours.

    "" for layers that have none; a view that holds more pixels than a cutout may have gets a word
    instead.
    """
    if info.kind not in KINDS:
        return ""
    if pixels_in(view, info) > PIXELS:
        return '<div class="export">Cutout of the view: zoom in first</div>'
    links = ""
    for fmt, colours in (("fits", {}), ("png", style_query(style))):
        url = cutout_url(base, info.id, view, {"format": fmt, **choice, **colours}, token)
        name = f"{info.id}.{fmt}"
        links += f'<a href="{escape(url)}" download="{escape(name)}">{fmt.upper()}</a>'
    return f'<div class="export"><span>Cutout of the view</span>{links}</div>'


def pixels_in(view: Coverage, info: LayerInfo) -> float:
    """Return about how many pixels of a map a view holds."""
    it = info.coverage
    low, high = max(view.dec_min, it.dec_min), min(view.dec_max, it.dec_max)
    nearest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))  # to the equator
    width = min(view.ra_east - view.ra_west, it.ra_east - it.ra_west)
    across = width * math.cos(math.radians(nearest))
    return across * max(high - low, 0.0) / info.resolution**2
