"""Combination layers: arithmetic with maps, computed when a window is asked for.

A combination of maps is a map: its reader evaluates an expression on boxes of base pixels, so
overviews, cutouts, apertures and statistics follow by themselves.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, TypeAlias, TypeVar

import numpy as np

from skyshade.errors import ChangedError, InputError, one_line
from skyshade.layers.derived import restyled
from skyshade.layers.expression import parse_expression
from skyshade.layers.pixels_alike import check_alike
from skyshade.layers.polarisation import PolarisationLayer, stokes_of
from skyshade.layers.program import (
    LEAF,
    MASKS,
    NUMBER,
    Program,
    Step,
    check_length,
    evaluate,
    text_of,
    units_of,
)
from skyshade.layers.smooth import SmoothedLayer
from skyshade.types import AnyArray, IntArray, LayerInfo, SphereImage, Style

Combinable = TypeVar("Combinable", bound="Algebra")
Operand: TypeAlias = "Algebra | float"
_WORDS = {
    "+": "plus", "-": "minus", "*": "times", "/": "over", "<": "below", ">": "above",
    "<=": "to", ">=": "from", "&": "and", "|": "or", "negative": "minus",
}  # fmt: skip
_KEPT = ("negative", "where", "+", "-", "*", "/")  # do not change what a pixel weighs
_TRIES = 3


@dataclass(frozen=True, eq=False)
class Leaf:
    """A layer in an expression, with the reader of its pixels."""

    layer: Any
    reader: Any


class CombinedReader:
    """A `PixelReader` (or, of HEALPix maps, a `SphereReader`) of an expression; keeps no pixel.

    Parameters
    ----------
    program : Program
    leaves : sequence of Leaf
        Whose readers have one geometry.
    """

    shape: tuple[int, int]
    nside: int
    nested: bool

    def __init__(self, program: Program, leaves: Sequence[Leaf]) -> None:
        self.program, self.leaves = program, tuple(leaves)
        first = self.leaves[0].reader
        wide = any(leaf.reader.dtype == np.float64 for leaf in self.leaves)
        self.dtype: np.dtype[Any] = np.dtype(np.float64 if wide else np.float32)
        for name in ("shape", "nside", "nested", "listed"):
            if hasattr(first, name):
                setattr(self, name, getattr(first, name))
        self._text = text_of(program, [f"`{i}`" for i in range(len(self.leaves))])
        self._last: tuple[tuple[str, ...], str] = ((), "")

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers that the expression is made of."""
        return tuple(leaf.layer for leaf in self.leaves)

    def version(self) -> str:
        """Return a text that changes with the expression and with the pixels of any part."""
        parts = self._parts()
        last = self._last  # one assignment, so threads see a pair that belongs together
        if last[0] != parts or not last[1]:
            text = "|".join((self._text, *parts))
            last = self._last = parts, blake2b(text.encode(), digest_size=8).hexdigest()
        return last[1]

    def read(self, *box: int) -> AnyArray:
        """Return the expression on a box, as the parts' readers take one.

        Raises
        ------
        ChangedError
            A part kept changing while it was read.
        """
        return self._read(lambda reader: reader.read(*box))

    def read_runs(self, runs: IntArray) -> AnyArray:
        """Return the expression on runs of the pixels of HEALPix maps, as `read`."""
        return self._read(lambda reader: reader.read_runs(runs))

    def _read(self, read: Callable[[Any], AnyArray]) -> AnyArray:
        for _ in range(_TRIES):
            before = self._parts()
            made = evaluate(self.program, lambda i: read(self.leaves[i].reader))
            if self._parts() == before:
                return made.astype(self.dtype, copy=False)
        raise ChangedError(self._text, "the maps that it is made of keep changing")

    def _parts(self) -> tuple[str, ...]:
        return tuple(leaf.reader.version() for leaf in self.leaves)


class Algebra:
    """What maps can be combined to, lazily; a class inherits it.

    Operands are maps on the same pixels and finite numbers: ``a + b``, ``a - b``, ``a * b``,
    ``a / b`` (nothing where `b` is 0), ``-a``, ``abs(a)``; comparisons ``< <= > >=`` give masks of
    1 and 0, joined by ``&``, ``|`` and turned round by ``~`` (write brackets around comparisons;
    ``a == b`` compares the layers, not their pixels). What is missing in an operand is missing in
    the result. Units are texts: see `skyshade.layers.program.units_of`.
    """

    __array_ufunc__ = None  # numpy's numbers leave arithmetic to us
    info: LayerInfo
    image: Any

    def __add__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "+", self, other)

    def __radd__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "+", other, self)

    def __sub__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "-", self, other)

    def __rsub__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "-", other, self)

    def __mul__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "*", self, other)

    def __rmul__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "*", other, self)

    def __truediv__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "/", self, other)

    def __rtruediv__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "/", other, self)

    def __lt__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "<", self, other)

    def __le__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "<=", self, other)

    def __gt__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, ">", self, other)

    def __ge__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, ">=", self, other)

    def __and__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "&", self, other)

    def __or__(self: Combinable, other: Operand) -> Combinable:
        return _binary(self, "|", self, other)

    def __neg__(self: Combinable) -> Combinable:
        return apply(self, "negative", self)

    def __invert__(self: Combinable) -> Combinable:
        return apply(self, "not", self)

    def __abs__(self: Combinable) -> Combinable:
        return apply(self, "abs", self)

    def where(self: Combinable, mask: Operand) -> Combinable:
        """Return the map where `mask` is neither 0 nor missing; nothing elsewhere."""
        return apply(self, "where", self, mask)

    def named(
        self: Combinable, id: str, title: str = "", *, style: Style | None = None
    ) -> Combinable:
        """Return the same layer with another id, title ("" keeps it) and default style."""
        return restyled(self, id=id, title=title, style=style)

    def smooth(self, fwhm: float, *, id: str = "") -> SmoothedLayer:
        """Return the layer smoothed by a Gaussian of `fwhm` degrees; see `SmoothedLayer`."""
        return SmoothedLayer(self, fwhm, id=id)  # type: ignore[arg-type]

    def polarisation(
        self, kind: str = "intensity", *, id: str = "", convention: str | None = None
    ) -> PolarisationLayer:
        """Return polarised ``"intensity"`` or ``"angle"`` of a map that has planes Q and U.

        Raises
        ------
        InputError
            It has no such planes, or `kind` or `convention` is not allowed.
        """
        q, u = stokes_of(self)
        return PolarisationLayer(q, u, kind, id=id, convention=convention)

    @property
    def parts(self) -> tuple[Any, ...]:
        """The layers that a combination is made of; who may see it may see them."""
        found: tuple[Any, ...] = getattr(self.image.reader, "layers", ())
        return found


def minimum(first: Combinable, *others: Operand) -> Combinable:
    """Return the smallest of several maps (and numbers) at every pixel."""
    return apply(first, "min", first, *others)


def maximum(first: Combinable, *others: Operand) -> Combinable:
    """Return the largest of several maps (and numbers) at every pixel."""
    return apply(first, "max", first, *others)


def mean(first: Combinable, *others: Operand) -> Combinable:
    """Return the mean of several maps (and numbers) at every pixel."""
    return apply(first, "mean", first, *others)


def combine(
    expression: str, layers: Mapping[str, Combinable], *, id: str = "", title: str = ""
) -> Combinable:
    """Return the combination that a text describes.

    Parameters
    ----------
    expression : str
        E.g. ``"(a - b) / 2"``; see `skyshade.layers.expression`.
    layers : mapping of str to layer
        Maps on the same pixels by their names in the expression.
    id, title : str, optional
        "" makes them from the expression.

    Raises
    ------
    InputError
        The expression is not allowed, or the maps do not lie on the same pixels.
    UnknownNameError
        It uses a name that `layers` does not have.
    """
    program, used = parse_expression(expression, layers)
    chosen = [layers[name] for name in used]
    made = _combination(type(chosen[0]), program, chosen, id or _short(expression))
    return restyled(made, id=made.info.id, title=title) if title else made


def apply(like: Combinable, op: str, *operands: Operand) -> Combinable:
    """Return the combination of operands by one operation of `skyshade.layers.program`.

    `like` is any map among the operands.
    """
    program: list[Step] = []
    layers: list[Any] = []
    for operand in operands:
        if isinstance(operand, Algebra):
            program.append(Step(LEAF, len(layers)))
            layers.append(operand)
        else:
            program.append(Step(NUMBER, value=_number(op, operand)))
    program.append(Step(op, len(operands)))
    return _combination(type(like), tuple(program), layers, _id_of(op, operands))


def _binary(like: Combinable, op: str, first: Operand, second: Operand) -> Combinable:
    for operand in (first, second):
        if not isinstance(operand, Algebra | numbers.Real) or isinstance(operand, bool):
            return NotImplemented  # type: ignore[no-any-return]
    return apply(like, op, first, second)


def _number(op: str, value: Any) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not math.isfinite(value):
        msg = f"operand {one_line(value, 80)} of {op!r} is not allowed: give a map or a number"
        raise InputError(msg)
    return float(value)


def _combination(
    kind: Callable[..., Combinable], program: Program, layers: Sequence[Any], id: str
) -> Combinable:
    """Return the layer of a program over layers; combinations among these are taken apart."""
    first = layers[0]
    for other in layers[1:]:
        check_alike(first, other)
    whole, leaves = _spliced(program, layers)
    check_length(whole)
    reader = CombinedReader(whole, leaves)
    own = [leaf.layer for leaf in leaves]
    image = replace(
        first.image,
        reader=reader,
        name=id,
        hdu="",
        plane="",
        plane_axis="",
        units=one_line(units_of(whole, [layer.info.units for layer in own])),
        title=one_line(text_of(whole, [layer.info.title for layer in own])),
        integer=_stays_integer(program, layers),
        attrs=_common([layer.image.attrs for layer in own]),
        notes=(),
        **_weight(program, layers),
    )
    return kind([image], id=id)


def _spliced(program: Program, layers: Sequence[Any]) -> tuple[Program, list[Leaf]]:
    """Put the programs of combinations into `program`; a reader used twice is one leaf."""
    leaves: dict[int, tuple[int, Leaf]] = {}

    def place(leaf: Leaf) -> int:
        return leaves.setdefault(id(leaf.reader), (len(leaves), leaf))[0]

    steps: list[Step] = []
    for step in program:
        if step.op != LEAF:
            steps.append(step)
            continue
        layer = layers[step.n]
        reader = layer.image.reader
        if isinstance(reader, CombinedReader):
            at = [place(leaf) for leaf in reader.leaves]
            steps += [Step(LEAF, at[s.n]) if s.op == LEAF else s for s in reader.program]
        else:
            steps.append(Step(LEAF, place(Leaf(layer, reader))))
        check_length(steps)
    return tuple(steps), [leaf for _, leaf in leaves.values()]


def _stays_integer(program: Program, layers: Sequence[Any]) -> bool:
    """Return whether the result must not be interpolated: masks, and masked whole numbers."""
    last = program[-1].op
    return last in MASKS or (last == "where" and bool(layers[0].image.integer))


def _weight(program: Program, layers: Sequence[Any]) -> dict[str, Any]:
    """Keep the weights of the one map that is only scaled, shifted or masked."""
    image = layers[0].image
    if isinstance(image, SphereImage):
        return {}
    simple = all(step.op in (*_KEPT, LEAF, NUMBER) for step in program)
    alone = len({step.n for step in program if step.op == LEAF}) == 1 or (
        program[-1].op == "where" and len(program) == 3
    )
    return {"weight": image.weight if simple and alone else None}


def _common(attrs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all parts say alike."""
    first = attrs[0]
    return {k: v for k, v in first.items() if all(k in a and a[k] == v for a in attrs)}


def _id_of(op: str, operands: Sequence[Any]) -> str:
    word = _WORDS.get(op, op)
    names = [o.info.id if isinstance(o, Algebra) else f"{float(o):g}" for o in operands]
    infix = len(names) == 2 and op in _WORDS
    return _short(f"{names[0]}-{word}-{names[1]}" if infix else "-".join([word, *names]))


def _short(text: str) -> str:
    """Return a text as an id: lower case, no signs, at most 60 characters."""
    plain = "".join(c if c.isalnum() or c in "._" else "-" for c in text.lower())
    joined = "-".join(part for part in plain.split("-") if part) or "combination"
    if len(joined) <= 60:
        return joined
    return f"{joined[:51].rstrip('-')}-{blake2b(text.encode(), digest_size=4).hexdigest()}"
