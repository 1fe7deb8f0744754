from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.kernels import overview
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
