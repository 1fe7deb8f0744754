"""A byte-capped cache whose concurrent identical requests share one computation."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Numbers of one cache since it was made."""

    entries: int
    bytes: int
    max_bytes: int
    hits: int
    misses: int
    shared: int
    evicted: int


class ByteCache(Generic[T]):
    """Least recently used values, at most `max_bytes` of them; safe from any thread.

    Parameters
    ----------
    max_bytes : int
        0 keeps nothing, but identical concurrent requests still share one computation.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._flights: dict[Hashable, Future[T]] = {}
        self._bytes = self._hits = self._misses = self._shared = self._evicted = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """Return the kept value or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            self._hits += 1
            return found[0]

    def get_or_compute(
        self, key: Hashable, size_of: Callable[[T], int | None], make: Callable[[], T]
    ) -> T:
        """Return the kept value, wait for who is making it, or make it here.

        Parameters
        ----------
        key : hashable
        size_of : callable
            Bytes of a value; None for a value that must not be kept.
        make : callable
            An error of it reaches every waiter and is not kept.
        """
        found, flight, mine = self._look(key)
        if found is not None:
            return found[0]
        if mine:
            self._fly(key, flight, size_of, make)
        return flight.result()

    def submit(
        self,
        executor: Executor,
        key: Hashable,
        size_of: Callable[[T], int | None],
        make: Callable[[], T],
    ) -> Future[T]:
        """Do as `get_or_compute`, in `executor`; the future is shared: never cancel it."""
        found, flight, mine = self._look(key)
        if found is not None:
            flight.set_result(found[0])
        elif mine:
            try:
                executor.submit(self._fly, key, flight, size_of, make)
            except RuntimeError as error:  # the executor is closed
                self._land(key, flight)
                flight.set_exception(error)
        return flight

    def clear(self) -> None:
        """Forget every value; computations under way go on."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def stats(self) -> CacheStats:
        """Return the cache's numbers."""
        with self._lock:
            return CacheStats(
                len(self._kept),
                self._bytes,
                self.max_bytes,
                self._hits,
                self._misses,
                self._shared,
                self._evicted,
            )

    def _look(self, key: Hashable) -> tuple[tuple[T, int] | None, Future[T], bool]:
        """Return (what is kept, the computation, whether the caller must run it)."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                self._hits += 1
                return found, Future(), False
            flight = self._flights.get(key)
            if flight is not None:
                self._shared += 1
                return None, flight, False
            self._misses += 1
            flight = self._flights[key] = Future()
            return None, flight, True

    def _fly(
        self,
        key: Hashable,
        flight: Future[T],
        size_of: Callable[[T], int | None],
        make: Callable[[], T],
    ) -> None:
        try:
            value = make()
            size = size_of(value)
        except BaseException as error:  # noqa: BLE001 (not swallowed: every waiter gets it)
            self._land(key, flight)
            flight.set_exception(error)
            return
        if size is not None:
            self._keep(key, value, size)
        self._land(key, flight)
        flight.set_result(value)

    def _land(self, key: Hashable, flight: Future[T]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def _keep(self, key: Hashable, value: T, size: int) -> None:
        if size > self.max_bytes:
            return
        with self._lock:
            old = self._kept.pop(key, None)
            self._bytes += size - (old[1] if old else 0)
            self._kept[key] = (value, size)
            while self._bytes > self.max_bytes:
                _, (_, gone) = self._kept.popitem(last=False)
                self._bytes -= gone
                self._evicted += 1
