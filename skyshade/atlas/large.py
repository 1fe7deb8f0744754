"""Catalogues that are not sorted in memory: indexes on disk, and tables that get one.

What they need is imported when one comes: the first tile of anything else does not wait for it.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from skyshade.errors import InputError
from skyshade.index.format import MANIFEST
from skyshade.storage import Folder
from skyshade.storage.cache_folder import CacheFolder
from skyshade.types import ChunkedTable, PointTable, RowIndex

if TYPE_CHECKING:
    from skyshade.index.reader import DiskIndex

log = logging.getLogger("skyshade")

KIND = "indexes"
MEMORY_ROWS = 10_000_000
VARIABLE = "SKYSHADE_MEMORY_ROWS"
_ENGINE = "index-1"  # part of every name in the cache: change it when indexes become others
_ROW_BYTES = 100  # of an index, about


def opened_index(item: Any) -> DiskIndex | None:
    """Return the index in a folder or at a URL; None where there is none.

    Raises
    ------
    DataError
        There is one, and it is damaged or of a newer version.
    """
    if not isinstance(item, str | os.PathLike):
        return None
    text = os.fspath(item)
    if "://" not in text:
        return _disk_index(text) if (Path(text) / MANIFEST).is_file() else None
    last = text.rstrip("/").rpartition("/")[2]
    if "." in last or "*" in text or text.startswith("http"):
        return None  # a file
    folder = Folder(text)
    return _disk_index(folder) if folder.exists(MANIFEST) else None


def _disk_index(place: Folder | str | Path) -> DiskIndex:
    made = importlib.import_module("skyshade.index.reader").DiskIndex(place)
    return cast("DiskIndex", made)


def catalog_of(table: PointTable, cache: CacheFolder | None = None) -> PointTable | RowIndex:
    """Return a table as a layer can show it.

    One of more than ten million rows (``SKYSHADE_MEMORY_ROWS``) is shown as a sample, and in place
    where it is deep enough, until its index is built in the cache folder; if it is there already,
    the index itself.
    """
    if len(table) <= memory_rows() or not hasattr(table, "read_chunk"):
        return table
    large: ChunkedTable = table  # type: ignore[assignment]
    kept = CacheFolder() if cache is None else cache
    name = _name(large)
    place = kept.root / KIND / name
    if (place / MANIFEST).is_file():
        kept.find(KIND, name)
        return _disk_index(place)
    inplace = importlib.import_module("skyshade.index.inplace")
    made = inplace.InPlaceIndex(large, partial(_build, large, kept, place))
    return cast("RowIndex", made)


def memory_rows() -> int:
    """Return how many rows a table may have to be sorted in memory."""
    given = os.environ.get(VARIABLE, "")
    if given and not given.isdecimal():
        msg = f"{VARIABLE}={given!r} is not allowed: give a number of rows"
        raise InputError(msg)
    return int(given) if given else MEMORY_ROWS


def _name(table: ChunkedTable) -> str:
    """Return a name that changes with the rows, and with what is taken for their positions."""
    parts = (_ENGINE, table.name, table.version(), table.guess, table.frame, str(len(table)))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _build(table: ChunkedTable, cache: CacheFolder, place: Path) -> RowIndex:
    size = len(table) * _ROW_BYTES
    if size > cache.max_bytes:
        msg = (
            f"its index takes about {size:,} bytes, the cache folder may have {cache.max_bytes:,}: "
            "raise SKYSHADE_CACHE_BYTES, or make one with skyshade index"
        )
        raise InputError(msg)
    cache.shrink(cache.max_bytes - size)
    indexing = importlib.import_module("skyshade.atlas.indexing")
    indexing.index_catalog(table, place, name=table.name)
    log.info("the index of %s is built", table.name)
    cache.find(KIND, place.name)  # it is in use: other entries go first
    return _disk_index(place)
