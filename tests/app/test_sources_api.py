"""``/api/sources``: pages, views, names, files."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion, PointSkyRegion, Regions

from skyshade.atlas.atlas import Atlas
from skyshade.loaders.region_table import region_table
from skyshade.overlays import SourceList, sources_from_table
from tests.layers.tables import sphere

HOSTILE = "<img src=x onerror=alert(1)>"
N = 5000


@pytest.fixture
def atlas() -> Atlas:
    made = Atlas()
    ra, dec = sphere(N)
    mag = np.random.default_rng(2).normal(15, 2, N)
    names = [f"J{i:04d}" for i in range(N)]
    made.add_sources(SourceList("big", "Big", ra, dec, names, {"mag": mag}, {"mag": "mag"}, N))
    few = ["Coma", HOSTILE, "j0007 B"]
    made.add_sources(SourceList("few", HOSTILE, ra[:3], dec[:3], few, {HOSTILE: ra[:3]}, {}, 3))
    at = SkyCoord([0.5, 100.0] * u.deg, [10.0, 20.0] * u.deg)
    shapes = [CircleSkyRegion(at[0], 2 * u.deg), PointSkyRegion(at[1])]
    made.add_sources(sources_from_table(region_table(Regions(shapes).regions, "reg"), "reg"))
    return made


@pytest.fixture
def client(connect: Any, atlas: Atlas) -> Any:
    return connect(atlas)


def get(client: Any, path: str, **asked: Any) -> Any:
    reply = client.get(f"/api/sources{path}", params=asked)
    assert reply.status_code == 200, reply.text
    return reply.json()


def unpack(reply: Any) -> tuple[dict[str, Any], bytes]:
    assert reply.status_code == 200, reply.text
    (length,) = struct.unpack("<I", reply.content[:4])
    assert (4 + length) % 4 == 0
    return json.loads(reply.content[4 : 4 + length]), reply.content[4 + length :]


VIEW = {"ra": 0, "dec": 0, "width": 360, "height": 180, "cell": 5}


def test_pages(client: Any, atlas: Atlas) -> None:
    found = get(client, "/big", limit=3, sort="mag", order="desc", offset=3)
    mag = atlas.sources("big").columns["mag"]
    assert [s["row"] for s in found["sources"]] == np.argsort(-mag)[3:6].tolist()
    assert (found["matches"], found["offset"], found["count"]) == (N, 3, N)
    assert found["units"] == {"mag": "mag"}
    found = get(client, "/big", search="j12", limit=5)
    assert found["matches"] == 100
    assert [s["name"] for s in found["sources"]] == [f"J12{i:02d}" for i in range(5)]
    found = get(client, "/big", row=777, limit=50)
    assert found["offset"] == 750
    assert len(get(client, "/big")["sources"]) == 1000, "a whole large list never goes at once"


def test_one_source(client: Any) -> None:
    found = get(client, "/few/rows/1")
    assert (found["row"], found["name"], [*found["extra"]]) == (1, HOSTILE, [HOSTILE])
    reply = client.get("/api/sources/few/rows/3")
    assert reply.status_code == 422
    assert "unknown source 3; known: 0 to 2" in reply.json()["detail"]


def test_search_across_lists(client: Any) -> None:
    found = get(client, "/search", q="J0007")["sources"]
    assert [(s["list"], s["row"]) for s in found] == [("big", 7), ("few", 2)]
    assert get(client, "/search", q="onerror")["sources"][0]["name"] == HOSTILE
    assert get(client, "/search", q="zzz")["sources"] == []
    assert len(get(client, "/search", q="j", limit=8)["sources"]) == 8
    assert client.get("/api/sources/search", params={"q": " "}).status_code == 422
    assert "source list 'search'" in client.get("/api/sources/search").json()["detail"]


def test_a_view_is_small_and_right(client: Any, atlas: Atlas) -> None:
    head, data = unpack(client.get("/api/sources/big/markers", params={**VIEW, "limit": 900}))
    n = head["count"]
    assert 300 < n <= 900
    assert (head["total"], head["sized"], "names" in head) == (N, True, False)
    assert len(data) == 9 * n
    x, y = np.frombuffer(data, "<u2", 2 * n).reshape(2, n)
    rows = np.frombuffer(data, "<u4", n, 4 * n)
    sources = atlas.sources("big")
    ra = head["east"] - x / 65535 * head["width"]
    assert np.abs((ra - sources.ra[rows] + 180) % 360 - 180).max() < 0.003
    dec = head["south"] + y / 65535 * head["height"]
    assert np.abs(dec - sources.dec[rows]).max() < 0.002
    near = {"ra": 359.9, "dec": 5, "width": 30, "height": 20, "cell": 0.5}
    head, data = unpack(client.get("/api/sources/big/markers", params=near))
    assert head["count"] == head["total"] == len(head["names"])
    assert not client.get("/api/sources/big/markers", params=VIEW).headers.get("set-cookie")


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("/nope", {}, "unknown source list 'nope'"),
        ("/big", {"sort": "nope"}, "unknown column 'nope'"),
        ("/big", {"order": "up"}, "order='up' is not allowed"),
        ("/big", {"limit": 10_000}, "limit='10000' is not allowed"),
        ("/big/markers", {**VIEW, "width": 0}, "width='0' is not allowed"),
        ("/big/markers", {**VIEW, "dec": "nan"}, "dec='nan' is not allowed"),
        ("/big/export", {"format": "xml"}, "unknown format 'xml'"),
    ],
)
def test_refusals_name_what_is_wrong(client: Any, path: str, asked: Any, said: str) -> None:
    reply = client.get(f"/api/sources{path}", params=asked)
    assert 400 <= reply.status_code < 500
    assert said in reply.json()["detail"]


def test_shapes_across_ra_0(client: Any) -> None:
    view = {"ra": 359, "dec": 10, "width": 20, "height": 10, "pixel": 0.02}
    head, data = unpack(client.get("/api/sources/reg/outlines", params=view))
    assert (head["rows"], len(head["sizes"])) == ([0], 1)
    x, y = np.frombuffer(data, "<f4").reshape(2, -1)
    place = SkyCoord(359.0 - x.astype(float), 10.0 + y.astype(float), unit="deg")
    apart = place.separation(SkyCoord(0.5, 10.0, unit="deg")).deg
    np.testing.assert_allclose(apart, 2.0, atol=1e-4)
    assert x.max() < 2, "no line goes round the sky"
    assert 30 < x.size < 125
    far = {**view, "ra": 200}
    assert unpack(client.get("/api/sources/reg/outlines", params=far))[0]["rows"] == []
    small = {**view, "pixel": 10}
    assert unpack(client.get("/api/sources/reg/outlines", params=small))[0]["rows"] == []
    assert unpack(client.get("/api/sources/few/outlines", params=view))[0]["sizes"] == []


@pytest.mark.parametrize(
    ("format", "kind"), [("json", "application/json"), ("csv", "text/csv"), ("reg", "text/plain")]
)
def test_files(client: Any, format: str, kind: str) -> None:
    reply = client.get("/api/sources/few/export", params={"format": format})
    assert reply.headers["content-type"].startswith(kind)
    assert reply.headers["content-disposition"] == f'attachment; filename="few.{format}"'
    assert reply.text.count(HOSTILE) >= 1
