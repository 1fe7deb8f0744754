"""The cache folder: what is in it, what goes first, and that nothing is seen half made."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from skyshade.errors import InputError
from skyshade.storage.cache_folder import STALE, CacheFolder, default_root, default_size


def put(folder: CacheFolder, name: str, size: int, kind: str = "columns") -> None:
    with folder.making(kind, name, size) as path:
        path.write_bytes(bytes(size))


def names(folder: CacheFolder) -> list[str]:
    return [entry.name for entry in folder.entries()]


def age(folder: CacheFolder, name: str, seconds: float, kind: str = "columns") -> None:
    then = time.time() - seconds
    os.utime(folder.root / kind / name, (then, then))


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path, 1000)
    for i, name in enumerate("abc"):
        put(folder, name, 300)
        age(folder, name, 100 - i)
    assert folder.find("columns", "a") == tmp_path / "columns" / "a"
    put(folder, "d", 300)
    assert names(folder) == ["c", "a", "d"]
    assert folder.find("columns", "b") is None
    assert sum(entry.bytes for entry in folder.entries()) == 900


def test_folders_are_entries_too(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path, 1000)
    for _ in range(2):  # the second replaces the first
        with folder.making("indexes", "x", 500) as path:
            path.mkdir()
            (path / "part").write_bytes(bytes(200))
            (path / "other").write_bytes(bytes(100))
    put(folder, "y", 100)
    found = {entry.name: (entry.kind, entry.bytes) for entry in folder.entries()}
    assert found == {"x": ("indexes", 300), "y": ("columns", 100)}
    assert folder.clear(["indexes"]) == 300
    assert names(folder) == ["y"]
    assert folder.clear() == 100
    assert names(folder) == []


def test_files_go_before_folders_and_those_in_use_stay(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path, 1000)
    for name in ("used", "old"):
        with folder.making("indexes", name, 300) as path:
            path.mkdir()
            (path / "part").write_bytes(bytes(300))
    assert folder.find("indexes", "used")
    put(folder, "a", 200)
    for name, kind in (("used", "indexes"), ("old", "indexes")):
        age(folder, name, 500, kind)
    put(folder, "b", 300)
    assert sorted(names(folder)) == ["b", "old", "used"]
    put(folder, "c", 500)
    assert sorted(names(folder)) == ["c", "used"]
    folder.shrink(0)
    assert names(folder) == ["used"]
    folder.clear()
    assert names(folder) == []


def test_nothing_is_seen_before_it_is_whole(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path, 1000)

    def fail() -> None:
        with folder.making("columns", "a", 10) as path:
            path.write_bytes(b"half")
            assert folder.entries() == []
            assert folder.find("columns", "a") is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert folder.entries() == []
    assert list((tmp_path / "columns").iterdir()) == []


def test_what_a_killed_process_left_is_removed_later(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path, 1000)
    for name, seconds in ((".part-old", STALE + 60), (".part-new", 0)):
        (tmp_path / "columns" / name).mkdir(parents=True)
        age(folder, name, seconds)
    put(folder, "a", 10)
    assert sorted(p.name for p in (tmp_path / "columns").iterdir()) == [".part-new", "a"]


def test_what_is_larger_than_the_cache_is_refused(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path, 1000)
    put(folder, "a", 900)
    with pytest.raises(InputError, match=r"b takes 1,001 bytes: the cache at .* may have 1,000"):
        put(folder, "b", 1001)
    assert names(folder) == ["a"]


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKYSHADE_CACHE", str(tmp_path))
    assert CacheFolder().root == tmp_path
    monkeypatch.delenv("SKYSHADE_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_root() == tmp_path / "xdg" / "skyshade"
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_root() == Path.home() / "Library" / "Caches" / "skyshade"


def test_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYSHADE_CACHE_BYTES", "12345")
    assert default_size() == 12345
    monkeypatch.setenv("SKYSHADE_CACHE_BYTES", "12 GB")
    with pytest.raises(InputError, match="SKYSHADE_CACHE_BYTES='12 GB' is not allowed"):
        default_size()
