"""Query parameters of tiles: read once into frozen values, unknown ones refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from skyshade.errors import InputError, UnknownNameError
from skyshade.shaders.categories import parse_key
from skyshade.types import COLOUR_STRETCHES, STRETCHES, Layer, Style

MAX_TEXT = 1000
MAX_QUERY = 8192
_STRETCHES = tuple(dict.fromkeys((*STRETCHES, *COLOUR_STRETCHES)))
_COLOUR = re.compile(r"#?([0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
DETAILS = ("auto", "points", "numbers")
SHAPES = ("circle", "square", "cross", "diamond")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Choice:
    """What changes the numbers; each field is a query parameter.

    Parameters
    ----------
    agg, col, where, plane, time : str or None
        What is selected; see `Layer.select`.
    detail, size, color, shape, spread : str or None
        How rows of a catalogue are drawn; see `CatalogLayer.points` and `CatalogLayer.spread`.
    """

    agg: str | None = None
    col: str | None = None
    where: str | None = None
    plane: str | None = None
    time: str | None = None
    detail: str | None = None
    size: str | None = None
    color: str | None = None
    shape: str | None = None
    spread: str | None = None

    def apply(self, layer: Layer) -> Layer:
        """Return the selected layer; `layer` itself when nothing is chosen."""
        if self == _NOTHING:
            return layer
        chosen = (self.agg, self.col, self.where, self.plane, self.time)
        if chosen != (None,) * 5:
            layer = layer.select(
                reduction=self.agg,
                column=self.col,
                where=self.where,
                plane=self.plane,
                time=self.time,
            )
        return self._drawn(layer)

    def _drawn(self, layer: Layer) -> Layer:
        """Return the layer with its rows drawn as asked for."""
        marks = {"size": self.size, "color": self.color}
        given = [name for name, value in marks.items() if value is not None]
        if self.spread is not None:
            if given or self.detail in ("auto", "points"):
                msg = (
                    f"spread={self.spread} and {given[0] if given else 'detail'} exclude each other"
                )
                raise InputError(msg)
            px = int(self.spread) if self.spread.isdecimal() else self.spread
            return _catalogue(layer, "spread").spread(px, self.shape or "circle")
        if self.detail == "numbers" or not (given or self.shape or self.detail):
            return layer
        drawn = _catalogue(layer, "detail" if self.detail else (*given, "shape")[0])
        return drawn.points(**marks, shape=self.shape or "circle", detail=self.detail or "points")


@runtime_checkable
class Drawable(Protocol):
    """A layer whose rows can be drawn one by one (catalogues)."""

    def points(self, *, size: Any, color: Any, shape: str, detail: str) -> Layer:
        """Return the layer of the rows."""
        ...

    def spread(self, px: int | str, shape: str) -> Layer:
        """Return the layer spread over neighbouring pixels."""
        ...


def _catalogue(layer: Layer, what: str) -> Drawable:
    if not isinstance(layer, Drawable):
        msg = f"{what} is not allowed: layer {layer.info.id!r} is no catalogue"
        raise InputError(msg)
    return layer


_NOTHING = Choice()


@dataclass(frozen=True, slots=True)
class TileParams:
    """Everything that a tile URL may ask for after its ``?``.

    Parameters
    ----------
    style : tuple of (str, value)
        The style fields that were given; `styled` lays them over the layer's own style.
    choice : Choice
    v : str
        Version that the client believes in, "" when it does not say.
    """

    style: tuple[tuple[str, Any], ...] = ()
    choice: Choice = _NOTHING
    v: str = ""

    def styled(self, base: Style) -> Style:
        """Return `base` with the given fields replaced.

        A given stretch or range wins over what the layer prefers; the rest stays.
        """
        style = replace(base, **dict(self.style))
        if style.vmin is not None and style.vmax is not None and style.vmin >= style.vmax:
            msg = f"vmin={style.vmin:g} is not below vmax={style.vmax:g}"
            raise InputError(msg)
        return style


class Parameter(NamedTuple):
    """One documented query parameter."""

    name: str
    parse: Callable[[str, str], Any]
    schema: Mapping[str, Any]
    about: str


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"{name}={text[:80]!r} is not allowed: give a finite number"
        raise InputError(msg)
    return value


def _flag(name: str, text: str) -> bool:
    low = text.lower()
    if low not in (*_TRUE, *_FALSE):
        msg = f"{name}={text[:80]!r} is not allowed: give true or false"
        raise InputError(msg)
    return low in _TRUE


def _colour(name: str, text: str) -> str | None:
    if text in ("none", "transparent"):
        return None
    found = _COLOUR.fullmatch(text)
    if found is None:
        msg = f"{name}={text[:80]!r} is not allowed: give #rrggbb, #rrggbbaa or none"
        raise InputError(msg)
    digits = found[1].lower()
    return "#" + ("".join(c * 2 for c in digits) if len(digits) == 3 else digits)


def _key(name: str, text: str) -> str | None:
    found = _text(name, text)
    if found is not None:
        parse_key(found)
    return found


def _stretch(name: str, text: str) -> str:
    if text not in _STRETCHES:
        raise UnknownNameError(name, text[:80], _STRETCHES)
    return text


def _detail(name: str, text: str) -> str:
    if text not in DETAILS:
        raise UnknownNameError(name, text[:80], DETAILS)
    return text


def _shape(name: str, text: str) -> str:
    if text not in SHAPES:
        raise UnknownNameError(name, text[:80], SHAPES)
    return text


def _spread(name: str, text: str) -> str:
    if text != "auto" and not (text.isdecimal() and len(text) < 3):
        msg = f"{name}={text[:80]!r} is not allowed: give auto or a number of pixels"
        raise InputError(msg)
    return text


def _text(name: str, text: str) -> str | None:
    if len(text) > MAX_TEXT or not text.isprintable():
        msg = f"{name} is not allowed: give at most {MAX_TEXT} printable characters"
        raise InputError(msg)
    return text or None


def _name(name: str, text: str) -> str:
    found = _text(name, text)
    if found is None:
        msg = f"{name}='' is not allowed: give a name or leave the parameter out"
        raise InputError(msg)
    return found


def _version(name: str, text: str) -> str:
    return _text(name, text) or ""


_TEXT: Mapping[str, Any] = {"type": "string"}
_NUMBER: Mapping[str, Any] = {"type": "number"}
STYLE = (
    Parameter("cmap", _name, _TEXT, "Colour map; /api/colormaps lists them"),
    Parameter("vmin", _number, _NUMBER, "Value of the first colour, in the layer's units"),
    Parameter("vmax", _number, _NUMBER, "Value of the last colour, in the layer's units"),
    Parameter("stretch", _stretch, {"type": "string", "enum": list(_STRETCHES)}, "Norm"),
    Parameter("q", _number, _NUMBER, "Softening of lupton, the stretch of colour layers"),
    Parameter("reverse", _flag, {"type": "boolean"}, "Turn the colour map round"),
    Parameter("colors", _key, _TEXT, "Colours of classes, e.g. star:#ff0,galaxy:#0af"),
    Parameter("nan", _colour, _TEXT, "Colour of missing values, #rrggbb, #rrggbbaa or none"),
    Parameter("bg", _colour, _TEXT, "Colour behind the tile, #rrggbb, #rrggbbaa or none"),
)
CHOICE = (
    Parameter(
        "agg",
        _text,
        _TEXT,
        "Reduction; of maps: mean, std, max, min, absmax, nearest; "
        "of catalogues: density, count, sum, mean, min, max, std, ...",
    ),
    Parameter("col", _text, _TEXT, "Column of a catalogue"),
    Parameter(
        "where",
        _text,
        _TEXT,
        "Rows of a catalogue, e.g. `vt < 9 & bt - vt > 1`, `5 < vt < 9`, "
        "`type in ('star', 'qso') | isnull(type)`; & | ~ + - * / abs sqrt log10 sin cos (degrees)",
    ),
    Parameter("plane", _text, _TEXT, "Plane of a map, e.g. Q"),
    Parameter("time", _text, _TEXT, "Time, for layers that have several"),
)
MARKS = (  # of tiles of catalogues
    Parameter(
        "detail",
        _detail,
        {"type": "string", "enum": list(DETAILS)},
        "Rows of a catalogue drawn one by one: where they are few (auto), always, or never",
    ),
    Parameter("size", _name, _TEXT, "Column that sizes rows (magnitudes), or a radius in pixels"),
    Parameter("color", _name, _TEXT, "What colours rows: a column, or e.g. `bt - vt`"),
    Parameter("shape", _shape, {"type": "string", "enum": list(SHAPES)}, "Of drawn rows"),
    Parameter("spread", _spread, _TEXT, "Pixels that numbers are spread to each side, or auto"),
)
VERSION = Parameter("v", _version, _TEXT, "The layer's version; makes the tile immutable")
TILE = (*STYLE, *CHOICE, *MARKS, VERSION)


def parse(query: bytes | str, allowed: Sequence[Parameter] = TILE) -> TileParams:
    """Return the parameters of a raw query string.

    Raises
    ------
    InputError
        When a parameter is unknown, given twice or not allowed; the message names it.
    """
    values = parse_values(query, allowed)
    style = [p.name for p in allowed if p in STYLE and p.name in values]
    choice = [p.name for p in allowed if p in (*CHOICE, *MARKS) and p.name in values]
    return TileParams(
        style=tuple((name, values[name]) for name in style),
        choice=Choice(**{name: values[name] for name in choice}),
        v=values.get("v", ""),
    )


def parse_values(query: bytes | str, allowed: Sequence[Parameter]) -> dict[str, Any]:
    """Return parsed values by name, in the order of `allowed`; see `parse`."""
    found: dict[str, Any] = {}
    known = {p.name: p for p in allowed}
    for name, text in pairs(query):
        if name not in known:
            raise UnknownNameError("parameter", name[:80], known)
        if name in found:
            msg = f"parameter {name!r} is given twice; give it once"
            raise InputError(msg)
        found[name] = known[name].parse(name, text)
    return {name: found[name] for name in known if name in found}


def pairs(query: bytes | str) -> Iterable[tuple[str, str]]:
    """Return (name, text) pairs of a raw query string; raise InputError when it is no such."""
    text = query.decode("latin-1") if isinstance(query, bytes) else query
    if len(text) > MAX_QUERY:
        msg = f"a query of {len(text)} characters is not allowed: at most {MAX_QUERY}"
        raise InputError(msg)
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError:
        msg = f"the query {text[:80]!r} cannot be read: give name=value pairs in UTF-8"
        raise InputError(msg) from None


@lru_cache(maxsize=1024)
def parse_tile(query: bytes) -> TileParams:
    """Return `parse` of a tile's query, remembered."""
    return parse(query)
