"""Rows drawn in tiles over HTTP: what is served is what is baked, and bad wishes are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skyshade.app.params import Choice, parse
from skyshade.atlas.atlas import Atlas, Entry
from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.grids import SKY
from skyshade.layers.catalog import CatalogLayer
from skyshade.tiles.make import make_tile
from skyshade.types import Tile, Window
from tests.layers.tables import ArrayTable, sphere


@pytest.fixture(scope="module")
def stars() -> CatalogLayer:
    rng = np.random.default_rng(1)
    kinds = rng.choice(np.array(["star", "galaxy", "qso"], object), 3000)
    columns = {"vt": rng.normal(9, 2, 3000), "type": kinds}
    return CatalogLayer(ArrayTable(*sphere(3000), columns), id="stars")


@pytest.fixture
def atlas(stars) -> Atlas:
    made = Atlas()
    made.add(Entry("stars", stars, title="stars"))
    return made


QUERIES = {
    "detail=auto": lambda s: s.points(),
    "detail=points&size=3&shape=cross": lambda s: s.points(size=3, shape="cross", detail="points"),
    "color=vt&size=vt": lambda s: s.points(color="vt", size="vt", detail="points"),
    "color=type": lambda s: s.points(color="type", detail="points"),
    "agg=count&spread=2": lambda s: s.select(reduction="count").spread(2),
    "spread=auto&shape=square": lambda s: s.spread("auto", "square"),
    "detail=numbers": lambda s: s,
}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("tile", [Tile(0, 1, 0), Tile(4, 9, 7)])
def test_a_served_tile_is_a_baked_tile(client: Any, stars, query, tile) -> None:
    layer = QUERIES[query](stars)
    z, x, y = tile
    for suffix, size in (("", 256), ("@2x", 512)):
        reply = client.get(f"/tiles/stars/sky/{z}/{x}/{y}{suffix}.png?{query}")
        assert reply.status_code == 200, reply.text
        baked = make_tile(layer, Window.of(SKY, tile, size), layer.info.style, "png")
        assert reply.content == baked.data


def test_classes_take_the_colours_of_the_query(client: Any) -> None:
    path = "/tiles/stars/sky/3/4/3.png?color=type"
    plain = client.get(path).content
    coloured = client.get(f"{path}&colors=star:%23ff0,galaxy:%230af")
    assert coloured.status_code == 200
    assert coloured.content != plain


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("detail=all", "'all'"),
        ("shape=star", "'star'"),
        ("size=nonesuch", "'nonesuch'"),
        ("size=400", "400"),
        ("color=nonesuch", "'nonesuch'"),
        ("spread=-1", "'-1'"),
        ("spread=99", "99"),
        ("spread=2&size=3", "exclude"),
        ("colors=star", "colors='star'"),
        ("colors=star:nocolour", "nocolour"),
    ],
)
def test_refusals_name_the_value(client: Any, query, named) -> None:
    reply = client.get(f"/tiles/stars/sky/3/4/3.png?{query}")
    assert reply.status_code == 422, query
    assert named in reply.json()["detail"]


def test_maps_have_no_rows_to_draw() -> None:
    from tests.app.fakes import FakeLayer

    for choice in (Choice(detail="auto"), Choice(spread="1"), Choice(color="x")):
        with pytest.raises(InputError, match="no catalogue"):
            choice.apply(FakeLayer())


def test_a_query_is_read_once() -> None:
    params = parse("detail=points&size=vt&color=type&shape=square&colors=a:red")
    assert params.choice == Choice(detail="points", size="vt", color="type", shape="square")
    assert dict(params.style) == {"colors": "a:red"}
    with pytest.raises(UnknownNameError, match="dots"):
        parse("detail=dots")


def test_shapes_are_a_layer_like_others(connect: Any) -> None:
    from skyshade.app.viewer import Viewer
    from skyshade.layers.glyphs import footprints, tracks
    from tests.app.viewer.conftest import until, wanted

    atlas = Atlas()
    areas = footprints(["CIRCLE ICRS 10 20 5", "POLYGON ICRS 0 0 5 0 5 5"], id="areas")
    lines = tracks([([0, 40, 80], [0, 30, 10])], id="lines")
    for layer in (areas, lines):
        atlas.add(Entry(layer.id, layer, title=layer.info.title))
    client = connect(atlas)
    for layer in (areas, lines):
        reply = client.get(f"/tiles/{layer.id}/sky/1/1/0.png")
        baked = make_tile(layer, Window.of(SKY, Tile(1, 1, 0)), layer.info.style, "png")
        assert (reply.status_code, reply.content) == (200, baked.data)
    assert client.get("/api/layers/areas/value?ra=10&dec=20").json()["value"] == 1.0
    viewer = Viewer(atlas)
    until(lambda: viewer._statistics is not None)
    assert "tiles/areas/" in wanted(viewer)
