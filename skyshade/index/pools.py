"""Who does the units of a build: threads of this process."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeVar

R = TypeVar("R")
MOST = 8  # threads, where their number is not said
GRACE = 1.5  # seconds that threads get to stop

_here = threading.local()


class Stopped(Exception):
    """Raised inside a unit when the build is to end."""


def checkpoint() -> None:
    """Raise `Stopped` where the build of this thread is to end; units call it now and then."""
    stop = getattr(_here, "stop", None)
    if stop is not None and stop.is_set():
        raise Stopped


class Pool(Protocol):
    """Runs functions on many arguments."""

    def run(
        self,
        function: Callable[..., R],
        job: Any,
        units: Sequence[Any],
        done: Callable[[Any, R], None] | None = None,
    ) -> list[R]:
        """Return ``function(job, unit)`` of every unit, in their order.

        Parameters
        ----------
        function : callable
            Pure: what it writes follows from its arguments, so it may run twice.
        job, units
            Its arguments.
        done : callable, optional
            Given every unit and its result, when it is done, in this thread.
        """
        ...


class Threads:
    """A `Pool` of threads; each takes units that follow one another, as files are read best.

    Parameters
    ----------
    workers : int, optional
        As many as there are processors by default, up to `MOST`: each takes some 200 MB.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or min(os.cpu_count() or 1, MOST)

    def run(
        self,
        function: Callable[..., R],
        job: Any,
        units: Sequence[Any],
        done: Callable[[Any, R], None] | None = None,
    ) -> list[R]:
        """Return the results in the order of the units; the first error ends all."""
        crew = _Crew(function, job, units)
        crew.start(max(1, min(self.workers, len(units))))
        results: dict[int, R] = {}
        try:
            while len(results) < len(units):
                number, result, error = crew.next()
                if error is not None:
                    raise error
                results[number] = result
                if done is not None:
                    done(units[number], result)
        finally:
            crew.end()
        return [results[i] for i in range(len(units))]


class Shares:
    """Which units each worker does: a run of its own, then the last half of the longest left.

    Parameters
    ----------
    units, workers : int
    """

    def __init__(self, units: int, workers: int) -> None:
        ends = [units * i // workers for i in range(workers + 1)]
        self._left = [list(pair) for pair in pairwise(ends)]  # first, end
        self._lock = threading.Lock()

    def next(self, worker: int) -> int | None:
        """Return the next unit of a worker, None when there are none left."""
        with self._lock:
            mine = self._left[worker]
            if mine[0] == mine[1]:
                other = max(self._left, key=lambda share: share[1] - share[0])
                half = (other[0] + other[1]) // 2
                mine[:], other[1] = [half, other[1]], half
            if mine[0] == mine[1]:
                return None
            mine[0] += 1
            return mine[0] - 1


class _Crew:
    """Threads that do units until there are none left."""

    def __init__(self, function: Callable[..., Any], job: Any, units: Sequence[Any]) -> None:
        self._function, self._job, self._units = function, job, units
        self._done: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, workers: int) -> None:
        shares = Shares(len(self._units), workers)
        for worker in range(workers):
            thread = threading.Thread(target=self._work, args=(shares, worker), daemon=True)
            thread.start()
            self._threads.append(thread)

    def next(self) -> tuple[int, Any, BaseException | None]:
        while True:
            try:
                return self._done.get(timeout=0.2)  # a signal is seen between
            except queue.Empty:
                continue

    def end(self) -> None:
        self._stop.set()
        until = time.monotonic() + GRACE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self, shares: Shares, worker: int) -> None:
        _here.stop = self._stop
        while not self._stop.is_set():
            number = shares.next(worker)
            if number is None:
                return
            try:
                result = self._function(self._job, self._units[number])
            except Stopped:
                return
            except BaseException as error:  # noqa: BLE001 (raised again by who waits)
                self._done.put((number, None, error))
                return
            self._done.put((number, result, None))
