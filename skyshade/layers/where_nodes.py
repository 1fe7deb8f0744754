"""The parsed form of row filters and its evaluation on numpy columns."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError
from skyshade.types import AnyArray

Columns: TypeAlias = Callable[[str], AnyArray]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Constant:
    """A number or a text at a position of the filter."""

    value: int | float | str
    at: int


@dataclass(frozen=True, slots=True)
class Name:
    """A column."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Negative:
    """Minus a value."""

    node: Node
    at: int


@dataclass(frozen=True, slots=True)
class Operation:
    """A first value, then (+ - * /, value) from left to right."""

    first: Node
    rest: tuple[tuple[str, Node], ...]
    at: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values compared."""

    symbol: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Not:
    """A condition turned round."""

    node: Node


@dataclass(frozen=True, slots=True)
class Both:
    """Conditions joined by & (all) or | (any)."""

    symbol: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function of values; row filters have none, expressions over layers do."""

    name: str
    args: tuple[Node, ...]
    at: int


Node: TypeAlias = Constant | Name | Negative | Operation | Comparison | Not | Both | Call

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.divide,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def as_mask(node: Node, column: Columns) -> Mask:
    """Return a condition as booleans, one a row (or one for all rows)."""
    if isinstance(node, Both):
        join = np.logical_and if node.symbol == "&" else np.logical_or
        mask = as_mask(node.parts[0], column)
        for part in node.parts[1:]:
            mask = join(mask, as_mask(part, column))
        return mask
    if isinstance(node, Not):
        return np.logical_not(as_mask(node.node, column))
    if isinstance(node, Comparison):
        return _compare(node, column)
    return _flag(node, column)


def _flag(node: Node, column: Columns) -> Mask:
    """Return a true/false column by itself."""
    if isinstance(node, Name):
        values = np.asarray(column(node.name))
        if values.dtype.kind == "b":
            return values.astype(np.bool_)
        msg = (
            f"where: column {node.name!r} at position {node.at} is not true/false: "
            f"compare it, e.g. {node.name} > 0"
        )
        raise InputError(msg)
    msg = f"where: expected a comparison, found {node}"
    raise InputError(msg)


def _compare(node: Comparison, column: Columns) -> Mask:
    left, right = _value(node.left, column), _value(node.right, column)
    texts = _is_text(left), _is_text(right)
    if texts == (True, True):
        return _compare_texts(node.symbol, left, right)
    if any(texts):
        msg = f"where: {node.symbol!r} at position {node.at} compares a text with a number"
        raise InputError(msg)
    result = np.asarray(_OPERATORS[node.symbol](left, right), np.bool_)
    if node.symbol == "!=":  # the one comparison that NaN does not fail by itself
        result &= ~(_is_nan(left) | _is_nan(right))
    return result


def _compare_texts(symbol: str, left: Any, right: Any) -> Mask:
    """Compare texts; rows where either is missing are false."""
    left, right = np.broadcast_arrays(_texts(left), _texts(right))
    valid = np.array(
        [
            isinstance(x, str) and isinstance(y, str)
            for x, y in zip(left.flat, right.flat, strict=True)
        ],
        np.bool_,
    ).reshape(left.shape)
    result = np.zeros(left.shape, np.bool_)
    result[valid] = _OPERATORS[symbol](left[valid], right[valid])
    return result


def _texts(value: Any) -> AnyArray:
    """Return texts as an array of objects."""
    values = np.asarray(value)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    return values.astype(object)


def _value(node: Node, column: Columns) -> Any:
    """Return the value of a node: an array, one a row, or a Python scalar."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Name):
        return _column(node, column)
    if isinstance(node, Negative):
        return np.negative(_float(_value(node.node, column), node.at))
    if isinstance(node, Operation):
        total = _float(_value(node.first, column), node.at)
        for symbol, operand in node.rest:
            total = _OPERATORS[symbol](total, _float(_value(operand, column), node.at))
        return total
    msg = f"where: expected a value, found {node}"
    raise InputError(msg)


def _column(node: Name, column: Columns) -> AnyArray:
    """Return a column of numbers or texts; other kinds (times, vectors) cannot be compared."""
    values = np.asarray(column(node.name))
    if values.ndim != 1 or values.dtype.kind not in "biufOUST":
        msg = f"where: column {node.name!r} at position {node.at} holds neither numbers nor texts"
        raise InputError(msg)
    return values


def _float(value: Any, at: int) -> Any:
    """Return a number or a numeric column as float64: narrow integers would wrap round."""
    if _is_text(value):
        msg = f"where: arithmetic at position {at} needs numbers, found a text"
        raise InputError(msg)
    return np.asarray(value, np.float64)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or np.asarray(value).dtype.kind in "OUST"


def _is_nan(value: Any) -> Any:
    values = np.asarray(value)
    return np.isnan(values) if values.dtype.kind == "f" else np.False_
