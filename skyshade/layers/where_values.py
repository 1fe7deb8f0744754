"""Row filters on columns: numpy, in pieces that stay in the processor's cache."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError
from skyshade.index.texts import text_codes
from skyshade.layers.where_nodes import (
    Both,
    Call,
    Comparison,
    Constant,
    Name,
    Negative,
    Node,
    Not,
    Operation,
)
from skyshade.types import AnyArray, TextCodes

Mask: TypeAlias = NDArray[np.bool_]

PIECE = 65_536  # rows; whole columns at once take three times as long

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "log10": np.log10,
    "sin": lambda degrees: np.sin(np.radians(degrees)),
    "cos": lambda degrees: np.cos(np.radians(degrees)),
    "isnull": lambda value: value != value,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


class _Texts(NamedTuple):
    """Texts with the last name for those that are missing, and what is known of the names."""

    codes: NDArray[Any]
    names: NDArray[Any]
    known: dict[tuple[Any, ...], Mask]
    empty: bool


class _Flags(NamedTuple):
    """True and false as 1 and 0, NaN for those that are missing."""

    codes: NDArray[np.float64]


Held: TypeAlias = AnyArray | _Texts | _Flags
Columns: TypeAlias = Mapping[str, Held]


def mask_of(node: Node, columns: Mapping[str, AnyArray | TextCodes]) -> Mask:
    """Return where a condition holds.

    Parameters
    ----------
    node : Node
    columns : mapping of str to ndarray or TextCodes, shape (n,)

    Returns
    -------
    ndarray of bool, shape (n,), or () where there are no columns

    Raises
    ------
    InputError
        A column is not of the kind that its place needs, whatever its rows hold.
    """
    held = {name: _held(values) for name, values in columns.items()}
    with np.errstate(all="ignore"):
        found = np.asarray(_mask(node, _cut(held, 0, 0)))  # all errors, before the work
        rows = max((_size(values) for values in held.values()), default=None)
        if rows is None:
            return found
        mask = np.empty(rows, np.bool_)
        for start in range(0, rows, PIECE):
            stop = min(start + PIECE, rows)
            mask[start:stop] = _mask(node, _cut(held, start, stop))
    return mask


def _held(values: AnyArray | TextCodes) -> Held:
    """Return a column as it is evaluated: texts, and objects, by their different values."""
    if not isinstance(values, TextCodes):
        values = np.asarray(values)
        if values.ndim != 1 or values.dtype.kind not in "OUS":
            return values
        found = text_codes(values)
        if found is None:
            return values
        values = found
    codes, names = np.asarray(values.codes), list(values.names)
    if any(isinstance(name, bool | np.bool_) for name in names):
        flags = [float(name) if isinstance(name, bool | np.bool_) else np.nan for name in names]
        return _Flags(np.array([*flags, np.nan])[codes])
    texts = np.array([*map(_text, names), None], object)
    return _Texts(codes, texts, {}, empty=all(text is None for text in texts))


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, str) else None


def _size(values: Held) -> int:
    return len(values.codes if isinstance(values, _Texts | _Flags) else values)


def _cut(columns: Columns, start: int, stop: int) -> Columns:
    return {
        name: values._replace(codes=values.codes[start:stop])
        if isinstance(values, _Texts | _Flags)
        else values[start:stop]
        for name, values in columns.items()
    }


def _mask(node: Node, columns: Columns) -> Any:
    """Return a condition as booleans, one a row (or one for all rows)."""
    if isinstance(node, Both):
        return _joined(node, columns)
    if isinstance(node, Not):
        return np.logical_not(_mask(node.node, columns))
    if isinstance(node, Comparison):
        sides = _value(node.left, columns), _value(node.right, columns)
        return _compared(node.symbol, *sides, node.at)
    if isinstance(node, Call):
        return _called(node, columns)
    return _flag(node, columns)


def _joined(node: Both, columns: Columns) -> Any:
    """Return conditions joined; a later one is left out where it cannot change any row."""
    all_of = node.symbol == "&"
    mask = _mask(node.parts[0], columns)
    for part in node.parts[1:]:
        if mask.size and (not mask.any() if all_of else mask.all()):
            break
        more = _mask(part, columns)
        mask = np.logical_and(mask, more) if all_of else np.logical_or(mask, more)
    return mask


def _flag(node: Node, columns: Columns) -> Any:
    """Return a true/false column by itself."""
    if isinstance(node, Name):
        values = columns[node.name]
        if isinstance(values, _Flags):
            return values.codes == 1.0
        if isinstance(values, _Texts) and values.empty:
            return np.zeros(values.codes.shape, np.bool_)
        if not isinstance(values, _Texts) and values.dtype.kind == "b":
            return values
        msg = (
            f"where: column {node.name!r} at position {node.at} is not true/false: "
            f"compare it, e.g. {node.name} > 0"
        )
        raise InputError(msg)
    msg = f"where: expected a comparison, found {node}"
    raise InputError(msg)


def _called(node: Call, columns: Columns) -> Any:
    """Return ``in`` and ``isnull``."""
    value = _value(node.args[0], columns)
    if node.name == "in":
        choices = [arg.value for arg in node.args[1:] if isinstance(arg, Constant)]
        value = _unless_empty(value, choices[0])
        if _is_text(value) != _is_text(choices[0]):
            raise _mixed("in", node.at)
        if isinstance(value, _Texts):
            return _by_name(value, ("in", *choices), lambda text: text in choices)
        found = [_compared("==", value, choice, node.at) for choice in choices]
        return np.logical_or.reduce(found)
    if isinstance(value, _Texts):
        return ~_by_name(value, ("isnull",), lambda _: True)
    return np.asarray(FUNCTIONS["isnull"](value))


def _compared(symbol: str, left: Any, right: Any, at: int) -> Any:
    """Compare two values; where either is missing the result is false."""
    left, right = _unless_empty(left, right), _unless_empty(right, left)
    texts = _is_text(left), _is_text(right)
    if texts == (True, True):
        return _compared_texts(symbol, left, right)
    if any(texts):
        raise _mixed(symbol, at)
    if np.ndim(left) == 0 and np.ndim(right) == 1:
        symbol, left, right = _TURNED[symbol], right, left
    if np.ndim(left) == 1 and np.ndim(right) == 0 and left.dtype in (np.float32, np.float16):
        return _compared_narrow(symbol, left, float(right))
    found = np.asarray(_SIGNS[symbol](left, right))
    if symbol == "!=":  # the one comparison that NaN does not fail by itself
        found = found & (left == left) & (right == right)
    return found


def _compared_narrow(symbol: str, values: AnyArray, number: float) -> Any:
    """Compare float32 or float16 with a number as if in float64, without widening.

    Where the number is not one of their own it lies between two of them, and `values` are compared
    with the one that is next to it.
    """
    near = values.dtype.type(number)
    if float(near) != number and not np.isnan(number):
        if symbol == "==":
            return np.zeros(values.shape, np.bool_)
        if symbol == "!=":
            return values == values
        below = symbol in ("<", "<=")
        if (float(near) > number) == below:
            near = np.nextafter(near, values.dtype.type(-np.inf if below else np.inf))
        symbol = "<=" if below else ">="
    found = _SIGNS[symbol](values, near)
    return found & (values == values) & (near == near) if symbol == "!=" else found


def _compared_texts(symbol: str, left: Any, right: Any) -> Any:
    """Compare texts: with a constant once for every different text, else row by row."""
    if isinstance(left, str) and isinstance(right, str):
        return np.asarray(_SIGNS[symbol](left, right))
    if isinstance(left, str):
        symbol, left, right = _TURNED[symbol], right, left
    if isinstance(right, str):
        return _by_name(left, (symbol, right), lambda text: _SIGNS[symbol](text, right))
    pairs = zip(left.names[left.codes], right.names[right.codes], strict=True)
    sign = _SIGNS[symbol]
    found = (x is not None and y is not None and sign(x, y) for x, y in pairs)
    return np.fromiter(found, np.bool_, len(left.codes))


def _by_name(column: _Texts, key: tuple[Any, ...], holds: Callable[[str], Any]) -> Any:
    """Return where a condition holds for the text of a row; false where it is missing."""
    if key not in column.known:
        flags = (name is not None and bool(holds(name)) for name in column.names)
        column.known[key] = np.fromiter(flags, np.bool_, len(column.names))
    return column.known[key][column.codes]  # -1 is the last name: None


def _value(node: Node, columns: Columns) -> Any:
    """Return numbers (an array, or one for all rows), texts or a text."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Name):
        return _column(node, columns)
    if isinstance(node, Negative):
        return np.negative(_wide(_value(node.node, columns), node.at))
    if isinstance(node, Operation):
        total = _wide(_value(node.first, columns), node.at)
        for symbol, operand in node.rest:
            total = _ARITHMETIC[symbol](total, _wide(_value(operand, columns), node.at))
        return total
    if isinstance(node, Call):
        return FUNCTIONS[node.name](_wide(_value(node.args[0], columns), node.at))
    msg = f"where: expected a value, found {node}"
    raise InputError(msg)


def _column(node: Name, columns: Columns) -> AnyArray | _Texts:
    """Return a column of numbers or texts; other kinds (times, vectors) cannot be compared."""
    values = columns[node.name]
    if isinstance(values, _Flags):
        return values.codes
    if isinstance(values, _Texts) or (values.ndim == 1 and values.dtype.kind in "biuf"):
        return values
    msg = f"where: column {node.name!r} at position {node.at} holds neither numbers nor texts"
    raise InputError(msg)


def _wide(value: Any, at: int) -> Any:
    """Return a number or a numeric column as float64: narrow integers would wrap round."""
    value = _unless_empty(value, 0.0)
    if _is_text(value):
        msg = f"where: arithmetic at position {at} needs numbers, found a text"
        raise InputError(msg)
    return np.asarray(value, np.float64)


def _unless_empty(value: Any, other: Any) -> Any:
    """Return texts that are all missing as NaN beside a number: they may be numbers elsewhere."""
    if isinstance(value, _Texts) and value.empty and not _is_text(other):
        return np.full(len(value.codes), np.nan)
    return value


def _mixed(symbol: str, at: int) -> InputError:
    return InputError(f"where: {symbol!r} at position {at} compares a text with a number")


def _is_text(value: Any) -> bool:
    return isinstance(value, str | _Texts)
