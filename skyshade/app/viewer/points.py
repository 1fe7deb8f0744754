"""The rows of a catalogue as single points, when the view holds few of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from bokeh.plotting import figure

from skyshade.app.viewer.figure import SQUARE
from skyshade.app.viewer.markers import Markers, OnPick, Rows, magnitude_column, sizes_by_magnitude
from skyshade.app.viewer.session import Session, changes_page
from skyshade.types import ALL_SKY, Coverage, Layer

MOST_POINTS = 3000
COUNTED = 500_000  # rows that are read only to be counted


@runtime_checkable
class HasRows(Protocol):
    """A layer whose rows can be listed (catalogues)."""

    def query(self, **where: Any) -> Any:
        """Return rows in a sky rectangle."""
        ...


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
        Told how many rows the view holds (negative: more than that), and whether they are drawn.
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

    def ghost(self, *, on: bool) -> None:
        """Leave drawing to the tiles: markers are seen only under the pointer."""
        self._markers.ghost(on=on)

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
    """Return how many rows lie in `coverage`, and the rows unless they are too many.

    A negative number means that there are more, which were not counted.
    """
    total = layer.query(coverage=coverage, columns=(), limit=1, scan=COUNTED).total
    if total is None or not 0 < total <= MOST_POINTS:
        return -COUNTED if total is None else total, None
    rows = layer.query(coverage=coverage, limit=MOST_POINTS)
    names, found = [f"row {n + 1}" for n in rows.rows], rows.columns
    columns = {name: values for name, values in found.items() if name not in ("ra", "dec")}
    magnitude = magnitude_column(list(columns))
    sizes = 7.0 if magnitude is None else sizes_by_magnitude(columns[magnitude])
    return total, Rows(np.asarray(found["ra"]), np.asarray(found["dec"]), columns, names, sizes)
