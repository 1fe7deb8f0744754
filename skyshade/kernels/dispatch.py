"""Run a kernel compiled when it is ready, and as its numpy twin until then.

A public kernel is written twice: the numpy twin here in ``skyshade.kernels`` (the test oracle,
which also serves the first tile) and the numba loop of the same name and arguments in
``skyshade.kernels.loops``. numba is imported, and code compiled or loaded from its cache, by
`compile_all` only.
"""

from __future__ import annotations

import functools
import importlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

log = logging.getLogger("skyshade")

P = ParamSpec("P")
R = TypeVar("R")


class Kernel:
    """One public kernel: `twin` until `compile` has made the loop ready."""

    def __init__(self, twin: Callable[..., Any], signatures: Sequence[str]) -> None:
        self.twin = twin
        self.signatures = tuple(signatures)
        self.loop: Callable[..., Any] | None = None
        functools.update_wrapper(self, twin)

    def __call__(self, *args: Any) -> Any:
        """Run the compiled loop, or the twin while there is none."""
        loop = self.loop
        return self.twin(*args) if loop is None else loop(*args)

    def compile(self) -> None:
        """Compile every signature (or load it from numba's cache), then switch over."""
        module = self.twin.__module__.rpartition(".")[2]
        loops = importlib.import_module(f"skyshade.kernels.loops.{module}")
        loop = getattr(loops, self.twin.__name__)
        for signature in self.signatures:
            loop.compile(signature)
        self.loop = loop


_KERNELS: list[Kernel] = []
_LOCK = threading.Lock()
MODULES = (
    "binning",
    "colour",
    "cubic",
    "files",
    "healpix",
    "marks",
    "overview",
    "polygons",
    "png",
    "rgb",
    "sampling",
    "smooth",
)


def kernel(*signatures: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare a numpy twin as a public kernel.

    Parameters
    ----------
    *signatures : str
        numba signatures to compile, e.g. ``"void(float32[:,::1], float64[::1])"``; at most three
        element types a kernel. Arguments must be passed by position.
    """

    def declare(twin: Callable[P, R]) -> Callable[P, R]:
        made = Kernel(twin, signatures)
        _KERNELS.append(made)
        return cast("Callable[P, R]", made)

    return declare


def all_kernels() -> list[Kernel]:
    """Return every kernel of the package, importing the twins but not numba."""
    for name in MODULES:
        importlib.import_module(f"skyshade.kernels.{name}")
    return list(_KERNELS)


def compile_all() -> float:
    """Make every kernel ready; safe to call twice and from any thread. Return the seconds taken."""
    start = time.perf_counter()
    with _LOCK:
        for made in all_kernels():
            if made.loop is None:
                made.compile()
    return time.perf_counter() - start


def compiled() -> bool:
    """Return whether every kernel runs compiled."""
    return all(made.loop is not None for made in all_kernels())
