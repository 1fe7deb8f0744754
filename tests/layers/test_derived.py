from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skyshade.errors import ChangedError, DataError
from skyshade.geometry.grids import SKY
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.derived import join_coverage, restyled, sample_windows, whole_window
from skyshade.layers.map import MapLayer
from skyshade.layers.rgb import PictureLayer, RgbLayer
from skyshade.layers.smooth import SmoothedLayer
from skyshade.loaders.api import load
from skyshade.types import Coverage, LayerInfo, Style, Tile, Window
from tests.geometry.skies import make_wcs
from tests.layers.images import ArrayReader, image
from tests.layers.tables import ArrayTable

EAST = Window.of(SKY, Tile(0, 1, 0))


def sky_map(name: str = "m") -> MapLayer:
    wcs = make_wcs(cdelt=(-2.0, 2.0), crpix=(90.5, 45.5))
    values = np.random.default_rng(1).random((90, 180)).astype(np.float32)
    return MapLayer([image(wcs, ArrayReader(values))], id=name)


def covering(*box: float, zoom: int = 6) -> LayerInfo:
    return LayerInfo("x", "x", "map", coverage=Coverage(*box), max_zoom=zoom)


@pytest.mark.parametrize(
    "box", [(360, 0, -90, 90), (370, 350, 80, 90), (200, 160, -5, 5), (45.2, 45.1, -70.1, -70)]
)
def test_the_whole_coverage_lies_in_one_window_of_bounded_size(box: tuple) -> None:
    window = whole_window(covering(*box), 9)
    assert window.width * window.height < 1.1 * (1 << 18)
    ra = np.linspace(box[1], box[0], 20, endpoint=False) + 1e-6
    col, row = SKY.lattice(ra % 360.0, np.full(20, (box[2] + box[3]) / 2), window.z)
    columns = SKY.lattice_shape(window.z)[1]
    assert ((col - window.col) % columns < window.width).all()
    assert ((row >= window.row) & (row < window.row + window.height)).all()


def test_samples_come_from_all_over_and_are_the_same_each_time() -> None:
    seen: list[Window] = []

    def values(window: Window) -> np.ndarray:
        seen.append(window)
        return np.full(window.shape, float(len(seen)))

    info = covering(60, 20, 0, 60)
    first = sample_windows(values, info)
    rows, cols = (np.array([getattr(w, a) for w in seen]) for a in ("row", "col"))
    height, width = SKY.lattice_shape(6)
    assert (np.ptp(rows) / height > 0.25) & (np.ptp(cols) / width > 0.08)
    seen.clear()
    np.testing.assert_array_equal(sample_windows(values, info), first)


def test_coverages_join() -> None:
    def box(*values: float) -> MapLayer:
        made = sky_map()
        made.info = covering(*values)
        return made

    both = join_coverage([box(40, 30, 0, 10), box(50, 35, -5, 5)])
    assert both == Coverage(50, 30, -5, 10)
    assert join_coverage([box(370, 350, 0, 1), box(50, 35, 0, 1)]) == Coverage(370, 35, 0, 1)
    assert join_coverage([box(370, 350, 0, 1), box(370, 350, 0, 2)]) == Coverage(370, 350, 0, 2)


def test_any_layer_can_be_renamed_and_restyled() -> None:
    stars = CatalogLayer(ArrayTable([1.0, 2.0], [3.0, 4.0]), id="s")
    style = Style(cmap="gray", vmax=3.0)
    for layer in (sky_map(), sky_map().smooth(5.0), stars):
        old = layer.info.id
        made = restyled(layer, id="new", title="New", style=style)
        assert (made.id, made.info.id, made.info.title) == ("new", "new", "New")
        assert made.info.style == style
        assert (layer.id, layer.info.id) == (old, old)
        assert made.version == layer.version
        np.testing.assert_array_equal(made.compute(EAST).values, layer.compute(EAST).values)


def test_numbers_of_two_versions_never_mix() -> None:
    layer = sky_map()
    smooth, reader = SmoothedLayer(layer, 8.0), layer.image.reader
    read, left = reader.read, [1]

    def moving(*box: int) -> np.ndarray:
        if left[0]:
            left[0] -= 1
            reader.mark, reader.values = f"{reader.mark}x", reader.values + 1.0
        return read(*box)

    reader.read = moving
    made = smooth.compute(EAST)
    assert made.version == smooth.version
    assert np.nanmin(made.values) > 1.0
    left[0] = 1 << 30
    with pytest.raises(ChangedError):
        smooth.compute(EAST)


def test_a_part_that_cannot_be_read_says_so() -> None:
    layer = sky_map()
    rgb = RgbLayer(layer, sky_map("b"), sky_map("c"), id="rgb")
    assert (rgb.overview_error, rgb.ready) == (None, True)
    layer.image.reader.error = DataError("a.fits", "gone")
    with pytest.raises(DataError, match="gone"):
        rgb.compute(EAST)


def test_press_images(shared_data: Path) -> None:
    """NGC 253 by ALMA: dark sky around, red to yellow clouds along its disc."""
    (planes,) = load(shared_data / "real/avm/NGC253ALMA.jpg").pictures
    layer = PictureLayer(planes, id="ngc253")
    assert layer.info.size == "2166 x 2129"
    box = layer.info.coverage
    ra, dec = (box.ra_east + box.ra_west) / 2, (box.dec_min + box.dec_max) / 2
    assert SKY.pixel_degrees(layer.info.max_zoom) <= layer.info.resolution
    z = layer.info.max_zoom - 3
    col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
    made = layer.compute(Window(SKY, z, int(col[0]) - 300, int(row[0]) - 300, 600, 600)).values
    shown = made[:, :, 3] == 255
    assert shown[300, 300]
    assert not shown[:5].any()
    red, green, blue = made[shown][:, :3].astype(float).mean(axis=0)
    assert red > 2 * green > 4 * blue
