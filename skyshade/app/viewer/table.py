"""The table of a source list below the map; the page fetches, sorts and searches it by pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, CustomJS, Div

from skyshade.app.viewer.assets import asset
from skyshade.app.viewer.figure import SkyMap
from skyshade.app.viewer.session import Session, changes_page
from skyshade.app.viewer.sources import Sources

HEIGHT = 228


class SourceTable:
    """One table, closed at first.

    Parameters
    ----------
    sky : SkyMap
    session : Session
    sources : Sources
    first : callable
        Returns the id of the list that the table opens with, "" when there is none.

    Attributes
    ----------
    pane : pn.Column
    """

    def __init__(
        self, sky: SkyMap, session: Session, sources: Sources, first: Callable[[], str]
    ) -> None:
        self.session, self._first = session, first
        self.want = ColumnDataSource(data={"list": [""], "serial": [0]})
        size: dict[str, Any] = {"sizing_mode": "stretch_width", "height": HEIGHT, "margin": 0}
        host = Div(text="", stylesheets=[asset("sources.css")], **size)
        self.pane = pn.Column(pn.pane.Bokeh(host, **size), visible=False, **size)
        args = {"host": host, "probe": sky.probe, "lists": sources.state, "want": self.want,
                "picked": sources.picked, "marked": sources.told}  # fmt: skip
        script = CustomJS(args=args, code=asset("table.js"))
        for part in (self.want, sources.told, sources.state):
            part.js_on_change("data", script)
        host.tags = [self.want, sources.told]  # nothing else would make them part of the page
        self.want.on_change("data", lambda attr, old, new: self._wanted(new["list"][0]))  # noqa: ARG005

    @property
    def is_open(self) -> bool:
        """Whether the table is shown."""
        return bool(self.pane.visible)

    @changes_page
    def toggle(self) -> None:
        """Open the table, or close it."""
        self.open("" if self.is_open else self._first())

    @changes_page
    def open(self, list_id: str) -> None:
        """Show the table of a list; "" closes it."""
        serial = self.want.data["serial"][0] + 1
        self.pane.visible = bool(list_id)
        self.want.data = {"list": [list_id], "serial": [serial]}

    @changes_page
    def _wanted(self, list_id: str) -> None:
        """Follow the page, where the table was closed."""
        if bool(list_id) != self.is_open:
            self.pane.visible = bool(list_id)
