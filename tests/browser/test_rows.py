"""A click beside a star of a catalogue that is drawn as a density."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.browser.conftest import Served, Visit, serve
from tests.browser.test_viewer import on_screen, open_page

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror='window.hit = 1'>"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """20,000 stars, more than are drawn as markers; one of them alone in its part of the sky."""
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 20_000), rng.uniform(40, 80, 20_000)
    ra[7], dec[7] = 30.0, -20.0
    names = np.array([f"n{i}" for i in range(20_000)], object)
    names[7] = HOSTILE
    path = Path(tmp_path_factory.mktemp("rows")) / "many.parquet"
    mags = (rng.uniform(5, 12, 20_000)).astype(np.float32)
    mags[7] = 8.1
    pq.write_table(pa.table({"ra": ra, "dec": dec, "mag": mags, "label": names}), path)
    yield from serve("open", str(path))


def test_a_click_tells_the_nearest_row_with_all_its_columns(visit: Visit, many: Served) -> None:
    plot = open_page(visit, many)
    page = visit.page
    x, y = on_screen(plot, 30.0, -20.0)
    page.mouse.click(plot["left"] + x + 3, plot["top"] + y + 2)
    card = page.locator(".card")
    card.locator("h4", has_text="many, row 8").wait_for(timeout=8000)
    cells = card.locator("td").all_inner_texts()
    told = dict(zip(cells[::2], cells[1::2], strict=True))
    assert told["mag"] == "8.1"
    assert told["label"] == HOSTILE
    assert told["from the click"].endswith("\N{DEGREE SIGN}")
    assert page.evaluate("window.hit") is None
    page.wait_for_timeout(500)  # two clicks at once would be a double click
    x, y = on_screen(plot, 40.0, -70.0)  # nothing there
    page.mouse.click(plot["left"] + x, plot["top"] + y)
    card.locator("h4", has_text=re.compile("^many$")).wait_for(timeout=8000)
    assert card.locator("td").all_inner_texts()[-1] == "no value"
    assert visit.console == []
