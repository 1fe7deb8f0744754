"""Every kind of table read in bounded pieces gives what it gives whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import ChangedError, DataError, UnknownNameError
from skyshade.loaders import csv_scan, csv_table, parquet
from skyshade.loaders.api import load
from skyshade.loaders.columns import plan
from skyshade.types import DEC, RA

N = 3000


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    ra = rng.uniform(0, 360, N)
    ra[7] = np.nan
    kinds = pd.Categorical.from_codes(rng.integers(0, 3, N), ["star", "galaxy", "quasar"])
    return pd.DataFrame({
        "ra": ra, "dec": rng.uniform(-90, 90, N), "mag": rng.normal(size=N).astype("f4"),
        "id": np.arange(N) + 2**60, "flag": rng.integers(0, 2, N).astype(bool),
        "name": [f"é{i}" for i in range(N)], "kind": kinds,
        "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(N), "s"),
    })  # fmt: skip


def as_parquet(folder: Path) -> Path:
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    pq.write_table(table, folder / "t.parquet", row_group_size=700)
    return folder / "t.parquet"


def as_csv(folder: Path) -> Path:
    data = frame().drop(columns="when")
    data["name"] += ' "q", \nx'
    data.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def as_fits(folder: Path) -> Path:
    data = frame().drop(columns=["when", "kind"])
    data["name"] = [f"n{i}" for i in range(N)]
    columns = [
        fits.Column("count", "J", array=np.arange(N), null=5),
        fits.Column("bit", "X", array=np.arange(N)[:, None] % 2 == 0),
        fits.Column("bits", "11X", array=np.arange(N)[:, None] >> np.arange(10, -1, -1) & 1 == 1),
    ]
    hdu = fits.BinTableHDU(Table.from_pandas(data))
    both = fits.BinTableHDU.from_columns([*hdu.columns, *columns])
    both.writeto(folder / "t.fits")
    return folder / "t.fits"


def as_json(folder: Path) -> Path:
    rows = [{"ra": i / 10, "dec": 1, "name": f"n{i}", "extra": {"z": i or None}} for i in range(N)]
    (folder / "t.json").write_text(json.dumps(rows))
    return folder / "t.json"


MAKERS: dict[str, Callable[[Path], Any]] = {
    "parquet": as_parquet,
    "csv": as_csv,
    "fits": as_fits,
    "json": as_json,
    "pandas": lambda _: frame(),
    "arrow": lambda _: pa.Table.from_pandas(frame(), preserve_index=False),
    "astropy": lambda _: Table.from_pandas(frame().drop(columns="kind")),
    "dict": lambda _: {"ra": np.arange(N) / 10, "dec": np.zeros(N), "t": ["a", None, "c"] * 1000},
    "dask": lambda _: dd.from_pandas(frame(), npartitions=7),
}


def _same(arrow: Any, values: Any) -> None:
    found = arrow.to_pylist()
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "f":
        found = np.array([np.nan if v is None else v for v in found], values.dtype)
        np.testing.assert_array_equal(found, values)
    elif values.dtype.kind == "M":
        np.testing.assert_array_equal(np.array(found, "M8[us]"), values.astype("M8[us]"))
    else:
        assert found == values.tolist()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("rows", [1, 256, 1000, N, 10**9])
def test_chunks_together_are_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, rows: int
) -> None:
    monkeypatch.setattr(csv_scan, "BLOCK", 8000)
    monkeypatch.setattr(csv_table, "HELD", 0)
    monkeypatch.setattr(parquet, "WHOLE", 0)
    table = load(MAKERS[kind](tmp_path)).tables[0]
    ranges = table.chunks(rows)
    assert list(ranges) == list(table.chunks(rows))
    assert all(0 < stop - start <= rows for start, stop in ranges)
    assert [r.start for r in ranges] == [0, *(r.stop for r in ranges[:-1])]
    assert ranges[-1].stop == len(table) == N
    read = ranges[:3] + ranges[-2:] if len(ranges) > 50 else ranges
    parts = [table.read_chunk(*r) for r in read]
    schema = table.schema()
    assert schema.names == [RA, DEC, *table.columns]
    assert all(part.schema.equals(schema, check_metadata=True) for part in parts)
    rows_read = np.concatenate([np.arange(*r) for r in read])
    whole = pa.concat_tables(parts)
    ra, dec = table.positions()
    np.testing.assert_array_equal(whole[RA].to_numpy(), ra[rows_read])
    np.testing.assert_array_equal(whole[DEC].to_numpy(), dec[rows_read])
    assert whole[RA].null_count == 0
    for name in table.columns:
        _same(whole[name], table.column(name)[rows_read])


def types_of(item: Any) -> dict[str, str]:
    schema = load(item).tables[0].schema()
    return {field.name: str(field.type) for field in schema}


def test_types_are_kept(tmp_path: Path) -> None:
    kinds = {"ra": "double", "mag": "float", "id": "int64", "flag": "bool", "name": "string"}
    category = "dictionary<values=string, indices=int32, ordered=0>"
    for item in (as_parquet(tmp_path), frame(), dd.from_pandas(frame(), npartitions=2)):
        found = types_of(item)
        assert kinds.items() <= found.items()
        assert found["kind"] == category
        assert found["when"].startswith("timestamp[")
    assert kinds.items() <= types_of(as_fits(tmp_path)).items()
    expected = kinds | {"mag": "double", "kind": "string"}
    assert expected.items() <= types_of(as_csv(tmp_path)).items()


def test_nulls_stay_nulls(tmp_path: Path) -> None:
    found = load(as_fits(tmp_path)).tables[0].read_chunk(0, 12, ["count", "bit", "bits"])
    assert found["count"].to_pylist() == [0, 1, 2, 3, 4, None, 6, 7, 8, 9, 10, 11]
    assert found["bit"].to_pylist() == [True, False] * 6
    assert found["bits"].to_pylist() == list(range(12))
    masked = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0], "n": np.ma.array([1, 2], mask=[0, 1])})
    table = load(masked).tables[0]
    assert table.read_chunk(0, 2)["n"].to_pylist() == [1, None]
    nulls = pa.table({"ra": [1.0, None], "dec": [1.0, 2.0], "n": [None, 3]})
    pq.write_table(nulls, tmp_path / "n.parquet")
    chunk = load(tmp_path / "n.parquet").tables[0].read_chunk(0, 2)
    np.testing.assert_array_equal(chunk[RA].to_numpy(), [1, np.nan])
    assert chunk["n"].to_pylist() == [None, 3]


def test_columns_asked_for(tmp_path: Path) -> None:
    table = load(as_parquet(tmp_path)).tables[0]
    assert table.read_chunk(5, 9, ()).column_names == [RA, DEC]
    assert table.read_chunk(5, 9, ["mag", "dec"]).column_names == [RA, DEC, "mag", "dec"]
    assert table.read_chunk(N - 2, N + 5, ["id"]).num_rows == 2
    assert table.read_chunk(N, N, ["id"]).schema.equals(table.schema(["id"]))
    for wrong in (lambda: table.read_chunk(0, 1, ["x"]), lambda: table.chunks(columns=["x"])):
        with pytest.raises(UnknownNameError, match="unknown column 'x'; known: ra, dec"):
            wrong()


def test_own_columns_of_the_reserved_names() -> None:
    table = load({"_ra": [1.0, 2.0], "_dec": [3.0, 4.0], "x": [5, 6]}, ra="_ra", dec="_dec").tables[
        0
    ]
    assert tuple(table.columns) == ("_ra_2", "_dec_2", "x")
    assert table.read_chunk(0, 2)["_dec_2"].to_pylist() == [3.0, 4.0]
    assert table.column("_ra_2").tolist() == [1.0, 2.0]


@pytest.mark.parametrize("kind", ["parquet", "csv", "fits", "dask", "pandas"])
def test_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(csv_scan, "BLOCK", 8000)
    monkeypatch.setattr(csv_table, "HELD", 0)
    monkeypatch.setattr(parquet, "WHOLE", 0)
    table = load(MAKERS[kind](tmp_path)).tables[0]
    ranges = table.chunks(60) * 2
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda r: table.read_chunk(*r, ["id"])["id"].to_numpy(), ranges))
    expected = np.tile(table.column("id"), 2)
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_a_file_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "WHOLE", 0)
    path = as_parquet(tmp_path)
    table = load(path).tables[0]
    assert table.read_chunk(0, 10).num_rows == 10
    raw = path.read_bytes()
    path.write_bytes(bytes(len(raw)))
    with pytest.raises((DataError, ChangedError), match=r"t\.parquet"):
        table.read_chunk(10, 20)


@given(
    st.lists(st.integers(0, 50), max_size=12).map(lambda n: [0, *np.cumsum(n).tolist()]),
    st.integers(1, 60),
)
def test_plan(breaks: list[int], rows: int) -> None:
    ranges = plan(breaks, rows)
    assert [r for a, b in ranges for r in range(a, b)] == list(range(breaks[-1]))
    assert all(0 < b - a <= rows for a, b in ranges)
    for _, stop in ranges[:-1]:
        inside = [b for b in breaks if b <= stop]
        following = min(b for b in breaks if b > stop or b == breaks[-1])
        assert stop in breaks or following - inside[-1] > rows


def test_no_pandas(tmp_path: Path) -> None:
    """Neither opening a table nor reading its chunks takes half a second for pandas."""
    paths = [as_parquet(tmp_path), as_csv(tmp_path), as_fits(tmp_path), as_json(tmp_path)]
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "a.parquet").write_bytes(paths[0].read_bytes())
    code = """
import sys
from skyshade.loaders import csv_table
from skyshade.loaders.api import load
for held in (0, 1 << 20):
    csv_table.HELD = held
    for path in sys.argv[1:]:
        table = load(path).tables[0]
        table.read_chunk(*table.chunks(100)[0])
        table.positions()
        assert "pandas" not in sys.modules, path
"""
    subprocess.run([sys.executable, "-c", code, *map(str, [*paths, parts])], check=True)


_GROWTH = """
import sys
from skyshade.loaders.api import load
from tests.loaders.peak import peak
table = load(sys.argv[1]).tables[0]
table.read_chunk(0, 1)
before = peak()
count = sum(table.read_chunk(*r, ["x"]).num_rows for r in table.chunks(100_000, ["x"]))
print(count, peak() - before, "pandas" in sys.modules)
"""


def growth(path: Path) -> tuple[int, int, bool]:
    """Return rows read in chunks by a fresh process, MiB that it grew, whether it took pandas."""
    command = [sys.executable, "-c", _GROWTH, str(path)]
    root = Path(__file__).parents[2]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, cwd=root
    )
    count, grown, heavy = found.stdout.split()
    return int(count), int(grown), heavy == "True"


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    rows = 6_000_000
    rng = np.random.default_rng(1)
    data = {"ra": rng.uniform(0, 360, rows), "dec": rng.uniform(-9, 9, rows), "x": np.arange(rows)}
    path = tmp_path / "big.parquet"
    pq.write_table(pa.table(data), path, row_group_size=rows, compression="none")
    count, grown, heavy = growth(path)
    assert (count, heavy) == (rows, False)
    assert grown < 100  # 144 MB in one row group
    hdu = np.rec.fromarrays(list(data.values()), names=list(data))
    fits.BinTableHDU(hdu).writeto(tmp_path / "big.fits")
    count, grown, heavy = growth(tmp_path / "big.fits")
    assert (count, heavy) == (rows, False)
    assert grown < 100
