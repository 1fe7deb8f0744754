"""The JSON side of the API, through ASGI and through Tornado."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyshade.app.api_errors import clean, dump, status_of
from skyshade.atlas.atlas import Atlas, Entry
from skyshade.errors import (
    ChangedError,
    DataError,
    FrameMismatchError,
    InputError,
    NoOverlapError,
    OutsideGridError,
    TooLargeError,
    UnknownNameError,
)
from skyshade.overlays import SourceList, box_of
from tests.app.fakes import FakeLayer

GETS = [
    "/api/layers",
    "/api/layers/fake",
    "/api/layers/fake/histogram",
    "/api/layers/fake/value?ra=1&dec=2",
    "/api/grids",
    "/api/sources",
    "/api/boxes",
    "/api/tree",
    "/api/colormaps",
    "/health",
    "/ready",
    "/openapi.json",
    "/docs",
]


def strict(reply):
    def refuse(name):
        raise AssertionError(name)

    return json.loads(reply.text, parse_constant=refuse)


@pytest.mark.parametrize("url", GETS)
def test_get_and_head(client, url):
    got, head = client.get(url), client.request("HEAD", url)
    assert got.status_code == head.status_code == 200
    assert head.content == b""
    for name in ("content-type", "content-length"):
        assert head.headers[name] == got.headers[name]
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["referrer-policy"] == "no-referrer"
    if url != "/docs":
        strict(got)


def test_list_of_layers(client):
    fake, bad = strict(client.get("/api/layers"))
    assert fake["id"] == "fake"
    assert fake["title"] == "fake <b>"  # text is text: who shows it escapes it
    assert (fake["kind"], fake["state"], fake["reason"]) == ("map", "ok", "")
    assert (fake["units"], fake["version"], fake["max_zoom"]) == ("uK", "v1", 3)
    assert (bad["state"], bad["reason"]) == ("rejected", "bad.fits, HDU 1: not FITS")


def test_one_layer(client):
    found = strict(client.get("/api/layers/fake"))
    assert found["coverage"] == {
        "ra_east": 360.0,
        "ra_west": 0.0,
        "dec_min": -90.0,
        "dec_max": 60.0,
    }
    assert (found["resolution"], found["scale"], found["quantity"]) == (0.5, 2.0, "I")
    assert found["percentiles"]["99.5"] == pytest.approx(0.995)
    assert found["style"]["cmap"] == "viridis"
    assert found["planes"] == ["I", "Q"]
    assert strict(client.get("/api/layers/bad"))["state"] == "rejected"


def test_histogram(client):
    found = strict(client.get("/api/layers/fake/histogram?plane=Q"))
    assert found["counts"] == [5, 5]
    assert found["edges"] == [0.0, 0.5, 1.0]
    assert found["units"] == "uK"


def test_value(client):
    found = strict(client.get("/api/layers/fake/value?ra=360&dec=0"))
    assert found == {
        "id": "fake",
        "ra": 360.0,
        "dec": 0.0,
        "value": 0.5,
        "units": "uK",
        "quantity": "I",
    }
    assert strict(client.get("/api/layers/fake/value?ra=0&dec=90"))["value"] is None


@pytest.mark.parametrize(
    ("url", "status", "named"),
    [
        ("/api/layers/nope", 404, "unknown layer 'nope'; known: fake, bad"),
        ("/api/layers/nope/value?ra=1&dec=1", 404, "'nope'"),
        ("/api/layers/bad/histogram", 404, "bad.fits, HDU 1"),
        ("/api/layers/fake/value", 422, "'ra' is missing"),
        ("/api/layers/fake/value?ra=1", 422, "'dec' is missing"),
        ("/api/layers/fake/value?ra=400&dec=1", 422, "ra='400'"),
        ("/api/layers/fake/value?ra=1&dec=-91", 422, "dec='-91'"),
        ("/api/layers/fake/value?ra=nan&dec=1", 422, "ra='nan'"),
        ("/api/layers/fake/value?ra=x&dec=1", 422, "ra='x'"),
        ("/api/layers/fake/value?ra=1&dec=1&col=a", 422, "col 'a'"),
        ("/api/layers/fake/value?ra=1&ra=2&dec=1", 422, "'ra'"),
        ("/api/layers/fake/value?ra=1&dec=1&nope=1", 422, "'nope'"),
        ("/api/layers/fake/histogram?x=1", 422, "'x'"),
        ("/api/layers/fake/rows?ra=1&dec=1&radius=1", 422, "only catalogues"),
        ("/api/layers/fake/rows?ra=1&dec=1&radius=181", 422, "radius='181'"),
        ("/api/layers/fake/nearest?ra=1&dec=1&radius=1", 422, "only catalogues"),
        ("/api/layers/fake/nearest?ra=1&dec=1&radius=0", 422, "radius='0'"),
        ("/api/sources/nope", 404, "unknown source list 'nope'; known: none"),
        ("/api/nope", 404, "'/api/nope'"),
        ("/api/layers/", 404, "'/api/layers/'"),
        ("/api", 404, "'/api'"),
        ("/tiles", 404, "'/tiles'"),
    ],
)
def test_refusals_are_one_sentence(client, url, status, named):
    reply = client.get(url)
    assert reply.status_code == status
    body = strict(reply)
    assert list(body) == ["detail"]
    assert named in body["detail"]
    assert "\n" not in body["detail"]


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize("url", ["/api/layers", "/health"])
def test_nothing_can_be_changed(client, url, method):
    reply = client.request(method, url)
    assert reply.status_code == 405
    assert "GET" in reply.headers["allow"]
    assert method in strict(reply)["detail"]


def test_unforeseen_error(client, layer, caplog):
    layer.value = lambda *_: 1 / 0
    reply = client.get("/api/layers/fake/value?ra=1&dec=1")
    assert reply.status_code == 500
    assert "internal error" in strict(reply)["detail"]
    assert "ZeroDivisionError" in caplog.text


def test_infinite_values_are_null(client, layer):
    layer.value = lambda *_: float("inf")
    assert strict(client.get("/api/layers/fake/value?ra=1&dec=1"))["value"] is None


def test_grids(client):
    grids = {g["id"]: g for g in strict(client.get("/api/grids"))}
    assert {"sky", "square"} <= set(grids)  # tests/app/test_grids_route.py has the others
    for z in (0, 5):
        sky, square = grids["sky"]["tileMatrices"][z], grids["square"]["tileMatrices"][z + 1]
        assert sky["cellSize"] == square["cellSize"]
        assert sky["matrixWidth"] == square["matrixWidth"]


def test_overlays(connect):
    atlas = Atlas()
    east = {"name": "Box <b>", "ra_east": 10, "ra_west": 350, "dec_min": -5, "dec_max": 5}
    atlas.add_boxes([box_of(east)])
    ra, dec = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    mags = np.array([5.5, np.nan])
    atlas.add_sources(SourceList("stars", "Stars", ra, dec, ["a", "b"], {"mag": mags}, total=2))
    client = connect(atlas)
    assert strict(client.get("/api/boxes"))[0] | {"description": ""} == {
        "name": "Box <b>",
        "ra_east": 370.0,
        "ra_west": 350.0,
        "dec_min": -5.0,
        "dec_max": 5.0,
        "description": "",
    }
    line = strict(client.get("/api/sources"))[0]
    assert (line["id"], line["count"], line["truncated"]) == ("stars", 2, False)
    found = strict(client.get("/api/sources/stars"))["sources"]
    assert found[0] == {"row": 0, "ra": 1.0, "dec": 3.0, "name": "a", "extra": {"mag": 5.5}}
    assert found[1]["extra"] == {"mag": None}
    assert strict(client.get("/api/tree"))["sources"] == [{"id": "stars"}]


def test_openapi_documents_every_tile_parameter(client):
    paths = strict(client.get("/openapi.json"))["paths"]
    tile = paths["/tiles/{layer}/{grid}/{z}/{x}/{y}.{format}"]["get"]
    names = [p["name"] for p in tile["parameters"]]
    style = "cmap vmin vmax stretch q reverse colors nan bg"
    choice = "agg col where plane time detail size color shape spread v"
    assert names == f"layer grid z x y format {style} {choice}".split()
    assert all(p["description"] for p in tile["parameters"])
    assert "/ready" in paths
    assert "/api/layers/{layer}/value" in paths


class Addresses(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        del tag
        self.found += [v for k, v in attrs if k in ("src", "href")]


def test_docs_load_nothing_from_elsewhere(client):
    reply = client.get("/docs")
    parser = Addresses()
    parser.feed(reply.text)
    assert parser.found == []
    assert not re.search(r"https?://", reply.text)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


ODD = st.text(max_size=20)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    fields=st.lists(
        st.tuples(st.one_of(st.sampled_from(["ra", "dec", "where"]), ODD), ODD), max_size=4
    )
)
def test_hostile_queries(client, fields):
    reply = client.get("/api/layers/fake/value", params=fields)
    assert reply.status_code in (200, 422)
    strict(reply)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownNameError("layer", "x", []), 404),
        (UnknownNameError("column", "x", []), 422),
        (InputError("x"), 422),
        (FrameMismatchError("x"), 422),
        (OutsideGridError("x"), 404),
        (NoOverlapError("x"), 404),
        (TooLargeError("x"), 413),
        (DataError("x", "y"), 422),
        (ChangedError("x", "y"), 409),
        (TimeoutError(), 503),
        (ValueError("x"), 500),
    ],
)
def test_statuses(error, status):
    assert status_of(error) == status


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=[])),
        st.binary(),
        st.floats(width=32).map(np.float32),
        st.integers(0, 255).map(np.uint8),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


@given(JSON)
def test_dumped_json_is_strict(value):
    text = dump(value).decode("utf-8")
    assert "NaN" not in text or "NaN" in repr(value)
    json.loads(text, parse_constant=lambda name: pytest.fail(name))


def test_clean_takes_arrays():
    assert clean(np.array([[1.0, np.nan]])) == [[1.0, None]]


def test_rejected_only(connect):
    atlas = Atlas()
    atlas.add(Entry("bad", None, "rejected", "x", "x"))
    client = connect(atlas)
    assert strict(client.get("/ready")) == {"ready": True, "layers": 0}
    assert client.get("/tiles/bad/sky/0/0/0.png").status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "10.1.1.1:8000"])
@pytest.mark.parametrize("url", ["/api/layers", "/tiles/fake/sky/0/0/0.png", "/health"])
def test_other_hosts(client, url, host):
    reply = client.get(url, headers={"Host": host})
    assert reply.status_code == 421
    assert host in strict(reply)["detail"]


def test_token(connect, atlas: Atlas):
    client = connect(atlas, token="s3cret")
    tile = "/tiles/fake/sky/0/0/0.png"
    for url in ("/api/layers", tile, "/docs", "/openapi.json"):
        assert client.get(url).status_code == 403
    assert client.get("/ready").status_code == 200
    assert client.get("/api/layers", headers={"Authorization": "token s3cret"}).status_code == 200
    shown = client.get(tile + "?token=s3cret&cmap=viridis")
    assert shown.status_code == 200
    assert shown.headers["access-control-allow-origin"] == "*"
    assert shown.headers["cache-control"].startswith("private")
    assert client.get(tile + "?token=wrong").status_code == 403
    moved = client.get("/docs?token=s3cret", headers={"Accept": "text/html"})
    assert moved.status_code == 302
    assert moved.headers["location"] == "./docs"
    cookie = moved.headers["set-cookie"].partition(";")[0]
    assert client.get("/docs", headers={"Cookie": cookie}).status_code == 200


def test_tilejson_passes_a_token_on(connect, atlas: Atlas):
    client = connect(atlas, token="s3cret")
    found = client.get("/tiles/fake/sky/tilejson.json?token=s3cret&cmap=gray").json()
    assert found["tiles"] == ["{z}/{x}/{y}.png?cmap=gray&token=s3cret"]


def test_two_layers_are_told_apart(connect):
    atlas = Atlas()
    for name in ("a", "b"):
        atlas.add(Entry(name, FakeLayer(name, version=name), title=name))
    client = connect(atlas)
    etags = {client.get(f"/tiles/{n}/sky/0/0/0.png").headers["etag"] for n in ("a", "b")}
    assert len(etags) == 2
