"""Aggregates of three bands to pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.kernels.rgb import FRACTION, colour_bands
from skyshade.shaders.colours import CLEAR, RGBA, over, parse_colour
from skyshade.shaders.norms import Norm
from skyshade.types import COLOUR_STRETCHES, AnyArray, FloatArray, Image, Statistics, Style

Q = 3.0  # softening where the style leaves it open
Q_MAX = 1e10


@dataclass(frozen=True)
class RgbShader:
    """Colours an aggregate of red, green and blue values.

    `lupton` equals ``astropy.visualization.make_lupton_rgb`` of bands divided by ``high - low``,
    with ``Q=q`` and ``stretch=1``: `high` is where a linear scale of the same dim colours would
    be white. An aggregate of uint8, the colours of a press image, is shown as it is.

    Parameters
    ----------
    low, high : tuple of three float
        Values of each band that are 0 and 1.
    stretch : {"lupton", "linear"}
    q : float
        Softening of ``lupton``: the larger, the more of the dim parts is seen.
    nan, bg : str, optional
        Colour of pixels without any value and of what lies behind all; None is transparent.

    Raises
    ------
    InputError
        When a value is not allowed; the message names it.
    """

    low: tuple[float, float, float] = (0.0, 0.0, 0.0)
    high: tuple[float, float, float] = (1.0, 1.0, 1.0)
    stretch: str = "lupton"
    q: float = Q
    nan: str | None = None
    bg: str | None = None

    def __post_init__(self) -> None:
        if self.stretch not in COLOUR_STRETCHES:
            raise UnknownNameError("stretch of a colour layer", self.stretch, COLOUR_STRETCHES)
        check_softening(self.q)
        for low, high in zip(self.low, self.high, strict=True):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                msg = f"range {low:g} to {high:g} of a band is not allowed: give vmin < vmax"
                raise InputError(msg)
        _ = self._colours  # bad ones are refused now, not at the first tile

    @property
    def _colours(self) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
        return tuple(parse_colour(c) if c else CLEAR for c in (self.nan, self.bg))  # type: ignore[return-value]

    def __call__(self, aggregate: Any) -> Image:
        """Return the coloured aggregate.

        Parameters
        ----------
        aggregate : Aggregate or xarray.DataArray
            ``(y, x, 3)`` numbers, or ``(y, x, 3 or 4)`` uint8 colours with straight alpha. One of
            shape ``(y, x)`` is taken for a window without any data.

        Raises
        ------
        InputError
            When it has another shape.
        """
        values = np.asarray(aggregate.values)
        if values.ndim == 2:
            pixels = np.zeros((*values.shape, 4), np.uint8)
        elif values.ndim != 3 or values.shape[2] not in (3, 4):
            msg = f"an aggregate of shape {values.shape} is not allowed: give (y, x, 3) bands"
            raise InputError(msg)
        elif values.dtype == np.uint8:
            pixels = _with_alpha(values)
        else:
            pixels = self._shaded(values[:, :, :3])
        nan, back = self._colours
        if nan[3]:
            pixels[pixels[:, :, 3] == 0] = nan
        return Image(over(pixels, back))

    def _shaded(self, values: AnyArray) -> RGBA:
        low, high = np.array(self.low, np.float64), np.array(self.high, np.float64)
        pixels = np.empty((*values.shape[:2], 4), np.uint8)
        with np.errstate(over="ignore"):
            bands = np.ascontiguousarray(values, np.float32)
        q = float(self.q) if self.stretch == "lupton" else 0.0
        colour_bands(bands, low, 1.0 / (high - low), q, pixels)
        return pixels

    def norm(self, values: AnyArray) -> Norm:  # noqa: ARG002 (as `Shader.norm`; all is fixed here)
        """Return the linear norm between the bands' mean limits, for colour bars."""
        return Norm("linear", float(np.mean(self.low)), float(np.mean(self.high)), None)

    def legend(self, n: int = 256) -> tuple[FloatArray, RGBA]:
        """Return `n` values from mean `low` to mean `high`, and the greys of equal bands."""
        values = np.linspace(float(np.mean(self.low)), float(np.mean(self.high)), n)
        grey = RgbShader((values[0],) * 3, (values[-1],) * 3, self.stretch, self.q)
        bands = np.repeat(values[None, :, None], 3, axis=2)
        return values, grey._shaded(bands)[0]


def rgb_shader_for(style: Style, statistics: Statistics) -> RgbShader:
    """Return the shader of a style on a colour layer, every value resolved.

    An end of the range that the style leaves open comes from the layer's `Statistics.bands`; with
    ``lupton`` an open `vmax` is set so that the band's own upper end is white. `cmap` and
    `reverse` are not looked at: a colour layer has no colour map.

    Raises
    ------
    InputError
        When the style is not allowed.
    """
    stretch, q = style.stretch, Q if style.q is None else style.q
    if style.vmin is not None and style.vmax is not None and not style.vmin < style.vmax:
        msg = f"vmin={style.vmin:g} is not below vmax={style.vmax:g}"
        raise InputError(msg)
    part = white_at(q) if stretch == "lupton" else 1.0
    ends = [_ends(style, band, part) for band in statistics.bands]
    low, high = (tuple(end[i] for end in ends) for i in (0, 1))
    return RgbShader(low, high, stretch, q, style.nan, style.bg)  # type: ignore[arg-type]


def _ends(style: Style, band: tuple[float, float], part: float) -> tuple[float, float]:
    low = band[0] if style.vmin is None else style.vmin
    if style.vmax is not None:
        return (low, style.vmax) if low < style.vmax else (style.vmax - _margin(low), style.vmax)
    width = band[1] - low
    return low, low + (width if width > 0.0 else _margin(low)) / part


def _margin(value: float) -> float:
    return abs(value) / 2 or 1.0


def white_at(q: float) -> float:
    """Return where Lupton's asinh reaches white, in units of its linear range."""
    check_softening(q)
    return math.sinh(math.asinh(FRACTION * q) / FRACTION) / q


def check_softening(q: float) -> None:
    """Raise InputError unless 0 < `q` <= 1e10."""
    if not 0.0 < q <= Q_MAX:
        msg = f"q={q!r} is not allowed: give a number above 0, at most {Q_MAX:g}"
        raise InputError(msg)


def _with_alpha(colours: RGBA) -> RGBA:
    if colours.shape[2] == 4:
        return np.array(colours)
    alpha = np.full((*colours.shape[:2], 1), 255, np.uint8)
    return np.concatenate([colours, alpha], axis=2)
