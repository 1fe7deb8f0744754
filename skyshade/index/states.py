"""States of pixels: made from rows, merged from children, added up, packed.

A state is what a reduction keeps of the rows of a pixel (see `skyshade.types.State`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError
from skyshade.kernels.binning import (
    MAX,
    MIN,
    MOMENTS,
    SUM,
    bin_categories,
    bin_count,
    bin_values,
)
from skyshade.types import AnyArray, FloatArray, IntArray, RowBlock, State, StateArrays

KINDS = ("count", "present", "sum", "moments", "min", "max", "category")
COUNT = State("count")
_CODES = {"present": SUM, "sum": SUM, "moments": MOMENTS, "min": MIN, "max": MAX}


@dataclass(slots=True)
class Pixels:
    """A state in the making: the arrays that the kernels write.

    Parameters
    ----------
    state : State
    n : ndarray of uint32, shape (y, x) or (y, x, categories)
    a, b : ndarray of float64, shape (y, x)
        (1, 1) where the state has none.
    """

    state: State
    n: NDArray[np.uint32]
    a: FloatArray
    b: FloatArray

    @classmethod
    def empty(cls, state: State, shape: tuple[int, int], categories: int = 0) -> Pixels:
        """Return pixels without rows.

        Parameters
        ----------
        state : State
        shape : (height, width)
        categories : int
            How many there are, for ``category``.
        """
        if state.kind not in KINDS:
            msg = f"state {state.kind!r} is not known: allowed are {', '.join(KINDS)}"
            raise InputError(msg)
        none = np.zeros((1, 1))
        if state.kind == "category":
            return cls(state, np.zeros((*shape, categories), np.uint32), none, none)
        n = np.zeros(shape, np.uint32)
        if state.kind == "count":
            return cls(state, n, none, none)
        extreme = state.kind in ("min", "max")
        a = np.full(shape, np.nan if extreme else 0.0)
        return cls(state, n, a, np.zeros(shape) if state.kind == "moments" else none)

    def add_rows(self, block: RowBlock, shift: int, frame: IntArray) -> None:
        """Add the rows of a block; `shift` and `frame` as `kernels.binning` takes them."""
        state = self.state
        if state.kind == "count":
            bin_count(block.keys, shift, frame, self.n)
            return
        if state.kind == "category":
            bin_categories(block.keys, block.codes[state.column], shift, frame, self.n)
            return
        values = block.columns[state.column]
        if state.kind == "present":
            values = present(values)
        else:
            values = np.ascontiguousarray(numbers(values, state.column), np.float64)
        with np.errstate(all="ignore"):  # infinite values
            bin_values(block.keys, values, shift, frame, _CODES[state.kind], self.n, self.a, self.b)

    def arrays(self) -> StateArrays:
        """Return the arrays that the state has."""
        kind = self.state.kind
        if kind in ("count", "category", "present"):
            return StateArrays(self.n)
        return StateArrays(self.n, self.a, self.b if kind == "moments" else None)


def numbers(values: AnyArray, column: str) -> AnyArray:
    """Return the values of a numeric column; InputError for other kinds."""
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        msg = f"column {column!r} does not hold numbers (it holds {kind_of(values)})"
        raise InputError(msg)
    return values


def kind_of(values: AnyArray) -> str:
    """Return what an array holds, for messages."""
    if values.ndim != 1:
        return f"arrays of shape {values.shape[1:]}"
    text = {"O": "text", "U": "text", "S": "text", "T": "text"}
    return text.get(values.dtype.kind, str(values.dtype))


def present(values: AnyArray) -> FloatArray:
    """Return 0 where a column (also of text) has a value, else NaN."""
    if values.dtype.kind == "O":
        missing = np.array([is_missing(v) for v in values.tolist()], np.bool_)
    else:
        missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, np.bool_)
    found: FloatArray = np.where(missing, np.nan, 0.0)
    return found


def is_missing(value: object) -> bool:
    """Return whether a value of a table is none: None or NaN."""
    return value is None or value != value


def halved(state: State, arrays: StateArrays) -> StateArrays:
    """Return the state of pixels twice as large: every 2 x 2 merged, pairwise.

    Parameters
    ----------
    state : State
    arrays : StateArrays
        Of even height and width.
    """
    n = _quarters(arrays.n)
    total = n.sum(axis=0, dtype=_count_type(n))
    if arrays.a is None:
        return StateArrays(total)
    a = _quarters(arrays.a)
    with np.errstate(all="ignore"):
        if state.kind == "sum":
            return StateArrays(total, a.sum(axis=0))
        if state.kind in ("min", "max"):
            pick = np.fmin if state.kind == "min" else np.fmax
            return StateArrays(total, pick.reduce(a, axis=0))
        b = _quarters(_spread_of(arrays))
        top = _merged((n[0], a[0], b[0]), (n[1], a[1], b[1]))
        low = _merged((n[2], a[2], b[2]), (n[3], a[3], b[3]))
        _, mean, spread = _merged(top, low)
    return StateArrays(total, mean, spread)


def summed(state: State, parts: Sequence[StateArrays]) -> StateArrays:
    """Return the state of the rows of all parts together, pixel by pixel."""
    result = parts[0]
    for other in parts[1:]:
        result = _sum_of(state, result, other)
    return result


def _sum_of(state: State, one: StateArrays, two: StateArrays) -> StateArrays:
    wide = np.promote_types(one.n.dtype, two.n.dtype)
    quality = one.quality if one.quality != "exact" else two.quality
    n = one.n.astype(np.promote_types(wide, np.uint64), copy=False) + two.n
    n = n.astype(wide) if n.size == 0 or int(n.max()) <= np.iinfo(wide).max else n
    if one.a is None or two.a is None:
        return StateArrays(n, quality=quality)
    with np.errstate(all="ignore"):
        if state.kind == "sum":
            return StateArrays(n, one.a + two.a, quality=quality)
        if state.kind in ("min", "max"):
            pick = np.fmin if state.kind == "min" else np.fmax
            return StateArrays(n, pick(one.a, two.a), quality=quality)
        _, mean, spread = _merged((one.n, one.a, _spread_of(one)), (two.n, two.a, _spread_of(two)))
    return StateArrays(n, mean, spread, quality)


def _spread_of(arrays: StateArrays) -> FloatArray:
    if arrays.b is None:
        msg = "moments without their squared differences"
        raise ValueError(msg)
    return arrays.b


def _count_type(n: AnyArray) -> type[np.uint32 | np.uint64]:
    """Return uint32, or uint64 where four pixels together may not fit."""
    small = n.size == 0 or n.dtype.itemsize < 4 or int(n.max()) < 1 << 30
    return np.uint32 if small else np.uint64


def _quarters(values: AnyArray) -> AnyArray:
    """Return the four pixels of every 2 x 2 along a new first axis."""
    return np.stack(
        [values[0::2, 0::2], values[0::2, 1::2], values[1::2, 0::2], values[1::2, 1::2]]
    )


Moments = tuple[AnyArray, AnyArray, AnyArray]


def _merged(one: Moments, two: Moments) -> Moments:
    """Merge (n, mean, m2) of two sets of values (Chan, Golub and LeVeque 1979)."""
    n1, n2 = one[0].astype(np.float64), two[0].astype(np.float64)
    total = np.maximum(n1 + n2, 1.0)
    delta = two[1] - one[1]
    share = n2 / total
    mean = np.where(n1 == 0, two[1], one[1] + delta * share)
    spread = one[2] + two[2] + delta * delta * (n1 * share)
    return n1 + n2, mean, np.where((n1 == 0) | (n2 == 0), one[2] + two[2], spread)


def label_states(labels: Iterable[str]) -> list[State]:
    """Return the states of labels such as ``"sum:vt"``; InputError for an unknown kind."""
    found = []
    for label in labels:
        kind, _, column = label.partition(":")
        if kind not in KINDS:
            msg = f"state {label!r} is not known: allowed kinds are {', '.join(KINDS)}"
            raise InputError(msg)
        found.append(State(kind, column))
    return found
