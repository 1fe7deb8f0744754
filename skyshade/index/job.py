"""What a build is asked for, and what its units are given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from skyshade.geometry.grids import SKY
from skyshade.index.format import GROUP_ROWS, KEY, VERSION
from skyshade.index.lattices import Lattice, lattices
from skyshade.index.pyramid import THRESHOLD, Pyramid
from skyshade.index.states import label_states
from skyshade.index.work import Work
from skyshade.storage.folders import Folder
from skyshade.types import DEC, RA, ChunkedTable

RUN_ROWS = 1_000_000
LEAF_ROWS = 2_000_000
PART_BYTES = 64 << 20  # of the rows of a run or a leaf in memory, about
_TEXT = 32  # bytes of a text, as a guess


class Tables(Protocol):
    """The tables of a build; it travels to other processes and opens them there."""

    def open(self) -> Sequence[ChunkedTable]:
        """Return the tables, the same at every call."""
        ...

    def changed(self, number: int, version: str) -> bool:
        """Return whether a table is not any more what had this version."""
        ...


@dataclass(frozen=True)
class Held:
    """Tables that are open in this process."""

    tables: tuple[ChunkedTable, ...]

    def open(self) -> Sequence[ChunkedTable]:
        """Return the tables."""
        return self.tables

    def changed(self, number: int, version: str) -> bool:
        """Return whether a table has another version now."""
        return self.tables[number].version() != version


@dataclass(frozen=True)
class Recipe:
    """Everything that the bytes of a segment follow from, but for the rows.

    Parameters
    ----------
    sources : tuple of (str, str, int)
        Name, version and number of rows of every table.
    columns : tuple of str
        Columns of the tables that are kept.
    schema : pyarrow.Schema
        Of the rows that are stored, without `KEY`.
    states : tuple of str
        Labels of the states that are stored.
    grids : tuple of str
        Ids of the grids that planes are stored for, ``"sky"`` first.
    threshold, run_rows, leaf_rows, group_rows : int
    """

    sources: tuple[tuple[str, str, int], ...]
    columns: tuple[str, ...]
    schema: Any
    states: tuple[str, ...] = ("count",)
    grids: tuple[str, ...] = (SKY.id,)
    threshold: int = THRESHOLD
    run_rows: int = RUN_ROWS
    leaf_rows: int = LEAF_ROWS
    group_rows: int = GROUP_ROWS

    @property
    def digest(self) -> str:
        """Text that differs for another recipe."""
        import pyarrow as pa  # noqa: PLC0415

        parts = [VERSION, pa.__version__, self.sources, self.columns, self.states, self.grids]
        parts += [self.threshold, self.run_rows, self.leaf_rows, self.group_rows]
        text = json.dumps(parts) + self.schema.to_string(show_field_metadata=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def chunk_rows(self) -> int:
        """Rows of a run: fewer than `run_rows` where they are large."""
        widths = [_width(kind) for kind in self.schema.types]
        return min(self.run_rows, max(1024, int(PART_BYTES / sum(widths))))

    @property
    def value_columns(self) -> list[str]:
        """Columns whose numbers the states need."""
        found = [s.column for s in label_states(self.states) if s.kind not in ("count", "category")]
        return list(dict.fromkeys(found))

    @property
    def code_columns(self) -> list[str]:
        """Columns whose categories the states need."""
        found = [s.column for s in label_states(self.states) if s.kind == "category"]
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Job:
    """What every unit of a build is given.

    Parameters
    ----------
    tables : Tables
    work : Work
    output : Folder
        Of the segment.
    recipe : Recipe
    categories : mapping of str to sequence
        Values of the columns that are counted by category, in the order of their numbers; known
        after the first pass.
    sampled : int
        Every how manieth row is in the sample.
    """

    tables: Tables
    work: Work
    output: Folder
    recipe: Recipe
    categories: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    sampled: int = 1

    @property
    def lattices(self) -> list[Lattice]:
        """The lattices of all grids that planes are made for."""
        return lattices(self.recipe.grids)

    def pyramid(self, lattice: int) -> Pyramid:
        """Return how planes of one of the `lattices` are made."""
        states = label_states(self.recipe.states)
        counts = {column: len(values) for column, values in self.categories.items()}
        return Pyramid(states, self.recipe.threshold, counts, self.lattices[lattice].zoom)

    def schema(self, lattice: int) -> Any:
        """Return the schema of the runs of a lattice, without keys: of rows, or of values only."""
        if lattice == 0:
            return self.recipe.schema
        import pyarrow as pa  # noqa: PLC0415

        names = dict.fromkeys([*self.recipe.value_columns, *self.recipe.code_columns])
        return pa.schema([self.recipe.schema.field(name) for name in names])


def _width(kind: Any) -> float:
    try:
        return float(kind.bit_width) / 8
    except ValueError:
        return _TEXT


def stored_schema(schema: Any) -> Any:
    """Return the schema of stored rows from that of chunks.

    Dictionaries become plain values; a column that has the name of the keys is renamed.
    """
    import pyarrow as pa  # noqa: PLC0415

    taken = set(schema.names)
    fields = []
    for old in schema:
        kind = old.type.value_type if pa.types.is_dictionary(old.type) else old.type
        name = old.name
        while name == KEY or (name != old.name and name in taken):
            name += "_2"
        fields.append(pa.field(name, kind, metadata=old.metadata))
    if schema.names[:2] != [RA, DEC]:
        msg = f"chunks must begin with {RA} and {DEC}, not {schema.names[:2]}"
        raise ValueError(msg)
    return pa.schema(fields)
