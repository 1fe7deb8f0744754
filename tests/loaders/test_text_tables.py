"""Parquet, CSV and JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyshade.errors import ChangedError, DataError, UnsupportedError
from skyshade.loaders.api import load

N = 1000


@pytest.fixture
def arrow() -> pa.Table:
    rng = np.random.default_rng(6)
    mag = pa.array(rng.normal(size=N), mask=np.arange(N) % 7 == 0)
    unit = {b"unit": b"rad"}
    return pa.table(
        {
            "coord_ra": rng.uniform(0, 6.28, N),
            "coord_dec": rng.uniform(-1.5, 1.5, N),
            "mag": mag,
            "n": pa.array(np.arange(N), mask=np.arange(N) % 9 == 0),
            "big": pa.array(2**60 + np.arange(N)),
            "name": pa.array([None if i % 5 == 0 else f"é{i}" for i in range(N)]),
            "kind": pa.array(["a", "b"] * (N // 2)).dictionary_encode(),
            "ok": pa.array([True, False] * (N // 2)),
            "maybe": pa.array([True, None] * (N // 2)),
            "price": pa.array(np.arange(N)).cast(pa.decimal128(25, 2)),
            "list": pa.array([[1, 2]] * N),
            "none": pa.nulls(N, pa.float64()),
        },
        schema=None,
    ).cast(pa.schema([
        pa.field("coord_ra", pa.float64(), metadata=unit),
        pa.field("coord_dec", pa.float64(), metadata=unit),
        pa.field("mag", pa.float64(), metadata={b"units": b"mag"}),
        pa.field("n", pa.int64()), pa.field("big", pa.int64()), pa.field("name", pa.string()),
        pa.field("kind", pa.dictionary(pa.int32(), pa.string())), pa.field("ok", pa.bool_()),
        pa.field("maybe", pa.bool_()), pa.field("price", pa.decimal128(25, 2)),
        pa.field("list", pa.list_(pa.int64())), pa.field("none", pa.float64()),
    ]))  # fmt: skip


def test_parquet_columns(tmp_path: Path, arrow: pa.Table) -> None:
    pq.write_table(arrow, tmp_path / "t.parquet", row_group_size=300)
    table = load(tmp_path / "t.parquet").tables[0]
    assert (table.name, len(table)) == ("t", N)
    assert table.guess == "ra, dec from coord_ra, coord_dec (rad)"
    assert table.units == {"coord_ra": "rad", "coord_dec": "rad", "mag": "mag"}
    assert "list" not in table.columns
    ra, dec = table.positions()
    np.testing.assert_allclose(ra, np.degrees(arrow["coord_ra"].to_numpy()))
    np.testing.assert_allclose(dec, np.degrees(arrow["coord_dec"].to_numpy()))
    np.testing.assert_array_equal(table.column("mag"), arrow["mag"].to_numpy())
    whole = table.column("n")
    assert np.isnan(whole[::9]).all()
    assert whole[1] == 1
    assert table.column("big").dtype == np.int64
    assert table.column("big")[-1] == 2**60 + N - 1
    assert table.column("name")[[0, 1]].tolist() == [None, "é1"]
    assert table.column("kind")[[0, 1]].tolist() == ["a", "b"]
    assert table.column("ok").dtype == bool
    assert table.column("maybe")[[0, 1]].tolist() == [True, None]
    assert table.column("price")[5] == 5.0
    assert np.isnan(table.column("none")).all()


@pytest.mark.parametrize(("start", "stop"), [(0, N), (0, 0), (299, 301), (650, 5000), (300, 600)])
def test_parquet_rows(tmp_path: Path, arrow: pa.Table, start: int, stop: int) -> None:
    pq.write_table(arrow, tmp_path / "t.parquet", row_group_size=300)
    table = load(tmp_path / "t.parquet").tables[0]
    found = table.read(["big", "mag"], start, stop)
    np.testing.assert_array_equal(found["big"], arrow["big"].to_numpy()[start:stop])
    np.testing.assert_array_equal(found["mag"], arrow["mag"].to_numpy()[start:stop])


def test_parquet_that_changes(tmp_path: Path, arrow: pa.Table) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(arrow, path)
    table = load(path).tables[0]
    version = table.version()
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    assert table.version() != version
    with pytest.raises((DataError, ChangedError), match=r"t\.parquet"):
        table.column("mag")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-8-sig"])
def test_csv(tmp_path: Path, separator: str, encoding: str) -> None:
    lines = ["# made by hand", "name,RADeg,decDeg,mag", "Bé,10.5,-3,", "x,370,1,4.5", "bad,row"]
    text = "\n".join(line.replace(",", separator) for line in lines)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    table = load(tmp_path / "t.csv").tables[0]
    ra, dec = table.positions()
    np.testing.assert_array_equal(ra, [10.5, np.nan])
    np.testing.assert_array_equal(dec, [-3, np.nan])
    assert table.column("name")[0] == "Bé"
    np.testing.assert_array_equal(table.column("mag"), [np.nan, 4.5])
    dropped = "1 rows with another number of fields were dropped"
    latin = ("text that is not UTF-8 was read as Latin-1",) if encoding == "latin-1" else ()
    off = "RADeg is 10.5 to 370 degrees: positions outside -180..360 are not shown"
    assert table.notes == (off, dropped, *latin)


def test_packed_csv(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"ra,dec\n1,2\n"))
    table = load(tmp_path / "t.csv.gz").tables[0]
    assert (table.name, table.positions()[0].tolist()) == ("t", [1.0])


def test_broken_csv(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\0\1\2")
    with pytest.raises(DataError, match=r"t\.csv: not a CSV file"):
        load(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(UnsupportedError, match="columns: a, b"):
        load(tmp_path / "t.csv")


def test_json_source_list(tmp_path: Path) -> None:
    entries = [
        {"ra": 1.0, "dec": 2, "name": "A <b>", "extra": {"SNR": 5.5, "z": None, "ra": 9}},
        {"ra": -10, "dec": 20.0, "name": None, "extra": None},
        {"dec": 2.0, "extra": {"tags": [1, 2]}},
        "nonsense",
    ]
    (tmp_path / "s.json").write_text(json.dumps(entries))
    table = load(tmp_path / "s.json").tables[0]
    assert tuple(table.columns) == ("ra", "dec", "name", "SNR", "z", "tags")
    np.testing.assert_array_equal(table.positions()[0], [1, 350, np.nan])
    assert table.column("name").tolist() == ["A <b>", None, None]
    np.testing.assert_array_equal(table.column("SNR"), [5.5, np.nan, np.nan])
    assert table.column("tags").tolist() == [None, None, "[1, 2]"]
    assert table.notes == ("2 records were skipped (record 3: ra is missing)",)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[{", "broken JSON"),
        ("[" * 100_000, "broken JSON"),
        ('{"ra": 1}', "not a list of"),
        ("[1, 2]", "no objects in the JSON list"),
        ('[{"a": 1}]', "columns: a"),
        ('[{"ra": ' + "9" * 5000 + ', "dec": 1}]', "broken JSON"),
    ],
)
def test_broken_json(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DataError, match=rf"s\.json: .*{cause}"):
        load(tmp_path / "s.json")


@pytest.mark.parametrize(
    ("head", "cause"),
    [
        (b"<?xml version='1.0'?><svg/>", "XML is not read"),
        (b"\x1f\x9d\x90", "LZW"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"hello world", "not FITS, Parquet, VOTable, JPEG, PNG, TIFF, CSV or a JSON list"),
    ],
)
def test_other_kinds_say_why_not(tmp_path: Path, head: bytes, cause: str) -> None:
    (tmp_path / "x.dat").write_bytes(head)
    with pytest.raises(UnsupportedError, match=rf"x\.dat: .*{cause}"):
        load(tmp_path / "x.dat")


def test_text_that_is_no_utf8_is_shown_all_the_same() -> None:
    import pyarrow as pa

    from skyshade.index.arrow import to_numpy

    offsets, data = pa.py_buffer(np.array([0, 2, 3], "<i4").tobytes()), pa.py_buffer(b"\xda\xffx")
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, data])
    assert to_numpy(broken).tolist() == ["\N{REPLACEMENT CHARACTER}" * 2, "x"]
