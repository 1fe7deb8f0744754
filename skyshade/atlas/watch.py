"""Files that change while they are served: read anew, under the same ids."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skyshade.atlas.atlas import Atlas, Entry
from skyshade.atlas.items import Made
from skyshade.errors import DataError, one_line
from skyshade.index.format import MANIFEST, version_of
from skyshade.loaders.source import local_path
from skyshade.storage import Folder

log = logging.getLogger("skyshade")

INTERVAL = 1.0  # seconds between two looks at the files
IMPATIENCE = 3  # looks after which a file that never rests is read all the same

PATIENCE = 5.0  # seconds between two questions to a server

Stamp = tuple[int, int, int, int] | str | None
Stamps = dict["Path | RemoteManifest", Stamp]
Make = Callable[[Collection[str]], Iterable[Made]]


@dataclass(slots=True)
class _Followed:
    """What makes some entries, the files it reads as they were then, and the ids of the entries.

    `needs` are ids whose renewal makes these entries old too; `layers` those that have ever been
    layers; `restless` counts looks since a change.
    """

    make: Make
    stamps: Stamps
    ids: list[str]
    needs: Callable[[], Collection[str]]
    seen: Stamps
    layers: set[str]
    restless: int = 0


class Watch:
    """Looks at the files of an atlas and opens those again that changed.

    A file that is rewritten, truncated or replaced becomes new layers under the same ids as soon as
    it has not changed between two looks. While it is gone or broken, the old layers stay, marked as
    degraded: what they still hold (an open file that was only unlinked, a decoded copy) is shown.

    Parameters
    ----------
    atlas : Atlas
    """

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self._followed: list[_Followed] = []
        self._stop: threading.Event | None = None
        self._turn = threading.Lock()

    def follow(
        self,
        make: Make,
        stamps: Stamps,
        ids: Sequence[str],
        needs: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Watch files.

        Parameters
        ----------
        make : callable
            ``make(mine)`` gives the entries anew; ids in `mine` are free for them.
        stamps : mapping
            From `stamps_of`, before the files were opened.
        ids : sequence of str
            Of the entries as they are.
        needs : callable, optional
            Gives the ids of entries that these are made of.
        """
        if stamps:
            layers = {name for name in ids if self._atlas.entry(name).layer is not None}
            self._followed.append(_Followed(make, stamps, list(ids), needs, stamps, layers))

    def start(self) -> None:
        """Look every second, on a thread of its own, until `stop`."""
        with self._turn:
            if self._stop is None:
                self._stop = threading.Event()
                threading.Thread(
                    target=self._run, args=(self._stop,), name="skyshade-watch", daemon=True
                ).start()

    def stop(self) -> None:
        """Look no more."""
        with self._turn:
            if self._stop is not None:
                self._stop.set()
                self._stop = None

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(INTERVAL):
            try:
                self.look()
            except Exception:  # boundary of a thread: the next look may go well
                log.exception("the files could not be looked at")

    def look(self) -> None:
        """Look at every file once."""
        renewed: set[str] = set()
        for one in list(self._followed):
            now = {path: stamp_of(path) for path in one.stamps}
            if now == one.stamps:
                one.restless = 0
            elif now == one.seen or one.restless >= IMPATIENCE:
                renewed |= self._changed(one, now)
                one.stamps, one.restless = now, 0
            else:
                one.restless += 1
            one.seen = now
        for one in list(self._followed) if renewed else ():
            if not renewed.isdisjoint(one.needs()):
                renewed |= self._renew(one, list(one.make(one.ids)))

    def _changed(self, one: _Followed, now: Stamps) -> set[str]:
        """Make entries anew; return their ids, none when the old ones stay."""
        gone = next((path for path, stamp in now.items() if stamp is None), None)
        if gone is not None:
            return self._degrade(one, f"{gone.name}: the file is gone; what was open is shown")
        made = list(one.make(one.ids))
        if all(entry.layer is None for entry, _ in made) and self._has_layers(one):
            reason = made[0][0].reason if made else "the file holds nothing to show any more"
            return self._degrade(one, reason)
        return self._renew(one, made)

    def _has_layers(self, one: _Followed) -> bool:
        return any(self._atlas.entry(name).layer is not None for name in one.ids)

    def _degrade(self, one: _Followed, reason: str) -> set[str]:
        for name in one.ids:
            self._atlas.degrade(name, reason, again=True)
        return set()

    def _renew(self, one: _Followed, made: Sequence[Made]) -> set[str]:
        """Put the new entries in the place of the old; layers that vanished become rejected."""
        new = {entry.id: entry for entry, _ in made}
        one.layers |= {name for name, entry in new.items() if entry.layer is not None}
        old = [self._atlas.entry(name) for name in one.ids]
        for entry in old:
            if entry.id not in new and entry.id in one.layers:
                reason = f"{entry.title}: no longer in the file"
                new[entry.id] = replace(entry, layer=None, state="rejected", reason=reason)
        self._atlas.replace(one.ids, list(new.values()))
        for _, sources in made:
            if sources is not None:
                self._atlas.add_sources(sources)
        before, one.ids = one.ids, list(new)
        for entry in old:
            _cancel(entry)
        for entry in new.values():
            self._tell(entry)
        if before != one.ids:
            self._atlas.events.publish({"type": "layers"})
        return {*before, *one.ids}

    def _tell(self, entry: Entry) -> None:
        event = {"type": "layer", "id": entry.id, "state": entry.state, "reason": entry.reason}
        event["version"] = entry.layer.version if entry.layer else ""
        log.info("%s was read anew: %s", entry.id, one_line(entry.reason) or "ok")
        self._atlas.events.publish(event)


class RemoteManifest:
    """The manifest of an index at a URL, read again every few seconds.

    Parameters
    ----------
    folder : Folder
    version : str
        Of the index that was opened.
    """

    def __init__(self, folder: Folder, version: str) -> None:
        self.name = folder.name
        self._folder = folder
        self._known: Stamp = version
        self._asked = time.monotonic()

    def stamp(self) -> Stamp:
        """Return the version of the index as it was at most `PATIENCE` seconds ago."""
        now = time.monotonic()
        if now - self._asked >= PATIENCE:
            self._asked = now
            try:
                self._known = version_of(self._folder.read(MANIFEST))
            except DataError:
                self._known = None
        return self._known


def remote_stamps(layers: Iterable[object]) -> Stamps:
    """Return the remote indexes among layers, as they are."""
    indexes: list[Any] = [getattr(layer, "index", None) for layer in layers]
    on_disk = [index for index in indexes if hasattr(index, "folder")]
    far = [RemoteManifest(i.folder, i.version()) for i in on_disk if i.folder.path is None]
    return {place: place.stamp() for place in far}


def stamps_of(item: Any) -> Stamps:
    """Return the files that an item is made of, as they are now; none for objects and most URLs.

    Of an index it is the manifest.
    """
    if not isinstance(item, str | os.PathLike):
        return {}
    path = local_path(os.fspath(item))
    if path is None:
        return {}
    manifest = path / MANIFEST
    watched = manifest if manifest.is_file() else path
    return {watched: stamp_of(watched)}


def stamp_of(path: Path | RemoteManifest) -> Stamp:
    """Return device, inode, size and time of a regular file, None when there is none.

    Of a remote one its version.
    """
    if isinstance(path, RemoteManifest):
        return path.stamp()
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _cancel(entry: Entry) -> None:
    """Let the overview of a layer that is shown no more go."""
    cancel = getattr(entry.layer, "cancel_overview", None)
    if cancel is not None:
        cancel()
