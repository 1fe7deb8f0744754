"""Rows of catalogues over HTTP, through ASGI and through Tornado."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyshade.app import rows_formats
from skyshade.atlas.atlas import Atlas, Entry
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.regions import Cone, Polygon, Rectangle
from tests.layers.tables import ArrayTable, sphere

N = 5000
RA, DEC = sphere(N)
VT = (np.arange(N) % 120 / 10).astype(np.float32)
VT[::7] = np.nan
NAMES = np.array([f"star {i}" for i in range(N)], object)
NAMES[1], NAMES[2], NAMES[3] = None, 'a "b", c', "=HYPERLINK(1)"
NAMES[4], NAMES[5], NAMES[6] = (
    "-05:23:28",
    "+cmd|'/C calc'!A0",
    "line\nbreak \N{GREEK SMALL LETTER ALPHA}",
)
COLUMNS = {
    "name": NAMES,
    "vt": VT,
    "id": np.arange(N) + 2**60,
    "pm": np.stack([np.arange(N) * 0.5, np.ones(N)], axis=1),
    "when": np.full(N, "2000-01-01", "M8[D]") + np.arange(N),
    "good": np.arange(N) % 2 == 0,
    "a, b": np.arange(N, dtype=np.uint8),
}
TABLE = ArrayTable(RA, DEC, COLUMNS, units={"vt": "mag", "pm": "mas / yr"})


@pytest.fixture
def api(connect: Any) -> Any:
    atlas = Atlas()
    atlas.add(Entry("stars", CatalogLayer(TABLE, id="stars"), title="stars"))
    return connect(atlas)


def get(api: Any, query: str = "", what: str = "rows") -> Any:
    reply = api.get(f"/api/layers/stars/{what}", params=query)
    assert reply.status_code == 200, reply.text
    return reply


def strict(reply: Any) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(reply.text, parse_constant=refuse)


def test_json_is_a_list_of_objects(api: Any) -> None:
    reply = get(api, "ra=10&dec=20&radius=15")
    inside = np.flatnonzero(Cone(10, 20, 15).contains(RA, DEC))
    found = strict(reply)
    assert {row["id"] for row in found} == set(COLUMNS["id"][inside].tolist())
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["skyshade-total"] == str(inside.size)
    assert reply.headers["skyshade-truncated"] == "false"
    assert list(found[0]) == ["ra", "dec", *COLUMNS]
    away = [Cone(10, 20, 15).distances(np.array([r["ra"]]), np.array([r["dec"]]))[0] for r in found]
    assert away == sorted(away)


def test_cells_of_json(api: Any) -> None:
    whole = strict(get(api, "limit=7"))
    assert [row["name"] for row in whole] == NAMES[:7].tolist()
    assert [row["vt"] for row in whole] == [None, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert whole[1]["id"] == 2**60 + 1
    assert (whole[3]["pm"], whole[3]["when"], whole[3]["good"]) == ([1.5, 1.0], "2000-01-04", False)


def test_boxes_and_polygons(api: Any) -> None:
    for query, region in [
        ("box=20,340,-30,10", Rectangle(380, 340, -30, 10)),
        ("box=380,340,-30,10", Rectangle(380, 340, -30, 10)),
        ("polygon=350,-10,30,-5,20,60", Polygon([(350, -10), (30, -5), (20, 60)])),
        ("polygon=0,60, 90,60, 180,60, 270,60", Polygon([(0, 60), (90, 60), (180, 60), (270, 60)])),
    ]:
        inside = np.flatnonzero(region.contains(RA, DEC))
        reply = get(api, f"{query}&limit=5000&columns=id")
        assert [row["id"] - 2**60 for row in strict(reply)] == inside.tolist(), query
        assert reply.headers["skyshade-total"] == str(inside.size)


def test_limit_and_total(api: Any) -> None:
    reply = get(api, "columns=")
    assert (len(reply.json()), list(reply.json()[0])) == (1000, ["ra", "dec"])
    assert reply.headers["skyshade-total"] == str(N)
    assert reply.headers["skyshade-truncated"] == "true"
    none = get(api, "limit=0")
    assert (none.json(), none.headers["skyshade-total"]) == ([], str(N))


def test_where_and_columns(api: Any) -> None:
    reply = get(api, 'where=vt<1 %26 id>1152921504606847000&columns=vt,"a, b"&limit=5000')
    expected = np.flatnonzero((VT < 1) & (np.arange(N) > 24))
    assert [row["a, b"] for row in reply.json()] == COLUMNS["a, b"][expected].tolist()
    assert list(reply.json()[0]) == ["ra", "dec", "vt", "a, b"]
    some = get(api, "where=name in ('star 10', 'star 11')&columns=name").json()
    assert [row["name"] for row in some] == ["star 10", "star 11"]


def test_csv(api: Any) -> None:
    reply = get(api, "limit=5000&format=csv")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="stars.csv"'
    lines = list(csv.reader(io.StringIO(reply.content.decode(), newline="")))
    assert lines[0] == ["ra", "dec", *COLUMNS]
    assert len(lines) == N + 1
    names = [line[2] for line in lines[1:8]]
    assert names[:3] == ["star 0", "", 'a "b", c']
    assert names[3:6] == ["'=HYPERLINK(1)", "-05:23:28", "'+cmd|'/C calc'!A0"]  # no formulas
    assert names[6] == NAMES[6]
    assert lines[1][3] == ""  # NaN
    np.testing.assert_array_equal([float(line[0]) for line in lines[1:]], RA)
    assert lines[4][5:] == ["[1.5, 1.0]", "2000-01-04 00:00:00.000000", "false", "3"]


def test_formulas_in_names_of_columns(connect: Any) -> None:
    atlas = Atlas()
    table = ArrayTable([1.0], [2.0], {"=1+1": np.array([3])})
    atlas.add(Entry("stars", CatalogLayer(table, id="stars"), title="stars"))
    reply = get(connect(atlas), "format=csv")
    assert reply.content.decode().splitlines() == ["ra,dec,'=1+1", "1,2,3"]


@pytest.mark.parametrize("fmt", ["parquet", "arrow"])
def test_parquet_and_arrow(api: Any, fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyshade.layers.catalog_rows.PART", 1000)
    reply = get(api, f"limit=5000&format={fmt}&where=~isnull(vt)")
    data = io.BytesIO(reply.content)
    found = pq.read_table(data) if fmt == "parquet" else pa.ipc.open_stream(data).read_all()
    kept = np.flatnonzero(~np.isnan(VT))
    assert found.num_rows == kept.size == int(reply.headers["skyshade-total"])
    assert found.schema.field("vt").metadata[b"unit"] == b"mag"
    assert found.schema.field("ra").metadata[b"unit"] == b"deg"
    kinds = ["double", "double", "string", "float", "int64", "list<element: double>"]
    assert [str(f.type).replace("item", "element") for f in found.schema][:6] == kinds
    np.testing.assert_array_equal(found["id"].to_numpy(), COLUMNS["id"][kept])
    np.testing.assert_array_equal(found["vt"].to_numpy(), VT[kept])
    assert found["name"].to_pylist() == NAMES[kept].tolist()
    assert found["pm"].to_pylist()[3] == COLUMNS["pm"][kept][3].tolist()
    assert reply.headers["content-type"] == rows_formats.FORMATS[fmt].media_type


@pytest.mark.parametrize("fmt", rows_formats.FORMATS)
def test_no_rows(api: Any, fmt: str) -> None:
    reply = get(api, f"where=vt>1000&format={fmt}")
    assert reply.headers["skyshade-total"] == "0"
    if fmt == "json":
        assert reply.json() == []
    elif fmt == "csv":
        assert reply.text.splitlines() == ['ra,dec,name,vt,id,pm,when,good,"a, b"']
    elif fmt == "parquet":
        assert pq.read_table(io.BytesIO(reply.content)).num_rows == 0
    else:
        assert pa.ipc.open_stream(io.BytesIO(reply.content)).read_all().num_rows == 0


def test_head_has_the_headers(api: Any) -> None:
    reply = api.request("HEAD", "/api/layers/stars/rows?limit=3&format=parquet")
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["skyshade-truncated"] == "true"


def test_nearest(api: Any) -> None:
    away = Cone(200, 40, 30).distances(RA, DEC)
    row = int(np.argmin(away))
    found = strict(get(api, "ra=200&dec=40&radius=30", "nearest"))
    assert list(found) == ["ra", "dec", *COLUMNS, "separation", "row"]
    assert (found["row"], found["id"]) == (row, row + 2**60)
    assert found["separation"] == pytest.approx(away[row])
    bright = strict(get(api, "ra=200&dec=40&radius=180&where=vt<0.2", "nearest"))
    assert bright["row"] == np.flatnonzero(VT < 0.2)[np.argmin(away[VT < 0.2])]
    assert strict(get(api, "ra=200&dec=40&radius=0.0001", "nearest")) is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("ra=1&dec=1", "give ra, dec and radius together, or coverage, or polygon"),
        ("ra=1&dec=1&radius=1&box=1,2,3,4", "give ra, dec and radius together"),
        ("box=1,2,3", "box='1,2,3' is not allowed: give 4 numbers"),
        ("box=1,2,3,3", "-90 <= dec_min < dec_max <= 90"),
        ("polygon=1,2,3,4", "polygon='1,2,3,4' is not allowed: give ra1,dec1,ra2,dec2,ra3,dec3"),
        ("polygon=1,2,3,4,5,x", "polygon='1,2,3,4,5,x' is not allowed"),
        ("polygon=0,0,120,0,240,0", "a hemisphere or more"),
        ("columns=nope", "unknown column 'nope'; known: name, vt"),
        ("where=vt<", "where: expected a number"),
        ("where=nope<1", "unknown column at position 1 of where 'nope'"),
        ("format=xml", "unknown format 'xml'; known: json, csv, parquet, arrow"),
        ("limit=200000", "limit=200000 is not allowed: at most 100000 rows as json"),
        ("limit=2000000&format=csv", "limit='2000000' is not allowed"),
        ("limit=-1", "limit='-1' is not allowed"),
        ("nope=1", "unknown parameter 'nope'"),
    ],
)
def test_refusals(api: Any, query: str, said: str) -> None:
    reply = api.get("/api/layers/stars/rows", params=query)
    assert reply.status_code == 422
    assert said in reply.json()["detail"]


def test_an_error_in_the_middle_cuts_the_answer(connect: Any, monkeypatch: Any) -> None:
    """A table that changes while its rows are sent must not look whole."""
    monkeypatch.setattr("skyshade.layers.catalog_rows.PART", 1000)
    atlas = Atlas()
    layer = CatalogLayer(TABLE, id="stars")
    view, calls = layer.view, []
    take = type(view).take

    def fail(self: Any, *args: Any) -> Any:
        calls.append(1)
        if len(calls) > 3:
            msg = "gone"
            raise OSError(msg)
        return take(self, *args)

    monkeypatch.setattr(type(view), "take", fail)
    atlas.add(Entry("stars", layer, title="stars"))
    client = connect(atlas)
    with pytest.raises(Exception, match=r"gone|closed|incomplete|disconnect|peer"):
        client.get("/api/layers/stars/rows?limit=5000&format=csv")


def test_pyarrow_waits_for_the_first_file() -> None:
    assert "pyarrow" not in vars(sys.modules["skyshade.app.rows_formats"])
