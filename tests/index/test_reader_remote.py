"""An index in object storage: the same numbers, by ranges of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skyshade.errors import DataError
from skyshade.geometry import SKY
from skyshade.index.columns import ColumnCache
from skyshade.index.reader import DiskIndex
from skyshade.layers.catalog import CatalogLayer
from skyshade.storage import Folder
from skyshade.storage.cache_folder import CacheFolder
from skyshade.types import Tile, Window
from tests.index.skies import places
from tests.index.written import write

N = 5000


@pytest.fixture
def local(tmp_path: Path) -> Path:
    ra, dec = places(N)
    columns = {"v": np.arange(N) * 1.0, "t": np.array(["a", "b"], object)[np.arange(N) % 2]}
    return write(tmp_path / "index", ra, dec, columns, states=("count", "sum:v"))


def test_it_gives_what_a_folder_gives(local: Path, tmp_path: Path, s3: Any) -> None:
    there = Folder(f"{s3.bucket()}/some/index", s3.options)
    for path in local.rglob("*"):
        if path.is_file():
            there.write(path.relative_to(local).as_posix(), path.read_bytes())
    far = DiskIndex(there, columns=ColumnCache(CacheFolder(tmp_path / "cache")))
    near = DiskIndex(local, columns=ColumnCache(CacheFolder(tmp_path / "cache")))
    assert far.version() == near.version()
    tiles = [Window.of(SKY, Tile(*t)) for t in ((0, 0, 0), (3, 7, 3), (8, 3, 100))]
    for reduction, where in (("density", None), ("mean:v", None), ("count", 'v < 999 & t == "a"')):
        mine, theirs = (
            CatalogLayer(index, id="s", reduction=reduction, where=where) for index in (far, near)
        )
        mine.wait_exact()
        theirs.wait_exact()
        for window in tiles:
            made = mine.compute(window)
            assert made.quality == "exact"
            np.testing.assert_array_equal(made.values, theirs.compute(window).values)
    assert far.base.take(np.arange(0, N, 100), ["t"])["t"].tolist() == (
        near.base.take(np.arange(0, N, 100), ["t"])["t"].tolist()
    )
    there.delete("segments/0001/rows")
    again = DiskIndex(there).base.blocks(np.array([[0, np.iinfo(np.int64).max]]))
    with pytest.raises(DataError, match=r"rows/\d+\.parquet"):
        list(again)


def test_no_index(tmp_path: Path, s3: Any) -> None:
    for place in (Folder(tmp_path), Folder(s3.bucket(), s3.options)):
        with pytest.raises(DataError, match=r"manifest\.json"):
            DiskIndex(place)
