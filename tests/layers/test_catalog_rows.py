from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, angular_separation
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.keys import keys_of
from skyshade.index.memory import MemoryIndex
from skyshade.layers import catalog_queries
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.catalog_rows import find, nearest_of
from skyshade.layers.regions import Cone, Polygon, Rectangle, separation
from skyshade.testing import positions
from skyshade.types import Coverage, RowBlock
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
    found = layer.query(ra=place[0], dec=place[1], radius=radius, columns=["id"], limit=N)
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
    assert layer.query(ra=ra, dec=dec, radius=radius).total == 1
    if radius:
        assert layer.query(ra=ra, dec=dec, radius=radius * (1 - 1e-3)).total == 0


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
    found = layer.query(coverage=coverage, columns=["id"], limit=N)
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
    found = layer.query(limit=10)
    assert (found.total, found.truncated, found.rows.tolist()) == (N, True, list(range(10)))
    assert list(found.columns) == ["ra", "dec", "id", "vt"]
    np.testing.assert_array_equal(found.columns["ra"], RA[:10])  # ICRS, not the table's own "ra"
    assert list(layer.query(limit=1, columns=["vt"]).columns) == ["ra", "dec", "vt"]
    whole = layer.query(limit=N, columns=[])
    assert (whole.total, whole.truncated, whole.rows.size) == (N, False, N)
    assert layer.query(limit=0, columns=[]).truncated


def test_where_is_honoured(layer: CatalogLayer) -> None:
    bright = layer.select(where="vt < 3")
    assert bright.query(limit=1).total == (TABLE.values["vt"] < 3).sum()
    found = bright.query(ra=0, dec=0, radius=40, columns=["vt"], limit=N)
    assert 0 < found.total < layer.query(ra=0, dec=0, radius=40).total
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
    assert layer.query(ra=10, dec=5, radius=180).rows.tolist() == [0]
    assert layer.query().rows.tolist() == [0]


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
        ({"region": Cone(1, 2, 3), "polygon": [(1, 2), (3, 4), (5, 1)]}, "or a region"),
        ({"region": (1, 2, 3)}, "a region of kind tuple is not allowed: give Cone, Polygon"),
        ({"polygon": [(1, 2), (3, 4)]}, "a polygon of 2 vertices"),
    ],
)
def test_errors(layer: CatalogLayer, wanted: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        layer.query(**wanted)  # type: ignore[arg-type]


def test_unknown_column(layer: CatalogLayer) -> None:
    with pytest.raises(UnknownNameError, match="unknown column 'mag'; known: id, vt, ra"):
        layer.query(columns=["mag"])


@settings(max_examples=50, deadline=None)
@given(st.lists(positions(), min_size=3, max_size=6, unique=True))
def test_polygon_equals_brute_force(layer: CatalogLayer, vertices: list[Any]) -> None:
    try:
        polygon = Polygon(vertices)
    except InputError:
        return
    expected = np.flatnonzero(polygon.contains(RA, DEC))
    for found in (layer.query(polygon, limit=N), layer.query(polygon=vertices, limit=None)):
        assert found.rows.tolist() == expected.tolist()
        assert (found.total, found.truncated) == (expected.size, False)


def test_rows_are_a_data_frame(layer: CatalogLayer) -> None:
    frame = layer.rows(Cone(200, 40, 20), where="vt < 6", columns=["vt", "id"])
    query = layer.query(ra=200, dec=40, radius=20, where="vt < 6")
    assert list(frame.columns) == ["ra", "dec", "vt", "id"]
    assert (frame.index == query.rows).all()
    assert frame.index.name == "row"
    assert (frame["vt"] < 6).all()
    np.testing.assert_array_equal(frame["ra"], RA[query.rows])
    assert frame.attrs["total"] == len(frame) == query.total
    some = layer.rows(Coverage(380, 340, -10, 10), limit=3)
    assert len(some) == 3
    assert some.attrs["truncated"]
    assert len(layer.rows()) == N
    assert len(layer.rows(Rectangle(380, 340, -10, 10))) == some.attrs["total"]


def test_vectors_units_and_arrow() -> None:
    pm = np.arange(6.0).reshape(3, 2)
    names = np.array(["a", None, "b"], object)
    table = ArrayTable([1, 2, 3], [1, 2, 3], {"pm": pm, "name": names}, units={"pm": "mas"})
    layer = CatalogLayer(table, id="some")
    frame = layer.rows()
    assert frame["pm"].tolist()[1].tolist() == [2.0, 3.0]
    assert frame.attrs["units"] == {"pm": "mas", "ra": "deg", "dec": "deg"}
    arrow = layer.query().to_arrow()
    assert arrow["name"].to_pylist() == ["a", None, "b"]
    assert arrow.schema.field("pm").metadata == {b"unit": b"mas"}


def test_a_frame_of_too_many_rows_needs_a_limit(
    layer: CatalogLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_queries, "MOST", 100)
    with pytest.raises(InputError, match="more than 100 rows: give a limit, a filter or a smaller"):
        layer.rows()
    assert len(layer.rows(limit=200)) == 200
    assert len(layer.rows(Cone(0, 0, 5))) < 100


def test_where_on_texts_reads_the_column_once() -> None:
    names = np.array(["star", "galaxy", None] * 100, object)
    table = ArrayTable(np.arange(300.0), np.zeros(300), {"type": names})
    layer = CatalogLayer(table, id="some")
    assert len(layer.rows(where="type == 'star'")) == 100
    assert len(layer.rows(where="type in ('star', 'galaxy')")) == 200
    assert len(layer.rows(where="isnull(type)")) == 100
    assert table.reads.count("type") == 1


class Stream:
    """A view as an index on disk gives it: rows numbered by key, in short blocks."""

    def __init__(self, ra: Any, dec: Any, block: int = 100) -> None:
        sort = np.argsort(keys_of(ra, dec), kind="stable")
        self.ra, self.dec, self.block = ra[sort], dec[sort], block
        self.keys = keys_of(self.ra, self.dec)
        self.level, self.read = MemoryIndex(ArrayTable(ra, dec)).view().level, 0

    def blocks(self, ranges: Any, columns: Any = (), codes: Any = ()) -> Iterator[RowBlock]:
        for first, last in np.searchsorted(self.keys, ranges).tolist():
            for start in range(first, last, self.block):
                rows = np.arange(start, min(start + self.block, last))
                self.read += rows.size
                named = {"_ra": self.ra[rows], "_dec": self.dec[rows]}
                yield RowBlock(self.keys[rows], rows, {name: named[name] for name in columns})


@pytest.fixture(scope="module")
def many() -> tuple[Any, Any]:
    return sphere(200_000, seed=5)


REGIONS = [
    None,
    Cone(10, 20, 40),
    Cone(10, 89, 170),
    Rectangle(400, 300, -30, 60),
    Polygon([(0, -30), (80, -20), (70, 60), (10, 50)]),
]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("scan", [1000, 10**9])
def test_streams_give_the_first_rows(many: Any, region: Any, scan: int) -> None:
    stream: Any = Stream(*many)
    every = find(stream, region, None, (), {})
    expected = np.arange(stream.ra.size)
    if region is not None:
        expected = np.flatnonzero(region.contains(stream.ra, stream.dec))
    assert sorted(every.rows.tolist()) == expected.tolist()
    assert (every.total, every.truncated) == (expected.size, False)
    stream.read = 0
    few = find(stream, region, 50, (), {}, scan=scan)
    np.testing.assert_array_equal(few.rows, every.rows[:50])
    assert few.truncated
    if scan > stream.ra.size:
        assert few.total == every.total
    else:
        assert few.total is None
        assert stream.read < 20_000  # far fewer than there are


def test_near_rows_come_from_small_circles(many: Any) -> None:
    stream: Any = Stream(*many)
    for ra, dec in [(0.0, 90.0), (359.99, 0.0), (123.4, -56.7)]:
        away = separation(stream.ra, stream.dec, ra, dec)
        stream.read = 0
        found = nearest_of(stream, Cone(ra, dec, 180.0))
        assert found is not None
        assert (found[0], found[1]) == (int(np.argmin(away)), pytest.approx(away.min()))
        assert stream.read < 20_000
    assert nearest_of(stream, Cone(ra, dec, away.min() * 0.99)) is None


def test_nearest_in_a_sparse_part_of_a_dense_catalogue() -> None:
    """Circles grow until there is a row, however far it is."""
    rng = np.random.default_rng(1)
    ra, dec = 100 + rng.uniform(0, 0.01, 20_000), rng.uniform(0, 0.01, 20_000)
    stream: Any = Stream(ra, dec)
    found = nearest_of(stream, Cone(280.0, 0.0, 180.0))
    away = separation(stream.ra, stream.dec, 280.0, 0.0)
    assert found == (int(np.argmin(away)), pytest.approx(away.min()))
    few = find(stream, Cone(100.0, 0.0, 180.0), 10, (), {}, scan=100)
    away = separation(stream.ra, stream.dec, 100.0, 0.0)
    assert set(few.rows.tolist()) == set(np.argsort(away)[:10].tolist())


def test_many_rows_of_a_cone_are_kept_in_bounds(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyshade.layers.catalog_rows._HELD", 500)
    stream: Any = Stream(*many)
    away = separation(stream.ra, stream.dec, 10.0, 20.0)
    found = find(stream, Cone(10.0, 20.0, 60.0), 1234, (), {})
    assert found.rows.tolist() == np.argsort(away, kind="stable")[:1234].tolist()
    assert found.total == (away <= 60.0).sum()


def test_a_search_that_takes_too_long_is_given_up(many: Any) -> None:
    stream: Any = Stream(*many)
    for region in REGIONS:
        with pytest.raises(TimeoutError, match="given up"):
            find(stream, region, None, (), {}, timeout=0.0)
