"""What is built once, in the background, by whichever threads offer to help."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from skyshade.errors import DataError, SkyshadeError

WORKERS = 2


class Background:
    """Something that is ready some time after `start`, or at once after `wait`.

    Subclasses say whether they are `ready` and how far they have come, and work in `_begin` (one
    worker of a pool) and `_help` (a thread that waits); they call `_fail` when it cannot be done,
    and when it is, they set `_finished` and call the `_callbacks`.
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

    def _begin(self, submit: Callable[..., Any]) -> None:
        """Give a pool one worker."""
        raise NotImplementedError

    def _help(self) -> None:
        """Work until there is nothing left to begin."""
        raise NotImplementedError

    def _fail(self, error: BaseException) -> None:
        """Give up."""
        raise NotImplementedError

    def start(self, submit: Callable[..., Any], on_ready: Callable[[], None] | None = None) -> None:
        """Build in the background.

        Parameters
        ----------
        submit : callable
            ``submit(function)`` runs a function in a thread, e.g. an executor's; for at most
            `WORKERS` workers, which begin at the first call only.
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
            self._begin(submit)

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
        self._help()
        if not self._finished.wait(timeout):
            msg = f"overview is not ready after {timeout} s: {self.progress:.0%} is done"
            raise TimeoutError(msg)
        if isinstance(self._error, SkyshadeError):
            raise self._error
        if self._error is not None:
            raise DataError("map", f"cannot be read: {self._error}") from self._error

    def cancel(self) -> None:
        """Stop building after the pieces at hand; `wait` raises DataError from now on."""
        if not self.ready:
            self._fail(DataError("map", "building its overview was cancelled"))
