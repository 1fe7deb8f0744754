"""Aggregate to picture: a frozen value that says how numbers become colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError, UnknownNameError
from skyshade.kernels.colour import COLOURS
from skyshade.shaders.categories import classes_at, key_colours, lay, mix, parse_key
from skyshade.shaders.colormaps import colormap
from skyshade.shaders.colours import (
    CLEAR,
    RGBA,
    hexes_of,
    lay_marks,
    over,
    parse_colour,
    resample,
    rgba_of,
)
from skyshade.shaders.norms import Cumulative, Norm, cumulative_from, cumulative_of, valid_values
from skyshade.shaders.rgb import RgbShader, rgb_shader_for
from skyshade.types import STRETCHES, Aggregate, AnyArray, FloatArray, Image, Statistics, Style

if TYPE_CHECKING:
    import xarray as xr

_LOW, _HIGH = "0.5", "99.5"
STEP, GROUPS = (
    8,
    32,
)  # palette steps that marks of numbers share, so that their opacities fit in as well
MISSING = "#8d8d8d"  # marks whose number is missing, unless the style says otherwise
Pixels: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = "Aggregate | xr.DataArray"


@dataclass(frozen=True)
class Shader:
    """Colours an aggregate; equals `datashader.transfer_functions.shade` to one palette step.

    Parameters
    ----------
    cmap : str, list of colours, array of shape (n, 3) or (n, 4), or matplotlib Colormap
        Kept as a name or as a tuple of ``#rrggbbaa``.
    vmin, vmax : float, optional
        Values of the first and the last colour; values beyond take these colours. None takes the
        aggregate's own minimum and maximum, as datashader does.
    stretch : str
        One of `skyshade.types.STRETCHES`; see `skyshade.shaders.norms`.
    reverse : bool
        Turn the colour map round.
    nan, bg : str, optional
        Colour of missing values and of what lies behind all; None is transparent.
    percentile : tuple of float, optional
        Percentiles of the aggregate's own values instead of its minimum and maximum.
    histogram : Cumulative, optional
        For ``eq_hist``: the cumulative histogram of the whole layer, so that neighbouring tiles
        join. None takes the aggregate's own, as datashader does.
    color_key : mapping of category to colour, or sequence of colours, optional
        Colours of the third axis.
    baseline : float, optional
        What counts as nothing when colours of categories are mixed (datashader's color_baseline).

    Raises
    ------
    InputError
        When a value is not allowed; the message names it.
    """

    cmap: Any = "viridis"
    vmin: float | None = None
    vmax: float | None = None
    stretch: str = "linear"
    reverse: bool = False
    nan: str | None = None
    bg: str | None = None
    percentile: tuple[float, float] | None = None
    histogram: Cumulative | None = None
    color_key: Any = None
    baseline: float | None = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the value is being made; afterwards it is frozen
        set_field(self, "cmap", _cmap(self.cmap))
        set_field(self, "color_key", _key(self.color_key))
        if self.stretch not in STRETCHES:
            raise UnknownNameError("stretch", self.stretch, STRETCHES)
        _check_range(self.vmin, self.vmax)
        if self.percentile is not None:
            _check_percentile(*self.percentile)
        _ = self.palette  # bad colours are refused now, not at the first tile

    @cached_property
    def palette(self) -> RGBA:
        """Colours by palette index, shape (256, 4): missing, then 255 from first to last."""
        whole = colormap(self.cmap) if isinstance(self.cmap, str) else rgba_of(self.cmap)
        steps = resample(whole, COLOURS)
        nan = parse_colour(self.nan) if self.nan else CLEAR
        table = np.concatenate([[nan], steps[::-1] if self.reverse else steps]).astype(np.uint8)
        return over(table, self._background)

    @property
    def _background(self) -> tuple[int, int, int, int]:
        return parse_colour(self.bg) if self.bg else CLEAR

    def __call__(self, aggregate: Numbers) -> Image:
        """Return the coloured aggregate, in the order of its rows.

        Parameters
        ----------
        aggregate : Aggregate or xarray.DataArray
            ``(y, x)`` numbers or booleans, or ``(y, x, category)`` numbers.

        Returns
        -------
        Image
            Palette indices (0 is missing), or RGBA for categories.

        Raises
        ------
        InputError
            When it has neither two nor three dimensions, or the wrong kind of values.
        """
        values = np.asarray(aggregate.values)
        if values.dtype.kind not in "biuf" or values.ndim not in (2, 3):
            msg = (
                f"an aggregate of {values.ndim} dimensions and type {values.dtype} cannot be "
                "coloured: give numbers with dims (y, x) or (y, x, category)"
            )
            raise InputError(msg)
        opacity = aggregate.opacity if isinstance(aggregate, Aggregate) else None
        if opacity is not None:
            return self._marks(cast("Aggregate", aggregate), opacity)
        if values.ndim == 3:
            return self._categories(values, aggregate)
        return Image(self.norm(values).indices(values), self.palette)

    def norm(self, values: AnyArray) -> Norm:
        """Return the norm, what is not given taken from `values`."""
        return self._fixed or self._norm_of(valid_values(values))

    @cached_property
    def _fixed(self) -> Norm | None:
        """The norm that depends on no values; made once."""
        if self.vmin is None or self.vmax is None:
            return None
        if self.stretch == "eq_hist" and self.histogram is None:
            return None
        return Norm(self.stretch, self.vmin, self.vmax, self.histogram)

    def _norm_of(self, valid: AnyArray) -> Norm:
        low, high = _own_range(valid, self.percentile)
        low = low if self.vmin is None else self.vmin
        high = high if self.vmax is None else self.vmax
        histogram = self.histogram
        if self.stretch == "eq_hist" and histogram is None:
            histogram = cumulative_of(valid)
        return Norm(self.stretch, low, max(low, high), histogram)

    def _marks(self, aggregate: Aggregate, opacity: Pixels) -> Image:
        """Return smooth marks: their colours, laid on with their opacity, over what is below."""
        if aggregate.values.ndim == 3:
            return self._class_marks(aggregate, opacity)
        norm = self.norm(aggregate.values if aggregate.under is None else aggregate.under)
        front = norm.indices(aggregate.values)
        under = None if aggregate.under is None else norm.indices(aggregate.under)
        seen = front[opacity > 0]
        if seen.size == 0 or seen.min() == seen.max():
            return self._one_colour(int(seen[0]) if seen.size else 0, opacity, under)
        colours = replace(self, bg=None, nan=self.nan or MISSING).palette
        if under is None:
            where = np.flatnonzero(opacity)
            steps = (front.flat[where].astype(np.int64) + (STEP - 1)) // STEP  # 0: no number
            few = colours[np.append(0, np.rint(np.linspace(1, COLOURS, GROUPS)).astype(np.int64))]
            return self._few_colours(few, where, steps, opacity)
        below = replace(self, bg=None).palette[under]
        return Image(over(lay_marks(colours[front], opacity, below), self._background))

    def _few_colours(
        self, colours: RGBA, where: AnyArray, number: AnyArray, opacity: Pixels
    ) -> Image:
        """Return marks of so few colours that a palette holds them with their opacities."""
        steps = 255 // len(colours)
        levels = np.maximum((opacity.flat[where].astype(np.int64) * steps + 127) // 255, 1)
        pixels = np.zeros(opacity.shape, np.uint8)
        pixels.flat[where] = number * steps + levels
        table = np.concatenate([[CLEAR], np.repeat(colours, steps, axis=0)]).astype(np.uint8)
        rising = np.tile(np.arange(1, steps + 1), len(colours)) / steps
        table[1:, 3] = np.rint(table[1:, 3] * rising)
        return Image(pixels, over(table, self._background))

    def _class_marks(self, aggregate: Aggregate, opacity: Pixels) -> Image:
        """Return marks in the colours of their classes; grey where they have none."""
        grey = np.array([parse_colour(self.nan or MISSING)], np.uint8)
        colours = np.concatenate([self._key_colours(aggregate), grey])
        where, number = classes_at(aggregate.values, opacity)
        if aggregate.under is None:
            return self._few_colours(colours, where, number, opacity)
        marks = np.zeros((*opacity.shape, 4), np.uint8)
        marks.reshape(-1, 4)[where] = colours[number]
        total, below = mix(aggregate.under, colours[:-1], self.baseline)
        below[..., 3] = np.where(total > 0, 255, 0)
        return Image(over(lay_marks(marks, opacity, below), self._background))

    def _one_colour(self, index: int, opacity: Pixels, under: Pixels | None) -> Image:
        """Return marks of one colour as palette indices, a quarter of the bytes of RGBA."""
        if under is not None and under.min() > 0 and index == COLOURS:
            up = (COLOURS - under.astype(np.uint16)) * opacity
            return Image((under + (up + 127) // 255).astype(np.uint8), self.palette)
        clear = replace(self, bg=None).palette
        colour = clear[index] if index else parse_colour(self.nan or MISSING)
        if under is not None:
            marks = np.broadcast_to(np.array(colour, np.uint8), (*opacity.shape, 4))
            return Image(over(lay_marks(marks, opacity, clear[under]), self._background))
        table = np.tile(np.array(colour, np.uint8), (256, 1))
        table[:, 3] = np.rint(np.arange(256) * (table[0, 3] / 255.0))
        return Image(opacity, over(table, self._background))

    def _key_colours(self, aggregate: Numbers) -> RGBA:
        key = dict(self.color_key) if _is_pairs(self.color_key) else self.color_key
        return key_colours(key, _category_names(aggregate))

    def _categories(self, values: AnyArray, aggregate: Numbers) -> Image:
        total, pixels = mix(values, self._key_colours(aggregate), self.baseline)
        if self._fixed is None:
            valid = total[np.isfinite(total)]
            norm = self._norm_of(valid.astype(np.int64) if values.dtype.kind in "biu" else valid)
        else:
            norm = self._fixed
        lay(total, pixels, norm, parse_colour(self.nan) if self.nan else CLEAR)
        return Image(over(pixels, self._background))

    def fraction(self, values: AnyArray) -> FloatArray:
        """Return where values lie between the first colour (0) and the last (1); NaN stays.

        What the shader does not fix is taken from `values`.
        """
        values = np.asarray(values)
        return self.norm(values).fraction(values)

    def legend(self, n: int = 256) -> tuple[FloatArray, RGBA]:
        """Return `n` values and their colours, evenly spaced in colour: a colour bar.

        Returns
        -------
        values : ndarray of float64, shape (n,)
            Rising; of absolute values for ``abs``.
        colours : ndarray of uint8, shape (n, 4)

        Raises
        ------
        InputError
            When vmin, vmax (or the histogram of ``eq_hist``) are not fixed.
        """
        if self._fixed is None:
            msg = f"a legend needs vmin and vmax; they are {self.vmin} and {self.vmax}"
            if self.stretch == "eq_hist":
                msg += ", and eq_hist needs a histogram"
            raise InputError(msg)
        at = np.linspace(0.0, 1.0, n)
        index = np.floor(at * (COLOURS - 1) + 0.5).astype(np.int64) + 1
        return self._fixed.value(at), self.palette[index]


def shader_for(style: Style, statistics: Statistics) -> Shader | RgbShader:
    """Return the shader of a style on a layer, every value resolved.

    A layer whose statistics have `bands` is one of colours: see `skyshade.shaders.rgb`.

    An end of the range that the style leaves open is the layer's 0.5 or 99.5 percentile; its
    minimum or maximum where that leaves no width; one unit about the value of a constant layer.
    Where the statistics say that zero is the middle, both ends are equally far from it.

    Parameters
    ----------
    style : Style
    statistics : Statistics
        Of the whole layer: one range and one histogram for all tiles.

    Raises
    ------
    InputError
        When the style is not allowed, e.g. ``vmin >= vmax``.
    """
    if statistics.bands:
        return rgb_shader_for(style, statistics)
    _check_range(style.vmin, style.vmax)
    low, high = _layer_range(style, statistics)
    made = Shader(
        cmap=style.cmap, vmin=low, vmax=high, stretch=style.stretch,
        reverse=style.reverse, nan=style.nan, bg=style.bg, baseline=0.0,
        color_key=parse_key(style.colors) if style.colors else None,
    )  # fmt: skip
    if style.stretch != "eq_hist":
        return made
    return replace(made, histogram=cumulative_from(statistics))


def _layer_range(style: Style, statistics: Statistics) -> tuple[float, float]:
    found = statistics.percentiles
    least, most = statistics.minimum, statistics.maximum
    if least is None or most is None:
        least, most = 0.0, 1.0
    for low, high in ((found.get(_LOW, least), found.get(_HIGH, most)), (least, most)):
        if statistics.symmetric and style.vmin is None and style.vmax is None:
            low, high = -max(-low, high), max(-low, high)
        low = low if style.vmin is None else style.vmin
        high = high if style.vmax is None else style.vmax
        if low < high:
            return float(low), float(high)
    if style.vmin is not None:
        return style.vmin, style.vmin + _margin(style.vmin)
    if style.vmax is not None:
        return style.vmax - _margin(style.vmax), style.vmax
    return least - _margin(least), most + _margin(most)


def _margin(value: float) -> float:
    return abs(value) / 2 or 1.0


def _own_range(valid: AnyArray, percentile: tuple[float, float] | None) -> tuple[float, float]:
    if valid.size == 0:
        return 0.0, 0.0
    if percentile is None:
        return float(valid.min()), float(valid.max())
    low, high = np.percentile(valid, percentile)
    return float(low), float(high)


def _cmap(given: Any) -> str | tuple[str, ...]:
    """Return a colour map as a name or as a tuple of colours, so that shaders can be compared."""
    if isinstance(given, str):
        return given
    if callable(given):  # a matplotlib Colormap
        return hexes_of(given(np.linspace(0, 1, 256), bytes=True))
    try:
        return hexes_of(given)
    except TypeError:
        msg = (
            f"colour map of type {type(given).__name__!r} is not allowed: "
            "give a name, colours or a Colormap"
        )
        raise InputError(msg) from None


def _key(given: Any) -> Any:
    """Return a colour key as a tuple, of pairs when it was a mapping."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return tuple((str(n), *(hexes_of([c]) if c != "" else [""])) for n, c in given.items())
    pairs: Sequence[Any] = tuple(given)
    return pairs if _is_pairs(pairs) else hexes_of(pairs)


def _is_pairs(key: Sequence[Any] | None) -> bool:
    return bool(key) and key is not None and isinstance(key[0], tuple) and len(key[0]) == 2


def _category_names(aggregate: Numbers) -> list[str]:
    """Return the names along the third axis."""
    if isinstance(aggregate, Aggregate):
        return list(aggregate.categories) or [str(i) for i in range(aggregate.values.shape[2])]
    return [str(name) for name in aggregate[aggregate.dims[-1]].values]


def _check_range(vmin: float | None, vmax: float | None) -> None:
    for name, value in (("vmin", vmin), ("vmax", vmax)):
        if value is not None and not math.isfinite(value):
            msg = f"{name}={value} is not allowed: give a finite number"
            raise InputError(msg)
    if vmin is not None and vmax is not None and not vmin < vmax:
        msg = f"vmin={vmin:g} is not below vmax={vmax:g}"
        raise InputError(msg)


def _check_percentile(low: float, high: float) -> None:
    if not 0 <= low < high <= 100:
        msg = f"percentile=({low:g}, {high:g}) is not allowed: give 0 <= low < high <= 100"
        raise InputError(msg)
