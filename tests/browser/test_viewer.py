"""The real page in a real browser."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.browser.conftest import Served, Visit

pytestmark = pytest.mark.browser

# The plot that shows the sky: where its frame lies on the page, and its ranges.
PLOT = """() => {
  const tiled = (v) => v.model?.renderers?.some?.((r) => r.tile_source != null) ?? false;
  for (const view of Bokeh.index.query(tiled)) {
    const at = view.canvas_view.el.getBoundingClientRect(), box = view.frame.bbox;
    const {x_range, y_range} = view.model;
    return {left: at.left + box.left, top: at.top + box.top, width: box.width, height: box.height,
            x0: x_range.start, x1: x_range.end, y0: y_range.start, y1: y_range.end};
  }
  return null;
}"""


def plot_of(page: Page) -> dict[str, Any]:
    found = page.evaluate(PLOT)
    assert found, "no plot with tiles on the page"
    return dict(found)


def settle(page: Page, quiet: float = 0.6) -> dict[str, Any]:
    """Wait until no request has come for `quiet` seconds."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_function("() => window.Bokeh && Object.keys(Bokeh.index).length > 0")
    page.wait_for_function(f"() => ({PLOT})() !== null")
    for _ in range(60):
        before = len(asked)
        page.wait_for_timeout(quiet * 1000)
        if len(asked) == before:
            break
    return plot_of(page)


def shot(page: Page, plot: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return the plot's frame as RGB, shape (h, w, 3)."""
    clip = {"x": plot["left"], "y": plot["top"], "width": plot["width"], "height": plot["height"]}
    data = page.screenshot(clip=clip)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def open_page(visit: Visit, served: Served) -> dict[str, Any]:
    visit.page.goto(served.url)
    return settle(visit.page)


def on_screen(plot: dict[str, Any], ra: float, dec: float) -> tuple[float, float]:
    """Return the column and row within the frame where a position must be."""
    middle = (plot["x0"] + plot["x1"]) / 2
    u = middle + ((-ra - middle + 180) % 360 - 180)
    x = (u - plot["x0"]) / (plot["x1"] - plot["x0"]) * plot["width"]
    y = (plot["y1"] - dec) / (plot["y1"] - plot["y0"]) * plot["height"]
    return x, y


def zooms(urls: list[str]) -> set[int]:
    return {int(found[1]) for url in urls if (found := re.search(r"/square/(\d+)/", url))}


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).select_option(label=option)


def toggle(page: Page, label: str) -> None:
    """Click on the words beside a checkbox, as people do (an input is stretched over them)."""
    words = page.get_by_text(label).last
    words.wait_for()
    words.click(force=True)


def test_the_page_loads_and_stays_on_this_machine(visit: Visit, demo: Served) -> None:
    plot = open_page(visit, demo)
    assert visit.tiles(), "no tile was asked for"
    assert len(np.unique(shot(visit.page, plot).reshape(-1, 3), axis=0)) > 20, "a blank picture"
    assert visit.console == []
    assert visit.failures == []
    hosts = {urlsplit(url).hostname for url in visit.requests if url.startswith(("http", "ws"))}
    assert hosts == {"127.0.0.1"}
    assert "http://" not in visit.page.content().replace("http://www.w3.org", "")


def test_nothing_is_cut_off_at_1280_by_720(visit: Visit, demo: Served) -> None:
    plot = open_page(visit, demo)
    assert plot["left"] > 0
    assert plot["left"] + plot["width"] <= 1280
    assert plot["top"] + plot["height"] <= 720
    size = visit.page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert size[0] <= 1280
    assert size[1] <= 720


def test_a_pan_and_a_zoom_fetch_tiles(visit: Visit, demo: Served) -> None:
    open_page(visit, demo)
    page, mouse = visit.page, visit.page.mouse
    choose(page, "Layer", "tycho2_bright")  # its deepest level has more tiles than are prefetched
    plot = settle(page)
    centre = plot["left"] + plot["width"] / 2, plot["top"] + plot["height"] / 2
    before = zooms(visit.tiles())
    mouse.move(*centre)
    for _ in range(10):  # so near that the drag needs tiles which no Bokeh has prefetched
        mouse.wheel(0, -240)
        page.wait_for_timeout(80)
    zoomed = settle(page)
    assert zoomed["x1"] - zoomed["x0"] < (plot["x1"] - plot["x0"]) / 2
    assert max(zooms(visit.tiles())) > max(before)

    known = len(set(visit.tiles()))
    for _ in range(3):
        mouse.move(*centre)
        mouse.down()
        mouse.move(centre[0] + 400, centre[1] + 60, steps=6)
        mouse.up()
    panned = settle(page)
    assert panned["x0"] < zoomed["x0"], "dragging to the right must show what lies to the left"
    assert len(set(visit.tiles())) > known
    assert visit.console == []


def test_a_colour_change_changes_pixels(visit: Visit, demo: Served) -> None:
    plot = open_page(visit, demo)
    before = shot(visit.page, plot)
    choose(visit.page, "Colour map", "gray")
    visit.page.wait_for_timeout(400)
    after = shot(visit.page, settle(visit.page))
    changed = np.abs(before - after).sum(axis=2) > 60
    assert changed.mean() > 0.01, "no pixel changed its colour"
    light = after[changed]
    assert np.ptp(light, axis=1).mean() < 12, "a grey map has equal channels"
    assert any("cmap=gray" in url for url in visit.tiles())


def test_a_colour_change_after_another_size_keeps_the_view(visit: Visit, demo: Served) -> None:
    open_page(visit, demo)
    page = visit.page
    choose(page, "Colour map", "gray")
    settle(page)
    page.set_viewport_size({"width": 1000, "height": 600})
    before = settle(page)
    for name in ("magma", "gray"):
        choose(page, "Colour map", name)
        page.wait_for_timeout(400)
        after = settle(page)
        assert (after["x0"], after["x1"]) == pytest.approx((before["x0"], before["x1"]), abs=1e-6)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        (76.9626, -5.0863),  # beta Eridani, alone in its field
        (44.56531, 89.26411),  # near the pole: plate carree, circles become ellipses
        (0.0, 0.0),  # RA 0: replaced by the star nearest to it
    ],
)
def test_a_star_sits_at_its_position(
    visit: Visit, demo: Served, nearest_star: Callable[..., Any], ra: float, dec: float
) -> None:
    ra, dec = nearest_star(ra, dec)
    open_page(visit, demo)
    page = visit.page
    choose(page, "Layer", "tycho2_bright")
    settle(page)
    toggle(page, "Points of the catalogue")
    toggle(page, "Graticule")
    search = page.get_by_label("Go to")
    search.fill(f"{ra} {dec}")
    search.press("Enter")
    page.wait_for_timeout(500)
    plot = settle(page)
    assert plot["x1"] - plot["x0"] < 5, "go to must come near"
    x, y = on_screen(plot, ra, dec)
    assert abs(x - plot["width"] / 2) < 2
    assert abs(y - plot["height"] / 2) < 2
    near = shot(page, plot).sum(axis=2)[
        round(y) - 10 : round(y) + 10, round(x) - 10 : round(x) + 10
    ]
    assert np.ptp(near) > 20, "no star near its position"  # one pixel of a tile: a faint dot
    row, column = np.argwhere(near > (near.min() + near.max()) / 2).mean(axis=0) - 9.5
    assert abs(column) < 2
    assert abs(row) < 2


def test_east_is_left(visit: Visit, demo: Served, nearest_star: Callable[..., Any]) -> None:
    """Of two stars the one with the larger RA is drawn further left."""
    ra, dec = nearest_star(84.68653, -2.60008)
    plot = open_page(visit, demo)
    assert on_screen(plot, ra + 1, dec)[0] < on_screen(plot, ra, dec)[0]
    assert on_screen(plot, ra, dec + 1)[1] < on_screen(plot, ra, dec)[1]


def test_readout_under_the_pointer(visit: Visit, demo: Served) -> None:
    plot = open_page(visit, demo)
    x, y = on_screen(plot, 270.0, -30.0)
    visit.page.mouse.move(plot["left"] + x, plot["top"] + y)
    visit.page.wait_for_timeout(900)
    assert visit.page.get_by_text(
        re.compile(r"(270\.0|269\.9).*18h00m|18h00m.*(270\.0|269\.9)")
    ).count()
    assert any("/value?" in url for url in visit.requests)


def test_no_layer_leaves_a_message_in_the_console(visit: Visit, demo: Served) -> None:
    open_page(visit, demo)
    select = visit.page.get_by_label("Layer", exact=True)
    for option in select.locator("option").all_inner_texts():
        select.select_option(label=option)
        settle(visit.page)
    assert visit.console == []
    assert visit.failures == []
