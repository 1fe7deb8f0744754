"""What else a layer can show: its planes and its reductions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skyshade.errors import InputError, SkyshadeError
from skyshade.types import Layer

if TYPE_CHECKING:
    from skyshade.atlas.atlas import Atlas

REDUCTIONS = {
    "map": ("mean", "max", "min", "std", "absmax", "nearest"),
    "healpix": ("mean", "max", "min", "std", "absmax", "nearest"),
    "catalog": ("density", "count"),
}
COLOURED = ("rgb", "image")  # kinds that have their own colours


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

    def offer(self, name: str) -> Choices:
        """Return what there is to choose from in a layer, which is shown from now on."""
        self.choices, self._chosen = choices_of(self.published(name), self._atlas), None
        return self.choices


def choices_of(layer: Layer, atlas: Atlas) -> Choices:
    """Return what there is to choose from; reads no pixel."""
    planes = _planes(layer, atlas)
    names = REDUCTIONS.get(layer.info.kind, ())
    versions = {name: _version(layer, name) for name in names}
    known = tuple(name for name, version in versions.items() if version)
    own = next((name for name in known if versions[name] == layer.version), None)
    if len(known) < 2 or own is None:
        known, own = (), None
    quantity = layer.info.quantity
    first = (quantity if quantity in planes else planes[0]) if planes else None
    return Choices(tuple(planes), first, known, own)


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
