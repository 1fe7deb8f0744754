"""Colours of the layer: histogram, range slider, typed range and colour bar, kept together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from bokeh.models import PlainText

from skyshade.app.viewer.choices import classes_of
from skyshade.app.viewer.histogram import STEPS
from skyshade.app.viewer.scale import ColourBar
from skyshade.app.viewer.text import MINUS, escape, pretty_units
from skyshade.errors import InputError
from skyshade.shaders.shader import Shader, shader_for
from skyshade.types import Layer, Statistics, Style

if TYPE_CHECKING:
    from bokeh.plotting import figure

    from skyshade.app.viewer.controls import Controls


class Colours:
    """Shows a style, and reads what was typed.

    Attributes
    ----------
    showing : bool
        True while the widgets are being set, so that their echo is not taken for a wish.
    """

    def __init__(self, plot: figure, controls: Controls) -> None:
        self.showing = False
        self._controls = controls
        self._range = (0.0, 1.0)
        self._bar = ColourBar()
        self._drawn: object = None
        plot.add_layout(self._bar.model, "right")

    def prepare(self, *, coloured: bool) -> None:
        """Show the colour bar, or hide it for layers that have their own colours."""
        self._bar.model.visible = not coloured

    def show(self, layer: Layer, style: Style, statistics: Statistics) -> None:
        """Bring histogram, slider, typed range and colour bar (or legend) in line with `style`.

        A layer that has its own colours has none of these.
        """
        info = layer.info
        shader = shader_for(style, statistics)
        if not isinstance(shader, Shader):
            return
        classes = classes_of(layer, style)
        self._controls.show_classes(classes)
        self._bar.model.visible = not classes
        low, high = shader.norm(np.empty(0)).low, shader.norm(np.empty(0)).high
        self._range = (low, high)
        self.showing = True
        try:
            self._set_range(statistics, low, high)
        finally:
            self.showing = False
        what = info.quantity or "value"
        units = f" [{pretty_units(info.units)}]" if info.units else ""
        self._controls.units.object = f'<div class="heading">{escape(what + units)}</div>'
        self._bar.show(shader)
        title = pretty_units(info.units) or f"{what} (no units)"
        if self._bar.model.title is None or self._bar.model.title.text != title:
            self._bar.model.title = PlainText(text=title)

    def _set_range(self, statistics: Statistics, low: float, high: float) -> None:
        histogram, ours = self._controls.histogram, self._controls
        inside = histogram.low <= low < high <= histogram.high
        if self._drawn is statistics and inside:  # a range that fits leaves the axis alone
            histogram.mark(low, high)
        else:
            histogram.show(statistics, low, high)
            self._drawn = statistics
        ours.slider.value = (histogram.position(low), histogram.position(high))
        ours.vmin.value, ours.vmax.value = f"{low:.5g}", f"{high:.5g}"

    def slid(self, positions: Sequence[float]) -> dict[str, float]:
        """Return the range that the slider's handles stand for; an end that rests stays exact."""
        histogram = self._controls.histogram
        low, high = (
            old if abs(histogram.position(old) - at) < 1.0 / STEPS else histogram.value(at)
            for old, at in zip(self._range, positions, strict=True)
        )
        return {"vmin": low, "vmax": high} if low < high and (low, high) != self._range else {}

    def typed(self) -> dict[str, float]:
        """Return the range as typed; only the ends that were changed.

        Raises
        ------
        InputError
            When a text is no number, or the range is empty.
        """
        low, high = self._range
        new_low = _read("From", self._controls.vmin.value, low)
        new_high = _read("To", self._controls.vmax.value, high)
        if not new_low < new_high:
            msg = (
                f"the range {new_low:g} to {new_high:g} is empty: give a smaller and a larger value"
            )
            raise InputError(msg)
        return {"vmin": new_low, "vmax": new_high} if (new_low, new_high) != (low, high) else {}


def _read(thing: str, text: str, now: float) -> float:
    if text == f"{now:.5g}":
        return now
    try:
        value = float(text.replace(MINUS, "-").replace(",", ""))
    except ValueError:
        value = float("nan")
    if not math.isfinite(value):
        msg = f"{thing} {text!r} is not a number: give one such as 0.5 or 1e-6"
        raise InputError(msg)
    return value
