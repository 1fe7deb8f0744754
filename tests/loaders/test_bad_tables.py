"""Damaged, odd and hostile tables: one clear line each, in bounded time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from skyshade.errors import DataError, InputError, UnsupportedError
from skyshade.loaders import csv_scan
from skyshade.loaders.api import load
from skyshade.loaders.place_notes import look_like_radians

ROOT = Path(__file__).parents[2]
_MEASURE = """
import json, sys, time
import pyarrow.csv, pyarrow.parquet
from tests.loaders.peak import peak
from skyshade.errors import DataError
from skyshade.loaders.api import load
load(sys.argv[2])
before, start = peak(), time.process_time()
said = ""
try:
    table = load(sys.argv[1]).tables[0]
    for name in sys.argv[3:]:
        for chunk in table.chunks(columns=[name]):
            table.read_chunk(*chunk, [name])
except DataError as error:
    said = str(error)
print(json.dumps([said, time.process_time() - start, peak() - before]))
"""


def measured(path: Path, *columns: str) -> str:
    """Return the message of opening a file in a fresh process, which must stay small and quick."""
    good = path.parent / "good.parquet"
    pq.write_table(pa.table({"ra": [1.0], "dec": [2.0]}), good)
    command = [sys.executable, "-c", _MEASURE, str(path), str(good), *columns]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, cwd=ROOT
    )
    said, seconds, megabytes = json.loads(found.stdout)
    assert seconds < 20
    assert megabytes < 300
    assert "\n" not in said
    return str(said)


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def repeated(value: Any, rows: int) -> Any:
    """Return one value many times, as a dictionary: a few bytes in a Parquet file."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


def test_no_positions_names_forty_columns(tmp_path: Path) -> None:
    names = {f"column_{i:03}": [1.0] for i in range(200)}
    with pytest.raises(UnsupportedError) as caught:
        load(parquet(tmp_path / "t.parquet", **names))
    said = str(caught.value)
    assert said.startswith("t.parquet: no coordinate columns recognised; name them with --ra")
    assert said.endswith("column_038, column_039 and 160 more")


RADIANS = {"ra": np.linspace(0.001, 6.28, 500), "dec": np.linspace(-1.5, 1.5, 500)}


@pytest.mark.parametrize("kind", ["parquet", "csv", "fits", "dict"])
def test_radians_are_told_of(tmp_path: Path, kind: str) -> None:
    item: Any = RADIANS
    if kind == "parquet":
        item = parquet(tmp_path / "t.parquet", **RADIANS)
    elif kind == "csv":
        item = tmp_path / "t.csv"
        np.savetxt(item, np.c_[RADIANS["ra"], RADIANS["dec"]], "%.9f", ",", header="ra,dec")
    elif kind == "fits":
        item = tmp_path / "t.fits"
        fits.BinTableHDU(np.rec.fromarrays(list(RADIANS.values()), names="ra,dec")).writeto(item)
    table: Any = load(item).tables[0]
    assert len(table.notes) == 1
    assert "look like radians, but are read as degrees: --ra 'ra [rad]' --dec" in table.notes[0]
    np.testing.assert_allclose(table.positions()[0], RADIANS["ra"])
    turned: Any = load(item, ra="ra [rad]", dec="DEC [rad]").tables[0]
    assert turned.guess == "ra, dec from ra, dec (rad)"
    assert turned.notes == ()
    np.testing.assert_allclose(turned.positions()[1], np.degrees(RADIANS["dec"]))


def test_what_a_unit_may_be() -> None:
    with pytest.raises(InputError, match="unit 'parsec' of 'ra' is not allowed: deg, rad, hour"):
        load(RADIANS, ra="ra [parsec]", dec="dec [rad]")
    odd = {"ra [x]": [1.0], "dec [x]": [2.0]}
    assert load(odd, ra="ra [x]", dec="dec [x]").tables[0].positions()[0].tolist() == [1.0]


@pytest.mark.parametrize(
    ("lon", "lat", "expected"),
    [
        ((0.01, 6.27), (-1.5, 1.2), True),
        ((-3.13, 3.14), (-1.5, 1.2), True),
        ((0.0, 6.27), (-0.5, 0.5), False),
        ((0.0, 6.0), (-1.5, 1.5), False),
        ((0.2, 6.28), (-1.5, 1.5), False),
        ((0.0, 6.3), (-1.5, 1.5), False),
        ((0.0, 6.28), (-1.5, 1.6), False),
        ((-2.0, 2.0), (-1.5, 1.5), False),
    ],
)
def test_a_small_field_is_no_radians(
    lon: tuple[float, float], lat: tuple[float, float], expected: bool
) -> None:
    assert look_like_radians(lon, lat) == expected


def test_columns_with_units_are_no_radians(tmp_path: Path) -> None:
    columns = [fits.Column("ra", "D", "deg", array=RADIANS["ra"])]
    columns.append(fits.Column("dec", "D", "deg", array=RADIANS["dec"]))
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    assert load(tmp_path / "t.fits").tables[0].notes == ()


def test_positions_off_the_sky_are_told_of(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", ra=[1.0, 400.0, 5.0], dec=[-95.0, 1.0, 2.0])
    table: Any = load(path).tables[0]
    assert table.notes == (
        "ra is 1 to 400 degrees: positions outside -180..360 are not shown",
        "dec is -95 to 2 degrees: positions outside -90..90 are not shown",
    )
    chunk = table.read_chunk(0, 3)
    assert np.isnan(chunk["_ra"].to_numpy()).tolist() == [True, True, False]
    assert chunk["ra"].to_pylist() == [1.0, 400.0, 5.0]


@pytest.mark.parametrize("kind", ["parquet", "csv", "fits", "dict", "votable"])
def test_empty_tables(tmp_path: Path, kind: str) -> None:
    none = np.empty(0)
    item: Any = {"ra": none, "dec": none}
    if kind == "parquet":
        item = parquet(tmp_path / "t.parquet", ra=none, dec=none)
    elif kind == "csv":
        item = tmp_path / "t.csv"
        item.write_text("ra,dec\n")
    elif kind == "fits":
        item = tmp_path / "t.fits"
        fits.BinTableHDU(np.rec.fromarrays([none, none], names="ra,dec")).writeto(item)
    elif kind == "votable":
        item = tmp_path / "t.vot"
        field = "<FIELD name='{}' datatype='double' unit='deg'/>"
        fields = field.format("ra") + field.format("dec")
        item.write_text(f"<VOTABLE><RESOURCE><TABLE>{fields}</TABLE></RESOURCE></VOTABLE>")
    table: Any = load(item).tables[0]
    assert (len(table), table.notes, list(table.chunks())) == (0, ("0 rows",), [])
    assert table.positions()[0].size == 0
    assert table.read_chunk(0, 0).num_rows == 0


def test_numbers_among_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{i % 360},0,{i}" for i in range(900)]
    rows[850] = "10,0,<0.5"
    (tmp_path / "t.csv").write_text("ra,dec,flux\n" + "\n".join(rows))
    for block in (csv_scan.BLOCK, 1000):
        monkeypatch.setattr(csv_scan, "BLOCK", block)
        table: Any = load(tmp_path / "t.csv").tables[0]
        assert table.notes == ("column 'flux' is text: '<0.5' among its numbers",)
        assert table.column("flux")[[849, 850]].tolist() == ["849", "<0.5"]


def test_types_over_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_scan, "BLOCK", 500)
    rows = [f"{i % 360},0,{i},,,12:30:{i % 60:02}" for i in range(200)]
    rows[-2:] = ["1,0,1.5,x,2020-01-01T00:00:00,1", "2,0,1e30,y,2020-01-01T00:00:00.5,2"]
    (tmp_path / "t.csv").write_text("ra,dec,n,late,when,time\n" + "\r\n".join(rows) + "\r\n")
    table: Any = load(tmp_path / "t.csv").tables[0]
    types = {f.name: str(f.type) for f in table.schema()}
    assert types["n"] == "double"
    assert types["late"] == types["time"] == "string"
    assert types["when"] == "timestamp[ns]"
    assert table.column("n")[-2:].tolist() == [1.5, 1e30]
    assert table.column("late")[[0, -1]].tolist() == [None, "y"]
    assert table.column("time")[5] == "12:30:05"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('ra,dec,t\n1,2,"a\nb"\n3,4,"c""\n""d"\n', ["a\nb", 'c"\n"d']),
        ('ra,dec,t\n1,2,5" tube\n3,4,b\n', ['5" tube', "b"]),
        ('"ra","d\nx",dec,t\r\n1,9,2,a\r\n\r\n3,9,4,b', ["a", "b"]),
        ("ra,dec,t\r1,2,a\r3,4,b\r", ["a", "b"]),
        ("# made, by hand\n#\n#ra,dec,t\n1,2,a\n3,4,b", ["a", "b"]),
        ("\ufeff# a comment\nra;dec;t\n1;2;a,b\n3;4;c\n", ["a,b", "c"]),
    ],
)
@pytest.mark.parametrize("block", [8, 1 << 20])
def test_where_rows_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, rows: list[str], block: int
) -> None:
    monkeypatch.setattr(csv_scan, "BLOCK", block)
    (tmp_path / "t.csv").write_bytes(text.encode())
    table: Any = load(tmp_path / "t.csv").tables[0]
    assert table.column("t").tolist() == rows
    assert table.positions()[0].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"ra,dec\n1,2\n" * 50 + b"3,\0\n", r"holds NUL bytes \(the first is byte 552\)"),
        ("ra,dec\n1,2\n".encode("utf-16"), "text in UTF-16; convert to UTF-8"),
        (b"ra,dec\n1,2\n" + b"x" * 5000, "row at byte 11 is longer than 1000 bytes"),
        (b'ra,dec\n1,2\n1,"2' + b"3,4\n" * 2000, r"longer than 1000 bytes \(a quote that is not"),
    ],
)
def test_broken_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes, cause: str
) -> None:
    monkeypatch.setattr(csv_scan, "BLOCK", 100)
    monkeypatch.setattr(csv_scan, "LINE", 1000)
    (tmp_path / "t.csv").write_bytes(raw)
    with pytest.raises(DataError, match=rf"t\.csv: .*{cause}"):
        load(tmp_path / "t.csv")


def test_one_line_of_a_gigabyte(tmp_path: Path) -> None:
    for name, start in (("body.csv", b"ra,dec\n1,2\n"), ("head.csv", b"ra,dec,")):
        path = tmp_path / name
        with path.open("wb") as file:
            file.write(start)
            for _ in range(64):
                file.write(b"7" * (1 << 20))
            file.truncate(1 << 30)
        said = measured(path)
        path.unlink()
        assert said.startswith(f"{name}: ")
        wanted = "the row at byte 11 is longer than 16 MiB" if name == "body.csv" else "header"
        assert wanted in said


def test_a_footer_that_lies(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", ra=[1.0], dec=[2.0])
    good = path.read_bytes()
    for length in (0xFFFFFFF0, len(good), 0):
        path.write_bytes(good[:-8] + length.to_bytes(4, "little") + b"PAR1")
        said = measured(path)
        assert said.startswith("t.parquet: broken Parquet file: ")
        if length:
            assert f"its footer claims {length} bytes, the file has {len(good)}" in said
    path.write_bytes(good[:-9])
    assert measured(path).endswith("no footer at its end (cut short?)")
    path.write_bytes(good[:20] + bytes(30) + good[50:])
    with pytest.raises(DataError, match=r"t\.parquet: broken Parquet file"):
        load(path).tables[0].positions()


def test_a_bomb_of_positions(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    rows = 20_000_000
    table = pa.table({"ra": np.zeros(rows), "dec": np.ones(rows)})
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 200_000
    said = measured(path, "ra")
    assert "bomb.parquet: positions of 20000000 rows in" in said
    assert said.endswith(
        "which decode to 305 MiB; at most 200 bytes a stored byte are allowed (max_decoded)"
    )
    assert len(load(path, max_decoded=1 << 30).tables[0]) == rows


def test_a_bomb_of_texts(tmp_path: Path) -> None:
    rows, text = 300_000, "x" * 100_000
    rng = np.random.default_rng(1)
    place = {"ra": rng.uniform(0, 360, rows), "dec": rng.uniform(-90, 90, rows)}
    path = parquet(tmp_path / "kept.parquet", **place, t=repeated(text, rows))
    kept: Any = load(path).tables[0]
    assert kept.column("t")[7] == text
    assert kept.read_chunk(*kept.chunks()[0])["t"][7].as_py() == text
    path = tmp_path / "t.parquet"
    pq.write_table(pq.read_table(tmp_path / "kept.parquet"), path, store_schema=False)
    assert str(load(path).tables[0].schema().field("t").type) == "string"
    said = measured(path, "t")
    assert said == (
        "t.parquet: column 't': 300000 rows decode to 27.9 GiB of text; at most 512 MiB at once"
    )


def test_rows_that_are_not_there(tmp_path: Path) -> None:
    """A row group that promises more rows than its pages hold."""
    path = parquet(tmp_path / "t.parquet", ra=np.arange(1000.0), dec=np.zeros(1000))
    good = path.read_bytes()
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    number = bytes([0xD0, 0x0F])  # 1000 as a zigzag varint
    raw = bytearray(good)
    at = footer
    while (at := raw.find(number, at)) >= 0:
        raw[at : at + 2] = bytes([0xD2, 0x0F])
        at += 2
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"t\.parquet: "):
        load(path).tables[0].positions()


def test_whole_columns_have_a_limit(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", ra=np.arange(1000.0), dec=np.zeros(1000))
    table: Any = load(path, max_decoded=10_000).tables[0]
    with pytest.raises(DataError, match=r"1000 rows take 15.6 KiB in memory; at most 9.77 KiB"):
        table.positions()
    assert table.read_chunk(0, 1000).num_rows == 1000
