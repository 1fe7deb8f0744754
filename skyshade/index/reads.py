"""What was read of an index: numbers for tests and benchmarks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace


@dataclass(slots=True)
class Reads:
    """Counts since the index was opened, or since `clear`; thread-safe.

    Parameters
    ----------
    rows : int
        Rows given to be binned.
    groups : int
        Row groups that they came from, also from memory.
    decoded : int
        Column chunks that were decoded from Parquet.
    planes : int
        Stored planes.
    """

    rows: int = 0
    groups: int = 0
    decoded: int = 0
    planes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, rows: int = 0, groups: int = 0, decoded: int = 0, planes: int = 0) -> None:
        """Add to the counts."""
        with self._lock:
            self.rows += rows
            self.groups += groups
            self.decoded += decoded
            self.planes += planes

    def clear(self) -> Reads:
        """Return the counts and begin again at 0."""
        with self._lock:
            before = replace(self, _lock=threading.Lock())
            self.rows = self.groups = self.decoded = self.planes = 0
        return before
