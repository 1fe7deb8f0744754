"""The folder of what can be made again: decoded columns, indexes of bare catalogues.

    {root}/{kind}/{name}      a file or a folder; appears whole
    {root}/{kind}/.part-...   in the making

Its size is capped: what was not used for longest goes first, files before folders, which cost
more to make again. A file that is gone while it is still mapped stays readable for those who have
it; a folder that this process has found stays.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from skyshade.errors import InputError

VARIABLE, SIZE_VARIABLE = "SKYSHADE_CACHE", "SKYSHADE_CACHE_BYTES"
MAX_BYTES = 20 << 30
STALE = 86_400.0  # seconds after which a part that was never finished is removed
_PART = ".part-"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """Something in the cache folder.

    Parameters
    ----------
    kind, name : str
    path : Path
    bytes : int
    used : float
        When it was last used, seconds since 1970.
    """

    kind: str
    name: str
    path: Path
    bytes: int
    used: float


def default_root() -> Path:
    """Return the cache folder: that of ``SKYSHADE_CACHE``, or the platform's."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "skyshade"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "skyshade" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skyshade"


def default_size() -> int:
    """Return how many bytes the cache may take: ``SKYSHADE_CACHE_BYTES``, or 20 GiB."""
    given = os.environ.get(SIZE_VARIABLE)
    if not given:
        return MAX_BYTES
    if not given.isdecimal():
        msg = f"{SIZE_VARIABLE}={given!r} is not allowed: give a number of bytes"
        raise InputError(msg)
    return int(given)


class CacheFolder:
    """Files and folders that can be made again; safe for many processes.

    Parameters
    ----------
    root : Path, optional
        See `default_root`.
    max_bytes : int, optional
        See `default_size`.
    """

    _held: set[Path] = set()  # noqa: RUF012 (folders that this process reads, shared on purpose)

    def __init__(self, root: Path | None = None, max_bytes: int | None = None) -> None:
        self.root = default_root() if root is None else root
        self.max_bytes = default_size() if max_bytes is None else max_bytes

    def find(self, kind: str, name: str) -> Path | None:
        """Return the path of an entry, which now counts as used; None when there is none."""
        path = self.root / kind / name
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError:  # a cache that we may only read
            if not path.exists():
                return None
        if path.is_dir():
            self._held.add(path)
        return path

    @contextmanager
    def making(self, kind: str, name: str, size: int) -> Iterator[Path]:
        """Give a path to write a file or a folder; afterwards it is the entry `name`.

        Parameters
        ----------
        kind, name : str
        size : int
            Bytes that it will have, about: others are removed before.

        Raises
        ------
        InputError
            It would be larger than the whole cache may be.
        OSError
            The folder cannot be written to.
        """
        if size > self.max_bytes:
            msg = (
                f"{name} takes {size:,} bytes: the cache at {self.root} may have {self.max_bytes:,}"
            )
            raise InputError(msg)
        self.shrink(self.max_bytes - size)
        folder = self.root / kind
        folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=_PART, dir=folder))
        try:
            yield part / name
            target = folder / name
            if target.is_dir():
                shutil.rmtree(target)
            (part / name).replace(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def entries(self) -> list[CacheEntry]:
        """Return all entries, those not used for longest first."""
        found = []
        for path in self._paths():
            with suppress(OSError):
                used = path.stat().st_mtime
                found.append(CacheEntry(path.parent.name, path.name, path, _size(path), used))
        return sorted(found, key=lambda entry: (entry.used, entry.name))

    def shrink(self, max_bytes: int) -> None:
        """Remove what was not used for longest until the rest has at most `max_bytes`.

        Folders that this process has found are left.
        """
        self._sweep()
        entries = self.entries()
        total = sum(entry.bytes for entry in entries)
        for entry in sorted(entries, key=lambda entry: entry.path.is_dir()):
            if total <= max_bytes:
                return
            if entry.path in self._held:
                continue
            _remove(entry.path)
            total -= entry.bytes

    def clear(self, kinds: Collection[str] | None = None) -> int:
        """Remove all entries (of some kinds) and return how many bytes they had."""
        gone = [e for e in self.entries() if kinds is None or e.kind in kinds]
        for entry in gone:
            _remove(entry.path)
        return sum(entry.bytes for entry in gone)

    def _paths(self) -> Iterator[Path]:
        with suppress(OSError):
            for kind in sorted(p for p in self.root.iterdir() if p.is_dir()):
                yield from (p for p in kind.iterdir() if not p.name.startswith("."))

    def _sweep(self) -> None:
        """Remove parts that a killed process left."""
        with suppress(OSError):
            for kind in self.root.iterdir():
                for part in kind.glob(f"{_PART}*"):
                    if time.time() - part.stat().st_mtime > STALE:
                        _remove(part)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
