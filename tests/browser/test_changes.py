"""What changes while the page is open: layers that come later, and files that are replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served, Visit, serve, serve_script
from tests.browser.test_maps import light_at, plate_carree, wait_for_tiles
from tests.browser.test_viewer import choose, open_page, settle, shot

pytestmark = pytest.mark.browser

LATER = """
import sys, threading, time
from pathlib import Path
from skyshade.atlas.build import Opening
from skyshade.atlas.items import How

first, trigger, *others = sys.argv[1:]
atlas = Opening([first], How()).run()

def later():
    while not Path(trigger).exists():
        time.sleep(0.05)
    Opening(others, How(), atlas=atlas).run()

threading.Thread(target=later, daemon=True).start()
"""


def flat(path: Path, value: float) -> Path:
    """Write a map whose western half has a value, the other one 0; 10 sets the range."""
    values = np.zeros((90, 180))
    values[:, 90:] = value
    values[:30] = 10.0
    part = path.with_suffix(".part")
    plate_carree(values).writeto(part)
    return part.replace(path)


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[tuple[Served, Path]]:
    """A server that opens a map and a catalogue more when a file appears."""
    table, trigger = tmp_path / "late_stars.csv", tmp_path / "go"
    table.write_text("ra,dec,name\n60,30,late star\n300,-20,other\n")
    first, second = flat(tmp_path / "first.fits", 5.0), flat(tmp_path / "second.fits", 8.0)
    with closing(serve_script(LATER, *map(str, (first, trigger, second, table)))) as running:
        yield next(running), trigger


def options(page: Page) -> list[str]:
    return page.get_by_label("Layer", exact=True).locator("option").all_inner_texts()


def test_layers_that_come_later_appear(visit: Visit, growing: tuple[Served, Path]) -> None:
    served, trigger = growing
    open_page(visit, served)
    page = visit.page
    assert options(page) == ["first"]
    choose(page, "Colour map", "gray")  # the renderer is another one than Python knows
    plot = wait_for_tiles(page, "cmap=gray")
    before = shot(page, plot)
    trigger.touch()
    expect(page.get_by_label("Layer", exact=True).locator("option")).to_have_count(3)
    page.get_by_text("late_stars (2)").wait_for(timeout=5000)
    plot = settle(page)
    page.wait_for_timeout(500)
    after = shot(page, plot)
    marked = np.abs(after - before).sum(axis=2) > 60
    assert 0 < marked.mean() < 0.01, "new markers must not disturb the map"
    assert light_at(after, plot, 60.0, 30.0).sum() > 300, "no marker for the new source"
    choose(page, "Layer", "second")
    wait_for_tiles(page, "/second/")
    assert page.get_by_label("Layer", exact=True).locator("option").count() == 3
    assert visit.console == []


@pytest.fixture
def replaced(tmp_path: Path) -> Iterator[tuple[Served, Path]]:
    """A served file that may be written anew."""
    path = flat(tmp_path / "moving.fits", 2.0)
    with closing(serve("open", str(path))) as running:
        yield next(running), path


def west(visit: Visit) -> Any:
    """Return the light of the western half, colours black to white."""
    plot = settle(visit.page, 0.2)
    return int(light_at(shot(visit.page, plot), plot, 300.0, 50.0).mean())


def test_a_replaced_file_is_shown_within_five_seconds(
    visit: Visit, replaced: tuple[Served, Path]
) -> None:
    served, path = replaced
    open_page(visit, served)
    page = visit.page
    choose(page, "Colour map", "gray")
    wait_for_tiles(page, "cmap=gray")
    assert abs(west(visit) - 51) < 12
    flat(path, 8.0)
    page.wait_for_timeout(4000)
    assert abs(west(visit) - 204) < 12
    path.write_bytes(b"SIMPLE  =                    T")
    page.get_by_text("degraded").first.wait_for(timeout=6000)
    assert abs(west(visit) - 204) < 12, "what was read stays"
    flat(path, 2.0)
    page.get_by_text("degraded").first.wait_for(state="hidden", timeout=6000)
    page.wait_for_timeout(1000)
    assert abs(west(visit) - 51) < 12
    assert visit.console == []
