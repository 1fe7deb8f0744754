from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.grids import GRIDS, SKY
from skyshade.geometry.wcs import PixelMap
from skyshade.layers import map_sample
from skyshade.layers.map import MapLayer
from skyshade.testing import LayerTests, sky_tiles
from skyshade.types import Tile, Window
from tests.geometry.skies import ALL, make_wcs
from tests.layers.images import ArrayReader, image

LAYERS: dict[tuple[str, str], MapLayer] = {}
SKIES = [
    *("car", "car wide", "car cut", "car galactic", "cea fk5", "tan", "tan pole", "tan turned"),
    *("tan tiny", "zea", "stg", "ait galactic", "sfl"),
]


def layer_of(name: str, values: np.ndarray, reduction: str = "max") -> MapLayer:
    return MapLayer([image(ALL[name][0], values)], id=name, reduction=reduction)


def noise(name: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(10.0, 1.0, ALL[name][1]).astype(np.float32)


@pytest.mark.parametrize("name", SKIES)
def test_a_single_bright_pixel_never_disappears(name: str) -> None:
    """Law 3 through every projection, at random places and zooms: 200 in all."""
    wcs, (ny, nx) = ALL[name]
    pixels, reader = PixelMap(wcs, (ny, nx)), ArrayReader(np.zeros((ny, nx), np.float32))
    layer = MapLayer([image(wcs, reader)], id=name, reduction="max")
    rng, deepest, done = np.random.default_rng(5), layer.info.max_zoom + 2, 0
    while done < 16:
        x, y = int(rng.integers(nx)), int(rng.integers(ny))
        ra, dec = pixels.pixel_to_sky(np.array(float(x)), np.array(float(y)))
        back = pixels.sky_to_pixel(ra, dec)
        if not (np.isfinite(ra) and np.hypot(back[0] - x, back[1] - y) < 0.1):
            continue  # not on the sky, or shown twice
        done += 1
        reader.values[:], reader.mark = 0.0, str(done)
        reader.values[y, x] = 7.0
        z = int(rng.integers(-4, deepest + 1))
        col, row = SKY.lattice(ra[None], dec[None], z)
        window = Window(SKY, z, int(col[0]) - 32, int(row[0]) - 32, 64, 64)
        found = layer.compute(window)
        assert found.quality == "exact"
        assert np.nanmax(found.values) == 7.0, (x, y, z)


@pytest.mark.parametrize("name", ["car", "car galactic", "tan turned", "zea", "ait galactic"])
def test_extremes_of_all_tiles_are_those_of_the_map(name: str) -> None:
    values = noise(name)
    wcs, (ny, nx) = ALL[name]
    x, y = np.meshgrid(np.arange(nx), np.arange(ny))
    ra, _ = PixelMap(wcs, (ny, nx)).pixel_to_sky(x, y)
    values[~np.isfinite(ra)] = np.nan
    values.flat[np.nanargmin(values)] = -30.0
    for reduction, truth in (
        ("max", np.nanmax(values)),
        ("min", np.float32(-30.0)),
        ("absmax", np.float32(30.0)),
    ):
        layer = layer_of(name, values, reduction)
        for z in (-2, 0):
            height, width = SKY.lattice_shape(z)
            found = layer.compute(Window(SKY, z, 0, 0, width, height)).values
            best = np.nanmin(found) if reduction == "min" else np.nanmax(found)
            assert best == truth


class TestMaximumLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> MapLayer:
        key = "car galactic", "max"
        return LAYERS.setdefault(key, layer_of("car galactic", noise("car galactic"), "max"))


class TestDeviationLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> MapLayer:
        return LAYERS.setdefault(("car", "std"), layer_of("car", noise("car"), "std"))


@pytest.mark.parametrize("name", ["WorldCRS84Quad", "WebMercatorQuad", "hips"])
def test_bright_pixels_are_seen_on_other_grids(name: str) -> None:
    grid = GRIDS[name]
    wcs, (ny, nx) = ALL["car galactic"]
    pixels, reader = PixelMap(wcs, (ny, nx)), ArrayReader(np.zeros((ny, nx), np.float32))
    layer = MapLayer([image(wcs, reader)], id=name, reduction="max")
    rng = np.random.default_rng(2)
    for n in range(12):
        x, y = int(rng.integers(nx)), int(rng.integers(ny // 4, ny - ny // 4))
        ra, dec = pixels.pixel_to_sky(np.array(float(x)), np.array(float(y)))
        if abs(dec) > 80.0:
            continue
        reader.values[:], reader.mark = 0.0, str(n)
        reader.values[y, x] = 7.0
        z = int(rng.integers(0, 4))
        col, row = grid.lattice(ra[None], dec[None], z)
        height, width = grid.lattice_shape(z)
        col, row = min(max(int(col[0]) - 32, 0), width - 64), min(int(row[0]) - 32, height - 64)
        found = layer.compute(Window(grid, z, col, max(row, 0), 64, 64)).values
        assert np.nanmax(found) == 7.0


def nested(n: int = 1024) -> tuple[np.ndarray, object]:
    """Return pixels and a WCS whose blocks of 2**k pixels are lattice pixels of coarser levels."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(n // 2, n)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    step = 360.0 / n  # the lattice of level 1
    return values, make_wcs(crval=(180, 0), cdelt=(-step, step), crpix=(0.5, n / 4 + 0.5))


@pytest.mark.parametrize("reduction", ["max", "min", "absmax", "std"])
def test_nested_pixels_are_reduced_without_their_neighbours(reduction: str) -> None:
    """Where lattice and map pixels share their edges, what is touched is what is covered."""
    values, wcs = nested()
    layer = MapLayer([image(wcs, values)], id="m", reduction=reduction)
    layer.wait_exact()
    reduce = {
        "max": np.nanmax,
        "min": np.nanmin,
        "absmax": lambda b, axis: np.nanmax(np.abs(b), axis=axis),
        "std": np.nanstd,
    }[reduction]
    ny, nx = values.shape
    for k in range(1, 6):
        side, z = 1 << k, 1 - k
        found = layer.compute(Window(SKY, z, 0, 0, nx >> k, ny >> k)).values[::-1]
        blocks = values.astype(np.float64).reshape(ny // side, side, nx // side, side)
        filled = np.isfinite(blocks).any(axis=(1, 3))
        np.testing.assert_array_equal(np.isfinite(found), filled)
        expected = reduce(np.where(filled[:, None, :, None], blocks, 0.0), axis=(1, 3))
        np.testing.assert_allclose(found[filled], expected[filled], rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    sky_tiles(4),
    st.sampled_from(["car", "car galactic", "tan pole", "tan turned", "ait galactic"]),
    st.sampled_from(["max", "min", "absmax", "std", "nearest"]),
)
def test_tiles_alone_equal_tiles_at_once(tile: Tile, name: str, reduction: str) -> None:
    layer = LAYERS.setdefault((name, reduction), layer_of(name, noise(name), reduction))
    window = Window.of(SKY, tile)
    whole = layer.compute(window).values
    wide = replace(window, col=window.col - 64, width=384)
    np.testing.assert_array_equal(layer.compute(wide).values[:, 64:320], whole)
    quarter = replace(window, col=window.col + 128, row=window.row + 128, width=128, height=128)
    np.testing.assert_array_equal(layer.compute(quarter).values, whole[128:, 128:])


def test_enlarged_pixels_stand_for_themselves() -> None:
    values = noise("car") * np.where(noise("car", 1) > 10.0, 1, -1)
    window = Window.of(SKY, Tile(4, 5, 6))
    plain = layer_of("car", values, "nearest").compute(window).values
    for reduction, expected in (
        ("max", plain),
        ("min", plain),
        ("absmax", np.abs(plain)),
        ("std", 0 * plain),
    ):
        found = layer_of("car", values, reduction).compute(window).values
        np.testing.assert_array_equal(found, expected)


def test_a_window_round_the_end_of_a_map_joins_both_ends() -> None:
    values = np.zeros(ALL["car"][1], np.float32)
    values[90, 0], values[85, -1] = 5.0, 6.0  # RA 180 lies between them
    layer = layer_of("car", values)
    for z in (-1, 0, 1):
        height = SKY.lattice_shape(z)[0]
        found = layer.compute(Window(SKY, z, -24, height // 2 - 24, 48, 48)).values
        assert {5.0, 6.0} <= set(np.unique(found))
        assert np.isfinite(found).all()


@pytest.mark.parametrize("name", ["car", "car galactic", "tan turned"])
def test_nearest_shows_base_pixels_where_they_are(name: str) -> None:
    """Off by 0.05 displayed pixel at most, however far the map is zoomed out."""
    wcs, (ny, nx) = ALL[name]
    x, y = np.meshgrid(np.arange(nx), np.arange(ny))
    grid = MapLayer([image(wcs, x)], id="x")._mine.grid
    by_x, by_y = (MapLayer([image(wcs, v)], id=name, reduction="nearest") for v in (x, y))
    for z in (-3, -1, 1, 3):
        height, width = SKY.lattice_shape(z)
        window = Window(SKY, z, 0, 0, min(width, 1024), min(height, 512))
        at = grid.coordinates(window)
        if at is None:
            continue
        at = at.full()
        found = by_x.compute(window).values, by_y.compute(window).values
        on = np.isfinite(found[0])
        zoomed = SKY.pixel_size(z) / by_x.info.resolution
        most = 0.5 + 0.05 * zoomed + 1e-3
        away = np.abs(found[0] - at.x), np.abs(found[1] - at.y)
        assert away[0][on].max(initial=0.0) <= most
        assert away[1][on].max(initial=0.0) <= most
        assert by_x.ready


def test_selections_are_layers_of_their_own() -> None:
    wcs, shape = ALL["car"]
    layer = MapLayer([image(wcs, np.ones(shape), plane=p, units="uK") for p in "IQ"], id="m")
    loud = layer.select(reduction="max")
    assert loud.reduction == "max"
    assert loud.info.quantity == "max of I"
    assert loud.select(plane="Q").info.quantity == "max of Q"
    assert loud.info.units == "uK"
    assert loud.select(reduction="mean").version == layer.version
    names = ["mean", "std", "max", "min", "absmax", "nearest"]
    chosen = [layer.select(reduction=name) for name in names]
    assert len({c.version for c in chosen}) == len(names)
    assert all(c._mine is layer._mine for c in chosen)
    assert layer.select(reduction="mean") is layer

    class min:  # what datashader's own are told by
        pass

    assert layer.select(reduction=min()).reduction == "min"
    with pytest.raises(UnknownNameError, match="unknown reduction 'median'; known: mean, std"):
        layer.select(reduction="median")
    with pytest.raises(UnknownNameError, match="unknown reduction 'sum'"):
        MapLayer([layer.image], id="m", reduction="sum")


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> MapLayer:
    monkeypatch.setattr(map_sample, "SMALL", 0)
    values = np.random.default_rng(0).normal(size=(1800, 3600)).astype(np.float32)
    wcs = make_wcs(cdelt=(-0.1, 0.1), crpix=(1800.5, 900.5))
    return MapLayer([image(wcs, ArrayReader(values))], id="large")


def test_the_first_tile_of_a_selection_begins_its_overview(large: MapLayer) -> None:
    window, calls = Window(SKY, -1, 0, 0, 128, 128), []
    loud = large.select(reduction="max")
    assert loud.compute(window).quality == "preview"
    assert not loud.progress  # nobody said how to begin
    with ThreadPoolExecutor(2) as pool:
        large.start_overview(pool.submit, lambda: calls.append("ready"))
        large.wait_exact()
        assert not loud.ready
        preview = loud.compute(window)
        loud.wait_exact()
        assert preview.quality == "preview"
    exact = loud.compute(window)
    assert exact.quality == "exact"
    assert calls == ["ready", "ready"]
    assert np.nanmax(exact.values) > np.nanmax(preview.values)
    assert exact.version == preview.version


def test_statistics_are_those_of_what_is_shown(large: MapLayer) -> None:
    """Blocks of 8 x 8 of unit noise: means of 1/8, maxima near 2.4, deviations near 1."""
    mean, loud, low, wild = (
        large.select(reduction=r).statistics() for r in ("mean", "max", "min", "std")
    )
    assert mean.std == pytest.approx(1 / 8, rel=0.1)
    assert loud.percentiles["50"] == pytest.approx(2.4, abs=0.2)
    assert low.percentiles["50"] == pytest.approx(-2.4, abs=0.2)
    assert wild.percentiles["50"] == pytest.approx(1.0, abs=0.05)
    assert large.select(reduction="nearest").statistics().std == pytest.approx(1.0, rel=0.1)
    assert not mean.exact
    again = MapLayer([large.image], id="x").statistics()
    assert again == mean


def test_weights_make_weighted_means() -> None:
    values, wcs = nested()
    rng = np.random.default_rng(3)
    ivar = rng.uniform(0.1, 10.0, values.shape).astype(np.float32)
    ivar[rng.random(values.shape) < 0.2] = 0.0
    ivar[:40, :40], ivar[100, 100], ivar[101, 101] = -1.0, np.nan, np.inf
    plain, weights = (MapLayer([image(wcs, v)], id=i) for v, i in ((values, "m"), (ivar, "w")))
    layer = plain.weighted(weights)
    counted = np.where((ivar > 0) & np.isfinite(ivar) & np.isfinite(values), ivar, 0.0)
    ny, nx = values.shape
    for k in (1, 2, 3, 4):
        side, z = 1 << k, 1 - k
        found = layer.compute(Window(SKY, z, 0, 0, nx >> k, ny >> k)).values[::-1]
        shape = (ny // side, side, nx // side, side)
        weight = counted.astype(np.float64).reshape(shape)
        total = (weight * np.nan_to_num(values).reshape(shape)).sum(axis=(1, 3))
        weight = weight.sum(axis=(1, 3))
        np.testing.assert_array_equal(np.isfinite(found), weight > 0)
        expected = total[weight > 0] / weight[weight > 0]
        np.testing.assert_allclose(found[weight > 0], expected, rtol=1e-4, atol=1e-6)
    assert layer.version != plain.version
    before = layer.version
    weights.image.reader.mark = "2"
    assert layer.version != before
    assert layer.select(reduction="max").compute(Window(SKY, 0, 0, 0, 64, 64)).quality == "exact"


def test_weights_must_lie_on_the_same_pixels() -> None:
    one, other = (MapLayer([image(ALL[n][0], noise("car"))], id=n) for n in ("car", "car flipped"))
    with pytest.raises(InputError, match=r"map 'car' \(360 x 180\) cannot be weighted by 'car fl"):
        one.weighted(other)
    small = MapLayer([image(ALL["car"][0], np.ones((90, 360)))], id="small")
    with pytest.raises(InputError, match="'small' \\(360 x 90\\): equal size and WCS"):
        one.weighted(small)


def test_planes_find_their_own_weights() -> None:
    wcs, shape = ALL["car"]
    maps, ivars = (
        MapLayer([image(wcs, np.full(shape, v), plane=p) for p in "IQ"], id=i, plane=1)
        for v, i in ((1.0, "m"), (2.0, "w"))
    )
    made = maps.weighted(ivars)
    assert made.info.quantity == "Q"
    assert made.image.weight is ivars.image.reader
    assert made.select(plane="I").image.weight is ivars.select(plane="I").image.reader
