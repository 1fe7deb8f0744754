"""Layers that a config file makes of others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from skyshade.atlas.atlas import Atlas, Entry
from skyshade.atlas.config import Config, LayerItem
from skyshade.errors import DataError, InputError, SkyshadeError, one_line
from skyshade.layers.combine import Algebra, combine
from skyshade.layers.derived import restyled
from skyshade.layers.map import MapLayer
from skyshade.layers.polarisation import PolarisationLayer, stokes_of
from skyshade.layers.rgb import RgbLayer
from skyshade.layers.smooth import SmoothedLayer
from skyshade.shaders.shader import shader_for
from skyshade.types import Layer, Statistics

log = logging.getLogger("skyshade")
Find = Callable[[str], Layer]


def derived_layers(config: Config, atlas: Atlas) -> Iterator[Entry]:
    """Yield the entries of a config file's layers, and of its bad tables, in the file's order.

    Call it when the files are open. A layer may use those of the atlas and those above it in the
    config file. What cannot be made is a rejected entry. Nothing is added to the atlas here; ids
    that it has already are rejected under another one.
    """
    made: dict[str, Layer] = {}

    def find(name: str) -> Layer:
        return made[name] if name in made else atlas.layer(name)

    taken = {entry.id for entry in atlas.entries()}
    for item in config.layers:
        entry = _entry(item, find, taken)
        taken.add(entry.id)
        if entry.layer is not None:
            made[entry.id] = entry.layer
        yield entry
    for problem in config.problems:
        name = _free(problem.id, taken)
        taken.add(name)
        yield Entry(name, None, "rejected", problem.reason, config.name)


def _entry(item: LayerItem, find: Find, taken: set[str]) -> Entry:
    title = item.title or item.id
    try:
        _check_free(item.id, taken)
        layer = _styled(item, _MAKERS[item.source](item, find))
        return Entry(item.id, layer, title=layer.info.title)
    except SkyshadeError as error:
        reason = one_line(f"{item.where}: {error}")
    except Exception as error:  # boundary: one bad layer must not stop the others
        log.exception("layer %s could not be made", item.id)
        failed = DataError(item.where, f"cannot be made: {type(error).__name__}: {error}")
        reason = one_line(failed)
    return Entry(_free(item.id, taken), None, "rejected", reason, title)


def _check_free(name: str, taken: set[str]) -> None:
    if name in taken:
        msg = f"id = {name!r} is not allowed: another layer has it"
        raise InputError(msg)


def _free(name: str, taken: set[str]) -> str:
    free, n = name, 2
    while free in taken:
        free, n = f"{name}-{n}", n + 1
    return free


def _styled(item: LayerItem, layer: Layer) -> Layer:
    """Return the layer with the id, title and style of its table."""
    style = replace(layer.info.style, **item.style)
    bands = ((0.0, 1.0),) * 3 if layer.info.kind in ("rgb", "image") else ()
    shader_for(style, Statistics(n_valid=0, bands=bands))  # refuses what is not allowed
    return restyled(layer, id=item.id, title=item.title, style=style)


def _combined(item: LayerItem, find: Find) -> Layer:
    of: Mapping[str, str] = item.values["of"]
    layers = {name: _map(find(given), given) for name, given in of.items()}
    made: Any = combine(item.values["expression"], layers, id=item.id)
    return made  # type: ignore[no-any-return]


def _smoothed(item: LayerItem, find: Find) -> Layer:
    return SmoothedLayer(find(item.values["smooth"]), item.values["fwhm"], id=item.id)


def _rgb(item: LayerItem, find: Find) -> Layer:
    red, green, blue = (find(name) for name in item.values["rgb"])
    return RgbLayer(red, green, blue, id=item.id)


def _polarised(item: LayerItem, find: Find) -> Layer:
    q, u = stokes_of(find(item.values["layer"]))
    kind, convention = item.values["polarisation"], item.values["convention"]
    return PolarisationLayer(q, u, kind, id=item.id, convention=convention)


def _plain(item: LayerItem, find: Find) -> Layer:
    layer, weight = find(item.values["layer"]), item.values["weight"]
    if not weight:
        return layer
    for given in (layer, find(weight)):
        if not isinstance(given, MapLayer):
            msg = f"layer {given.info.id!r} is no map of rows and columns: only those have weights"
            raise InputError(msg)
    mine: Any = layer
    return mine.weighted(find(weight))  # type: ignore[no-any-return]


def _map(layer: Layer, name: str) -> Algebra:
    if not isinstance(layer, Algebra):
        msg = f"layer {name!r} of kind {layer.info.kind!r} has no pixels of its own: give a map"
        raise InputError(msg)
    return layer


_MAKERS = {
    "expression": _combined,
    "smooth": _smoothed,
    "rgb": _rgb,
    "polarisation": _polarised,
    "layer": _plain,
}
