"""The viewer: one map with its controls, usable from Python and in the page alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import panel as pn
import param
from bokeh.events import Tap

from skyshade.app.viewer.card import Card
from skyshade.app.viewer.choices import COLOURED, Numbers
from skyshade.app.viewer.colours import Colours
from skyshade.app.viewer.controls import Controls, html_pane, softening, tie
from skyshade.app.viewer.export import export_html
from skyshade.app.viewer.figure import SkyMap
from skyshade.app.viewer.labels import (
    is_exact,
    layer_groups,
    notes_html,
    shown_version,
    source_options,
    title_html,
    trouble_of,
)
from skyshade.app.viewer.layout import whole_page
from skyshade.app.viewer.lists import Lists
from skyshade.app.viewer.overlays import Boxes
from skyshade.app.viewer.parameters import STYLE, TIED, Parameters
from skyshade.app.viewer.picture import picture
from skyshade.app.viewer.points import Points, view_coverage
from skyshade.app.viewer.search import join
from skyshade.app.viewer.session import Session, changes_page, listen
from skyshade.app.viewer.sources import Sources
from skyshade.app.viewer.table import SourceTable
from skyshade.app.viewer.text import pretty_units
from skyshade.app.viewer.urls import deepest, tile_url
from skyshade.errors import InputError
from skyshade.geometry.grids import MAX_ZOOM
from skyshade.shaders.colormaps import colormap_names
from skyshade.types import COLOUR_STRETCHES, STRETCHES, Layer, Statistics, Style

if TYPE_CHECKING:
    from PIL.Image import Image

    from skyshade.atlas.atlas import Atlas
    from skyshade.atlas.events import Event

NEAR = 5000  # native pixels across the map, below which no tile needs an overview
GO_TO_WIDTH = 2.0  # degrees shown around a position that was asked for
REACH = 0.008  # of the view's width: a click this far from a row means it


class Viewer(Parameters):
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
        First values of the parameters; see `Parameters`.
    """

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
        self._moving = self._offering = False
        self._numbers = Numbers(atlas)
        self._statistics: Statistics | None = None
        self.param.cmap.objects = list(colormap_names())
        self._build()
        self.param.layer.objects = self._lists.layers()
        self._subscription = listen(atlas, self, "_news")
        self.sources = [s.id for s in atlas.source_lists() if s.prominent]
        self._connect()
        first = layer if layer is not None else next(iter(self.param.layer.objects), None)
        if first is not None:
            self.layer = first
        self.param.update(**params)
        self._sources.prime(self.center, self.width)

    def _build(self) -> None:
        lists, boxes = self._atlas.source_lists(), self._atlas.boxes()
        self._controls = Controls(
            layer_groups(self._atlas), self.param.cmap.objects, source_options(lists), len(boxes)
        )
        plot = self._map.figure
        self._colours = Colours(plot, self._controls)
        self._boxes = Boxes(plot, boxes)
        self._points = Points(plot, self.session, self._details, self._counted)
        self._sources = Sources(self._map, self.session, lists, self._details, self.go_to)
        self._title = html_pane(margin=(8, 12, 0, 14), height=24)
        self._card = Card(self.session)
        self._lists = Lists(self._atlas, self._controls, self._sources, self._boxes)
        first = self._lists.first_sources
        self._table = SourceTable(self._map, self.session, self._sources, first)
        parts = (self._controls.panel, self._title, self._map, self._card.pane, self._table.pane)
        self._panel = whole_page(*parts, height=self._height)
        self.session.root = self._panel

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
        drawn = self._numbers.drawn(self._current, self.detail)
        return picture(drawn, self._style(), self.center, self.width, pixels)

    @property
    def _layer(self) -> Layer:
        """The layer as it is published."""
        return self._numbers.published(self.layer)

    @property
    def _current(self) -> Layer:
        """The layer with the plane and the reduction that were chosen."""
        return self._numbers.current(self.layer, self.plane, self.reduction)

    @property
    def _query(self) -> dict[str, str]:
        return self._numbers.choices.query(self.plane, self.reduction)

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
        ours.softening.param.watch(
            lambda event: self.param.update(q=softening(event.new)), "value_throttled"
        )
        ours.vmin.param.watch(self._typed, "value")
        ours.vmax.param.watch(self._typed, "value")
        ours.auto.on_click(lambda _: self.param.update(vmin=None, vmax=None))
        ours.reset.on_click(lambda _: self.reset())
        join(self._sources, self._table, ours)
        watch = self.param.watch
        watch(self._layer_changed, "layer")
        watch(self._choice_changed, ["plane", "reduction"])
        watch(self._restyle, [*STYLE, "opacity", "detail"])
        watch(self._move, ["center", "width"])
        watch(self._toggle, ["sexagesimal", "graticule", "boxes", "points", "sources"])
        self._map.figure.on_event(Tap, self._tapped)
        self._map.view.on_change("data", lambda attr, old, new: self._moved(new))  # noqa: ARG005

    @changes_page
    def _layer_changed(self, *_: object) -> None:
        if self.layer is None:
            return
        self._offer()
        layer = self._current
        kind = layer.info.kind
        self._map.limit_zoom(layer.info.resolution)
        self._controls.points.visible = self._controls.detail.visible = kind == "catalog"
        self._controls.show_colours(kind, self.param.stretch.objects, layer.info.style.q)
        self._colours.prepare(coloured=kind in COLOURED)
        self._follow()
        self._counted(0, False)
        must_fit = self._map.must_move(layer.info.coverage, self.center, self.width)
        self.param.update(**{name: getattr(layer.info.style, name) for name in STYLE})
        self._show_numbers()
        if must_fit:
            self.reset()

    def _offer(self) -> None:
        """Offer the planes, reductions and stretches of the layer, and choose among them."""
        found, self._statistics = self._numbers.offer(self.layer), None
        kept = self.reduction if self.reduction in found.reductions else found.reduction
        coloured = self._layer.info.kind in COLOURED
        self.param.stretch.objects = list(COLOUR_STRETCHES if coloured else STRETCHES)
        self._offering = True
        try:
            for name, names in (("plane", found.planes), ("reduction", found.reductions)):
                self.param[name].objects = [None, *names]
                self._controls.offer(name, names)
            self.param.update(plane=found.plane, reduction=kept)
        finally:
            self._offering = False

    @changes_page
    def _choice_changed(self, *_: object) -> None:
        """Show other numbers: with a range of their own, in the same colours."""
        if self.layer is not None and not self._offering:
            style, self._statistics = self._current.info.style, None
            self.param.update(vmin=style.vmin, vmax=style.vmax)
            self._show_numbers()

    def _show_numbers(self) -> None:
        """Bring tiles, title, read-out and histogram in line with the numbers chosen."""
        layer = self._current
        info = layer.info
        shown = "" if info.kind in COLOURED else info.id
        self._map.name_layer(shown, pretty_units(info.units), self._query)
        self._show_tiles()
        self._look()
        self.session.later(layer.statistics, lambda found: self._learned(layer, found))

    @changes_page
    def _learned(self, layer: Layer, statistics: Statistics) -> None:
        if self.layer is not None and layer is self._current:
            self._statistics = statistics
            self._colours.show(layer, self._style(), statistics)

    @changes_page
    def _restyle(self, *_: object) -> None:
        if self.layer is None:
            return
        self._show_tiles()
        self._export()
        if self._statistics is not None:
            self._colours.show(self._current, self._style(), self._statistics)

    def _show_tiles(self) -> None:
        layer, marks = self._current, self._numbers.marks(self.layer, self.detail)
        url = tile_url(
            *(self._base, layer.info.id, self._style()),
            choice=self._query | marks,
            double=layer.info.kind != "catalog" or bool(marks),
            version=shown_version(layer),
            token=self._token,
        )
        self._points.ghost(on=bool(marks))
        last = MAX_ZOOM if marks else layer.info.max_zoom  # marks are as sharp on every level
        self._map.show_tiles(url, deepest(last), self.opacity)

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
        layer, trouble = self._current, trouble_of(self._atlas.entry(self.layer))
        exact = is_exact(layer) or self.width < NEAR * layer.info.resolution
        text = title_html(layer.info, self._query.values(), trouble, exact=exact)
        if text != self._title.object:
            self._title.object = text
        self._controls.notes.object = notes_html(layer.info)

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
    def _move(self, *_: object) -> None:
        if not self._moving:
            ra, dec = self.center
            self._map.go_to(ra, dec, self.width)
            self._look()

    @changes_page
    def _moved(self, view: Mapping[str, Sequence[float]]) -> None:
        """Take over where the browser's view has come to rest."""
        ra, dec, width = (float(view[name][0]) for name in ("ra", "dec", "width"))
        self._moving = True
        try:
            self.param.update(center=(ra, dec), width=width)
        finally:
            self._moving = False
        self._look()

    def _look(self) -> None:
        """Tell what depends on the view: rows, a link to its pixels, whether it is a preview."""
        if self.layer is None:
            return
        self._head()
        self._export()
        if self.points:
            (ra, dec), height = self.center, self._map.view.data["height"][0]
            self._points.look(view_coverage(ra, dec, self.width, height))

    def _export(self) -> None:
        ra, dec = self.center
        shown = view_coverage(ra, dec, self.width, self.width * self._map.shape)
        words = (self._style(), self._query, self._token)
        text = export_html(self._base, self._layer.info, shown, *words)
        self._controls.export.object, self._controls.export.visible = text, bool(text)

    @changes_page
    def _counted(self, total: int, drawn: bool) -> None:
        self._controls.count_rows(total if self.points else 0, drawn)

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
        self._card.show(title, cells)

    def _tapped(self, event: Tap) -> None:
        if self.layer is not None and abs(event.y) <= 90.0:
            reach = self.width * REACH
            self._card.tell(self._current, -event.x % 360.0, float(event.y), reach)

    # what the atlas tells

    @changes_page
    def _news(self, events: Sequence[Event]) -> None:
        """React to what the atlas published; runs in the page's turn."""
        lost = any(event.get("type") == "lost" for event in events)
        mine = [event for event in events if lost or event.get("id") == self.layer]
        if lost or any(event.get("type") == "layers" or "state" in event for event in events):
            self._list_changed()
        if self.layer is None or not mine:
            return
        if lost or any("version" in event for event in mine):
            self._renewed()
        elif any("quality" in event for event in mine):
            self._refresh()
        else:  # the layer is not well: the tiles that there are stay
            self._head()

    def _refresh(self) -> None:
        """Look again at the same numbers: they are exact now."""
        self._head()
        self._show_tiles()
        layer = self._current
        self.session.later(layer.statistics, lambda found: self._learned(layer, found))

    def _renewed(self) -> None:
        """Show a layer that was read anew, with the view and the colours as they are."""
        self._offer()
        self._map.limit_zoom(self._layer.info.resolution)
        self._follow()
        self._show_numbers()

    def _list_changed(self) -> None:
        """Offer what there is by now; without a layer so far, show the first."""
        ids = self._lists.layers()
        self.param.layer.objects = ids
        self._lists.renew()
        self.sources = self._lists.shown(self.sources)
        self._sources.choose(self.sources)
        if self.layer not in ids:
            self.layer = next(iter(ids), None)
