"""Markers on the map: rows with a position, hover and click."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure

from skyshade.app.viewer.text import cell, dms, escape, hms
from skyshade.overlays import magnitude_column, sizes_by_magnitude
from skyshade.types import AnyArray

HOVER_COLUMNS = 12  # more would not fit on the screen; a click shows all
HOVER_CELLS = 20_000  # more would make the page slow to load
TURNS = (-360.0, 0.0, 360.0)  # glyphs do not wrap with the tiles, so they are repeated

__all__ = [
    "Markers",
    "OnPick",
    "Rows",
    "details_html",
    "magnitude_column",
    "place_text",
    "sizes_by_magnitude",
]

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

    def ghost(self, *, on: bool) -> None:
        """Show markers only under the pointer, or always; for filled ones."""
        alpha = 0.0 if on else 0.9
        self.renderer.glyph.update(fill_alpha=alpha, line_alpha=alpha)
        self.renderer.hover_glyph.update(fill_alpha=0.9, line_alpha=1.0)

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
            "at": [place_text(rows.ra[i], rows.dec[i]) for i in which] * len(TURNS),
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
        cells = {"RA, Dec": place_text(rows.ra[i], rows.dec[i])}
        cells |= {name: cell(values[i]) for name, values in rows.columns.items()}
        self._on_pick(title, cells)


def place_text(ra: float, dec: float) -> str:
    """Return an ICRS position in hours, minutes and seconds as people write it."""
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
