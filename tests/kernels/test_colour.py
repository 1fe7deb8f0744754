from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skyshade.kernels import colour
from skyshade.kernels.dispatch import compile_all
from skyshade.shaders.norms import Norm
from skyshade.types import STRETCHES

FLOATS = (np.float32, np.float64)
TYPES = (*FLOATS, np.uint32)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_all()


def tiles(*types: type) -> st.SearchStrategy[np.ndarray]:
    """Small tiles of some types, NaN, infinities and repeated values among them."""
    return st.sampled_from(types).flatmap(lambda t: hnp.arrays(t, (5, 7)))


@settings(max_examples=200, deadline=None)
@given(
    tiles(*FLOATS),
    st.sampled_from(STRETCHES),
    st.floats(-1e300, 1e300),
    st.one_of(st.just(0.0), st.floats(1e-300, 1e300)),
    st.booleans(),
)
def test_loop_equals_twin_for_any_number(values, stretch, low, width, zero) -> None:
    norm = Norm(stretch, low, low + width)
    arguments = (*norm._steps, stretch == "abs", zero)
    loop, twin = np.empty((2, 5, 7), np.uint8)
    colour.index_steps.loop(values, *arguments, loop)
    colour.index_steps.twin(values, *arguments, twin)
    np.testing.assert_array_equal(loop, twin)


@settings(max_examples=200, deadline=None)
@given(tiles(*TYPES), st.floats(-1e300, 1e300), st.floats(1e-10, 1e290), st.booleans())
def test_linear_loop_equals_twin_for_any_number(values, low, per_unit, zero) -> None:
    loop, twin = np.empty((2, 5, 7), np.uint8)
    colour.index_linear.loop(values, low, per_unit, zero, loop)
    colour.index_linear.twin(values, low, per_unit, zero, twin)
    np.testing.assert_array_equal(loop, twin)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("stretch", STRETCHES)
def test_both_equal_the_norm_itself(stretch: str, dtype: type) -> None:
    values = np.random.default_rng(3).gamma(0.3, 300, (64, 64)).astype(dtype)
    norm = Norm(stretch, 2.0, 900.0)
    expected = np.floor(norm.fraction(values) * 254 + 0.5) + 1
    out = np.empty(values.shape, np.uint8)
    colour.index_steps.loop(values, *norm._steps, stretch == "abs", False, out)
    assert np.abs(out.astype(int) - expected).max() <= 1  # rounding at a threshold
    assert np.mean(out != expected) < 1e-3


def test_missing_values_are_index_zero() -> None:
    values = np.array([[0.0, np.nan, 1.0, -np.inf, np.inf]], np.float32)
    out = np.empty((1, 5), np.uint8)
    colour.index_linear.loop(values, -1.0, 100.0, False, out)
    assert out.tolist() == [[101, 0, 201, 1, 255]]
    colour.index_linear.loop(values, -1.0, 100.0, True, out)
    assert out.tolist() == [[0, 0, 201, 1, 255]]


def test_steep_norms_bisect() -> None:
    """A norm with many thresholds in one cell takes the longer way and is exact too."""
    thresholds = np.full(512, np.nan)
    thresholds[:254] = np.concatenate([np.zeros(100), np.linspace(1, 1.001, 100), np.full(54, 2.0)])
    cells, jump = colour.cell_starts(thresholds, 0.0, 0.5)
    assert jump > 1
    values = np.linspace(-0.5, 2.5, 3000).reshape(30, 100)
    loop, twin = np.empty((2, 30, 100), np.uint8)
    for kernel, out in ((colour.index_steps.loop, loop), (colour.index_steps.twin, twin)):
        kernel(values, 0.0, 0.5, thresholds, cells, jump, False, False, out)
    np.testing.assert_array_equal(loop, twin)


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(np.float64, (3, 4, 3), elements=st.one_of(st.just(np.nan), st.floats(-9, 99))),
    st.sampled_from([0.0, 2.5, -9.0]),
    st.booleans(),
)
def test_mixed_categories_loop_equals_twin(values, baseline, zero) -> None:
    colours = np.array([[255.0, 0, 10], [0, 200, 20], [7, 70, 255]])
    made = []
    for kernel in (colour.mix_categories.loop, colour.mix_categories.twin):
        total, out = np.empty((3, 4)), np.zeros((3, 4, 4), np.uint8)
        kernel(values, colours, baseline, zero, total, out)
        made.append((total, out.astype(int)))
    np.testing.assert_allclose(made[0][0], made[1][0], rtol=1e-12, atol=1e-12)
    assert np.abs(made[0][1] - made[1][1]).max() <= 1  # truncation of sums in another order
