"""The colour bar: the whole colour map, with ticks where nice values fall."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.models import ColorBar, CustomJSTickFormatter, FixedTicker, LinearColorMapper

from skyshade.app.viewer.text import number
from skyshade.shaders.shader import Shader
from skyshade.types import AnyArray, FloatArray

GAP = 0.075  # least distance of two ticks, as a part of the bar
NEAREST = "return labels[places.findIndex((at) => Math.abs(at - tick) < 1e-6)] ?? '';"

Place = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class Tick:
    """A value at a place along the colour bar (0 to 1)."""

    place: float
    label: str


def hex_palette(colours: AnyArray) -> list[str]:
    """Return RGBA rows, uint8, shape (n, 4), as ``#rrggbb`` texts."""
    return ["#" + bytes(row).hex() for row in np.ascontiguousarray(colours[:, :3])]


def nice_values(low: float, high: float, *, curved: bool) -> list[float]:
    """Return candidates for ticks, best ones first; from low to high."""
    if not high > low:
        return [low]
    if not curved or 0.0 < high < 20.0 * low or 0.0 < -low < -20.0 * high:
        return _even(low, high)
    small = max(abs(low), abs(high)) * 1e-4
    found = {0.0} if low <= 0.0 <= high else set()
    ranks: dict[float, int] = dict.fromkeys(found, 0)
    first = math.floor(
        math.log10(max(small, min(abs(low), abs(high)) if low * high > 0 else small))
    )
    for power in range(first, math.ceil(math.log10(max(abs(low), abs(high)))) + 1):
        for rank, factor in enumerate((1, 3, 2, 5)):
            for sign in (1, -1):
                value = float(f"{sign * factor}e{power}")
                if low <= value <= high:
                    ranks[value] = min(rank, ranks.get(value, rank))
    best = sorted(ranks, key=lambda v: (ranks[v], -abs(v)))
    return best if len(best) > 2 else best + _even(low, high)


def _even(low: float, high: float) -> list[float]:
    rough = (high - low) / 6.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 1 - math.floor(math.log10(step)))
    return [round(k * step, digits) + 0.0 for k in range(first, last + 1)]


def ticks(values: Sequence[float], place: Place) -> list[Tick]:
    """Return ticks at `values` (best first) that are far enough apart, in order."""
    kept: list[Tick] = []
    for value, at in zip(values, place(np.asarray(values, np.float64)), strict=True):
        if math.isfinite(at) and all(abs(at - tick.place) >= GAP for tick in kept):
            kept.append(Tick(float(at), number(value, 3)))
    return sorted(kept, key=lambda tick: tick.place)


class ColourBar:
    """A vertical Bokeh colour bar that follows a shader."""

    def __init__(self) -> None:
        self._mapper = LinearColorMapper(palette=["#000000", "#ffffff"], low=0.0, high=1.0)
        self._ticker = FixedTicker(ticks=[])
        self._labels = CustomJSTickFormatter(args={"places": [], "labels": []}, code=NEAREST)
        self.model = ColorBar(
            color_mapper=self._mapper,
            ticker=self._ticker,
            formatter=self._labels,
            width=14,
            padding=6,
            margin=4,
            label_standoff=6,
            background_fill_color=None,
            bar_line_color="#3a4458",
            major_tick_line_color="#c9d1e0",
            major_tick_in=0,
            major_tick_out=4,
            major_label_text_color="#c9d1e0",
            major_label_text_font_size="12px",
            title_text_color="#c9d1e0",
            title_text_font_size="12px",
            title_text_font_style="normal",
            title_standoff=8,
        )

    def show(self, shader: Shader) -> None:
        """Colour the bar as `shader` colours tiles; its range must be fixed."""
        norm = shader.norm(np.empty(0))
        low, high = norm.span
        curved = norm.stretch not in ("linear", "abs")
        found = ticks(nice_values(low, high, curved=curved), norm.fraction)
        # in place: a colour bar does not look at another ticker or formatter
        places = [tick.place for tick in found]
        self._labels.args = {"places": places, "labels": [tick.label for tick in found]}
        self._ticker.ticks = places
        self._mapper.palette = hex_palette(shader.palette[1:])
