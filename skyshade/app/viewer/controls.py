"""The widgets of the side panel; plain Panel widgets that know nothing of the atlas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import panel as pn
import param

from skyshade.app.viewer.assets import asset
from skyshade.app.viewer.histogram import STEPS, Histogram
from skyshade.app.viewer.text import escape
from skyshade.shaders.rgb import Q
from skyshade.types import STRETCHES

COMMON_MAPS = (
    "viridis", "magma", "inferno", "cividis", "gray", "fire", "bgy", "coolwarm", "RdBu_r", "planck",
)  # fmt: skip
DETAILS = {
    "auto": "Automatic: rows where they are few",
    "points": "Rows on every level",
    "numbers": "Numbers of pixels only",
}
LABEL = "label" if "label" in pn.widgets.Widget.param else "name"  # Panel 1.9 renamed it
WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": (0, 0, 8, 0)}


def styled(label: str = "", **more: Any) -> dict[str, Any]:
    """Return what our widgets have in common, with a label in Panel's present spelling."""
    named = {LABEL: label} if label else {}
    return {**WIDE, "stylesheets": [asset("widgets.css")], **named, **more}


def html_pane(text: str = "", **more: Any) -> pn.pane.HTML:
    """Return a pane for markup that was escaped where it holds foreign text."""
    return pn.pane.HTML(text, **{**WIDE, "stylesheets": [asset("panes.css")], **more})


class Controls:
    """Every widget, and the column that holds them.

    Parameters
    ----------
    layers : mapping of str to mapping of str to str
        Per group, ids by title.
    colour_maps : sequence of str
    sources : mapping of str to str
        Ids of source lists by title.
    boxes : int
        How many highlight boxes there are.
    """

    def __init__(
        self,
        layers: Mapping[str, Mapping[str, str]],
        colour_maps: Sequence[str],
        sources: Mapping[str, str],
        boxes: int,
    ) -> None:
        self.histogram = Histogram()
        self._choices(layers, colour_maps)
        self._range()
        self._overlays(sources, boxes)
        self._places()
        self.panel = self._column()

    def _choices(self, layers: Mapping[str, Mapping[str, str]], colour_maps: Sequence[str]) -> None:
        groups = {title: dict(members) for title, members in layers.items()}
        first = next((i for members in groups.values() for i in members.values()), None)
        self.layer = pn.widgets.Select(groups=groups, value=first, **styled("Layer"))
        self.rejected = html_pane(visible=False)
        self.plane = pn.widgets.Select(options=[], visible=False, **styled("Plane"))
        self.reduction = pn.widgets.Select(options=[], visible=False, **styled("Reduction"))
        self.detail = pn.widgets.Select(
            options={v: k for k, v in DETAILS.items()}, visible=False, **styled("Detail")
        )
        known = set(colour_maps)
        common = [name for name in COMMON_MAPS if name in known]
        others = [name for name in colour_maps if name not in common]
        maps = {"Common": common, "All others": others} if others else {"Colour maps": common}
        self.cmap = pn.widgets.Select(groups=maps, **styled("Colour map"))
        self.stretch = pn.widgets.Select(options=list(STRETCHES), **styled("Stretch"))
        self.reverse = pn.widgets.Checkbox(**styled("Reverse", margin=(0, 0, 6, 0)))
        self.softening = pn.widgets.FloatSlider(
            start=-1.0, end=2.0, step=0.05, value=math.log10(Q), show_value=False, visible=False,
            bar_color="#6fb3ff", **styled("Softening", margin=(0, 7, 10, 7)),
        )  # fmt: skip
        self.colours_note = html_pane(visible=False)
        self.classes = html_pane(visible=False, margin=(0, 0, 8, 0))

    def _range(self) -> None:
        self.slider = pn.widgets.RangeSlider(
            start=0.0, end=1.0, step=1.0 / STEPS, value=(0.0, 1.0), show_value=False,
            tooltips=False, bar_color="#6fb3ff", **styled(margin=(2, 7, 8, 7)),
        )  # fmt: skip
        self.vmin = pn.widgets.TextInput(**styled("From"))
        self.vmax = pn.widgets.TextInput(**styled("To"))
        self.auto = pn.widgets.Button(
            **styled("Auto", sizing_mode="fixed", width=56, height=28, align="end")
        )
        self.opacity = pn.widgets.FloatSlider(
            start=0.0, end=1.0, step=0.05, value=1.0, show_value=False,
            bar_color="#6fb3ff", **styled("Opacity", margin=(0, 7, 10, 7)),
        )  # fmt: skip
        self.units = html_pane(margin=(0, 0, 2, 0))

    def _overlays(self, sources: Mapping[str, str], boxes: int) -> None:
        self.sources = pn.widgets.CheckBoxGroup(
            options=dict(sources), value=list(sources.values()), **styled(margin=(0, 0, 2, 0))
        )
        self.boxes = pn.widgets.Checkbox(
            value=True, **styled(f"Highlight boxes ({boxes})", margin=(0, 0, 2, 0))
        )
        self.boxes.visible, self.sources.visible = bool(boxes), bool(sources)
        self.marked = pn.Column(margin=0, sizing_mode="stretch_width")  # filled by `Search`
        self.table = pn.widgets.Button(**styled("Table of sources", margin=(0, 0, 8, 0)))
        self.table.visible = bool(sources)
        self.points = pn.widgets.Checkbox(
            value=True, **styled("Points of the catalogue", margin=(0, 0, 2, 0))
        )
        self.points_note = html_pane(margin=(0, 0, 2, 22))
        self.graticule = pn.widgets.Checkbox(value=True, **styled("Graticule", margin=(0, 0, 8, 0)))
        self.angles = pn.widgets.RadioButtonGroup(
            options={"Degrees": False, "h m s / d m s": True}, value=False, **styled()
        )

    def _places(self) -> None:
        self.go_to = pn.widgets.TextInput(
            placeholder="266.4 -29.0  or  17:45:40 -29:00:28", **styled("Go to")
        )
        self.found = pn.Column(margin=0, sizing_mode="stretch_width")  # filled by `Search`
        self.error = html_pane(visible=False, margin=(0, 0, 8, 0))
        self.reset = pn.widgets.Button(**styled("Whole layer", margin=0))
        self.export = html_pane(visible=False, margin=(10, 0, 0, 0))
        self.notes = html_pane(margin=(10, 0, 0, 0))

    def _column(self) -> pn.Column:
        gap = {"sizing_mode": "stretch_width", "margin": 0}
        brand = html_pane('<div class="brand"><b>Skyshade</b><span>east is left</span></div>')
        self._between = pn.Spacer(width=8)
        self.pair = pn.Row(self.cmap, self._between, self.stretch, **gap)
        typed = pn.Row(
            self.vmin, pn.Spacer(width=8), self.vmax, pn.Spacer(width=8), self.auto, **gap
        )
        bars = pn.pane.Bokeh(self.histogram.figure, sizing_mode="stretch_width", margin=0)
        self.range = pn.Column(self.units, bars, self.slider, typed, **gap)
        choices = (self.layer, self.rejected, self.plane, self.reduction, self.detail)
        colours = (self.classes, self.pair, self.softening, self.reverse, self.range)
        overlays = (
            self.sources,
            self.marked,
            self.table,
            self.boxes,
            self.points,
            self.points_note,
            self.graticule,
        )
        return pn.Column(
            brand,
            self.go_to,
            self.found,
            self.error,
            *choices,
            *colours,
            self.colours_note,
            self.opacity,
            *overlays,
            self.angles,
            self.reset,
            self.export,
            self.notes,
            width=288,
            sizing_mode="stretch_height",
            margin=0,
            styles={"padding": "12px 14px", "box-sizing": "border-box"},
            stylesheets=[asset("side.css")],
        )

    def offer_layers(self, layers: Mapping[str, Mapping[str, str]]) -> None:
        """Offer other layers; the chosen one stays while it is among them."""
        groups = {title: dict(members) for title, members in layers.items()}
        if groups != self.layer.groups:
            self.layer.groups = groups

    def offer(self, name: str, names: Sequence[str]) -> None:
        """Offer planes or reductions; nothing to choose from hides the widget."""
        widget = getattr(self, name)
        widget.options = list(names)
        widget.visible = bool(names)

    def offer_sources(self, sources: Mapping[str, str]) -> None:
        """Offer other source lists."""
        if dict(sources) != self.sources.options:
            self.sources.options = dict(sources)
        self.sources.visible = self.table.visible = bool(sources)

    def offer_boxes(self, boxes: int) -> None:
        """Say how many highlight boxes there are."""
        setattr(self.boxes, LABEL, f"Highlight boxes ({boxes})")
        self.boxes.visible = bool(boxes)

    def show_colours(self, kind: str, stretches: Sequence[str], q: float | None) -> None:
        """Show the controls that a kind of layer has a use for."""
        coloured = kind in ("rgb", "image")
        self.pair.visible = kind != "image"
        for part in (self.cmap, self._between, self.reverse, self.range):
            part.visible = not coloured
        self.softening.visible = kind == "rgb"
        self.softening.value = math.log10(Q if q is None else q)
        self.stretch.options = list(stretches)
        text = {"rgb": "Three layers as red, green and blue", "image": "The picture's own colours"}
        self.colours_note.object = f'<div class="note">{text.get(kind, "")}</div>'
        self.colours_note.visible = coloured

    def show_classes(self, classes: Sequence[tuple[str, str]]) -> None:
        """Show a legend of classes and their colours; none hides it."""
        chip = '<div class="class"><i style="background:{}"></i>{}</div>'
        lines = "".join(chip.format(colour, escape(name)) for name, colour in classes)
        self.classes.object = f'<div class="classes">{lines}</div>' if classes else ""
        self.classes.visible = bool(classes)
        for part in (self.cmap, self._between, self.reverse):
            part.visible = not classes

    def count_rows(self, total: int, drawn: bool) -> None:
        """Say how many rows of a catalogue the view holds; negative: more; 0 says nothing."""
        count = f"{total:,}" if total >= 0 else f"more than {-total:,}"
        note = f"{count} rows in view" + ("" if drawn else "; zoom in to see each")
        self.points_note.visible = bool(total) and self.points.visible
        self.points_note.object = f'<div class="note">{note}</div>'

    def show_error(self, text: str) -> None:
        """Show a sentence under the go-to field; "" hides it."""
        self.error.object = f'<div class="error">{escape(text)}</div>' if text else ""
        self.error.visible = bool(text)


def softening(position: float) -> float:
    """Return the Q that a place along the softening slider stands for."""
    return float(f"{10.0**position:.3g}")


def tie(widget: pn.widgets.Widget, owner: param.Parameterized, name: str) -> None:
    """Keep ``widget.value`` and ``owner.name`` equal, whichever changes."""
    widget.value = getattr(owner, name)
    widget.param.watch(lambda event: owner.param.update(**{name: event.new}), "value")
    owner.param.watch(lambda event: widget.param.update(value=event.new), name)
