from __future__ import annotations

import numpy as np
import pytest

from skyshade.errors import InputError
from skyshade.geometry.grids import GRIDS, SKY, tan_grid
from skyshade.geometry.wcs import PixelMap, separation
from skyshade.kernels.dispatch import compile_all
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.map import MapLayer
from skyshade.layers.rgb import RgbLayer
from skyshade.layers.smooth import SIGMA, SmoothedLayer
from skyshade.layers.smooth_lattice import cubic
from skyshade.testing import LayerTests
from skyshade.types import Tile, Window
from tests.geometry.skies import make_wcs
from tests.layers.images import ArrayReader, image
from tests.layers.tables import ArrayTable

STEP = 0.5
SHAPE = (360, 720)
CAR = make_wcs(cdelt=(-STEP, STEP), crpix=(360.5, 180.5))
BLOB = 1.5 * STEP  # sigma of a source: what the map itself resolves


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_all()


def polar(pole: float) -> object:
    return make_wcs("ZEA", (30.0, pole), (-STEP, STEP), (120.5, 120.5))


def source(wcs: object, shape: tuple[int, int], ra: float, dec: float) -> np.ndarray:
    x, y = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    sky = PixelMap(wcs, shape).pixel_to_sky(x, y)
    return np.exp(-0.5 * (separation(*sky, ra, dec) / BLOB) ** 2)


def made(wcs: object, values: np.ndarray, name: str = "m") -> MapLayer:
    return MapLayer([image(wcs, ArrayReader(np.asarray(values, np.float32)))], id=name)


def noise(seed: int = 1) -> MapLayer:
    values = np.random.default_rng(seed).normal(size=SHAPE)
    values[100:140, 300:420] = np.nan
    return made(CAR, values)


class TestLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> SmoothedLayer:
        return noise().smooth(2.0)


class TestWideLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> SmoothedLayer:
        return noise().smooth(25.0)


def sky_of(window: Window) -> tuple[np.ndarray, np.ndarray]:
    rows = window.row + np.arange(window.height)[:, None] + 0.5
    cols = window.col + np.arange(window.width) + 0.5
    return np.broadcast_arrays(*window.grid.sky(window.z, cols, rows))


def exact(ra: float, dec: float, fwhm: float, window: Window) -> np.ndarray:
    """Return a Gaussian source under a Gaussian beam, in the plane (beams of a few degrees)."""
    sigma2 = (fwhm * SIGMA) ** 2
    total = sigma2 + BLOB**2
    away = separation(*sky_of(window), ra, dec)
    return BLOB**2 / total * np.exp(-0.5 * away**2 / total)


def around(ra: float, dec: float, z: int, size: int = 128) -> Window:
    col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
    top = min(max(int(row[0]) - size // 2, 0), SKY.lattice_shape(z)[0] - size)
    return Window(SKY, z, int(col[0]) - size // 2, top, size, size)


PLACES = {
    "equator": (CAR, SHAPE, 120.2, 0.3),
    "across ra 0": (CAR, SHAPE, 0.05, -20.0),
    "across ra 180": (CAR, SHAPE, 179.9, 35.0),
    "dec 60": (CAR, SHAPE, 40.0, 60.0),
    "dec -75": (CAR, SHAPE, 300.0, -75.0),
    "near the north pole": (polar(90.0), (240, 240), 200.0, 89.0),
    "north pole": (polar(90.0), (240, 240), 0.0, 90.0),
    "south pole": (polar(-90.0), (240, 240), 77.0, -90.0),
}


@pytest.mark.parametrize("fwhm", [3.0, 8.0])
@pytest.mark.parametrize("place", PLACES)
def test_a_source_takes_the_shape_of_the_beam(place: str, fwhm: float) -> None:
    wcs, shape, ra, dec = PLACES[place]
    layer = made(wcs, source(wcs, shape, ra, dec)).smooth(fwhm)
    for z in (1, 3):
        window = around(ra, dec, z)
        found, expected = layer.compute(window).values, exact(ra, dec, fwhm, window)
        assert np.abs(np.nan_to_num(found) - expected).max() < 0.012 * expected.max()
        area = np.cos(np.radians(sky_of(window)[1]))
        assert np.nansum(found * area) == pytest.approx((expected * area).sum(), rel=0.01)
        peak = layer.value(ra, dec)
        assert peak == pytest.approx(exact(ra, dec, fwhm, window).max(), rel=0.02)


@pytest.mark.parametrize("dec", [0.0, 60.0, 88.0])
def test_equals_the_sum_over_all_pixels(dec: float) -> None:
    """Against brute force: every pixel of a noise map, weighted by area and true distance."""
    fwhm = 6.0
    wcs = make_wcs("ZEA", (200.0, dec), (-STEP, STEP), (100.5, 100.5))
    values = np.random.default_rng(8).normal(1.0, 1.0, (200, 200)).astype(np.float32)
    x, y = np.meshgrid(np.arange(200), np.arange(200))
    sky = PixelMap(wcs, (200, 200)).pixel_to_sky(x, y)  # equal areas
    layer = made(wcs, values).smooth(fwhm)
    window = Window(SKY, 2, around(200.0, dec, 2).col + 40, around(200.0, dec, 2).row + 40, 24, 24)
    ra, dec_ = sky_of(window)
    found = layer.compute(window).values
    for at in [(0, 0), (12, 12), (23, 5), (7, 23)]:
        weight = np.exp(-0.5 * (separation(*sky, ra[at], dec_[at]) / (fwhm * SIGMA)) ** 2)
        expected = (weight * values).sum() / weight.sum()
        assert found[at] == pytest.approx(expected, abs=0.006)  # the noise is 1, its mean here 0.2


@pytest.mark.parametrize("fwhm", [0.1, 0.7, 5.0, 60.0])
def test_a_constant_stays_constant(fwhm: float) -> None:
    layer = made(CAR, np.full(SHAPE, 7.5)).smooth(fwhm)
    for window in (Window(SKY, 0, 0, 0, 512, 256), around(10, 89, 4), around(0, -50, 2)):
        np.testing.assert_allclose(layer.compute(window).values, 7.5, rtol=1e-6)


def test_missing_pixels_have_no_weight() -> None:
    values = np.full(SHAPE, 3.0)
    values[150:152, 200:240] = np.nan  # narrower than the beam: filled
    values[:, 400:520] = np.nan  # wider: stays missing, cut in the middle of its edge
    layer = made(CAR, values).smooth(4.0)
    found = layer.compute(Window(SKY, 1, 0, 100, 1024, 300)).values
    shown = np.isfinite(found)
    np.testing.assert_allclose(found[shown], 3.0, rtol=1e-6)
    ra, dec = sky_of(Window(SKY, 1, 0, 100, 1024, 300))
    x, _ = PixelMap(CAR, SHAPE).sky_to_pixel(ra, dec)
    flat = np.abs(dec) < 40
    np.testing.assert_array_equal(shown[flat], ((x < 399) | (x > 520))[flat] | shown[flat])
    wrong = shown != ((x < 399.5) | (x > 519.5))
    assert wrong[flat].mean() < 0.01


def test_neighbours_join_at_the_poles_and_across_ra_0() -> None:
    layer = noise().smooth(3.0)
    for z, col, row in [(3, 2048 - 128, 0), (4, 4096 - 64, 4096 - 128), (1, 450, 200)]:
        whole = layer.compute(Window(SKY, z, col, row, 128, 64)).values
        parts = [
            [layer.compute(Window(SKY, z, col + x, row + y, 64, 32)).values for x in (0, 64)]
            for y in (0, 32)
        ]
        np.testing.assert_allclose(np.block(parts), whole, rtol=1e-6, atol=1e-9)


def test_narrow_beams_leave_the_map_alone() -> None:
    layer = noise()
    window = Window(SKY, 0, 100, 50, 64, 64)  # pixels of 0.7 degrees
    smooth = layer.smooth(0.2)
    np.testing.assert_array_equal(smooth.compute(window).values, layer.compute(window).values)
    assert smooth.compute(window).version == smooth.version != layer.version


def test_levels_agree() -> None:
    """A beam that every level resolves looks the same on all of them."""
    layer = noise().smooth(12.0)
    coarse = layer.compute(Window(SKY, 1, 200, 150, 32, 32)).values
    fine = layer.compute(Window(SKY, 3, 800, 600, 128, 128)).values
    means = fine.reshape(32, 4, 32, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(coarse, means, atol=0.02 * np.nanstd(coarse))


def test_values_agree_with_tiles() -> None:
    layer = noise().smooth(3.0)
    window = around(33.0, 50.0, 5, 16)
    values, (ra, dec) = layer.compute(window).values, sky_of(window)
    for at in [(0, 0), (8, 3), (15, 15)]:
        assert layer.value(float(ra[at]), float(dec[at])) == pytest.approx(values[at], abs=1e-5)
    assert layer.value(float("nan"), 0.0) is None
    hole = PixelMap(CAR, SHAPE).pixel_to_sky(np.array(360.0), np.array(120.0))
    assert layer.value(float(hole[0]), float(hole[1])) is None


@pytest.mark.parametrize(
    "grid", [GRIDS["WebMercatorQuad"], GRIDS["hips"], tan_grid(30.0, 40.0), tan_grid(0, 90)]
)
def test_other_grids_show_the_same_sky(grid: object) -> None:
    layer = noise().smooth(5.0)
    window = Window.of(grid, Tile(2, 13, 5) if grid is GRIDS["hips"] else Tile(2, 1, 1))
    found, (ra, dec) = layer.compute(window).values, sky_of(window)
    assert np.isfinite(found).mean() > 0.5
    for at in [(10, 10), (128, 128), (200, 30), (250, 250)]:
        value = layer.value(float(ra[at]), float(dec[at]))
        assert found[at] == pytest.approx(value, abs=1e-4) if value is not None else True


def test_the_mirrored_grid_is_the_mirror_image() -> None:
    layer = noise().smooth(3.0)
    mirror = layer.compute(Window.of(GRIDS["WorldCRS84Quad"], Tile(1, 0, 0))).values
    sky = layer.compute(Window.of(SKY, Tile(1, 3, 0))).values
    np.testing.assert_array_equal(mirror, sky[:, ::-1])


def test_previews_stay_previews() -> None:
    wcs = make_wcs(cdelt=(-0.09, 0.09), crpix=(2000.5, 1000.5))
    big = made(wcs, np.random.default_rng(0).random((2000, 4000)))
    layer, window = big.smooth(20.0), Window(SKY, 0, 100, 50, 64, 64)
    assert layer.compute(window).quality == "preview"
    assert layer.aggregate(window, exact=True).attrs["quality"] == "exact"
    assert layer.ready


def test_catalogues_are_smoothed_as_densities() -> None:
    rng = np.random.default_rng(4)
    ra, dec = rng.uniform(0, 360, 40000), np.degrees(np.arcsin(rng.uniform(-1, 1, 40000)))
    stars = CatalogLayer(ArrayTable(ra, dec), id="s")
    found = SmoothedLayer(stars, 20.0).compute(Window(SKY, 0, 0, 0, 512, 256))
    mean = 40000 / 41252.96
    np.testing.assert_allclose(found.values, mean, rtol=0.4)
    weights = np.cos(np.radians(sky_of(Window(SKY, 0, 0, 0, 512, 256))[1]))
    assert np.average(found.values, weights=weights) == pytest.approx(mean, rel=0.01)
    with pytest.raises(InputError, match="layer 's' gives uint32 with axes y, x: only densities"):
        SmoothedLayer(stars.select(reduction="count"), 20.0).compute(Window(SKY, 0, 0, 0, 8, 8))


def test_description_and_refusals() -> None:
    layer = noise()
    smooth = layer.smooth(6.0)
    assert (smooth.id, smooth.info.title) == ("m-smooth-6", "test, smoothed to 6 deg")
    assert smooth.info.resolution == 2.0
    assert smooth.info.max_zoom < layer.info.max_zoom
    assert smooth.parts == (layer,)
    assert layer.smooth(6.0).version == smooth.version != layer.smooth(6.5).version
    assert smooth.statistics().std < layer.statistics().std / 5
    for bad in (0.0, -1.0, 91.0, float("nan")):
        with pytest.raises(InputError, match=r"fwhm=.* is not allowed: give degrees above 0"):
            layer.smooth(bad)
    with pytest.raises(InputError, match="layer 'c' of kind 'rgb' has colours"):
        SmoothedLayer(RgbLayer(layer, layer, layer, id="c"), 1.0)


def test_only_the_halo_is_read() -> None:
    layer = made(CAR, np.random.default_rng(2).random(SHAPE))
    layer.smooth(2.0).compute(around(90.0, 0.0, 4, 32))
    rows = [box[1] - box[0] for box in layer.image.reader.boxes]
    cols = [box[3] - box[2] for box in layer.image.reader.boxes]
    assert max(rows) * STEP < 1.5 + 2 * 4.0 * 2.0 * SIGMA + 2
    assert max(cols) * STEP < 1.5 + 2 * 4.0 * 2.0 * SIGMA + 2


def test_cubic_interpolation_is_exact_for_quadratics() -> None:
    x = np.arange(12.0)
    values = np.stack([x**2 - 3 * x, 0 * x + 4])
    at = np.array([1.0, 1.25, 5.5, 9.9])
    np.testing.assert_allclose(cubic(values, at, 1), [at**2 - 3 * at, 0 * at + 4], atol=1e-12)
