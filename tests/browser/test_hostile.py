"""Markup in headers and tables is text on the page, never markup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Served, Visit, serve
from tests.browser.test_viewer import choose, open_page, settle

pytestmark = pytest.mark.browser

FILES = ("hdr_html_injection.fits", "ok_control.fits")
MARKUP = "<img src=x onerror=alert(1)>"
INJECTED = 'img[src="x"], script:text("alert(")'  # locators see into shadow roots


@pytest.fixture
def hostile(shared_data: Path, tmp_path: Path) -> Iterator[Served]:
    table = tmp_path / "stars.csv"
    table.write_text(f"ra,dec,name,{MARKUP}\n10,0,{MARKUP},{MARKUP}\n200,5,b,c\n")
    maps = [str(shared_data / "bad" / name) for name in FILES]
    yield from serve("open", *maps, str(table))


def test_titles_and_cells_are_text(visit: Visit, hostile: Served) -> None:
    page, alerts = visit.page, []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    open_page(visit, hostile)
    options = page.get_by_label("Layer", exact=True).locator("option").all_inner_texts()
    assert any("<img src=x" in option for option in options)
    for option in options:
        choose(page, "Layer", option)
        settle(page)
        assert page.locator(INJECTED).count() == 0
    assert page.get_by_text("<img src=x", exact=False).count() > 0
    choose(page, "Layer", "stars")
    search = page.get_by_label("Go to")
    search.fill("10 0")
    search.press("Enter")
    page.wait_for_timeout(500)
    plot = settle(page)
    middle = plot["left"] + plot["width"] / 2, plot["top"] + plot["height"] / 2
    page.mouse.move(*middle)
    page.wait_for_timeout(300)
    page.mouse.click(*middle)
    page.get_by_role("cell", name=MARKUP).first.wait_for(timeout=10_000)
    assert page.locator(INJECTED).count() == 0
    assert alerts == []
    assert visit.console == []
