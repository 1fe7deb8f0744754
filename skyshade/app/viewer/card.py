"""The card over the map: a row that was picked, or the value where the map was clicked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from typing import Any, Protocol, runtime_checkable

from skyshade.app.viewer.controls import html_pane
from skyshade.app.viewer.markers import details_html, place_text
from skyshade.app.viewer.session import Session
from skyshade.app.viewer.text import MINUS, cell, dms, hms, number, pretty_units
from skyshade.types import Layer

MEANT = 0.3  # seconds before a click is told, in which it may have picked a marker
PLACE = {"position": "absolute", "right": "110px", "top": "84px", "z-index": "20"}


@runtime_checkable
class HasNearest(Protocol):
    """A layer of rows (catalogues)."""

    def nearest(self, ra: float, dec: float, radius: float) -> dict[str, Any] | None:
        """Return the row nearest to a position."""
        ...


class Card:
    """One card, which the browser closes by itself.

    Parameters
    ----------
    session : Session

    Attributes
    ----------
    pane : pn.pane.HTML
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.pane = html_pane(sizing_mode=None, width=300, margin=0, styles=PLACE)
        self._numbers, self._picked = count(), 0.0

    def show(self, title: str, cells: Mapping[str, str]) -> None:
        """Show a table of names and texts, which are escaped, of what was picked."""
        self._picked = time.monotonic()
        self._show(title, cells)

    def tell(self, layer: Layer, ra: float, dec: float, reach: float = 0.0) -> None:
        """Show what lies where the map was clicked, unless the click picked a marker.

        Of a catalogue that is the nearest row within `reach` degrees, else the value there.
        """
        begun = time.monotonic() - MEANT

        def show(found: tuple[str, dict[str, str]]) -> None:
            if self._picked < begun:
                self._show(*found)

        self.session.later(lambda: row_or_place(layer, ra, dec, reach), show)

    def _show(self, title: str, cells: Mapping[str, str]) -> None:
        self.pane.object = details_html(title, cells, next(self._numbers))


def row_or_place(layer: Layer, ra: float, dec: float, reach: float) -> tuple[str, dict[str, str]]:
    """Return title and cells of the row nearest to a position, or of the position itself."""
    title = layer.info.title
    row = layer.nearest(ra, dec, reach) if reach and isinstance(layer, HasNearest) else None
    if row is None:
        return title, place_cells(layer, ra, dec)
    place = place_text(row.pop("ra"), row.pop("dec"))
    index, away = row.pop("row"), row.pop("separation")
    cells = {"RA, Dec": place, "from the click": angle_text(away)}
    return f"{title}, row {index + 1}", cells | {name: cell(row[name]) for name in row}


def angle_text(degrees: float) -> str:
    """Return an angle in degrees, arcminutes or arcseconds, whichever is not below 1."""
    if degrees >= 1.0:
        return f"{number(degrees, 3)}\N{DEGREE SIGN}"
    minutes = degrees * 60.0
    return f"{number(minutes, 3)}'" if minutes >= 1.0 else f'{number(minutes * 60.0, 3)}"'


def place_cells(layer: Layer, ra: float, dec: float) -> dict[str, str]:
    """Return what is known of an ICRS position in degrees: the place and the layer's value there.

    A layer of colours that is made of others gives the value of each. May read data.
    """
    cells = {
        "RA, Dec": f"{ra:.5f}\N{DEGREE SIGN} {dec:+.5f}\N{DEGREE SIGN}".replace("-", MINUS),
        "h m s, d m s": f"{hms(ra, 2)} {dms(dec, 1)}",
    }
    parts: Any = getattr(layer, "parts", ()) if layer.info.kind == "rgb" else ()
    for colour, part in zip(("red", "green", "blue"), parts, strict=False):
        cells[f"{colour}: {part.info.title}"] = value_text(part, ra, dec)
    if not parts and layer.info.kind != "image":
        cells[layer.info.quantity or "value"] = value_text(layer, ra, dec)
    return cells


def value_text(layer: Layer, ra: float, dec: float) -> str:
    """Return the value at a position with its units."""
    value, units = layer.value(ra, dec), pretty_units(layer.info.units)
    if value is None:
        return "no value"
    return f"{number(float(value), 6)} {units}".strip()
