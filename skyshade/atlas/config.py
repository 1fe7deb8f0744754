"""Config files: which files a server opens and which layers it makes of them (TOML).

    title = "My survey"
    boxes = "fields.json"

    [[files]]
    path = "maps/*.fits"          # relative to the config file; patterns are allowed

    [[layers]]
    id = "difference"
    expression = "(a - b) / 2"
    of = { a = "map-090", b = "map-150" }
    vmin = -300
    vmax = 300

A `[[layers]]` table has an `id` and exactly one of `SOURCES`.
"""

from __future__ import annotations

import glob
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skyshade.errors import DataError, InputError, one_line

SOURCES = ("expression", "smooth", "rgb", "polarisation", "layer")
_EXTRAS = {"expression": ("of",), "smooth": ("fwhm",), "polarisation": ("layer", "convention"),
           "layer": ("weight",), "rgb": ()}  # fmt: skip
STYLE = {"cmap": str, "vmin": float, "vmax": float, "stretch": str, "q": float,
         "reverse": bool, "nan": str, "bg": str}  # fmt: skip
_FILE = ("path", "name", "ra", "dec", "all_sky")
_TOP = ("title", "boxes", "files", "layers")
_ID = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,79}")
_TYPES = {str: "a text", float: "a number", bool: "true or false", dict: "a table", list: "a list"}
MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class FileItem:
    """One file to open, and what is said about it; "" is not said.

    Parameters
    ----------
    path : str
        Absolute, or a URI.
    name, ra, dec, all_sky : str
    """

    path: str
    name: str = ""
    ra: str = ""
    dec: str = ""
    all_sky: str = ""


@dataclass(frozen=True, slots=True)
class LayerItem:
    """One layer to make of others.

    Parameters
    ----------
    where : str
        The table, for messages.
    id, title : str
    source : str
        One of `SOURCES`.
    values : mapping
        The source's key and those that go with it, checked for their types.
    style : mapping
        Fields of `Style` that differ from the default.
    """

    where: str
    id: str
    title: str
    source: str
    values: Mapping[str, Any] = field(default_factory=dict)
    style: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """A table that cannot be used: the id of its rejected entry, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Config:
    """A config file, read.

    Parameters
    ----------
    name : str
        File name, for messages.
    title : str
    boxes : str
        Path of a JSON file of highlight boxes, or "".
    files : tuple of FileItem
    layers : tuple of LayerItem
    problems : tuple of Problem
        Tables that are not among these.
    """

    name: str
    title: str = ""
    boxes: str = ""
    files: tuple[FileItem, ...] = ()
    layers: tuple[LayerItem, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_config(path: str | Path) -> Config:
    """Read a config file; opens none of the files that it names.

    Raises
    ------
    DataError
        The file cannot be read, is no TOML, or its top level is wrong; what is wrong in a single
        table is one of the `problems` instead.
    """
    path = Path(path)
    top = _Table(path.name, "top level", _parsed(path))
    try:
        top.only(_TOP)
        boxes = top.get("boxes", str)
        lists = {name: top.tables(name) for name in ("files", "layers")}
        title = top.get("title", str)
    except InputError as error:
        raise DataError(path.name, str(error).removeprefix(f"{path.name}, ")) from None
    files: list[FileItem] = []
    layers: list[LayerItem] = []
    problems: list[Problem] = []
    for name, tables in lists.items():
        for n, values in enumerate(tables, 1):
            table = _Table(path.name, f"[[{name}]] {n}", values)
            try:
                if name == "files":
                    files += _files(table, path.absolute().parent)
                else:
                    layers.append(_layer(table))
            except InputError as error:
                problems.append(Problem(_problem_id(path, name, n, values), one_line(error)))
    place = str(path.absolute().parent / boxes) if boxes else ""
    return Config(path.name, title, place, tuple(files), tuple(layers), tuple(problems))


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            head = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(path.name, f"cannot be read: {error.strerror or error}") from None
    if len(head) > MAX_BYTES:
        raise DataError(path.name, f"more than {MAX_BYTES} bytes: no config file is so large")
    try:
        return tomllib.loads(head.decode())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise DataError(path.name, f"is not TOML: {error}") from None


class _Table:
    """One table of the file: reads keys, and names file, table, key and value in every error."""

    def __init__(self, file: str, name: str, values: Mapping[str, Any]) -> None:
        self.where, self.values = f"{file}, {name}", values

    def error(self, key: str, value: object, allowed: str) -> InputError:
        given = one_line(repr(value), 80)
        return InputError(f"{self.where}: {key} = {given} is not allowed: {allowed}")

    def only(self, known: Sequence[str]) -> None:
        for key, value in self.values.items():
            if key not in known:
                raise self.error(key, value, f"keys are {', '.join(known)}")

    def get(self, key: str, kind: type, default: Any = "") -> Any:
        """Return the value of a key, checked; `default` where the key is not given."""
        if key not in self.values:
            return default
        value = self.values[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        finite = not isinstance(value, float) or math.isfinite(value)
        if not isinstance(value, kind) or not finite:
            raise self.error(key, value, f"give {_TYPES[kind]}")
        return value

    def need(self, key: str, kind: type) -> Any:
        """Return the value of a key that must be there."""
        if self.values.get(key, "") == "":
            msg = f"{self.where}: {key} is missing: give {_TYPES[kind]}"
            raise InputError(msg)
        return self.get(key, kind)

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        found = self.get(key, list, [])
        for value in found:
            if not isinstance(value, dict):
                raise self.error(key, value, f"write tables headed [[{key}]]")
        return found  # type: ignore[no-any-return]


def _files(table: _Table, folder: Path) -> list[FileItem]:
    """Return the files of a table: one, or all that match its pattern."""
    table.only(_FILE)
    said = {key: table.get(key, str) for key in _FILE[1:]}
    path = table.need("path", str)
    if "://" in path:
        return [FileItem(path, **said)]
    place = folder / Path(path).expanduser()
    if place.exists() or not glob.has_magic(path):
        return [FileItem(str(place), **said)]
    found = sorted(glob.glob(str(place), recursive=True))  # noqa: PTH207 (absolute patterns too)
    if not found:
        raise table.error("path", path, "no file matches")
    if said["name"] and len(found) > 1:
        raise table.error("name", said["name"], f"{len(found)} files match path: names are for one")
    return [FileItem(name, **said) for name in found]


def _layer(table: _Table) -> LayerItem:
    name = table.need("id", str)
    if not _ID.fullmatch(name):
        raise table.error("id", name, "use at most 80 of a-z, 0-9, _, - and ., letters first")
    table.where += f" ({name})"
    source = _source(table)
    table.only(("id", "title", source, *_EXTRAS[source], *STYLE))
    values = dict(_CHECKS[source](table))
    style = {key: table.get(key, kind) for key, kind in STYLE.items() if key in table.values}
    return LayerItem(table.where, name, table.get("title", str), source, values, style)


def _source(table: _Table) -> str:
    """Return the one key that says what the layer is."""
    given = [key for key in SOURCES if key in table.values]
    if given == ["polarisation", "layer"]:  # which says of what
        return "polarisation"
    if len(given) != 1:
        have = " and ".join(given) or "none of them"
        msg = f"{table.where}: one of {', '.join(SOURCES)} says what the layer is: it has {have}"
        raise InputError(msg)
    return given[0]


def _expression(table: _Table) -> dict[str, Any]:
    of = table.get("of", dict, {})
    for key, value in of.items():
        if not isinstance(value, str):
            raise table.error(f"of.{key}", value, "give the id of a layer")
    return {"expression": table.need("expression", str), "of": of}


def _smooth(table: _Table) -> dict[str, Any]:
    return {"smooth": table.need("smooth", str), "fwhm": table.need("fwhm", float)}


def _rgb(table: _Table) -> dict[str, Any]:
    found = table.need("rgb", list)
    if len(found) != 3 or not all(isinstance(name, str) for name in found):
        raise table.error("rgb", found, "give the ids of three layers: red, green, blue")
    return {"rgb": found}


def _polarisation(table: _Table) -> dict[str, Any]:
    return {
        "polarisation": table.need("polarisation", str),
        "layer": table.need("layer", str),
        "convention": table.get("convention", str) or None,
    }


def _plain(table: _Table) -> dict[str, Any]:
    return {"layer": table.need("layer", str), "weight": table.get("weight", str)}


_CHECKS = {
    "expression": _expression,
    "smooth": _smooth,
    "rgb": _rgb,
    "polarisation": _polarisation,
    "layer": _plain,
}


def _problem_id(path: Path, name: str, n: int, values: Mapping[str, Any]) -> str:
    """Return an id for the entry of a bad table: its own if it has one."""
    given = values.get("id")
    if isinstance(given, str) and _ID.fullmatch(given):
        return given
    stem = re.sub(r"[^a-z0-9_]+", "-", path.stem.lower()).strip("-") or "config"
    return f"{stem}-{name}-{n}"
