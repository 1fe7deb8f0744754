"""From files and objects to an atlas."""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from skyshade.atlas.atlas import Atlas, Entry
from skyshade.errors import DataError, SkyshadeError, one_line
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.map import MapLayer
from skyshade.loaders.api import load
from skyshade.loaders.source import Loaded
from skyshade.overlays import read_boxes, sources_from_table
from skyshade.types import Layer, PointTable, SkyImage

log = logging.getLogger("skyshade")
OnEntry = Callable[[Entry], object]

SMALL_CATALOGUE = 10_000  # rows; such tables are drawn as single sources too


def open_atlas(
    items: Iterable[Any],
    *,
    boxes: str | Path | None = None,
    ra: str | None = None,
    dec: str | None = None,
    on_layer: OnEntry | None = None,
    on_reject: OnEntry | None = None,
) -> Atlas:
    """Open files and objects; what cannot be shown becomes a rejected entry.

    Parameters
    ----------
    items : iterable of str, Path or object
        FITS maps, catalogues, or objects in memory.
    boxes : str or Path, optional
        JSON file of highlight boxes.
    ra, dec : str, optional
        Coordinate columns of the catalogues; None guesses.
    on_layer, on_reject : callable, optional
        Called with each entry as soon as it is known.

    Raises
    ------
    DataError
        When the file of boxes cannot be read.
    """
    builder = _Builder(Atlas(), on_layer, on_reject)
    for item in items:
        builder.open(item, ra, dec)
    if boxes is not None:
        found, problems = read_boxes(boxes)
        for problem in problems:
            log.warning("%s", problem)
        builder.atlas.add_boxes(found)
    return builder.atlas


class _Builder:
    def __init__(self, atlas: Atlas, on_layer: OnEntry | None, on_reject: OnEntry | None) -> None:
        self.atlas = atlas
        self._on_layer = on_layer or (lambda _: None)
        self._on_reject = on_reject or (lambda _: None)

    def open(self, item: Any, ra: str | None, dec: str | None) -> None:
        """Add what one item holds; never raises for what is in a file."""
        try:
            loaded = load(item, ra=ra, dec=dec)
        except SkyshadeError as error:
            self._reject(item, error)
            return
        except Exception as error:  # boundary: one bad file must not stop the others
            log.exception("%s could not be opened", _stem(item))
            self._reject(item, _unforeseen(item, error))
            return
        self._add_all(item, loaded)

    def _add_all(self, item: Any, loaded: Loaded) -> None:
        for planes in loaded.images:
            for number, image in enumerate(planes):
                self._try(item, partial(self._add_map, item, planes, number, image))
        for table in loaded.tables:
            self._try(item, partial(self._add_table, item, table))
        for error in loaded.rejected:
            self._reject(item, error)

    def _try(self, item: Any, add: Callable[[], None]) -> None:
        try:
            add()
        except SkyshadeError as error:
            self._reject(item, error)
        except Exception as error:  # boundary, as above
            log.exception("a layer of %s could not be made", _stem(item))
            self._reject(item, _unforeseen(item, error))

    def _add_map(self, item: Any, planes: Sequence[SkyImage], number: int, image: SkyImage) -> None:
        name = self._free_id(item, image.name, image.hdu, image.plane)
        self._publish(name, MapLayer(planes, id=name, plane=number))

    def _add_table(self, item: Any, table: PointTable) -> None:
        name = self._free_id(item, table.name)
        self._publish(name, CatalogLayer(table, id=name))
        if len(table) <= SMALL_CATALOGUE:
            self.atlas.add_sources(sources_from_table(table, name))

    def _publish(self, name: str, layer: Layer) -> None:
        self._on_layer(self.atlas.add(Entry(name, layer, title=layer.info.title)))

    def _reject(self, item: Any, error: SkyshadeError) -> None:
        part = error.part if isinstance(error, DataError) else ""
        name = self._free_id(item, _stem(item), part)
        title = error.name if isinstance(error, DataError) else _stem(item)
        self._on_reject(self.atlas.add(Entry(name, None, "rejected", one_line(error), title)))

    def _free_id(self, item: Any, *parts: str) -> str:
        """Return an id made of `parts`, with four hex digits of the path when it is taken."""
        wanted = slug("-".join(part for part in parts if part))
        taken = {entry.id for entry in self.atlas.entries()}
        digits = hashlib.sha256(_place(item).encode("utf-8", "surrogateescape")).hexdigest()
        name, number = wanted, 0
        while name in taken:
            name = f"{wanted}-{digits[number : number + 4]}"
            number += 4
            if number > 60:  # the same file again and again
                digits = hashlib.sha256(digits.encode()).hexdigest()
                number = 0
        return name


def slug(text: str) -> str:
    """Return `text` as lower-case ASCII letters, digits, dots and single hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    joined = re.sub(r"[^a-z0-9_]+", "-", plain.lower()).strip("-_")
    return joined[:80].strip("-_") or "layer"


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
