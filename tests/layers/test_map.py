from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import DataError, FrameMismatchError, InputError, UnknownNameError
from skyshade.geometry.grids import SKY
from skyshade.geometry.wcs import PixelMap, separation
from skyshade.layers import levels
from skyshade.layers.map import MapLayer
from skyshade.loaders.api import load
from skyshade.testing import LayerTests, sky_tiles
from skyshade.types import Tile, Window
from tests.geometry.skies import ALL, make_wcs
from tests.layers.images import ArrayReader, image

KINDS = ["car", "car flipped", "car cut", "car wide", "car galactic", "tan pole", "ait galactic"]


def smooth_map(name: str) -> MapLayer:
    """Return a map whose value is a smooth function of the sky: 2 + x + y z of the unit vector."""
    wcs, shape = ALL[name]
    x, y = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    return MapLayer([image(wcs, smooth(*PixelMap(wcs, shape).pixel_to_sky(x, y)))], id=name)


def smooth(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    a, d = np.radians(ra), np.radians(dec)
    return 2.0 + np.cos(a) * np.cos(d) + np.sin(a) * np.cos(d) * np.sin(d)


def centres(window: Window) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(window.row, window.row + window.height) + 0.5
    cols = np.arange(window.col, window.col + window.width) + 0.5
    ra, dec = SKY.sky_axes(window.z, cols, rows)
    return np.meshgrid(ra, dec)[0], np.meshgrid(ra, dec)[1]


LAYERS: dict[str, MapLayer] = {}


class TestCarLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> MapLayer:
        return LAYERS.setdefault("car", smooth_map("car"))


class TestGalacticLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> MapLayer:
        return LAYERS.setdefault("car galactic", smooth_map("car galactic"))


class TestPatchLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> MapLayer:
        return LAYERS.setdefault("tan pole", smooth_map("tan pole"))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("z", [0, 1, 3])
def test_a_smooth_sky_is_drawn_where_it_is(name: str, z: int) -> None:
    layer = smooth_map(name)
    height, width = SKY.lattice_shape(z)
    seen = 0
    for col in range(0, width, max(256, width // 8)):
        for row in range(0, height, max(256, height // 4)):
            window = Window(SKY, z, col, row, 256, 256)
            found = layer.compute(window)
            assert found.quality == "exact"
            good = np.isfinite(found.values)
            seen += good.sum()
            away = np.abs(found.values - smooth(*centres(window)))[good]
            assert away.max(initial=0.0) < 0.02 * max(1.0, layer.info.resolution)
    assert seen > 1000


@pytest.mark.parametrize("name", ["car", "car wide", "cea fk5", "mer"])
def test_full_circles_have_no_seam(name: str) -> None:
    """No column is missing anywhere along a parallel, at any level."""
    wcs, shape = ALL[name]
    values = np.broadcast_to(np.arange(1.0, shape[0] + 1)[:, None], shape)
    layer = MapLayer([image(wcs, values)], id=name)
    for z in (0, 1, 2, 3):
        height, width = SKY.lattice_shape(z)
        found = layer.compute(Window(SKY, z, -40, height // 2 - 30, width + 80, 20)).values
        assert np.isfinite(found).all()
        assert np.ptp(found, axis=1).max() < 0.02 * found.max()  # the same at every RA


@pytest.mark.parametrize("sign1", [-1, 1])
@pytest.mark.parametrize("sign2", [-1, 1])
@pytest.mark.parametrize(("ra", "dec"), [(30.3, 20.2), (359.9, -40.0), (180.0, 60.0)])
def test_orientation(sign1: int, sign2: int, ra: float, dec: float) -> None:
    """A source at a known position lights the lattice pixel that owns it, for all signs of CDELT.

    The map is twice as fine as the lattice, so the brightest pixel may be the next one only.
    """
    z = 1
    step = SKY.pixel_size(z) / 2
    nx, ny = round(360 / step), round(180 / step)
    wcs = make_wcs(cdelt=(sign1 * step, sign2 * step), crpix=(nx / 2 + 0.5, ny / 2 + 0.5))
    x, y = np.meshgrid(np.arange(nx), np.arange(ny))
    sky = PixelMap(wcs, (ny, nx)).pixel_to_sky(x, y)
    values = np.exp(-0.5 * (separation(*sky, ra, dec) / (3 * step)) ** 2)
    layer = MapLayer([image(wcs, values)], id="source")
    col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
    window = Window(SKY, z, int(col[0]) - 20, int(row[0]) - 20, 41, 41)
    found = layer.compute(window).values
    at = np.unravel_index(np.argmax(found), found.shape)
    assert max(abs(at[0] - 20), abs(at[1] - 20)) <= 1
    total = found / found.sum()
    centre = np.sum(total * np.arange(41)[:, None]), np.sum(total * np.arange(41))
    true = SKY.sky_axes(z, np.array([col[0] + 0.5]), np.array([row[0] + 0.5]))
    assert centre[0] == pytest.approx(20 + (true[1][0] - dec) / SKY.pixel_size(z), abs=0.05)
    shift = ((true[0][0] - ra + 180) % 360 - 180) / SKY.pixel_size(z)
    assert centre[1] == pytest.approx(20 + shift, abs=0.05)


@pytest.mark.parametrize("name", ["car", "tan", "zea", "car galactic", "tan turned", "tan sip"])
def test_agrees_with_reproject(name: str) -> None:
    """Law 5: bilinear sampling agrees with `reproject_interp` to a thousandth of the map's range.

    Coordinates may be off by 0.05 displayed pixel. Edges and gaps differ: reproject wants all
    four neighbours, we half of their weight, so only pixels that both fill are compared.
    """
    from reproject import reproject_interp

    layer = smooth_map(name)
    z = layer.info.max_zoom
    middle = layer.info.coverage
    ra, dec = (middle.ra_east + middle.ra_west) / 2 % 360, (middle.dec_min + middle.dec_max) / 2
    col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
    window = Window(SKY, z, int(col[0]) - 64, int(row[0]) - 64, 128, 128)
    step = SKY.pixel_size(z)
    target = make_wcs(
        crval=(ra, 0.0),
        cdelt=(-step, step),
        crpix=(
            65 - (centres(window)[0][0, 64] - ra) / -step,
            1 + (0 - centres(window)[1][-1, 0]) / step,
        ),
    )
    wcs, shape = ALL[name]
    base = layer._mine.reader.read(0, shape[0], 0, shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, from reproject's edges
        expected, _ = reproject_interp((base, wcs), target, shape_out=(128, 128))
    found = layer.compute(window).values
    both = np.isfinite(found) & np.isfinite(expected[::-1])
    assert both.mean() > 0.5
    away = np.abs(found - expected[::-1])[both]
    assert away.max() < 1e-3 * max(np.nanmax(base) - np.nanmin(base), 0.1)


@settings(max_examples=15, deadline=None)
@given(sky_tiles(5), st.sampled_from(KINDS))
def test_tiles_alone_equal_tiles_at_once(tile: Tile, name: str) -> None:
    layer = LAYERS.setdefault(name, smooth_map(name))
    window = Window.of(SKY, tile)
    whole = layer.compute(window).values
    wide = replace(window, col=window.col - 64, width=384)
    np.testing.assert_array_equal(layer.compute(wide).values[:, 64:320], whole)
    quarter = replace(window, col=window.col + 128, row=window.row + 128, width=128, height=128)
    np.testing.assert_array_equal(layer.compute(quarter).values, whole[128:, 128:])


def test_levels_are_weighted_means() -> None:
    """Law 3: zoomed out, a tile pixel centred on a coarse pixel shows its exact mean."""
    rng = np.random.default_rng(2)
    n = 2048
    values = rng.normal(size=(n // 2, n)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    step = 360.0 / n  # the lattice of level 2
    wcs = make_wcs(crval=(180, 0), cdelt=(-step, step), crpix=(0.5, n / 4 + 0.5))
    layer = MapLayer([image(wcs, values)], id="nested")
    layer.wait_exact()
    for k in range(6):
        z, side = 2 - k, 1 << k
        found = layer.compute(Window(SKY, z, 0, 0, n >> k, n // 2 >> k)).values[::-1]
        blocks = values.reshape(n // 2 // side, side, n // side, side)
        count = np.isfinite(blocks).sum(axis=(1, 3))
        mean = np.nansum(blocks, axis=(1, 3), dtype=np.float64) / np.maximum(count, 1)
        np.testing.assert_array_equal(np.isfinite(found), count > 0)
        np.testing.assert_allclose(found[count > 0], mean[count > 0], rtol=1e-5, atol=1e-6)


def test_the_version_follows_wcs_and_plane() -> None:
    wcs, ones = ALL["car"][0], np.ones((180, 360))
    versions = {
        MapLayer([image(wcs, ones)], id="a").version,
        MapLayer([image(ALL["car flipped"][0], ones)], id="a").version,
        MapLayer([image(wcs, ones, plane="Q")], id="a").version,
    }
    assert len(versions) == 3
    assert MapLayer([image(wcs, ones)], id="b").version in versions


def test_windows_elsewhere_read_nothing() -> None:
    layer = smooth_map("tan")
    found = layer.compute(Window.of(SKY, SKY.tile_of(180.0, -60.0, 5)))
    assert np.isnan(found.values).all()
    assert found.quality == "exact"
    assert not layer._mine.reader.boxes


def test_strewn_windows_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window across the cut of an all-sky AIT map needs both of its ends."""
    layer = smooth_map("ait galactic")
    window = Window(SKY, 3, 100, 1100, 256, 256)  # near (95, +10): l = 180 runs through it
    whole = layer.compute(window).values
    layer._mine.reader.most = 0
    monkeypatch.setattr(levels, "MAX_BOX", 3000)
    np.testing.assert_array_equal(layer.compute(window).values, whole)
    assert 0 < layer._mine.reader.most <= 3000


def test_integer_maps_are_never_interpolated() -> None:
    wcs, shape = ALL["car"]
    labels = np.random.default_rng(0).integers(0, 5, shape)
    layer = MapLayer([image(wcs, labels, integer=True, name="mask")], id="m")
    for z in (0, 1, 2):
        found = layer.compute(Window.of(SKY, Tile(z, 0, 0))).values
        assert set(np.unique(found)) <= set(range(5))
    assert layer.info.style.cmap == "gray"


def test_enlarged_pixels_are_shown_as_they_are() -> None:
    layer = smooth_map("car")
    found = layer.compute(Window.of(SKY, Tile(3, 3, 3))).values
    assert len(np.unique(found)) <= 24 * 24  # 22.5 degrees a side, 1 degree pixels


@pytest.mark.parametrize("name", KINDS)
def test_values_are_the_pixels_of_the_map(name: str) -> None:
    layer = smooth_map(name)
    base, pixels = layer._mine.reader.values, layer._mine.grid.pixels
    rng = np.random.default_rng(1)
    ny, nx = pixels.shape
    for x, y in zip(rng.integers(0, nx, 10), rng.integers(0, ny, 10), strict=True):
        ra, dec = pixels.pixel_to_sky(np.array(x + 0.3), np.array(y - 0.3))
        if not np.isfinite(ra):
            continue
        found, expected = layer.value(float(ra), float(dec)), base[y, x]
        assert found == (None if np.isnan(expected) else pytest.approx(expected))


def test_values_elsewhere_are_none() -> None:
    layer = smooth_map("tan")
    assert layer.value(180.0, -60.0) is None
    assert layer.value(float("nan"), 0.0) is None
    assert layer.value(0.0, 95.0) is None
    layer._mine.reader.values[:] = np.inf
    assert layer.value(359.9, 60.0) is None


def test_double_precision_is_kept_in_values() -> None:
    wcs, shape = ALL["car"]
    reader = ArrayReader(np.full(shape, 1.0 + 1e-12))
    reader.values[0, 0] = 1e300
    layer = MapLayer([image(wcs, reader)], id="m")
    assert layer.value(10.0, 10.0) == 1.0 + 1e-12
    assert layer.compute(Window.of(SKY, Tile(0, 0, 0))).values.dtype == np.float32
    assert np.nanmax(layer.compute(Window(SKY, -3, 0, 0, 64, 32)).values) == 1.0


def test_an_empty_map_is_shown_empty() -> None:
    wcs, shape = ALL["car"]
    layer = MapLayer([image(wcs, np.full(shape, np.nan))], id="m")
    assert layer.statistics().n_valid == 0
    assert layer.scale() == 1.0
    assert np.isnan(layer.compute(Window.of(SKY, Tile(0, 0, 0))).values).all()


def test_what_a_map_has_not_is_named() -> None:
    wcs, shape = ALL["car"]
    layer = MapLayer([image(wcs, np.zeros(shape), plane=p) for p in "IQ"], id="m")
    with pytest.raises(UnknownNameError, match="unknown plane 'V'; known: I, Q"):
        layer.select(plane="V")
    for choice in ({"column": "mag"}, {"where": "mag < 3"}, {"time": "2020"}):
        with pytest.raises(InputError, match=f"{next(iter(choice))} .* has no"):
            layer.select(**choice)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="plane 2 of 'm' is not allowed: there are 2"):
        MapLayer([image(wcs, np.zeros(shape))] * 2, id="m", plane=2)


def test_free_planes_are_refused() -> None:
    class Free:
        id, frame = "plane", "plane"

    with pytest.raises(FrameMismatchError, match="layer 'car' is a sky map: grid 'plane'"):
        smooth_map("car").compute(Window(Free(), 0, 0, 0, 4, 4))  # type: ignore[arg-type]


def test_unreadable_pixels_are_told() -> None:
    wcs, shape = ALL["car"]
    reader = ArrayReader(np.zeros(shape, "f4"))
    layer = MapLayer([image(wcs, reader)], id="m")
    reader.error = DataError("map.fits", "truncated")
    with pytest.raises(DataError, match="truncated"):
        layer.compute(Window.of(SKY, Tile(1, 0, 0)))
    with pytest.raises(DataError, match="truncated"):
        layer.wait_exact()


def test_a_real_header_without_pixels_of_its_own() -> None:
    """A one pixel map works."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [10.0, 20.0]
    wcs.wcs.cdelt, wcs.wcs.crpix = [-1.0, 1.0], [1.0, 1.0]
    layer = MapLayer([image(wcs, np.full((1, 1), 5.0))], id="m")
    col, row = SKY.lattice(np.array([10.0]), np.array([20.0]), 4)
    found = layer.compute(Window(SKY, 4, int(col[0]) - 20, int(row[0]) - 20, 40, 40)).values
    assert found[20, 20] == 5.0
    assert np.isnan(found[0, 0])
    assert layer.value(10.0, 20.0) == 5.0


def test_clusters_lie_inside_their_survey(shared_data: Path) -> None:
    """The mask of a real survey (CEA, FK5, crossing RA 0) is 1 at its own clusters."""
    real = shared_data / "real"
    layer = MapLayer(load(real / "car" / "surveyMask.fits.gz").images[0], id="mask")
    ra, dec = load(real / "catalog" / "E-D56Clusters.fits").tables[0].positions()
    found = [layer.value(float(r), float(d)) for r, d in zip(ra, dec, strict=True)]
    assert len(found) > 100
    assert np.mean([value == 1.0 for value in found]) > 0.99
    assert layer.value(180.0, 0.0) is None
