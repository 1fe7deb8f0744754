"""Markers on the map: rows with a position, hover and click."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure

from skyshade.app.viewer.text import cell, dms, escape, hms
from skyshade.types import AnyArray

HOVER_COLUMNS = 12  # more would not fit on the screen; a click shows all
HOVER_CELLS = 20_000  # more would make the page slow to load
TURNS = (-360.0, 0.0, 360.0)  # glyphs do not wrap with the tiles, so they are repeated
_MAGNITUDE = re.compile(r"(?:[ugrizyjhkvbw]|vt|bt|hp|phot_g_mean|g_?mean|w1)_?(?:mag|t)?|mag\w*")

OnPick = Callable[[str, Mapping[str, str]], None]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to mark.

    Parameters
    ----------
    ra, dec : ndarray
        ICRS degrees, shape (n,).
    columns : mapping of str to ndarray
        What hover and click show, in order.
    names : sequence of str
        Shown as the first line.
    sizes : ndarray or float
        Screen pixels.
    """

    ra: AnyArray
    dec: AnyArray
    columns: Mapping[str, Sequence[Any] | AnyArray]
    names: Sequence[str]
    sizes: AnyArray | float = 7.0


class Markers:
    """One overlay of markers on a figure.

    Parameters
    ----------
    plot : bokeh figure
    title : str
        Text from a file; shown as text.
    colour : str
    solid : bool
        Filled, like stars on a chart; else rings.
    on_pick : callable
        Called with a title and the row's cells (text, not escaped) after a click.
    """

    def __init__(
        self, plot: figure, title: str, on_pick: OnPick, *, colour: str, solid: bool = False
    ) -> None:
        self.title, self._on_pick = title, on_pick
        self._rows: Rows | None = None
        self.source = ColumnDataSource(data={"u": [], "v": [], "size": [], "row": []})
        self._halo = None
        at: dict[str, Any] = {"x": "u", "y": "v", "size": "size", "source": self.source}
        if not solid:  # a dark ring below, or bright rings would be lost on a bright map
            self._halo = plot.scatter(**at, fill_alpha=0.0, line_color="#06101d", line_width=3.6)
            self._halo.nonselection_glyph = None
        self.renderer = plot.scatter(
            **at,
            marker="circle",
            fill_color=colour,
            fill_alpha=0.9 if solid else 0.15,
            line_color="#06101d" if solid else colour,
            line_width=0.5 if solid else 1.6,
            hover_fill_alpha=0.9,
            hover_line_color="#ffffff",
            hover_fill_color=colour,
        )
        self.renderer.nonselection_glyph = None
        self.hover = HoverTool(renderers=[self.renderer], tooltips=[], visible=False)
        if "limit" in HoverTool.properties():
            self.hover.limit = 1
        plot.add_tools(self.hover)
        self.source.selected.on_change("indices", self._picked)

    def reveal(self, *, visible: bool) -> None:
        """Show or hide what is marked."""
        self.renderer.visible = visible
        if self._halo is not None:
            self._halo.visible = visible

    def show(self, rows: Rows) -> None:
        """Replace the markers; columns go to the page as text."""
        self._rows = rows
        good = np.isfinite(rows.ra) & np.isfinite(rows.dec) & (np.abs(rows.dec) <= 90.0)
        which = np.flatnonzero(good).tolist()
        u = -np.where(rows.ra > 180.0, rows.ra - 360.0, rows.ra)[which]
        sizes = np.broadcast_to(np.asarray(rows.sizes, np.float64), rows.ra.shape)[which]
        most = min(HOVER_COLUMNS, max(2, HOVER_CELLS // max(len(which), 1)))
        shown = list(rows.columns)[:most]
        data: dict[str, Any] = {
            "u": np.concatenate([u + turn for turn in TURNS]),
            "v": np.tile(rows.dec[which], len(TURNS)),
            "size": np.tile(sizes, len(TURNS)),
            "row": np.tile(which, len(TURNS)),
            "name": [cell(rows.names[i]) for i in which] * len(TURNS),
            "at": [_place(rows.ra[i], rows.dec[i]) for i in which] * len(TURNS),
        }
        tips = [("name", "@name"), ("at", "@at")]
        for n, name in enumerate(shown):
            data[f"c{n}"] = [cell(rows.columns[name][i]) for i in which] * len(TURNS)
            tips.append((name, f"@c{n}"))
        self.source.selected.indices = []
        self.source.data = data
        self.hover.tooltips = tips

    def clear(self) -> None:
        """Remove all markers."""
        if self._rows is not None:
            self._rows = None
            self.source.selected.indices = []
            self.source.data = {name: [] for name in self.source.data}

    def _picked(self, attr: str, old: object, new: Sequence[int]) -> None:
        del attr, old
        if not new or self._rows is None:
            return
        i = int(self.source.data["row"][new[0]])
        rows = self._rows
        title = ", ".join(part for part in (self.title, cell(rows.names[i])) if part)
        cells = {"RA, Dec": _place(rows.ra[i], rows.dec[i])}
        cells |= {name: cell(values[i]) for name, values in rows.columns.items()}
        self._on_pick(title, cells)


def _place(ra: float, dec: float) -> str:
    return f"{hms(float(ra), 2)} {dms(float(dec), 1)}"


def details_html(title: str, cells: Mapping[str, str], number: int) -> str:
    """Return a card with a table of one row, every text escaped.

    The browser closes it by itself (a checkbox and CSS); `number` tells cards apart, so that the
    same row can be opened again.
    """
    lines = [f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in cells.items()]
    close = '<input type="checkbox" class="close" aria-label="Close" title="Close">'
    table = f"<h4>{escape(title)}</h4><table>{''.join(lines)}</table>"
    inner = f'{close}<div class="details">{table}</div>'
    return f'<div class="card" data-number="{number}">{inner}</div>'


def magnitude_column(columns: Sequence[str]) -> str | None:
    """Return the first column whose name looks like a magnitude, None when there is none."""
    for name in columns:
        low = name.lower()
        if _MAGNITUDE.fullmatch(low) or re.search(r"(?:^|_)mag(?:_|$|\d)", low):
            return name
    return None


def sizes_by_magnitude(values: AnyArray, low: float = 2.5, high: float = 14.0) -> AnyArray:
    """Return marker sizes in pixels, larger for smaller (brighter) values; shape (n,)."""
    mag = np.asarray(values, np.float64)
    good = np.isfinite(mag)
    if not good.any():
        return np.full(mag.shape, 6.0)
    first, last = np.min(mag[good]), np.max(mag[good])
    span = max(last - first, 1e-9) if last > first else 1.0
    bright = (last - np.where(good, mag, last)) / span
    return np.asarray(low + (high - low) * bright**2)
