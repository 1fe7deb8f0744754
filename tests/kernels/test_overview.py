from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.kernels import overview
from skyshade.kernels.dispatch import compile_all
from skyshade.kernels.loops import overview as loops

TWINS = (overview.merge_pixels.twin, overview.merge_states.twin)  # type: ignore[attr-defined]
LOOPS = (loops.merge_pixels, loops.merge_states)


def pyramid(pixels: np.ndarray, levels: int, functions: tuple) -> tuple[np.ndarray, np.ndarray]:
    state: tuple[np.ndarray, ...] = (pixels,)
    for n in range(levels):
        shape = tuple((s + 1) // 2 for s in state[0].shape)
        coarse = np.empty(shape, np.float32), np.empty(shape, np.float32)
        functions[min(n, 1)](*state, *coarse)
        state = coarse
    return state[0], state[1]


def reference(pixels: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    h, w = (-(-s // side) for s in pixels.shape)
    mean, weight = np.full((h, w), np.nan), np.zeros((h, w))
    for y in range(h):
        for x in range(w):
            block = pixels[y * side : (y + 1) * side, x * side : (x + 1) * side].astype(np.float64)
            good = block[np.isfinite(block)]
            weight[y, x] = good.size
            mean[y, x] = good.mean() if good.size else np.nan
    return mean, weight


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 37), st.integers(1, 41)),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.4, 0.97]),
)
def test_means_are_those_of_the_valid_base_pixels(
    seed: int, shape: tuple[int, int], levels: int, missing: float
) -> None:
    """Law 3: relative 1e-5 of the float64 reference, beside NaN and at odd edges too."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(1.0, 2.0, shape).astype(np.float32)
    pixels[rng.random(shape) < missing] = rng.choice([np.nan, np.inf, -np.inf])
    expected, count = reference(pixels, 1 << levels)
    for functions in (TWINS, LOOPS):
        mean, weight = pyramid(pixels, levels, functions)
        np.testing.assert_array_equal(weight, count)
        np.testing.assert_allclose(mean, expected, rtol=1e-5)


def test_large_values_do_not_overflow() -> None:
    pixels = np.full((4, 4), 3e38, np.float32)
    for functions in (TWINS, LOOPS):
        assert pyramid(pixels, 2, functions)[0][0, 0] == np.float32(3e38)


STORED = {"f4": np.uint32, "f8": np.uint64, "i2": np.uint16}
NOTHING = {"f4": np.uint32(-1 % 2**32), "f8": np.uint64(2**64 - 1), "i2": np.uint32(-1 % 2**32)}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 37), st.integers(1, 41)),
    st.sampled_from([2, 4, 8]),
    st.sampled_from(["f4", "f8", "i2"]),
)
def test_means_straight_from_stored_bytes(
    seed: int, shape: tuple[int, int], side: int, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(2.0, 1.0, shape)
    values[rng.random(shape) < 0.2] = np.nan
    values[rng.random(shape) < 0.1] = np.inf
    blank = NOTHING[kind]
    if kind == "i2":
        values = rng.integers(-5, 6, shape).astype(float)
        blank = np.uint32(np.array(3, ">i2").view(np.uint16))
    elif kind == "f8":
        values[rng.random(shape) < 0.1] = 1e300  # more than float32 holds
    stored = np.ascontiguousarray(values, f">{kind}").view(STORED[kind])
    values = values.astype(f">{kind}").astype(np.float64)
    values[(values == 3.0) & (kind == "i2") | (np.abs(values) > 1e38)] = np.nan
    expected, count = reference(values, side)
    for function in (overview.block_means.twin, loops.block_means):  # type: ignore[attr-defined]
        mean, weight = np.empty(count.shape, np.float32), np.empty(count.shape, np.float32)
        function(stored, blank, side, mean, weight)
        np.testing.assert_array_equal(weight, count)
        np.testing.assert_allclose(mean, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("which", ["twin", "loop"])
@pytest.mark.parametrize("kind", ["f4", "f8", "i2"])
@pytest.mark.parametrize(("x0", "x1"), [(0, 41), (3, 40), (17, 18)])
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_means_straight_from_a_file(
    tmp_path: Path, which: str, kind: str, x0: int, x1: int, pieces: int
) -> None:
    """Whole rows and boxes, in pieces, equal the means of the same bytes in memory."""
    compile_all()
    rng = np.random.default_rng(5)
    values = rng.integers(-9, 9, (37, 41)).astype(f">{kind}")
    if kind != "i2":
        values[rng.random(values.shape) < 0.3] = np.nan
    path = tmp_path / "numbers"
    path.write_bytes(b"head" + values.tobytes())
    side, y0, y1 = 4, 2, 37
    stored = np.ascontiguousarray(values[y0:y1, x0:x1]).view(STORED[kind])
    expected = np.empty((2, -(-stored.shape[0] // side), -(-stored.shape[1] // side)), np.float32)
    overview.block_means(stored, NOTHING[kind], side, *expected)
    size = values.itemsize
    raw = np.empty((pieces * side, (x1 - x0) * size), np.uint8)
    numbers, found = raw.view(STORED[kind]), np.full_like(expected, 7.0)
    function = overview.file_means.twin if which == "twin" else overview.file_means.loop  # type: ignore[attr-defined]
    with path.open("rb") as file:
        place = file.fileno(), 4 + (y0 * 41 + x0) * size, 41 * size
        args = raw, numbers, NOTHING[kind], side, *found
        assert function(*place, y1 - y0, *args) == y1 - y0
        np.testing.assert_array_equal(found, expected)
        short = function(
            *place, y1 - y0 + 12, *args[:-2], *np.empty((2, 12, expected.shape[2]), np.float32)
        )
        assert short == (y1 - y0) // len(raw) * len(raw)  # whole pieces that the file holds


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 23), st.integers(1, 25)),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.4, 0.97]),
)
def test_extremes_and_moments_of_blocks(
    seed: int, shape: tuple[int, int], levels: int, missing: float
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.normal(5.0, 1.0, shape).astype(np.float32)
    pixels[rng.random(shape) < missing] = rng.choice([np.nan, np.inf, -np.inf])
    side = 1 << levels
    h, w = (-(-s // side) for s in shape)
    padded = np.full((h * side, w * side), np.nan)
    padded[: shape[0], : shape[1]] = np.where(np.isfinite(pixels), pixels, np.nan)
    blocks = padded.reshape(h, side, w, side)
    filled = np.isfinite(blocks).any(axis=(1, 3))
    whole = np.where(filled[:, None, :, None], blocks, 0.0)
    for name in ("twin", "loop"):
        largest, moments = pixels, first_moments(pixels)
        for _ in range(levels):
            coarse = tuple((s + 1) // 2 for s in largest.shape)
            made = np.empty(coarse, np.float32)
            run(name, "merge_max", largest, made)
            largest = made
            state = tuple(np.empty(coarse, np.float32) for _ in range(3))
            run(name, "merge_moments", *moments, *state)
            moments = state
        np.testing.assert_array_equal(np.isfinite(largest), filled)
        np.testing.assert_array_equal(largest[filled], np.nanmax(whole, axis=(1, 3))[filled])
        np.testing.assert_array_equal(moments[0], np.isfinite(blocks).sum(axis=(1, 3)))
        found = moments[2][filled] / moments[0][filled]
        np.testing.assert_allclose(
            found, np.nanvar(whole, axis=(1, 3))[filled], rtol=1e-4, atol=1e-5
        )


def first_moments(pixels: np.ndarray) -> tuple[np.ndarray, ...]:
    good = np.isfinite(pixels)
    return good.astype(np.float32), np.where(good, pixels, np.nan), np.zeros_like(pixels)


def run(which: str, name: str, *arrays: np.ndarray) -> None:
    function = getattr(overview, name).twin if which == "twin" else getattr(loops, name)
    function(*arrays)
