"""Byte buffers that are used again: new memory costs more than what is done with it."""

from __future__ import annotations

import threading
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

KEPT_BYTES = 4 << 20  # of one buffer; larger ones are given back to the system
KEPT = 4  # buffers
_HUGE = 2 << 20  # bytes of the pages that numpy asks for, when an array holds whole ones


class Scratch:
    """A buffer that is borrowed for the time of a ``with`` block.

    At most `KEPT` buffers of at most `KEPT_BYTES` are kept for all threads together, whatever their
    number.

    Parameters
    ----------
    size : int
        Bytes.
    """

    _lock = threading.Lock()
    _kept: list[NDArray[np.uint8]] = []  # noqa: RUF012 (shared by all on purpose)

    def __init__(self, size: int) -> None:
        self._size = size
        self._buffer: NDArray[np.uint8] | None = None

    def __enter__(self) -> NDArray[np.uint8]:
        """Return ``size`` bytes of any content."""
        if self._size <= KEPT_BYTES:
            with self._lock:
                self._buffer = self._kept.pop() if self._kept else None
            if self._buffer is None:
                self._buffer = _aligned()
            return self._buffer[: self._size]
        return np.empty(self._size, np.uint8)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep the buffer for the next."""
        if self._buffer is not None:
            with self._lock:
                if len(self._kept) < KEPT:
                    self._kept.append(self._buffer)
            self._buffer = None


def _aligned() -> NDArray[np.uint8]:
    """Return a new buffer that lies on huge pages, where there are any."""
    whole = np.empty(KEPT_BYTES + _HUGE, np.uint8)
    start = -whole.ctypes.data % _HUGE
    return whole[start : start + KEPT_BYTES]
