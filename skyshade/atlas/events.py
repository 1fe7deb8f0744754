"""News about an atlas, from any thread to any number of listeners.

{"type": "layers"}                        layers or source lists came or went: read the list anew
{"type": "layer", "id", "quality"}        "exact": the overview is ready, previews can go
{"type": "layer", "id", "state", "reason", "version"}
                                          its file was read anew; "version" is that of its numbers
{"type": "layer", "id", "state", "reason"}
                                          "degraded": something went wrong with it
{"type": "lost"}                          the listener was too slow and missed events
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

Event = Mapping[str, Any]
LOST: Event = {"type": "lost"}  # a listener was too slow: it should read the list of layers anew


class Subscription:
    """One listener's bounded queue; use it as a context manager.

    Parameters
    ----------
    events : Events
    limit : int
        Events kept; when more arrive unread, the oldest go and `LOST` comes first.
    notify : callable, optional
        Called, from the publishing thread, after each event; must return at once.
    """

    def __init__(self, events: Events, limit: int, notify: Callable[[], object] | None) -> None:
        self._events, self._notify = events, notify
        self._queue: deque[Event] = deque(maxlen=limit)
        self._lost = False
        self._changed = threading.Condition()

    def put(self, event: Event) -> None:
        """Queue `event`; never blocks."""
        with self._changed:
            self._lost |= len(self._queue) == self._queue.maxlen
            self._queue.append(event)
            self._changed.notify_all()
        if self._notify is not None:
            self._notify()

    def drain(self) -> list[Event]:
        """Return what has arrived since the last call, oldest first."""
        with self._changed:
            found = [LOST] if self._lost else []
            found += self._queue
            self._queue.clear()
            self._lost = False
        return found

    def wait(self, timeout: float) -> list[Event]:
        """Return what has arrived, waiting up to `timeout` seconds for the first event."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue), timeout)
        return self.drain()

    def close(self) -> None:
        """Stop listening."""
        self._events.forget(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Events:
    """Thread-safe publish and subscribe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []

    def publish(self, event: Event) -> None:
        """Give `event`, a flat mapping with a ``type``, to every listener; never blocks."""
        with self._lock:
            listeners = list(self._subscriptions)
        for listener in listeners:
            listener.put(event)

    def subscribe(
        self, *, limit: int = 256, notify: Callable[[], object] | None = None
    ) -> Subscription:
        """Return a new listener; events published before are not seen."""
        made = Subscription(self, limit, notify)
        with self._lock:
            self._subscriptions.append(made)
        return made

    def forget(self, subscription: Subscription) -> None:
        """Remove a listener; no error when it is gone already."""
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    def __len__(self) -> int:
        with self._lock:
            return len(self._subscriptions)
