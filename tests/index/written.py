"""Indexes written by brute force, for the tests of what reads them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skyshade.geometry.keys import encode, keys_of, tile_key_range
from skyshade.index.facts import tally
from skyshade.index.format import GROUP, MANIFEST, PLANE, TOP, Column, Manifest, Segment
from skyshade.index.packing import pack
from skyshade.index.pyramid import Pyramid, States, part_of, roots
from skyshade.index.states import label_states
from skyshade.types import RowBlock, Tile

LEVEL = 1  # of the leaves


class Writer:
    """Writes the segments of one index, then its manifest."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.folder = folder
        self.states: Sequence[str] = given.pop("states", ("count",))
        self.threshold: int = given.pop("threshold", 256)
        self.group_rows: int = given.pop("group_rows", 128)
        self.sampled: int = given.pop("sampled", 4)
        self.categories: Mapping[str, Sequence[str]] = given.pop("categories", {})
        self.given = given
        self.segments: list[Segment] = []
        self.columns: tuple[Column, ...] = ()

    def add(self, ra: Any, dec: Any, columns: Mapping[str, Any], invalid: int = 0) -> None:
        """Write a segment; all its positions are valid."""
        keys = keys_of(ra, dec)
        order = np.argsort(keys, kind="stable")
        table = pa.table(
            {"_key": keys, "_ra": np.asarray(ra, float), "_dec": np.asarray(dec, float), **columns}
        ).take(order)
        name = f"{len(self.segments) + 1:04d}"
        root = self.folder / "segments" / name
        (root / "rows").mkdir(parents=True)
        (root / "planes").mkdir()
        keys = keys[order]
        self._rows(root, table, keys)
        self._planes(root, table, keys)
        pq.write_table(table.take(np.arange(0, keys.size, self.sampled)), root / "sample.parquet")
        found = tally(keys, ra, dec)
        self.segments.append(Segment(name, keys.size, invalid, self.sampled, found, {"a": name}))
        self.columns = tuple(
            Column(
                n, str(table.schema.field(n).type), "mag" if n == "v" else "",
                tuple(self.categories[n]) if n in self.categories else None,
            )
            for n in columns
        )  # fmt: skip

    def finish(self) -> Path:
        """Write the manifest."""
        self.folder.mkdir(exist_ok=True)
        made = Manifest(
            "stars", self.columns, tuple(self.states), tuple(self.segments),
            threshold=self.threshold, **self.given,
        )  # fmt: skip
        (self.folder / MANIFEST).write_bytes(made.to_json())
        return self.folder

    def _rows(self, root: Path, table: Any, keys: Any) -> None:
        groups = []
        for leaf, tile in enumerate(tiles(LEVEL)):
            first, last = np.searchsorted(keys, tile_key_range(tile)).tolist()
            if first == last:
                continue
            path = root / "rows" / f"{leaf:06d}.parquet"
            part = table.slice(first, last - first)
            pq.write_table(part, path, row_group_size=self.group_rows, compression="zstd")
            for number, start in enumerate(range(first, last, self.group_rows)):
                mine = keys[start : min(start + self.group_rows, last)]
                groups.append((leaf, number, mine[0], mine[-1], mine.size))
        np.save(root / "groups.npy", np.array(groups, GROUP))

    def _planes(self, root: Path, table: Any, keys: Any) -> None:
        states = label_states(self.states)
        coded = {s.column for s in states if s.kind == "category"}
        values = {s.column for s in states if s.column} - coded
        rows = RowBlock(
            keys, np.arange(keys.size),
            {n: table.column(n).to_numpy().astype(float) for n in values},
            {n: codes(table.column(n).to_pylist(), self.categories[n]) for n in coded},
        )  # fmt: skip
        made: dict[Tile, States] = {}
        pyramid = Pyramid(states, self.threshold, {n: len(self.categories[n]) for n in coded})
        for tile in roots():
            first, last = np.searchsorted(keys, tile_key_range(tile)).tolist()
            if last > first:
                pyramid.build(tile, part_of(rows, first, last), made.__setitem__)
        records, blob = [], io.BytesIO()
        for number, state in enumerate(states):
            for tile in sorted(made, key=lambda t: (t.z, cell(t))):
                data = pack(made[tile][state])
                records.append((0, number, tile.z, cell(tile), TOP, blob.tell(), len(data)))
                blob.write(data)
        (root / "planes" / "top.bin").write_bytes(blob.getvalue())
        np.save(root / "planes.npy", np.array(records, PLANE))


def codes(values: Sequence[Any], names: Sequence[str]) -> Any:
    """Return category numbers."""
    return np.array([list(names).index(v) if v in names else -1 for v in values], np.int32)


def cell(tile: Tile) -> int:
    """Return the Z-order number of a tile."""
    return int(encode(np.array([tile.x]), np.array([tile.y]))[0])


def tiles(z: int) -> list[Tile]:
    """Return all tiles of a level in Z-order."""
    return sorted((Tile(z, x, y) for x in range(2 << z) for y in range(1 << z)), key=cell)


def write(
    folder: Path, ra: Any, dec: Any, columns: Mapping[str, Any] | None = None, **given: Any
) -> Path:
    """Write an index of one segment."""
    writer = Writer(folder, **given)
    writer.add(ra, dec, columns or {})
    return writer.finish()
