from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skyshade.errors import ChangedError, DataError
from skyshade.geometry.grids import SKY
from skyshade.layers import map_sample as module
from skyshade.layers.map import MapLayer
from skyshade.loaders.api import load
from skyshade.types import Tile, Window
from tests.geometry.skies import ALL, make_wcs
from tests.layers.images import ArrayReader, image
from tests.loaders.conftest import Write, write  # noqa: F401 (a fixture)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> MapLayer:
    """Return a map that counts as large, with its overview not yet built."""
    monkeypatch.setattr(module, "SMALL", 0)
    wcs = make_wcs(cdelt=(-0.05, 0.05), crpix=(3600.5, 1800.5))
    x, y = np.meshgrid(np.arange(7200), np.arange(3600))
    return MapLayer([image(wcs, ArrayReader((x // 100 + y // 100).astype("f4")))], id="large")


def test_previews_until_the_overview_is_ready(large: MapLayer) -> None:
    window, calls = Window.of(SKY, Tile(0, 0, 0)), []
    assert not large.ready
    preview = large.compute(window)
    assert preview.quality == "preview"
    assert large.compute(Window.of(SKY, Tile(3, 2, 2))).quality == "exact"  # needs no overview
    with ThreadPoolExecutor(2) as pool:
        large.start_overview(pool, lambda: calls.append(1))
        array = large.aggregate(window, exact=True)
    assert calls == [1]
    assert large.ready
    assert large.progress == 1.0
    assert array.attrs["quality"] == "exact"
    exact = large.compute(window)
    assert exact.quality == "exact"
    assert preview.version == exact.version
    # a preview shows real pixels near the right place: it differs by a step or two of 100 px
    assert np.nanmax(np.abs(exact.values - preview.values)) < 2.5


def test_previews_read_few_pixels(large: MapLayer) -> None:
    reader = large._mine.reader
    large.compute(Window.of(SKY, Tile(0, 1, 0)))
    assert sum((y1 - y0) * (x1 - x0) / s**2 for y0, y1, x0, x1, s in reader.boxes) < 500_000
    assert reader.most < 500_000


def test_equal_layers_share_their_overview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 0)
    wcs, shape = ALL["car"]
    planes = [image(wcs, np.full(shape, v), plane=p) for v, p in ((1.0, "I"), (2.0, "Q"))]
    first, second = MapLayer(planes, id="m-i"), MapLayer(planes, id="m-q", plane=1)
    second.wait_exact()
    chosen = first.select(plane="Q")
    assert chosen.ready
    assert not first.ready
    assert chosen.version == second.version != first.version
    assert chosen._mine.grid is first._mine.grid
    assert first.select() is first.select(plane="I", reduction="mean") is first
    assert chosen.value(10, 10) == 2.0
    assert chosen.info.quantity == "Q"


def test_changed_pixels_make_another_version() -> None:
    wcs, shape = ALL["car"]
    reader = ArrayReader(np.ones(shape, "f4"))
    layer, window = MapLayer([image(wcs, reader)], id="m"), Window(SKY, -2, 0, 0, 128, 64)
    before = layer.version, layer.compute(window), layer.statistics().mean
    reader.values, reader.mark = np.full(shape, 3.0, "f4"), "2"
    after = layer.version, layer.compute(window), layer.statistics().mean
    assert after[0] != before[0]
    assert (np.nanmax(before[1].values), np.nanmax(after[1].values)) == (1.0, 3.0)
    assert after[1].version == after[0]
    assert (before[2], after[2]) == (1.0, 3.0)


class Changing(ArrayReader):
    """A reader whose pixels change while they are read, `changes` times."""

    def __init__(self, shape: tuple[int, int], changes: int) -> None:
        super().__init__(np.ones(shape, np.float32))
        self.changes = changes

    def read(self, *box: int) -> np.ndarray:
        found = super().read(*box)
        if self.changes:
            self.changes -= 1
            self.mark += "+"
            self.values = self.values + 1.0
        return found


def test_a_tile_never_shows_two_versions() -> None:
    """A map that changes while a tile reads it is read once more; twice is an error."""
    wcs, shape = ALL["car"]
    window = Window.of(SKY, Tile(1, 0, 0))
    layer = MapLayer([image(wcs, Changing(shape, 1))], id="m")
    found = layer.compute(window)
    assert (np.nanmin(found.values), np.nanmax(found.values)) == (2.0, 2.0)
    assert found.version == layer.version
    restless = MapLayer([image(wcs, Changing(shape, 99))], id="m")
    with pytest.raises(ChangedError, match="test: changed again while it was being read"):
        restless.compute(window)


def test_a_file_that_changed_under_the_reader_is_read_once_more() -> None:
    wcs, shape = ALL["car"]

    class Once(ArrayReader):
        failed = False

        def read(self, *box: int) -> np.ndarray:
            if not self.failed:
                self.failed, self.mark = True, "2"
                raise ChangedError("m.fits", "changed while it was being read")
            return super().read(*box)

    layer = MapLayer([image(wcs, Once(np.ones(shape, np.float32)))], id="m")
    assert np.nanmax(layer.compute(Window.of(SKY, Tile(1, 0, 0))).values) == 1.0


def test_changed_pixels_are_built_again(large: MapLayer) -> None:
    window, calls = Window(SKY, -1, 0, 0, 128, 64), []
    reader = large._mine.reader
    with ThreadPoolExecutor(2) as pool:
        large.start_overview(pool.submit, lambda: calls.append(1))
        large.wait_exact()
        reader.values, reader.mark = reader.values + 1000.0, "2"
        assert large.compute(window).version == large.version
        large.wait_exact()
        assert np.nanmin(large.compute(window).values) >= 1000.0
    assert calls == [1, 1]


def test_a_restarted_overview_is_kept(large: MapLayer) -> None:
    """One that began anew by itself when the pixels changed is not thrown away."""
    reader = large._mine.reader
    overview = large._mine.overview()
    reader.mark = "2"  # after the layer looked, before the first strip
    overview.wait()
    assert large._mine.overview() is overview
    assert large.ready


def test_what_stops_an_overview_is_told(large: MapLayer) -> None:
    reader, calls = large._mine.reader, []
    assert large.overview_error is None
    reader.error = DataError("map.fits", "input/output error")
    with ThreadPoolExecutor(2) as pool:
        large.start_overview(pool.submit, lambda: calls.append(1))
    assert isinstance(large.overview_error, DataError)
    assert "input/output error" in str(large.overview_error)
    assert not calls
    reader.error = None
    assert large.compute(Window(SKY, -1, 0, 0, 128, 64)).quality == "preview"
    reader.mark = "2"  # a mended file
    large.wait_exact()
    assert large.overview_error is None


def test_cancelling_is_no_error(large: MapLayer) -> None:
    reader = large._mine.reader
    reader.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        large.start_overview(pool.submit)
        large.cancel_overview()
        reader.gate.set()
    assert large.overview_error is None
    assert not large.ready
    large.wait_exact()
    assert large.ready


def test_a_rewritten_file_is_shown_with_its_new_pixels(write: Write) -> None:  # noqa: F811
    path = write(np.ones((20, 40), np.float32))
    layer = MapLayer([load(path).images[0][0]], id="m")
    window = Window(SKY, 1, 0, 0, 1024, 512)
    before = layer.compute(window)
    raw = bytearray(path.read_bytes())
    raw[2880 : 2880 + 3200] = np.full(800, 4.0, ">f4").tobytes()
    path.write_bytes(raw)
    after = layer.compute(window)
    assert (np.nanmax(before.values), np.nanmin(after.values)) == (1.0, 4.0)
    assert before.version != after.version == layer.version
