from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.visualization import make_lupton_rgb
from PIL import Image as Pillow

from skyshade.errors import FrameMismatchError, InputError
from skyshade.geometry.grids import SKY
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.map import MapLayer
from skyshade.layers.rgb import PictureLayer, RgbLayer
from skyshade.testing import LayerTests
from skyshade.tiles.make import make_tile
from skyshade.types import Style, Tile, Window
from tests.geometry.skies import make_wcs
from tests.layers.images import ArrayReader, image
from tests.layers.tables import ArrayTable

SHAPE = (180, 360)
WCS = make_wcs()
PATCH = make_wcs("TAN", (150.0, 2.0), (-0.1, 0.1), (50.5, 40.5))
EAST = Window.of(SKY, Tile(0, 1, 0))


def band(seed: int, **more: object) -> MapLayer:
    rng = np.random.default_rng(seed)
    values = rng.lognormal(0.0, 1.0, SHAPE).astype(np.float32)
    values[:20, :100] = np.nan
    values[seed * 20, :] = np.nan
    return MapLayer([image(WCS, values, title=f"band {seed}", units="Jy")], id=f"b{seed}")


def rgb(**more: object) -> RgbLayer:
    return RgbLayer(band(1), band(2), band(3), id="rgb", **more)


def colours(alpha: bool = False, seed: int = 4) -> list:
    values = np.random.default_rng(seed).integers(0, 256, (80, 100, 4)).astype(np.float32)
    values[:, 50:, 3] = 0.0
    names = ("red", "green", "blue", "alpha")[: 4 if alpha else 3]
    return [
        image(PATCH, ArrayReader(values[:, :, i]), plane=name, name="press")
        for i, name in enumerate(names)
    ]


class TestRgbLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> RgbLayer:
        return rgb()


class TestPictureLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> PictureLayer:
        return PictureLayer(colours(), id="press")


class TestAlphaLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> PictureLayer:
        return PictureLayer(colours(alpha=True), id="press")


def test_the_aggregate_holds_the_three_layers() -> None:
    layer = rgb()
    made = layer.compute(EAST)
    assert (made.dims, made.categories) == (("y", "x", "band"), ("red", "green", "blue"))
    for i, part in enumerate(layer.parts):
        np.testing.assert_array_equal(made.values[:, :, i], part.compute(EAST).values)
    assert layer.aggregate(EAST).sel(band="green").shape == (256, 256)
    assert (layer.info.kind, layer.info.units) == ("rgb", "Jy")


def test_a_png_tile_is_astropys_picture() -> None:
    layer = rgb()
    style = Style(stretch="lupton", vmin=0.2, vmax=3.0, q=8.0)
    west = Window.of(SKY, Tile(0, 0, 0))
    found = Pillow.open(io.BytesIO(make_tile(layer, west, style, "png").data)).convert("RGBA")
    values = layer.compute(west).values
    expected = make_lupton_rgb(
        *np.moveaxis(np.nan_to_num(values, nan=0.21), 2, 0), minimum=0.2, stretch=2.8, Q=8
    )
    pixels, seen = np.asarray(found), np.isfinite(values).any(axis=2)
    whole = np.isfinite(values).all(axis=2)
    np.testing.assert_array_equal(pixels[..., 3] > 0, seen)
    assert 0 < seen.sum() < seen.size
    assert np.abs(pixels[whole][:, :3].astype(int) - expected[whole]).max() <= 1


@pytest.mark.parametrize("fmt", ["webp", "jpg"])
def test_other_pictures_look_alike(fmt: str) -> None:
    layer, style = PictureLayer(colours(), id="p"), Style(stretch="linear")
    window = Window(SKY, 9, int((30 / 360) * 262144) + 50, 63000 + 1500, 128, 128)
    png, other = (
        np.asarray(Pillow.open(io.BytesIO(make_tile(layer, window, style, f).data)).convert("RGB"))
        for f in ("png", fmt)
    )
    assert png.shape == other.shape == (128, 128, 3)
    assert np.abs(png.astype(int) - other).mean() < 20


@pytest.mark.parametrize("fmt", ["f2", "f4"])
@pytest.mark.parametrize("layer", [rgb(), PictureLayer(colours(), id="p")])
def test_tiles_of_values_are_refused(layer: RgbLayer, fmt: str) -> None:
    with pytest.raises(InputError, match=r"holds \(y, x\) numbers, not 3 dimensions: ask for png"):
        make_tile(layer, EAST, layer.info.style, fmt)


def test_ranges_come_from_the_parts() -> None:
    layer = rgb()
    found = layer.statistics()
    for (low, high), part in zip(found.bands, layer.parts, strict=True):
        percentiles = part.statistics().percentiles
        assert (low, high) == (percentiles["5"], percentiles["99.5"])
    styled = RgbLayer(
        band(1).named("r", style=Style(vmin=0.0, vmax=9.0)), band(2), band(3), id="rgb"
    )
    assert styled.statistics().bands[0] == (0.0, 9.0)
    assert found == layer.statistics()
    assert found.exact is False
    assert found.n_valid > 4000


def test_the_value_is_the_mean_of_what_is_there() -> None:
    layer = rgb()
    values = [part.value(10.0, 20.0) for part in layer.parts]
    assert layer.value(10.0, 20.0) == pytest.approx(np.mean(values))
    ra = 180.0 - 40.0
    assert layer.parts[0].value(ra, -80.0) is None
    assert layer.value(ra, -80.0) is None


def test_maps_and_catalogues_mix() -> None:
    rng = np.random.default_rng(1)
    stars = CatalogLayer(ArrayTable(rng.uniform(0, 360, 500), rng.uniform(-60, 60, 500)), id="s")
    layer = RgbLayer(stars, band(2), stars.select(reduction="count"), id="mixed")
    made = layer.compute(EAST).values
    counts = stars.select(reduction="count").compute(EAST).values
    np.testing.assert_array_equal(np.isfinite(made[:, :, 2]), counts > 0)
    assert layer.info.units == ""


def test_quality_is_the_worst_and_versions_follow() -> None:
    values = np.random.default_rng(0).random((1100, 4000)).astype(np.float32)
    wcs = make_wcs(cdelt=(-0.09, 0.09), crpix=(2000.5, 550.5))
    big = MapLayer([image(wcs, values)], id="big")
    layer = RgbLayer(band(1), big, band(3), id="rgb")
    version = layer.version
    assert not layer.ready
    assert layer.compute(Window(SKY, -1, 0, 0, 256, 128)).quality == "preview"
    told = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        layer.start_overview(pool, told.set)
        assert told.wait(20)
    assert layer.ready
    assert layer.progress == 1.0
    assert layer.compute(Window(SKY, -1, 0, 0, 256, 128)).quality == "exact"
    assert layer.version == version
    big.image.reader.mark = "2"
    assert layer.version != version


def test_what_is_not_allowed_is_named() -> None:
    with pytest.raises(InputError, match="green of 'x' is layer 'rgb' of kind 'rgb', which has"):
        RgbLayer(band(1), rgb(), band(3), id="x")
    with pytest.raises(InputError, match="column 'vt' of layer 'rgb' is not allowed"):
        rgb().select(column="vt")
    with pytest.raises(InputError, match="picture 'p' has 2 planes"):
        PictureLayer(colours()[:2], id="p")

    class Flat:
        id, frame = "flat", "plane"

    with pytest.raises(FrameMismatchError, match="'flat' shows free x/y data"):
        rgb().compute(Window(Flat(), 0, 0, 0, 8, 8))


def test_a_picture_shows_its_own_colours() -> None:
    images = colours()
    layer = PictureLayer(images, id="press")
    x, y = 30, 22
    ra, dec = PATCH.wcs_pix2world([[x, y]], 0)[0]
    col, row = SKY.lattice(np.array([ra]), np.array([dec]), 9)
    made = layer.compute(Window(SKY, 9, int(col[0]), int(row[0]), 1, 1))
    assert made.values.dtype == np.uint8
    assert made.values[0, 0].tolist() == [*(int(i.reader.values[y, x]) for i in images), 255]
    assert layer.value(ra, dec) == pytest.approx(
        np.dot([0.2126, 0.7152, 0.0722], [i.reader.values[y, x] for i in images]), rel=1e-5
    )
    assert layer.info.kind == "image"


def test_a_picture_is_averaged_when_zoomed_out_and_clear_outside() -> None:
    layer = PictureLayer(colours(), id="press")
    made = layer.compute(Window(SKY, 0, 0, 0, 512, 256)).values
    inside = made[:, :, 3] > 0
    assert 0 < inside.sum() < 500
    assert not made[~inside].any()
    assert np.abs(made[inside][:, :3].astype(int) - 128).max() < 60  # means of many random pixels


def test_alpha_is_honoured() -> None:
    """What is clear neither shows nor darkens its neighbours."""
    images = colours(alpha=True)
    images[3].reader.values[:, :50] = 255.0
    for i, plane in enumerate(images[:3]):
        plane.reader.values[:] = 200.0 - 10 * i
        plane.reader.values[images[3].reader.values == 0] = 0.0
    layer = PictureLayer(images, id="press")
    made = layer.compute(Window(SKY, 2, 150, 440, 64, 64)).values
    shown = made[:, :, 3] > 0
    assert shown.any()
    np.testing.assert_array_equal(np.unique(made[shown][:, :3], axis=0), [[200, 190, 180]])
    assert (made[:, :, 3] < 255)[shown].any()  # the edge is half clear
    x, y = 75, 40
    ra, dec = PATCH.wcs_pix2world([[x, y]], 0)[0]
    assert layer.value(ra, dec) is None
