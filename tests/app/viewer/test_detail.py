"""How a catalogue is drawn in the viewer: detail, classes and their legend."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from skyshade.app.viewer import Viewer
from skyshade.atlas.atlas import Atlas, Entry
from skyshade.layers.catalog import CatalogLayer
from tests.layers.tables import ArrayTable, sphere

from .conftest import SmallLayer, info, until, wanted

HOSTILE_CLASS = "<img src=x onerror=alert(1)>"


@pytest.fixture
def viewer() -> Viewer:
    rng = np.random.default_rng(1)
    kinds = rng.choice(np.array(["star", HOSTILE_CLASS], object), 500)
    table = ArrayTable(*sphere(500), {"vmag": rng.normal(9, 2, 500), "type": kinds})
    atlas = Atlas()
    atlas.add(Entry("stars", CatalogLayer(table, id="stars"), title="stars"))
    atlas.add(Entry("map", SmallLayer(info("map")), title="map"))
    made = Viewer(atlas)
    until(lambda: made._statistics is not None)
    return made


def asked(viewer: Viewer) -> dict[str, list[str]]:
    return parse_qs(urlsplit(wanted(viewer)).query)


def test_rows_are_drawn_where_they_are_few_unless_told_otherwise(viewer: Viewer) -> None:
    assert viewer._controls.detail.visible
    assert asked(viewer)["detail"] == ["auto"]
    assert "@2x" in wanted(viewer)
    viewer._controls.detail.value = "points"
    assert asked(viewer)["detail"] == ["points"]
    viewer.detail = "numbers"
    assert "detail" not in asked(viewer)
    assert "@2x" not in wanted(viewer)


def test_maps_have_no_such_choice(viewer: Viewer) -> None:
    viewer.layer = "map"
    assert not viewer._controls.detail.visible
    assert "detail" not in asked(viewer)
    assert "@2x" in wanted(viewer)


def test_markers_leave_drawing_to_the_tiles(viewer: Viewer) -> None:
    glyph = viewer._points._markers.renderer.glyph
    assert glyph.fill_alpha == 0.0
    viewer.detail = "numbers"
    assert glyph.fill_alpha > 0.5


def test_classes_have_a_legend(viewer: Viewer) -> None:
    assert not viewer._controls.classes.visible
    assert "count_cat:type" in viewer._controls.reduction.options
    viewer.reduction = "count_cat:type"
    until(lambda: viewer._controls.classes.visible)
    legend = viewer._controls.classes.object
    assert "star" in legend
    assert "<img" not in legend
    assert not viewer._controls.cmap.visible
    viewer.colors = "star:#123456"
    assert "#123456" in viewer._controls.classes.object
    assert asked(viewer)["colors"] == ["star:#123456"]
    viewer.reduction = "density"
    until(lambda: not viewer._controls.classes.visible)
    assert viewer._controls.cmap.visible


def test_the_picture_is_what_the_tiles_show(viewer: Viewer) -> None:
    viewer.param.update(center=(0.0, 0.0), width=40.0)
    drawn = np.asarray(viewer.picture(400))
    viewer.detail = "numbers"
    plain = np.asarray(viewer.picture(400))
    assert (drawn > 100).sum() > 2 * (plain > 100).sum()
