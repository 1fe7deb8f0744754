"""From one item, a file or an object, to its entries."""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from skyshade.atlas.atlas import Entry
from skyshade.atlas.large import catalog_of, opened_index
from skyshade.errors import DataError, SkyshadeError, one_line
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.derived import restyled
from skyshade.layers.healpix import HealpixLayer
from skyshade.layers.map import MapLayer
from skyshade.layers.rgb import PictureLayer
from skyshade.loaders.api import load
from skyshade.loaders.source import MAX_LAYERS, Loaded
from skyshade.loaders.typical import typical_plane
from skyshade.overlays import LIMIT, SourceList, sources_from_table
from skyshade.types import Layer, PointTable, RowIndex, SkyImage, SphereImage

log = logging.getLogger("skyshade")

_LAYER = ("info", "version", "compute", "select", "statistics", "scale")
Made = tuple[Entry, SourceList | None]
Make = Callable[[str], Layer]
P = TypeVar("P", SkyImage, SphereImage)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What a user may say about items; None is not said.

    Parameters
    ----------
    ra, dec : str, optional
        Coordinate columns of catalogues.
    all_sky : str, optional
        Frame of pictures without WCS that show the whole sky.
    max_decoded : int, optional
        Most bytes that a compressed file may become.
    name : str, optional
        Instead of the file's stem.
    """

    ra: str | None = None
    dec: str | None = None
    all_sky: str | None = None
    max_decoded: int | None = None
    name: str | None = None

    def options(self) -> dict[str, Any]:
        """Return what was said, for `skyshade.loaders.api.load`."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in said.items() if value is not None}


class ItemReader:
    """Makes the entries of one item.

    Parameters
    ----------
    item : str, Path or object
        A file, an object that `skyshade.loaders.api.load` takes, or a layer.
    how : How
    taken : callable
        Whether an id is in use.
    """

    def __init__(self, item: Any, how: How, taken: Callable[[str], bool]) -> None:
        self._item, self._how, self._taken = item, how, taken
        self._mine: Collection[str] = ()
        self._ids: set[str] = set()

    def entries(self, mine: Collection[str] = ()) -> Iterator[Made]:
        """Yield entries, each with its source list if it is no large catalogue; never raises.

        Ids in `mine` are in use by what the item was before: they are free for it.
        """
        self._mine, self._ids = mine, set()
        if is_layer(self._item):
            yield from self._try(self._name_layer)
            return
        try:
            index = opened_index(self._item)
            loaded = Loaded() if index else load(self._item, **self._how.options())
        except SkyshadeError as error:
            yield self._reject(error)
        except Exception as error:  # boundary: one bad file must not stop the others
            log.exception("%s could not be opened", _stem(self._item))
            yield self._reject(_unforeseen(self._item, error))
        else:
            if index is not None:
                yield from self._try(
                    partial(
                        self._add, (self._how.name or index.name,), partial(_index_layer, index)
                    )
                )
            yield from self._all(loaded)

    def _all(self, loaded: Loaded) -> Iterator[Made]:
        for parts, make in _layers(loaded):
            yield from self._try(partial(self._add, parts, make))
        for table in loaded.tables:
            yield from self._try(partial(self._add_table, table))
        for error in loaded.rejected:
            yield self._reject(error)

    def _try(self, add: Callable[[], Made]) -> Iterator[Made]:
        try:
            yield add()
        except SkyshadeError as error:
            yield self._reject(error)
        except Exception as error:  # boundary, as above
            log.exception("a layer of %s could not be made", _stem(self._item))
            yield self._reject(_unforeseen(self._item, error))

    def _add(self, parts: Sequence[str], make: Make) -> Made:
        name = self._free_id(*parts)
        layer = make(name)
        return Entry(name, layer, title=layer.info.title), None

    def _add_table(self, table: PointTable) -> Made:
        name = self._free_id(table.name)
        layer = CatalogLayer(catalog_of(table), id=name)
        few = len(table) <= LIMIT or hasattr(table, "outlines")  # a list by its nature
        sources = sources_from_table(table, name) if few else None
        return Entry(name, layer, title=layer.info.title), sources

    def _name_layer(self) -> Made:
        """Publish a layer that was given, as a twin of another name when its own is taken."""
        layer = self._item
        name = self._free_id(layer.info.id)
        if name != layer.info.id:
            layer = restyled(layer, id=name)
        return Entry(name, layer, title=layer.info.title), None

    def _reject(self, error: SkyshadeError) -> Made:
        part = error.part if isinstance(error, DataError) else ""
        name = self._free_id(_stem(self._item), part)
        title = error.name if isinstance(error, DataError) else _stem(self._item)
        return Entry(name, None, "rejected", one_line(error), title), None

    def _free_id(self, *parts: str) -> str:
        """Return an id made of `parts`, with four hex digits of the path when it is taken."""
        wanted = slug("-".join(part for part in parts if part))
        name, number, digits = wanted, 0, ""
        while name in self._ids or (name not in self._mine and self._taken(name)):
            if number % 64 == 0:  # beyond one: the same file again and again
                place = digits or _place(self._item)
                digits = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()
            name = f"{wanted}-{digits[number % 64 : number % 64 + 4]}"
            number += 4
        self._ids.add(name)
        return name


def _layers(loaded: Loaded) -> Iterator[tuple[tuple[str, ...], Make]]:
    """Yield the parts of an id and what makes the layer, for every map and picture."""
    for planes in loaded.images:
        for number, parts in _shown(planes, typical_plane):
            yield parts, partial(_map_layer, planes, number)
    for spheres in loaded.spheres:
        for number, parts in _shown(spheres, lambda _: 0):
            yield parts, partial(_healpix_layer, spheres, number)
    for picture in loaded.pictures:
        yield (picture[0].name, picture[0].hdu), partial(_picture_layer, picture)


def _shown(
    planes: Sequence[P], typical: Callable[[Sequence[P]], int]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the number and the parts of an id of each plane that is a layer of its own."""
    if len(planes) > MAX_LAYERS:
        yield typical(planes), (planes[0].name, planes[0].hdu)
        return
    for number, image in enumerate(planes):
        yield number, (image.name, image.hdu, image.plane)


def _index_layer(index: RowIndex, name: str) -> Layer:
    return CatalogLayer(index, id=name)


def _map_layer(planes: Sequence[SkyImage], number: int, name: str) -> Layer:
    return MapLayer(planes, id=name, plane=number)


def _healpix_layer(planes: Sequence[SphereImage], number: int, name: str) -> Layer:
    return HealpixLayer(planes, id=name, plane=number)


def _picture_layer(planes: Sequence[SkyImage], name: str) -> Layer:
    return PictureLayer(planes, id=name)


def is_layer(item: Any) -> bool:
    """Tell a layer from a file or an object that must be loaded."""
    return all(hasattr(item, name) for name in _LAYER)


def slug(text: str) -> str:
    """Return `text` as lower-case ASCII letters, digits, single hyphens, and dots in numbers.

    A minus sign is spelt: the channels of a cube lie on both sides of zero.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    signed = re.sub(r"(?<![^\s-])-(?=\d)", "minus-", plain.lower())
    joined = re.sub(r"[^a-z0-9_.]+|(?<!\d)\.|\.(?!\d)", "-", signed)
    return re.sub(r"--+", "-", joined)[:80].strip("-_.") or "layer"


def _stem(item: Any) -> str:
    """Return a short name for an item: its file name without endings, or its type."""
    if not isinstance(item, str | Path):
        return type(item).__name__
    name = str(item).rstrip("/").replace("\\", "/").rpartition("/")[2]
    return name.partition(".")[0] or name


def _place(item: Any) -> str:
    """Return what tells items of one name apart."""
    if not isinstance(item, str | Path):
        return f"{type(item).__name__} {id(item)}"
    text = str(item)
    return text if "://" in text else str(Path(text).absolute())


def _unforeseen(item: Any, error: Exception) -> DataError:
    name = Path(str(item)).name if isinstance(item, str | Path) else type(item).__name__
    return DataError(name, f"cannot be opened: {type(error).__name__}: {error}")
