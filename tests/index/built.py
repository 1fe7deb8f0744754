"""Indexes that are built, and what plain loops say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skyshade.index.build import build_segment
from skyshade.index.format import KEY, PLANE, TOP, Segment
from skyshade.index.job import Held, Job, Recipe, stored_schema
from skyshade.index.packing import unpack
from skyshade.index.plan import cell_of
from skyshade.index.pools import Threads
from skyshade.index.states import label_states
from skyshade.index.work import Work
from skyshade.storage.folders import Folder
from skyshade.types import DEC, RA, RowRange, State, StateArrays, Tile
from tests.index.skies import places

SMALL = {"threshold": 200, "run_rows": 700, "leaf_rows": 500, "group_rows": 64}


class ArrowSky:
    """A `skyshade.types.ChunkedTable` of an arrow table."""

    def __init__(self, table: Any, name: str = "stars", version: str = "1") -> None:
        self.table, self.name, self.tag = table, name, version
        self.units, self.guess, self.frame, self.notes = {}, "given", "icrs", ()

    @property
    def columns(self) -> Sequence[str]:
        return tuple(self.table.column_names[2:])

    def version(self) -> str:
        return self.tag

    def __len__(self) -> int:
        return self.table.num_rows

    def positions(self) -> tuple[Any, Any]:
        return self.table[RA].to_numpy(), self.table[DEC].to_numpy()

    def column(self, name: str) -> Any:
        return self.table[name].to_numpy()

    def schema(self, columns: Sequence[str] | None = None) -> Any:
        return self.read_chunk(0, 0, columns).schema

    def chunks(self, rows: int = 1000, columns: Sequence[str] | None = None) -> list[RowRange]:
        return [RowRange(a, min(a + rows, len(self))) for a in range(0, len(self), rows)]

    def read_chunk(self, start: int, stop: int, columns: Sequence[str] | None = None) -> Any:
        names = self.columns if columns is None else columns
        return self.table.select([RA, DEC, *names]).slice(start, stop - start)


def sky(n: int = 4000, seed: int = 1, bad: int = 37) -> ArrowSky:
    """Return a sky with clusters, duplicates, awkward and invalid places, and some columns."""
    rng = np.random.default_rng(seed)
    ra, dec = places(n, seed)
    ra[-bad:] = np.nan
    v = rng.normal(9, 2, n)
    v[::7] = np.nan
    kinds = np.array(["star", "galaxy", None], object)[rng.integers(0, 3, n)]
    return ArrowSky(
        pa.table(
            {
                RA: ra,
                DEC: dec,
                "v": pa.array(v.astype(np.float32), from_pandas=True),
                "c": rng.integers(0, 3, n).astype(np.int8),
                "t": pa.array(kinds, pa.string()),
                "row": np.arange(n),
            }
        )
    )


class Built:
    """A segment that was built, read without the library's reader."""

    def __init__(self, folder: Path, job: Job, segment: Segment, found: Any) -> None:
        self.folder, self.job, self.segment, self.found = folder, job, segment, found
        self.states = label_states(job.recipe.states)
        self.planes = np.load(folder / "planes.npy")
        self.groups = np.load(folder / "groups.npy")

    def rows(self) -> Any:
        """Return all rows in the order of the files."""
        files = sorted((self.folder / "rows").glob("*.parquet"))
        return pa.concat_tables([pq.read_table(file) for file in files])

    def stored(self, grid: int = 0) -> dict[tuple[Tile, State], StateArrays]:
        """Return every stored plane of a grid."""
        found = {}
        for record in self.planes[self.planes["grid"] == grid]:
            name = "top" if record["leaf"] == TOP else f"{record['leaf']:06d}"
            data = (self.folder / "planes" / f"{name}.bin").read_bytes()
            at = int(record["offset"])
            packed = data[at : at + int(record["size"])]
            found[tile_of(record), self.states[record["state"]]] = unpack(packed)
        return found

    def bytes(self) -> dict[str, bytes]:
        """Return all files."""
        return {
            p.relative_to(self.folder).as_posix(): p.read_bytes()
            for p in sorted(self.folder.rglob("*"))
            if p.is_file()
        }


def tile_of(record: Any) -> Tile:
    """Return the tile of a record of a plane."""
    from skyshade.geometry.keys import decode

    x, y = decode(np.array([record["cell"]]))
    return Tile(int(record["z"]), int(x[0]), int(y[0]))


def build(
    folder: Path,
    table: Any,
    states: Sequence[str] = ("count",),
    workers: int = 2,
    pool: Any = None,
    known: Mapping[str, Any] | None = None,
    tables: Any = None,
    grids: Sequence[str] = ("sky",),
    **sizes: int,
) -> Built:
    """Build a segment of a table with small leaves."""
    opened = (tables or Held((table,))).open()
    sources = tuple((t.name, t.version(), len(t)) for t in opened)
    schema = stored_schema(opened[0].schema())
    recipe = Recipe(
        sources, tuple(opened[0].columns), schema, tuple(states), tuple(grids), **(SMALL | sizes)
    )
    output, work = Folder(folder / recipe.digest), Work(Folder(folder / "work"))
    job = Job(tables or Held((table,)), work, output, recipe)
    segment, found = build_segment(job, pool or Threads(workers), None, dict(known or {}))
    return Built(folder / recipe.digest, job, segment, found)


__all__ = ["KEY", "PLANE", "SMALL", "ArrowSky", "Built", "build", "cell_of", "sky"]
