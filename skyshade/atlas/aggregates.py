"""What an index is asked to keep of columns: ``"vt:mean,std"``."""

from __future__ import annotations

from collections.abc import Sequence

from skyshade.errors import InputError
from skyshade.types import State

STATES = {
    "mean": "sum",
    "sum": "sum",
    "std": "moments",
    "min": "min",
    "max": "max",
    "count": "present",
    "category": "category",
}


def parse_aggregates(texts: Sequence[str]) -> list[State]:
    """Return the states that answer reductions of columns, each once, in the order asked for.

    Parameters
    ----------
    texts : sequence of str
        ``"column:reduction,reduction"``; ``"count"`` alone, which is always kept, is allowed.

    Raises
    ------
    InputError
        Another form, or an unknown reduction.
    """
    found: list[State] = []
    for text in texts:
        if text == "count":
            continue
        column, colon, names = text.rpartition(":")
        if not colon or not column:
            msg = f"aggregate {text!r} is not allowed: give COLUMN:REDUCTION, e.g. vt:mean,std"
            raise InputError(msg)
        for name in names.split(","):
            if name not in STATES:
                msg = f"reduction {name!r} of {text!r} is not known; known: {', '.join(STATES)}"
                raise InputError(msg)
            found.append(State(STATES[name], column))
    return list(dict.fromkeys(found))
