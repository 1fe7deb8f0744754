"""The local column cache: keys and columns of a segment as raw arrays, one file each.

What takes Parquet some seconds to decode for 10**8 rows is mapped from here at once. Files are
shared by all processes and made on first need.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import InputError
from skyshade.index.format import KEY
from skyshade.storage.cache_folder import CacheFolder

if TYPE_CHECKING:
    from skyshade.index.segment import SegmentReader

log = logging.getLogger("skyshade")

KIND = "columns"
WORKERS = 2

Types = Callable[[str], np.dtype[Any]]


class ColumnCache:
    """Raw columns of segments in a cache folder; thread-safe.

    Parameters
    ----------
    folder : CacheFolder, optional
    """

    def __init__(self, folder: CacheFolder | None = None) -> None:
        self.folder = CacheFolder() if folder is None else folder
        self._lock = threading.Lock()

    def fill(self, segment: SegmentReader, columns: Collection[str], types: Types) -> None:
        """Map columns of a segment, and its keys, decoding those that are not in the cache yet.

        What cannot be kept (texts, a full disk, a cache that is too small) is left as it is.

        Parameters
        ----------
        segment : SegmentReader
            Reads from the maps from now on.
        columns : collection of str
        types : callable
            Gives the numpy type of a column.
        """
        with self._lock:
            for name in dict.fromkeys([KEY, *columns]):
                dtype = np.dtype(np.int64) if name == KEY else types(name)
                if segment.is_mapped(name) or dtype.kind == "O" or not segment.rows:
                    continue
                try:
                    segment.map(name, np.memmap(self._file(segment, name, dtype), dtype, "r"))
                except (OSError, InputError, _MixedTypeError) as error:
                    log.info("column %r of %s is not cached: %s", name, segment.name, error)

    def _file(self, segment: SegmentReader, name: str, dtype: np.dtype[Any]) -> Path:
        text = "\0".join((segment.identity, name, dtype.str))
        entry = hashlib.sha256(text.encode()).hexdigest()[:24]
        size = segment.rows * dtype.itemsize
        found = self.folder.find(KIND, entry)
        if found is not None and found.stat().st_size == size:
            return found
        with self.folder.making(KIND, entry, size) as path:
            _write(segment, name, path, dtype)
        return self.folder.root / KIND / entry


class _MixedTypeError(Exception):
    """Not every row group holds the type that was expected: integers with nulls."""


def _write(segment: SegmentReader, name: str, path: Path, dtype: np.dtype[Any]) -> None:
    """Decode a column into a file."""
    with path.open("wb") as file:

        def write(group: int) -> None:
            values = segment.column(group, name, keep=False)
            if values.dtype != dtype:
                msg = f"row group {group} holds {values.dtype}, not {dtype}"
                raise _MixedTypeError(msg)
            # a quarter of the time of writing to a map
            os.pwrite(file.fileno(), values.data, int(segment.starts[group]) * dtype.itemsize)

        _in_threads(write, range(segment.first.size))


def _in_threads(work: Callable[[int], None], numbers: Iterable[int]) -> None:
    """Do `work` for all numbers; unlike a pool's, these threads never keep a process alive."""
    left, lock = iter(numbers), threading.Lock()
    errors: list[Exception] = []

    def run() -> None:
        while not errors:
            with lock:
                number = next(left, None)
            if number is None:
                return
            try:
                work(number)
            except Exception as error:  # noqa: BLE001 (raised below)
                errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
