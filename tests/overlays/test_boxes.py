from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import DataError, InputError, UnknownNameError
from skyshade.overlays import Box, box_of, name_column, plain_value, read_boxes, sources_from_table
from tests.layers.tables import ArrayTable

GOOD = {"name": "field", "ra_east": 20, "ra_west": 10, "dec_min": -5, "dec_max": 5}


def test_box() -> None:
    box = box_of({**GOOD, "description": "a <b>bold</b> field"})
    assert box == Box("field", 20, 10, -5, 5, "a <b>bold</b> field")  # text stays text
    assert box.coverage == (20, 10, -5, 5)


def test_boxes_of_tilemaker() -> None:
    record = {
        "name": "E-D56",
        "description": "survey",
        "top_left_ra": 40.0,
        "top_left_dec": 5.0,
        "bottom_right_ra": -10.0,
        "bottom_right_dec": -8.0,
    }
    assert box_of(record) == Box("E-D56", 400.0, 350.0, -8.0, 5.0, "survey")


@given(st.floats(-360, 720), st.floats(0.001, 359.9), st.integers(-2, 2))
def test_right_ascensions_count_modulo_360(west: float, width: float, turns: int) -> None:
    box = box_of({**GOOD, "ra_east": west + width + 360 * turns, "ra_west": west})
    assert 0 <= box.ra_west < 360
    assert box.ra_east - box.ra_west == pytest.approx(width)
    assert (box.ra_west - west + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)


def test_a_whole_circle() -> None:
    box = box_of({**GOOD, "ra_east": 180, "ra_west": -180})
    assert (box.ra_east, box.ra_west) == (540, 180)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ra_east": None}, "ra_east is missing"),
        ({"ra_east": "20"}, "ra_east '20' is not allowed: give a number of degrees"),
        ({"ra_west": True}, "ra_west True is not allowed"),
        ({"ra_west": float("nan")}, "ra_west nan is not allowed"),
        ({"ra_west": 10**400}, "ra_west 1000"),
        ({"dec_max": 91}, "dec_max 91.0 is not allowed: give degrees from -90 to 90"),
        ({"dec_min": 6}, "dec_min 6.0 is not below dec_max 5.0"),
        ({"ra_east": 10}, "ra_east 10.0 and ra_west 10.0 are the same"),
        ({"name": ""}, "name '' is not allowed: give a text"),
        ({"name": 5}, "name 5 is not allowed"),
        ({"description": ["x"]}, "description \\['x'\\] is not allowed"),
    ],
)
def test_errors_name_field_and_value(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        box_of({**GOOD, **change})


@pytest.mark.parametrize("record", [None, 3, "box", [1, 2]])
def test_what_is_no_box(record: object) -> None:
    with pytest.raises(InputError, match="is not a box: give an object with name, ra_east"):
        box_of(record)


def test_one_bad_record_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    records = [GOOD, {**GOOD, "dec_min": "x"}, 7, {**GOOD, "name": "last"}]
    path.write_text(json.dumps(records), encoding="utf-8")
    boxes, problems = read_boxes(path)
    assert [box.name for box in boxes] == ["field", "last"]
    assert problems == [
        "boxes.json, record 2: dec_min 'x' is not allowed: give a number of degrees",
        "boxes.json, record 3: 7 is not a box: "
        "give an object with name, ra_east, ra_west, dec_min, dec_max",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "boxes.json: not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{}", "not a JSON list of boxes but dict"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_bytes(text)
    with pytest.raises(DataError, match=message):
        read_boxes(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: No such file"):
        read_boxes(str(tmp_path / "none.json"))
    with pytest.raises(DataError):
        read_boxes(tmp_path)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["ra", "NAME", "id"], "NAME"),
        (["id", "Source_Name"], "Source_Name"),
        (["ra", "designation"], "designation"),
        (["tyc_id", "vt"], "tyc_id"),
        (["ra", "dec"], None),
    ],
)
def test_name_column(columns: list[str], expected: str | None) -> None:
    assert name_column(columns) == expected


def table() -> ArrayTable:
    return ArrayTable(
        [10.0, np.nan, 30.0, 40.0],
        [1.0, 2.0, -3.0, 95.0],
        {
            "name": np.array([b"A  ", "b", None, "d"], object),
            "z": np.array([0.5, 1, np.nan, np.inf], np.float32),
            "n": np.array([2**53, 1, 2, 3]),
            "note": np.array(["<i>x</i>", None, "y\nz", ""], object),
            "good": np.array([True, False, True, True]),
        },
        units={"z": "km / s"},
        name="clusters",
    )


def test_sources() -> None:
    sources = sources_from_table(table(), "clusters")
    assert (sources.id, sources.title, len(sources)) == ("clusters", "clusters", 2)
    assert not sources.truncated
    records = sources.records()
    assert records == [
        {
            "ra": 10.0,
            "dec": 1.0,
            "name": "A",
            "extra": {"z": 0.5, "n": 2**53, "note": "<i>x</i>", "good": True},
        },
        {
            "ra": 30.0,
            "dec": -3.0,
            "name": "3",
            "extra": {"z": None, "n": 2, "note": "y\nz", "good": True},
        },
    ]
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert sources.units == {"z": "km / s"}
    lost = "2 of 4 rows have no valid position (the first: row 2)"
    assert sources.notes == ("ra, dec from arrays", lost)


def test_limit_and_choice_of_columns() -> None:
    sources = sources_from_table(table(), "c", 1, name="note", columns=["n"])
    assert [*sources.names] == ["<i>x</i>"]
    assert sources.truncated
    assert list(sources.columns) == ["n"]
    assert "the first 1 of 2 sources" in sources.notes
    with pytest.raises(UnknownNameError, match="unknown column 'mag'"):
        sources_from_table(table(), "c", columns=["mag"])
    with pytest.raises(UnknownNameError, match="unknown column 'mag'"):
        sources_from_table(table(), "c", name="mag")


def test_rows_without_names_are_numbered() -> None:
    sources = sources_from_table(ArrayTable([np.nan, 5], [0, 6], {"z": [1, 2]}), "c")
    assert [*sources.names] == ["2"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.nan, None),
        (-np.inf, None),
        (np.str_("x"), "x"),
        (b"x\xff ", "x\ufffd"),
        (np.bool_(True), True),
        (np.array([1.0, np.nan]), [1.0, None]),
        (np.datetime64("2020-01-02"), "2020-01-02"),
        (None, None),
    ],
)
def test_plain_values(value: object, expected: object) -> None:
    assert plain_value(value) == expected
