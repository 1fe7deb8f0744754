"""Twin == loop == a brute-force sum over rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.kernels import binning
from skyshade.kernels.binning import MAX, MIN, MOMENTS, SUM

FORMS = ("twin", "loop")
COLUMNS, LINES = 64, 32  # of the lattice that windows lie on; keys are two levels finer


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> Callable[[Any], Callable[..., Any]]:
    """Return a function that gives the twin or the loop of a kernel."""

    def pick(kernel: Any) -> Callable[..., Any]:
        if request.param == "loop" and kernel.loop is None:
            kernel.compile()
        chosen: Callable[..., Any] = getattr(kernel, request.param)
        return chosen

    return pick


def rows_of(seed: int, n: int) -> tuple[Any, Any, Any]:
    """Return sorted keys of `n` rows and their lattice columns and lines, two levels coarser."""
    rng = np.random.default_rng(seed)
    cols, lines = rng.integers(0, 4 * COLUMNS, n), rng.integers(0, 4 * LINES, n)
    cols[: n // 2] //= 16  # half of them crowd together
    keys = np.empty(n, np.int64)
    binning.interleave.twin(cols, lines, keys)  # type: ignore[attr-defined]
    order = np.argsort(keys, kind="stable")
    return keys[order], (cols // 4)[order], (lines // 4)[order]


def brute(cols: Any, lines: Any, window: tuple[int, int, int, int]) -> tuple[Any, Any]:
    """Return which rows lie in a window and their flat pixels."""
    col, row, width, height = window
    x, y = (cols - col) % COLUMNS, lines - row
    inside = (x < width) & (y >= 0) & (y < height)
    return inside, (y * width + x)[inside]


windows = st.tuples(
    st.integers(-COLUMNS, COLUMNS), st.integers(-5, LINES), st.integers(1, COLUMNS),
    st.integers(1, LINES),
)  # fmt: skip
rows = st.builds(rows_of, st.integers(0, 999), st.integers(0, 300))


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_interleave(form: Any, n: int) -> None:
    rng = np.random.default_rng(n)
    cols, lines = rng.integers(0, 2**32, n), rng.integers(0, 2**31, n)
    keys = np.empty(n, np.int64)
    form(binning.interleave)(cols, lines, keys)
    for key, col, line in zip(keys.tolist(), cols.tolist(), lines.tolist(), strict=True):
        bits = f"{col:032b}", f"{line:032b}"
        assert key == int("".join(b + a for a, b in zip(*bits, strict=True)), 2)


@settings(deadline=None)
@given(rows=rows, window=windows)
def test_counts(form: Any, rows: tuple[Any, Any, Any], window: tuple[int, int, int, int]) -> None:
    keys, cols, lines = rows
    out = np.full((window[3], window[2]), 7, np.uint32)
    form(binning.bin_count)(keys, 4, np.array([window[0], window[1], COLUMNS]), out)
    expected = np.full(out.size, 7, np.uint32)
    np.add.at(expected, brute(cols, lines, window)[1], np.uint32(1))
    np.testing.assert_array_equal(out.ravel(), expected)


@settings(deadline=None)
@given(rows=rows, window=windows)
def test_categories(
    form: Any, rows: tuple[Any, Any, Any], window: tuple[int, int, int, int]
) -> None:
    keys, cols, lines = rows
    codes = (np.arange(keys.size) % 4 - 1).astype(np.int32)
    out = np.zeros((window[3], window[2], 3), np.uint32)
    form(binning.bin_categories)(keys, codes, 4, np.array([window[0], window[1], COLUMNS]), out)
    inside, pixels = brute(cols, lines, window)
    expected = np.zeros((out.shape[0] * out.shape[1], 4), np.uint32)
    np.add.at(expected, (pixels, codes[inside]), np.uint32(1))
    np.testing.assert_array_equal(out.reshape(-1, 3), expected[:, :3])


@settings(deadline=None)
@given(rows=rows, window=windows, split=st.floats(0, 1))
@pytest.mark.parametrize("state", [SUM, MIN, MAX, MOMENTS])
def test_values(
    form: Any,
    state: int,
    rows: tuple[Any, Any, Any],
    window: tuple[int, int, int, int],
    split: float,
) -> None:
    """Rows come in two calls, so that states are merged; every fifth value is missing."""
    keys, cols, lines = rows
    values = np.random.default_rng(keys.size).normal(1000.0, 1.0, keys.size)
    values[::5] = np.nan
    shape = window[3], window[2]
    n, b = np.zeros(shape, np.uint32), np.zeros(shape if state == MOMENTS else (1, 1))
    a = np.full(shape, np.nan if state in (MIN, MAX) else 0.0)
    frame = np.array([window[0], window[1], COLUMNS])
    half = int(split * keys.size)
    for part in (slice(half), slice(half, None)):
        form(binning.bin_values)(keys[part], values[part], 4, frame, state, n, a, b)
    inside, pixels = brute(cols, lines, window)
    for pixel in range(n.size):
        group = values[inside][pixels == pixel]
        group = group[~np.isnan(group)]
        assert n.flat[pixel] == group.size
        if group.size:
            expected = {SUM: group.sum, MIN: group.min, MAX: group.max, MOMENTS: group.mean}[
                state
            ]()
            np.testing.assert_allclose(a.flat[pixel], expected, rtol=1e-13)
            if state == MOMENTS:
                np.testing.assert_allclose(b.flat[pixel], group.var() * group.size, atol=1e-8)
        else:
            assert np.isnan(a.flat[pixel]) if state in (MIN, MAX) else a.flat[pixel] == 0


def test_infinite_values_and_rows_of_no_window(form: Any) -> None:
    keys = np.array([0, 0, 5], np.int64)
    n, a, b = np.zeros((1, 1), np.uint32), np.zeros((1, 1)), np.zeros((1, 1))
    with np.errstate(all="ignore"):
        form(binning.bin_values)(
            keys, np.array([np.inf, 1.0, 3.0]), 0, np.array([0, 0, COLUMNS]), SUM, n, a, b
        )
    assert (n[0, 0], a[0, 0]) == (2, np.inf)
