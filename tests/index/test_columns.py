"""The column cache: the same numbers from raw arrays, for all processes, and no more bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skyshade.geometry import SKY
from skyshade.index.columns import KIND, ColumnCache
from skyshade.index.reader import DiskIndex
from skyshade.layers.catalog import CatalogLayer
from skyshade.storage.cache_folder import CacheFolder
from skyshade.types import Window
from tests.index.skies import places
from tests.index.written import write

N = 6000
WHOLE = Window(SKY, 0, 0, 0, 512, 256)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ra, dec = places(N)
    rng = np.random.default_rng(1)
    columns = {
        "v": rng.normal(size=N).astype(np.float32),
        "k": rng.integers(0, 9, N),
        "gaps": [None if i % 5 == 0 else i for i in range(N)],
        "text": np.array(["x", "y"], object)[rng.integers(0, 2, N)],
    }
    return write(tmp_path_factory.mktemp("columns") / "index", ra, dec, columns, group_rows=256)


def filled(index: Path, folder: CacheFolder, *names: str) -> DiskIndex:
    found = DiskIndex(index, columns=ColumnCache(folder))
    for segment in found.segments:
        ColumnCache(folder).fill(segment, names, found.type_of)
    return found


def everything(index: DiskIndex, *names: str) -> dict[str, Any]:
    every = np.array([[0, np.iinfo(np.int64).max]])
    blocks = list(index.base.blocks(every, names))
    found = {name: np.concatenate([b.columns[name] for b in blocks]) for name in names}
    return found | {"keys": np.concatenate([b.keys for b in blocks])}


def test_columns_are_what_parquet_holds(index: Path, tmp_path: Path) -> None:
    names = ("v", "k", "gaps", "text", "_ra")
    plain = everything(DiskIndex(index), *names)
    folder = CacheFolder(tmp_path)
    made = filled(index, folder, *names)
    for name, values in everything(made, *names).items():
        np.testing.assert_array_equal(values, plain[name])
        assert values.dtype == plain[name].dtype
    mapped = [name for name in ("_key", *names) if made.segments[0].is_mapped(name)]
    assert mapped == ["_key", "v", "k", "_ra"]  # neither texts nor integers with gaps
    sizes = sorted(entry.bytes for entry in folder.entries())
    assert sizes == [4 * N, 8 * N, 8 * N, 8 * N]


def test_the_second_process_decodes_nothing(index: Path, tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path)
    filled(index, folder, "v")
    again = filled(index, folder, "v")
    assert again.reads.decoded == 0
    everything(again, "v")
    assert again.reads.decoded == 0


def test_a_file_of_another_size_is_made_anew(index: Path, tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path)
    filled(index, folder, "v")
    for entry in folder.entries():
        entry.path.write_bytes(entry.path.read_bytes()[:-4])
    assert filled(index, folder, "v").segments[0].is_mapped("v")
    np.testing.assert_array_equal(
        everything(filled(index, folder, "v"), "v")["v"], everything(DiskIndex(index), "v")["v"]
    )


@pytest.mark.parametrize("how", ["too small", "cannot be written"])
def test_without_a_cache_numbers_are_the_same(index: Path, tmp_path: Path, how: str) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = CacheFolder(tmp_path / "file") if how != "too small" else CacheFolder(tmp_path, 100)
    found = DiskIndex(index, columns=ColumnCache(folder))
    layer = CatalogLayer(found, id="s", reduction="count", where="v > 0")
    layer.wait_exact()
    made = layer.compute(WHOLE)
    assert made.quality == "exact"
    assert made.values.sum() == (everything(found, "v")["v"] > 0).sum()
    assert not found.segments[0].is_mapped("v")


def test_columns_that_are_removed_while_in_use_stay_readable(index: Path, tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path)
    found = filled(index, folder, "v")
    before = everything(found, "v")
    assert folder.clear([KIND]) > 0
    assert folder.entries() == []
    np.testing.assert_array_equal(everything(found, "v")["v"], before["v"])
