"""Highlight boxes over the tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure

from skyshade.app.viewer.markers import TURNS
from skyshade.overlays import Box


class Boxes:
    """Highlight boxes as outlined rectangles with a name on hover."""

    def __init__(self, plot: figure, boxes: Sequence[Box]) -> None:
        self._renderer = plot.quad(
            left="left",
            right="right",
            top="top",
            bottom="bottom",
            source=ColumnDataSource(data=box_columns(boxes)),
            fill_color="#ffffff",
            fill_alpha=0.0,
            line_color="#ffd98a",
            line_width=1.6,
            hover_fill_color="#ffd98a",
            hover_fill_alpha=0.12,
            hover_line_color="#fff1cf",
        )
        self._renderer.nonselection_glyph = None
        tips = [("box", "@name"), ("about", "@description")]
        plot.add_tools(HoverTool(renderers=[self._renderer], tooltips=tips, visible=False))

    def put(self, boxes: Sequence[Box]) -> None:
        """Show other boxes."""
        columns = box_columns(boxes)
        if columns != self._renderer.data_source.data:
            self._renderer.data_source.data = columns

    def show(self, *, visible: bool) -> None:
        """Show or hide them all."""
        self._renderer.visible = visible


def box_columns(boxes: Sequence[Box]) -> dict[str, list[Any]]:
    """Return the corners of `boxes` in plot coordinates, once for every turn of the sky."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("left", "right", "top", "bottom", "name", "description")
    }
    for box in boxes:
        width = box.ra_east - box.ra_west
        left = (-box.ra_east + 180.0) % 360.0 - 180.0
        for turn in TURNS:
            columns["left"].append(left + turn)
            columns["right"].append(left + turn + width)
            columns["top"].append(box.dec_max)
            columns["bottom"].append(box.dec_min)
            columns["name"].append(box.name)
            columns["description"].append(box.description)
    return columns
