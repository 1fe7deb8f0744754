"""VOTables: positions by UCD, frame and unit; what refers to other files is never followed."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import FK5, SkyCoord
from astropy.io.votable import from_table
from astropy.table import Table

from skyshade.errors import DataError, UnsupportedError
from skyshade.loaders import votable_check, votable_rows
from skyshade.loaders.api import load

MAIN_RA, MAIN_DEC = "pos.eq.ra;meta.main", "pos.eq.dec;meta.main"
ROW = "<TR><TD>{}</TD><TD>{}</TD></TR>"


def table(fields: str, *rows: str, head: str = "", name: str = "") -> str:
    data = f"<DATA><TABLEDATA>{''.join(rows)}</TABLEDATA></DATA>"
    return f"<RESOURCE>{head}<TABLE name='{name}'>{fields}{data}</TABLE></RESOURCE>"


def write(path: Path, *tables: str, head: str = "") -> Path:
    path.write_text(
        f"<?xml version='1.0'?>\n<VOTABLE version='1.4'>{head}{''.join(tables)}</VOTABLE>"
    )
    return path


def field(name: str, ucd: str = "", unit: str = "deg", kind: str = "double", more: str = "") -> str:
    text = f"<FIELD name='{name}' ucd='{ucd}' datatype='{kind}' {more}"
    return text + (f" unit='{unit}'/>" if unit else "/>")


PLAIN = field("ra") + field("dec")


def test_a_real_table(shared_data: Path) -> None:
    found: Any = load(shared_data / "real" / "catalog" / "labels.vot").tables[0]
    assert (found.name, len(found), found.frame) == ("labels", 748, "icrs")
    assert found.guess == "ra, dec from ra, dec (deg)"
    assert found.units["pmra"] == "mas / yr"
    crab = found.column("main_id").tolist().index("M   1")
    ra, dec = (values[crab] for values in found.positions())
    assert (ra, dec) == (pytest.approx(83.63, abs=0.01), pytest.approx(22.01, abs=0.01))
    chunk = found.read_chunk(crab, crab + 1)
    assert chunk["main_type"][0].as_py() == found.column("main_type")[crab]
    assert str(chunk.schema.field("nbref").type) == "int16"
    sexa: Any = load(
        shared_data / "real" / "catalog" / "labels.vot", ra="ra_sexa", dec="dec_sexa"
    ).tables[0]
    assert sexa.guess == "ra, dec from ra_sexa, dec_sexa (hms and dms)"
    for values, texts in zip(found.positions(), sexa.positions(), strict=True):
        near = np.isfinite(texts)
        assert near.all()
        np.testing.assert_allclose(texts[near], values[near], atol=0.02)


@pytest.mark.parametrize("form", ["tabledata", "binary", "binary2"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_form_of_data(tmp_path: Path, form: str, packed: bool) -> None:
    gone = form != "binary"  # which has no way to say so
    number = np.ma.array([1, 2, 3], mask=[False, gone, False], dtype="i4")
    item = Table({
        "RAJ2000": [10.0, 20.0, np.nan], "DEJ2000": [1.0, -2.0, 3.0], "n": number,
        "name": ["a", "\N{GREEK SMALL LETTER BETA}", ""], "flag": [True, False, True],
        "mag": np.array([1.5, np.nan, 2.5], "f4"), "vector": np.zeros((3, 2)),
    })  # fmt: skip
    item["RAJ2000"].unit = "deg"
    path = tmp_path / "t.vot"
    from_table(item).to_xml(str(path), tabledata_format=form)
    if packed:
        path = tmp_path / "t.vot.gz"
        path.write_bytes(gzip.compress((tmp_path / "t.vot").read_bytes()))
    found: Any = load(path).tables[0]
    assert tuple(found.columns) == ("RAJ2000", "DEJ2000", "n", "name", "flag", "mag")
    np.testing.assert_array_equal(found.positions()[0], [10, 20, np.nan])
    chunk = found.read_chunk(0, 3)
    assert chunk["n"].to_pylist() == [1, None if gone else 2, 3]
    assert chunk["name"].to_pylist()[:2] == ["a", "\N{GREEK SMALL LETTER BETA}"]
    assert chunk["flag"].to_pylist() == [True, False, True]
    types = {f.name: str(f.type) for f in chunk.schema}
    assert (types["n"], types["mag"], types["flag"]) == ("int32", "float", "bool")


@pytest.mark.parametrize(
    ("fields", "rows", "columns", "expected"),
    [
        (field("x", "pos.eq.ra") + field("y", "pos.eq.dec"), (10, 20), "x, y", (10, 20)),
        (field("x", "POS_EQ_RA_MAIN") + field("y", "POS_EQ_DEC_MAIN"), (1, 2), "x, y", (1, 2)),
        (field("x", "pos.eq.ra", "rad") + field("y", "pos.eq.dec", "rad"), (1, 0.5), "x, y",
         (57.29577951308232, 28.64788975654116)),
        (field("x", "pos.eq.ra", "hourangle") + field("y", "pos.eq.dec"), (2, 3), "x, y", (30, 3)),
        (field("x", "pos.eq.ra", "arcsec") + field("y", "pos.eq.dec", "arcmin"), (7200, 90), "x, y",
         (2, 1.5)),
        (field("RA", unit="") + field("DEC", unit=""), (3, 4), "RA, DEC", (3, 4)),
        (field("ra", "src.var", "") + field("dec", "src.var", "") + field("a", MAIN_RA)
         + field("d", MAIN_DEC), (9, 9, 5, 6), "a, d", (5, 6)),
        (field("r", "pos.eq.ra") + field("d", "pos.eq.dec") + field("r2", MAIN_RA)
         + field("d2", MAIN_DEC), (9, 9, 5, 6), "r2, d2", (5, 6)),
    ],
)  # fmt: skip
def test_ucds_and_units(
    tmp_path: Path, fields: str, rows: Any, columns: str, expected: tuple[float, float]
) -> None:
    row = "<TR>" + "".join(f"<TD>{v}</TD>" for v in rows) + "</TR>"
    found: Any = load(write(tmp_path / "t.xml", table(fields, row))).tables[0]
    assert found.guess.startswith(f"ra, dec from {columns} (")
    assert [float(v[0]) for v in found.positions()] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("units", "texts", "expected"),
    [
        (("&quot;h:m:s&quot;", "&quot;d:m:s&quot;"), ("01:30:00", "-00:30:36"), (22.5, -0.51)),
        (("", ""), ("01 30 00.0", "+10 15"), (22.5, 10.25)),
        (("", ""), ("01h30m0s", "-10d15m36s"), (22.5, -10.26)),
        (("", ""), ("22.5", "10.25"), (22.5, 10.25)),
        (("d:m:s", "d:m:s"), ("22:30:00", "-00:00:36"), (22.5, -0.01)),
        (("", ""), ("01:75:00", "10"), (np.nan, np.nan)),
        (("", ""), ("later", "10"), (np.nan, np.nan)),
    ],
)
def test_texts(
    tmp_path: Path, units: tuple[str, str], texts: tuple[str, str], expected: tuple[float, float]
) -> None:
    more = "arraysize='*'"
    fields = field("r", "pos.eq.ra", units[0], "char", more)
    fields += field("d", "pos.eq.dec", units[1], "char", more)
    found: Any = load(write(tmp_path / "t.vot", table(fields, ROW.format(*texts)))).tables[0]
    assert [float(v[0]) for v in found.positions()] == pytest.approx(expected, nan_ok=True)


EQUATORIAL, GALACTIC = ("pos.eq.ra", "pos.eq.dec"), ("pos.galactic.lon", "pos.galactic.lat")
NO_UCD = ("", "")


@pytest.mark.parametrize(
    ("system", "ucds", "referred", "frame"),
    [
        ("system='ICRS'", EQUATORIAL, True, "icrs"),
        ("system='eq_FK5' equinox='J2000'", EQUATORIAL, True, "fk5"),
        ("system='eq_FK5' equinox='J2000'", EQUATORIAL, False, "fk5"),
        ("system='FK5' equinox='1975'", EQUATORIAL, True, "fk5 J1975"),
        ("system='eq_FK4' equinox='B1950'", EQUATORIAL, False, "fk4"),
        ("system='galactic'", GALACTIC, True, "galactic"),
        ("system='GALACTIC'", NO_UCD, True, "galactic"),
        ("system='barycentric'", EQUATORIAL, True, "icrs"),
        ("system='ICRS'", GALACTIC, False, "galactic"),
    ],
)
def test_frames(
    tmp_path: Path, system: str, ucds: tuple[str, str], referred: bool, frame: str
) -> None:
    more = "ref='sys'" if referred else ""
    names = ("a", "b") if ucds[0] else ("lon", "lat")
    fields = field(names[0], ucds[0], more=more) + field(names[1], ucds[1], more=more)
    text = table(fields, ROW.format(80, 20), head=f"<COOSYS ID='sys' {system}/>")
    found: Any = load(write(tmp_path / "t.vot", text)).tables[0]
    assert found.frame == frame
    astropys = {"fk5 J1975": FK5(equinox="J1975")}.get(frame, frame)
    place = SkyCoord(80, 20, unit="deg", frame=astropys).icrs
    ra, dec = (float(v[0]) for v in found.positions())
    assert ra == pytest.approx(place.ra.deg, abs=1e-6)
    assert dec == pytest.approx(place.dec.deg, abs=1e-6)


def test_the_users_word_counts(tmp_path: Path) -> None:
    fields = field("a", "pos.eq.ra;meta.main") + field("b", "pos.eq.dec;meta.main") + PLAIN
    row = "<TR><TD>1</TD><TD>2</TD><TD>3</TD><TD>4</TD></TR>"
    path = write(tmp_path / "t.vot", table(fields, row))
    assert load(path).tables[0].guess == "ra, dec from a, b (deg)"
    found: Any = load(path, ra="ra", dec="dec", frame="galactic", name="x").tables[0]
    assert (found.guess, found.name) == ("ra, dec from ra, dec (deg, galactic to ICRS)", "x")


def test_several_tables(tmp_path: Path) -> None:
    other = table(field("flux"), "<TR><TD>1</TD></TR>", name="none")
    path = write(
        tmp_path / "t.vot",
        table(PLAIN, ROW.format(1, 2), name="stars"),
        other,
        table(PLAIN, ROW.format(3, 4), ROW.format(5, 6)),
        table(PLAIN, ROW.format(3, 4), name="stars"),
    )
    loaded = load(path)
    names = ["t-stars", "t-3", "t-stars_2"]
    assert [(t.name, len(t)) for t in loaded.tables] == list(zip(names, (1, 2, 1), strict=True))
    assert len({t.version() for t in loaded.tables}) == 3
    assert "table 2: no coordinate columns recognised" in loaded.notes[0]


BAD = {
    "doctype": ("<!DOCTYPE VOTABLE SYSTEM 'http://h.invalid/x.dtd'><VOTABLE/>", "DOCTYPE"),
    "entity": ("<!DOCTYPE v [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><VOTABLE>&a;</VOTABLE>",
               "DOCTYPE"),
    "parameter": ("<!DOCTYPE v [<!ENTITY % a SYSTEM 'http://h.invalid/'>%a;]><VOTABLE/>",
                  "DOCTYPE"),
    "stream": ("<VOTABLE><RESOURCE><TABLE><FIELD name='ra' datatype='int'/><DATA><BINARY>"
               "<STREAM href='http://127.0.0.1:9/x'/></BINARY></DATA></TABLE></RESOURCE></VOTABLE>",
               "STREAM refers to 'http://127.0.0.1:9/x'"),
    "fits": ("<VOTABLE><RESOURCE><TABLE><DATA><FITS><STREAM href = 'file:///etc/passwd'/></FITS>"
             "</DATA></TABLE></RESOURCE></VOTABLE>", "STREAM refers to"),
    "prefix": ("<v:VOTABLE xmlns:v='x'><v:RESOURCE><v:TABLE><v:DATA><v:BINARY2>"
               "<v:STREAM v:href='file:///etc/passwd'/></v:BINARY2></v:DATA></v:TABLE></v:RESOURCE>"
               "</v:VOTABLE>", "refers to 'file:///etc/passwd'"),
    "include": ("<VOTABLE xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include "
                "href='file:///etc/passwd' parse='text'/></VOTABLE>", "XInclude"),
    "deep": ("<VOTABLE>" + "<GROUP>" * 5000, "more than 64 elements within one another"),
    "rows": (f"<VOTABLE><RESOURCE><TABLE nrows='{10**15}'>{PLAIN}</TABLE></RESOURCE></VOTABLE>",
             "a table of nrows = '1000000000000000' in a file of"),
    "cells": ("<VOTABLE><RESOURCE><TABLE>" + field("ra", more="arraysize='99999x99999'")
              + "</TABLE></RESOURCE></VOTABLE>", "of its rows|its rows take"),
    "cut": ("<VOTABLE><RESOURCE>", "broken VOTable"),
    "nothing": ("<VOTABLE></VOTABLE>", "no table in the VOTable"),
    "query": ("<VOTABLE><RESOURCE><INFO name='QUERY_STATUS' value='ERROR'>no such\ncolumn</INFO>"
              "</RESOURCE></VOTABLE>", "the query failed: no such column"),
    "places": ("<VOTABLE><RESOURCE><TABLE>" + field("flux") + "</TABLE></RESOURCE></VOTABLE>",
               "columns: flux"),
    "root": ("<html>VOTABLE</html>", "its root is html"),
    "values": ("<VOTABLE><RESOURCE>" + table(PLAIN, "<TR><TD>1</TD><TD>2</TD><TD>3</TD></TR>")
               + "</RESOURCE></VOTABLE>", "broken VOTable"),
}  # fmt: skip
_WATCHED = """
import json, sys
import numpy, pyarrow, astropy.io.votable, astropy.units, astropy.table
from skyshade.errors import DataError
from skyshade.loaders.api import load
load(sys.argv[1])
opened = []
def hook(event, arguments):
    if event.startswith(("socket.", "urllib.", "http.", "subprocess.")) or event == "open":
        opened.append(f"{event} {arguments[0] if arguments else ''}")
sys.addaudithook(hook)
said = []
for path in sys.argv[2:]:
    try:
        load(path)
        said.append("")
    except DataError as error:
        said.append(str(error))
print(json.dumps([said, opened]))
"""


def test_no_file_and_no_host_is_opened(tmp_path: Path, shared_data: Path) -> None:
    good = write(tmp_path / "good.vot", table(PLAIN, ROW.format(1, 2)))
    paths = [
        shared_data / "bad" / "billion_laughs.vot",
        shared_data / "bad" / "xinclude_stream.vot",
    ]
    causes = ["holds a DOCTYPE", "STREAM refers to 'file:///etc/passwd'"]
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        for name, (text, cause) in BAD.items():
            paths.append(tmp_path / f"{name}-{encoding}.vot")
            head = f"<?xml version='1.0' encoding='{encoding}'?>\n<!-- <VOTABLE> -->"
            paths[-1].write_bytes((head + text).encode(encoding))
            causes.append(cause)
    command = [sys.executable, "-c", _WATCHED, str(good), *map(str, paths)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    said, opened = json.loads(found.stdout)
    for path, message, cause in zip(paths, said, causes, strict=True):
        assert message.startswith(f"{path.name}: "), (path.name, message)
        assert any(c in message for c in cause.split("|")), (path.name, message)
        assert "\n" not in message
    names = {p.name for p in paths}
    foreign = [line for line in opened if line.rpartition("/")[2] not in names]
    assert not foreign


def test_too_large(tmp_path: Path) -> None:
    path = write(tmp_path / "t.vot", table(PLAIN, *[ROW.format(1, 2)] * 1000))
    with pytest.raises(UnsupportedError, match=r"VOTables of at most 9\.77 KiB are read"):
        load(path, max_decoded=10_000)
    fields = PLAIN + field("t", kind="char", more="arraysize='900'")
    wide = write(tmp_path / "w.vot", table(fields, *[ROW.format(1, 2)] * 1000))
    with pytest.raises(DataError, match=r"w\.vot: its rows take at least 904 KiB in memory"):
        load(wide, max_decoded=100_000)


MIXED = "".join([
    field("ra", MAIN_RA, "rad"), field("dec", MAIN_DEC, "rad"), field("v", more="arraysize='2'"),
    "<FIELD name='n' datatype='short'><VALUES null='-9'/></FIELD>",
    field("t", kind="char", more="arraysize='*'"), field("f", kind="float"),
    field("u", kind="unicodeChar", more="arraysize='3'"), field("flag", kind="boolean"),
    field("big", kind="long"), field("hex", kind="int"), field("bit", kind="bit"),
])  # fmt: skip
BETA = "\N{GREEK SMALL LETTER BETA}"
CELLS = (
    ("0.5", "0.25", "1 2", "7", " a&lt;b ", "1e3", BETA, "T", str(2**62 + 1), "0x1F", "1"),
    ("", "NaN", "1 2", "-9", "", "", "", "?", "", "-3", "0"),
    ("1.5", " 0.75 ", "", "", "<![CDATA[c]]>d", "+Inf", "x", "false", "12", "", "1"),
)  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
def test_large_ones_are_as_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(votable_rows, "_CHUNK", 50)
    monkeypatch.setattr(votable_rows, "_ROWS", 4)
    rows = ["<TR>" + "".join(f"<TD>{c}</TD>" for c in cells) + "</TR>\n" for cells in CELLS * 5]
    tables = (
        table(MIXED, *rows),
        table(field("flux"), "<TR><TD>1</TD></TR>"),
        table(PLAIN, ROW.format(3, 4)),
    )
    text = "".join(tables).replace(BETA, BETA if encoding == "utf-8" else "\xe9")
    path = tmp_path / "t.vot"
    head = f"<?xml version='1.0' encoding='{encoding}'?><VOTABLE version='1.4'>"
    path.write_bytes(f"{head}{text}</VOTABLE>".encode(encoding))
    small = load(path)
    monkeypatch.setattr(votable_check, "STREAMED", 10)
    large = load(path)
    assert large.notes == small.notes
    assert [t.name for t in large.tables] == [t.name for t in small.tables]
    for one, other in zip(small.tables, large.tables, strict=True):
        whole, streamed = (t.read_chunk(0, 99) for t in (one, other))  # type: ignore[attr-defined]
        assert streamed.schema.equals(whole.schema, check_metadata=True)
        assert str(streamed.to_pylist()) == str(whole.to_pylist())
        assert (one.guess, one.version()) == (other.guess, other.version())


def test_a_large_one_of_too_many_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votable_check, "STREAMED", 10)
    path = write(tmp_path / "t.vot", table(PLAIN, ROW.format(1, "2</TD><TD>3")))
    with pytest.raises(
        DataError, match=r"t\.vot: broken VOTable: a row of 3 cells, more than the 2"
    ):
        load(path)
