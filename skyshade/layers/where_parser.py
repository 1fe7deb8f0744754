"""Recursive descent over the tokens of a filter or an expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import ClassVar, NamedTuple

from skyshade.errors import InputError, UnknownNameError
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
    is_condition,
)

MAX_LENGTH = 1000
MAX_DEPTH = 50

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<text>"[^"]*"|'[^']*')
    | (?P<quoted>`[^`]+`)
    | (?P<name>[^\W\d]\w*)
    | (?P<op><=|>=|==|!=|[<>&|~()+*/,-])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_CHAINS = (("<", "<="), (">", ">="))  # signs that may follow one another: 5 < vt <= 9
_HINTS = {
    "=": "==",
    "<>": "!=",
    "&&": "&",
    "||": "|",
    "and": "&",
    "or": "|",
    "not": "~",
    "!": "~",
    "between": "a <= x <= b",
    "is": "isnull(x)",
    "null": "isnull(x)",
    "nan": "isnull(x)",
}


class Token(NamedTuple):
    """One token of the text; positions count from 1."""

    kind: str
    text: str
    at: int


class Parser:
    """Recursive descent over the tokens of one text.

    Parameters
    ----------
    text : str
    columns : collection of str
        The names that may be used.

    Attributes
    ----------
    what, noun, example, atoms : str
        What is parsed, what its names stand for, one that is right, and what a value may be: for
        messages.
    functions : mapping of str to (int, int)
        Fewest and most values of every function.
    names : list of str
        The names that were used.
    """

    what, noun, example = "where", "column", "a comparison such as mag < 9"
    atoms = "a number, a text, a column or '('"
    functions: ClassVar[Mapping[str, tuple[int, int]]] = {}

    def __init__(self, text: str, columns: Collection[str]) -> None:
        if not isinstance(text, str) or not text.strip():
            msg = f"{self.what} {text!r} is empty: give {self.example}"
            raise InputError(msg)
        if len(text) > MAX_LENGTH:
            msg = f"{self.what} has {len(text)} characters: at most {MAX_LENGTH} are allowed"
            raise InputError(msg)
        self.columns = columns
        self.names: list[str] = []
        self.tokens = list(_tokens(text, self.what))
        self.next = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        """The token at hand."""
        return self.tokens[self.next]

    def accept(self, *texts: str) -> Token | None:
        """Step over the next token if it is one of these operators."""
        token = self.token
        if token.kind == "op" and token.text in texts:
            self.next += 1
            return token
        return None

    def fail(self, expected: str) -> InputError:
        """Return the error that the token at hand is not what was expected."""
        token = self.token
        found = repr(token.text) if token.text else "the end"
        hint = _HINTS.get(token.text.lower())
        tail = f"; write {hint!r}" if hint else ""
        place = f"at position {token.at}"
        return InputError(f"{self.what}: expected {expected} {place}, found {found}{tail}")

    def whole(self) -> Node:
        """Parse all of the text."""
        node = self.logic(0)
        if self.token.kind != "end":
            raise self.fail("an operator or the end")
        return self.boolean(node, 1)

    def logic(self, level: int) -> Node:
        """Parse ``|`` (level 0) or ``&`` (level 1) chains."""
        symbol = "|&"[level]
        parse = self.negation if level else lambda: self.logic(1)
        start = self.token.at
        parts = [parse()]
        while self.accept(symbol):
            parts.append(parse())
        if len(parts) == 1:
            return parts[0]
        return Both(symbol, tuple(self.boolean(p, start) for p in parts))

    def boolean(self, node: Node, at: int) -> Node:
        """Return `node` if it can be true or false (a column may turn out to be)."""
        if is_condition(node) or isinstance(node, Name):
            return node
        msg = f"{self.what}: expected a comparison at position {at}, found a value"
        raise InputError(msg)

    def value(self, node: Node, at: int) -> Node:
        """Return `node` if it is a number, a text or a column."""
        if is_condition(node):
            msg = f"where: expected a value at position {at}, found a comparison; join with & or |"
            raise InputError(msg)
        return node

    def deeper(self, parse: Callable[[], Node]) -> Node:
        """Parse one level deeper, at most `MAX_DEPTH` of them."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            msg = f"{self.what} is nested deeper than {MAX_DEPTH} at position {self.token.at}"
            raise InputError(msg)
        node = parse()
        self.depth -= 1
        return node

    def negation(self) -> Node:
        """Parse ``~`` before a condition, or a comparison."""
        at = self.token.at
        if self.accept("~"):
            return Not(self.boolean(self.deeper(self.negation), at + 1))
        return self.comparison()

    def comparison(self) -> Node:
        """Parse sums and what compares them, or one sum; ``a < b < c`` is ``a < b & b < c``."""
        at = self.token.at
        left = self.chain(0)
        found: list[Comparison] = []
        while self.token.kind == "op" and self.token.text in _COMPARISONS:
            token = self.token
            if found and not any({found[-1].symbol, token.text} <= set(c) for c in _CHAINS):
                raise self.fail("& or | (a chain has signs of one direction, as in 5 < x <= 9)")
            self.next += 1
            right_at = self.token.at
            right = self.value(self.chain(0), right_at)
            found.append(Comparison(token.text, self.value(left, at), right, token.at))
            left, at = right, right_at
        if len(found) > 1:
            return Both("&", tuple(found))
        return found[0] if found else left

    def chain(self, level: int) -> Node:
        """Parse sums (level 0) or products (level 1)."""
        symbols = ("+-", "*/")[level]
        parse = self.unary if level else lambda: self.chain(1)
        at = self.token.at
        first = parse()
        rest: list[tuple[str, Node]] = []
        while token := self.accept(*symbols):
            operand_at = self.token.at
            rest.append((token.text, self.value(parse(), operand_at)))
        return Operation(self.value(first, at), tuple(rest), at) if rest else first

    def unary(self) -> Node:
        """Parse a sign before a value, or an atom."""
        token = self.accept("-", "+")
        if token is None:
            return self.atom()
        node = self.value(self.deeper(self.unary), token.at + 1)
        if token.text == "+":
            return node
        if isinstance(node, Constant) and not isinstance(node.value, str):
            return Constant(-node.value, token.at)
        return Negative(node, token.at)

    def atom(self) -> Node:
        """Parse brackets, a function, a number, a text or a name."""
        token, after = self.token, self.tokens[min(self.next + 1, len(self.tokens) - 1)]
        if self.functions and token.kind == "name" and after.text == "(":
            return self.call(token)
        if self.accept("("):
            node = self.deeper(lambda: self.logic(0))
            if not self.accept(")"):
                raise self.fail("')'")
            return node
        if token.kind not in ("number", "text", "name", "quoted"):
            raise self.fail(self.atoms)
        self.next += 1
        return self.leaf(token)

    def call(self, token: Token) -> Node:
        """Parse a function and its values."""
        name = token.text
        if name not in self.functions:
            thing = f"function at position {token.at} of {self.what}"
            raise UnknownNameError(thing, name, self.functions)
        self.next += 2
        args = [self.argument()]
        while self.accept(","):
            args.append(self.argument())
        if not self.accept(")"):
            raise self.fail("',' or ')'")
        least, most = self.functions[name]
        if not least <= len(args) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            values = "value" if wanted == "1" else "values"
            msg = f"{self.what}: {name} at position {token.at} takes {wanted} {values}"
            raise InputError(f"{msg}, not {len(args)}")
        return Call(name, tuple(args), token.at)

    def argument(self) -> Node:
        """Parse a value of a function."""
        at = self.token.at
        return self.value(self.deeper(lambda: self.logic(0)), at)

    def leaf(self, token: Token) -> Node:
        """Return the node of a number, a text or a name."""
        if token.kind == "number":
            return Constant(_number(token.text), token.at)
        if token.kind == "text":
            return Constant(token.text[1:-1], token.at)
        name = token.text.strip("`")
        if name not in self.columns:
            if name.lower() in _HINTS:
                self.next -= 1
                raise self.fail(f"a {self.noun}")
            where = f"{self.noun} at position {token.at} of {self.what}"
            raise UnknownNameError(where, name, self.columns)
        self.names.append(name)
        return Name(name, token.at)


def _tokens(text: str, what: str) -> Iterator[Token]:
    """Yield the tokens of a filter; positions count from 1."""
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            place = len(text) - len(rest) + 1
            hint = _HINTS.get(rest[:1])
            tail = f"; write {hint!r}" if hint else ""
            msg = f"{what}: unexpected {rest[:1]!r} at position {place}{tail}"
            raise InputError(msg)
        kind = match.lastgroup or "end"
        yield Token(kind, match.group(kind), match.start(kind) + 1)
        if kind == "end":
            return
        at = match.end()


def _number(text: str) -> int | float:
    """Return an int where int64 holds it exactly (ids), else a float (beyond range: infinity)."""
    if text.isdecimal() and int(text) < 1 << 63:
        return int(text)
    return float(text)
