"""Damaged or inconsistent index files: one clear error each, never a wrong number or a crash."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyshade.errors import DataError
from skyshade.geometry import SKY
from skyshade.index.columns import ColumnCache
from skyshade.index.format import GROUP, PLANE
from skyshade.index.reader import DiskIndex
from skyshade.layers.catalog import CatalogLayer
from skyshade.storage.cache_folder import CacheFolder
from skyshade.types import Window
from tests.index.skies import places
from tests.index.written import write

N = 3000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ra, dec = places(N)
    folder = tmp_path_factory.mktemp("damage") / "index"
    return write(folder, ra, dec, {"v": np.arange(N) * 1.0}, threshold=256, group_rows=128)


@pytest.fixture
def index(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "index"))


def segment(index: Path) -> Path:
    return index / "segments" / "0001"


def records(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Return what changes the records of a list."""

    def spoil(index: Path) -> None:
        path = segment(index) / name
        np.save(path, change(np.load(path).astype(GROUP if name == "groups.npy" else PLANE)))

    return spoil


def field(name: str, where: Any, value: Any) -> Callable[[Any], Any]:
    def change(values: Any) -> Any:
        values[name][where] = value
        return values

    return change


def data(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(index: Path) -> None:
        path = segment(index) / name
        path.write_bytes(change(path.read_bytes()))

    return spoil


def huge_npy(old: bytes) -> bytes:
    """Return a header that claims 10**15 records."""
    text = old[10:].split(b"\n")[0].decode()
    count = text.split("'shape': (")[1].split(",")[0]
    return old.replace(f"({count},)".encode(), b"(1000000000000000,)")


OPENING = {
    "no groups": lambda index: (segment(index) / "groups.npy").unlink(),
    "no planes": lambda index: (segment(index) / "planes.npy").unlink(),
    "cut groups": data("groups.npy", lambda old: old[:-7]),
    "empty groups": data("groups.npy", lambda _: b""),
    "groups of text": data("groups.npy", lambda _: b"\x93NUMPY\x01\x00" + b"x" * 300),
    "other records": lambda index: np.save(segment(index) / "groups.npy", np.zeros(5)),
    "pickled": lambda i: np.save(segment(i) / "groups.npy", np.array([{}]), allow_pickle=True),
    "10**15 groups": data("groups.npy", huge_npy),
    "10**15 planes": data("planes.npy", huge_npy),
    "rows missing": records("groups.npy", lambda old: old[:-1]),
    "rows of a group": records("groups.npy", field("rows", 0, 4_000_000_000)),
    "groups not sorted": records("groups.npy", lambda old: old[::-1]),
    "keys turned round": records("groups.npy", field("last", 0, -5)),
    "planes not sorted": records("planes.npy", lambda old: old[::-1]),
    "planes twice": records("planes.npy", lambda old: np.repeat(old, 2)),
    "unknown grid": records("planes.npy", field("grid", -1, 9)),
    "unknown state": records("planes.npy", field("state", -1, 7)),
}


@pytest.mark.parametrize("how", OPENING)
def test_damage_that_is_seen_when_it_is_opened(index: Path, how: str) -> None:
    OPENING[how](index)
    with pytest.raises(DataError, match=r"^index: ") as error:
        DiskIndex(index)
    assert "\n" not in str(error.value)


def other_parquet(**columns: Any) -> Callable[[Path], None]:
    def spoil(index: Path) -> None:
        for path in (segment(index) / "rows").iterdir():
            old = pq.read_table(path)
            for name, change in columns.items():
                values = change(old.column(name).to_numpy())
                at = old.schema.get_field_index(name)
                old = old.drop([name]) if values is None else old.set_column(at, name, [values])
            pq.write_table(old, path, row_group_size=128)

    return spoil


def rows_data(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(index: Path) -> None:
        for path in (segment(index) / "rows").iterdir():
            path.write_bytes(change(path.read_bytes()))

    return spoil


def claimed_footer(old: bytes) -> bytes:
    """Return a file whose footer claims 4 GB."""
    return old[:-8] + struct.pack("<I", 4_000_000_000) + b"PAR1"


READING = {
    "no file": lambda index: shutil.rmtree(segment(index) / "rows"),
    "cut": rows_data(lambda old: old[:-100]),
    "empty": rows_data(lambda _: b""),
    "zeros in the middle": rows_data(
        lambda o: o[:200] + bytes(len(o) // 2) + o[200 + len(o) // 2 :]
    ),
    "no Parquet": rows_data(lambda _: b"hello" * 100),
    "a footer of 4 GB": rows_data(claimed_footer),
    "fewer rows": lambda index: [
        pq.write_table(pq.read_table(p).slice(1), p, row_group_size=128)
        for p in (segment(index) / "rows").iterdir()
    ],
    "no such column": other_parquet(v=lambda _: None),
    "other keys": other_parquet(_key=lambda old: old + 1),
    "keys of text": other_parquet(_key=lambda old: pa.array(old.astype(str))),
    "other row groups": lambda index: [
        pq.write_table(pq.read_table(p), p, row_group_size=1000)
        for p in (segment(index) / "rows").iterdir()
    ],
}


@pytest.mark.parametrize("how", READING)
def test_damaged_rows(index: Path, how: str) -> None:
    READING[how](index)
    found = DiskIndex(index)
    layer = CatalogLayer(found, id="s", reduction="max:v")
    found.few = N  # no planes of this column: every row is read
    window = Window(SKY, 3, 0, 0, *SKY.lattice_shape(3)[::-1])
    with pytest.raises(DataError, match=r"^index: ") as error:
        layer.compute(window)
    assert "\n" not in str(error.value)


PLANES = {
    "no file": lambda index: (segment(index) / "planes" / "top.bin").unlink(),
    "cut": data("planes/top.bin", lambda old: old[: len(old) // 8]),
    "zeros": data("planes/top.bin", lambda old: bytes(len(old))),
    "shifted": data("planes/top.bin", lambda old: b"xx" + old),
    "short": records("planes.npy", field("size", slice(None), 3)),
    "nothing": records("planes.npy", field("size", slice(None), 0)),
    "4 GB": records("planes.npy", field("size", slice(None), 4_000_000_000)),
    "far away": records("planes.npy", field("offset", slice(None), 1 << 62)),
}


@pytest.mark.parametrize("how", PLANES)
def test_damaged_planes(index: Path, how: str) -> None:
    PLANES[how](index)
    layer = CatalogLayer(DiskIndex(index), id="s")
    with pytest.raises(DataError, match=r"^index: ") as error:
        layer.compute(Window(SKY, 0, 0, 0, 512, 256))
    assert "\n" not in str(error.value)


SAMPLES = {
    "no sample": lambda index: (segment(index) / "sample.parquet").unlink(),
    "cut": data("sample.parquet", lambda old: old[:-100]),
    "a footer of 4 GB": data("sample.parquet", claimed_footer),
    "too few rows": lambda index: pq.write_table(
        pq.read_table(segment(index) / "sample.parquet").slice(5), segment(index) / "sample.parquet"
    ),
}


@pytest.mark.parametrize("how", SAMPLES)
def test_damaged_samples(index: Path, how: str, tmp_path: Path) -> None:
    SAMPLES[how](index)
    found = DiskIndex(index, columns=ColumnCache(CacheFolder(tmp_path / "cache")))
    found.few = 1000
    layer = CatalogLayer(found, id="s", where="v < 1000")
    with pytest.raises(DataError, match=r"^index: "):
        layer.compute(Window(SKY, 0, 0, 0, 512, 256))


def test_rows_that_go_while_planes_are_made(index: Path, tmp_path: Path) -> None:
    """The selection stays a sample; who waits for exact numbers is told why."""
    found = DiskIndex(index, columns=ColumnCache(CacheFolder(tmp_path / "cache")))
    found.few = 1000
    layer = CatalogLayer(found, id="s", where="v < 1000")
    shutil.rmtree(segment(index) / "rows")
    with pytest.raises(DataError, match=r"^index: "):
        layer.wait_exact(20)
    assert not layer.ready
    assert layer.compute(Window(SKY, 0, 0, 0, 512, 256)).quality == "sample"
