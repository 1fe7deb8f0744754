from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skyshade.kernels import png
from skyshade.kernels.dispatch import compile_all

PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 9)))


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_all()


@settings(max_examples=50, deadline=None)
@given(PIXELS)
def test_used_bytes(pixels: np.ndarray) -> None:
    loop, twin = np.zeros((2, 256), np.uint8)
    png.mark_used.loop(pixels, loop)
    png.mark_used.twin(pixels, twin)
    np.testing.assert_array_equal(loop, twin)
    assert np.flatnonzero(loop).tolist() == np.unique(pixels).tolist()


@settings(max_examples=50, deadline=None)
@given(PIXELS, st.integers(1, 8))
def test_the_filter_is_chosen_alike(pixels: np.ndarray, stride: int) -> None:
    assert png.up_pays.loop(pixels, stride) == png.up_pays.twin(pixels, stride)


def test_smooth_pictures_take_differences_and_sparse_ones_do_not() -> None:
    y, x = np.mgrid[:64, :64]
    smooth = (x * 2 + y).astype(np.uint8)
    sparse = np.zeros((64, 64), np.uint8)
    sparse[::5, ::3] = np.arange(22)
    assert png.up_pays(smooth, 8)
    assert not png.up_pays(sparse, 8)
