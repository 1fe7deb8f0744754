"""Layers of colours: three layers as red, green and blue, and press images as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from skyshade.errors import InputError, one_line
from skyshade.layers.combine import CombinedReader, Leaf
from skyshade.layers.derived import DerivedLayer, join_coverage, sample_windows, worst
from skyshade.layers.map import MapLayer
from skyshade.layers.program import LEAF, Step
from skyshade.types import (
    Aggregate,
    AnyArray,
    Layer,
    LayerInfo,
    SkyImage,
    Statistics,
    Style,
    Window,
)

BANDS = ("red", "green", "blue")
COLOUR_KINDS = ("rgb", "image")
_LOW, _HIGH = "5", "99.5"  # percentiles of a band that are black and white
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709


class RgbLayer(DerivedLayer):
    """Three layers as red, green and blue.

    `compute` gives the three values of every pixel, shape (y, x, 3), as float32: each with its
    own units, NaN where that layer has none. `statistics` are those of their mean, with the
    range of each band: what its own default style says, else the 5 and 99.5 percentiles.

    Parameters
    ----------
    red, green, blue : Layer
        Of numbers, on the sky; maps, HEALPix maps, catalogues and layers derived from them mix.
    id : str
        Name in URLs.
    title : str, optional
        "" names the three.
    style : Style, optional
        ``stretch`` is ``lupton`` (with `q`) or ``linear``. A colour layer has no colour map:
        `cmap` and `reverse` are not looked at.

    Raises
    ------
    InputError
        When a part is a colour layer itself.
    """

    def __init__(
        self,
        red: Layer,
        green: Layer,
        blue: Layer,
        *,
        id: str,
        title: str = "",
        style: Style | None = None,
    ) -> None:
        parts = (red, green, blue)
        for band, part in zip(BANDS, parts, strict=True):
            if part.info.kind in COLOUR_KINDS:
                msg = (
                    f"{band} of {id!r} is layer {part.info.id!r} of kind {part.info.kind!r}, which "
                    "has colours already: give a layer of numbers"
                )
                raise InputError(msg)
        super().__init__(parts, _rgb_info(parts, id, title, style), "")

    def _compute(self, window: Window) -> Aggregate:
        made = [part.compute(window) for part in self.parts]
        values = np.empty((*window.shape, 3), np.float32)
        for i, one in enumerate(made):
            values[:, :, i] = self._numbers_of(one, i)
        return Aggregate(values, self.info.units, "", worst(made), BANDS, "band")

    def _numbers_of(self, made: Aggregate, i: int) -> AnyArray:
        if made.values.ndim != 2:
            msg = (
                f"{BANDS[i]} of {self.id!r} is layer {self.parts[i].info.id!r}, which has "
                f"{made.axis} as a third axis: select one"
            )
            raise InputError(msg)
        if made.values.dtype.kind in "bu":
            return np.where(made.values == 0, np.nan, made.values.astype(np.float32))
        return made.values

    def statistics(self) -> Statistics:
        """Return statistics of a sample of the bands' mean, and the range of each band."""
        bands = tuple(_range(part) for part in self.parts)
        return replace(super().statistics(), bands=bands)

    def value(self, ra: float, dec: float) -> float | None:
        """Return the mean of the bands at an ICRS position; None where all are missing."""
        found = [v for part in self.parts if (v := part.value(ra, dec)) is not None]
        return sum(found) / len(found) if found else None

    def _sample(self) -> AnyArray:
        return sample_windows(lambda window: _mean(self.compute(window).values), self.info)


def _rgb_info(parts: Sequence[Layer], id: str, title: str, style: Style | None) -> LayerInfo:
    infos = [part.info for part in parts]
    units = {info.units for info in infos}
    frames = {info.frame for info in infos}
    return LayerInfo(
        id=id,
        title=one_line(title or ", ".join(info.title for info in infos)),
        kind="rgb",
        units=units.pop() if len(units) == 1 else "",
        quantity="mean of red, green and blue",
        frame=frames.pop() if len(frames) == 1 else "icrs",
        size=one_line(" + ".join(dict.fromkeys(info.size for info in infos))),
        coverage=join_coverage(parts),
        resolution=min(info.resolution for info in infos),
        max_zoom=max(info.max_zoom for info in infos),
        style=Style(stretch="lupton") if style is None else style,
        notes=tuple(
            f"{band}: {one_line(info.title)}" for band, info in zip(BANDS, infos, strict=True)
        ),
    )


def _range(part: Layer) -> tuple[float, float]:
    """Return what is black and what is white of a band."""
    found, style = part.statistics(), part.info.style
    low = found.percentiles.get(_LOW, 0.0) if style.vmin is None else style.vmin
    high = found.percentiles.get(_HIGH, 1.0) if style.vmax is None else style.vmax
    if not low < high and found.minimum is not None and found.maximum is not None:
        low, high = found.minimum, found.maximum
    return float(low), float(high)


def _mean(values: AnyArray) -> AnyArray:
    """Return the mean of the bands that are there, NaN where none is."""
    good = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        made: AnyArray = np.where(good, values, 0.0).sum(axis=2) / good.sum(axis=2)
    return made


class PictureLayer(DerivedLayer):
    """A press image: its own colours, 0 to 255, on the sky.

    `compute` gives uint8 colours with straight alpha, shape (y, x, 4): means where zoomed out,
    weighted by the picture's own alpha; alpha 0 off the picture.

    Parameters
    ----------
    images : sequence of SkyImage
        Red, green, blue, and alpha if there is one: planes of one picture with values 0 to 255.
    id : str
        Name in URLs.

    Raises
    ------
    InputError
        When there are not three or four planes of one shape.
    """

    def __init__(self, images: Sequence[SkyImage], *, id: str) -> None:
        shapes = {image.reader.shape for image in images}
        if len(images) not in (3, 4) or len(shapes) != 1:
            msg = (
                f"picture {id!r} has {len(images)} planes of shapes {sorted(shapes)}: "
                "give red, green and blue, and perhaps alpha, of one shape"
            )
            raise InputError(msg)
        planes = [replace(image, integer=False) for image in images]
        if len(images) == 4:
            planes[:3] = [_shown(image, images[3]) for image in planes[:3]]
        self.images = tuple(images)
        parts = [MapLayer([plane], id=f"{id}-{i}") for i, plane in enumerate(planes)]
        super().__init__(parts, _picture_info(parts[0], id), "")

    def _compute(self, window: Window) -> Aggregate:
        made = [part.compute(window) for part in self.parts]
        colours = np.zeros((*window.shape, 4), np.uint8)
        colours[:, :, 3] = 255
        for i, one in enumerate(made):
            colours[:, :, i] = _counts(one.values)
        hidden = np.isnan(made[0].values) | (colours[:, :, 3] == 0)
        colours[hidden] = 0
        return Aggregate(colours, "", "", worst(made), (*BANDS, "alpha"), "band")

    def statistics(self) -> Statistics:
        """Return statistics of the luminance of a sample."""
        return replace(super().statistics(), bands=((0.0, 255.0),) * 3)

    def value(self, ra: float, dec: float) -> float | None:
        """Return the luminance at an ICRS position, 0 to 255; None off the picture."""
        found = [part.value(ra, dec) for part in self.parts]
        if any(v is None for v in found) or found[3:] == [0.0]:
            return None
        return float(np.array(found[:3]) @ _LUMINANCE.astype(np.float64))

    def _sample(self) -> AnyArray:
        return sample_windows(lambda window: _luminance(self.compute(window).values), self.info)


def _shown(image: SkyImage, alpha: SkyImage) -> SkyImage:
    """Return a plane without its clear pixels, weighted by alpha."""
    leaves = [Leaf(None, image.reader), Leaf(None, alpha.reader)]
    program = (Step(LEAF, 0), Step(LEAF, 1), Step("where", 2))
    return replace(image, reader=CombinedReader(program, leaves), weight=alpha.reader)


def _picture_info(first: Layer, id: str) -> LayerInfo:
    return replace(
        first.info,
        id=id,
        kind="image",
        title=first.info.title.removesuffix(" red"),
        units="",
        quantity="luminance",
        style=Style(stretch="linear"),
        planes=(),
    )


def _counts(values: AnyArray) -> AnyArray:
    with np.errstate(invalid="ignore"):
        made: AnyArray = np.clip(np.nan_to_num(values), 0.0, 255.0) + np.float32(0.5)
    return made.astype(np.uint8)


def _luminance(colours: AnyArray) -> AnyArray:
    made: AnyArray = colours[:, :, :3].astype(np.float32) @ _LUMINANCE
    return np.where(colours[:, :, 3] > 0, made, np.float32(np.nan))
