"""``skyshade cache``: the list and the clearing of what can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from skyshade.cli import main
from skyshade.storage.cache_folder import CacheFolder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CacheFolder:
    monkeypatch.setenv("SKYSHADE_CACHE", str(tmp_path / "kept"))
    monkeypatch.setenv("SKYSHADE_CACHE_BYTES", "5000000")
    made = CacheFolder()
    with made.making("columns", "vt", 1500) as path:
        path.write_bytes(b"x" * 1500)
    with made.making("indexes", "stars", 2_000_000) as path:
        path.mkdir()
        (path / "manifest.json").write_bytes(b"y" * 2_000_000)
    return made


def run(*words: str) -> str:
    found = CliRunner().invoke(main, ["cache", *words])
    assert found.exit_code == 0, found.output
    return found.output


def test_the_list(cache: CacheFolder) -> None:
    lines = run("list").splitlines()
    assert len(lines) == 3
    assert any(line.startswith("      2 kB") and "columns/vt" in line for line in lines)
    assert any(line.startswith("      2 MB") and "indexes/stars" in line for line in lines)
    assert lines[-1] == f"2 MB of at most 5 MB in {cache.root}"


def test_clearing(cache: CacheFolder) -> None:
    assert run("clear", "--kind", "columns") == f"Removed 2 kB from {cache.root}\n"
    assert [entry.name for entry in cache.entries()] == ["stars"]
    assert run("clear") == f"Removed 2 MB from {cache.root}\n"
    assert cache.entries() == []
    assert run("list") == f"0 B of at most 5 MB in {cache.root}\n"


def test_an_unknown_kind() -> None:
    found = CliRunner().invoke(main, ["cache", "clear", "--kind", "tiles"])
    assert found.exit_code == 2
    assert "'tiles' is not one of 'columns', 'indexes'" in found.output
