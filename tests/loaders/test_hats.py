"""HATS catalogues, folders, patterns and lists of Parquet files as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import DataError, UnsupportedError
from skyshade.geometry.healpix import pixel_of
from skyshade.loaders import hats
from skyshade.loaders.api import load, open_catalog
from skyshade.loaders.boxes import overlap, pixel_box
from skyshade.types import RA, Coverage, RowRange

N = 20_000
RNG = np.random.default_rng(8)
LON = RNG.uniform(0, 360, N)
LAT = np.degrees(np.arcsin(RNG.uniform(-1, 1, N)))
KEY = pixel_of(1 << 29, LON, LAT, nested=True)


def catalogue(folder: Path, *, ordered: bool = True, statistics: bool = True) -> Path:
    """Write a HATS catalogue of 12 pixels of order 0, one of them split into four of order 1."""
    root = folder / "small"
    pixels = [(0, p) for p in range(12) if p != 5] + [(1, p) for p in range(20, 24)]
    lines = ["Norder,Npix"]
    for order, pix in pixels:
        rows = np.flatnonzero(KEY >> 2 * (29 - order) == pix)
        rows = rows[np.argsort(KEY[rows])] if ordered else RNG.permutation(rows)
        table = pa.table({
            "_healpix_29": KEY[rows], "id": rows, "RightAsc": LON[rows], "Decl": LAT[rows],
        })  # fmt: skip
        path = root / "dataset" / f"Norder={order}" / "Dir=0" / f"Npix={pix}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=300, write_statistics=statistics)
        lines.append(f"{order},{pix}")
    (root / "partition_info.csv").write_text("\n".join(lines) + "\n")
    (root / "hats.properties").write_text(
        "#HATS catalog\nobs_collection=small_sky\ndataproduct_type=object\n"
        "hats_col_ra=RightAsc\nhats_col_dec=Decl\nhats_nrows=20000\n"
    )
    return root


def test_a_catalogue_in_place(tmp_path: Path) -> None:
    table: Any = load(catalogue(tmp_path)).tables[0]
    assert (table.name, len(table)) == ("small_sky", N)
    assert table.guess == "ra, dec from RightAsc, Decl (deg)"
    order = table.column("id")
    assert sorted(order.tolist()) == list(range(N))
    ra, dec = table.positions()
    np.testing.assert_array_equal(ra, LON[order])
    np.testing.assert_array_equal(dec, LAT[order])
    parts = table.partitions
    pixels = [(p.order, p.pix) for p in parts]
    assert pixels[4:10] == [(0, 4), (1, 20), (1, 21), (1, 22), (1, 23), (0, 6)]
    assert parts[5].file == "dataset/Norder=1/Dir=0/Npix=20.parquet"
    for part in parts:
        inside = table.read(["_healpix_29"], *part.rows)["_healpix_29"]
        assert set(inside >> 2 * (29 - part.order)) == {part.pix}
    chunks = table.chunks(1000)
    assert [c.start for c in chunks] == [0, *(c.stop for c in chunks[:-1])]
    found = pa.concat_tables([table.read_chunk(*c, ["id"]) for c in chunks])
    np.testing.assert_array_equal(found["id"].to_numpy(), order)
    np.testing.assert_array_equal(found[RA].to_numpy(), ra)
    assert len(open_catalog(tmp_path / "small")) == N


REGIONS = [
    Coverage(50, 40, -10, 10),
    Coverage(370, 350, -20, 20),
    Coverage(360, 0, 80, 90),
    Coverage(190, 170, -90, -70),
    Coverage(360, 0, -90, 90),
]


def inside(coverage: Coverage) -> set[int]:
    ra_turned = coverage.ra_west + np.mod(LON - coverage.ra_west, 360)
    rows = (ra_turned <= coverage.ra_east) & (coverage.dec_min <= LAT) & (coverage.dec_max >= LAT)
    return set(np.flatnonzero(rows).tolist())


@pytest.mark.parametrize("coverage", REGIONS)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("statistics", [True, False])
def test_pruning_loses_no_row(
    tmp_path: Path, coverage: Coverage, ordered: bool, statistics: bool
) -> None:
    table: Any = load(catalogue(tmp_path, ordered=ordered, statistics=statistics)).tables[0]
    ranges = table.partitions_in(coverage)
    read = [table.read(["id"], *r)["id"] for r in ranges]
    wanted = inside(coverage)
    assert wanted
    assert wanted <= set(np.concatenate(read).tolist())
    assert ranges == sorted(ranges)
    count = sum(stop - start for start, stop in ranges)
    if coverage.dec_min > -90 or coverage.dec_max < 90:
        assert count < (0.2 if ordered and statistics else 0.5) * N


def test_sorted_files_are_pruned_by_row_group_and_unsorted_ones_by_their_statistics(
    tmp_path: Path,
) -> None:
    table: Any = load(catalogue(tmp_path)).tables[0]
    (first, *_) = table.partitions_in(Coverage(45.5, 44.5, 1, 2))
    assert first.stop - first.start < 1000
    files = len(table.partitions)
    assert table.partitions_in(Coverage(360, 0, -90, 90)) == [RowRange(0, N)]
    assert files == 15


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 6), st.integers(0, 2**20))
def test_a_pixels_box_holds_the_pixel(order: int, number: int) -> None:
    pix = number % (12 << 2 * order)
    rows = np.flatnonzero(KEY >> 2 * (29 - order) == pix)
    west, east, south, north = pixel_box(order, pix)
    assert ((LAT[rows] >= south) & (LAT[rows] <= north)).all()
    assert (np.mod(LON[rows] - west, 360) <= east - west + 1e-9).all()


def test_boxes() -> None:
    boxes = np.array([[350, 370, 0, 1], [-10, 5, 0, 1], [100, 110, 0, 1], [np.nan, 1, 50, 60]])
    assert overlap(boxes, Coverage(8, 3, 0.5, 0.6)).tolist() == [True, True, False, True]
    assert overlap(boxes, Coverage(365, 355, 0.5, 0.6)).tolist() == [True, True, False, True]
    assert overlap(boxes, Coverage(110, 110, 1, 2)).tolist() == [False, False, True, True]
    assert overlap(boxes, Coverage(360, 0, 2, 3)).tolist() == [False, False, False, True]


def test_without_the_list_of_partitions(tmp_path: Path) -> None:
    root = catalogue(tmp_path)
    whole: Any = load(root).tables[0]
    (root / "partition_info.csv").unlink()
    (root / "hats.properties").unlink()
    pq.write_metadata(pq.read_schema(root / whole.partitions[0].file), root / "dataset/_metadata")
    table: Any = load(root, ra="RightAsc", dec="Decl", name="x").tables[0]
    assert [p.file for p in table.partitions] == [p.file for p in whole.partitions]
    assert table.name == "x"
    np.testing.assert_array_equal(table.column("id"), whole.column("id"))


def test_many_files_are_not_opened_when_a_summary_has_their_footers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = catalogue(tmp_path)
    whole: Any = load(root).tables[0]
    footers = []
    for part in whole.partitions:
        footers.append(pq.read_metadata(root / part.file))
        footers[-1].set_file_path(part.file.removeprefix("dataset/"))
    pq.write_metadata(
        pq.read_schema(root / part.file), root / "dataset/_metadata", metadata_collector=footers
    )
    monkeypatch.setattr(hats, "_MANY", 3)
    opened: list[str] = []
    keep = hats.open_key
    monkeypatch.setattr(hats, "open_key", lambda *a: (opened.append(a[1]), keep(*a))[1])
    table: Any = load(root).tables[0]
    assert opened == [whole.partitions[0].file]
    assert table.partitions == whole.partitions
    assert table.chunks(500) == whole.chunks(500)
    region = Coverage(50, 40, -10, 10)
    assert table.partitions_in(region) == whole.partitions_in(region)
    np.testing.assert_array_equal(table.column("id"), whole.column("id"))
    (root / "dataset/_metadata").write_bytes(b"PAR1 no summary PAR1")
    assert load(root).tables[0].chunks(500) == whole.chunks(500)


def test_a_collection_and_its_main_table(tmp_path: Path) -> None:
    catalogue(tmp_path)
    said = tmp_path / "collection.properties"
    said.write_text("obs_collection=all\nhats_primary_table_url=small\n")
    assert len(load(tmp_path).tables[0]) == N
    said.write_text("hats_primary_table_url=../small\n")
    with pytest.raises(DataError, match="is no folder within it"):
        load(tmp_path)


def test_a_real_partition(tmp_path: Path, shared_data: Path) -> None:
    path = tmp_path / "c" / "dataset" / "Norder=1" / "Dir=0" / "Npix=44.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes((shared_data / "real" / "hats" / "hats_Npix44.parquet").read_bytes())
    (tmp_path / "c" / "partition_info.csv").write_text("Norder, Npix\n1, 44\n")
    table: Any = load(tmp_path / "c").tables[0]
    assert len(table) == 5302
    assert table.guess == "ra, dec from source_ra, source_dec (deg)"
    assert (table.partitions[0].order, table.partitions[0].pix) == (1, 44)
    keys = table.column("_healpix_29")
    ra, dec = table.positions()
    np.testing.assert_array_equal(keys >> 2 * 28, 44)
    np.testing.assert_array_equal(keys, pixel_of(1 << 29, ra, dec, nested=True))
    assert table.partitions_in(Coverage(20, 10, 0, 10)) == []
    assert table.partitions_in(Coverage(320, 310, -60, -55)) == [RowRange(0, 5302)]


def test_any_url(tmp_path: Path) -> None:
    root = catalogue(tmp_path)
    memory = fsspec.filesystem("memory")
    memory.put(str(root), "/hats-test", recursive=True)
    try:
        for url in ("memory://hats-test/", "memory://hats-test"):
            table: Any = load(url).tables[0]
            assert len(table) == N
            version = table.version()
            part = table.partitions[3]
            found = table.read_chunk(*part.rows, ["_healpix_29"])
            assert set((found["_healpix_29"].to_numpy() >> 58).tolist()) == {3}
        memory.pipe("/hats-test/" + part.file, b"PAR1" * 9)
        with pytest.raises(DataError, match=r"Npix=3\.parquet"):
            load("memory://hats-test/")
        assert version
    finally:
        memory.rm("/hats-test", recursive=True)


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_files_with_other_columns_and_types(tmp_path: Path) -> None:
    f4, i2 = pa.array([5.5, 6.5], pa.float32()), pa.array([1, 2], pa.int16())
    write(tmp_path / "part-1.parquet", ra=[1.0, 2.0], dec=[3.0, 4.0], n=i2, kind=["a", "b"])
    kinds = pa.array(["c", "c"]).dictionary_encode()
    write(tmp_path / "part-2.parquet", dec=[7, 8], ra=[5, 6], n=f4, kind=kinds, more=[True, None])
    write(
        tmp_path / "part-3.parquet", ra=pa.array([], pa.float64()), dec=pa.array([], pa.float64())
    )
    paths = sorted(tmp_path.glob("*.parquet"))
    for item in (tmp_path, str(tmp_path / "*.parquet"), paths, [str(p) for p in paths]):
        table: Any = load(item).tables[0]
        assert tuple(table.columns) == ("ra", "dec", "n", "kind", "more")
        assert table.positions()[0].tolist() == [1, 2, 5, 6]
        assert table.column("n").tolist() == [1, 2, 5.5, 6.5]
        chunk = table.read_chunk(0, 9)
        assert chunk["kind"].to_pylist() == ["a", "b", "c", "c"]
        assert chunk["more"].to_pylist() == [None, None, True, None]
        assert str(chunk.schema.field("n").type) == "float"
        assert table.read_chunk(0, 1, ["more"])["more"].to_pylist() == [None]
    assert load(paths).tables[0].name == "part"


def test_files_that_are_no_one_table(tmp_path: Path) -> None:
    one = write(tmp_path / "a.parquet", ra=[1.0], dec=[3.0], n=[1])
    other = write(tmp_path / "b.parquet", ra=[1.0], dec=[3.0], n=["x"])
    with pytest.raises(UnsupportedError, match=r"column 'n' is int64 in a.* and string in b"):
        load([one, other])
    write(other, ra=[1.0], n=[1])
    with pytest.raises(UnsupportedError, match=r"b\.parquet: has no column 'dec', as a"):
        load(tmp_path)
    other.write_bytes(one.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"b\.parquet: broken Parquet file"):
        load(tmp_path)
    other = tmp_path / "b.csv"
    other.write_text("ra,dec\n1,2\n")
    with pytest.raises(UnsupportedError, match=r"b\.csv: only Parquet files can be one table"):
        load([one, other])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnsupportedError, match="empty: no Parquet files in the folder"):
        load(tmp_path / "empty")


def test_a_file_that_changed_since(tmp_path: Path) -> None:
    root = catalogue(tmp_path)
    table: Any = load(root).tables[0]
    part = table.partitions[2]
    write(root / part.file, RightAsc=[1.0], Decl=[2.0], id=[3])
    with pytest.raises(DataError, match=r"Npix=2\.parquet has 1 rows where \d+ were promised"):
        table.read_chunk(*part.rows)
    assert load(root).tables[0].version() != table.version()
