"""What the files of a table hold, by their footers or by one that has them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from skyshade.errors import DataError, UnsupportedError
from skyshade.loaders.coordinates import Coordinates
from skyshade.loaders.parquet import ParquetColumns
from skyshade.loaders.parts import Part
from skyshade.loaders.remote import AnyFile, open_key
from skyshade.storage import Folder

_THREADS = 16


class PartFile(NamedTuple):
    """A file that is yet to be opened: its key within the folder, or its name."""

    key: str
    opened: Callable[[], AnyFile]


def survey(files: Sequence[PartFile], place: Coordinates) -> list[Part]:
    """Return what the footer of each file says; all are read.

    Raises
    ------
    UnsupportedError
        A file without the columns of the positions.
    """

    def look(item: PartFile) -> Part:
        file = item.opened()
        columns = ParquetColumns(file)
        for name in (place.lon, place.lat):
            if name not in columns.names:
                raise UnsupportedError(item.key, f"has no column {name!r}, as {files[0].key} has")
        columns.check_ratio(place.lon, place.lat)
        rows = tuple(np.diff(columns.breaks).tolist())
        boxes = columns.boxes(place.lon, place.lat)
        return Part(item.key, item.opened, rows, columns.schema(), boxes, file.version())

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(look, files))


def summarised(folder: Folder, files: Sequence[PartFile], place: Coordinates) -> list[Part]:
    """Return what ``_metadata``, the footers of all files together, says of them.

    [] where there is none, or one of other files. What a file holds is checked when it is read.
    """
    for below in ("dataset/", ""):
        if not folder.exists(f"{below}_metadata"):
            continue
        try:
            file = open_key(folder, f"{below}_metadata")
            columns = ParquetColumns(file)
        except DataError:  # too large a footer, or a broken one: the files have theirs
            return []
        return _parts(columns, files, below, place, file.version())
    return []


def _parts(
    columns: ParquetColumns,
    files: Sequence[PartFile],
    below: str,
    place: Coordinates,
    version: str,
) -> list[Part]:
    groups: dict[str, list[int]] = {}
    for group, path in enumerate(columns.paths):
        groups.setdefault(below + path, []).append(group)
    named = {place.lon, place.lat} <= set(columns.names)
    if set(groups) != {file.key for file in files} or not named:
        return []
    rows, boxes = np.diff(columns.breaks), columns.boxes(place.lon, place.lat)
    parts = []
    for key, opened in files:
        held = groups[key]
        counts = tuple(rows[held].tolist())
        parts.append(Part(key, opened, counts, columns.schema(), boxes[held], version))
    return parts
