"""Expressions over layers as text: ``(a - b) / 2``, ``where(a, m > 0.5)``; never run as code.

The grammar is that of row filters (`skyshade.layers.where`) with functions:

    atom = number | name | `any name` | "(" or ")" | function "(" or {"," or} ")"

Functions are ``min``, ``max``, ``mean`` (two values or more), ``abs``, ``sqrt``, and
``where(values, mask)``. Masks (comparisons and ``& | ~`` of them) are the numbers 1 and 0; other
than in row filters what is missing in an operand is missing in the result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from skyshade.errors import InputError
from skyshade.layers.program import FUNCTIONS, LEAF, NUMBER, Program, Step, check_length
from skyshade.layers.where_nodes import (
    Both,
    Call,
    Comparison,
    Constant,
    Name,
    Negative,
    Node,
    Not,
)
from skyshade.layers.where_parser import Parser


def parse_expression(text: str, names: Collection[str]) -> tuple[Program, tuple[str, ...]]:
    """Parse an expression.

    Parameters
    ----------
    text : str
        At most 1,000 characters, nested at most 50 deep.
    names : collection of str
        What may be used in it.

    Returns
    -------
    program : Program
    used : tuple of str
        The names that it uses, in the order of the program's leaves; at least one.

    Raises
    ------
    InputError
        Names the position (from 1) and what was expected.
    UnknownNameError
        When a name or a function is not known.
    """
    parser = _Parser(text, names)
    node = parser.whole()
    used = tuple(dict.fromkeys(parser.names))
    if not used:
        msg = f"expression {text!r} uses no layer: give {parser.example}"
        raise InputError(msg)
    program = tuple(_steps(node, used))
    check_length(program)
    return program, used


class _Parser(Parser):
    what, noun, example = "expression", "name", "one such as (a - b) / 2"
    atoms = "a number, a name or '('"
    functions = FUNCTIONS

    def boolean(self, node: Node, at: int) -> Node:  # noqa: ARG002 (masks are numbers)
        """Return `node`: any number may stand for true or false."""
        return node

    def value(self, node: Node, at: int) -> Node:  # noqa: ARG002 (masks are numbers)
        """Return `node`: a mask is a number."""
        return node

    def atom(self) -> Node:
        if self.token.kind == "text":
            raise self.fail(self.atoms)
        return super().atom()


def _steps(node: Node, used: tuple[str, ...]) -> Iterator[Step]:
    """Yield the steps of a node; it is nested at most as deep as the parser allows."""
    if isinstance(node, Constant):
        yield Step(NUMBER, value=float(node.value))
        return
    if isinstance(node, Name):
        yield Step(LEAF, used.index(node.name))
        return
    name, args = _operation(node)
    for i, (op, arg) in enumerate(args):
        yield from _steps(arg, used)
        if op and i:  # a chain of sums or products
            yield Step(op, 2)
    if name:
        yield Step(name, len(args))


def _operation(node: Node) -> tuple[str, list[tuple[str, Node]]]:
    """Return the operation of a node, "" for a chain, and (operation before it, operand) pairs."""
    if isinstance(node, Negative):
        return "negative", [("", node.node)]
    if isinstance(node, Not):
        return "not", [("", node.node)]
    if isinstance(node, Comparison):
        return node.symbol, [("", node.left), ("", node.right)]
    if isinstance(node, Both):
        return node.symbol, [("", part) for part in node.parts]
    if isinstance(node, Call):
        return node.name, [("", arg) for arg in node.args]
    if isinstance(node, Constant | Name):
        return "", []
    return "", [("", node.first), *node.rest]
