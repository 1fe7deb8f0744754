"""Indexes and work folders in object storage."""

from __future__ import annotations

import functools

import pyarrow.parquet as pq
import pytest

import skyshade
from skyshade.atlas import index_recipe
from skyshade.errors import InputError
from skyshade.index.format import MANIFEST, read_manifest
from skyshade.index.job import Recipe
from skyshade.storage.folders import Folder
from tests.index.built import sky
from tests.index.test_resume import files

SIZES = {"run_rows": 500, "leaf_rows": 900, "threshold": 600, "group_rows": 256}


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(index_recipe, "Recipe", functools.partial(Recipe, **SIZES))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    table = sky(2000).table.rename_columns(["ra", "dec", "v", "c", "t", "row"])
    pq.write_table(table, tmp_path / "sky.parquet")
    return tmp_path / "sky.parquet"


def contents(folder):
    return {key: folder.read(key) for key in folder.list()}


@pytest.mark.parametrize("work", ["", "/work"])
def test_index_in_s3_is_that_of_a_folder(tmp_path, source, s3, work):
    bucket = s3.bucket()
    output = f"{bucket}/some/where"
    made = skyshade.index_catalog(
        source,
        output,
        aggregate=["v:mean", "t:category"],
        storage_options=s3.options,
        work=bucket + work if work else None,
    )
    there = Folder(output, s3.options)
    assert read_manifest(there.read(MANIFEST), "index").segments[0].name == made.segments[0].name
    skyshade.index_catalog(source, tmp_path / "out", aggregate=["v:mean", "t:category"])
    assert contents(there) == files(tmp_path / "out")
    assert all(key.startswith("some/where/") for key in Folder(bucket, s3.options).list())
    assert not list((tmp_path / "cache").rglob("*.keys"))


def test_appending_and_replacing_in_s3(source, s3, tmp_path):
    output = s3.bucket() + "/index"
    first = skyshade.index_catalog(source, output, storage_options=s3.options)
    with pytest.raises(InputError, match="holds an index already"):
        skyshade.index_catalog(source, output, storage_options=s3.options)
    more = sky(100, 2).table.rename_columns(["ra", "dec", "v", "c", "t", "row"])
    pq.write_table(more, tmp_path / "more.parquet")
    both = skyshade.index_catalog(
        tmp_path / "more.parquet", output, append=True, storage_options=s3.options
    )
    assert [s.rows for s in both.segments] == [1963, 63]
    made = skyshade.index_catalog(
        tmp_path / "more.parquet", output, overwrite=True, storage_options=s3.options
    )
    left = {key.split("/")[1] for key in Folder(output, s3.options).list("segments")}
    assert left == {made.segments[0].name}
    assert first.segments[0].name not in left


def test_a_bucket_that_is_not_there(source, s3):
    with pytest.raises(InputError, match="cannot be written"):
        skyshade.index_catalog(source, "s3://no-such-bucket/x", storage_options=s3.options)
