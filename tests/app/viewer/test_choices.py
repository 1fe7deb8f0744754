"""Planes, reductions, colours of their own, and layers that come and go while a viewer is open."""

from __future__ import annotations

import html
import re
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import param
import pytest
from bokeh.events import Tap
from bokeh.models import ColorBar

from skyshade.app.viewer import Viewer
from skyshade.app.viewer.choices import choices_of
from skyshade.app.viewer.export import export_html
from skyshade.atlas.atlas import Atlas, Entry
from skyshade.layers.cutout import PIXELS
from skyshade.overlays import Box, SourceList
from skyshade.types import Coverage, Style

from .conftest import HOSTILE, SmallLayer, info, pick, until, wanted


def asked(viewer: Viewer) -> dict[str, list[str]]:
    return parse_qs(urlsplit(wanted(viewer)).query)


def test_a_cube_offers_its_planes(viewer: Viewer) -> None:
    assert not viewer._controls.plane.visible
    viewer.layer = "cube"
    assert viewer._controls.plane.visible
    assert viewer._controls.plane.options == ["10 km/s", "20 km/s", HOSTILE]
    assert viewer.plane == "10 km/s"
    assert "plane" not in asked(viewer)
    viewer._controls.plane.value = "20 km/s"
    assert viewer.plane == "20 km/s"
    assert asked(viewer)["plane"] == ["20 km/s"]
    assert asked(viewer)["v"] == ["v1-None-20 km/s"]
    assert "20 km/s" in viewer._title.object
    assert "plane=20+km%2Fs" in viewer._map.probe.data["tail"][0]
    viewer.layer = "sky"
    assert viewer.plane is None
    assert viewer._map.probe.data["tail"] == [""]


def test_planes_that_are_layers_are_not_offered_twice() -> None:
    atlas, names = Atlas(), ("I", "Q", "U")
    for name in names:
        atlas.add(Entry(name, SmallLayer(info(name, planes=names))))
    assert choices_of(atlas.layer("Q"), atlas).planes == ()


def test_a_reduction_brings_numbers_of_its_own(viewer: Viewer) -> None:
    assert viewer._controls.reduction.options == ["mean", "max"]
    assert viewer.reduction == "mean"
    assert "agg" not in asked(viewer)
    viewer.param.update(vmin=1.0, vmax=2.0, cmap="gray")
    viewer.reduction = "max"
    assert asked(viewer)["agg"] == ["max"]
    assert asked(viewer)["cmap"] == ["gray"]
    assert (viewer.vmin, viewer.vmax) == (None, None)
    until(lambda: viewer._statistics is not None)
    assert viewer._controls.vmax.value == "995"
    assert viewer._controls.histogram.high > 900
    assert "agg=max" in viewer._map.probe.data["tail"][0]
    assert np.asarray(viewer.picture(100)).max() > 0
    viewer.layer = "small"  # has no other reduction
    assert viewer.reduction is None
    assert not viewer._controls.reduction.visible


def test_what_a_layer_does_not_offer_is_refused(viewer: Viewer) -> None:
    with pytest.raises(ValueError, match="std"):
        viewer.reduction = "std"


def test_previews_of_a_selection_are_asked_for_again(atlas: Atlas) -> None:
    ready = {"v1"}

    class Slow(SmallLayer):
        def __getattribute__(self, name: str) -> Any:
            return self.version in ready if name == "ready" else super().__getattribute__(name)

    layer = Slow(info("slow", resolution=0.01), reductions=("mean", "max"))
    atlas.add(Entry("slow", layer))
    viewer = Viewer(atlas, layer="slow")
    assert "preview" not in viewer._title.object
    viewer.reduction = "max"
    assert asked(viewer)["v"] == ["preview-v1-max-None"]
    assert "preview" in viewer._title.object
    viewer.go_to(10.0, 10.0, 5.0)  # so near that no tile is a preview
    assert "preview" not in viewer._title.object
    ready.add("v1-max-None")
    atlas.events.publish({"type": "layer", "id": "slow", "quality": "exact"})
    until(lambda: asked(viewer)["v"] == ["v1-max-None"])
    viewer.close()


def test_colours_of_its_own_need_no_colour_map(viewer: Viewer) -> None:
    bar = viewer._map.figure.select_one(ColorBar)
    assert bar.visible
    viewer.layer = "colours"
    ours = viewer._controls
    hidden = (bar, ours.cmap, ours.range, ours.reverse)
    assert not [part for part in hidden if part.visible]
    assert ours.stretch.options == ["lupton", "linear"]
    assert "red, green and blue" in ours.colours_note.object
    assert viewer._map.probe.data["layer"] == [""]
    with param.edit_constant(ours.softening):
        ours.softening.value_throttled = 1.0
    assert asked(viewer)["q"] == ["10.0"]
    until(lambda: viewer._statistics is not None)
    viewer.layer = "sky"
    assert bar.visible
    assert ours.cmap.visible
    assert ours.range.visible
    assert (viewer.stretch, viewer.q) == ("asinh", None)
    assert "q" not in asked(viewer)


def test_a_click_tells_the_value_with_its_units(viewer: Viewer) -> None:
    viewer.layer = "cube"
    viewer._tapped(Tap(None, x=-10.0, y=20.0))
    until(lambda: "card" in str(viewer._card.pane.object))
    text = re.sub(r"<[^>]+>", " ", viewer._card.pane.object)
    assert "30 \N{MICRO SIGN}K_CMB" in text
    assert "00h40m00" in text
    viewer.layer = "colours"
    viewer._tapped(Tap(None, x=-10.0, y=20.0))
    until(lambda: "red: r" in str(viewer._card.pane.object))
    assert viewer._card.pane.object.count("30 MJy/sr") == 3


def test_a_click_near_a_row_tells_all_its_columns(viewer: Viewer) -> None:
    viewer.layer = "stars"
    viewer.go_to(0.0, 0.0, width=10.0)
    viewer._tapped(Tap(None, x=-1.05, y=1.0))
    until(lambda: "row 2" in str(viewer._card.pane.object))
    shown = viewer._card.pane.object
    assert "<td>from the click</td><td>3&#x27;</td>" in shown
    assert "<td>vmag</td><td>5.25</td>" in shown
    assert HOSTILE not in shown
    viewer._tapped(Tap(None, x=-2.5, y=1.0))  # nothing near: the place
    until(lambda: "00h10m00" in str(viewer._card.pane.object))
    assert "surface density" in viewer._card.pane.object


def test_a_click_that_picks_a_marker_tells_of_that(viewer: Viewer) -> None:
    pick(viewer, 0)
    viewer._tapped(Tap(None, x=-10.0, y=5.0))
    until(lambda: "ACT-CL J0005" in str(viewer._card.pane.object))
    time.sleep(0.1)
    assert "ACT-CL J0005" in viewer._card.pane.object


def test_layers_that_come_later_are_offered(viewer: Viewer, atlas: Atlas) -> None:
    atlas.add(Entry("new", SmallLayer(info("new", kind="healpix"))))
    atlas.add(Entry("worse", None, "rejected", f"{HOSTILE}: empty", "worse"))
    at = np.array([30.0])
    atlas.add_sources(SourceList("late", "late list", at, at, ["late one"], {}, {}, 1))
    atlas.add_boxes([Box("second", 20.0, 10.0, 0.0, 5.0, "")])
    atlas.events.publish({"type": "layers"})
    until(lambda: "new" in viewer.param.layer.objects)
    ours = viewer._controls
    assert ours.layer.groups["HEALPix maps"] == {"new": "new"}
    assert ours.layer.value == "sky"
    assert "2 files" in ours.rejected.object
    assert "<img" not in ours.rejected.object
    assert viewer.sources == ["list", "late"]
    assert viewer._sources.look_up("Late ONE") == (30.0, 30.0)
    assert viewer._sources.state.data["visible"] == [True, True]
    assert "late list (1)" in ours.sources.options
    assert "second" in viewer._boxes._renderer.data_source.data["name"]
    viewer.layer = "new"
    assert wanted(viewer).startswith("tiles/new/")


def test_the_first_layer_of_an_empty_atlas_is_shown() -> None:
    atlas = Atlas()
    viewer = Viewer(atlas)
    assert viewer.layer is None
    atlas.add(Entry("late", SmallLayer(info("late"))))
    atlas.events.publish({"type": "layers"})
    until(lambda: viewer.layer == "late")
    assert wanted(viewer).startswith("tiles/late/")
    viewer.close()


def test_a_replaced_file_is_shown_anew(viewer: Viewer, atlas: Atlas) -> None:
    old: Any = atlas.layer("sky")
    viewer.param.update(cmap="gray", center=(10.0, 5.0), width=20.0)
    fresh = replace(old, version="v2", top=5.0)
    atlas.replace(["sky"], [Entry("sky", fresh, title="sky")])
    atlas.events.publish({"type": "layer", "id": "sky", "state": "ok", "version": "v2"})
    until(lambda: asked(viewer)["v"] == ["v2"])
    assert asked(viewer)["cmap"] == ["gray"]
    assert (viewer.center, viewer.width) == ((10.0, 5.0), 20.0)
    until(lambda: viewer._controls.vmax.value == "4.975")


def test_a_layer_that_is_not_well_says_so(viewer: Viewer, atlas: Atlas) -> None:
    atlas.degrade("sky", f"{HOSTILE} is gone")
    until(lambda: "degraded" in viewer._title.object)
    assert "is gone" in viewer._title.object
    assert "<img" not in viewer._title.object


def test_links_to_a_cutout_of_the_view(viewer: Viewer) -> None:
    viewer.param.update(reduction="max", center=(10.0, 60.0), width=20.0)
    links = re.findall(r'href="([^"]+)"', html.unescape(viewer._controls.export.object))
    assert [parse_qs(urlsplit(link).query)["format"] for link in links] == [["fits"], ["png"]]
    found = parse_qs(urlsplit(links[0]).query)
    assert found["agg"] == ["max"]
    assert found["box"] == ["20,0,55,65"]  # the page is 2 x 1 until it tells
    assert "cmap" not in found
    assert parse_qs(urlsplit(links[1]).query)["cmap"] == ["magma"]
    viewer.layer = "stars"
    assert not viewer._controls.export.visible


def test_a_view_with_too_many_pixels_has_no_link() -> None:
    wide, side = info("wide", resolution=0.01), 0.01 * PIXELS**0.5 * 1.01
    view = Coverage(side, 0.0, 0.0, side)
    assert "zoom in" in export_html("", wide, view, Style(), {}, "")
    near = Coverage(10.0, 0.0, 0.0, 5.0)
    assert "token=secret" in export_html("", wide, near, Style(), {}, "secret")
    part = replace(wide, coverage=Coverage(1.0, 0.0, 0.0, 1.0))
    assert "href" in export_html("", part, view, Style(), {}, "")
    polar = Coverage(side, 0.0, 90.0 - side, 90.0)
    assert "href" in export_html("", wide, polar, Style(), {}, "")
