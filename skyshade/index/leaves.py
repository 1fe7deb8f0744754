"""Second pass: every leaf is merged from the runs and written, with the planes of its subtree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skyshade.index.facts import Tally, tally
from skyshade.index.format import GROUP, KEY, PLANE
from skyshade.index.job import Job
from skyshade.index.packing import pack
from skyshade.index.plan import Leaf, cell_of
from skyshade.index.pools import checkpoint
from skyshade.index.pyramid import States, tile_frame
from skyshade.index.runs import keys_key, table_key
from skyshade.index.states import label_states
from skyshade.types import DEC, RA, AnyArray, FloatArray, IntArray, RowBlock, Tile

ZSTD_LEVEL = 1


@dataclass(frozen=True)
class LeafPart:
    """What is known of a finished leaf.

    Parameters
    ----------
    first, last : int
        Keys of its first and last row.
    tally : Tally
    """

    first: int
    last: int
    tally: Tally


def states_key(lattice: int, tile: Tile) -> str:
    """Return where the packed states of a leaf's tile, or of one above, are."""
    return f"states/{lattice}-{tile.z:02d}-{cell_of(tile)}.bin"


def part_key(number: int, what: str) -> str:
    """Return where a part of a leaf is in the work folder."""
    return f"leaves/{number:06d}.{what}"


def make_leaf(job: Job, leaf: Leaf) -> LeafPart:
    """Merge the rows of a leaf and write them; a leaf that is there already is taken as it is."""
    key = part_key(leaf.number, "json")
    record = job.work.record(key)
    if record is None:
        record = _make(job, leaf) if leaf.lattice == 0 else _make_planes(job, leaf)
        job.work.write_record(key, record)
    return LeafPart(record["first"], record["last"], Tally.of_record(record["rows"], record))


def _make(job: Job, leaf: Leaf) -> dict[str, Any]:
    planes, rows = Planes(job, leaf), Rows(job, leaf)
    key = f"rows/{leaf.number:06d}.parquet"
    with job.work.file(job.output, key) as path, rows_writer(path, job.recipe.schema) as out:
        for slices in leaf.pieces:
            keys, table = gather(job, slices, 0)
            out.write_table(table, row_group_size=job.recipe.group_rows)
            checkpoint()
            rows.add(keys, table)
            block = row_block(job, keys, table)
            del table  # the planes take memory too
            planes.add(block)
    planes.write()
    rows.write()
    return {"first": rows.first, "last": rows.last, "rows": leaf.rows, **rows.tally.record()}


class Rows:
    """What is to be known of the rows of a leaf: their groups, a sample, a tally."""

    def __init__(self, job: Job, leaf: Leaf) -> None:
        self._job, self._leaf, self._at = job, leaf, leaf.start
        self._groups: list[AnyArray] = []
        self._sample: list[Any] = []
        self.tally, self.first, self.last = Tally.empty(), -1, -1

    def add(self, keys: IntArray, table: Any) -> None:
        """Add the rows of a piece."""
        self._groups.append(self._grouped(keys))
        every = self._job.sampled
        self._sample.append(table.take(np.arange(-self._at % every, keys.size, every)))
        self._at += keys.size
        counted = tally(keys, *(table.column(name).to_numpy() for name in (RA, DEC)))
        first = int(keys[0])
        self.tally = counted if self.last < 0 else self.tally.then(counted, self.last, first)
        self.first, self.last = (first if self.first < 0 else self.first), int(keys[-1])

    def write(self) -> None:
        """Write the directory of the groups, and the sample."""
        import pyarrow as pa  # noqa: PLC0415

        work, number = self._job.work, self._leaf.number
        work.write_table(part_key(number, "sample"), pa.concat_tables(self._sample))
        groups = np.concatenate(self._groups)
        work.write(work.folder, part_key(number, "groups"), groups.tobytes())

    def _grouped(self, keys: IntArray) -> AnyArray:
        starts = np.arange(0, keys.size, self._job.recipe.group_rows)
        ends = np.append(starts[1:], keys.size)
        groups = np.zeros(starts.size, GROUP)
        groups["leaf"] = self._leaf.number
        groups["group"] = sum(map(len, self._groups)) + np.arange(starts.size)
        groups["first"], groups["last"] = keys[starts], keys[ends - 1]
        groups["rows"] = ends - starts
        return groups


def _make_planes(job: Job, leaf: Leaf) -> dict[str, Any]:
    """Make the planes of a leaf on another lattice, which has no rows."""
    planes = Planes(job, leaf)
    for slices in leaf.pieces:
        planes.add(row_block(job, *gather(job, slices, leaf.lattice)))
    planes.write()
    return {"first": -1, "last": -1, "rows": 0, **Tally.empty().record()}


class Planes:
    """Makes the planes of a leaf and collects them in one file."""

    def __init__(self, job: Job, leaf: Leaf) -> None:
        self._job, self._leaf, self._pyramid = job, leaf, job.pyramid(leaf.lattice)
        self._labels = label_states(job.recipe.states)
        self._many = len(leaf.pieces) > 1
        self._pixels = [self._pyramid.empty(state) for state in self._labels] if self._many else []
        self._records: list[tuple[Any, ...]] = []
        self._packed: list[bytes] = []
        self._size = 0
        self._root: list[bytes] = []

    def add(self, block: RowBlock) -> None:
        """Add the rows of a piece."""
        tile = self._leaf.tile
        if not self._many:
            root = self._pyramid.build(tile, block, self._put)
            self._root = self._root or [pack(root[state]) for state in self._labels]
            return
        for pixels in self._pixels:
            pixels.add_rows(block, self._pyramid.shift(tile), tile_frame(tile))

    def write(self) -> None:
        """Write the planes, their directory, and the states of the leaf's tile."""
        job, leaf = self._job, self._leaf
        if self._many:
            states = {pixels.state: pixels.arrays() for pixels in self._pixels}
            self._put(leaf.tile, states)
        if self._packed:
            with job.work.file(job.output, f"planes/{leaf.number:06d}.bin") as path:
                path.write_bytes(b"".join(self._packed))
        directory = np.array(self._records, PLANE)
        job.work.write(job.work.folder, part_key(leaf.number, "planes"), directory.tobytes())
        job.work.write(job.work.folder, states_key(leaf.lattice, leaf.tile), frame(self._root))

    def _put(self, tile: Tile, states: States) -> None:
        checkpoint()
        packed = [pack(states[state]) for state in self._labels]
        for number, data in enumerate(packed):
            place = (self._leaf.lattice, number, tile.z, cell_of(tile))
            self._records.append((*place, self._leaf.number, self._size, len(data)))
            self._packed.append(data)
            self._size += len(data)
        if tile == self._leaf.tile:
            self._root = packed


def gather(job: Job, slices: IntArray, lattice: int) -> tuple[IntArray, Any]:
    """Return the rows of slices of the runs as one table, sorted by key, ties in table order."""
    import pyarrow as pa  # noqa: PLC0415

    taken = [(run, int(a), int(b)) for run, (a, b) in enumerate(slices) if b > a]
    keys = np.concatenate([job.work.read_keys(keys_key(r, lattice), a, b) for r, a, b in taken])
    order = np.argsort(keys, kind="stable") if len(taken) > 1 else None
    schema = job.schema(lattice)
    parts = [job.work.read_table(table_key(r, lattice), a, b) for r, a, b in taken if schema.names]
    keys = keys if order is None else keys[order]
    picks = None if order is None else pa.array(order)
    columns = [pa.array(keys)]
    for i in range(len(schema)):
        chunks = [chunk for part in parts for chunk in part.column(i).chunks]
        column = pa.concat_arrays(chunks)
        columns.append(column if picks is None else column.take(picks))
        checkpoint()
    return keys, pa.table(columns, schema=with_keys(schema))


def with_keys(schema: Any) -> Any:
    """Return the schema of rows with `KEY` in front."""
    import pyarrow as pa  # noqa: PLC0415

    return schema.insert(0, pa.field(KEY, pa.int64(), nullable=False))


@contextmanager
def rows_writer(path: Path, schema: Any) -> Iterator[Any]:
    """Give a writer of a file of rows."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    schema = with_keys(schema)
    floats = [f.name for f in schema if f.type in (pa.float32(), pa.float64())]
    plain = [f.name for f in schema if pa.types.is_primitive(f.type)]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[f.name for f in schema if f.name not in plain],
        column_encoding={KEY: "DELTA_BINARY_PACKED"} | dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        write_statistics=plain,
    ) as writer:
        yield writer


def row_block(job: Job, keys: IntArray, table: Any) -> RowBlock:
    """Return what the states need of a table."""
    recipe = job.recipe
    columns = {name: plain_numbers(table.column(name)) for name in recipe.value_columns}
    codes = {
        name: codes_of(table.column(name), job.categories[name]) for name in recipe.code_columns
    }
    return RowBlock(keys, keys, columns, codes)


def plain_numbers(column: Any) -> FloatArray:
    """Return a column of numbers as float64, nulls as NaN."""
    import pyarrow as pa  # noqa: PLC0415

    values = column.cast(pa.float64(), safe=False).to_numpy()
    return np.ascontiguousarray(values, np.float64)


def codes_of(column: Any, values: Sequence[Any]) -> AnyArray:
    """Return the numbers of a column's values, -1 for none."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    known = pa.array(values, column.type)
    found = pc.fill_null(pc.index_in(column, value_set=known, skip_nulls=True), -1)
    return np.ascontiguousarray(found.to_numpy(), np.int32)


def frame(parts: Sequence[bytes]) -> bytes:
    """Return byte strings as one, see `unframe`."""
    sizes = np.array([len(p) for p in parts], "<u8")
    return sizes.tobytes() + b"".join(parts)


def unframe(data: bytes, count: int) -> list[bytes]:
    """Return the byte strings that `frame` was given."""
    sizes = np.frombuffer(data, "<u8", count).astype(np.int64)
    ends = 8 * count + np.cumsum(sizes)
    return [data[end - size : end] for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)]
