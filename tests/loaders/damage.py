"""Read damaged tables in a process of its own: `python -m tests.loaders.damage KIND SEED DIR`."""

from __future__ import annotations

import io
import random
import resource
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io.votable import from_table
from astropy.table import Table

from skyshade.errors import SkyshadeError
from skyshade.loaders import parquet
from skyshade.loaders.api import load
from tests.loaders.peak import peak

TIMES, ROWS = 120, 300
ENDINGS = {"parquet": "parquet", "csv": "csv", "tabledata": "vot", "binary2": "vot", "fits": "fits"}


def original(kind: str) -> bytes:
    """Return a sound file."""
    rng = np.random.default_rng(0)
    data = {
        "ra": rng.uniform(0, 360, ROWS), "dec": rng.uniform(-90, 90, ROWS),
        "n": np.arange(ROWS), "few": [f"n{i % 7}" for i in range(ROWS)],
        "many": [f"x{i}" for i in range(ROWS)], "flag": rng.random(ROWS) < 0.5,
    }  # fmt: skip
    out = io.BytesIO()
    if kind == "parquet":
        pq.write_table(pa.table(data), out, row_group_size=100)
    elif kind == "csv":
        rows = zip(*data.values(), strict=True)
        out.write("\n".join([",".join(data), *(",".join(map(str, r)) for r in rows)]).encode())
    elif kind == "fits":
        Table(data).write(out, format="fits")
    else:
        from_table(Table(data)).to_xml(out, tabledata_format=kind)
    return out.getvalue()


def damaged(good: bytes, kind: str, rng: random.Random) -> bytes:
    """Return a copy that is cut, or has some other bytes: in the footer of Parquet mostly."""
    if rng.random() < 0.1:
        return good[: rng.randrange(len(good))]
    raw = bytearray(good)
    first = len(raw) - 3000 if kind == "parquet" and rng.random() < 0.7 else 0
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        raw[rng.randrange(first, len(raw))] = rng.choice([0, 255, rng.randrange(256)])
    return bytes(raw)


def read(path: Path) -> None:
    """Read all there is, in every way."""
    for table in load(path).tables:
        table.positions()
        for name in table.columns:
            table.column(name)
        for chunk in table.chunks(70):
            table.read_chunk(*chunk)


def main(kind: str, seed: str, folder: str) -> None:
    """Exit with an error unless every damaged file gives rows or one of our errors."""
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    rng, good = random.Random(seed), original(kind)
    path = Path(folder) / f"t.{ENDINGS[kind]}"
    sound = 0
    for i in range(TIMES):
        path.write_bytes(damaged(good, kind, rng) if i else good)
        parquet.WHOLE = rng.choice([0, 1 << 26])
        try:
            read(path)
            sound += 1
        except SkyshadeError as error:
            text = str(error)
            if "\n" in text or not text.startswith(path.name):
                raise
    print(sound, peak())


if __name__ == "__main__":
    main(*sys.argv[1:])
