"""What a segment of an index is made of, and what its manifest says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from skyshade.atlas.aggregates import parse_aggregates
from skyshade.atlas.index_items import Items
from skyshade.errors import DataError, InputError, UnknownNameError, one_line
from skyshade.index.build import Categories
from skyshade.index.format import Column, Manifest, Segment
from skyshade.index.job import Recipe, stored_schema
from skyshade.index.lattices import plane_grids
from skyshade.index.memory import MAX_CATEGORIES, category_order, category_text
from skyshade.types import DEC, RA, ChunkedTable


def recipe_of(
    tables: Items,
    aggregate: Sequence[str],
    grids: Sequence[str],
    columns: Sequence[str] | None,
    base: Manifest | None,
) -> Recipe:
    """Return what the bytes of a segment follow from.

    Parameters
    ----------
    tables : Items
    aggregate, grids, columns
        As for `index_catalog`.
    base : Manifest or None
        Of the index that is appended to.
    """
    opened = tables.open()
    if base is not None and columns is None:
        columns = [column.name for column in base.columns]
    asked = parse_aggregates(aggregate)
    kept = _kept(opened[0], columns, [state.column for state in asked])
    schema = stored_schema(_common_schema(tables, kept))
    states = ("count", *dict.fromkeys(state.label for state in asked))
    sources = tuple(
        (name, table.version(), len(table))
        for name, table in zip(tables.names, opened, strict=True)
    )
    recipe = Recipe(sources, tuple(kept), schema, states, plane_grids(grids))
    for state in asked:
        _check_type(state.kind, state.column, schema)
    return recipe if base is None else _appended(recipe, base, aggregate, grids)


def _kept(table: ChunkedTable, columns: Sequence[str] | None, asked: Sequence[str]) -> list[str]:
    names = list(table.columns)
    for column in [*(columns or ()), *asked]:
        if column not in names:
            raise UnknownNameError(f"column of {table.name}", column, names)
    wanted = {*columns, *asked} if columns is not None else set(names)
    return [n for n in names if n in wanted]


def _common_schema(tables: Items, columns: Sequence[str]) -> Any:
    """Return the schema that the chunks of all tables can be cast to."""
    import pyarrow as pa  # noqa: PLC0415

    first, *others = tables.open()
    schemas = [first.schema(list(columns))]
    for name, table in zip(tables.names[1:], others, strict=True):
        missing = [c for c in columns if c not in table.columns]
        if missing:
            raise DataError(Path(name).name, f"it lacks column {missing[0]!r} of {first.name}")
        extra = [c for c in table.columns if c not in first.columns]
        if extra:
            raise DataError(Path(name).name, f"it has column {extra[0]!r}, {first.name} has not")
        schemas.append(table.schema(list(columns)))
    try:
        plain = [stored_schema(schema) for schema in schemas]
        return pa.unify_schemas(plain, promote_options="permissive")
    except pa.ArrowException as error:
        cause = f"the tables have different columns: {one_line(error, 200)}"
        raise DataError(first.name, cause) from error


def _check_type(kind: str, column: str, schema: Any) -> None:
    from pyarrow import types  # noqa: PLC0415

    held = schema.field(column).type
    number = types.is_integer(held) or types.is_floating(held) or types.is_boolean(held)
    if kind == "category":
        text = types.is_string(held) or types.is_large_string(held) or types.is_string_view(held)
        if not (number or text):
            msg = f"column {column!r} cannot be counted by category: it holds {held}"
            raise InputError(msg)
    elif kind != "present" and not number:
        msg = f"column {column!r} does not hold numbers (it holds {held})"
        raise InputError(msg)


def _appended(
    recipe: Recipe, base: Manifest, aggregate: Sequence[str], grids: Sequence[str]
) -> Recipe:
    """Return the recipe of a further segment; InputError where it does not fit."""
    if grids and set(recipe.grids) != set(base.grids):
        msg = f"the index has planes of {', '.join(base.grids)}: rows are appended with the same"
        raise InputError(msg)
    if aggregate and set(recipe.states) != set(base.states):
        msg = (
            f"the index keeps {', '.join(base.states)}: rows are appended with the same aggregates"
        )
        raise InputError(msg)
    ours = {f.name: str(f.type) for f in recipe.schema if f.name not in (RA, DEC)}
    theirs = {c.name: c.type for c in base.columns}
    for name in [*theirs, *ours]:
        if ours.get(name) != theirs.get(name):
            said = ours.get(name, "not there"), theirs.get(name, "not there")
            msg = f"column {name!r} is {said[0]} in the new rows and {said[1]} in the index"
            raise InputError(msg)
    held = {item for segment in base.segments for item in segment.origin.items()}
    for name, version, _ in recipe.sources:
        if (name, version) in held:
            msg = f"{one_line(name, 200)} is in the index already"
            raise InputError(msg)
    return replace(recipe, states=base.states, grids=base.grids, threshold=base.threshold)


def known_categories(base: Manifest | None, recipe: Recipe) -> dict[str, list[str]]:
    """Return the names of categories that the index counts by."""
    if base is None:
        return {}
    few = {c.name: c.categories for c in base.columns}
    return {c: list(few[c] or ()) for c in recipe.code_columns}


def manifest_of(
    tables: Items,
    recipe: Recipe,
    made: tuple[Segment, Categories],
    name: str | None,
    base: Manifest | None,
) -> Manifest:
    """Return the manifest of an index with one segment more.

    Parameters
    ----------
    tables, recipe
        What the segment was made from.
    made
        What `build_segment` returned.
    name : str or None
        Title of a new index.
    base : Manifest or None
        Of the index that is appended to.
    """
    (segment, found), table = made, tables.open()[0]
    before = {c.name: c for c in base.columns} if base else {}
    columns = []
    for field in list(recipe.schema)[2:]:
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        few = _few(field.name, found.get(field.name), segment.rows, recipe)
        if field.name in before:
            few = _both(before[field.name].categories, few)
        columns.append(Column(field.name, str(field.type), unit, few))
    if base is not None:
        return replace(base, columns=tuple(columns), segments=(*base.segments, segment))
    return Manifest(
        title=name or table.name,
        columns=tuple(columns),
        states=recipe.states,
        segments=(segment,),
        grids=recipe.grids,
        guess=table.guess,
        frame=table.frame,
        notes=(*table.notes, *tables.notes),
        threshold=recipe.threshold,
    )


def _few(
    column: str, values: Sequence[Any] | None, rows: int, recipe: Recipe
) -> tuple[str, ...] | None:
    """Return the names of a column's values where they are categories, as a user would say."""
    asked = column in recipe.code_columns
    if values is None or not (asked or 1 < len(values) < max(rows, 3)):
        return None
    return tuple(category_text(v) for v in values)


def _both(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the categories of old and new rows; the old ones keep their numbers."""
    if old is None or new is None:
        return None
    both = old + tuple(sorted((n for n in new if n not in old), key=category_order))
    return both if len(both) <= MAX_CATEGORIES else None
