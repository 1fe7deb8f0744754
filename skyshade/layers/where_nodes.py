"""The parsed form of row filters and of expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


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
    """A function of values; ``in`` is one too: of a value and the constants of its list."""

    name: str
    args: tuple[Node, ...]
    at: int


Node: TypeAlias = Constant | Name | Negative | Operation | Comparison | Not | Both | Call
CONDITIONS = ("in", "isnull")  # functions that are true or false


def is_condition(node: Node) -> bool:
    """Return whether a node is true or false by its form (a column may turn out to be)."""
    return isinstance(node, Both | Comparison | Not) or (
        isinstance(node, Call) and node.name in CONDITIONS
    )
