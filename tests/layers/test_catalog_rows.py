from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, angular_separation
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import InputError, UnknownNameError
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.catalog_rows import separation
from skyshade.testing import positions
from skyshade.types import Coverage
from tests.layers.tables import ArrayTable, sphere

N = 5000
RA, DEC = sphere(N)
TABLE = ArrayTable(RA, DEC, {"id": np.arange(N), "vt": np.arange(N) % 12 * 1.0, "ra": RA + 1})


@pytest.fixture(scope="module")
def layer() -> CatalogLayer:
    return CatalogLayer(TABLE, id="stars")


def distances(ra: float, dec: float) -> np.ndarray:
    """Return astropy's separations (Vincenty), degrees."""
    return np.degrees(angular_separation(*np.radians([ra, dec]), np.radians(RA), np.radians(DEC)))


@settings(max_examples=150, deadline=None)
@given(positions(), st.one_of(st.floats(0, 10), st.floats(0, 180), st.just(180.0)))
def test_cone_equals_brute_force(
    layer: CatalogLayer, place: tuple[float, float], radius: float
) -> None:
    far = distances(*place)
    found = layer.rows(ra=place[0], dec=place[1], radius=radius, columns=["id"], limit=N)
    expected = set(np.flatnonzero(far <= radius).tolist())
    unsure = set(np.flatnonzero(np.abs(far - radius) < 1e-9).tolist())
    assert set(found.columns["id"].tolist()) ^ expected <= unsure
    assert found.total == len(found.rows)
    assert found.separation is not None
    assert (np.diff(found.separation) >= 0).all()  # nearest first
    np.testing.assert_allclose(found.separation, far[found.rows], atol=2e-6)  # haversine at 180


@pytest.mark.parametrize(
    ("ra", "dec", "radius", "at"),
    [
        (0.0, 0.0, 2.0, (358.0, 0.0)),
        (359.5, 10.0, 1.0, (359.5, 11.0)),
        (123.0, 89.0, 2.0, (303.0, 89.0)),  # over the pole
        (10.0, -90.0, 5.0, (200.0, -85.0)),
        (40.0, 20.0, 0.0, (40.0, 20.0)),
        (180.0, 0.0, 1e-6, (180.0, 1e-6)),
    ],
)
def test_the_boundary_is_included(
    ra: float, dec: float, radius: float, at: tuple[float, float]
) -> None:
    layer = CatalogLayer(ArrayTable([at[0]], [at[1]]), id="one")
    assert layer.rows(ra=ra, dec=dec, radius=radius).total == 1
    if radius:
        assert layer.rows(ra=ra, dec=dec, radius=radius * (1 - 1e-3)).total == 0


def test_separation_equals_astropy() -> None:
    near = SkyCoord(10, 20, unit="deg").directional_offset_by(33 * u.deg, 1e-4 * u.arcsec)
    assert separation(near.ra.deg, near.dec.deg, 10, 20) == pytest.approx(1e-4 / 3600, rel=1e-5)
    assert separation(np.array([190.0]), np.array([-20.0]), 10, 20)[0] == pytest.approx(180)


coverages = st.builds(
    lambda west, width, south, height: Coverage(
        west + width, west, south, min(south + height, 90.0)
    ),
    st.floats(0, 359.99),
    st.one_of(st.floats(0, 360), st.just(360.0)),
    st.floats(-90, 90),
    st.floats(0, 180),
)


@settings(max_examples=150, deadline=None)
@given(coverages)
def test_rectangle_equals_brute_force(layer: CatalogLayer, coverage: Coverage) -> None:
    found = layer.rows(coverage=coverage, columns=["id"], limit=N)
    inside = np.zeros(N, bool)
    unsure = np.zeros(N, bool)
    for turn in (-360.0, 0.0, 360.0):
        ra = RA + turn
        inside |= (ra >= coverage.ra_west) & (ra <= coverage.ra_east)
        unsure |= np.minimum(abs(ra - coverage.ra_west), abs(ra - coverage.ra_east)) < 1e-9
    inside &= (coverage.dec_min <= DEC) & (coverage.dec_max >= DEC)
    unsure |= np.minimum(abs(DEC - coverage.dec_min), abs(DEC - coverage.dec_max)) < 1e-9
    wrong = set(found.rows.tolist()) ^ set(np.flatnonzero(inside).tolist())
    assert wrong <= set(np.flatnonzero(unsure).tolist())
    assert (np.diff(found.rows) > 0).all()  # the table's order


def test_columns_and_limit(layer: CatalogLayer) -> None:
    found = layer.rows(limit=10)
    assert (found.total, found.truncated, found.rows.tolist()) == (N, True, list(range(10)))
    assert list(found.columns) == ["ra", "dec", "id", "vt"]
    np.testing.assert_array_equal(found.columns["ra"], RA[:10])  # ICRS, not the table's own "ra"
    assert list(layer.rows(limit=1, columns=["vt"]).columns) == ["ra", "dec", "vt"]
    whole = layer.rows(limit=N, columns=[])
    assert (whole.total, whole.truncated, whole.rows.size) == (N, False, N)
    assert layer.rows(limit=0, columns=[]).truncated


def test_where_is_honoured(layer: CatalogLayer) -> None:
    bright = layer.select(where="vt < 3")
    assert bright.rows(limit=1).total == (TABLE.values["vt"] < 3).sum()
    found = bright.rows(ra=0, dec=0, radius=40, columns=["vt"], limit=N)
    assert 0 < found.total < layer.rows(ra=0, dec=0, radius=40).total
    assert (found.columns["vt"] < 3).all()


def test_nearest(layer: CatalogLayer) -> None:
    far = distances(200.0, 40.0)
    found = layer.nearest(200.0, 40.0, 30.0)
    assert found is not None
    assert found["row"] == found["id"] == int(np.argmin(far))
    assert found["separation"] == pytest.approx(far.min())
    assert {type(value) for value in found.values()} <= {int, float}
    assert layer.nearest(200.0, 40.0, far.min() * 0.99) is None


def test_rows_without_a_position_are_never_found() -> None:
    layer = CatalogLayer(ArrayTable([10, np.nan, 10], [5, 5, 95], {"id": [0, 1, 2]}), id="some")
    assert layer.rows(ra=10, dec=5, radius=180).rows.tolist() == [0]
    assert layer.rows().rows.tolist() == [0]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"ra": 1.0}, "give ra, dec and radius together"),
        ({"ra": 1.0, "dec": 2.0}, "give ra, dec and radius together"),
        ({"ra": np.nan, "dec": 2.0, "radius": 1.0}, "ra nan is not allowed"),
        ({"ra": 1.0, "dec": 91.0, "radius": 1.0}, "dec 91.0 is not allowed"),
        ({"ra": 1.0, "dec": 2.0, "radius": -1.0}, "radius -1.0 is not allowed"),
        ({"ra": 1.0, "dec": 2.0, "radius": np.nan}, "radius nan is not allowed"),
        ({"limit": -1}, "limit -1 is not allowed"),
        ({"coverage": Coverage(10, 20, 0, 1)}, "ra_east 10 is not between ra_west 20"),
        ({"coverage": Coverage(20, 10, 2, 1)}, "dec_min 2 is not below dec_max 1"),
        ({"coverage": Coverage(20, 10, 1, 2), "ra": 1, "dec": 2, "radius": 1}, "or coverage"),
    ],
)
def test_errors(layer: CatalogLayer, wanted: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        layer.rows(**wanted)  # type: ignore[arg-type]


def test_unknown_column(layer: CatalogLayer) -> None:
    with pytest.raises(UnknownNameError, match="unknown column 'mag'; known: id, vt, ra"):
        layer.rows(columns=["mag"])
