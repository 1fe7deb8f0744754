"""Values that are slow to make: made once, in a thread, when first needed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """Makes a value in a thread of its own on the first `start` or `get`.

    An error of `make` reaches everyone who waits; the next `get` tries again.
    """

    def __init__(self, make: Callable[[], T], name: str) -> None:
        self._make, self._name = make, name
        self._lock = threading.Lock()
        self._future: Future[T] | None = None

    @property
    def ready(self) -> T | None:
        """The value, None while there is none; never waits."""
        future = self._future
        if future is None or not future.done() or future.exception() is not None:
            return None
        return future.result()

    def start(self) -> Future[T]:
        """Begin, unless begun; return the future value."""
        with self._lock:
            future = self._future
            if future is not None and not (future.done() and future.exception()):
                return future
            future = self._future = Future()
        threading.Thread(target=self._run, args=(future,), name=self._name, daemon=True).start()
        return future

    async def get(self) -> T:
        """Return the value, waiting for it without blocking the event loop."""
        found = self.ready
        if found is not None:
            return found
        return await asyncio.shield(asyncio.wrap_future(self.start()))

    def _run(self, future: Future[T]) -> None:
        try:
            value = self._make()
        except BaseException as error:  # noqa: BLE001 (not swallowed: every waiter gets it)
            future.set_exception(error)
        else:
            future.set_result(value)
