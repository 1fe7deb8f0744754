"""Source lists from Python: what the page is told, names that are looked up, picks, the table."""

from __future__ import annotations

import base64
import json
import struct

import numpy as np
import pytest

from skyshade.app.viewer import Viewer
from skyshade.app.viewer.sources import cells_of
from skyshade.atlas.atlas import Atlas
from skyshade.errors import InputError
from skyshade.overlays import SourceList

from .conftest import HOSTILE, pick, until


def test_the_page_is_told_of_lists_and_not_of_sources(viewer: Viewer) -> None:
    told = viewer._sources.state.data
    assert told["id"] == ["list"]
    assert told["title"] == [HOSTILE]
    assert (told["visible"], told["outlined"]) == ([True], [False])
    assert len(viewer._sources.source.data["u"]) == 0


def test_the_first_view_comes_with_the_page(viewer: Viewer) -> None:
    (text,) = viewer._sources.first.data["markers"]
    body = base64.b64decode(text)
    (length,) = struct.unpack("<I", body[:4])
    head = json.loads(body[4 : 4 + length])
    assert (head["count"], head["total"]) == (2, 2)
    assert sorted(head["names"]) == sorted(["ACT-CL J0005", HOSTILE])
    assert len(body) < 1000


def test_names_are_looked_up_without_regard_to_case(viewer: Viewer) -> None:
    look_up = viewer._sources.look_up
    assert look_up("act-cl  j0005") == (10.0, 5.0)
    assert look_up("ACT-CL") == (10.0, 5.0)
    assert look_up("onerror") == (350.0, -5.0)
    assert look_up("10 20") == (10.0, 20.0)  # a position is no part of a name
    with pytest.raises(InputError, match="nowhere"):
        look_up("nowhere")
    assert viewer._sources.told.data == {"list": ["list"], "row": [1]}


def test_what_was_found_is_marked_on_every_turn_of_the_sky(viewer: Viewer) -> None:
    viewer._controls.go_to.value = "act-cl j0005"
    assert viewer._sources.marked.data == {"u": [-370.0, -10.0, 350.0], "v": [5.0] * 3}
    until(lambda: "ACT-CL J0005" in str(viewer._card.pane.object))
    assert viewer.center == (10.0, 5.0)


def test_a_row_of_the_table_is_gone_to_and_a_marker_is_not(viewer: Viewer) -> None:
    viewer.go_to(100.0, 0.0, 50.0)
    pick(viewer, 0, "marker")
    assert viewer.center == (100.0, 0.0)
    assert viewer._sources.told.data == {"list": ["list"], "row": [0]}
    pick(viewer, 1, "table")
    assert viewer.center == (350.0, -5.0)


@pytest.mark.parametrize(("name", "row"), [("nope", 0), ("list", 2), ("list", -1)])
def test_picks_of_what_is_gone_are_ignored(viewer: Viewer, name: str, row: int) -> None:
    pick(viewer, row, "table", name)
    assert viewer._sources.told.data == {"list": [""], "row": [-1]}
    assert viewer.center == (0.0, 0.0)


def test_the_mark_goes_with_its_list(viewer: Viewer, atlas: Atlas) -> None:
    pick(viewer, 0)
    at = np.array([30.0])
    viewer._sources.show([SourceList("other", "Other", at, at, ["x"])])
    assert viewer._sources.marked.data == {"u": [], "v": []}
    assert viewer._sources.state.data["id"] == ["other"]


def test_lists_that_change_are_asked_for_again(viewer: Viewer, atlas: Atlas) -> None:
    before = viewer._sources.state.data["serial"]
    viewer._sources.show(atlas.source_lists())
    assert viewer._sources.state.data["serial"] == before
    at = np.array([30.0])
    viewer._sources.show([SourceList("list", "List", at, at, ["x"])])
    assert viewer._sources.state.data["serial"] != before


def test_the_table_opens_and_closes(viewer: Viewer) -> None:
    table = viewer._table
    assert not table.is_open
    viewer._controls.table.clicks += 1
    assert table.is_open
    assert table.want.data["list"] == ["list"]
    table.want.data = {"list": [""], "serial": [9]}  # closed by the page
    assert not table.is_open


def test_large_lists_are_offered_but_not_shown(atlas: Atlas) -> None:
    at = np.array([30.0])
    atlas.add_sources(SourceList("large", "Large", at, at, ["x"], prominent=False))
    viewer = Viewer(atlas)
    assert viewer.sources == ["list"]
    assert viewer._controls.sources.value == ["list"]
    assert "large" in viewer._controls.sources.options.values()
    viewer._controls.sources.value = ["list", "large"]
    assert viewer._sources.state.data["visible"] == [True, True]


def test_cells_are_plain_text() -> None:
    at = np.array([30.0])
    found = SourceList("x", "X", at, at, ["n"], {HOSTILE: np.array([HOSTILE])})
    title, cells = cells_of(found, 0)
    assert title == "X, n"
    assert cells[HOSTILE] == HOSTILE  # whoever shows it escapes it
