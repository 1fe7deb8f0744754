from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skyshade.errors import UnknownNameError
from skyshade.shaders.norms import Cumulative, Norm, cumulative_from, cumulative_of
from skyshade.types import PERCENTILES, STRETCHES, Statistics


def statistics_of(values: np.ndarray) -> Statistics:
    """What a layer says of its values."""
    points = np.percentile(values, [float(p) for p in PERCENTILES])
    counts, edges = np.histogram(values, 256, range=(points[0], points[-1]))
    return Statistics(
        n_valid=values.size,
        minimum=float(values.min()),
        maximum=float(values.max()),
        percentiles=dict(zip(PERCENTILES, points.tolist(), strict=True)),
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
    )


finite = st.floats(-1e12, 1e12)


@given(st.sampled_from(STRETCHES), finite, st.floats(1e-6, 1e12), st.lists(finite, min_size=2))
def test_a_norm_rises_from_0_to_1(stretch, low, width, values) -> None:
    norm = Norm(stretch, low, low + width)
    start, end = norm.span
    assume(end > start)
    inside = np.sort(np.clip(values, start, end))
    made = norm.fraction(inside)
    assert (np.diff(made) >= 0).all()
    np.testing.assert_allclose(norm.fraction(np.array([start, end])), [0, 1], atol=1e-12)
    assert ((made >= 0) & (made <= 1)).all()


@given(st.sampled_from(STRETCHES), st.floats(-1e3, 1e3), st.floats(1e-2, 1e6), st.floats(0, 1))
def test_value_inverts_fraction(stretch, low, width, at) -> None:
    norm = Norm(stretch, low, low + width)
    assert norm.fraction(norm.value(at)) == pytest.approx(at, abs=1e-5)


def test_asinh_and_sqrt_are_astropy_s() -> None:
    from astropy.visualization import AsinhStretch, SqrtStretch

    t = np.linspace(0, 1, 101)
    for name, reference in (("asinh", AsinhStretch(0.1)), ("sqrt", SqrtStretch())):
        np.testing.assert_allclose(Norm(name, -3, 7).fraction(-3 + 10 * t), reference(t), atol=1e-7)


def test_log_is_defined_below_zero() -> None:
    made = Norm("log", -500, 500).fraction(np.array([-600.0, -500, 0, 500, 600, np.nan]))
    np.testing.assert_allclose(made[:5], [0, 0, np.log1p(500) / np.log1p(1000), 1, 1])
    assert np.isnan(made[5])


@pytest.mark.parametrize(
    ("given_range", "span"),
    [((-300, 200), (0, 300)), ((-5, -2), (2, 5)), ((1, 4), (1, 4)), ((0, 4), (0, 4))],
)
def test_abs_takes_the_image_of_its_range(given_range, span) -> None:
    norm = Norm("abs", *given_range)
    assert norm.span == span
    at = norm.fraction(np.array([-span[1], span[1], -span[0]]))
    np.testing.assert_allclose(at, [1, 1, 0])


def test_unknown_stretch() -> None:
    with pytest.raises(UnknownNameError, match="unknown stretch 'cbrt'; known: linear, log"):
        Norm("cbrt", 0, 1)


def test_no_width_gives_the_last_colour() -> None:
    norm = Norm("log", 5, 5)
    made = norm.fraction(np.array([4.0, 5, 6, np.nan]))
    assert made[:3].tolist() == [0, 1, 1]
    assert norm.indices(np.array([[4.0, 5, 6, np.nan]])).tolist() == [[1, 255, 255, 0]]


def test_eq_hist_of_one_layer_is_flat() -> None:
    """Equalised: every colour is used about equally, tails and gaps included."""
    values = np.random.default_rng(2).lognormal(0, 2, 200_000)
    found = cumulative_from(statistics_of(values))
    assert found is not None
    made = Norm("eq_hist", float(values.min()), float(values.max()), found).fraction(values)
    parts, _ = np.histogram(made, 10, range=(0, 1))
    # 0.04: between the percentiles 5, 25, 50 and 75 the cumulative is taken as straight
    assert np.abs(parts / values.size - 0.1).max() < 0.04


def test_cumulative_of_statistics_is_strictly_rising() -> None:
    values = np.concatenate([np.zeros(5000), np.random.default_rng(1).poisson(0.3, 500)])
    found = cumulative_from(statistics_of(values))
    assert found is not None
    assert (np.diff(found.values) > 0).all()
    assert (np.diff(found.fractions) >= 0).all()
    assert found.fractions[-1] == 1.0


def test_no_values_no_histogram() -> None:
    assert cumulative_from(Statistics(0)) is None
    assert cumulative_of(np.array([])) is None


def test_eq_hist_without_spread_falls_back_to_linear() -> None:
    norm = Norm("eq_hist", 10, 20, Cumulative((0.0, 1.0), (0.0, 1.0)))
    assert norm.fraction(np.array([15.0])).tolist() == [0.5]
