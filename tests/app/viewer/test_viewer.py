"""The viewer from Python: parameters, tiles, events, overlays."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from bokeh.models import ColorBar, HoverTool, WMTSTileSource

from skyshade.app.viewer import Viewer
from skyshade.atlas.atlas import Atlas

from .conftest import HOSTILE, pick, until, wanted


def browser_view(viewer: Viewer, ra: float, dec: float, width: float, height: float) -> None:
    old = viewer._map.view.data
    new = {"ra": [ra], "dec": [dec], "width": [width], "height": [height]}
    viewer._map.view.data = {**old, **new}


def test_first_layer_opens_with_its_own_style(viewer: Viewer) -> None:
    assert (viewer.layer, viewer.cmap, viewer.stretch) == ("sky", "magma", "asinh")
    assert wanted(viewer).startswith("tiles/sky/square/{Z}/{X}/{Y}@2x.png?")
    assert "v=v1" in wanted(viewer)
    assert viewer.width == 360.0


def test_no_absolute_address(viewer: Viewer) -> None:
    assert "://" not in wanted(viewer)
    assert not tile_source(viewer).url.startswith("/")


def tile_source(viewer: Viewer) -> WMTSTileSource:
    return viewer._map.tiles.tile_source


def test_tiles_lie_where_the_sky_is(viewer: Viewer) -> None:
    """Bokeh's formula puts the first tile's corner at u = -180 (RA 180), v = +90."""
    source = tile_source(viewer)
    assert -source.x_origin_offset == -180.0
    top = source.initial_resolution * source.tile_size - source.y_origin_offset
    assert top == 90.0
    assert source.initial_resolution * source.tile_size == 360.0


def test_options_win_over_the_layers_style(atlas: Atlas) -> None:
    viewer = Viewer(
        atlas, layer="small", cmap="gray", vmin=1.0, vmax=9.0, center=(85.0, -2.5), width=0.5
    )
    assert "cmap=gray" in wanted(viewer)
    assert "vmin=1.0" in wanted(viewer)
    assert (viewer.center, viewer.width) == ((85.0, -2.5), 0.5)
    plot = viewer._map.figure
    assert (plot.x_range.start, plot.x_range.end) == pytest.approx((-85.25, -84.75))


def test_small_layers_open_at_their_coverage(viewer: Viewer) -> None:
    viewer.layer = "small"
    assert viewer.center == pytest.approx((85.0, -2.5))
    assert 1.0 < viewer.width < 5.0


def test_controls_and_parameters_are_one(viewer: Viewer) -> None:
    viewer._controls.cmap.value = "viridis"
    assert viewer.cmap == "viridis"
    assert "cmap=viridis" in wanted(viewer)
    viewer.stretch = "log"
    assert viewer._controls.stretch.value == "log"
    viewer.opacity = 0.5
    assert viewer._map.want.data["alpha"] == [0.5]


def test_a_typed_range_and_the_slider(viewer: Viewer) -> None:
    ours = viewer._controls
    ours.vmax.value = "50"
    assert (viewer.vmin, viewer.vmax) == (0.5, 50.0)
    ours.vmax.value = "many"
    assert "&#x27;many&#x27;" in ours.error.object
    assert viewer.vmax == 50.0
    low = ours.histogram.position(0.5)
    ours.slider.param.trigger("value_throttled")
    viewer._slid(type("Event", (), {"new": (low, 1.0)}))
    assert viewer.vmin == 0.5
    assert viewer.vmax == pytest.approx(ours.histogram.high, abs=0.1)
    assert type(viewer.vmax) is float
    viewer._controls.auto.param.trigger("clicks")
    assert viewer.vmin is None


def test_the_colour_bar_has_readable_ticks(viewer: Viewer) -> None:
    bar = viewer._map.figure.select_one(ColorBar)
    labels = bar.formatter.args["labels"]
    assert len(labels) >= 3
    assert bar.formatter.args["places"] == bar.ticker.ticks
    assert all(0.0 <= tick <= 1.0 for tick in bar.ticker.ticks)
    assert bar.title.text == "deg\N{SUPERSCRIPT MINUS}\u00b2"
    assert len(bar.color_mapper.palette) == 255


def test_previews_are_asked_for_again_when_exact(atlas: Atlas) -> None:
    layer: Any = atlas.layer("sky")
    layer.ready = False
    viewer = Viewer(atlas)
    before = wanted(viewer)
    assert "v=preview-v1" in before
    assert "preview" in viewer._title.object
    layer.ready = True
    atlas.events.publish({"type": "layer", "id": "sky", "quality": "exact"})
    until(lambda: "v=v1" in wanted(viewer))
    until(lambda: "preview" not in viewer._title.object)
    viewer.close()


def test_a_viewer_that_goes_leaves_no_subscription(atlas: Atlas) -> None:
    before = len(atlas.events)
    viewer = Viewer(atlas)
    assert len(atlas.events) == before + 1
    viewer.close()
    assert len(atlas.events) == before
    gone = weakref.ref(Viewer(atlas))  # never closed, as in a notebook
    until(lambda: gc.collect() >= 0 and gone() is None and len(atlas.events) == before)


def test_go_to(viewer: Viewer) -> None:
    field = viewer._controls.go_to
    field.value = "17:45:40 -29:00:28"
    assert viewer.center == pytest.approx((266.41667, -29.00778), abs=1e-4)
    assert viewer.width <= 2.0
    field.value = "act-cl j0005"
    assert viewer.center == (10.0, 5.0)
    field.value = "<b>nowhere</b>"
    assert "<b>" not in viewer._controls.error.object
    assert "nowhere" in viewer._controls.error.object


def test_the_browsers_view_becomes_parameters(viewer: Viewer) -> None:
    browser_view(viewer, 84.0, -1.0, 10.0, 7.0)
    assert (viewer.center, viewer.width) == ((84.0, -1.0), 10.0)


def test_rows_appear_when_the_view_holds_few(viewer: Viewer) -> None:
    viewer.layer = "stars"
    browser_view(viewer, 0.0, 0.0, 10.0, 7.0)
    source = viewer._points._markers.source
    until(lambda: len(source.data["u"]) == 9)  # three rows, once for every turn of the sky
    middle = np.asarray(source.data["u"])[3:6]
    assert middle == pytest.approx([1.0, -1.0, -2.0])  # RA 359 is at u = 1: east is left
    sizes = np.asarray(source.data["size"])[3:6]
    assert sizes[0] > sizes[1] > 0  # the brighter one is larger
    assert "3 rows in view" in viewer._controls.points_note.object
    viewer.points = False
    assert len(source.data["u"]) == 0


def test_a_click_shows_every_column_as_text(viewer: Viewer) -> None:
    pick(viewer, 1)
    until(lambda: "&lt;img src=x onerror=alert(1)&gt;" in str(viewer._card.pane.object))
    first = viewer._card.pane.object
    assert "<img" not in first
    assert "<td>350</td>" in first
    pick(viewer, 1)  # a closed card must open again
    until(lambda: viewer._card.pane.object != first)


def test_hover_shows_values_as_text(viewer: Viewer) -> None:
    for tool in viewer._map.figure.select(HoverTool):
        tips = tool.tooltips
        if tool.callback is not None:  # ours: it writes text nodes, see test_sources
            assert tips is None
            continue
        assert isinstance(tips, list)  # labels of a list are text; a template would be markup
        assert all("{safe}" not in value for _, value in tips)


def test_titles_are_text(viewer: Viewer) -> None:
    viewer.layer = "small"
    assert "<img" not in viewer._title.object
    assert HOSTILE in viewer._controls.layer.groups["Maps"]


def test_boxes_and_sources_can_be_hidden(viewer: Viewer) -> None:
    viewer.boxes = False
    assert not viewer._boxes._renderer.visible
    assert viewer._sources.state.data["visible"] == [True]
    viewer.sources = []
    assert viewer._sources.state.data["visible"] == [False]


def test_axes_change_between_degrees_and_hours(viewer: Viewer) -> None:
    axis = viewer._map.figure.xaxis[0]
    assert axis.ticker.args["sexagesimal"] is False
    viewer.sexagesimal = True
    assert axis.ticker.args["sexagesimal"] is True


def test_a_picture_of_the_view(viewer: Viewer) -> None:
    image = viewer.picture(300)
    assert image.size == (300, 150)
    assert np.asarray(image).std() > 10


def test_unknown_layers_are_refused(viewer: Viewer) -> None:
    with pytest.raises(ValueError, match="nope"):
        viewer.layer = "nope"


def test_an_atlas_without_layers() -> None:
    viewer = Viewer(Atlas())
    assert viewer.layer is None
    viewer.graticule = False
