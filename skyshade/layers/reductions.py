"""Reductions of a catalogue, named by text or by datashader's objects (never imported for that)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from skyshade.errors import InputError, UnknownNameError

WITHOUT_COLUMN = ("density", "count")
OF_VALUES = ("sum", "mean", "min", "max", "std")
NAMES = (*WITHOUT_COLUMN, *OF_VALUES, "count_cat")
CANVAS = "canvas"


@dataclass(frozen=True, slots=True)
class Reduction:
    """What is computed in a pixel.

    Parameters
    ----------
    name : str
        One of `NAMES`, or "canvas": anything else that datashader can reduce.
    column : str
        Its column; "" for density and for the number of rows.
    columns : tuple of str
        Every column that is read.
    canvas : object
        datashader's reduction for "canvas", else None.
    label : str
        Text that names the reduction in versions and for people.
    """

    name: str
    column: str = ""
    columns: tuple[str, ...] = ()
    canvas: object = None
    label: str = ""


DENSITY = Reduction("density", label="density")


def reduction_of(
    given: object, column: str | None, columns: Collection[str], current: Reduction = DENSITY
) -> Reduction:
    """Return the reduction that a user asked for.

    Parameters
    ----------
    given : str or datashader reduction or None
        ``"count"``, ``"mean"`` with `column`, ``"mean:vt"``, ``ds.mean("vt")``; None keeps the
        current one, or takes the mean when a column is named beside density or count.
    column : str, optional
        The column, unless `given` names it.
    columns : collection of str
        The table's columns.
    current : Reduction
        What is selected now; its column is kept when only the name of the reduction changes.

    Raises
    ------
    UnknownNameError
        When the reduction or the column is not known.
    InputError
        When a column is missing or given twice.
    """
    if given is None:
        return _with_column(current, column, columns)
    if not isinstance(given, str):
        return _from_datashader(given, column, columns)
    name, colon, named = given.strip().partition(":")
    if name not in NAMES:
        raise UnknownNameError("reduction", name, NAMES)
    if colon and column is not None and column != named:
        msg = f"reduction {given!r} names column {named!r}, but column is {column!r}: give one"
        raise InputError(msg)
    wanted = named if colon else column
    if wanted is None and name in (*OF_VALUES, "count_cat"):
        wanted = current.column or None
    return _named(name, wanted, columns)


def _with_column(current: Reduction, column: str | None, columns: Collection[str]) -> Reduction:
    if column is None:
        return current
    if current.name in (*WITHOUT_COLUMN, CANVAS):
        return _named("mean", column, columns)
    return _named(current.name, column, columns)


def _named(name: str, column: str | None, columns: Collection[str]) -> Reduction:
    """Return one of our own reductions after checking its column."""
    if name == "density" and column:
        msg = f"reduction 'density' takes no column, but column is {column!r}"
        raise InputError(msg)
    if not column:
        if name in WITHOUT_COLUMN:
            return Reduction(name, label=name)
        msg = f"reduction {name!r} needs a column, e.g. {name}:{next(iter(columns), 'mag')}"
        raise InputError(msg)
    _check_columns((column,), columns)
    return Reduction(name, column, (column,), label=f"{name}({column})")


def _check_columns(wanted: Collection[str], columns: Collection[str]) -> None:
    for name in wanted:
        if name not in columns:
            raise UnknownNameError("column", name, columns)


def _from_datashader(given: object, column: str | None, columns: Collection[str]) -> Reduction:
    """Return our own reduction for those we know, else one that goes through a Canvas."""
    if not is_datashader(given):
        raise UnknownNameError("reduction", given, (*NAMES, "a datashader reduction"))
    if column is not None:
        msg = f"a datashader reduction names its own column, but column is {column!r}"
        raise InputError(msg)
    name = type(given).__name__
    own = getattr(given, "column", None)
    if name in NAMES and name != "density" and (own is None or isinstance(own, str)):
        return _named(name, own, columns)
    if name in ("summary", "Reduction"):
        msg = f"datashader's {name!r} has no single result: select one reduction"
        raise InputError(msg)
    used = tuple(dict.fromkeys(_columns_of(given)))
    _check_columns(used, columns)
    return Reduction(CANVAS, used[0] if used else "", used, given, _label(given))


def is_datashader(given: object) -> bool:
    """Return whether an object is one of datashader's reductions, by where its class lives."""
    return any(
        kind.__module__.startswith("datashader.") and kind.__name__ in ("Reduction", "summary")
        for kind in type(given).__mro__
    )


def _columns_of(given: object) -> Iterator[str]:
    """Yield the columns of a datashader reduction and of those inside it."""
    for name in ("column", "cat_column", "lookup_column"):
        value = getattr(given, name, None)
        if isinstance(value, str):
            yield value
    yield from (c for c in getattr(given, "columns", ()) if isinstance(c, str))
    for name in ("reduction", "selector"):
        inner = getattr(given, name, None)
        if inner is not None:
            yield from _columns_of(inner)


def _label(given: object) -> str:
    """Return a name that is the same in every process, e.g. ``"by(type, mean(vt))"``."""
    parts = [str(c) for c in (getattr(given, "column", None),) if isinstance(c, str)]
    parts += [
        _label(inner)
        for inner in (getattr(given, "reduction", None), getattr(given, "selector", None))
        if inner is not None
    ]
    extra = {k: v for k, v in vars(given).items() if isinstance(v, int) and k != "self_intersect"}
    parts += [f"{key}={value}" for key, value in sorted(extra.items())]
    return f"{type(given).__name__}({', '.join(parts)})"


def describe(reduction: Reduction, units: Mapping[str, str]) -> tuple[str, str]:
    """Return (quantity, units) of a reduction.

    Units are the column's where the reduction keeps them, else "" (not known).
    """
    if reduction.name == "density":
        return "surface density", "1 / deg2"
    if reduction.name == "count":
        what = f"number of rows with {reduction.column}" if reduction.column else "number of rows"
        return what, ""
    if reduction.name == "count_cat":
        return f"number of rows by {reduction.column}", ""
    if reduction.canvas is not None:
        return reduction.label, ""
    return f"{reduction.name} of {reduction.column}", units.get(reduction.column, "")
