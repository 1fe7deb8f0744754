"""The API on real maps and catalogues: the demo data, and files that are broken on purpose."""

from __future__ import annotations

import io
import logging

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from skyshade.app.plugin import demo_items
from skyshade.atlas.build import open_atlas
from skyshade.geometry.grids import SKY
from skyshade.testing import positions
from skyshade.types import STRETCHES

MAP, CATALOG = "tycho2_counts", "tycho2_bright"


@pytest.fixture(scope="module")
def demo():
    return open_atlas(demo_items())


@pytest.fixture
def api(connect, demo):
    return connect(demo)


def numbers(reply, size=256):
    assert reply.status_code == 200, reply.text
    return np.nan_to_num(np.frombuffer(reply.content, "<f4").reshape(size, size))


def test_everything_opens(demo):
    assert {entry.state for entry in demo.entries()} == {"ok"}
    assert {MAP, CATALOG} <= {entry.id for entry in demo.entries()}


@pytest.mark.parametrize("fmt", ["png", "webp", "jpg"])
@pytest.mark.parametrize("layer", [MAP, CATALOG])
def test_pictures_show_something(api, layer, fmt):
    reply = api.get(f"/tiles/{layer}/sky/0/0/0.{fmt}")
    assert reply.status_code == 200
    pixels = np.asarray(Image.open(io.BytesIO(reply.content)).convert("RGB"))
    assert pixels.shape == (256, 256, 3)
    assert pixels.std() > 5


@pytest.mark.parametrize("stretch", STRETCHES)
@pytest.mark.parametrize("layer", [MAP, CATALOG])
def test_every_stretch(api, layer, stretch):
    reply = api.get(f"/tiles/{layer}/sky/1/0/0.png?stretch={stretch}&cmap=magma&reverse=true")
    assert reply.status_code == 200


def test_counts_add_up(api, demo):
    total = 0.0
    for x in (0, 1):
        total += numbers(api.get(f"/tiles/{CATALOG}/sky/0/{x}/0.f4?agg=count")).sum()
    assert total == len(demo.layer(CATALOG).table)


def test_four_children_show_their_parent(api):
    parent = numbers(api.get(f"/tiles/{CATALOG}/sky/2/5/1.f4?agg=count"))
    for y in (0, 1):
        for x in (0, 1):
            child = numbers(api.get(f"/tiles/{CATALOG}/sky/3/{10 + x}/{2 + y}.f4?agg=count"))
            quarter = parent[y * 128 : y * 128 + 128, x * 128 : x * 128 + 128]
            merged = child.reshape(128, 2, 128, 2).sum((1, 3))
            np.testing.assert_array_equal(merged, quarter)


def test_twice_the_pixels_are_the_next_level(api):
    large = numbers(api.get(f"/tiles/{MAP}/sky/1/1/0@2x.f4"), 512)
    np.testing.assert_array_equal(large[:256, :256], numbers(api.get(f"/tiles/{MAP}/sky/2/2/0.f4")))


def test_f2_is_scaled_f4(api):
    small = api.get(f"/tiles/{MAP}/sky/1/1/0.f2")
    scale = float(small.headers["skyshade-scale"])
    assert np.frexp(scale)[0] == 0.5
    assert api.get(f"/api/layers/{MAP}").json()["scale"] == scale
    half = (
        np.nan_to_num(np.frombuffer(small.content, "<f2").reshape(256, 256).astype(float)) * scale
    )
    full = numbers(api.get(f"/tiles/{MAP}/sky/1/1/0.f4"))
    np.testing.assert_allclose(half, full, rtol=1e-3, atol=scale * 1e-6)


def test_selections(api):
    layers = {entry["id"]: entry for entry in api.get("/api/layers").json()}
    planes = [name for name in layers if name.startswith("tycho2_planes")]
    assert len({api.get(f"/tiles/{p}/sky/1/1/0.f4").content for p in planes}) == len(planes)
    where = "/tiles/tycho2_bright/sky/0/0/0.f4?agg=count&where="
    some, all_ = (numbers(api.get(where + text)).sum() for text in ("vt < 7", "vt < 99"))
    assert 0 < some < all_
    for query in ("where=nope<1", "where=vt<", "where=__import__('os')", "agg=nope", "col=nope"):
        reply = api.get(f"/tiles/{CATALOG}/sky/0/0/0.png?{query}")
        assert reply.status_code == 422, query
        assert list(reply.json()) == ["detail"]


def test_categories_have_no_numbers(api):
    columns = api.get(f"/api/layers/{CATALOG}").json()["categories"]
    for column in columns:
        tail = f"agg=count_cat&col={column}"
        assert api.get(f"/tiles/{CATALOG}/sky/0/0/0.png?{tail}").status_code == 200
        assert api.get(f"/tiles/{CATALOG}/sky/0/0/0.f4?{tail}").status_code == 422


def test_rows(api):
    reply = api.get(f"/api/layers/{CATALOG}/rows?ra=83.6&dec=-1.2&radius=2&limit=5")
    assert int(reply.headers["skyshade-total"]) >= len(reply.json()) == 5
    for row in reply.json():
        assert abs(row["dec"] + 1.2) <= 2
    assert api.get(f"/api/layers/{MAP}/rows?ra=1&dec=1&radius=1").status_code == 422


def test_every_layer_describes_itself(api):
    for line in api.get("/api/layers").json():
        full = api.get(f"/api/layers/{line['id']}").json()
        assert full["resolution"] > 0
        assert full["percentiles"]
        assert full["coverage"]["dec_min"] < full["coverage"]["dec_max"]
        assert sum(api.get(f"/api/layers/{line['id']}/histogram").json()["counts"]) > 0


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=positions())
def test_values_anywhere(api, place):
    ra, dec = place
    for layer in (MAP, CATALOG):
        reply = api.get(f"/api/layers/{layer}/value", params={"ra": ra, "dec": dec})
        assert reply.status_code == 200
        value = reply.json()["value"]
        assert value is None or np.isfinite(value)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=positions(), z=st.integers(0, 22), large=st.booleans())
def test_tiles_anywhere(api, place, z, large):
    tile = SKY.tile_of(*place, z)
    end = "@2x.png" if large else ".png"
    for layer in (MAP, CATALOG):
        for grid, level in (("sky", z), ("square", z + 1)):
            reply = api.get(f"/tiles/{layer}/{grid}/{level}/{tile.x}/{tile.y}{end}")
            assert reply.status_code == 200


def test_broken_files_never_break_the_server(connect, shared_data, caplog):
    folder = shared_data / "bad"
    atlas = open_atlas(sorted(p for p in folder.iterdir() if p.suffix != ".md"))
    api = connect(atlas)
    caplog.clear()
    control = api.get("/tiles/ok_control/sky/0/0/0.png").content
    for line in api.get("/api/layers").json():
        name = line["id"]
        for url in (
            f"/tiles/{name}/sky/0/0/0.png",
            f"/tiles/{name}/sky/3/8/4.f2",
            f"/tiles/{name}/square/0/0/0@2x.png",
            f"/tiles/{name}/sky/tilejson.json",
            f"/api/layers/{name}",
            f"/api/layers/{name}/histogram",
            f"/api/layers/{name}/value?ra=0&dec=0",
        ):
            reply = api.get(url)
            assert reply.status_code < 500, (url, reply.text)
            if line["state"] == "rejected" and not url.startswith(f"/api/layers/{name}"):
                assert reply.status_code == 404
    assert api.get("/tiles/ok_control/sky/0/0/0.png").content == control
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
