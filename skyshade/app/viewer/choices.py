"""What else a layer can show: its planes and its reductions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from skyshade.errors import InputError, SkyshadeError
from skyshade.layers.marks import magnitude_of
from skyshade.layers.reductions import Reduction
from skyshade.shaders.categories import key_colours, parse_key
from skyshade.shaders.colours import hexes_of
from skyshade.types import Layer, Style

if TYPE_CHECKING:
    from skyshade.atlas.atlas import Atlas

REDUCTIONS = {
    "map": ("mean", "max", "min", "std", "absmax", "nearest"),
    "healpix": ("mean", "max", "min", "std", "absmax", "nearest"),
    "catalog": ("density", "count"),
}
MOST_CLASSES = 8  # columns of classes that are offered
COLOURED = ("rgb", "image")  # kinds that have their own colours


@runtime_checkable
class HasPoints(Protocol):
    """A layer whose rows can be drawn one by one (catalogues)."""

    def points(self, *, detail: str) -> Layer:
        """Return the layer of the rows."""
        ...


@dataclass(frozen=True, slots=True)
class Choices:
    """The numbers that a layer can show.

    Parameters
    ----------
    planes, reductions : tuple of str
        Empty when there is nothing to choose from.
    plane, reduction : str or None
        What the layer shows by itself.
    """

    planes: tuple[str, ...] = ()
    plane: str | None = None
    reductions: tuple[str, ...] = ()
    reduction: str | None = None

    def query(self, plane: str | None, reduction: str | None) -> dict[str, str]:
        """Return the parameters of a URL; those that change nothing are left out."""
        found = {"plane": (plane, self.plane), "agg": (reduction, self.reduction)}
        return {name: new for name, (new, own) in found.items() if new is not None and new != own}

    def select(self, layer: Layer, plane: str | None, reduction: str | None) -> Layer:
        """Return the layer of these numbers; `layer` itself when they are its own."""
        asked = self.query(plane, reduction)
        if not asked:
            return layer
        return layer.select(plane=asked.get("plane"), reduction=asked.get("agg"))


class Numbers:
    """The numbers that are shown of one layer of an atlas.

    Attributes
    ----------
    choices : Choices
    """

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self.choices = Choices()
        self._chosen: tuple[Layer, str | None, str | None, Layer] | None = None

    def published(self, name: str | None) -> Layer:
        """Return a layer as it is published; raise InputError when there is none at all."""
        if name is None:
            msg = "there is no layer to show: every file was rejected"
            raise InputError(msg)
        return self._atlas.layer(name)

    def current(self, name: str | None, plane: str | None, reduction: str | None) -> Layer:
        """Return the layer with a plane and a reduction; the same object every time."""
        asked = (self.published(name), plane, reduction)
        if self._chosen is None or self._chosen[:3] != asked:
            self._chosen = (*asked, self.choices.select(*asked))
        return self._chosen[3]

    def marks(self, name: str | None, detail: str) -> dict[str, str]:
        """Return the parameters of a URL that draw the rows of a catalogue; none for others."""
        wanted = detail != "numbers" and isinstance(self.published(name), HasPoints)
        return {"detail": detail} if wanted else {}

    def drawn(self, layer: Layer, detail: str) -> Layer:
        """Return a layer as it is drawn: a catalogue with its rows, any other as it is."""
        if detail == "numbers" or not isinstance(layer, HasPoints):
            return layer
        return layer.points(detail=detail)

    def offer(self, name: str) -> Choices:
        """Return what there is to choose from in a layer, which is shown from now on."""
        self.choices, self._chosen = choices_of(self.published(name), self._atlas), None
        return self.choices


def choices_of(layer: Layer, atlas: Atlas) -> Choices:
    """Return what there is to choose from; reads no pixel."""
    planes = _planes(layer, atlas)
    names = (*REDUCTIONS.get(layer.info.kind, ()), *_of_columns(layer))
    versions = {name: _version(layer, name) for name in names}
    known = tuple(name for name, version in versions.items() if version)
    own = next((name for name in known if versions[name] == layer.version), None)
    if len(known) < 2 or own is None:
        known, own = (), None
    quantity = layer.info.quantity
    first = (quantity if quantity in planes else planes[0]) if planes else None
    return Choices(tuple(planes), first, known, own)


def classes_of(layer: Layer, style: Style) -> list[tuple[str, str]]:
    """Return the classes that a layer shows and their colours, ``#rrggbbaa``; () for numbers."""
    reduction, view = getattr(layer, "reduction", None), getattr(layer, "view", None)
    if not isinstance(reduction, Reduction) or view is None or reduction.name != "count_cat":
        return []
    names = view.categories(reduction.column)
    key = parse_key(style.colors) if style.colors else None
    return list(zip(names, hexes_of(key_colours(key, names)), strict=True))


def _of_columns(layer: Layer) -> list[str]:
    """Return what a catalogue can show of its columns: classes, and the mean magnitude."""
    if not isinstance(layer, HasPoints):
        return []
    classes = [f"count_cat:{name}" for name in layer.info.categories[:MOST_CLASSES]]
    magnitude = magnitude_of(layer.info.columns, {})
    return classes if magnitude is None else [f"mean:{magnitude}", *classes]


def _planes(layer: Layer, atlas: Atlas) -> Sequence[str]:
    """Return the planes of a layer, none when each of them is a layer of its own."""
    planes = layer.info.planes
    if len(planes) < 2:
        return ()
    twins = [e for e in atlas.entries() if e.layer and e.layer.info.planes == planes]
    return planes if len(twins) < len(planes) else ()


def _version(layer: Layer, reduction: str) -> str:
    """Return the version of a reduction, "" when the layer does not have it."""
    try:
        return layer.select(reduction=reduction).version
    except SkyshadeError:
        return ""
