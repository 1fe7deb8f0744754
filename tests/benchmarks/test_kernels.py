"""Compiled kernels alone; the sizes are those of one tile or of one block of an overview."""

from __future__ import annotations

import numpy as np
import pytest

from skyshade.kernels import binning, overview, png, sampling

SIDE = 256


@pytest.fixture(scope="module")
def box():
    pixels = np.random.default_rng(3).standard_normal((400, 400)).astype(np.float32)
    pixels[::7, ::5] = np.nan
    return pixels


def coordinates(turned):
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    if turned:
        x, y = 40 + 0.8 * x + 0.5 * y, 150 - 0.5 * x + 0.8 * y
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


@pytest.mark.parametrize("turned", [False, True], ids=["straight", "turned"])
@pytest.mark.parametrize("kernel", [sampling.bilinear, sampling.nearest], ids=lambda k: k.__name__)
def test_sample_a_box_with_holes(benchmark, box, kernel, turned):
    x, y = coordinates(turned)
    limits, place = np.array([1.0, 399.5, 399.5]), np.zeros(3, np.int64)
    out = np.empty((SIDE, SIDE), np.float32)
    benchmark(kernel, box, x, y, limits, place, out)
    assert np.isfinite(out).mean() > 0.4


def test_merge_a_block_with_holes(benchmark, box):
    mean, weight = np.empty((200, 200), np.float32), np.empty((200, 200), np.float32)
    benchmark(overview.merge_pixels, box, mean, weight)
    assert weight.sum() == np.isfinite(box).sum()


def sorted_keys(n, spread):
    rng = np.random.default_rng(4)
    cols, rows = (rng.integers(0, spread, n) for _ in range(2))
    keys = np.empty(n, np.int64)
    binning.interleave(cols, rows, keys)
    return np.sort(keys)


CASES = {"131,072 rows": (131_072, 256), "crowded into 100 pixels": (131_072, 10)}


@pytest.mark.parametrize(("n", "spread"), CASES.values(), ids=CASES.keys())
def test_count_rows_of_a_tile(benchmark, n, spread):
    keys, frame = sorted_keys(n, spread), np.array([0, 0, 512], np.int64)

    def count():
        out = np.zeros((SIDE, SIDE), np.uint32)
        binning.bin_count(keys, 0, frame, out)
        return out

    assert benchmark(count).sum() == n


def test_interleave_a_million_positions(benchmark):
    rng = np.random.default_rng(5)
    cols, rows = (rng.integers(0, 1 << 30, 1_000_000) for _ in range(2))
    keys = np.empty(1_000_000, np.int64)
    benchmark(binning.interleave, cols, rows, keys)
    assert keys.min() >= 0


@pytest.mark.parametrize("kind", ["smooth", "sparse points"])
def test_choose_the_png_filter(benchmark, kind):
    rng = np.random.default_rng(6)
    points = np.where(rng.random((SIDE, SIDE)) < 0.02, rng.integers(1, 256, (SIDE, SIDE)), 0)
    slope = np.add.outer(np.arange(SIDE) // 8, np.arange(SIDE) // 2)
    pixels = (slope if kind == "smooth" else points).astype(np.uint8)
    assert benchmark(png.up_pays, pixels, 8) is (kind == "smooth")
