"""`skyshade.index_catalog`: many kinds of catalogues, appending, replacing, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import skyshade
from skyshade.atlas.aggregates import parse_aggregates
from skyshade.errors import DataError, InputError, UnknownNameError
from skyshade.index.format import MANIFEST, read_manifest
from skyshade.types import State


@pytest.fixture
def write(tmp_path):
    """Write a catalogue as Parquet; columns given override."""

    def job(name, n=500, seed=1, **columns):
        rng = np.random.default_rng(seed)
        made = {
            "ra": rng.uniform(0, 360, n),
            "dec": rng.uniform(-90, 90, n),
            "vt": pa.array(rng.normal(9, 2, n), pa.float32()),
            "type": rng.choice(["star", "galaxy"], n),
        }
        path = tmp_path / name
        pq.write_table(pa.table({**made, **columns}), path)
        return path

    return job


def rows_of(output):
    manifest = read_manifest((output / MANIFEST).read_bytes(), "index")
    parts = []
    for segment in manifest.segments:
        folder = output / "segments" / segment.name
        parts += [pq.read_table(f) for f in sorted((folder / "rows").iterdir())]
    return pa.concat_tables(parts)


def test_manifest_says_what_there_is(tmp_path, write):
    dec = np.linspace(-90, 90, 500)
    dec[3] = 91
    source = write("a.parquet", dec=dec)
    made = skyshade.index_catalog(
        source, tmp_path / "out", aggregate=["vt:mean,std,max", "type:category"], name="My stars"
    )
    written = json.loads((tmp_path / "out" / MANIFEST).read_bytes())
    assert (written["title"], written["states"]) == (
        "My stars",
        ["count", "sum:vt", "moments:vt", "max:vt", "category:type"],
    )
    assert [(c["name"], c["type"], c["categories"]) for c in written["columns"]] == [
        ("ra", "double", None),
        ("dec", "double", None),
        ("vt", "float", None),
        ("type", "string", ["galaxy", "star"]),
    ]
    assert (made.rows, made.invalid) == (499, 1)
    assert list(made.segments[0].origin) == [str(source)]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["manifest.json", "segments"]


def test_many_files_by_a_pattern_and_some_columns(tmp_path, write):
    for i in range(3):
        write(f"part-{i}.parquet", seed=i, id=np.arange(500) + 1000 * i)
    out = tmp_path / "out"
    skyshade.index_catalog(
        str(tmp_path / "part-*.parquet"), out, columns=["id"], aggregate=["vt:min"]
    )
    rows = rows_of(out)
    assert rows.column_names == ["_key", "_ra", "_dec", "vt", "id"]
    assert sorted(rows["id"].to_pylist()) == [1000 * i + j for i in range(3) for j in range(500)]


def test_append_adds_a_segment(tmp_path, write):
    out = tmp_path / "out"
    first = skyshade.index_catalog(write("a.parquet"), out, aggregate=["type:category"])
    both = skyshade.index_catalog(write("b.parquet", 200, 2, type=["star"] * 200), out, append=True)
    assert [s.name[:7] for s in both.segments] == ["000000-", "000001-"]
    assert both.segments[0].name == first.segments[0].name
    assert [s.rows for s in both.segments] == [500, 200]
    assert both.columns[3].categories == ("galaxy", "star")
    assert rows_of(out).num_rows == 700


def test_appending_the_same_or_something_else_is_refused(tmp_path, write):
    out, source = tmp_path / "out", write("a.parquet")
    skyshade.index_catalog(source, out, aggregate=["type:category"])
    before = (out / MANIFEST).read_bytes()
    with pytest.raises(InputError, match=r"a\.parquet is in the index already"):
        skyshade.index_catalog(source, out, append=True)
    with pytest.raises(InputError, match="'vt' is double in the new rows and float in the index"):
        skyshade.index_catalog(write("b.parquet", vt=np.zeros(500)), out, append=True)
    lacking = pq.read_table(source).drop_columns(["vt"])
    pq.write_table(lacking, tmp_path / "c.parquet")
    with pytest.raises(UnknownNameError, match="column of c 'vt'"):
        skyshade.index_catalog(tmp_path / "c.parquet", out, append=True)
    with pytest.raises(InputError, match="'type' has the new category 'quasar'"):
        skyshade.index_catalog(write("d.parquet", type=["quasar"] * 500), out, append=True)
    with pytest.raises(InputError, match="the index keeps count, category:type"):
        skyshade.index_catalog(write("e.parquet", seed=4), out, append=True, aggregate=["vt:mean"])
    with pytest.raises(InputError, match="nowhere holds no index to append to"):
        skyshade.index_catalog(source, tmp_path / "nowhere", append=True)
    assert (out / MANIFEST).read_bytes() == before


def test_an_index_is_replaced_when_that_is_said(tmp_path, write):
    out = tmp_path / "out"
    skyshade.index_catalog(write("a.parquet"), out)
    with pytest.raises(InputError, match="holds an index already: append adds rows to it"):
        skyshade.index_catalog(write("b.parquet", 10), out)
    made = skyshade.index_catalog(write("b.parquet", 10), out, overwrite=True)
    assert rows_of(out).num_rows == 10
    assert [p.name for p in (out / "segments").iterdir()] == [made.segments[0].name]


def test_work_folder_of_choice_is_emptied(tmp_path, write):
    (tmp_path / "scratch").mkdir()
    skyshade.index_catalog(write("a.parquet"), tmp_path / "out", work=tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert rows_of(tmp_path / "out").num_rows == 500


def test_work_folder_on_another_disk(tmp_path, write):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk at /dev/shm")
    skyshade.index_catalog(write("a.parquet"), tmp_path / "out", work=other)
    assert rows_of(tmp_path / "out").num_rows == 500


def test_others_may_read_an_index(tmp_path, write):
    skyshade.index_catalog(write("a.parquet"), tmp_path / "out")
    (tmp_path / "plain").touch()
    usual = (tmp_path / "plain").stat().st_mode
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert {p.stat().st_mode for p in files} == {usual}


def test_what_an_unfinished_build_left_is_removed_by_another(tmp_path, write, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("skyshade.index.build.assemble", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            skyshade.index_catalog(write("a.parquet"), out)
    (left,) = (p.name for p in (out / "segments").iterdir())
    made = skyshade.index_catalog(write("b.parquet", 10), out)
    assert made.segments[0].name != left
    assert [p.name for p in (out / "segments").iterdir()] == [made.segments[0].name]


def test_an_index_that_another_build_changed_is_left_alone(tmp_path, write, monkeypatch):
    out = tmp_path / "out"
    skyshade.index_catalog(write("a.parquet"), out)
    other = (out / MANIFEST).read_bytes().replace(b'"title": "a"', b'"title": "b"')

    def meanwhile(*_):
        (out / MANIFEST).write_bytes(other)

    with pytest.raises(InputError, match="was changed by another build meanwhile: start again"):
        skyshade.index_catalog(write("b.parquet", seed=2), out, append=True, progress=meanwhile)
    assert (out / MANIFEST).read_bytes() == other


def test_planes_of_another_grid(tmp_path, write):
    out = tmp_path / "out"
    made = skyshade.index_catalog(write("a.parquet"), out, grids=["WebMercatorQuad", "sky"])
    assert made.grids == ("sky", "WebMercatorQuad")
    more = write("b.parquet", seed=2)
    with pytest.raises(InputError, match="the index has planes of sky, WebMercatorQuad"):
        skyshade.index_catalog(more, out, append=True, grids=["hips"])
    assert skyshade.index_catalog(more, out, append=True).grids == made.grids


def test_dask_and_pandas_frames(tmp_path, write):
    import dask.dataframe as dd

    frame = pq.read_table(write("a.parquet")).to_pandas()
    frame["type"] = frame["type"].astype("category")
    skyshade.index_catalog(frame, tmp_path / "pandas", aggregate=["type:category"])
    lazy = dd.from_pandas(frame, npartitions=3)
    made = skyshade.index_catalog([lazy], tmp_path / "dask", aggregate=["type:category"])
    assert made.columns[3].categories == ("galaxy", "star")
    assert rows_of(tmp_path / "pandas")["vt"].equals(rows_of(tmp_path / "dask")["vt"])


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("catalog/NGC-star-clusters.fits", None),
        ("catalog/gll_psc_v16.fit.gz", 3034),
        ("catalog/labels.vot", None),
        ("hats/hats_Npix44.parquet", None),
    ],
)
def test_real_catalogues(tmp_path, shared_data, name, rows):
    source = shared_data / "real" / name
    made = skyshade.index_catalog(source, tmp_path)
    table = skyshade.open_catalog(source).compute()
    ra = rows_of(tmp_path)["_ra"].to_numpy()
    assert made.rows + made.invalid == len(table)
    assert rows is None or made.rows == rows
    assert any("only" in note for note in made.notes) == (rows is not None)
    wanted = table.iloc[:, 0][np.isfinite(table.iloc[:, 0]) & np.isfinite(table.iloc[:, 1])]
    assert np.array_equal(np.sort(ra), np.sort(wanted))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"columns": ["nix"]}, "unknown column of a 'nix'; known: ra, dec, vt, type"),
        ({"aggregate": ["nix:mean"]}, "unknown column of a 'nix'"),
        ({"aggregate": ["type:mean"]}, "column 'type' does not hold numbers (it holds string)"),
        ({"aggregate": ["vt:category"]}, "column 'vt' has more than 32 different values"),
        ({"aggregate": ["vt:median"]}, "reduction 'median' of 'vt:median' is not known; known: "),
        ({"aggregate": ["vt"]}, "aggregate 'vt' is not allowed: give COLUMN:REDUCTION"),
        ({"grids": ["nix"]}, "unknown grid 'nix'; known: sky, "),
        ({"grids": ["WorldCRS84Quad"]}, "is the mirror image of 'sky' and has its planes"),
        ({"append": True, "overwrite": True}, "append and overwrite exclude each other"),
    ],
)
def test_refusals(tmp_path, write, how, said):
    with pytest.raises(InputError) as error:
        skyshade.index_catalog(write("a.parquet"), tmp_path / "out", **how)
    assert said in str(error.value)
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_items_that_cannot_be_indexed(tmp_path, write, shared_data):
    with pytest.raises(InputError, match=r"no file fits '.*none-\*"):
        skyshade.index_catalog(str(tmp_path / "none-*.parquet"), tmp_path / "out")
    with pytest.raises(InputError, match="no catalogue to index"):
        skyshade.index_catalog([], tmp_path / "out")
    image = shared_data.parent / "data" / "real" / "car"
    with pytest.raises(DataError, match="holds no catalogue"):
        skyshade.index_catalog(next(image.glob("*.fits*")), tmp_path / "out")
    with pytest.raises(InputError, match="is a file: an index is a folder"):
        skyshade.index_catalog(write("a.parquet"), write("b.parquet"))
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        skyshade.index_catalog(write("a.parquet"), write("b.parquet") / "below")
    odd = write("odd.parquet", more=np.zeros(500))
    with pytest.raises(DataError, match=r"odd\.parquet: it has column 'more', a has not"):
        skyshade.index_catalog([write("a.parquet"), odd], tmp_path / "out")
    with pytest.raises(DataError, match=r"a\.parquet: it lacks column 'more' of odd"):
        skyshade.index_catalog([odd, write("a.parquet")], tmp_path / "out")
    text = write("text.parquet", vt=["x"] * 500)
    with pytest.raises(DataError, match=r"the tables have different columns: .*vt"):
        skyshade.index_catalog([write("a.parquet"), text], tmp_path / "out")


def test_types_of_several_files_are_joined(tmp_path, write):
    wide = write("wide.parquet", vt=np.full(500, 0.1))
    skyshade.index_catalog([write("a.parquet"), wide], tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert rows.schema.field("vt").type == pa.float64()
    assert rows["vt"].to_pylist().count(0.1) == 500


def test_two_builds_in_one_place_exclude_each_other(tmp_path, write):
    from skyshade.index.work import Work, work_folder
    from skyshade.storage.folders import Folder

    out = Folder(tmp_path / "out")
    place = Work(work_folder(out, None, shared=False))
    with place.locked(), pytest.raises(InputError, match="another process is building in"):
        skyshade.index_catalog(write("a.parquet"), tmp_path / "out")


def test_aggregates():
    found = parse_aggregates(["vt:mean,sum,std", "count", "a:b:min", "vt:count", "t:category"])
    assert found == [
        State("sum", "vt"),
        State("moments", "vt"),
        State("min", "a:b"),
        State("present", "vt"),
        State("category", "t"),
    ]
