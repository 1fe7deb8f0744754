from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skyshade.layers.stats import HISTOGRAM_BINS, scale_of, statistics_of
from skyshade.types import PERCENTILES

NUMBERS = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int32]), hnp.array_shapes(max_dims=2, max_side=50)
)


@given(NUMBERS)
def test_statistics_are_finite_and_consistent(values: np.ndarray) -> None:
    found = statistics_of(values, exact=True)
    if not found.n_valid:
        assert found.minimum is found.maximum is found.mean is found.std is None
        assert not found.percentiles
        assert found.counts == found.edges == ()
        return
    assert found.minimum is not None
    assert found.maximum is not None
    assert tuple(found.percentiles) == PERCENTILES
    points = [found.minimum, *found.percentiles.values(), found.maximum]
    assert np.isfinite([*points, found.mean, found.std, *found.edges]).all()
    assert np.all(np.diff(points) >= -1e-9 * np.abs(points[1:]))
    assert len(found.counts) == HISTOGRAM_BINS == len(found.edges) - 1
    assert 0 < sum(found.counts) <= found.n_valid


def test_known_numbers() -> None:
    values = np.append(np.arange(1001.0), [np.nan, np.inf, -np.inf, 1e300])
    found = statistics_of(values, exact=False)
    assert (found.n_valid, found.minimum, found.maximum, found.mean) == (1001, 0.0, 1000.0, 500.0)
    assert found.std == pytest.approx(np.arange(1001).std())
    assert found.percentiles["99.9"] == pytest.approx(999.0)
    assert found.edges[0] == pytest.approx(1.0)
    assert sum(found.counts) == 999
    assert not found.exact


def test_a_constant_falls_into_the_middle() -> None:
    found = statistics_of(np.full(10, 3.5), exact=True)
    assert sum(found.counts) == 10
    assert found.edges[0] < 3.5 < found.edges[-1]


@given(NUMBERS)
def test_scale_is_a_power_of_two_near_the_values(values: np.ndarray) -> None:
    scale = scale_of(values)
    assert np.frexp(scale)[0] == 0.5
    magnitude = np.abs(values[np.isfinite(values)].astype(np.float64))
    magnitude = magnitude[magnitude <= np.finfo(np.float32).max]
    top = np.percentile(magnitude, 99.9) if magnitude.size else 0.0
    if 1e-37 < top < 1e37:
        assert 0.5 <= top / scale < 1.0


def test_scale_of_nothing_is_one() -> None:
    assert scale_of(np.full(3, np.nan)) == scale_of(np.zeros(3)) == scale_of(np.empty(0)) == 1.0
