"""Lines and polygons on the sky: where they lie, what they count, and that tiles join."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

import skyshade
from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.grids import MERCATOR, SKY, WORLD, tan_grid
from skyshade.layers.glyphs import footprints, tracks
from skyshade.testing import LayerTests
from skyshade.types import Window

ds = pytest.importorskip("datashader")

POLE = "POLYGON ICRS 0 78 90 80 180 75 270 82"
SEAM = "POLYGON ICRS 170 -20 190 -20 190 10 170 10"


@cache
def some_footprints(**how):
    rng = np.random.default_rng(6)
    ra, dec = rng.uniform(0, 360, 60), np.degrees(np.arcsin(rng.uniform(-1, 1, 60)))
    texts = [f"CIRCLE ICRS {r} {d} 6" for r, d in zip(ra, dec, strict=True)]
    table = {"s_region": [*texts, POLE, SEAM], "depth": np.arange(62.0)}
    table["band"] = np.array(["g", "r", None, "i"], object)[np.arange(62) % 4]
    return footprints(table, **how)


@cache
def some_tracks(**how):
    turn = np.linspace(0, 1080, 200)
    lines = {
        "ra": [turn % 360, [0, 90], [10, 200, 350]],
        "dec": [50 * np.sin(turn / 80), [85, 85], [-70, -60, 0]],
        "speed": [1.0, 2.0, np.nan],
        "kind": ["a", "b", "a"],
    }
    return tracks(lines, **how)


class TestFootprints(LayerTests):
    @pytest.fixture
    def layer(self):
        return some_footprints()


class TestClasses(LayerTests):
    @pytest.fixture
    def layer(self):
        return some_footprints(reduction="by:band")


class TestTracks(LayerTests):
    @pytest.fixture
    def layer(self):
        return some_tracks()


class TestSmoothTracks(LayerTests):
    @pytest.fixture
    def layer(self):
        return some_tracks(reduction="count", width=2.5)


LAYERS = {
    "footprints": lambda: some_footprints(reduction="mean:depth"),
    "classes": lambda: some_footprints(reduction="by:band"),
    "tracks": some_tracks,
    "smooth": lambda: some_tracks(reduction="count", width=3.0),
}


@pytest.mark.parametrize("grid", [SKY, WORLD, MERCATOR, tan_grid(30.0, 70.0)], ids=lambda g: g.id)
@pytest.mark.parametrize("name", LAYERS)
def test_tiles_join_exactly(name, grid) -> None:
    layer = LAYERS[name]()
    height, width = grid.lattice_shape(2)
    col, row = width // 2 - 64, height // 2 - 128
    whole = layer.compute(Window(grid, 2, col, row, 256, 256)).values
    assert np.nan_to_num(whole).any()
    for y, x in ((0, 0), (0, 128), (128, 128), (60, 77)):
        part = layer.compute(Window(grid, 2, col + x, row + y, 128, 128)).values
        np.testing.assert_array_equal(whole[y : y + 128, x : x + 128], part)


def test_circles_cover_what_lies_within_their_radius() -> None:
    centres = [(0.0, 0.0), (180.0, 30.0), (77.0, 84.0), (250.0, -60.0)]
    layer = footprints([f"CIRCLE ICRS {ra} {dec} 10" for ra, dec in centres])
    window = Window(SKY, 1, 0, 0, 1024, 512)
    made = layer.compute(window).values
    ra, dec = SKY.sky(1, np.arange(1024) + 0.5, np.arange(512)[:, None] + 0.5)
    sky = SkyCoord(ra, dec, unit="deg")
    apart = np.stack([sky.separation(SkyCoord(*c, unit="deg")).deg for c in centres])
    expected = (apart < 10.0).sum(axis=0)
    edge = (np.abs(apart - 10.0) < 0.02).any(axis=0)  # a circle is drawn with 120 sides
    np.testing.assert_array_equal(made[~edge], expected[~edge])


def test_polygons_hold_a_pole_and_cross_ra_180() -> None:
    layer = footprints([POLE, SEAM])
    assert layer.value(33.0, 89.9) == 1.0
    assert layer.value(33.0, 70.0) is None
    assert layer.value(180.0, 0.0) == 1.0
    assert layer.value(189.0, 0.0) == 1.0
    assert layer.value(171.0, 0.0) == 1.0
    assert layer.value(0.0, 0.0) is None


def test_edges_are_great_circles() -> None:
    middle = SkyCoord([0, 80], [60, 60], unit="deg")
    track = tracks([(middle.ra.deg, middle.dec.deg)])
    half = middle[0].directional_offset_by(
        middle[0].position_angle(middle[1]), middle[0].separation(middle[1]) / 2
    )
    z = 8
    col, row = SKY.lattice(np.array([half.ra.deg]), np.array([half.dec.deg]), z)
    made = track.compute(Window(SKY, z, int(col[0]) - 1, int(row[0]) - 1, 3, 3)).values
    assert made.any()
    at_60 = SKY.lattice(np.array([40.0]), np.array([60.0]), z)
    flat = track.compute(Window(SKY, z, int(at_60[0][0]) - 20, int(at_60[1][0]) - 20, 40, 40))
    assert not flat.values.any()


def test_reductions_of_footprints() -> None:
    table = {
        "s_region": ["CIRCLE ICRS 50 0 5", "CIRCLE ICRS 52 0 5", "CIRCLE ICRS 54 0 5"],
        "depth": [1.0, 3.0, np.nan],
        "band": ["g", "r", None],
    }
    expected = {"count": 3.0, "any": 1.0, "mean:depth": 2.0, "sum:depth": 4.0, "by:band": 2.0}
    for reduction, value in expected.items():
        assert footprints(table, reduction=reduction).value(52.0, 0.5) == value, reduction
    for reduction in (
        ds.count(),
        ds.any(),
        ds.mean("depth"),
        ds.sum("depth"),
        ds.count_cat("band"),
    ):
        footprints(table, reduction=reduction)
    layer = footprints(table)
    assert layer.select(reduction="mean", column="depth").value(52.0, 0.5) == 2.0
    assert layer.select().version == layer.version


def test_a_shape_of_several_parts_counts_once() -> None:
    layer = footprints(["UNION ICRS ( CIRCLE 50 0 5 CIRCLE 52 0 5 )"])
    assert layer.value(51.0, 0.0) == 1.0


def test_lines_are_datashaders_lines() -> None:
    layer = some_tracks(reduction="count")
    made = layer.compute(Window(SKY, 1, 300, 100, 200, 300)).values
    assert made.dtype == np.uint32
    assert made.max() >= 1
    classes = some_tracks(reduction="by:kind").compute(Window(SKY, 0, 0, 0, 512, 256))
    assert classes.categories == ("a", "b")
    assert classes.values.any(axis=(0, 1)).all()
    speed = some_tracks(reduction="mean:speed").compute(Window(SKY, 0, 0, 0, 512, 256)).values
    assert set(np.unique(speed[np.isfinite(speed)])) <= {1.0, 1.5, 2.0}


def test_a_long_table_of_positions() -> None:
    table = {"ra": [10.0, 40.0, 20.0, 50.0], "dec": [0.0, 9.0, 0.0, 9.0], "sat": [1, 2, 1, 2]}
    layer = tracks(table, by="sat")
    assert layer.info.size == "2 tracks"
    made = layer.compute(Window(SKY, 2, 0, 0, 2048, 1024)).values
    cols = np.flatnonzero(made.any(axis=0)) / 2048 * 360
    assert np.all((cols > 125) & (cols < 172))  # RA 10 to 50, nothing between the two


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"reduction": "median"}, "median"),
        ({"reduction": "mean"}, "needs a column"),
        ({"reduction": "mean:nonesuch"}, "nonesuch"),
        ({"reduction": "mean:band"}, "holds none"),
    ],
)
def test_what_is_not_allowed_is_named(how, words) -> None:
    with pytest.raises((InputError, UnknownNameError), match=words):
        some_footprints(**how)


def test_a_selection_that_shapes_do_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="where"):
        some_footprints().select(where="depth > 3")
    with pytest.raises(InputError, match="width"):
        some_tracks(width=99)


def test_nothing_at_all_is_an_empty_layer() -> None:
    layer = footprints([])
    assert not layer.compute(Window(SKY, 0, 0, 0, 64, 64)).values.any()
    assert layer.statistics().n_valid == 0


def test_they_are_public() -> None:
    assert skyshade.footprints is footprints
    assert skyshade.tracks is tracks
