"""The widgets of the side panel; plain Panel widgets that know nothing of the atlas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import panel as pn
import param

from skyshade.app.viewer.assets import asset
from skyshade.app.viewer.histogram import STEPS, Histogram
from skyshade.app.viewer.text import escape
from skyshade.types import STRETCHES

COMMON_MAPS = (
    "viridis", "magma", "inferno", "cividis", "gray", "fire", "bgy", "coolwarm", "RdBu_r", "planck",
)  # fmt: skip
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
        self.panel = self._column(bool(boxes), bool(sources))

    def _choices(self, layers: Mapping[str, Mapping[str, str]], colour_maps: Sequence[str]) -> None:
        groups = {title: dict(members) for title, members in layers.items()}
        first = next((i for members in groups.values() for i in members.values()), None)
        self.layer = pn.widgets.Select(groups=groups, value=first, **styled("Layer"))
        known = set(colour_maps)
        common = [name for name in COMMON_MAPS if name in known]
        others = [name for name in colour_maps if name not in common]
        maps = {"Common": common, "All others": others} if others else {"Colour maps": common}
        self.cmap = pn.widgets.Select(groups=maps, **styled("Colour map"))
        self.stretch = pn.widgets.Select(options=list(STRETCHES), **styled("Stretch"))
        self.reverse = pn.widgets.Checkbox(**styled("Reverse", margin=(0, 0, 6, 0)))

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
        self.error = html_pane(visible=False, margin=(0, 0, 8, 0))
        self.reset = pn.widgets.Button(**styled("Whole layer", margin=0))
        self.notes = html_pane(margin=(10, 0, 0, 0))

    def _column(self, boxes: bool, sources: bool) -> pn.Column:
        self.boxes.visible, self.sources.visible = boxes, sources
        gap = {"sizing_mode": "stretch_width", "margin": 0}
        brand = html_pane('<div class="brand"><b>Skyshade</b><span>east is left</span></div>')
        pair = pn.Row(self.cmap, pn.Spacer(width=8), self.stretch, **gap)
        typed = pn.Row(
            self.vmin, pn.Spacer(width=8), self.vmax, pn.Spacer(width=8), self.auto, **gap
        )
        return pn.Column(
            brand,
            self.go_to,
            self.error,
            self.layer,
            pair,
            self.reverse,
            self.units,
            pn.pane.Bokeh(self.histogram.figure, sizing_mode="stretch_width", margin=0),
            self.slider,
            typed,
            self.opacity,
            self.sources,
            self.boxes,
            self.points,
            self.points_note,
            self.graticule,
            self.angles,
            self.reset,
            self.notes,
            width=288,
            sizing_mode="stretch_height",
            margin=0,
            styles={"padding": "12px 14px", "box-sizing": "border-box"},
            stylesheets=[asset("side.css")],
        )

    def show_error(self, text: str) -> None:
        """Show a sentence under the go-to field; "" hides it."""
        self.error.object = f'<div class="error">{escape(text)}</div>' if text else ""
        self.error.visible = bool(text)


def tie(widget: pn.widgets.Widget, owner: param.Parameterized, name: str) -> None:
    """Keep ``widget.value`` and ``owner.name`` equal, whichever changes."""
    widget.value = getattr(owner, name)
    widget.param.watch(lambda event: owner.param.update(**{name: event.new}), "value")
    owner.param.watch(lambda event: widget.param.update(value=event.new), name)
