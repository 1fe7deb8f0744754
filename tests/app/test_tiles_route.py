"""Tiles over HTTP: status codes, headers, caching, hostile addresses."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from skyshade.app.api_services import Services
from skyshade.app.server import Server
from skyshade.app.settings import Settings
from skyshade.app.tiles_route import parse_path
from skyshade.atlas.atlas import Atlas
from skyshade.errors import ChangedError, DataError, SkyshadeError
from tests.app.fakes import FakeLayer

TILE = "/tiles/fake/sky/2/3/1.png"


def detail(reply) -> str:
    body = reply.json()
    assert list(body) == ["detail"]
    assert "\n" not in body["detail"]
    return body["detail"]


@pytest.mark.parametrize(
    ("fmt", "kind"),
    [("png", "image/png"), ("webp", "image/webp"), ("jpg", "image/jpeg")],
)
@pytest.mark.parametrize(("suffix", "size"), [("", 256), ("@2x", 512)])
def test_pictures(client, fmt, kind, suffix, size):
    reply = client.get(f"/tiles/fake/sky/2/3/1{suffix}.{fmt}")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == kind
    assert Image.open(io.BytesIO(reply.content)).size == (size, size)


@pytest.mark.parametrize(("fmt", "scale"), [("f2", 2.0), ("f4", 1.0)])
def test_values(client, fmt, scale):
    reply = client.get(f"/tiles/fake/sky/0/0/0.{fmt}")
    values = np.frombuffer(reply.content, f"<{fmt}").reshape(256, 256).astype(float)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers.get("skyshade-scale") == ("2.0" if fmt == "f2" else None)
    assert np.isnan(values[0]).all()  # Dec +90 has no data, row 0 is on top
    np.testing.assert_allclose(values[-1] * scale, 0.5 / 256, rtol=1e-3)


def test_outside_the_data_is_an_empty_tile(client):
    reply = client.get("/tiles/fake/sky/5/0/0.png")
    assert reply.status_code == 200
    assert not np.asarray(Image.open(io.BytesIO(reply.content)).convert("RGBA"))[..., 3].any()


@pytest.mark.parametrize("y", [0, 1])
def test_square_root(client, y):
    top = client.get(f"/tiles/fake/square/1/0/{y}.f4")
    assert top.status_code == 200
    if y == 0:
        assert top.content == client.get("/tiles/fake/sky/0/0/0.f4").content
    else:
        assert np.isnan(np.frombuffer(top.content, "<f4")).all()


def test_square_root_tile_is_square(client):
    values = np.frombuffer(client.get("/tiles/fake/square/0/0/0.f4").content, "<f4")
    values = values.reshape(256, 256)
    assert np.isfinite(values[127]).all()
    assert np.isnan(values[128:]).all()


@pytest.mark.parametrize(
    ("url", "status", "named"),
    [
        ("/tiles/nope/sky/0/0/0.png", 404, "'nope'"),
        ("/tiles/bad/sky/0/0/0.png", 404, "bad.fits, HDU 1"),
        ("/tiles/fake/moon/0/0/0.png", 404, "WebMercatorQuad, hips, square, tan-0 ... tan-12287"),
        ("/tiles/fake/moon/0/0/0.png", 404, "'moon'"),
        ("/tiles/fake/sky/0/0/0.gif", 404, "'gif'"),
        ("/tiles/fake/sky/0/0/0", 404, "tile format"),
        ("/tiles/fake/sky/0/0/0@3x.png", 404, "tile format"),
        ("/tiles/fake/sky/0/0", 404, "tile format"),
        ("/tiles/", 404, "tile format"),
        ("/tiles/fake/sky/0/2/0.png", 404, "0/2/0"),
        ("/tiles/fake/sky/0/0/1.png", 404, "0/0/1"),
        ("/tiles/fake/sky/23/0/0.png", 404, "23"),
        ("/tiles/fake/sky/-1/0/0.png", 404, "-1"),
        ("/tiles/fake/square/24/0/0.png", 404, "24"),
        ("/tiles/fake/sky/0/x/0.png", 422, "x='x'"),
        ("/tiles/fake/sky/0/1.5/0.png", 422, "x='1.5'"),
        ("/tiles/fake/sky/%C2%B2/0/0.png", 422, "z="),
        (TILE + "?nope=1", 422, "'nope'"),
        (TILE + "?vmin=1&vmin=2", 422, "'vmin'"),
        (TILE + "?vmin=nan", 422, "vmin='nan'"),
        (TILE + "?vmax=inf", 422, "vmax='inf'"),
        (TILE + "?vmin=2&vmax=1", 422, "vmin=2"),
        (TILE + "?cmap=nope", 422, "'nope'"),
        (TILE + "?stretch=cubic", 422, "'cubic'"),
        (TILE + "?reverse=maybe", 422, "'maybe'"),
        (TILE + "?bg=red", 422, "bg='red'"),
        (TILE + "?agg=mean", 422, "agg 'mean'"),
        (TILE + "?plane=Z", 422, "'Z'"),
        (TILE + "?time=now", 422, "time"),
    ],
)
def test_refusals_name_the_value(client, url, status, named):
    reply = client.get(url)
    assert reply.status_code == status
    assert named in detail(reply)
    assert reply.headers["cache-control"] == "no-store"


def test_unknown_parameters_name_the_allowed_ones(client):
    assert "cmap, vmin, vmax, stretch" in detail(client.get(TILE + "?paint=red"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods(client, method):
    reply = client.request(method, TILE)
    assert reply.status_code == 405
    assert reply.headers["allow"] == "GET, HEAD"


def test_head_has_the_headers_only(client):
    got, head = client.get(TILE), client.request("HEAD", TILE)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert head.headers[name] == got.headers[name]


def test_etag_and_304(client, layer):
    first = client.get(TILE)
    etag = first.headers["etag"]
    assert etag.startswith('"')
    for named in (etag, f'"x", W/{etag}', "*"):
        again = client.get(TILE, headers={"If-None-Match": named})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert "content-length" not in again.headers
    assert client.get(TILE, headers={"If-None-Match": '"x"'}).status_code == 200
    layer.version = "v2"
    other = client.get(TILE, headers={"If-None-Match": etag})
    assert other.status_code == 200
    assert other.headers["etag"] != etag


def test_304_only_for_what_exists(client):
    reply = client.get("/tiles/nope/sky/0/0/0.png", headers={"If-None-Match": "*"})
    assert reply.status_code == 404


def test_etags_tell_tiles_apart(client):
    urls = [TILE, TILE + "?cmap=gray", TILE + "?plane=Q", "/tiles/fake/sky/2/3/1@2x.png"]
    urls += ["/tiles/fake/sky/2/3/1.webp", "/tiles/fake/sky/2/2/1.png", TILE + "?vmin=0.25"]
    assert len({client.get(url).headers["etag"] for url in urls}) == len(urls)


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("", "public, max-age=60"),
        ("?v=v1", "public, max-age=31536000, immutable"),
        ("?v=old", "public, max-age=0"),
        ("?v=v1&plane=Q", "public, max-age=31536000, immutable"),
    ],
)
def test_cache_control(client, tail, said):
    assert client.get(TILE + tail).headers["cache-control"] == said


def test_preview_is_never_kept(client, layer):
    layer.quality = "preview"
    for _ in range(2):
        reply = client.get(TILE)
        assert reply.headers["skyshade-quality"] == "preview"
        assert reply.headers["cache-control"] == "no-store"
        assert "etag" not in reply.headers
    assert len(layer.computed) == 2
    layer.quality = "exact"
    assert "etag" in client.get(TILE).headers


def test_restyling_reads_no_data(client, layer):
    for tail in ("", "?cmap=gray", "?vmin=0&vmax=1", "?stretch=log"):
        assert client.get(TILE + tail).status_code == 200
    assert len(layer.computed) == 1


def test_identical_requests_share_one_computation(atlas, layer):
    layer.delay = 0.3
    server = Server(atlas, Settings(port=0), background=False)
    with server.start_in_thread(), ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: httpx.get(server.base_url + TILE), range(8)))
    assert {r.status_code for r in replies} == {200}
    assert len({r.content for r in replies}) == 1
    assert len(layer.computed) == 1


def test_deadline(connect, atlas, layer):
    client = connect(atlas, tile_seconds=0.05)
    layer.gate = threading.Event()
    try:
        reply = client.get(TILE)
    finally:
        layer.gate.set()
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "1"
    assert "0.05 s" in detail(reply)


def test_unforeseen_error_says_nothing_of_itself(client, layer, caplog):
    layer.error = RuntimeError("secret path /home/me")
    reply = client.get(TILE)
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert "secret path" in caplog.text
    layer.error = None
    assert client.get(TILE).status_code == 200


def test_broken_file_degrades_its_layer(client, atlas, layer, caplog):
    layer.error = DataError("map.fits", "truncated at byte 5", "HDU 1")
    with atlas.events.subscribe() as news:
        reply = client.get(TILE)
        assert news.wait(1)[0]["state"] == "degraded"
    assert reply.status_code == 422
    assert "map.fits, HDU 1: truncated" in detail(reply)
    line = client.get("/api/layers").json()[0]
    assert (line["state"], line["reason"]) == ("degraded", "map.fits, HDU 1: truncated at byte 5")


def test_changed_file_may_be_asked_for_again(client, atlas, layer):
    layer.error = ChangedError("map.fits", "changed while it was read")
    assert client.get(TILE).status_code == 409
    assert atlas.entry("fake").state == "ok"


def test_tilejson(client):
    found = client.get("/tiles/fake/square/tilejson.json?cmap=gray").json()
    assert found["tiles"] == ["{z}/{x}/{y}.png?cmap=gray"]
    assert (found["minzoom"], found["maxzoom"]) == (0, 4)
    assert found["bounds"] == [-180.0, -90.0, 180.0, 60.0]
    assert client.get("/tiles/fake/sky/tilejson.json").json()["maxzoom"] == 3
    assert client.get("/tiles/fake/sky/tilejson.json?x=1").status_code == 422
    assert client.get("/tiles/nope/sky/tilejson.json").status_code == 404
    assert client.get("/tiles/fake/tan/tilejson.json").status_code == 404
    assert client.get("/tiles/fake/a/b/tilejson.json").status_code == 404


def test_first_tile_is_reported_once():
    calls = []
    services = Services(Atlas(), Settings())
    services.on_first_tile = lambda: calls.append(time.monotonic())
    services.tile_is_out()
    services.tile_is_out()
    services.close()
    assert len(calls) == 1


ODD = st.text(st.characters(codec="utf-8", exclude_characters="?#"), max_size=30)
PART = st.one_of(ODD, st.sampled_from(["fake", "sky", "square", "0", "1", "..", "%2e%2e", "0.png"]))


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(PART, max_size=7))
def test_hostile_paths(client, parts):
    path = "/tiles/" + "/".join(urllib.parse.quote(p, safe="%") for p in parts)
    reply = client.get(path)
    assert reply.status_code in (200, 404, 405, 422)
    if reply.status_code != 200 and reply.url.path.startswith("/tiles"):  # httpx resolves ".."
        json.loads(reply.text)


NAMES = ["cmap", "vmin", "vmax", "stretch", "nan", "bg", "agg", "col", "where", "plane", "time"]
FIELD = st.tuples(st.one_of(st.sampled_from([*NAMES, "v", "token"]), ODD), ODD)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fields=st.lists(FIELD, max_size=5))
def test_hostile_queries(client, fields):
    reply = client.get(TILE, params=fields)
    assert reply.status_code in (200, 422)


@given(path=st.text(max_size=80))
def test_parse_path_raises_only_our_errors(path):
    with contextlib.suppress(SkyshadeError):
        parse_path("/tiles/" + path)


def test_fake_layer_joins(layer: FakeLayer):
    assert layer.statistics().n_valid == 10
