"""Stars of a catalogue in a real browser: visible one by one, brighter ones larger, no seams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Served, Visit, serve
from tests.browser.test_viewer import choose, on_screen, open_page, settle, shot

pytestmark = pytest.mark.browser
Picture = np.ndarray[Any, Any]

LOOK = """([ra, dec, width]) => {
  const tiled = (v) => v.model?.renderers?.some?.((r) => r.tile_source != null) ?? false;
  for (const view of Bokeh.index.query(tiled)) {
    const {x_range, y_range, inner_width, inner_height} = view.model;
    const u = ra > 180 ? 360 - ra : -ra, half = width * inner_height / inner_width / 2;
    x_range.setv({start: u - width / 2, end: u + width / 2});
    y_range.setv({start: dec - half, end: dec + half});
  }
}"""


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    n = 40_000
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    mag = 12.0 - rng.exponential(1.2, n)
    ra[:3], dec[:3], mag[:3] = (100.0, 101.0, 102.0), (10.0, 10.0, 10.0), (4.0, 8.0, 12.0)
    near = (np.abs(ra - 101.0) < 1.8) & (np.abs(dec - 10.0) < 1.0)
    near[:3] = False  # the three stand alone
    kinds = np.array(["star", "galaxy"])[rng.integers(0, 2, n)]
    folder: Path = tmp_path_factory.mktemp("stars")
    keep = ~near
    table = {"ra": ra[keep], "dec": dec[keep], "vmag": mag[keep], "type": kinds[keep]}
    pq.write_table(pa.table(table), folder / "stars.parquet")
    yield from serve("open", str(folder / "stars.parquet"))


def look(page: Page, ra: float, dec: float, width: float) -> dict[str, Any]:
    page.evaluate(LOOK, [ra, dec, width])
    return settle(page)


def shown(page: Page, plot: dict[str, Any], found: Callable[[Picture], bool]) -> Picture:
    """Return the picture once something is found on it; the last one after ten seconds."""
    for _ in range(40):
        picture = shot(page, plot)
        if found(picture):
            break
        page.wait_for_timeout(250)
    return picture


def lit(picture: Picture) -> int:
    """Return how many pixels are bright."""
    return int((picture.max(axis=2) > 110).sum())


def spot(picture: Picture, x: float, y: float, reach: int = 22) -> float:
    """Return how many pixels around a place are lit."""
    x0, y0 = round(x), round(y)
    part = picture[max(y0 - reach, 0) : y0 + reach, max(x0 - reach, 0) : x0 + reach]
    return float((part.max(axis=2) > 110).sum())


def test_single_stars_are_seen_and_brighter_ones_are_larger(visit: Visit, stars: Served) -> None:
    open_page(visit, stars)
    page = visit.page
    choose(page, "Detail", "Automatic: rows where they are few")
    plot = look(page, 101.0, 10.0, 4.0)
    picture = shown(page, plot, lambda p: spot(p, *on_screen(plot, 102.0, 10.0)) > 0)
    areas = [spot(picture, *on_screen(plot, ra, 10.0)) for ra in (100.0, 101.0, 102.0)]
    assert areas[0] > 1.5 * areas[1] > 1.5 * areas[2] >= 6.0
    for ra in (100.0, 101.0, 102.0):  # the disc is round its star
        x, y = on_screen(plot, ra, 10.0)
        lit = (
            picture[round(y) - 22 : round(y) + 22, round(x) - 22 : round(x) + 22].max(axis=2) > 110
        )
        rows, cols = np.nonzero(lit)
        assert np.hypot(rows.mean() - 21.5, cols.mean() - 21.5) < 2.0
    assert not visit.failures
    assert not visit.console


def test_numbers_only_and_classes(visit: Visit, stars: Served) -> None:
    open_page(visit, stars)
    page = visit.page
    plot = look(page, 200.0, -30.0, 20.0)
    assert lit(shown(page, plot, lambda p: lit(p) > 500)) > 500
    choose(page, "Reduction", "count_cat:type")
    plot = settle(page)
    page.get_by_text("galaxy", exact=True).wait_for()

    def red(picture: Picture) -> int:
        return int((picture[..., 0] - picture[..., 1:].max(axis=2) > 60).sum())

    def blue(picture: Picture) -> int:
        return int((picture[..., 2] - picture[..., 0] > 60).sum())

    picture = shown(page, plot, lambda p: red(p) > 50 and blue(p) > 50)
    assert red(picture) > 50
    assert blue(picture) > 50
    choose(page, "Reduction", "density")
    plain = re.compile(r"/tiles/(?!.*detail=)(?!.*@2x)")
    with page.expect_request(plain, timeout=20_000):
        choose(page, "Detail", "Numbers of pixels only")
    assert not visit.failures
