from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.geometry.grids import MERCATOR, SKY, WORLD, TileGrid, tan_grid
from skyshade.tiles.tilejson import tilejson
from skyshade.types import Coverage, LayerInfo

URL = "{z}/{x}/{y}.png?v=1"


def document(coverage: Coverage, max_zoom: int = 7, grid: TileGrid = SKY) -> dict:
    info = LayerInfo("a", "A <map>", "map", units="uK", coverage=coverage, max_zoom=max_zoom)
    return tilejson(info, grid, URL, version="abc")


def test_required_fields() -> None:
    made = json.loads(json.dumps(document(Coverage(360.0, 0.0, -90.0, 90.0))))
    assert made["tilejson"] == "3.0.0"
    assert made["tiles"] == [URL]
    assert (made["minzoom"], made["maxzoom"], made["scheme"]) == (0, 7, "xyz")
    assert made["bounds"] == [-180, -90, 180, 90]
    assert made["skyshade_version"] == "abc"
    assert "attribution" not in made


def test_it_says_that_it_is_not_mercator() -> None:
    made = document(Coverage(20.0, 10.0, 0.0, 5.0))
    assert made["description"].startswith("Not Web Mercator: grid 'sky'")
    assert made["grid"]["id"] == "sky"


@pytest.mark.parametrize(
    ("east", "west", "left", "right"),
    [(20.0, 10.0, -20.0, -10.0), (370.0, 350.0, -10.0, 10.0), (190.0, 170.0, 170.0, 190.0)],
)
def test_bounds_run_from_east_to_west(east, west, left, right) -> None:
    made = document(Coverage(east, west, -3.0, 4.0))
    assert made["bounds"] == [left, -3.0, right, 4.0]
    assert made["center"] == [(left + right) / 2, 0.5, 0]


@given(st.floats(0, 360), st.floats(0.001, 359))
def test_bounds_hold_their_tiles(west: float, width: float) -> None:
    left, _, right, _ = document(Coverage(west + width, west, 0.0, 1.0))["bounds"]
    assert -180 <= left < 180
    assert right - left == pytest.approx(width, abs=1e-9)


def test_zoom_never_exceeds_the_grid() -> None:
    assert document(Coverage(360.0, 0.0, -90.0, 90.0), 99)["maxzoom"] == SKY.max_zoom


@pytest.mark.parametrize(
    ("east", "west", "left", "right"),
    [
        (20.0, 10.0, 10.0, 20.0),
        (370.0, 350.0, -10.0, 10.0),
        (190.0, 170.0, -180.0, 180.0),  # TileJSON allows no bounds across longitude 180
        (360.0, 0.0, -180.0, 180.0),
        (360.0, 180.0, -180.0, 0.0),
    ],
)
def test_geographic_bounds_are_longitudes_and_latitudes(east, west, left, right) -> None:
    coverage = Coverage(east, west, -88.0, 40.0)
    assert document(coverage, grid=WORLD)["bounds"] == [left, -88.0, right, 40.0]
    mercator = document(coverage, grid=MERCATOR)
    assert mercator["bounds"] == pytest.approx([left, -85.0511287798, right, 40.0])
    assert mercator["description"].startswith("grid 'WebMercatorQuad'")


def test_bounds_on_a_tangent_plane() -> None:
    grid = tan_grid(180.0, 0.0)
    ra, dec = grid.plane.ra, grid.plane.dec
    left, bottom, right, top = document(Coverage(ra + 1, ra - 1, dec - 1, dec + 1), grid=grid)[
        "bounds"
    ]
    assert (left, right, bottom, top) == pytest.approx((-1.0, 1.0, -1.0, 1.0), abs=2e-3)
    # the whole plane where a layer reaches beyond it, or lies behind it
    for coverage in (Coverage(360.0, 0.0, -90.0, 90.0), Coverage(10.0, 0.0, -5.0, 5.0)):
        assert document(coverage, grid=grid)["bounds"] == [-90, -90, 90, 90]
    north = tan_grid(0.0, 90.0)
    cap = document(Coverage(360.0, 0.0, 80.0, 90.0), grid=north)["bounds"]
    assert cap == pytest.approx([-10, -10, 10, 10], abs=2.5)
