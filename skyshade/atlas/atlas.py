"""The one gate to everything that is published: layers, source lists, boxes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from skyshade.atlas.events import Events
from skyshade.errors import ChangedError, InputError, UnknownNameError, UnsupportedError, one_line
from skyshade.kernels import dispatch
from skyshade.types import Layer

if TYPE_CHECKING:
    from skyshade.overlays import Box, SourceList

log = logging.getLogger("skyshade")

State = Literal["ok", "degraded", "rejected"]
Scopes = Sequence[str]
HEAD_START = 2.0  # seconds that overviews wait for compiled kernels
MANY = 50  # layers


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list of layers.

    Parameters
    ----------
    id : str
    layer : Layer or None
        None when the file was rejected.
    state : {"ok", "degraded", "rejected"}
    reason : str
        Why it is not "ok": one line that names the file, the HDU and the cause.
    title : str
        Text from the file or its name; not escaped.
    """

    id: str
    layer: Layer | None
    state: State = "ok"
    reason: str = ""
    title: str = ""


@runtime_checkable
class HasOverview(Protocol):
    """A layer that gets better in the background (maps)."""

    def start_overview(self, submit: Callable[..., object], on_ready: Callable[[], None]) -> object:
        """Begin to build the overview with ``submit(function)``.

        `on_ready` is called when tiles are exact. What goes wrong is the attribute
        `overview_error`, where a layer has one.
        """
        ...


class Job(Protocol):
    """Background work that belongs to an atlas."""

    def start(self) -> object:
        """Begin, unless begun."""
        ...

    def stop(self) -> object:
        """End soon, without waiting."""
        ...


class Atlas:
    """A published set of layers and overlays; every reader goes through these methods.

    `scopes` names what the reader has been granted. Nothing is restricted yet, but every caller
    passes them, so that grants have one place.
    """

    def __init__(self, title: str = "Skyshade") -> None:
        self.title = title
        self.events = Events()
        self._entries: dict[str, Entry] = {}
        self._sources: dict[str, SourceList] = {}
        self._boxes: list[Box] = []
        self._jobs: list[Job] = []
        self._workers: Executor | None = None
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> Entry:
        """Publish `entry`; raise InputError when its id is taken."""
        with self._lock:
            if entry.id in self._entries:
                msg = f"layer id {entry.id!r} is taken; give the layer another name"
                raise InputError(msg)
            self._entries[entry.id] = entry
            workers = self._workers
        if workers is not None:
            self._start_overview(entry, workers)
        return entry

    def replace(self, old: Sequence[str], new: Sequence[Entry]) -> None:
        """Put entries in the place of others; source lists of the old ids go.

        Raises
        ------
        InputError
            When an id is taken by an entry that stays.
        """
        with self._lock:
            kept = [e for name, e in self._entries.items() if name not in old]
            at = next((i for i, name in enumerate(self._entries) if name in old), len(kept))
            whole = {e.id: e for e in (*kept[:at], *new, *kept[at:])}
            if len(whole) < len(kept) + len(new):
                msg = f"layer ids {', '.join(e.id for e in new)} are not free"
                raise InputError(msg)
            self._entries = whole
            for name in old:
                self._sources.pop(name, None)
            workers = self._workers
        if workers is not None:
            for entry in new:
                self._start_overview(entry, workers)

    def has(self, name: str) -> bool:
        """Return whether an id is taken."""
        return name in self._entries

    def add_sources(self, sources: SourceList) -> None:
        """Publish a source list; raise InputError when its id is taken."""
        with self._lock:
            if sources.id in self._sources:
                msg = f"source list id {sources.id!r} is taken; give the list another name"
                raise InputError(msg)
            self._sources[sources.id] = sources

    def add_boxes(self, boxes: Iterable[Box]) -> None:
        """Publish highlight boxes."""
        with self._lock:
            self._boxes.extend(boxes)

    def entries(self, scopes: Scopes = ()) -> list[Entry]:  # noqa: ARG002 (the gate, see class)
        """Return every entry that `scopes` may see, in order, rejected ones included."""
        return list(self._entries.values())

    def entry(self, name: str, scopes: Scopes = ()) -> Entry:
        """Return one entry; raise UnknownNameError with the known ids."""
        found = self._entries.get(name)
        if found is None:
            raise UnknownNameError("layer", name, [e.id for e in self.entries(scopes)])
        return found

    def layer(self, name: str, scopes: Scopes = ()) -> Layer:
        """Return a layer; raise UnknownNameError, or UnsupportedError when it was rejected."""
        found = self.entry(name, scopes)
        if found.layer is None:
            raise UnsupportedError(f"layer {name!r}", f"was rejected: {found.reason}")
        return found.layer

    def boxes(self, scopes: Scopes = ()) -> list[Box]:  # noqa: ARG002
        """Return the highlight boxes."""
        return list(self._boxes)

    def source_lists(self, scopes: Scopes = ()) -> list[SourceList]:  # noqa: ARG002
        """Return every source list."""
        return list(self._sources.values())

    def sources(self, name: str, scopes: Scopes = ()) -> SourceList:
        """Return one source list; raise UnknownNameError with the known ids."""
        try:
            return self._sources[name]
        except KeyError:
            known = [s.id for s in self.source_lists(scopes)]
            raise UnknownNameError("source list", name, known) from None

    def tree(self, scopes: Scopes = ()) -> dict[str, Any]:
        """Return layers by kind, rejected files, source lists and boxes, as plain JSON values."""
        groups: dict[str, list[dict[str, str]]] = {}
        for entry in self.entries(scopes):
            kind = entry.layer.info.kind if entry.layer else "rejected"
            groups.setdefault(kind, []).append({"id": entry.id, "title": entry.title})
        return {
            "title": self.title,
            "groups": [{"kind": kind, "layers": layers} for kind, layers in groups.items()],
            "sources": [{"id": s.id} for s in self.source_lists(scopes)],
            "boxes": len(self.boxes(scopes)),
        }

    def degrade(self, name: str, reason: str, *, again: bool = False) -> None:
        """Mark a layer that went wrong after it was opened, and tell every listener.

        A layer that is degraded already keeps its first reason, unless `again`.
        """
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or entry.layer is None or entry.reason == reason:
                return
            if entry.state != "ok" and not again:
                return
            self._entries[name] = replace(entry, state="degraded", reason=reason)
        log.warning("layer %s is degraded: %s", name, reason)
        self.events.publish({"type": "layer", "id": name, "state": "degraded", "reason": reason})

    def keep(self, job: Job) -> None:
        """Let `start_background` and `stop_background` start and stop `job` too."""
        self._jobs.append(job)

    def start_background(self, executor: Executor) -> None:
        """Begin what may wait until the first tile is out: kernels, overviews, other jobs.

        Overviews are built several times faster by compiled kernels, so these get a head start
        (from numba's cache they take half a second). An event
        ``{"type": "layer", "id": ..., "quality": "exact"}`` follows each overview. Layers that are
        published later have theirs built at once.
        """
        for job in self._jobs:
            job.start()
        threading.Thread(target=self._overviews, args=(executor,), daemon=True).start()

    def stop_background(self) -> None:
        """Begin nothing more; what is under way comes to its end."""
        self._workers = None
        for job in self._jobs:
            job.stop()

    def _overviews(self, executor: Executor) -> None:
        kernels = threading.Thread(target=_compile_kernels, daemon=True)
        kernels.start()
        kernels.join(HEAD_START)
        with self._lock:
            self._workers = executor
            entries = self.entries()
        for entry in entries:
            self._start_overview(entry, executor)

    def _start_overview(self, entry: Entry, executor: Executor) -> None:
        layer, name, start = entry.layer, entry.id, time.perf_counter()
        if not isinstance(layer, HasOverview):
            return
        if len(self) > MANY and getattr(layer, "ready", False):
            return  # of so many small maps, only those that are looked at need theirs

        def ready() -> None:
            log.info("overview of %s is ready after %.1f s", name, time.perf_counter() - start)
            self.events.publish({"type": "layer", "id": name, "quality": "exact"})

        def run(work: Callable[..., object], *args: Any) -> None:
            work(*args)
            error = getattr(layer, "overview_error", None)
            gone = error is None or isinstance(error, ChangedError)  # a change is seen to elsewhere
            if not gone and self._shows(name, layer):
                self.degrade(name, f"no overview could be built: {one_line(error)}")

        try:
            layer.start_overview(partial(executor.submit, run), ready)
        except RuntimeError as error:  # the server is closing: its pool takes no more work
            log.info("overview of %s is not built: %s", name, error)
        except Exception as error:  # noqa: BLE001 (boundary: previews stay, the layer says so)
            self.degrade(name, f"no overview could be built: {one_line(error)}")

    def _shows(self, name: str, layer: object) -> bool:
        entry = self._entries.get(name)
        return entry is not None and entry.layer is layer


def _compile_kernels() -> None:
    try:
        seconds = dispatch.compile_all()
    except Exception:  # boundary of a thread: everything works without them, only slower
        log.exception("kernels could not be compiled; the slow ones stay in use")
    else:
        log.info("kernels are ready after %.1f s", seconds)
