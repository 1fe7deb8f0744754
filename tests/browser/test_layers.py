"""Real maps and catalogues in the real page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.browser.conftest import Served, Visit, serve
from tests.browser.test_viewer import choose, on_screen, open_page, settle, shot, toggle

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def survey(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The ACTPol survey mask with its clusters and a highlight box."""
    boxes = tmp_path_factory.mktemp("boxes") / "boxes.json"
    record = {"name": "Deep <b>field</b>", "description": "a box", "ra_east": 40, "ra_west": 20,
              "dec_min": -5, "dec_max": 3}  # fmt: skip
    boxes.write_text(json.dumps([record]))
    real = shared_data / "real"
    yield from serve(
        "open",
        str(real / "car" / "surveyMask.fits.gz"),
        str(real / "catalog" / "E-D56Clusters.fits"),
        "--boxes",
        str(boxes),
    )


def clusters(shared_data: Path) -> list[tuple[str, float, float]]:
    with fits.open(shared_data / "real" / "catalog" / "E-D56Clusters.fits") as hdus:
        rows = hdus[1].data
        return [(str(r["name"]), float(r["RADeg"]), float(r["decDeg"])) for r in rows]


def test_clusters_lie_inside_the_survey(visit: Visit, survey: Served, shared_data: Path) -> None:
    """Without the markers, the mask is bright wherever there is a cluster."""
    open_page(visit, survey)
    page = visit.page
    choose(page, "Layer", "surveyMask")
    toggle(page, "Graticule")
    toggle(page, "Highlight boxes")
    toggle(page, "E-D56Clusters")
    plot = settle(page)
    picture = shot(page, plot).sum(axis=2)
    light = []
    for _, ra, dec in clusters(shared_data):
        x, y = on_screen(plot, ra, dec)
        if 0 <= x < plot["width"] and 0 <= y < plot["height"]:
            light.append(picture[int(y), int(x)])
    assert len(light) > 150
    assert np.mean(np.array(light) > picture.max() / 2) > 0.98
    assert visit.console == []


def test_a_cluster_is_found_and_described(visit: Visit, survey: Served, shared_data: Path) -> None:
    name, ra, dec = clusters(shared_data)[0]
    open_page(visit, survey)
    page = visit.page
    search = page.get_by_label("Go to")
    search.fill(name)
    search.press("Enter")
    card = page.get_by_text(f"E-D56Clusters, {name}")
    card.wait_for(timeout=5000)
    page.get_by_label("Close").click()
    card.wait_for(state="hidden", timeout=5000)
    plot = settle(page)
    x, y = on_screen(plot, ra, dec)
    assert abs(x - plot["width"] / 2) < 2
    assert abs(y - plot["height"] / 2) < 2
    at = plot["left"] + x, plot["top"] + y
    page.mouse.move(at[0] - 40, at[1] - 40)
    page.mouse.move(*at, steps=5)
    page.get_by_text(name).locator("visible=true").first.wait_for(timeout=5000)
    page.mouse.click(*at)
    card.wait_for(timeout=5000)
    page.get_by_label("Close").click()
    card.wait_for(state="hidden", timeout=5000)
    assert visit.console == []


def test_text_from_files_stays_text(visit: Visit, survey: Served) -> None:
    plot = open_page(visit, survey)
    page = visit.page
    box = on_screen(plot, 40.0, 3.0), on_screen(plot, 20.0, -5.0)
    inside = (box[0][0] + box[1][0]) / 2, (box[0][1] + box[1][1]) / 2
    page.mouse.move(plot["left"] + inside[0] - 3, plot["top"] + inside[1] - 3)
    page.mouse.move(plot["left"] + inside[0], plot["top"] + inside[1], steps=4)
    page.get_by_text("Deep <b>field</b>").first.wait_for(timeout=5000)


def test_a_position_that_is_not_understood_is_named(visit: Visit, survey: Served) -> None:
    open_page(visit, survey)
    search = visit.page.get_by_label("Go to")
    search.fill("north of nowhere")
    search.press("Enter")
    visit.page.get_by_text("north of nowhere", exact=False).first.wait_for(timeout=5000)
