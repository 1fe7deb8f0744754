"""The one gate to everything that is published: layers, source lists, boxes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from skyshade.atlas.events import Events
from skyshade.errors import InputError, UnknownNameError, UnsupportedError
from skyshade.kernels import dispatch
from skyshade.types import Layer

if TYPE_CHECKING:
    from skyshade.overlays import Box, SourceList

log = logging.getLogger("skyshade")

State = Literal["ok", "degraded", "rejected"]
Scopes = Sequence[str]
HEAD_START = 2.0  # seconds that overviews wait for compiled kernels


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

    def start_overview(self, executor: Executor, on_ready: Callable[[], None]) -> object:
        """Begin to build the overview; `on_ready` is called when tiles are exact."""
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
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> Entry:
        """Publish `entry`; raise InputError when its id is taken."""
        with self._lock:
            if entry.id in self._entries:
                msg = f"layer id {entry.id!r} is taken; give the layer another name"
                raise InputError(msg)
            self._entries[entry.id] = entry
        return entry

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

    def degrade(self, name: str, reason: str) -> None:
        """Mark a layer whose file went wrong after it was opened, and tell every listener."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or entry.state != "ok":
                return
            self._entries[name] = replace(entry, state="degraded", reason=reason)
        log.warning("layer %s is degraded: %s", name, reason)
        self.events.publish({"type": "layer", "id": name, "state": "degraded", "reason": reason})

    def start_background(self, executor: Executor) -> None:
        """Begin what may wait until the first tile is out: compiled kernels and overviews.

        Overviews are built several times faster by compiled kernels, so these get a head start
        (from numba's cache they take half a second). An event
        ``{"type": "layer", "id": ..., "quality": "exact"}`` follows each overview.
        """
        threading.Thread(target=self._overviews, args=(executor,), daemon=True).start()

    def _overviews(self, executor: Executor) -> None:
        kernels = threading.Thread(target=_compile_kernels, daemon=True)
        kernels.start()
        kernels.join(HEAD_START)
        for entry in self.entries():
            if isinstance(entry.layer, HasOverview):
                self._start_overview(entry.id, entry.layer, executor)

    def _start_overview(self, name: str, layer: HasOverview, executor: Executor) -> None:
        start = time.perf_counter()

        def ready() -> None:
            log.info("overview of %s is ready after %.1f s", name, time.perf_counter() - start)
            self.events.publish({"type": "layer", "id": name, "quality": "exact"})

        try:
            layer.start_overview(executor, ready)
        except RuntimeError as error:  # the server is closing: its pool takes no more work
            log.info("overview of %s is not built: %s", name, error)
        except Exception as error:  # noqa: BLE001 (boundary: previews stay, the layer says so)
            self.degrade(name, f"no overview could be built: {error}")


def _compile_kernels() -> None:
    try:
        seconds = dispatch.compile_all()
    except Exception:  # boundary of a thread: everything works without them, only slower
        log.exception("kernels could not be compiled; the slow ones stay in use")
    else:
        log.info("kernels are ready after %.1f s", seconds)
