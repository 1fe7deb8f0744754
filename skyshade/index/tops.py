"""Third pass: the planes above the leaves, and the files that belong to a whole segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from skyshade.index.format import GROUP, PLANE, TOP
from skyshade.index.job import Job
from skyshade.index.leaves import (
    ZSTD_LEVEL,
    frame,
    part_key,
    states_key,
    unframe,
    with_keys,
)
from skyshade.index.packing import pack, unpack
from skyshade.index.plan import Leaf, cell_of
from skyshade.index.pyramid import States, children
from skyshade.index.states import label_states
from skyshade.types import AnyArray, Tile


class Node(NamedTuple):
    """A tile above the leaves, and those of its children that have rows."""

    lattice: int
    tile: Tile
    below: frozenset[Tile]


def plan_nodes(leaves: Sequence[Leaf]) -> list[list[Node]]:
    """Return the tiles above the leaves, level by level, the deepest first."""
    levels: dict[int, dict[tuple[int, Tile], set[Tile]]] = {}
    for leaf in leaves:
        tile = leaf.tile
        while tile.z > 0:
            above = Tile(tile.z - 1, tile.x >> 1, tile.y >> 1)
            levels.setdefault(above.z, {}).setdefault((leaf.lattice, above), set()).add(tile)
            tile = above
    return [
        sorted((Node(*at, frozenset(below)) for at, below in levels[z].items()), key=_place)
        for z in sorted(levels, reverse=True)
    ]


def make_node(job: Job, node: Node) -> int:
    """Merge the states of a tile's children and write them; return their bytes."""
    key = states_key(node.lattice, node.tile)
    if not job.work.folder.exists(key):
        below = [
            _read(job, node.lattice, child) if child in node.below else None
            for child in children(node.tile)
        ]
        states = job.pyramid(node.lattice).merge(below)
        packed = frame([pack(states[state]) for state in label_states(job.recipe.states)])
        job.work.write(job.work.folder, key, packed)
    return 1


def _read(job: Job, lattice: int, tile: Tile) -> States:
    states = label_states(job.recipe.states)
    parts = unframe(job.work.folder.read(states_key(lattice, tile)), len(states))
    return {state: unpack(data) for state, data in zip(states, parts, strict=True)}


def assemble(job: Job, leaves: Sequence[Leaf], nodes: Sequence[Node]) -> None:
    """Write the planes above the leaves, the directories and the sample of a segment."""
    records = _write_top(job, nodes)
    parts = [_array(job, leaf, "planes", PLANE) for leaf in leaves]
    planes = np.concatenate([*parts, np.array(records, PLANE)])
    order = np.lexsort((planes["cell"], planes["z"], planes["state"], planes["grid"]))
    _write_array(job, "planes.npy", planes[order])
    leaves = [leaf for leaf in leaves if leaf.lattice == 0]  # those that have rows
    groups = [_array(job, leaf, "groups", GROUP) for leaf in leaves]
    _write_array(job, "groups.npy", np.concatenate([*groups, np.empty(0, GROUP)]))
    _write_sample(job, leaves)


def _write_top(job: Job, nodes: Sequence[Node]) -> list[tuple[Any, ...]]:
    records: list[tuple[Any, ...]] = []
    if not nodes:
        return records
    at, states = 0, len(job.recipe.states)
    with job.work.file(job.output, "planes/top.bin") as path, path.open("wb") as file:
        for node in sorted(nodes, key=_place):
            parts = unframe(job.work.folder.read(states_key(node.lattice, node.tile)), states)
            for number, data in enumerate(parts):
                cell = cell_of(node.tile)
                place = (node.lattice, number, node.tile.z, cell)
                records.append((*place, TOP, at, len(data)))
                file.write(data)
                at += len(data)
    return records


def _write_sample(job: Job, leaves: Sequence[Leaf]) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    schema = with_keys(job.recipe.schema)
    with (
        job.work.file(job.output, "sample.parquet") as path,
        pq.ParquetWriter(path, schema, compression="zstd", compression_level=ZSTD_LEVEL) as out,
    ):
        for table in _regrouped(_samples(job, leaves), job.recipe.group_rows):
            out.write_table(table)


def _samples(job: Job, leaves: Sequence[Leaf]) -> Iterator[Any]:
    for leaf in leaves:
        rows = sum(1 for _ in range(-leaf.start % job.sampled, leaf.rows, job.sampled))
        yield job.work.read_table(part_key(leaf.number, "sample"), 0, rows)


def _regrouped(tables: Iterator[Any], rows: int) -> Iterator[Any]:
    """Yield the rows of tables in tables of `rows` rows; the last may have fewer."""
    import pyarrow as pa  # noqa: PLC0415

    held: list[Any] = []
    for table in tables:
        held.append(table)
        if sum(t.num_rows for t in held) < rows:
            continue
        whole, at = pa.concat_tables(held), 0
        while whole.num_rows - at >= rows:
            yield whole.slice(at, rows)
            at += rows
        held = [whole.slice(at)]
    rest = pa.concat_tables(held) if held else None
    if rest is not None and rest.num_rows:
        yield rest


def _array(job: Job, leaf: Leaf, what: str, kind: np.dtype[Any]) -> AnyArray:
    return np.frombuffer(job.work.folder.read(part_key(leaf.number, what)), kind)


def _write_array(job: Job, key: str, array: AnyArray) -> None:
    with job.work.file(job.output, key) as path, path.open("wb") as file:
        np.save(file, array)


def _place(node: Node) -> tuple[int, int, int]:
    """Return what nodes are sorted by: lattice, level, Z-order."""
    return node.lattice, node.tile.z, cell_of(node.tile)
