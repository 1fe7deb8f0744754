"""HEALPix layers: every tile against astropy-healpix and astropy's frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from astropy_healpix.core import nested_to_ring

from skyshade.errors import (
    ChangedError,
    DataError,
    FrameMismatchError,
    InputError,
    UnknownNameError,
)
from skyshade.geometry.grids import SKY, grid_named
from skyshade.kernels import healpix as kernels
from skyshade.layers import healpix_planes
from skyshade.layers.healpix import REDUCTIONS, HealpixLayer
from skyshade.testing import LayerTests
from skyshade.types import Layer, Tile, Window
from tests.layers.spheres import SphereArray, ramp, smooth, sphere, their_pixels

FRAMES = ("icrs", "galactic", "ecliptic")
ORDERS = [pytest.param(True, id="nested"), pytest.param(False, id="ring")]
KERNELS = (
    *("find_window", "find_pixels", "renumber", "coarse_rings", "child_rings", "mark", "pick"),
    *("fold_sums", "fold_extremes"),
)


@pytest.fixture(autouse=True)
def compiled() -> Iterator[None]:
    """Run compiled, so that large maps are quick."""
    found = [getattr(kernels, name) for name in KERNELS]
    before = [k.loop for k in found]
    for k in found:
        k.compile()
    yield
    for k, loop in zip(found, before, strict=True):
        k.loop = loop


class TestRingLayer(LayerTests):
    @pytest.fixture
    def layer(self) -> Layer:
        return HealpixLayer([sphere(smooth(64, False), frame="galactic")], id="ring")


class TestNestedLayer(LayerTests):
    @pytest.fixture(params=REDUCTIONS)
    def layer(self, request: pytest.FixtureRequest) -> Layer:
        image = sphere(smooth(128, True), nested=True)
        return HealpixLayer([image], id="nested", reduction=request.param)


class TestPartialLayer(LayerTests):
    @pytest.fixture
    def layer(self) -> Layer:
        values = np.full(12 * 64 * 64, np.nan, np.float32)
        listed = np.arange(9000, 15000)
        values[listed] = np.arange(6000)
        return HealpixLayer([sphere(SphereArray(values, listed=listed))], id="partial")


def centres(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of a window's pixel centres."""
    cols = window.col + np.arange(window.width) + 0.5
    rows = window.row + np.arange(window.height) + 0.5
    ra, dec = SKY.sky_axes(window.z, cols, rows)
    return np.broadcast_arrays(ra[None, :], dec[:, None])


def somewhere(z: int, count: int = 40, seed: int = 1) -> Iterator[Window]:
    """Yield small windows all over the sky: at both poles and across RA 0 too."""
    height, width = SKY.lattice_shape(z)
    rng = np.random.default_rng(seed)
    yield Window(SKY, z, width // 2 - 4, height // 2, 8, 4)  # RA 0
    yield Window(SKY, z, 3, 0, 8, 2)
    yield Window(SKY, z, width - 9, height - 2, 8, 2)
    for _ in range(count - 3):
        col, row = int(rng.integers(0, width - 8)), int(rng.integers(0, height - 4))
        yield Window(SKY, z, col, row, 8, 4)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("nested", ORDERS)
@pytest.mark.parametrize("z", [0, 1, 2, 4, 7, 11])
def test_the_pixel_shown_is_the_one_that_astropy_finds(frame: str, nested: bool, z: int) -> None:
    """1,000 positions and more a level: means of whole NESTED pixels, or base pixels."""
    nside = 512
    layer = HealpixLayer([sphere(ramp(nside), nested=nested, frame=frame)], id="a")
    layer.wait_exact()
    ratio = SKY.pixel_degrees(z) / layer.info.resolution
    k = max(0, int(np.floor(np.log2(ratio))))
    children = np.arange(12 * nside * nside).reshape(-1, 4**k)
    numbers = children if nested else nested_to_ring(children, nside)
    means = numbers.mean(axis=1)
    wrong = total = 0
    for window in somewhere(z):
        shown = layer.compute(window)
        assert shown.quality == "exact"
        wanted = means[their_pixels(*centres(window), nside >> k, True, frame)]
        wrong += np.count_nonzero(~np.isclose(shown.values, wanted, rtol=1.2e-7, atol=0))
        total += wanted.size
    assert total > 1000
    assert wrong <= total * 2e-3  # positions on an edge, where frames differ by a microarcsecond


@pytest.mark.parametrize("nested", ORDERS)
def test_values_are_the_base_pixels(nested: bool) -> None:
    rng = np.random.default_rng(5)
    ra = rng.uniform(0, 360, 1000)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, 1000)))
    ra[:3], dec[:3] = [0.0, 360.0, 180.0], [10.0, 10.0, 45.0]
    layer = HealpixLayer([sphere(ramp(256), nested=nested, frame="galactic")], id="a")
    theirs = their_pixels(ra, dec, 256, nested, "galactic")
    ours = [layer.value(a, d) for a, d in zip(ra, dec, strict=True)]
    np.testing.assert_array_equal(ours, theirs.astype(float))
    assert layer.value(10.0, 90.5) is None
    assert layer.value(np.nan, 0.0) is None
    assert layer.value(0.0, 90.0) is not None


@pytest.mark.parametrize("grid", ["WorldCRS84Quad", "WebMercatorQuad", "hips", "tan-0", "tan-9000"])
def test_other_grids_show_the_same_sky(grid: str) -> None:
    layer = HealpixLayer([sphere(ramp(64), frame="galactic")], id="a")
    lattice = grid_named(grid)
    window = Window(lattice, 6, *[n // 2 - 30 for n in lattice.lattice_shape(6)[::-1]], 64, 48)
    cols, rows = window.col + np.arange(64) + 0.5, window.row + np.arange(48)[:, None] + 0.5
    ra, dec = np.broadcast_arrays(*lattice.sky(6, cols, rows))
    theirs = their_pixels(ra, dec, 64, False, "galactic")
    assert np.mean(layer.compute(window).values == theirs) > 0.999


def test_a_grid_that_is_not_the_sky_is_refused() -> None:
    class Free:
        id, frame = "plane", "plane"

    layer = HealpixLayer([sphere(ramp(4))], id="a")
    with pytest.raises(FrameMismatchError, match="plane"):
        layer.compute(Window(Free(), 0, 0, 0, 4, 4))  # type: ignore[arg-type]


class TestReductions:
    @pytest.fixture
    def values(self) -> np.ndarray:
        values = np.random.default_rng(3).normal(0, 1, 12 * 128 * 128).astype("f4")
        values[::7] = np.nan
        values[1000:9000] = np.nan
        values[77] = 1e4
        values[150_000] = -1e5
        return values

    def whole(self, values: np.ndarray, nested: bool, reduction: str, z: int) -> np.ndarray:
        layer = HealpixLayer([sphere(values, nested=nested)], id="a", reduction=reduction)
        height, width = SKY.lattice_shape(z)
        return layer.compute(Window(SKY, z, 0, 0, width, height)).values

    @pytest.mark.parametrize("nested", ORDERS)
    @pytest.mark.parametrize("z", [-1, 0, 1, 2, 3])
    def test_no_bright_pixel_is_lost_at_any_level(
        self, values: np.ndarray, nested: bool, z: int
    ) -> None:
        assert np.nanmax(self.whole(values, nested, "max", z)) == 1e4
        assert np.nanmin(self.whole(values, nested, "min", z)) == -1e5
        assert np.nanmax(self.whole(values, nested, "absmax", z)) == 1e5

    @pytest.mark.parametrize("seed", range(12))
    def test_a_single_bright_pixel_anywhere_is_seen(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        values = np.zeros(12 * 128 * 128, np.float32)
        pixels = rng.integers(0, values.size, 40)
        values[pixels] = np.arange(1, 41)
        layer = HealpixLayer([sphere(values, frame="galactic")], id="a", reduction="max")
        for z in (0, 1, 2):
            height, width = SKY.lattice_shape(z)
            shown = layer.compute(Window(SKY, z, 0, 0, width, height)).values
            if z == 2:  # pixels are no larger than a level pixel: every one is shown
                assert set(np.unique(values)) <= set(np.unique(shown))
            assert shown.max() == values.max()

    @pytest.mark.parametrize("nested", ORDERS)
    @pytest.mark.parametrize("reduction", ["mean", "std", "max", "min"])
    def test_levels_hold_what_numpy_finds(
        self, values: np.ndarray, nested: bool, reduction: str
    ) -> None:
        layer = HealpixLayer([sphere(values, nested=nested)], id="a", reduction=reduction)
        layer.wait_exact()
        overview = layer._mine.overview(reduction)
        order = np.arange(values.size)
        base = values[order if nested else nested_to_ring(order, 128)].astype(np.float64)
        for k in range(1, 8):
            parts = base.reshape(-1, 4**k)
            some = np.isfinite(parts).any(axis=1)
            found = overview.level(k)[1 if reduction == "max" else 0]
            assert np.isnan(found[~some]).all()
            wanted = getattr(np, f"nan{reduction}")(parts[some], axis=1)
            np.testing.assert_allclose(found[some], wanted, rtol=1e-5, atol=1e-6)

    def test_nearest_is_a_base_pixel_at_any_zoom(self) -> None:
        layer = HealpixLayer([sphere(ramp(128), nested=True)], id="a", reduction="nearest")
        assert layer.ready
        for z in (0, 2, 6):
            for window in somewhere(z, 5):
                theirs = their_pixels(*centres(window), 128, True, "icrs")
                assert np.mean(layer.compute(window).values == theirs) > 0.99

    def test_absmax_is_a_magnitude(self) -> None:
        values = -ramp(8)
        layer = HealpixLayer([sphere(values)], id="a", reduction="absmax")
        assert layer.compute(Window(SKY, 5, 4000, 2000, 64, 64)).values.min() >= 0
        assert layer.compute(Window(SKY, -1, 0, 0, 256, 128)).values.min() >= 0
        assert layer.compute(Window(SKY, -1, 0, 0, 256, 128)).values.max() == 767

    def test_deviations_of_single_pixels_are_zero(self) -> None:
        layer = HealpixLayer([sphere(ramp(4))], id="a", reduction="std")
        assert not layer.compute(Window(SKY, 3, 0, 0, 64, 64)).values.any()


@pytest.mark.parametrize("nested", ORDERS)
def test_missing_pixels_are_left_out_of_means(nested: bool) -> None:
    values = np.full(12 * 256 * 256, 5.0, np.float32)
    values[np.random.default_rng(0).random(values.size) < 0.6] = np.nan
    layer = HealpixLayer([sphere(values, nested=nested)], id="a")
    for z in (-1, 0, 1):
        height, width = SKY.lattice_shape(z)
        shown = layer.compute(Window(SKY, z, 0, 0, width, height)).values
        assert set(np.unique(shown[np.isfinite(shown)])) == {5.0}
        assert np.isfinite(shown).mean() > (0.99 if z == -1 else 0.8 if z == 0 else 0.3)


class TestLarge:
    """A map whose overview is built in the background: made large by a lower limit."""

    @pytest.fixture(autouse=True)
    def large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(healpix_planes, "SMALL", 1000)

    def test_previews_until_the_overview_is_there(self) -> None:
        reader = SphereArray(smooth(256, False))
        layer = HealpixLayer([sphere(reader)], id="a")
        assert not layer.ready
        window = Window.of(SKY, Tile(0, 0, 0))
        before = layer.compute(window)
        assert before.quality == "preview"
        assert reader.pixels < 12_000  # of 786,432
        told = []
        with ThreadPoolExecutor(2) as pool:
            layer.start_overview(pool, lambda: told.append(1))
        assert layer.ready
        assert layer.progress == 1.0
        assert told == [1]
        after = layer.compute(window)
        assert after.quality == "exact"
        assert after.version == before.version
        assert np.abs(after.values - before.values).max() < 0.15

    @pytest.mark.parametrize("nested", ORDERS)
    def test_one_pass_reads_little_more_than_the_map(self, nested: bool) -> None:
        reader = SphereArray(smooth(256, nested), nested)
        HealpixLayer([sphere(reader)], id="a").wait_exact()
        assert reader.values.size <= reader.pixels <= 1.1 * reader.values.size

    def test_two_threads_give_the_same_numbers_as_one(self, monkeypatch: Any) -> None:
        from skyshade.layers import healpix_overview

        monkeypatch.setattr(healpix_overview, "_TASK", 5000)
        monkeypatch.setattr(healpix_overview, "_READ", 700)
        values = np.random.default_rng(1).normal(size=12 * 256 * 256).astype("f4")
        alone = HealpixLayer([sphere(values)], id="a")
        alone.wait_exact()
        both = HealpixLayer([sphere(values)], id="a")
        with ThreadPoolExecutor(2) as pool:
            both.start_overview(pool)
        one, two = (layer._mine.overview("mean") for layer in (alone, both))
        for k in range(1, 9):
            np.testing.assert_array_equal(one.level(k)[0], two.level(k)[0])

    @pytest.mark.parametrize("nested", ORDERS)
    def test_workers_let_other_work_in(self, nested: bool, monkeypatch: Any) -> None:
        """A pool of one thread makes a tile between two pieces of one task."""
        from skyshade.layers import background, healpix_overview

        monkeypatch.setattr(background, "TURN", 0.0)
        monkeypatch.setattr(healpix_overview, "_READ", 1 << 16)
        reader = SphereArray(smooth(256, nested), nested)
        layer = HealpixLayer([sphere(reader)], id="a")
        overview = layer._mine.overview("mean")
        assert overview._pieces() == 1
        gate = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(gate.wait, 10)
            layer.start_overview(pool)
            tile = pool.submit(lambda: (reader.pixels, layer.progress))
            gate.set()
            assert tile.result(10) == (1 << 16, 0.0)
            layer.wait_exact()
        alone = HealpixLayer([sphere(smooth(256, nested), nested=nested)], id="b")
        alone.wait_exact()
        for k in range(1, 9):
            one, two = (part._mine.overview("mean").level(k)[0] for part in (layer, alone))
            np.testing.assert_array_equal(one, two)

    def test_a_task_that_is_cancelled_is_dropped(self, monkeypatch: Any) -> None:
        from skyshade.layers import healpix_overview

        monkeypatch.setattr(healpix_overview, "_READ", 1 << 16)
        reader = SphereArray(smooth(256, True), True)
        layer = HealpixLayer([sphere(reader)], id="a")
        overview = layer._mine.overview("mean")
        assert overview._step()
        assert overview._begun
        overview.cancel()
        assert not overview._step()
        assert not overview._begun
        assert reader.pixels == 1 << 16

    def test_an_exact_aggregate_waits(self) -> None:
        layer = HealpixLayer([sphere(smooth(256, True), nested=True)], id="a")
        made = layer.aggregate(Window.of(SKY, Tile(0, 1, 0)), exact=True)
        assert made.attrs["quality"] == "exact"

    def test_reductions_share_what_they_can(self) -> None:
        reader = SphereArray(smooth(256, True), True)
        layer = HealpixLayer([sphere(reader)], id="a", reduction="max")
        layer.wait_exact()
        read = reader.pixels
        assert layer.select(reduction="min").ready
        assert layer.select(reduction="absmax").ready
        assert reader.pixels == read
        assert not layer.select(reduction="mean").ready

    def test_another_reduction_is_built_when_a_tile_needs_it(self) -> None:
        layer = HealpixLayer([sphere(smooth(256, True), nested=True)], id="a")
        told = []
        layer.start_overview(lambda job: job(), lambda: told.append(1))
        other = layer.select(reduction="max")
        other.compute(Window.of(SKY, Tile(0, 0, 0)))
        assert other.ready
        assert told == [1, 1]

    def test_an_error_is_kept_and_tiles_stay_previews(self, caplog: Any) -> None:
        reader = SphereArray(smooth(256, True), True)
        layer = HealpixLayer([sphere(reader)], id="a")
        reader.error = DataError("a.fits", "disk on fire")
        with pytest.raises(DataError, match="on fire"):
            layer.wait_exact()
        assert "on fire" in str(layer.overview_error)
        reader.error = None
        assert layer.compute(Window.of(SKY, Tile(0, 0, 0))).quality == "preview"
        layer.cancel_overview()
        layer.wait_exact()
        assert layer.overview_error is None

    def test_a_changed_map_is_read_anew(self) -> None:
        reader = SphereArray(np.zeros(12 * 256 * 256, np.float32), True)
        layer = HealpixLayer([sphere(reader)], id="a")
        layer.start_overview(lambda job: job())
        window = Window.of(SKY, Tile(0, 0, 0))
        before = layer.compute(window)
        reader.values, reader.mark = reader.values + 3, "2"
        after = layer.compute(window)
        assert before.version != after.version
        assert after.quality == "exact"
        assert (after.values == 3).all()

    def test_a_tile_never_mixes_two_versions(self) -> None:
        class Changing(SphereArray):
            left = 1

            def read_runs(self, runs: np.ndarray) -> np.ndarray:
                found = super().read_runs(runs)
                if self.left:
                    self.left -= 1
                    self.values, self.mark = self.values + 1, self.mark + "x"
                return found

        reader = Changing(np.zeros(12 * 256 * 256, np.float32))
        layer = HealpixLayer([sphere(reader)], id="a")
        made = layer.compute(Window(SKY, 6, 0, 3000, 64, 64))
        assert (made.values == 1).all()
        assert made.version == layer.version
        reader.left = 2
        with pytest.raises(ChangedError):
            layer.compute(Window(SKY, 6, 0, 3000, 64, 64))

    def test_a_change_while_building_is_no_overview(self) -> None:
        class Changing(SphereArray):
            def read_runs(self, runs: np.ndarray) -> np.ndarray:
                self.mark += "x"
                return super().read_runs(runs)

        layer = HealpixLayer([sphere(Changing(smooth(256, False)))], id="a")
        with pytest.raises(DataError):
            layer.wait_exact()


class TestDeepReads:
    """What a deep tile reads of a large map."""

    @pytest.mark.parametrize("nested", ORDERS)
    @pytest.mark.parametrize("frame", ["icrs", "galactic"])
    def test_a_tile_reads_little_more_than_it_shows(self, nested: bool, frame: str) -> None:
        reader = SphereArray(ramp(512), nested)
        layer = HealpixLayer([sphere(reader, frame=frame)], id="a")
        z = layer.info.max_zoom + 2
        made = layer.compute(Window.of(SKY, Tile(z, 3, 3)))
        assert np.unique(made.values).size > 500
        assert reader.calls == 1
        assert reader.pixels < (20_000 if nested else 150_000)  # of three million

    def test_a_strewn_window_is_read_in_bounded_parts(self, monkeypatch: Any) -> None:
        from skyshade.layers import healpix_pixels

        monkeypatch.setattr(healpix_pixels, "MAX_READ", 4096)
        values = ramp(128)
        reader = SphereArray(values)
        layer = HealpixLayer([sphere(reader)], id="a")
        window = Window(SKY, 1, 0, 100, 512, 256)
        shown = layer.compute(window).values
        assert reader.calls > 4
        assert reader.most <= 4096
        theirs = values[their_pixels(*centres(window), 128, False, "icrs")]
        assert np.mean(shown == theirs) > 0.999

    @pytest.mark.parametrize("nested", ORDERS)
    @pytest.mark.parametrize("reduction", ["mean", "std", "max"])
    def test_levels_that_are_not_kept_are_merged_from_the_base(
        self, monkeypatch: Any, nested: bool, reduction: str
    ) -> None:
        from skyshade.layers import healpix_overview

        values = np.random.default_rng(2).normal(size=12 * 128 * 128).astype("f4")
        values[::5] = np.nan
        image = sphere(values, nested=nested, frame="galactic")
        kept = HealpixLayer([image], id="a", reduction=reduction)
        windows = [Window(SKY, z, 40 << z, 20 << z, 200, 150) for z in (0, 1)]
        wanted = [kept.compute(window).values for window in windows]
        monkeypatch.setattr(healpix_overview, "FINEST", 4)  # levels 1 and 2 are not kept
        again = sphere(values, nested=nested, frame="galactic")
        merged = HealpixLayer([again], id="a", reduction=reduction)
        for window, expected in zip(windows, wanted, strict=True):
            np.testing.assert_allclose(merged.compute(window).values, expected, rtol=1e-5)
        assert not merged._mine._overviews


class TestInfo:
    def test_a_full_map(self) -> None:
        image = sphere(ramp(64), nested=True, frame="galactic", units="mK", notes=("hello",))
        info = HealpixLayer([image], id="x").info
        assert (info.id, info.kind, info.projection, info.frame) == (
            "x",
            "healpix",
            "HEALPix",
            "galactic",
        )
        assert info.size == "nside 64, NESTED"
        assert info.resolution == pytest.approx(0.9161, abs=1e-4)
        assert info.max_zoom == 0
        assert info.style.cmap == "planck"
        assert info.notes == ("hello",)
        assert tuple(info.coverage) == (360.0, 0.0, -90.0, 90.0)

    @pytest.mark.parametrize("frame", FRAMES)
    def test_the_coverage_of_a_partial_map(self, frame: str) -> None:
        ra, dec = np.meshgrid(np.linspace(350, 370, 200) % 360, np.linspace(-30, -10, 200))
        listed = np.unique(their_pixels(ra, dec, 256, True, frame))
        values = np.full(12 * 256 * 256, np.nan, np.float32)
        values[listed] = 1.0
        image = sphere(SphereArray(values, True, listed), frame=frame)
        layer = HealpixLayer([image], id="a")
        east, west, low, high = layer.info.coverage
        assert -33 < low <= -30
        assert -10 <= high < -7
        assert 347 < west <= 350
        assert 370 <= east < 373
        assert layer.info.size == f"nside 256, NESTED, {listed.size:,} pixels"
        assert layer.statistics().n_valid == listed.size
        assert layer.statistics().exact

    def test_a_pole(self) -> None:
        listed = np.arange(40)
        values = np.full(12 * 16 * 16, 1.0)
        layer = HealpixLayer([sphere(SphereArray(values, False, listed))], id="a")
        east, west, low, high = layer.info.coverage
        assert (east - west, high) == (360.0, 90.0)
        assert 60 < low < 75

    def test_planes(self) -> None:
        images = [sphere(ramp(4) + k, plane=p, plane_axis="stokes") for k, p in enumerate("IQU")]
        layer = HealpixLayer(images, id="a")
        assert layer.info.planes == ("I", "Q", "U")
        q = layer.select(plane="Q", reduction="max")
        assert (q.info.quantity, q.reduction) == ("max of Q", "max")
        assert q.value(10, 10) == layer.value(10, 10) + 1
        assert layer.select() is layer
        assert layer.select(plane="I", reduction="mean") is layer
        assert len({layer.version, q.version, q.select(reduction="min").version}) == 3
        assert q.select(reduction="std").info.quantity == "std of Q"
        assert layer.select(plane="U").statistics().symmetric
        assert not layer.statistics().symmetric

    @pytest.mark.parametrize(
        "what", [{"column": "a"}, {"where": "a > 1"}, {"time": "now"}, {"reduction": "sum"}]
    )
    def test_what_maps_do_not_have(self, what: dict[str, str]) -> None:
        with pytest.raises(InputError, match=next(iter(what.values()))):
            HealpixLayer([sphere(ramp(4))], id="a").select(**what)  # type: ignore[arg-type]

    def test_unknown_names(self) -> None:
        image = sphere(ramp(4))
        with pytest.raises(UnknownNameError, match="plane"):
            HealpixLayer([image], id="a").select(plane="V")
        with pytest.raises(InputError, match="plane 1"):
            HealpixLayer([image], id="a", plane=1)
        with pytest.raises(UnknownNameError, match="reduction"):
            HealpixLayer([image], id="a", reduction="sum")
        with pytest.raises(InputError, match="FK4"):
            HealpixLayer([sphere(ramp(4), frame="fk4")], id="a")

    def test_layers_of_one_image_share_their_overview(self) -> None:
        image = sphere(smooth(64, True), nested=True)
        one, two = HealpixLayer([image], id="a"), HealpixLayer([image], id="b")
        one.wait_exact()
        assert two._mine is one._mine
        assert one.version == two.version


class TestStatistics:
    def test_of_all_pixels(self) -> None:
        values = np.random.default_rng(0).normal(3, 2, 12 * 128 * 128).astype("f4")
        values[:500] = np.nan
        found = HealpixLayer([sphere(values)], id="a").statistics()
        assert found.exact
        assert found.n_valid == values.size - 500
        assert found.mean == pytest.approx(np.nanmean(values, dtype=np.float64))

    def test_of_a_sample(self) -> None:
        values = np.random.default_rng(0).normal(3, 2, 12 * 512 * 512).astype("f4")
        reader = SphereArray(values, True)
        layer = HealpixLayer([sphere(reader)], id="a")
        found = layer.statistics()
        assert not found.exact
        assert found.mean == pytest.approx(3, abs=0.03)
        assert found.percentiles["50"] == pytest.approx(3, abs=0.03)
        assert reader.pixels <= 300_000
        assert layer.scale() == 16.0
        assert HealpixLayer([sphere(SphereArray(values, True))], id="b").statistics() == found

    def test_of_a_map_that_is_mostly_missing(self) -> None:
        values = np.full(12 * 512 * 512, np.nan, np.float32)
        values[1_000_000:1_010_000] = 7.0
        found = HealpixLayer([sphere(values)], id="a").statistics()
        assert found.n_valid > 500
        assert found.mean == 7.0

    def test_of_nothing(self) -> None:
        layer = HealpixLayer([sphere(np.full(12, np.nan))], id="a")
        assert layer.statistics().n_valid == 0
        assert layer.scale() == 1.0
        assert layer.value(0, 0) is None
        assert np.isnan(layer.compute(Window(SKY, -1, 0, 0, 256, 128)).values).all()

    def test_deviations_describe_cells(self) -> None:
        values = np.random.default_rng(0).normal(3, 2, 12 * 256 * 256).astype("f4")
        layer = HealpixLayer([sphere(values)], id="a", reduction="std")
        assert layer.statistics().percentiles["50"] == pytest.approx(2, abs=0.1)


def test_numbers_beyond_float32_are_missing() -> None:
    values = np.full(12 * 64 * 64, 1e300)
    layer = HealpixLayer([sphere(SphereArray(values))], id="a")
    for z in (0, 5):
        assert np.isnan(layer.compute(Window(SKY, z, 100, 100, 16, 16)).values).all()
    assert layer.value(3, 4) == 1e300


def test_a_reader_that_gives_too_little_is_refused() -> None:
    class Short(SphereArray):
        def read_runs(self, runs: np.ndarray) -> np.ndarray:
            return super().read_runs(runs)[:-1]

    layer = HealpixLayer([sphere(Short(ramp(256)))], id="a")
    for z in (0, 6):
        with pytest.raises(DataError, match="were read, not"):
            layer.compute(Window(SKY, z, 0, 0, 64, 64))


def test_combinations_are_healpix_layers() -> None:
    one, two = sphere(ramp(256), frame="galactic"), sphere(-2 * ramp(256), frame="galactic")
    both = HealpixLayer([one], id="a") + HealpixLayer([two], id="b")
    assert isinstance(both, HealpixLayer)
    window = Window(SKY, 5, 0, 3000, 64, 64)
    theirs = their_pixels(*centres(window), 256, False, "galactic")
    assert np.mean(both.compute(window).values == -theirs) > 0.999


def test_readers_without_runs_are_read_one_by_one() -> None:
    class Plain:
        nside, nested, dtype = 64, False, np.dtype("f4")

        def version(self) -> str:
            return "1"

        def read(self, start: int, stop: int) -> np.ndarray:
            return np.arange(start, stop, dtype=np.float32)

    from skyshade.types import SphereImage

    layer = HealpixLayer([SphereImage(Plain(), "icrs", "plain")], id="a")  # type: ignore[arg-type]
    window = Window(SKY, 5, 0, 3000, 64, 64)
    theirs = their_pixels(*centres(window), 64, False, "icrs")
    assert np.mean(layer.compute(window).values == theirs) > 0.999
