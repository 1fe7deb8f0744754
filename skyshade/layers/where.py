"""Row filters: ``vt < 9 & bt - vt > 1`` parsed by a small grammar, never evaluated as code.

    or         = and {"|" and}
    and        = not {"&" not}
    not        = "~" not | comparison
    comparison = sum ["in" "(" constant {"," constant} ")" | sign sum {sign sum}]
    sign       = "<" | "<=" | ">" | ">=" | "==" | "!="
    sum        = product {("+" | "-") product}
    product    = unary {("*" | "/") unary}
    unary      = ("-" | "+") unary | atom
    atom       = number | "text" | 'text' | name | `any name` | function "(" sum ")" | "(" or ")"

``&`` and ``|`` bind weaker than comparisons, other than in Python. ``5 < vt <= 9`` is a range,
``type in ("star", "galaxy")`` a choice. Functions are ``abs``, ``sqrt``, ``log10``, ``sin`` and
``cos`` (of degrees), and ``isnull``, true where a value is missing.

A missing value (NaN, None) compares false, also with ``!=``; ``~`` then turns it into true. Numbers
are compared and computed as float64, integers with integers exactly: a float32 column holds
``float32(0.1)``, which is not ``0.1``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError
from skyshade.layers.where_nodes import Call, Constant, Node
from skyshade.layers.where_parser import Parser
from skyshade.layers.where_values import FUNCTIONS, mask_of
from skyshade.types import AnyArray, TextCodes


@dataclass(frozen=True, slots=True)
class Where:
    """A parsed filter.

    Parameters
    ----------
    text : str
        As the user wrote it.
    names : tuple of str
        The columns that it reads.
    """

    text: str
    names: tuple[str, ...]
    node: Node

    def mask(self, column: Callable[[str], AnyArray | TextCodes]) -> NDArray[np.bool_]:
        """Return which rows pass; `column` gives the values of a column by its name.

        One boolean a row, or a single one where no column is read.

        Raises
        ------
        InputError
            A column is not of the kind that its place in the filter needs.
        """
        return mask_of(self.node, {name: column(name) for name in self.names})


def parse_where(text: str, columns: Collection[str]) -> Where:
    """Parse a filter.

    Parameters
    ----------
    text : str
        At most 1,000 characters, nested at most 50 deep.
    columns : collection of str
        The names that may be used.

    Raises
    ------
    InputError
        Names the position (from 1) and what was expected.
    UnknownNameError
        When a column or a function is not known.
    """
    parser = _Parser(text, columns)
    node = parser.whole()
    return Where(text, tuple(dict.fromkeys(parser.names)), node)


class _Parser(Parser):
    functions = dict.fromkeys(FUNCTIONS, (1, 1))

    def comparison(self) -> Node:
        at = self.token.at
        node = super().comparison()
        token = self.token
        if (token.kind, token.text) != ("name", "in"):
            return node
        self.next += 1
        if not self.accept("("):
            raise self.fail("'('")
        choices = [self.constant()]
        while self.accept(","):
            choices.append(self.constant())
        if not self.accept(")"):
            raise self.fail("',' or ')'")
        if len({isinstance(choice.value, str) for choice in choices}) > 1:
            msg = f"where: the list of 'in' at position {token.at} mixes texts and numbers"
            raise InputError(msg)
        return Call("in", (self.value(node, at), *choices), token.at)

    def constant(self) -> Constant:
        """Parse a number with its sign, or a text."""
        token = self.token
        sign = self.accept("-", "+")
        node = self.atom() if self.token.kind in ("number", "text") else None
        if not isinstance(node, Constant):
            raise self.fail("a number or a text")
        if sign is None:
            return node
        if isinstance(node.value, str):
            msg = f"where: arithmetic at position {token.at} needs numbers, found a text"
            raise InputError(msg)
        return Constant(-node.value if sign.text == "-" else node.value, token.at)
