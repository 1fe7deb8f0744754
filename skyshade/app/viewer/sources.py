"""Source lists on the map: markers, outlines and names that the page asks for as it needs them.

The page holds what its view shows and nothing else: `assets/sources.js` asks the server for it.
Python learns which source was picked and tells the page which one to mark.
"""

from __future__ import annotations

import base64
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, CustomJS, Div, HoverTool

from skyshade.app.source_views import markers_of, outlines_of
from skyshade.app.viewer.assets import asset
from skyshade.app.viewer.figure import FONT, SkyMap
from skyshade.app.viewer.markers import TURNS, OnPick, place_text
from skyshade.app.viewer.session import Session, changes_page
from skyshade.app.viewer.text import cell, parse_position
from skyshade.errors import InputError, SkyshadeError
from skyshade.overlays import SourceList, View

COLOURS = ("#ffcf5c", "#7ee0c3", "#ff8fa3", "#b79cff", "#8fd3ff", "#f5f5f5")
NOWHERE = {"u": [], "v": [], "list": [""], "row": [-1]}
LIST = ("id", "title", "colour", "serial", "visible", "outlined")
FIRST = ("id", "serial", "markers", "outlines", "pixel", "u", "v")
WIDE, SHAPE = 820, 0.72  # pixels of the map in a window of 1280 x 720, height over width
PAD, CELL, LIMIT = 1.5, 14, 2000  # as in sources.js
GoTo = Callable[[float, float], None]


class Sources:
    """Every source list of an atlas on the map.

    Parameters
    ----------
    sky : SkyMap
    session : Session
    lists : iterable of SourceList
    on_pick : callable
        Called with a title and cells of text when a source was picked.
    go_to : callable
        Shows an ICRS position in degrees.

    Attributes
    ----------
    state, picked, marked : ColumnDataSource
        The lists; the source that the page says was clicked; the one that is marked.
    note : Div
        How many sources are marked, when not all are.
    """

    def __init__(
        self,
        sky: SkyMap,
        session: Session,
        lists: Iterable[SourceList],
        on_pick: OnPick,
        go_to: GoTo,
    ) -> None:
        self.session, self._on_pick, self._go_to = session, on_pick, go_to
        self.probe = sky.probe
        self._lists: dict[str, SourceList] = {}
        self._serials: dict[str, int] = {}
        self._colours: dict[str, str] = {}
        lists = list(lists)
        self._shown: Sequence[str] = [found.id for found in lists if found.prominent]
        self._numbers = count(1)
        self.state = ColumnDataSource(data={name: [] for name in LIST})
        self.picked = ColumnDataSource(data={"list": [""], "row": [-1], "how": [""], "serial": [0]})
        self.marked = ColumnDataSource(data={"u": [], "v": []})
        self.told = ColumnDataSource(data={"list": [""], "row": [-1]})
        self.note = Div(text="", visible=False, stylesheets=[asset("panes.css")])
        self.first = ColumnDataSource(data={name: [] for name in FIRST})
        self._glyphs(sky)
        self._scripts(sky)
        alive = weakref.ref(self)  # Panel's links keep `picked`, which must not keep the viewer

        def heard(attr: str, old: object, new: Mapping[str, Sequence[Any]]) -> None:
            del attr, old
            ours = alive()
            if ours is not None:
                ours._was_picked(new)

        self.picked.on_change("data", heard)
        self.show(lists)

    def show(self, lists: Iterable[SourceList]) -> None:
        """Know these lists; those of the same id are replaced, others go."""
        wanted = {found.id: found for found in lists}
        for name, found in wanted.items():
            if self._lists.get(name) is not found:
                self._serials[name] = next(self._numbers)
            self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        if self.told.data["list"][0] not in ("", *wanted):
            self._mark(None, -1)
        self._lists = wanted
        self._tell()

    def choose(self, ids: Sequence[str]) -> None:
        """Show these lists and hide the others."""
        self._shown = list(ids)
        self._tell()

    def prime(self, center: tuple[float, float], width: float) -> None:
        """Give the page what its first view shows, so that it need not ask.

        How large the map will be is not known yet: a window of 1280 x 720 is assumed.
        """
        (ra, dec), pixel = center, width / WIDE
        view = View(ra % 360.0, dec, min(width * PAD, 360.0), width * SHAPE * PAD)
        told: dict[str, list[Any]] = {key: [] for key in FIRST}
        for name in self._shown:
            found = self._lists.get(name)
            if found is None:
                continue
            with suppress(SkyshadeError):  # its file is gone: the page asks, and is told so
                parts = [markers_of(found, view, pixel * CELL, LIMIT)]
                parts.append(outlines_of(found, view, pixel) if found.outlines else b"")
                texts = [base64.b64encode(part).decode("ascii") for part in parts]
                row = (name, self._serials[name], *texts, pixel, -ra, dec)
                for key, part in zip(FIRST, row, strict=True):
                    told[key].append(part)
        self.first.data = told

    def _tell(self) -> None:
        rows = [
            (
                name,
                found.title,
                self._colours[name],
                self._serials[name],
                name in self._shown,
                found.outlines is not None,
            )
            for name, found in self._lists.items()
        ]
        told = {name: [row[i] for row in rows] for i, name in enumerate(LIST)}
        if told != self.state.data:
            self.state.data = told

    def look_up(self, text: str) -> tuple[float, float]:
        """Return the ICRS position that a text means, and mark the source if it is a name.

        An equal name wins over a position, a position over a name that holds the text.

        Raises
        ------
        InputError
            It is neither a position nor a part of a name.
        """
        named = self._named(text, exact=True)
        if named is None:
            try:
                return parse_position(text)
            except InputError:
                named = self._named(text, exact=False)
                if named is None:
                    raise
        self.pick(*named)
        found = self._lists[named[0]]
        return float(found.ra[named[1]]), float(found.dec[named[1]])

    @changes_page
    def find(self, text: str, tell: Callable[[str], object]) -> None:
        """Go where a text means; `tell` is called with what is wrong with it, or with ""."""
        try:
            place = self.look_up(text)
        except InputError as error:
            tell(str(error))
        else:
            tell("")
            self._go_to(*place)

    def _named(self, text: str, *, exact: bool) -> tuple[str, int] | None:
        best: list[tuple[Any, str, int]] = []
        for name, found in self._lists.items():
            finder = found.finder
            equal = finder.exact(text)
            if equal is not None:
                return name, equal
            rows = [] if exact or not text.strip() else finder.search(text, 1)
            best += [(finder.quality(text)(row), name, row) for row in rows]
        return min(best)[1:] if best else None

    def pick(self, name: str, row: int) -> None:
        """Mark a source and tell everything about it."""
        found = self._lists.get(name)
        if found is None or not 0 <= row < len(found):
            return  # the list was replaced meanwhile
        self._mark(found, row)
        self.session.later(lambda: cells_of(found, row), lambda said: self._on_pick(*said))

    def _was_picked(self, picked: Mapping[str, Sequence[Any]]) -> None:
        name, row, how = str(picked["list"][0]), int(picked["row"][0]), picked["how"][0]
        self._take(name, row, how != "marker")

    @changes_page
    def _take(self, name: str, row: int, travel: bool) -> None:
        found = self._lists.get(name)
        if found is not None and 0 <= row < len(found):
            self.pick(name, row)
            if travel:
                self._go_to(float(found.ra[row]), float(found.dec[row]))

    def _mark(self, found: SourceList | None, row: int) -> None:
        u = [] if found is None else [-((float(found.ra[row]) + 180.0) % 360.0 - 180.0)]
        v = [] if found is None else [float(found.dec[row])]
        self.marked.data = {"u": [x + turn for x in u for turn in TURNS], "v": v * len(TURNS)}
        self.told.data = {"list": ["" if found is None else found.id], "row": [row]}

    def _glyphs(self, sky: SkyMap) -> None:
        plot = sky.figure
        columns: dict[str, Any] = {key: [] for key in ("u", "v", "size", "row", "list", "colour")}
        self.source = ColumnDataSource(data=columns)
        self.lines = ColumnDataSource(data={"xs": [], "ys": [], "colour": []})
        self.labels = ColumnDataSource(data={key: [] for key in ("u", "v", "text", "dx", "dy")})
        outline = plot.multi_line(
            "xs", "ys", source=self.lines, line_color="colour", line_width=1.5
        )
        at: dict[str, Any] = {"x": "u", "y": "v", "size": "size", "source": self.source}
        # a dark ring below, or bright rings would be lost on a bright map
        halo = plot.scatter(**at, fill_alpha=0.0, line_color="#06101d", line_width=3.4)
        self.renderer = plot.scatter(
            **at,
            marker="circle",
            fill_color="colour",
            fill_alpha=0.15,
            line_color="colour",
            line_width=1.6,
            hover_fill_alpha=0.9,
            hover_line_color="#ffffff",
            hover_fill_color="colour",
        )
        text = plot.text(
            "u",
            "v",
            "text",
            x_offset="dx",
            y_offset="dy",
            source=self.labels,
            text_font=value(FONT),
            text_font_size="12px",
            text_color="#eef2fa",
            background_fill_color="#06101d",
            background_fill_alpha=0.55,
            padding=2,
            text_baseline="middle",
        )
        ring: dict[str, Any] = {"x": "u", "y": "v", "source": self.marked, "fill_alpha": 0.0}
        below = plot.scatter(**ring, size=20, line_color="#06101d", line_width=5)
        above = plot.scatter(**ring, size=20, line_color="#ffffff", line_width=2)
        for renderer in (outline, halo, self.renderer, text, below, above):
            renderer.nonselection_glyph = None
            renderer.selection_glyph = None
            renderer.level = "annotation" if renderer in (text, below, above) else "glyph"

    def _scripts(self, sky: SkyMap) -> None:
        plot = sky.figure
        shared = {"plot": plot, "probe": sky.probe, "state": self.state, "source": self.source}
        look = CustomJS(
            args={
                **shared,
                "lines": self.lines,
                "labels": self.labels,
                "note": self.note,
                "first": self.first,
            },
            code=asset("sources.js"),
        )
        self.state.js_on_change("data", look)
        sky.view.js_on_change("data", look)
        plot.js_on_change("inner_width", look)
        hover = CustomJS(args=shared, code=asset("hover.js"))
        plot.add_tools(
            HoverTool(renderers=[self.renderer], tooltips=None, callback=hover, visible=False)
        )
        picked = {**shared, "picked": self.picked}
        self.source.selected.js_on_change("indices", CustomJS(args=picked, code=asset("pick.js")))


def cells_of(found: SourceList, row: int) -> tuple[str, dict[str, str]]:
    """Return a title and the cells of a source as text, not escaped. May read data."""
    try:
        record = found.record(row)
    except SkyshadeError:  # its file is gone: what is known is told
        record = {"name": "", "extra": {}}
    title = ", ".join(part for part in (found.title, cell(record["name"])) if part)
    cells = {"RA, Dec": place_text(found.ra[row], found.dec[row])}
    extra = {name: cell(value) for name, value in record["extra"].items()}
    return title, cells | {name: text for name, text in extra.items() if np.size(text)}
