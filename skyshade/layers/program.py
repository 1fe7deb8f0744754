"""Expressions over pixels as a list of steps: how combination layers are computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from skyshade.errors import InputError
from skyshade.types import AnyArray

MAX_STEPS = 4096
LEAF, NUMBER = "leaf", "number"
_ATOM = 9


class Step(NamedTuple):
    """One step on a stack: push a leaf or a number, or replace `n` values by one.

    Parameters
    ----------
    op : str
        `LEAF`, `NUMBER` or a name of `OPERATIONS`.
    n : int
        Index of the leaf, or how many values the operation takes.
    value : float
        The number.
    """

    op: str
    n: int = 0
    value: float = 0.0


Program: TypeAlias = tuple[Step, ...]


class Operation(NamedTuple):
    """What an operation does and how it is written."""

    make: Callable[..., Any]
    symbol: str
    precedence: int


def _divide(a: Any, b: Any) -> Any:
    return np.where(np.equal(b, 0), np.nan, np.divide(a, b))


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def made(a: Any, b: Any) -> Any:
        return np.where(np.isnan(a) | np.isnan(b), np.float32(np.nan), _flags(compare(a, b)))

    return made


def _flags(true: Any) -> Any:
    return np.asarray(true, np.float32)


def _masks(join: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return `join` of masks: 1 or 0, NaN where any is missing."""

    def made(*masks: Any) -> Any:
        missing, true = np.isnan(masks[0]), np.not_equal(masks[0], 0)
        for mask in masks[1:]:
            missing, true = missing | np.isnan(mask), join(true, np.not_equal(mask, 0))
        return np.where(missing, np.float32(np.nan), _flags(true))

    return made


def _not(mask: Any) -> Any:
    return np.where(np.isnan(mask), np.float32(np.nan), _flags(np.equal(mask, 0)))


def _where(values: Any, mask: Any) -> Any:
    return np.where(np.isnan(mask) | np.equal(mask, 0), np.nan, values)


def _many(join: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def made(*values: Any) -> Any:
        found = values[0]
        for value in values[1:]:
            found = join(found, value)
        return found

    return made


def _mean(*values: Any) -> Any:
    return _many(np.add)(*values) / np.float32(len(values))


OPERATIONS = {
    "|": Operation(_masks(np.logical_or), "|", 1),
    "&": Operation(_masks(np.logical_and), "&", 2),
    "<": Operation(_comparison(np.less), "<", 3),
    "<=": Operation(_comparison(np.less_equal), "<=", 3),
    ">": Operation(_comparison(np.greater), ">", 3),
    ">=": Operation(_comparison(np.greater_equal), ">=", 3),
    "==": Operation(_comparison(np.equal), "==", 3),
    "!=": Operation(_comparison(np.not_equal), "!=", 3),
    "+": Operation(np.add, "+", 4),
    "-": Operation(np.subtract, "-", 4),
    "*": Operation(np.multiply, "*", 5),
    "/": Operation(_divide, "/", 5),
    "negative": Operation(np.negative, "-", 6),
    "not": Operation(_not, "~", 6),
    "abs": Operation(np.abs, "abs", _ATOM),
    "sqrt": Operation(np.sqrt, "sqrt", _ATOM),
    "min": Operation(_many(np.minimum), "min", _ATOM),
    "max": Operation(_many(np.maximum), "max", _ATOM),
    "mean": Operation(_mean, "mean", _ATOM),
    "where": Operation(_where, "where", _ATOM),
}
MASKS = ("|", "&", "<", "<=", ">", ">=", "==", "!=", "not")  # their results are 1 and 0
FUNCTIONS = {"abs": (1, 1), "sqrt": (1, 1), "where": (2, 2)} | dict.fromkeys(
    ("min", "max", "mean"), (2, 64)
)  # how many values each takes


def check_length(program: Sequence[Step]) -> None:
    """Raise InputError when a program has more than `MAX_STEPS` steps."""
    if len(program) > MAX_STEPS:
        msg = f"an expression of {len(program)} steps is not allowed: at most {MAX_STEPS}"
        raise InputError(msg)


def evaluate(program: Program, leaf: Callable[[int], AnyArray]) -> AnyArray:
    """Return the values of an expression; what is not finite becomes NaN.

    Parameters
    ----------
    program : Program
    leaf : callable
        Gives the values of a leaf by its index; asked once for each.
    """
    uses = Counter(step.n for step in program if step.op == LEAF)
    kept: dict[int, AnyArray] = {}
    stack: list[Any] = []
    with np.errstate(all="ignore"):
        for step in program:
            if step.op == LEAF:
                stack.append(_leaf(step.n, uses, kept, leaf))
            elif step.op == NUMBER:
                stack.append(step.value)  # a Python float leaves float32 arrays as they are
            else:
                args = stack[-step.n :]
                del stack[-step.n :]
                stack.append(OPERATIONS[step.op].make(*args))
        made = np.asarray(stack.pop())
        return np.where(np.isfinite(made), made, np.asarray(np.nan, made.dtype))


def _leaf(
    n: int, uses: Counter[int], kept: dict[int, AnyArray], leaf: Callable[[int], AnyArray]
) -> AnyArray:
    """Return a leaf, kept until its last use."""
    uses[n] -= 1
    values = kept.pop(n) if n in kept else leaf(n)
    if uses[n]:
        kept[n] = values
    return values


def text_of(program: Program, names: Sequence[str]) -> str:
    """Return an expression as people write it.

    Parameters
    ----------
    program : Program
    names : sequence of str
        Of the leaves.
    """
    stack: list[tuple[str, int]] = []
    for step in program:
        if step.op == LEAF:
            stack.append((names[step.n], _ATOM))
        elif step.op == NUMBER:
            stack.append((f"{step.value:.10g}", _ATOM if step.value >= 0 else 6))
        else:
            args = stack[-step.n :]
            del stack[-step.n :]
            stack.append(_written(OPERATIONS[step.op], args))
    return stack.pop()[0]


def _written(operation: Operation, args: Sequence[tuple[str, int]]) -> tuple[str, int]:
    _, symbol, own = operation
    if own == _ATOM:
        return f"{symbol}({', '.join(text for text, _ in args)})", _ATOM
    if len(args) == 1:
        return symbol + _bracketed(args[0], own), own
    first = _bracketed(args[0], own)
    rest = [_bracketed(arg, own + 1) for arg in args[1:]]
    return f" {symbol} ".join([first, *rest]), own


def _bracketed(arg: tuple[str, int], least: int) -> str:
    text, precedence = arg
    return text if precedence >= least else f"({text})"


def units_of(program: Program, units: Sequence[str]) -> str:
    """Return the units of an expression by a simple rule on their texts.

    Sums, differences, extremes and means keep equal units (plain numbers agree with all) and have
    none where they differ; products and ratios are written out, and equal units cancel in a
    ratio; masks have none.
    """
    stack: list[str | None] = []  # None for plain numbers
    for step in program:
        if step.op == LEAF:
            stack.append(units[step.n])
        elif step.op == NUMBER:
            stack.append(None)
        else:
            args = stack[-step.n :]
            del stack[-step.n :]
            stack.append(_unit(step.op, args))
    return stack.pop() or ""


def _unit(op: str, args: Sequence[str | None]) -> str | None:
    if op in MASKS:
        return ""
    if op in ("negative", "abs", "where"):
        return args[0]
    if op == "sqrt":
        return f"sqrt({args[0]})" if args[0] else args[0]
    if op in ("*", "/"):
        return _scaled(op, args[0], args[1])
    given = {unit for unit in args if unit is not None}
    return given.pop() if len(given) == 1 else ("" if given else None)


def _scaled(op: str, first: str | None, second: str | None) -> str | None:
    if not second:
        return second if first is None else first
    if not first:
        return second if op == "*" else f"1 / {_factor(second)}"
    if op == "/" and first == second:
        return ""
    return f"{first} {op} {_factor(second)}"


def _factor(unit: str) -> str:
    return f"({unit})" if any(c in unit for c in " */") else unit
