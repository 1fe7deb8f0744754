"""Tiles, TileJSON and descriptions of every grid, over HTTP, from a real map and a catalogue."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skyshade.atlas.atlas import Atlas, Entry
from skyshade.geometry.grids import MERCATOR, tan_grid
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.map import MapLayer
from tests.geometry.skies import make_wcs
from tests.layers.images import image
from tests.layers.tables import ArrayTable, sphere

RA, DEC = 83.0, 40.0
TAN = tan_grid(RA, DEC)
GRIDS = ("sky", "WorldCRS84Quad", "WebMercatorQuad", "square", TAN.id)


@pytest.fixture
def atlas() -> Atlas:
    """Return a map of declination, 20 degrees wide, brighter in the east, and 2,000 stars."""
    wcs = make_wcs("ZEA", (RA, DEC), (-0.1, 0.1), (100.5, 100.5))
    y, x = np.indices((200, 200))
    bright = MapLayer([image(wcs, y - 0.5 * x)], id="ramp")
    stars = CatalogLayer(ArrayTable(*sphere(2000)), id="stars", reduction="count")
    made = Atlas()
    for layer in (bright, stars):
        made.add(Entry(layer.id, layer, title=layer.id))
    return made


def values(client: Any, url: str, size: int = 256) -> np.ndarray:
    reply = client.get(url)
    assert reply.status_code == 200, reply.text
    assert "skyshade-quality" not in reply.headers
    return np.frombuffer(reply.content, "<f4").reshape(size, size)


@pytest.mark.parametrize("layer", ["ramp", "stars"])
@pytest.mark.parametrize(("suffix", "size"), [("", 256), ("@2x", 512)])
def test_world_crs84_quad_is_sky_flipped(client: Any, layer: str, suffix: str, size: int) -> None:
    for z, x, y in [(0, 1, 0), (3, 11, 2)]:
        url = f"/tiles/{layer}/WorldCRS84Quad/{z}/{x}/{y}{suffix}.f4"
        there = values(client, url, size)
        here = values(client, f"/tiles/{layer}/sky/{z}/{(2 << z) - 1 - x}/{y}{suffix}.f4", size)
        np.testing.assert_array_equal(there, here[:, ::-1])


@pytest.mark.parametrize("grid", [MERCATOR, TAN], ids=lambda g: g.id)
@pytest.mark.parametrize(("suffix", "size"), [("", 256), ("@2x", 512)])
def test_counts_of_all_tiles_are_the_rows_on_the_grid(
    client: Any, atlas: Atlas, grid: Any, suffix: str, size: int
) -> None:
    tiles = [
        values(client, f"/tiles/stars/{grid.id}/1/{x}/{y}{suffix}.f4", size)
        for y in range(2)
        for x in range(2)
    ]
    table = atlas.layer("stars").table  # type: ignore[attr-defined]
    cols, rows = grid.lattice(table.ra, table.dec, 1)
    height, width = grid.lattice_shape(1)
    shown = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    assert np.nansum(tiles) == shown.sum() > 100


@pytest.mark.parametrize("name", GRIDS)
def test_maps_are_the_right_way_round(client: Any, name: str) -> None:
    """East, where the ramp is brighter, is left on sky, square and tan; north is up."""
    tiles = {"sky": (2, 2, 1), "square": (3, 2, 1), "WorldCRS84Quad": (2, 5, 1)}
    tiles |= {grid.id: grid.tile_of(RA, DEC, 2) for grid in (MERCATOR, TAN)}
    z, x, y = tiles[name]
    found = values(client, f"/tiles/ramp/{name}/{z}/{x}/{y}.f4")
    seen = np.isfinite(found)
    assert seen.sum() > 50
    down, right = (np.nanmean(np.diff(found, axis=axis)) for axis in (0, 1))
    assert down < 0.0
    assert (right < 0.0) == (name in ("sky", "square", TAN.id))


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("fmt", ["png", "webp"])
def test_every_format_on_every_grid(client: Any, name: str, fmt: str) -> None:
    for layer in ("ramp", "stars"):
        reply = client.get(f"/tiles/{layer}/{name}/1/0/0.{fmt}")
        assert reply.status_code == 200
        assert Image.open(io.BytesIO(reply.content)).size == (256, 256)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("tan/0/0/0", "tan-0 ... tan-12287"),
        ("tan-12288/0/0/0", "unknown grid 'tan-12288'"),
        ("tan-01/0/0/0", "unknown grid 'tan-01'"),
        ("tan-5/0/1/0", "tile 0/1/0 is outside grid 'tan-5'"),
        ("tan-5/23/0/0", "zoom 23 is outside grid 'tan-5'"),
        ("WebMercatorQuad/1/2/0", "tile 1/2/0 is outside grid 'WebMercatorQuad'"),
        ("WebMercatorQuad/24/0/0", "zoom 24"),
        ("WorldCRS84Quad/0/0/1", "tile 0/0/1 is outside grid 'WorldCRS84Quad'"),
        ("worldcrs84quad/0/0/0", "WorldCRS84Quad"),
    ],
)
def test_refusals(client: Any, path: str, named: str) -> None:
    reply = client.get(f"/tiles/ramp/{path}.png")
    assert reply.status_code == 404
    assert named in reply.json()["detail"]


def test_tilejson(client: Any) -> None:
    found = {name: client.get(f"/tiles/ramp/{name}/tilejson.json").json() for name in GRIDS}
    deep = found["sky"]["maxzoom"]
    assert found["WorldCRS84Quad"]["maxzoom"] == found[TAN.id]["maxzoom"] == deep
    assert found["WebMercatorQuad"]["maxzoom"] == found["square"]["maxzoom"] == deep + 1
    left, bottom, right, top = found["WorldCRS84Quad"]["bounds"]
    assert left < RA < right
    assert bottom < DEC < top
    assert found["WebMercatorQuad"]["bounds"] == found["WorldCRS84Quad"]["bounds"]
    assert found["sky"]["bounds"] == pytest.approx([-right, bottom, -left, top])
    x0, y0, x1, y1 = found[TAN.id]["bounds"]
    assert x0 < -8.0 < 8.0 < x1
    assert y0 < -8.0 < 8.0 < y1
    for name, document in found.items():
        assert document["description"].startswith("Not Web Mercator") == (name != "WebMercatorQuad")
        z = 3
        x = client.get(f"/tiles/ramp/{name}/" + document["tiles"][0].format(z=z, x=0, y=0))
        assert x.status_code == 200


def test_grids_are_described(client: Any) -> None:
    found = {grid["id"]: grid for grid in client.get("/api/grids").json()}
    assert list(found) == [
        "sky",
        "WorldCRS84Quad",
        "WebMercatorQuad",
        "hips",
        "square",
        "tan-{pixel}",
    ]
    assert found["WebMercatorQuad"]["crs"].endswith("/EPSG/0/3857")
    pixel = {"nside": 32, "order": "NESTED", "frame": "ICRS", "first": 0, "last": 12287}
    assert found["tan-{pixel}"]["pixel"] == pixel
    assert found["tan-{pixel}"]["tileMatrices"][0]["pointOfOrigin"] == [-90.0, 90.0]
    near = client.get("/api/grids/tan", params={"ra": RA, "dec": DEC}).json()
    assert near["id"] == TAN.id
    assert client.get("/api/grids/tan", params={"ra": RA, "dec": 91.0}).status_code == 422
    detail = client.get("/api/grids/tan", params={"ra": "nan", "dec": 1.0}).json()["detail"]
    assert "centre nan, 1.0 is not allowed" in detail
