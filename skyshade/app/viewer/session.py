"""Work away from the event loop, and the way back to the page."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

import panel as pn
from bokeh.document import Document
from bokeh.models import Model

if TYPE_CHECKING:
    from skyshade.atlas.atlas import Atlas
    from skyshade.atlas.events import Event, Subscription

log = logging.getLogger("skyshade")
P = ParamSpec("P")
T = TypeVar("T")


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads that all viewers share for reading numbers."""
    return ThreadPoolExecutor(2, thread_name_prefix="skyshade-viewer")


class Session:
    """One page's way to run things in its own turn.

    On a server, changes to a page must be made by its event loop; in a notebook and in plain
    Python they are made at once.

    Parameters
    ----------
    model : bokeh Model
        Any model of the page; tells which document it belongs to.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._turn = threading.RLock()
        self._owner: int | None = None  # the thread whose turn it is
        self._kernel = _kernel_loop()
        made_in = pn.state.curdoc  # the page's document, before the model is part of it
        self._home = made_in if made_in is not None and made_in.session_context else None
        self.root: pn.viewable.Viewable | None = None
        self.closed = False

    @property
    def _server_document(self) -> Document | None:
        document = self._home or self._model.document
        return document if document is not None and document.session_context else None

    def change(self, act: Callable[[], object]) -> None:
        """Run `act`, which changes the page: at once if that is allowed here, else soon.

        Panel runs what a widget triggers without the document's lock, which Bokeh insists on.
        """
        attached = self._model.document is not None
        mine = self._owner == threading.get_ident()
        if mine or (not attached and self._home is not None):
            act()  # within a turn already, or while the page is being made
        else:
            self.soon(act)

    def soon(self, act: Callable[[], object]) -> None:
        """Run `act` in the page's turn; safe from any thread."""
        if self.closed:
            return
        document = self._server_document
        if document is None:
            self._take_turn(act)
        else:
            document.add_next_tick_callback(lambda: self._take_turn(act))

    def from_elsewhere(self, act: Callable[[], object]) -> None:
        """Run `act` in the page's turn, called from a thread of ours.

        In a notebook that is a turn of the kernel's own loop: what other threads send before the
        page has opened its connection would be lost.
        """
        if self._kernel is None or self._server_document is not None:
            self.soon(act)
            return
        with suppress(RuntimeError):  # the kernel has ended
            self._kernel.call_soon_threadsafe(self.soon, act)

    def _take_turn(self, act: Callable[[], object]) -> None:
        with self._turn:
            before, self._owner = self._owner, threading.get_ident()
            try:
                act()
            finally:
                self._owner = before
            if before is None:
                self._push()

    def later(self, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """Run `work` on another thread, then `then` with its result in the page's turn."""

        def done(future: Future[T]) -> None:
            error = future.exception()
            if error is not None:
                log.warning("the viewer could not read numbers: %s", error)
                return
            self.from_elsewhere(lambda: None if self.closed else then(future.result()))

        _pool().submit(work).add_done_callback(done)

    def _push(self) -> None:
        """Send changes of Bokeh models to a notebook's page; elsewhere they go by themselves."""
        document = self._model.document
        if self.root is None or document is None or document.session_context is not None:
            return
        pn.io.push_notebook(self.root)

    def close(self) -> None:
        """Let nothing more happen."""
        self.closed = True


def _kernel_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs a notebook's cells, when this is one of them."""
    if "ipykernel" not in sys.modules:
        return None
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class HasSession(Protocol):
    """Part of a page."""

    session: Session


S = TypeVar("S", bound=HasSession)


def changes_page(method: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Let `method` change Bokeh models wherever it is called from; see `Session.change`."""

    @wraps(method)
    def wrapped(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        self.session.change(lambda: method(self, *args, **kwargs))

    return wrapped


def listen(atlas: Atlas, owner: Any, react: str) -> Subscription:
    """Subscribe ``owner.react(events)`` to an atlas without keeping `owner` alive.

    `owner` has a `session`. The subscription ends by `Subscription.close`, or with the owner.
    """
    alive = weakref.ref(owner)

    def notify() -> None:
        found = alive()
        if found is not None:
            found.session.from_elsewhere(read)

    def read() -> None:
        found = alive()
        events: list[Event] = subscription.drain()
        if found is not None and events:
            getattr(found, react)(events)

    subscription = atlas.events.subscribe(notify=notify)
    weakref.finalize(owner, subscription.close)
    return subscription
