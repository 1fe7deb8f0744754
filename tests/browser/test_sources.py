"""Source lists and regions in a real browser: what travels, what is marked, found and told."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Served, Visit, serve, serve_script
from tests.browser.test_viewer import on_screen, plot_of, settle, shot, toggle

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=window.hit=1>"
COUNT = 200_000
MANY = f"""
import numpy as np
from skyshade.atlas.atlas import Atlas
from skyshade.atlas.build import open_atlas
from skyshade.overlays import SourceList
import sys
rng, n = np.random.default_rng(1), {COUNT}
ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
mag = rng.normal(15, 2, n)
names = [f"SRC J{{i:06d}} {HOSTILE}" for i in range(n)]
atlas = open_atlas([sys.argv[1]])
columns, units = {{"mag": mag}}, {{"mag": "mag"}}
atlas.add_sources(SourceList("many", "{HOSTILE}", ra, dec, names, columns, units, n))
"""
SOURCES = """() => {
  const tiled = (v) => v.model?.renderers?.some?.((r) => r.tile_source != null) ?? false;
  const [view] = Bokeh.index.query(tiled);
  const data = view.model.renderers.map((r) => r.data_source?.data).filter((d) => d != null);
  const [marks, names, lines] = ["list", "text", "xs"].map((key) => data.find((d) => key in d));
  const at = view.canvas_view.el.getBoundingClientRect();
  const {left, right, top, bottom} = view.frame.bbox;
  const inside = [];
  for (let i = 0; i < marks.u.length; i++) {
    const x = view.frame.x_scale.compute(marks.u[i]), y = view.frame.y_scale.compute(marks.v[i]);
    if (x <= left || x >= right || y <= top || y >= bottom) continue;
    inside.push({x: x + at.left, y: y + at.top, row: marks.row[i]});
  }
  return {
    count: marks.u.length / 3, inside, labels: Array.from(names.text),
    lines: lines.xs.map((x) => Array.from(x)), colours: lines.colour,
  };
}"""


def marked(page: Page) -> dict[str, Any]:
    """Return what is marked, once there is anything."""
    page.wait_for_function(f"() => ({SOURCES})().count > 0")
    page.wait_for_timeout(100)
    return dict(page.evaluate(SOURCES))


@pytest.fixture(scope="module")
def many(demo_data: Path) -> Iterator[Served]:
    """A demo map under 200,000 sources with hostile names."""
    yield from serve_script(MANY, str(demo_data / "tycho2_bright.parquet"))


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Regions across RA 0 and about the pole, and a list in TileMaker's form."""
    folder = tmp_path_factory.mktemp("regions")
    text = "# Region file format: DS9 version 4.1\nicrs\ncircle(0,0,10) # color=red text={Zero}\n"
    text += "polygon(350,30,10,30,10,40,350,40) # color=#00ffff text={Field}\ncircle(0,85,10)\n"
    (folder / "shapes.reg").write_text(text + 'galactic\nbox(0,0,600",600",0) # text={GC}\n')
    records = [
        {"ra": 100.0, "dec": 10.0, "name": HOSTILE, "extra": {"z": 0.5, HOSTILE: HOSTILE}},
        {"ra": 101.0, "dec": 10.5, "name": "ACT-CL J0644", "extra": {"z": 0.25, HOSTILE: None}},
        {"ra": 500.0, "dec": 10.0, "name": "bad"},
    ]
    (folder / "list.json").write_text(json.dumps(records))
    yield from serve("open", str(folder / "shapes.reg"), str(folder / "list.json"))


def first_paint(visit: Visit, served: Served) -> tuple[int, str]:
    """Open the page; return the bytes of answers about sources, and all that Bokeh was sent."""
    size, told = 0, list[str]()
    log = visit.page.context.new_cdp_session(visit.page)
    log.send("Network.enable")
    ours: set[str] = set()

    def came(event: dict[str, Any]) -> None:
        nonlocal size
        size += event["encodedDataLength"] if event["requestId"] in ours else 0

    log.on(
        "Network.requestWillBeSent",
        lambda e: "/api/sources" in e["request"]["url"] and ours.add(e["requestId"]),
    )
    log.on("Network.loadingFinished", came)
    log.on("Network.webSocketFrameReceived", lambda e: told.append(e["response"]["payloadData"]))
    visit.page.goto(served.url)
    settle(visit.page)
    return size, "".join(told)


def test_two_hundred_thousand_sources_are_a_small_page(visit: Visit, many: Served) -> None:
    size, told = first_paint(visit, many)
    found = marked(visit.page)
    assert 300 < found["count"] <= 2000
    deflated = len(zlib.compress(told.encode(), 1))  # as the server does
    assert size + deflated < 200_000, (size, deflated)
    assert "SRC J" not in told, "names travel when they are asked for"
    places = np.array([(p["x"], p["y"]) for p in found["inside"]])
    plot = plot_of(visit.page)
    quarters, *_ = np.histogram2d(places[:, 0] - plot["left"], places[:, 1] - plot["top"], (4, 2))
    assert quarters.min() > quarters.max() / 2, "markers are spread evenly"
    assert visit.page.get_by_text("of 200,000 sources here are marked").count() == 1
    assert visit.console == []


def test_zooming_in_brings_more_sources_and_their_names(visit: Visit, many: Served) -> None:
    first_paint(visit, many)
    field = visit.page.get_by_label("Go to")
    field.fill("120 30")
    field.press("Enter")
    settle(visit.page)
    visit.page.wait_for_function(f"() => ({SOURCES})().labels.length > 0")
    found = marked(visit.page)
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, COUNT), np.degrees(np.arcsin(rng.uniform(-1, 1, COUNT)))
    plot = plot_of(visit.page)
    inside = (np.abs(ra - 120) < 0.99) & (dec > plot["y0"] + 0.01) & (dec < plot["y1"] - 0.01)
    rows = {place["row"] for place in found["inside"]}
    assert set(np.flatnonzero(inside).tolist()) <= rows
    assert found["labels"]
    assert all(text.startswith("SRC J") for text in found["labels"])
    for place in found["inside"]:
        x, y = on_screen(plot, ra[place["row"]], dec[place["row"]])
        assert abs(place["x"] - plot["left"] - x) < 0.5
        assert abs(place["y"] - plot["top"] - y) < 0.5


def test_a_table_of_many_sources(visit: Visit, many: Served) -> None:
    first_paint(visit, many)
    page = visit.page
    page.get_by_role("button", name="Table of sources").click()
    page.get_by_text("1\N{EN DASH}50 of 200,000").wait_for()
    page.get_by_role("button", name="mag [mag]").click()
    page.get_by_role("button", name="mag [mag] \N{BLACK UP-POINTING SMALL TRIANGLE}").wait_for()
    rows = page.locator(".sources tbody tr")
    mags = [
        float(t.replace("\N{MINUS SIGN}", "-"))
        for t in rows.locator("td:nth-child(4)").all_inner_texts()
    ]
    assert len(mags) == 50
    assert mags == sorted(mags)
    at = [
        float(rows.nth(3).locator("td").nth(i).inner_text().replace("\N{MINUS SIGN}", "-"))
        for i in (1, 2)
    ]
    rows.nth(3).click()
    page.locator(".sources tr.chosen").wait_for()
    plot = settle(page)
    x, y = on_screen(plot, at[0], at[1])
    assert (x, y) == pytest.approx((plot["width"] / 2, plot["height"] / 2), abs=3)
    white = shot(page, plot)[round(y) - 14 : round(y) + 14, round(x) - 14 : round(x) + 14] > 235
    assert white.all(axis=2).sum() > 30, "a white ring marks it"
    assert plot["top"] + plot["height"] < page.locator(".sources").bounding_box()["y"]  # type: ignore[index]

    other = next(p for p in marked(page)["inside"] if abs(p["x"] - plot["left"] - x) > 30)
    page.mouse.click(other["x"], other["y"])
    chosen = page.locator(f".sources tr.chosen[data-row='{other['row']}']")
    chosen.wait_for()
    assert f"SRC J{other['row']:06d}" in chosen.inner_text()
    page.get_by_label("Find by name").fill("j12345")
    page.get_by_text("1\N{EN DASH}10 of 10").wait_for()
    page.get_by_role("button", name="Close the table").click()
    page.locator(".sources").wait_for(state="hidden")
    assert page.evaluate("window.hit") is None
    assert visit.console == []


def test_names_are_found_while_they_are_typed(visit: Visit, many: Served) -> None:
    first_paint(visit, many)
    page = visit.page
    page.get_by_label("Go to").press_sequentially("src j00012", delay=20)
    found = page.locator(".found button")
    found.first.wait_for()
    assert found.count() == 8
    assert found.first.inner_text().startswith(f"SRC J000120 {HOSTILE}")
    found.nth(2).click()
    page.locator(".card h4", has_text=f"SRC J000122 {HOSTILE}").wait_for()
    plot = settle(page)
    assert plot["x1"] - plot["x0"] < 5
    assert page.locator(".found").count() == 0
    page.get_by_label("Go to").fill("J123456")  # a part of a name
    page.get_by_label("Go to").press("Enter")
    page.locator(".card h4", has_text=f"SRC J123456 {HOSTILE}").wait_for()
    assert page.evaluate("window.hit") is None


def test_hover_and_click_tell_all_columns_as_text(visit: Visit, regions: Served) -> None:
    first_paint(visit, regions)
    page = visit.page
    page.get_by_label("Go to").fill("act-cl j0644")
    page.get_by_label("Go to").press("Enter")
    settle(page)
    plot = plot_of(page)
    x, y = on_screen(plot, 100.0, 10.0)
    x0, y0 = on_screen(plot, 101.0, 10.5)
    assert abs(x0 - plot["width"] / 2) < 2
    page.mouse.move(plot["left"] + x0 + 60, plot["top"] + y0 + 60)
    page.mouse.move(plot["left"] + x0, plot["top"] + y0)
    page.locator("b", has_text="ACT-CL J0644").wait_for()
    page.mouse.move(plot["left"] + x0 + 80, plot["top"] + y0 + 80)
    page.locator("b", has_text="ACT-CL J0644").wait_for(state="detached")
    for _ in range(3):
        page.mouse.wheel(0, 240)
        page.wait_for_timeout(100)
    plot = settle(page)
    x, y = on_screen(plot, 100.0, 10.0)
    page.mouse.click(plot["left"] + x, plot["top"] + y)
    page.locator(".card h4", has_text=HOSTILE).wait_for()
    assert page.locator(".card td", has_text=HOSTILE).count() == 2
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("window.hit") is None
    assert visit.console == []


def test_regions_keep_their_shape_across_ra_0_and_the_pole(visit: Visit, regions: Served) -> None:
    first_paint(visit, regions)
    page = visit.page
    found = marked(page)
    assert {"red", "#00ffff"} <= set(found["colours"])
    spans = [max(x) - min(x) for x in found["lines"]]
    for colour, span in zip(found["colours"], spans, strict=True):
        if colour == "red":
            assert span == pytest.approx(20.0, abs=0.3)
        elif colour == "#00ffff":
            assert span == pytest.approx(20.0, abs=0.01)
    assert any(span == pytest.approx(360.0, abs=0.01) for span in spans), "the pole's circle"
    plot = plot_of(page)
    picture = shot(page, plot)
    for ra, dec in ((10.0, 0.0), (350.0, 0.0), (0.0, 10.0), (0.0, -10.0)):  # on the red circle
        x, y = (round(value) for value in on_screen(plot, ra, dec))
        near = picture[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3)
        assert ((near[:, 0] > 100) & (near[:, 1] < 50)).any(), (ra, dec)
    assert {"Zero", "Field"} <= set(found["labels"])
    x, y = (round(value) for value in on_screen(plot, 180.0, 75.1))  # 10 degrees beyond the pole
    assert "1 record was skipped (record 3: ra 500.0 is not allowed" in "\n".join(regions.lines)


def test_hidden_lists_are_not_asked_for(visit: Visit, regions: Served) -> None:
    first_paint(visit, regions)
    page = visit.page
    assert marked(page)["count"] == 6
    toggle(page, "shapes (4)")
    page.wait_for_timeout(600)
    assert marked(page)["count"] == 2
    assert marked(page)["lines"] == []
    before = len(visit.requests)
    page.get_by_label("Go to").fill("200 10")
    page.get_by_label("Go to").press("Enter")
    settle(page)
    assert not [url for url in visit.requests[before:] if "/api/sources/shapes/" in url]
