"""First pass: every chunk of the tables becomes a run, rows sorted by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skyshade.errors import ChangedError
from skyshade.geometry.keys import keys_of
from skyshade.index.job import Job
from skyshade.index.lattices import Lattice
from skyshade.index.memory import MAX_CATEGORIES, category_order
from skyshade.index.pools import checkpoint
from skyshade.types import DEC, RA, IntArray

_PROBE = 4096  # rows that tell most columns with many values


class RunUnit(NamedTuple):
    """A chunk of one of the tables."""

    number: int
    table: int
    start: int
    stop: int


@dataclass(frozen=True)
class Run:
    """What is known of a run.

    Parameters
    ----------
    rows, invalid : int
        Rows with and without a valid position.
    shown : list of int
        How many of the rows every lattice shows.
    size : int
        Bytes of the rows in memory.
    categories : mapping of str to list, optional
        Values of the columns that may be categories; None for one with too many.
    """

    rows: int
    invalid: int
    shown: list[int]
    size: int
    categories: Mapping[str, list[Any] | None]


def table_key(number: int, lattice: int = 0) -> str:
    """Return where the rows of a run are, or their values on another lattice."""
    return f"runs/{number:06d}-{lattice}.arrow"


def keys_key(number: int, lattice: int = 0) -> str:
    """Return where the keys of a run are."""
    return f"runs/{number:06d}-{lattice}.keys"


def run_units(job: Job) -> list[RunUnit]:
    """Return the chunks of all tables in their order."""
    units: list[RunUnit] = []
    recipe = job.recipe
    for number, table in enumerate(job.tables.open()):
        for chunk in table.chunks(recipe.chunk_rows, list(recipe.columns)):
            units.append(RunUnit(len(units), number, chunk.start, chunk.stop))
    return units


def make_run(job: Job, unit: RunUnit) -> Run:
    """Sort the rows of a chunk and write them; a run that is there already is taken as it is."""
    record_key = f"runs/{unit.number:06d}.json"
    found = job.work.record(record_key)
    if found is None:
        found = _make(job, unit)
        job.work.write_record(record_key, found)
    return Run(**found)


def _make(job: Job, unit: RunUnit) -> dict[str, Any]:
    import pyarrow as pa  # noqa: PLC0415

    table = job.tables.open()[unit.table]
    data = table.read_chunk(unit.start, unit.stop, list(job.recipe.columns))
    checkpoint()
    keys, rows = _sorted_keys(data)
    schema, columns = job.recipe.schema, []
    picks = pa.array(rows)
    for i, field in enumerate(schema):
        columns.append(_whole(data.column(i).cast(field.type)).take(picks))
        checkpoint()
    stored = pa.table(columns, schema=schema)
    if job.tables.changed(unit.table, job.recipe.sources[unit.table][1]):
        raise ChangedError(table.name, "changed while it was being indexed: start again")
    job.work.write_table(table_key(unit.number), stored)
    job.work.write_keys(keys_key(unit.number), keys)
    others = [_project(job, unit, stored, lattice) for lattice in job.lattices[1:]]
    invalid = unit.stop - unit.start - keys.size
    asked = job.recipe.code_columns
    categories = {
        name: few_values(stored.column(name))
        for name, kind in zip(schema.names, schema.types, strict=True)
        if name not in (RA, DEC) and (name in asked or may_be_categories(kind))
    }
    return {
        "rows": keys.size,
        "invalid": invalid,
        "shown": [keys.size, *others],
        "size": stored.nbytes,
        "categories": categories,
    }


def _project(job: Job, unit: RunUnit, stored: Any, lattice: Lattice) -> int:
    """Write the values of stored rows in the order of another lattice; return how many it shows."""
    keys, rows = lattice.keys(*(stored.column(name).to_numpy() for name in (RA, DEC)))
    checkpoint()
    job.work.write_keys(keys_key(unit.number, lattice.number), keys)
    names = job.schema(lattice.number).names
    if names:
        key = table_key(unit.number, lattice.number)
        job.work.write_table(key, stored.select(names).take(rows))
    return keys.size


def _sorted_keys(data: Any) -> tuple[IntArray, IntArray]:
    """Return sorted keys of the rows with a valid position, and these rows."""
    ra, dec = (np.asarray(data.column(name).to_numpy(), np.float64) for name in (RA, DEC))
    valid = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0)
    if valid.all():
        keys = keys_of(ra, dec)
        order = np.argsort(keys, kind="stable")
        return keys[order], order
    rows = np.flatnonzero(valid)
    keys = keys_of(ra[rows], dec[rows])
    order = np.argsort(keys, kind="stable")
    return keys[order], rows[order]


def _whole(column: Any) -> Any:
    """Return a column as one array."""
    import pyarrow as pa  # noqa: PLC0415

    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def may_be_categories(kind: Any) -> bool:
    """Return whether columns of a type are looked at for categories unasked."""
    from pyarrow import types  # noqa: PLC0415

    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_integer(kind) or types.is_boolean(kind))


def few_values(column: Any) -> list[Any] | None:
    """Return the different values of a column, sorted; None when there are too many."""
    import pyarrow.compute as pc  # noqa: PLC0415

    for part in (column.slice(0, _PROBE), column):
        values = pc.unique(part).drop_null()
        if len(values) > MAX_CATEGORIES + 1:  # one may be NaN
            return None
    found = [v for v in values.to_pylist() if v == v]
    return sorted(found, key=category_order) if len(found) <= MAX_CATEGORIES else None


def all_categories(runs: Sequence[Run]) -> dict[str, list[Any] | None]:
    """Return the values of every column that may be categories, over all runs."""
    found: dict[str, list[Any] | None] = {}
    for run in runs:
        for name, values in run.categories.items():
            before = found.get(name, [])
            if values is None or before is None:
                found[name] = None
                continue
            both = sorted({*before, *values}, key=category_order)
            found[name] = both if len(both) <= MAX_CATEGORIES else None
    return found
