"""What lies over the tiles: source lists, highlight boxes, points of a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure

from skyshade.app.viewer.figure import SQUARE
from skyshade.app.viewer.markers import (
    TURNS,
    Markers,
    OnPick,
    Rows,
    magnitude_column,
    sizes_by_magnitude,
)
from skyshade.app.viewer.session import Session, changes_page
from skyshade.overlays import Box, SourceList
from skyshade.types import ALL_SKY, Coverage, Layer

MOST_POINTS = 3000
COLOURS = ("#ffcf5c", "#7ee0c3", "#ff8fa3", "#b79cff", "#8fd3ff", "#f5f5f5")


@runtime_checkable
class HasRows(Protocol):
    """A layer whose rows can be listed (catalogues)."""

    def rows(self, **where: Any) -> Any:
        """Return rows in a sky rectangle."""
        ...


class Sources:
    """Every source list of an atlas as markers."""

    def __init__(self, plot: figure, lists: Iterable[SourceList], on_pick: OnPick) -> None:
        self.names: dict[str, tuple[float, float]] = {}
        self._plot, self._on_pick = plot, on_pick
        self._markers: dict[str, Markers] = {}
        self._lists: dict[str, SourceList] = {}
        self.show(lists)

    def show(self, lists: Iterable[SourceList]) -> None:
        """Mark these lists; those of the same id are replaced, others go."""
        wanted = {found.id: found for found in lists}
        for name in [name for name in self._lists if name not in wanted]:
            del self._lists[name]
            self._markers[name].clear()
        for name, found in wanted.items():
            if self._lists.get(name) is not found:
                self._lists[name] = found
                self._mark(found)
        self.names.clear()
        for found in self._lists.values():
            self._learn(found)

    def _mark(self, found: SourceList) -> None:
        if found.id not in self._markers:
            colour = COLOURS[len(self._markers) % len(COLOURS)]
            self._markers[found.id] = Markers(self._plot, found.title, self._on_pick, colour=colour)
        columns = dict(found.columns)
        rows = Rows(np.asarray(found.ra), np.asarray(found.dec), columns, found.names, 7.5)
        self._markers[found.id].title = found.title
        self._markers[found.id].show(rows)

    def _learn(self, found: SourceList) -> None:
        for name, ra, dec in zip(found.names, found.ra, found.dec, strict=True):
            key = " ".join(str(name).split()).casefold()
            if key and not key.isdigit():  # a row's number is no name to go to
                self.names.setdefault(key, (float(ra), float(dec)))

    def choose(self, ids: Sequence[str]) -> None:
        """Show these lists and hide the others."""
        for name, markers in self._markers.items():
            markers.reveal(visible=name in ids)


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


def view_coverage(ra: float, dec: float, width: float, height: float) -> Coverage:
    """Return the sky rectangle that a view shows, degrees."""
    low, high = max(dec - height / 2, -90.0), min(dec + height / 2, 90.0)
    if width >= SQUARE:
        return Coverage(ALL_SKY.ra_east, ALL_SKY.ra_west, low, high)
    west = (ra - width / 2) % 360.0
    return Coverage(west + width, west, low, high)


class Points:
    """The rows of a catalogue, drawn when the view holds few of them.

    Parameters
    ----------
    plot : bokeh figure
    session : Session
    on_pick : callable
    on_count : callable
        Told how many rows the view holds, and whether they are drawn.
    """

    def __init__(
        self,
        plot: figure,
        session: Session,
        on_pick: OnPick,
        on_count: Callable[[int, bool], object],
    ) -> None:
        self.session, self._on_count = session, on_count
        self._markers = Markers(plot, "", on_pick, colour="#bfeaff", solid=True)
        self._layer: Layer | None = None
        self._asked = 0

    @changes_page
    def follow(self, layer: Layer | None, title: str) -> None:
        """Draw points of `layer` from now on; None, or a layer without rows: none at all."""
        self._layer = layer if isinstance(layer, HasRows) else None
        self._markers.title = title
        self._asked += 1
        self._markers.clear()

    def look(self, coverage: Coverage) -> None:
        """Draw the rows in `coverage`, if they are few."""
        layer = self._layer
        self._asked += 1
        if isinstance(layer, HasRows):
            serial = self._asked
            self.session.later(
                lambda: _rows_of(layer, coverage), lambda found: self._show(serial, *found)
            )

    @changes_page
    def _show(self, serial: int, total: int, rows: Rows | None) -> None:
        if serial != self._asked:
            return
        if rows is None:
            self._markers.clear()
        else:
            self._markers.show(rows)
        self._on_count(total, rows is not None)


def _rows_of(layer: HasRows, coverage: Coverage) -> tuple[int, Rows | None]:
    """Return how many rows lie in `coverage`, and the rows unless they are too many."""
    total = int(layer.rows(coverage=coverage, columns=(), limit=1).total)
    if not 0 < total <= MOST_POINTS:
        return total, None
    rows = layer.rows(coverage=coverage, limit=MOST_POINTS)
    names, found = [f"row {n + 1}" for n in rows.rows], rows.columns
    columns = {name: values for name, values in found.items() if name not in ("ra", "dec")}
    magnitude = magnitude_column(list(columns))
    sizes = 7.0 if magnitude is None else sizes_by_magnitude(columns[magnitude])
    return total, Rows(np.asarray(found["ra"]), np.asarray(found["dec"]), columns, names, sizes)
