"""What is built once, in the background, by whichever threads offer to help."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from skyshade.errors import DataError, SkyshadeError

log = logging.getLogger("skyshade")

WORKERS = 2
TURN = 0.05  # seconds after which a worker lets the pool's other work in
_LOOK = 0.1  # seconds after which one who waits looks whether there is more to do


class Background:
    """Something that is ready some time after `start`, or at once after `wait`.

    Subclasses say whether they are `ready` and how far they have come, and do a piece of the work
    in `_step`; they call `_fail` when it cannot be done, and `_tell` when it is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._error: BaseException | None = None
        self._started = False

    @property
    def ready(self) -> bool:
        """Whether it can be used."""
        raise NotImplementedError

    @property
    def progress(self) -> float:
        """Part of the work that is done, 0 to 1."""
        raise NotImplementedError

    @property
    def error(self) -> BaseException | None:
        """Why it cannot be built; None while nothing went wrong."""
        return self._error

    def _pieces(self) -> int:
        """Return into how many pieces the work is cut."""
        raise NotImplementedError

    def _step(self) -> bool:
        """Do a piece, some milliseconds; return False when there is none left to begin."""
        raise NotImplementedError

    def _discard(self) -> None:
        """Drop what was made so far; called once, with the lock, when building has failed."""
        raise NotImplementedError

    def start(self, submit: Callable[..., Any], on_ready: Callable[[], None] | None = None) -> None:
        """Build in the background.

        Parameters
        ----------
        submit : callable
            ``submit(function)`` runs a function in a thread, e.g. an executor's; for at most
            `WORKERS` workers, which begin at the first call only. A worker that has taken `TURN`
            seconds submits what it would do next, so that other work of the pool comes in between;
            if the pool was shut down meanwhile, it goes on until the interpreter ends.
        on_ready : callable, optional
            Called without arguments when it is ready, from the thread that made it so; at once when
            it is already. Not called when building fails: see `error`.
        """
        with self._lock:
            first, self._started = not self._started, True
            done = self.ready
            if on_ready is not None and not done:
                self._callbacks.append(on_ready)
        if done:
            if on_ready is not None:
                on_ready()
            return
        for _ in range(min(WORKERS, self._pieces()) if first else 0):
            submit(partial(self._turn, submit))

    def wait(self, timeout: float | None = None) -> None:
        """Help to build, then wait until it is ready.

        Since the caller's thread takes part, a full pool cannot block it. Time spent helping is not
        held against `timeout` (seconds).

        Raises
        ------
        DataError
            The pixels could not be read, or building was cancelled.
        TimeoutError
            Others were still at it after `timeout` seconds.
        """
        with self._lock:
            self._started = True
        left = float("inf") if timeout is None else timeout
        self._work(None)
        while not self._finished.wait(min(left, _LOOK)):
            left -= _LOOK
            if left <= 0.0:
                msg = f"overview is not ready after {timeout} s: {self.progress:.0%} is done"
                raise TimeoutError(msg)
            self._work(None)
        if isinstance(self._error, SkyshadeError):
            raise self._error
        if self._error is not None:
            raise DataError("map", f"cannot be read: {self._error}") from self._error

    def cancel(self) -> None:
        """Stop building after the pieces at hand; `wait` raises DataError from now on."""
        if not self.ready:
            self._fail(DataError("map", "building its overview was cancelled"), logging.DEBUG)

    def _turn(self, submit: Callable[..., Any]) -> None:
        """Work for a while, then queue up behind what else the pool has to do."""
        while self._work(TURN):
            try:
                submit(partial(self._turn, submit))
                return
            except RuntimeError as error:  # the pool is shut down: it waits for this thread only
                if not threading.main_thread().is_alive():
                    log.debug("an overview is left unfinished: %s", error)
                    return

    def _work(self, seconds: float | None) -> bool:
        """Do pieces for `seconds`, or until there are none; return whether some may be left."""
        end = time.monotonic() + seconds if seconds is not None else None
        while self._step():
            if end is not None and time.monotonic() >= end:
                return True
        return False

    def _tell(self) -> None:
        """Tell all who wait that it is ready."""
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        self._finished.set()
        for call in callbacks:
            call()

    def _fail(self, error: BaseException, level: int = logging.WARNING) -> None:
        """Give up, unless it is ready or has failed already."""
        with self._lock:
            if self._error is not None or self.ready:
                return
            self._error, self._callbacks = error, []
            self._discard()
        log.log(level, "an overview is not built, coarse tiles stay previews: %s", error)
        self._finished.set()
