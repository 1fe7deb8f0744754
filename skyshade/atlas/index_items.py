"""The items that a user wants indexed."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skyshade.errors import InputError, UnsupportedError, one_line
from skyshade.loaders.api import load
from skyshade.types import ChunkedTable


class Items:
    """The first table of each of a user's items (`skyshade.index.job.Tables`).

    They are opened once a process.

    Parameters
    ----------
    items : sequence
    ra, dec : str or None
    """

    def __init__(self, items: Sequence[Any], ra: str | None, dec: str | None) -> None:
        self._items, self._ra, self._dec = [_absolute(item) for item in items], ra, dec
        self._lock = threading.Lock()
        self._tables: list[ChunkedTable] | None = None
        self.names = [_label(item) for item in items]
        self.notes: list[str] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Items, (self._items, self._ra, self._dec)

    def open(self) -> Sequence[ChunkedTable]:
        """Return the tables in the order of the items."""
        with self._lock:
            if self._tables is None:
                self._tables = [self._open(item) for item in self._items]
            return self._tables

    def changed(self, number: int, version: str) -> bool:
        """Return whether a file is not any more what had this version; objects do not change."""
        is_file = isinstance(self._items[number], str | os.PathLike)
        return is_file and self.open()[number].version() != version

    def _open(self, item: Any) -> Any:
        loaded = load(item, ra=self._ra, dec=self._dec)
        name = Path(_label(item)).name
        if not loaded.tables:
            if loaded.rejected:
                raise loaded.rejected[0]
            raise UnsupportedError(name, "holds no catalogue")
        first, *others = loaded.tables
        if others:
            left = ", ".join(table.name for table in others)
            self.notes.append(f"of {name} only {first.name} is indexed, not {left}")
        return first


def _label(item: Any) -> str:
    """Return the whole path or URL of a file, or the kind of an object."""
    found = _absolute(item)
    return found if isinstance(found, str) else type(item).__name__


def _absolute(item: Any) -> Any:
    """Return a path such that a worker elsewhere finds the file; objects as they are."""
    if not isinstance(item, str | os.PathLike):
        return item
    text = os.fspath(item)
    return text if "://" in text else str(Path(text).absolute())


def listed(items: Any) -> list[Any]:
    """Return the items one by one, patterns replaced by the local files that fit.

    Raises
    ------
    InputError
        There is none, or no file fits a pattern.
    """
    given = list(items) if isinstance(items, list | tuple | set) else [items]
    found: list[Any] = []
    for item in given:
        text = os.fspath(item) if isinstance(item, str | os.PathLike) else ""
        found += _matching(text) if "*" in text and "://" not in text else [item]
    if not found:
        msg = "no catalogue to index: give at least one"
        raise InputError(msg)
    return found


def _matching(pattern: str) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (also of absolute paths)
    if not found:
        msg = f"no file fits {one_line(pattern, 200)!r}"
        raise InputError(msg)
    return found
