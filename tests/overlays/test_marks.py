"""Which sources a view marks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import InputError
from skyshade.overlays import Marks, SourceList, View
from skyshade.overlays.importance import importance_column, order_of
from skyshade.overlays.marks import DEEPEST, STEPS
from tests.layers.tables import sphere

WHOLE = View(0.0, 0.0, 360.0, 180.0)
N = 20_000
RA, DEC = sphere(N)
MAG = np.random.default_rng(3).normal(15.0, 2.0, N)
MARKS = Marks(RA, DEC, order_of(MAG, N, smallest=True))


def cells(ra: np.ndarray, dec: np.ndarray, level: int) -> np.ndarray:
    side = 360.0 / 2**level
    cols = np.floor(np.mod(180.0 - ra, 360.0) / side)
    return np.floor((dec + 90.0) / side) * 2.0**30 + cols


@pytest.mark.parametrize("level", [0, 3, 5])
def test_a_level_shows_the_brightest_source_of_every_cell(level: int) -> None:
    shown = MARKS.shown(WHOLE, 360.0 / 2**level, 5000)
    cell = cells(RA, DEC, level)
    expected = {c: np.flatnonzero(cell == c)[np.argmin(MAG[cell == c])] for c in np.unique(cell)}
    assert set(shown.rows.tolist()) == {int(row) for row in expected.values()}
    assert shown.total == N
    assert (np.diff(MAG[shown.rows]) >= 0).all()


def test_who_zooms_in_loses_none() -> None:
    before: set[int] = set()
    for width in (360.0, 180.0, 90.0, 45.0, 20.0):
        view = View(40.0, 10.0, width, width / 2)
        rows = set(MARKS.shown(view, width / 60.0, 2000).rows.tolist())
        across = np.abs((RA - 40.0 + 180.0) % 360.0 - 180.0) < width / 2 - 1e-6
        inside = across & (np.abs(DEC - 10.0) < width / 4 - 1e-6)
        assert {row for row in before if inside[row]} <= rows
        before = rows


def test_few_sources_are_all_shown_and_many_never_exceed_the_limit() -> None:
    view = View(359.0, 5.0, 20.0, 10.0)
    across = np.abs((RA - 359.0 + 180.0) % 360.0 - 180.0) <= 10.0
    inside = np.flatnonzero(across & (np.abs(DEC - 5.0) <= 5.0))
    shown = MARKS.shown(view, 5.0, 2000)
    assert sorted(shown.rows.tolist()) == inside.tolist()
    for limit in (1, 7, 100):
        few = MARKS.shown(WHOLE, 1e-9, limit)
        assert 0 < few.rows.size <= limit
        assert few.total == N


@settings(max_examples=40, deadline=None)
@given(
    ra=st.floats(0, 360, exclude_max=True),
    dec=st.floats(-90, 90),
    width=st.floats(0.01, 400),
    height=st.floats(0.01, 200),
)
def test_markers_lie_where_their_sources_are(
    ra: float, dec: float, width: float, height: float
) -> None:
    view = View(ra, dec, width, height)
    shown = MARKS.shown(view, width / 50, 500)
    span, tall = min(width, 360.0), view.north - view.south
    at = view.east - shown.x / STEPS * span
    assert np.all(np.abs((at - RA[shown.rows] + 180) % 360 - 180) <= span / STEPS * 0.51 + 1e-9)
    assert np.all(np.abs(view.south + shown.y / STEPS * tall - DEC[shown.rows]) <= tall / STEPS)


def test_sources_at_one_place_are_shown_when_they_are_few() -> None:
    ra, dec = np.full(5, 10.0), np.full(5, 20.0)
    marks = Marks(ra, dec, np.arange(5))
    assert marks.levels.tolist() == [0, *[DEEPEST + 1] * 4]
    assert marks.shown(WHOLE, 1.0, 5).rows.size == 5
    assert marks.shown(WHOLE, 1.0, 4).rows.tolist() == [0]
    assert Marks(np.empty(0), np.empty(0), np.empty(0, int)).shown(WHOLE, 1.0, 5).total == 0


def test_importance() -> None:
    assert importance_column(["z", "SNR", "vmag"]) == ("vmag", True)
    assert importance_column(["z", "SNR"]) == ("SNR", False)
    assert importance_column(["z", "note"]) is None  # a redshift, not a magnitude
    assert importance_column(["g", "z"]) == ("g", True)
    assert order_of(np.array([3.0, np.nan, 1.0]), 3, smallest=True).tolist() == [2, 0, 1]
    assert order_of(np.array(["3", None, "x"], object), 3, smallest=False)[0] == 0
    mixed = order_of(None, 1000, smallest=True)
    assert sorted(mixed.tolist()) == list(range(1000))
    assert abs(np.corrcoef(mixed, np.arange(1000))[0, 1]) < 0.2, "an order that looks random"


def test_brighter_sources_are_larger() -> None:
    given = SourceList("a", "A", RA[:3], DEC[:3], ["a", "b", "c"], {"mag": np.array([9, 5, 12])})
    assert given.sizes is not None
    assert given.sizes[1] > given.sizes[0] > given.sizes[2]
    assert SourceList("a", "A", RA[:3], DEC[:3], ["a", "b", "c"]).sizes is None


@pytest.mark.parametrize("bad", [(0, 0, 0, 1), (0, 0, 1, -1), (np.nan, 0, 1, 1)])
def test_impossible_views_are_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="is not allowed"):
        View(*bad)
