"""Warnings that are caught in one thread are nobody else's business."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from skyshade.app import api_light
from skyshade.quiet import quiet

PATIENCE = 20.0


def test_the_warnings_of_a_block_are_single_lines_each_once() -> None:
    with quiet() as said:
        for text in ("a\nb", "c", "c"):
            warnings.warn(text, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert said == ["a b", "c", "old"]


def test_what_was_shown_before_is_caught_too() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        found = []
        for _ in range(2):
            warnings.warn("again", stacklevel=1)
            with quiet() as said:
                warnings.warn("again", stacklevel=1)
            found += said
    assert found == ["again", "again"]
    assert {str(w.message) for w in shown} == {"again"}


def test_a_block_within_another_has_its_own() -> None:
    with quiet() as outer:
        warnings.warn("one", stacklevel=1)
        with quiet() as inner:
            warnings.warn("two", stacklevel=1)
        warnings.warn("three", stacklevel=1)
    assert (outer, inner) == (["one", "three"], ["two"])


def test_nothing_is_left_behind() -> None:
    before = list(warnings.filters), warnings.showwarning
    with pytest.raises(ValueError, match="broken"), quiet():
        raise ValueError("broken")
    assert (list(warnings.filters), warnings.showwarning) == before
    with pytest.raises(UserWarning, match="loud"):
        warnings.warn("loud", stacklevel=1)


@contextmanager
def another(block: Callable[[], Any]) -> Iterator[tuple[Future[Any], threading.Event]]:
    """Run `block` in `quiet` on another thread, between the start of ours and its end."""
    inside, leave = threading.Event(), threading.Event()

    def run() -> list[str]:
        with quiet() as said:
            inside.set()
            assert leave.wait(PATIENCE)
            block()
        return said

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        assert inside.wait(PATIENCE)
        try:
            yield future, leave
        finally:
            leave.set()


def test_warnings_of_another_thread_are_not_caught() -> None:
    with (
        another(lambda: warnings.warn("mine", stacklevel=1)) as (future, _),
        pytest.raises(UserWarning, match="yours"),
    ):
        warnings.warn("yours", stacklevel=1)
    assert future.result() == ["mine"]


def test_filters_set_meanwhile_stay_when_a_block_ends() -> None:
    """Replaced as a whole, the filters of another thread would be gone with the block."""
    with another(lambda: None) as (future, leave), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        leave.set()
        future.result(PATIENCE)
        warnings.warn("ignored, not an error", stacklevel=1)
    with pytest.raises(UserWarning, match="an error"):
        warnings.warn("an error again", stacklevel=1)


def test_building_the_api_and_opening_a_file_do_not_undo_each_others_filters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pydantic ignores a warning of its own for a moment; a file may be opened just then."""
    begun, within = threading.Event(), threading.Event()

    def build_api(_: object) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begun.set()
            within.wait(0.3)  # the file waits instead, or is caught in our filters
            warnings.warn("pydantic's own", stacklevel=1)
        return "the API"

    def open_file() -> list[str]:
        assert begun.wait(PATIENCE)
        with quiet() as said:
            within.set()
            api.result(PATIENCE)  # whose filters end before ours: not in the order they began
            warnings.warn("astropy's", stacklevel=1)
        return said

    module = SimpleNamespace(build_api=build_api)
    importer = SimpleNamespace(import_module=lambda _: module)
    monkeypatch.setattr(api_light, "importlib", importer)
    with ThreadPoolExecutor(2) as pool:
        api = pool.submit(api_light._build, SimpleNamespace())
        file = pool.submit(open_file)
        assert (api.result(PATIENCE), file.result(PATIENCE)) == ("the API", ["astropy's"])
