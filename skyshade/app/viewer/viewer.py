"""The viewer: one map with its controls, usable from Python and in the page alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import panel as pn
import param

from skyshade.app.viewer.assets import asset
from skyshade.app.viewer.colours import Colours
from skyshade.app.viewer.controls import Controls, html_pane, tie
from skyshade.app.viewer.figure import SkyMap
from skyshade.app.viewer.labels import BecomesExact, layer_groups, notes_html, title_html
from skyshade.app.viewer.markers import details_html
from skyshade.app.viewer.overlays import Boxes, Points, Sources, view_coverage
from skyshade.app.viewer.picture import picture
from skyshade.app.viewer.session import Session, changes_page, listen
from skyshade.app.viewer.text import parse_position, pretty_units
from skyshade.app.viewer.urls import deepest, tile_url
from skyshade.errors import InputError
from skyshade.shaders.colormaps import colormap_names
from skyshade.types import STRETCHES, Layer, Statistics, Style

if TYPE_CHECKING:
    from PIL.Image import Image

    from skyshade.atlas.atlas import Atlas
    from skyshade.atlas.events import Event

GO_TO_WIDTH = 2.0  # degrees shown around a position that was asked for
TIED = (
    "layer", "cmap", "stretch", "reverse", "opacity", "graticule", "boxes", "points", "sources",
)  # fmt: skip
STYLE = ("cmap", "vmin", "vmax", "stretch", "reverse")


class Viewer(pn.viewable.Viewer):  # type: ignore[misc] # panel is not typed for us
    """A sky map with layers, colours and overlays.

    Parameters
    ----------
    atlas : Atlas
    base_url : str
        Where the tile server answers, ending in "/"; "" when it serves this page too.
    token : str
        What that server must be told, when the page has no cookie for it.
    layer : str, optional
        Id of the first layer; the first one that can be shown when None.
    height : int, optional
        Pixels; None fills the page.
    **params
        First values of the parameters below.
    """

    layer = param.Selector(default=None, objects=[], doc="Id of the layer.")
    cmap = param.Selector(default="viridis", objects=["viridis"], doc="Colour map.")
    vmin = param.Number(default=None, allow_None=True, doc="First colour; None: automatic.")
    vmax = param.Number(default=None, allow_None=True, doc="Last colour; None: automatic.")
    stretch = param.Selector(default="linear", objects=list(STRETCHES), doc="Norm.")
    reverse = param.Boolean(default=False, doc="Turn the colour map round.")
    opacity = param.Number(default=1.0, bounds=(0.0, 1.0))
    center = param.NumericTuple(default=(0.0, 0.0), length=2, doc="ICRS ra, dec in degrees.")
    width = param.Number(
        default=360.0, bounds=(0.0, 420.0), inclusive_bounds=(False, True), doc="Degrees."
    )
    sexagesimal = param.Boolean(default=False, doc="Axes in h m s and d m s.")
    graticule = param.Boolean(default=True)
    boxes = param.Boolean(default=True, doc="Show the highlight boxes.")
    points = param.Boolean(default=True, doc="Show rows of a catalogue where they are few.")
    sources = param.List(default=[], item_type=str, doc="Ids of the source lists shown.")

    def __init__(
        self,
        atlas: Atlas,
        *,
        base_url: str = "",
        token: str = "",
        layer: str | None = None,
        height: int | None = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self._atlas, self._base, self._token, self._height = atlas, base_url, token, height
        self._map = SkyMap(base_url, token=token)
        self.session = Session(self._map.figure)
        self._moving = False
        self._statistics: Statistics | None = None
        entries = [e for e in atlas.entries() if e.layer is not None]
        self.param.layer.objects = [e.id for e in entries]
        self.param.cmap.objects = list(colormap_names())
        self._build()
        self._subscription = listen(atlas, self, "_news")
        self.sources = [s.id for s in atlas.source_lists()]
        self._connect()
        first = layer if layer is not None else next(iter(self.param.layer.objects), None)
        if first is not None:
            self.layer = first
        self.param.update(**params)

    def _build(self) -> None:
        lists, boxes = self._atlas.source_lists(), self._atlas.boxes()
        self._controls = Controls(
            layer_groups(self._atlas),
            self.param.cmap.objects,
            {f"{s.title} ({len(s)})": s.id for s in lists},
            len(boxes),
        )
        plot = self._map.figure
        self._colours = Colours(plot, self._controls)
        self._boxes = Boxes(plot, boxes)
        self._points = Points(plot, self.session, self._details, self._counted)
        self._sources = Sources(plot, lists, self._details)
        self._title = html_pane(margin=(8, 12, 0, 14), height=24)
        self._card = html_pane(
            sizing_mode=None,
            width=300,
            margin=0,
            styles={"position": "absolute", "right": "110px", "top": "84px", "z-index": "20"},
        )
        self._cards = count()
        self._panel = self._layout()
        self.session.root = self._panel

    def _layout(self) -> pn.Row:
        readout = pn.pane.Bokeh(
            self._map.readout, sizing_mode="stretch_width", height=24, margin=(0, 16, 0, 14)
        )
        self._map.readout.stylesheets = [asset("panes.css")]
        main = pn.Column(
            self._title,
            readout,
            pn.pane.Bokeh(self._map.figure, sizing_mode="stretch_both", margin=0),
            self._card,
            sizing_mode="stretch_both",
            margin=0,
            styles={"position": "relative", "min-width": "0"},
        )
        size: dict[str, Any] = {"sizing_mode": "stretch_both"}
        if self._height is not None:
            size = {"sizing_mode": "stretch_width", "height": self._height}
        return pn.Row(
            self._controls.panel, main, margin=0, styles={"background": "#0d1119"}, **size
        )

    def __panel__(self) -> pn.viewable.Viewable:
        """Return the layout; one page at a time can show it."""
        return self._panel

    def close(self) -> None:
        """Stop listening to the atlas; called when the page goes."""
        self.session.close()
        self._subscription.close()

    @changes_page
    def serve_from(self, base_url: str) -> None:
        """Take tiles and values from another address from now on."""
        if base_url != self._base:
            self._base = base_url
            self._map.serve_from(base_url)
            self._restyle()

    def picture(self, pixels: int = 1024) -> Image:
        """Return what the map shows now, without overlays, as a Pillow image.

        Parameters
        ----------
        pixels : int
            Width of the image.
        """
        return picture(self._current, self._style(), self.center, self.width, pixels)

    @property
    def _current(self) -> Layer:
        if self.layer is None:
            msg = "there is no layer to show: every file was rejected"
            raise InputError(msg)
        return self._atlas.layer(self.layer)

    def _style(self) -> Style:
        given = {name: getattr(self, name) for name in STYLE}
        return replace(self._current.info.style, **given)

    # from parameters to the page

    def _connect(self) -> None:
        ours = self._controls
        for name in TIED:
            tie(getattr(ours, name), self, name)
        tie(ours.angles, self, "sexagesimal")
        ours.slider.param.watch(self._slid, "value_throttled")
        ours.vmin.param.watch(self._typed, "value")
        ours.vmax.param.watch(self._typed, "value")
        ours.auto.on_click(lambda _: self.param.update(vmin=None, vmax=None))
        ours.reset.on_click(lambda _: self.reset())
        ours.go_to.param.watch(lambda event: event.new and self._find(event.new), "value")
        watch = self.param.watch
        watch(self._layer_changed, "layer")
        watch(self._restyle, [*STYLE, "opacity"])
        watch(self._move, ["center", "width"])
        watch(self._toggle, ["sexagesimal", "graticule", "boxes", "points", "sources"])
        self._map.view.on_change("data", lambda attr, old, new: self._moved(new))  # noqa: ARG005

    @changes_page
    def _layer_changed(self, *_: object) -> None:
        if self.layer is None:
            return
        layer = self._current
        info = layer.info
        self._statistics = None
        self._map.name_layer(self.layer, pretty_units(info.units))
        self._map.limit_zoom(info.resolution)
        self._follow()
        self._controls.points.visible = info.kind == "catalog"
        self._counted(0, False)
        self._head()
        must_fit = self._should_fit(layer)
        self.param.update(**{name: getattr(info.style, name) for name in STYLE})
        self._show_tiles()
        if must_fit:
            self.reset()
        self.session.later(layer.statistics, lambda found: self._learned(layer, found))
        self._look()

    def _should_fit(self, layer: Layer) -> bool:
        """Whether the view must move for the layer to be seen."""
        if self._map.fresh:
            return True
        _, _, width = self._map.fit(layer.info.coverage)
        return width < self.width / 8 or not self._overlaps(layer)

    def _overlaps(self, layer: Layer) -> bool:
        it, (ra, dec) = layer.info.coverage, self.center
        height = self._map.view.data["height"][0]
        across = abs(((it.ra_east + it.ra_west) / 2 - ra + 180.0) % 360.0 - 180.0)
        down = abs((it.dec_min + it.dec_max) / 2 - dec)
        near = bool(across < (it.ra_east - it.ra_west + self.width) / 2)
        return near and bool(down < (it.dec_max - it.dec_min + height) / 2)

    @changes_page
    def _learned(self, layer: Layer, statistics: Statistics) -> None:
        if self.layer is not None and layer is self._current:
            self._statistics = statistics
            self._colours.show(layer.info, self._style(), statistics)

    @changes_page
    def _restyle(self, *_: object) -> None:
        if self.layer is None:
            return
        self._show_tiles()
        if self._statistics is not None:
            self._colours.show(self._current.info, self._style(), self._statistics)

    def _show_tiles(self) -> None:
        layer = self._current
        # previews have no version: tiles of the same address would not be asked for again
        exact = not isinstance(layer, BecomesExact) or layer.ready
        version = layer.version if exact else ""
        url = tile_url(
            self._base,
            layer.info.id,
            self._style(),
            double=layer.info.kind != "catalog",
            version=version,
            token=self._token,
        )
        self._map.show_tiles(url, deepest(layer.info.max_zoom), self.opacity)

    @changes_page
    def _toggle(self, *events: param.parameterized.Event) -> None:
        names = {event.name for event in events}
        if "sexagesimal" in names:
            self._map.set_angles(sexagesimal=self.sexagesimal)
        self._map.graticule(visible=self.graticule)
        self._boxes.show(visible=self.boxes)
        self._sources.choose(self.sources)
        if names & {"points", "sources"}:
            self._follow()
            self._look()

    def _follow(self) -> None:
        """Draw a catalogue's points, unless they are marked as a source list already."""
        wanted = self.points and self.layer is not None and self.layer not in self.sources
        self._points.follow(self._current if wanted else None, self._current.info.title)
        if not wanted:
            self._counted(0, drawn=False)

    def _head(self) -> None:
        info, entry = self._current.info, self._atlas.entry(self.layer)
        self._title.object = title_html(info, "" if entry.state == "ok" else entry.reason)
        self._controls.notes.object = notes_html(info)

    # the view

    @changes_page
    def reset(self) -> None:
        """Show the whole layer."""
        ra, dec, width = self._map.fit(self._current.info.coverage)
        self.param.update(center=(ra, dec), width=width)
        self._move()

    @changes_page
    def go_to(self, ra: float, dec: float, width: float | None = None) -> None:
        """Centre the map on ICRS degrees; a wide view is narrowed to a few degrees."""
        near = min(self.width, GO_TO_WIDTH) if width is None else width
        self.param.update(center=(ra % 360.0, dec), width=near)

    @changes_page
    def _find(self, text: str) -> None:
        try:
            ra, dec = parse_position(text, self._sources.names)
        except InputError as error:
            self._controls.show_error(str(error))
        else:
            self._controls.show_error("")
            self.go_to(ra, dec)

    @changes_page
    def _move(self, *_: object) -> None:
        if not self._moving:
            ra, dec = self.center
            self._map.go_to(ra, dec, self.width)
            self._look()

    @changes_page
    def _moved(self, view: Mapping[str, Sequence[float]]) -> None:
        """Take over where the browser's view has come to rest."""
        with self._browser_moves():
            ra, dec, width = (float(view[name][0]) for name in ("ra", "dec", "width"))
            self.param.update(center=(ra, dec), width=width)
        self._look()

    @contextmanager
    def _browser_moves(self) -> Iterator[None]:
        self._moving = True
        try:
            yield
        finally:
            self._moving = False

    def _look(self) -> None:
        if self.points and self.layer is not None:
            height = self._map.view.data["height"][0]
            ra, dec = self.center
            self._points.look(view_coverage(ra, dec, self.width, height))

    @changes_page
    def _counted(self, total: int, drawn: bool) -> None:
        note = ""
        if total and self.points and self._controls.points.visible:
            note = f"{total:,} rows in view" + ("" if drawn else "; zoom in to see each")
        self._controls.points_note.object = f'<div class="note">{note}</div>'
        self._controls.points_note.visible = bool(note)

    # from the page to parameters

    def _slid(self, event: param.parameterized.Event) -> None:
        if self._statistics is not None and not self._colours.showing:
            self.param.update(**self._colours.slid(event.new))

    @changes_page
    def _typed(self, *_: object) -> None:
        if self._statistics is None or self._colours.showing:
            return
        try:
            self.param.update(**self._colours.typed())
            self._controls.show_error("")
        except InputError as error:
            self._controls.show_error(str(error))

    @changes_page
    def _details(self, title: str, cells: Mapping[str, str]) -> None:
        self._card.object = details_html(title, cells, next(self._cards))

    @changes_page
    def _news(self, events: Sequence[Event]) -> None:
        """React to what the atlas published; runs in the page's turn."""
        lost = any(event.get("type") == "lost" for event in events)
        if self.layer is None or not (lost or self.layer in {event.get("id") for event in events}):
            return
        self._head()
        self._show_tiles()
        layer = self._current
        self.session.later(layer.statistics, lambda found: self._learned(layer, found))
