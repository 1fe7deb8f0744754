"""Warnings of other libraries: caught in one thread, without a change for the others.

The filters of Python's `warnings` and its `showwarning` belong to the process.
`warnings.catch_warnings` replaces them and puts back what it found: two threads whose turns overlap
undo each other's filters, so that ignored warnings come back, and each records those of the other.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import TextIO

from skyshade.errors import one_line

# Held by whoever changes the warning filters of the process, or runs code that is known to.
FILTERS = threading.RLock()
_here = threading.local()


class _WithinQuiet(type):
    def __subclasscheck__(cls, other: type) -> bool:
        return getattr(_here, "caught", None) is not None


class _Mine(Warning, metaclass=_WithinQuiet):
    """In a filter: every warning of a thread that is within `quiet`, and no other."""


@contextlib.contextmanager
def quiet() -> Iterator[list[str]]:
    """Catch the warnings of this thread; yields the list they are put into, as single lines."""
    caught: list[str] = []
    with FILTERS:
        outer = getattr(_here, "caught", None)
        found: dict[str, None] = {}  # each line once, in order
        _here.caught = found
        try:
            if outer is None:
                with _recorded():
                    yield caught
            else:
                yield caught
        finally:
            _here.caught = outer
            caught.extend(found)


@contextlib.contextmanager
def _recorded() -> Iterator[None]:
    """Give the warnings of threads within `quiet` to their dictionaries."""
    show = warnings.showwarning

    def record(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        found = getattr(_here, "caught", None)
        if found is None:
            show(message, category, filename, lineno, file, line)
        else:
            found[one_line(message, 160)] = None

    # Put into the list that there is, and taken out of the one that there is then: whoever saves
    # and restores the whole list meanwhile loses nothing. Left behind, it does nothing.
    warnings.simplefilter("always", _Mine)
    warnings.showwarning = record
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            warnings.filters.remove(("always", None, _Mine, None, 0))  # type: ignore[attr-defined]
        if warnings.showwarning is record:
            warnings.showwarning = show
