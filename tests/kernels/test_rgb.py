from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skyshade.kernels import rgb


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    rgb.colour_bands.compile()


@settings(max_examples=200)
@given(
    hnp.arrays(np.float32, (3, 4, 3)),
    st.floats(-1e30, 1e30),
    st.floats(1e-30, 1e30),
    st.sampled_from([0.0, 1e-6, 3.0, 8.0, 1e10]),
)
def test_loop_equals_twin_for_any_number(values, low, per_unit, q) -> None:
    arguments = values, np.full(3, low), np.array([1.0, 2.0, 0.5]) * per_unit, q
    loop, twin = np.empty((2, 3, 4, 4), np.uint8)
    rgb.colour_bands.loop(*arguments, loop)
    with np.errstate(all="ignore"):
        rgb.colour_bands.twin(*arguments, twin)
    finite = np.isfinite(values).all(axis=2)
    assert np.abs(loop[finite].astype(int) - twin[finite]).max(initial=0) <= 1  # rounding
    missing = np.isnan(values).all(axis=2)
    np.testing.assert_array_equal(loop[..., 3] == 0, missing)
    np.testing.assert_array_equal(twin[..., 3] == 0, missing)


def test_one_missing_band_is_dark_and_three_are_clear() -> None:
    values = np.array([[[np.nan, 1, 1], [np.nan] * 3]], np.float32)
    out = np.empty((1, 2, 4), np.uint8)
    rgb.colour_bands.loop(values, np.zeros(3), np.ones(3), 0.0, out)
    assert out.tolist() == [[[0, 255, 255, 255], [0, 0, 0, 0]]]
