"""Search, order, pages and export of lists of sources."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from regions import Regions

from skyshade.errors import UnknownNameError
from skyshade.loaders.ds9 import parse
from skyshade.loaders.region_table import region_table
from skyshade.overlays import SourceList, sources_from_table
from tests.layers.tables import ArrayTable

NAMES = ["ACT-CL J0005", "act-cl  j0010", "Coma", "J0005", "", 'a "b", <i>c</i>']


def sources() -> SourceList:
    table = ArrayTable(
        [10, 20, 30, 40, 50, 60],
        [1, 2, 3, 4, 5, 6],
        {
            "name": np.array(NAMES, object),
            "snr": np.array([5.0, np.nan, 9.0, 1.0, 5.0, 2.0]),
            "note": np.array(["b", None, "A", "c", "", "a"], object),
            "big": np.array([2**53 + 1, 2**53, 5, 4, 3, 2]),
        },
        name="clusters",
    )
    return sources_from_table(table, "clusters")


def test_search_ranks_equal_then_prefix_then_part() -> None:
    finder = sources().finder
    assert finder.search("j0005") == [3, 0]
    assert finder.search("ACT-CL J00") == [0, 1]
    assert finder.search("act-cl j0010") == [1]
    assert finder.search("nothing") == []
    assert finder.search("a", 2) == [0, 1]
    assert finder.exact("coma") == 2
    assert finder.exact("COM") is None
    assert finder.exact("5") is None  # the number of a nameless row is no name to go to


def test_order_puts_missing_values_last_both_ways() -> None:
    finder = sources().finder
    assert finder.order("snr").tolist() == [3, 5, 0, 4, 2, 1]
    assert finder.order("snr", descending=True).tolist() == [2, 0, 4, 5, 3, 1]
    assert finder.order("note").tolist() == [2, 5, 0, 3, 1, 4]
    assert finder.order("note", descending=True).tolist() == [3, 0, 2, 5, 1, 4]
    assert finder.order("big").tolist() == [5, 4, 3, 2, 1, 0]
    assert finder.order("dec", descending=True).tolist() == [5, 4, 3, 2, 1, 0]
    with pytest.raises(UnknownNameError, match="unknown column 'nope'; known: name, ra, dec, snr"):
        finder.order("nope")


def test_pages() -> None:
    finder = sources().finder
    page = finder.page(2, 2, sort="snr")
    assert (page.rows.tolist(), page.offset, page.matches) == ([0, 4], 2, 6)
    page = finder.page(0, 10, search="J0005", sort="ra", descending=True)
    assert (page.rows.tolist(), page.matches) == ([3, 0], 2)
    page = finder.page(0, 2, sort="snr", holding=2)
    assert (page.rows.tolist(), page.offset) == ([2, 1], 4)
    assert finder.page(0, 2, search="coma", holding=0).offset == 0  # not among what was found
    assert finder.page(99, 2).rows.size == 0


def test_names_and_columns_are_read_when_they_are_needed() -> None:
    table = ArrayTable([1, 2], [3, 4], {"name": np.array(["a", "b"]), "z": np.array([1.0, 2.0])})
    found = sources_from_table(table, "x")
    assert table.reads == ["positions"]
    assert found.record(1) == {"ra": 2.0, "dec": 4.0, "name": "b", "extra": {"z": 2.0}}
    assert sorted(table.reads[1:]) == ["name", "z"]
    with pytest.raises(UnknownNameError, match="unknown source 2; known: 0 to 1"):
        found.record(2)


def test_large_nameless_catalogues_are_not_marked_unasked() -> None:
    n = 10_001
    table = ArrayTable(np.zeros(n), np.zeros(n), {"z": np.zeros(n)})
    assert not sources_from_table(table, "x").prominent
    table.outlines = None  # type: ignore[attr-defined] # a list of sources by its nature
    assert sources_from_table(table, "x").prominent


def test_export_as_json_and_csv() -> None:
    found = sources()
    records = json.loads("".join(found.export("json")))
    assert records == found.records()
    rows = list(csv.DictReader(io.StringIO("".join(found.export("csv")))))
    assert [row["name"] for row in rows][5] == 'a "b", <i>c</i>'
    assert rows[1]["snr"] == ""
    assert float(rows[2]["ra"]) == 30.0
    with pytest.raises(UnknownNameError, match="unknown format 'xml'; known: json, csv, reg"):
        found.export("xml")


def test_export_as_regions_is_read_back() -> None:
    text = "".join(sources().export("reg"))
    found = Regions.parse(text, format="ds9")
    assert len(found) == 6
    assert found[2].center.ra.deg == pytest.approx(30.0)
    assert found[2].meta["text"] == "Coma"


def test_regions_keep_their_shapes() -> None:
    lines = [
        'fk5;circle(359.5,10.2,7200") # color=red text={one}',
        'galactic;ellipse(10,20,1800",3600",30)',
        'icrs;box(20,-20,1800",3600",45) # text={b}',
        "icrs;polygon(10,10,20,10,20,20)",
        "icrs;# text(30,40) text={Hello}",
        'icrs;annulus(50,60,1800",3600")',
    ]
    first, reasons = parse("\n".join(lines).replace(";", "\n"))
    assert reasons == []
    given = sources_from_table(region_table(first, "r"), "r")
    again, reasons = parse("".join(given.export("reg")))
    assert reasons == []
    assert [type(r).__name__ for r in again] == [type(r).__name__ for r in first]
    assert again[1].center.frame.name == "galactic"
    assert again[1].angle.to_value("deg") == pytest.approx(30.0)
    assert again[0].meta["text"] == "one"
    assert again[4].text == "Hello"
    ours = sources_from_table(region_table(again, "r"), "r")
    assert given.outlines is not None
    assert ours.outlines is not None
    np.testing.assert_allclose(ours.outlines.v, given.outlines.v, atol=1e-7)
