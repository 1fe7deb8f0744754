from __future__ import annotations

import numpy as np
import pytest

from skyshade.geometry.control import Coordinates
from skyshade.geometry.wcs import PixelMap
from skyshade.layers.levels import MergedLevel, Sheet, StoredLevel, StridedLevel, sample
from skyshade.layers.states import Base
from tests.geometry.skies import ALL, make_wcs
from tests.layers.images import ArrayReader


@pytest.mark.parametrize("k", [3, 4])
@pytest.mark.parametrize("shape", [(64, 96), (65, 99), (71, 103), (66, 102)])
def test_previews_take_the_pixel_in_the_middle(k: int, shape: tuple[int, int]) -> None:
    y, x = np.mgrid[: shape[0], : shape[1]]
    reader, side = ArrayReader(y * 1000.0 + x), 1 << k
    rows, cols = -(-shape[0] // side), -(-shape[1] // side)
    found = StridedLevel(Base(reader), k).read(0, rows, 0, cols)
    assert found.shape == (rows, cols)
    assert np.all((found // 1000 // side).astype(int) == np.arange(rows)[:, None])
    assert np.all((found % 1000 // side).astype(int) == np.arange(cols))
    if shape[0] % side == 0:
        assert np.all(found // 1000 % side == side // 2)
    part = StridedLevel(Base(reader), k).read(1, rows, 2, cols - 1)
    np.testing.assert_array_equal(part, found[1:, 2:-1])


@pytest.mark.parametrize("k", [0, 1, 2])
def test_boxes_of_a_merged_level_agree_with_the_whole(k: int) -> None:
    rng = np.random.default_rng(0)
    reader = ArrayReader(rng.normal(size=(37, 53)).astype("f4"))
    level = MergedLevel(Base(reader), k)
    rows, cols = -(-37 // (1 << k)), -(-53 // (1 << k))
    whole = level.read(0, rows, 0, cols)
    np.testing.assert_array_equal(level.read(2, rows, 1, cols), whole[2:, 1:])


@pytest.mark.parametrize("k", [0, 2])
def test_a_window_across_the_end_of_a_cyclic_map_reads_a_small_box(k: int) -> None:
    values = np.tile(np.arange(360.0, dtype="f4"), (20, 1))
    reader = ArrayReader(values)
    x = np.mod(np.linspace(340.0, 380.0, 81) + 0.5, 360.0) - 0.5
    at = Coordinates(np.tile(x, (4, 1)), np.full((4, 81), 7.3))
    found = sample(MergedLevel(Base(reader), k), at, Sheet((20, 360), 360.0), smooth=False)
    assert reader.most <= 12 * 30
    expected = np.mod(np.floor(x + 0.5), 360.0)
    if k == 0:
        np.testing.assert_array_equal(found[0], expected)
    else:
        assert np.abs(found[0] - expected).max() <= 1.5


def test_only_whole_turns_are_cyclic() -> None:
    assert Sheet.of(PixelMap(*ALL["car"])).columns(3) == 45
    assert Sheet.of(PixelMap(*ALL["car wide"])).columns(0) == 720
    assert Sheet.of(PixelMap(*ALL["car cut"])).turn == 0.0
    broken = PixelMap(make_wcs(cdelt=(-0.999, 1.0)), (180, 361))  # a turn of 360.36 pixels
    assert Sheet.of(broken).turn == 0.0


def test_nothing_on_the_map_reads_nothing() -> None:
    reader = ArrayReader(np.ones((4, 4)))
    at = Coordinates(np.full((2, 3), np.nan), np.zeros((2, 3)))
    assert np.isnan(sample(MergedLevel(Base(reader), 0), at, Sheet((4, 4)), smooth=True)).all()
    assert not reader.boxes


def test_levels_in_memory_are_never_split() -> None:
    level = StoredLevel(np.ones((3, 3), "f4"), 3)
    at = Coordinates(np.array([[3.5, 11.5]]), np.array([[3.5, 3.5]]))
    np.testing.assert_array_equal(sample(level, at, Sheet((24, 24)), smooth=True), [[1.0, 1.0]])
