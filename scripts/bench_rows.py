"""What the groups of bench_maps.py share: a line of the table, and what a group is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line of the table; `least` says that the limit is a lower one."""

    name: str
    figure: float | str
    limit: float | None = None
    least: bool = False

    @property
    def verdict(self) -> str:
        """Return "ok", "over", or "" when there is no limit."""
        if self.limit is None or isinstance(self.figure, str):
            return ""
        good = self.figure >= self.limit if self.least else self.figure <= self.limit
        return "ok" if good else "over"

    def __str__(self) -> str:
        if isinstance(self.figure, str):
            return f"{self.name:<64} {self.figure}"
        limit = "" if self.limit is None else f"{'>=' if self.least else '<='} {self.limit:g}"
        return f"{self.name:<64} {self.figure:>8.3g}  {limit:<8} {self.verdict}".rstrip()


@dataclass(frozen=True)
class Setting:
    """What every group is given.

    Parameters
    ----------
    cache : Path
        Folder of the maps.
    runs : int
        How often quick things are measured; medians are shown.
    tilemaker : str or None
        TileMaker's command.
    remark : str
        Why there is none.
    """

    cache: Path
    runs: int
    tilemaker: str | None
    remark: str


def seconds(work: Callable[[], Any], runs: int) -> float:
    """Return the median wall time of `work`."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


def only_layer(path: Path) -> Any:
    """Return the first layer of a file, opened anew."""
    from skyshade.atlas.build import open_atlas

    entry = open_atlas([path]).entries()[0]
    if entry.layer is None:
        raise RuntimeError(entry.reason)
    return entry.layer


def compile_kernels() -> None:
    """Load the compiled kernels, as a server does in the background."""
    from skyshade.kernels import dispatch

    dispatch.compile_all()
