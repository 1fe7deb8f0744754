"""Footprints and tracks as people have them: STC-S texts, lists of vertices, tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from skyshade.errors import InputError
from skyshade.layers.shapes import grouped, parse_stcs, shapes_of

TEXT = "POLYGON ICRS 10 20 12 20 12 22 10 22"


def corners(ring):
    return [(round(x, 6), round(y, 6)) for x, y in zip(ring.lon[:-1], ring.lat[:-1], strict=True)]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "Polygon icrs 10 20 12 20 12 22 10 22",
        "POLYGON 10 20 12 20 12 22 10 22",
        "Polygon ICRS GEOCENTER 10 20 12 20 12 22 10 22 10 20",
        "POLYGON ICRS 10.0,20.0 12.0,20.0 12.0,22.0 10.0,22.0",
    ],
)
def test_polygons(text) -> None:
    (ring,) = parse_stcs(text)
    found = corners(ring)
    assert {(10.0, 20.0), (12.0, 20.0), (12.0, 22.0), (10.0, 22.0)} <= set(found)
    assert (ring.lon[0], ring.lat[0]) == (ring.lon[-1], ring.lat[-1])


def test_circles_have_their_radius() -> None:
    (ring,) = parse_stcs("CIRCLE ICRS 350 80 15")
    centre = SkyCoord(350, 80, unit="deg")
    apart = centre.separation(SkyCoord(ring.lon, ring.lat, unit="deg")).deg
    np.testing.assert_allclose(apart, 15.0, atol=1e-9)


def test_boxes_and_unions() -> None:
    assert len(parse_stcs("UNION ICRS ( CIRCLE 1 2 3 POLYGON 1 1 3 1 3 3 )")) == 2
    (ring,) = parse_stcs("BOX ICRS 40 0 4 2")
    assert np.ptp(ring.lon) == pytest.approx(4.0, abs=0.01)
    assert np.ptp(ring.lat) == pytest.approx(2.0, abs=0.01)


def test_galactic_regions_are_turned() -> None:
    (ring,) = parse_stcs("CIRCLE GALACTIC 0 0 1")
    centre = SkyCoord(0, 0, unit="deg", frame="galactic").icrs
    apart = centre.separation(SkyCoord(ring.lon, ring.lat, unit="deg")).deg
    np.testing.assert_allclose(apart, 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ELLIPSE ICRS 1 2 3 4 5", "ELLIPSE"),
        ("POLYGON ICRS 1 2 3", "3 numbers"),
        ("POLYGON ICRS 1 2 3 4 5 6 7", "7 numbers"),
        ("CIRCLE ICRS 1 2", "2 numbers"),
        ("POLYGON ICRS 1 95 2 3 4 5", "95"),
        ("<script>", "<SCRIPT>"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_row(text, words) -> None:
    with pytest.raises(InputError, match="row 2") as error:
        shapes_of([TEXT, text], closed=True)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("make", [dict, pd.DataFrame, Table, pa.table])
def test_tables_of_every_kind(make) -> None:
    found = shapes_of(make({"s_region": [TEXT, "CIRCLE 1 2 3"], "band": ["g", "r"]}), closed=True)
    assert (found.total, found.rows) == (2, [0, 1])
    assert found.columns["band"].tolist() == ["g", "r"]


def test_lists_of_vertices_and_rows_without_a_shape() -> None:
    found = shapes_of({"ra": [[1, 2, 3], []], "dec": [[1, 2, 1], []]}, closed=True)
    assert (found.total, found.rows) == (2, [0])
    assert shapes_of([None, float("nan"), TEXT], closed=True).rows == [2]
    lines = shapes_of([([0, 1], [0, 1]), ([5, np.nan, 6], [0, 0, 0])], closed=False)
    assert lines.rows == [0, 1]


def test_a_long_table_is_grouped() -> None:
    table = {"ra": [1.0, 9.0, 2.0], "dec": [0.0, 5.0, 0.5], "sat": ["a", "b", "a"], "v": [7, 8, 9]}
    found = grouped(table, "sat")
    assert [list(x) for x in found["ra"]] == [[1.0, 2.0], [9.0]]
    assert found["v"].tolist() == [7, 8]
    with pytest.raises(InputError, match="nonesuch"):
        grouped(table, "nonesuch")


def test_a_table_without_shapes_names_what_it_has() -> None:
    with pytest.raises(InputError, match=r"s_region.*there are a, b"):
        shapes_of({"a": [1], "b": [2]}, closed=True)
    with pytest.raises(InputError, match="'zone' is not in the table"):
        shapes_of({"a": [1]}, closed=True, column="zone")
