"""The histogram above the range slider."""

from __future__ import annotations

import math

import numpy as np
from bokeh.models import BoxAnnotation, ColumnDataSource, Range1d
from bokeh.plotting import figure

from skyshade.types import Statistics

STEPS = 1000  # positions of the slider


class Histogram:
    """Bars of the layer's values with the coloured range marked.

    Attributes
    ----------
    figure : bokeh figure
    low, high : float
        Values at the two ends of the slider.
    """

    def __init__(self) -> None:
        self.low, self.high = 0.0, 1.0
        self._bars = ColumnDataSource(data={"left": [], "right": [], "top": []})
        self._mark = BoxAnnotation(
            left=0, right=1, fill_color="#6fb3ff", fill_alpha=0.16, line_color="#6fb3ff"
        )
        self.figure = self._draw()

    def _draw(self) -> figure:
        plot = figure(
            height=64,
            sizing_mode="stretch_width",
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1.08),
            tools="",
            toolbar_location=None,
            background_fill_color="#0a0e15",
            border_fill_color="#111722",
            outline_line_color="#232c3c",
            min_border=0,
            min_border_left=7,
            min_border_right=7,
        )
        plot.axis.visible = False
        plot.grid.visible = False
        plot.quad(
            left="left",
            right="right",
            top="top",
            bottom=0,
            source=self._bars,
            fill_color="#8a94a8",
            line_color=None,
        )
        plot.add_layout(self._mark)
        return plot

    def show(self, statistics: Statistics, vmin: float, vmax: float) -> None:
        """Draw `statistics` with vmin..vmax marked; heights are logarithmic."""
        edges = np.asarray(statistics.edges, np.float64)
        ends = [vmin, vmax, *edges[[0, -1]]] if edges.size else [vmin, vmax]
        pad = 0.02 * (max(ends) - min(ends)) or 1.0
        self.low, self.high = float(min(ends) - pad), float(max(ends) + pad)
        counts = np.log1p(np.asarray(statistics.counts, np.float64))
        top = counts / counts.max() if counts.size and counts.max() > 0 else counts
        place = (edges - self.low) / (self.high - self.low)
        self._bars.data = {"left": place[:-1], "right": place[1:], "top": top}
        self.mark(vmin, vmax)

    def mark(self, vmin: float, vmax: float) -> None:
        """Mark vmin..vmax."""
        self._mark.left, self._mark.right = self.position(vmin), self.position(vmax)

    def position(self, value: float) -> float:
        """Return where `value` lies along the slider, 0 to 1."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def value(self, position: float) -> float:
        """Return the value at a slider position, rounded to what the slider can tell apart."""
        step = (self.high - self.low) / STEPS
        digits = max(0, 1 - math.floor(math.log10(step)))
        return round(self.low + position * (self.high - self.low), min(digits, 300))
