"""What a build writes, against plain loops over the rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import ChangedError, DataError, InputError
from skyshade.geometry import SKY
from skyshade.geometry.grids import grid_named
from skyshade.geometry.keys import decode, keys_of, tile_key_range
from skyshade.index.facts import tally
from skyshade.index.format import KEY
from skyshade.index.pyramid import children, roots
from skyshade.index.states import label_states
from skyshade.types import DEC, RA, RowBlock, State, Tile
from tests.index.built import ArrowSky, build, sky
from tests.index.skies import brute, values_of

STATES = ("count", "sum:v", "moments:v", "min:v", "max:v", "category:c", "present:v")


@pytest.fixture(scope="module")
def table():
    return sky()


@pytest.fixture(scope="module")
def built(tmp_path_factory, table):
    return build(tmp_path_factory.mktemp("built"), table, STATES)


@pytest.fixture(scope="module")
def ordered(table):
    """The valid rows of the table in key order, by one sort in memory."""
    ra, dec = table.positions()
    valid = np.flatnonzero(np.isfinite(ra))
    keys = keys_of(ra[valid], dec[valid])
    order = np.argsort(keys, kind="stable")
    rows = table.table.take(valid[order])
    return keys[order], rows


def test_rows_are_the_valid_ones_in_key_order(built, ordered):
    keys, rows = ordered
    found = built.rows()
    assert found.column_names == [KEY, RA, DEC, "v", "c", "t", "row"]
    assert found[KEY].to_pylist() == keys.tolist()
    assert found.drop_columns([KEY]).equals(rows.cast(found.drop_columns([KEY]).schema))
    assert (built.segment.rows, built.segment.invalid) == (len(keys), 37)


def test_groups_say_where_the_rows_are(built):
    at = 0
    rows = built.rows()[KEY].to_numpy()
    for record in built.groups:
        file = pq.ParquetFile(built.folder / "rows" / f"{record['leaf']:06d}.parquet")
        keys = file.read_row_group(record["group"], [KEY])[KEY].to_numpy()
        assert (keys[0], keys[-1], keys.size) == (record["first"], record["last"], record["rows"])
        column = file.metadata.row_group(int(record["group"])).column(0)
        assert (column.statistics.min, column.statistics.max) == (keys[0], keys[-1])
        assert "DELTA_BINARY_PACKED" in column.encodings
        assert (keys == rows[at : at + keys.size]).all()
        at += keys.size
    assert at == rows.size
    assert max(built.groups["rows"]) <= 64


def test_exactly_the_tiles_with_many_rows_are_stored(built, ordered):
    keys, _ = ordered
    wanted = set()
    todo = roots()
    while todo:
        tile = todo.pop()
        first, last = np.searchsorted(keys, tile_key_range(tile))
        if last - first > 200:
            wanted.add(tile)
            todo += children(tile) if tile.z < 22 else []
    stored = {tile for tile, _ in built.stored()}
    assert stored == wanted
    assert any(tile.z == 22 for tile in stored)  # of the duplicates
    order = [tuple(r) for r in built.planes[["grid", "state", "z", "cell"]].tolist()]
    assert order == sorted(order)
    assert len(built.planes) == len(STATES) * len(wanted)


@pytest.mark.parametrize("z", range(23))
def test_a_tile_is_stored_or_has_few_rows_in_few_groups(built, ordered, z):
    keys, _ = ordered
    stored = {tile for tile, _ in built.stored()}
    cols, rows = decode(np.unique(keys >> (2 * (22 - z) + 16)))
    for x, y in zip(cols.tolist(), rows.tolist(), strict=True):
        first, end = tile_key_range(Tile(z, x, y))
        inside = np.searchsorted(keys, [first, end])
        if Tile(z, x, y) not in stored:
            assert inside[1] - inside[0] <= 200
            read = (built.groups["first"] < end) & (built.groups["last"] >= first)
            assert np.count_nonzero(read) <= 200 / 64 + 2


@pytest.mark.parametrize("label", STATES[:-1])
def test_planes_equal_the_rows_binned_one_by_one(built, ordered, label):
    (state,) = label_states([label])
    keys, rows = ordered
    ra, dec = rows[RA].to_numpy(), rows[DEC].to_numpy()
    values = np.asarray(rows["v"].to_numpy(zero_copy_only=False), float)
    block = RowBlock(keys, keys, {"v": values}, {"c": rows["c"].to_numpy()})
    for (tile, kind), arrays in built.stored().items():
        if kind != state:
            continue
        found, wanted = values_of(state, arrays), brute(tile, state, block, ra, dec)
        if state.kind in ("count", "category", "min", "max"):
            assert np.array_equal(found, wanted, equal_nan=True), tile
        else:
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_counts_of_a_level_are_all_rows(built):
    stored = built.stored()
    assert sum(int(stored[tile, State("count")].n.sum()) for tile in roots()) == 4000 - 37
    for tile in roots():
        assert (stored[tile, State("present", "v")].n == stored[tile, State("sum", "v")].n).all()


def test_a_parent_is_the_sum_of_its_children(built):
    stored = built.stored()
    count = State("count")
    for (tile, state), arrays in stored.items():
        below = [c for c in children(tile) if (c, count) in stored]
        if state != count or len(below) < 1:
            continue
        for child in below:
            x, y = 128 * (child.x % 2), 128 * (child.y % 2)
            part = arrays.n[y : y + 128, x : x + 128]
            n = stored[child, count].n.astype(int)
            assert (part == n.reshape(128, 2, 128, 2).sum(axis=(1, 3))).all()


def test_tally_and_categories(built, ordered):
    keys, rows = ordered
    wanted = tally(keys, rows[RA].to_numpy(), rows[DEC].to_numpy())
    found = built.segment.tally
    assert (found.rows, found.distinct) == (wanted.rows, wanted.distinct)
    assert (found.occupied == wanted.occupied).all()
    assert (found.west == wanted.west).all()
    assert (found.east == wanted.east).all()
    assert (found.south, found.north) == (wanted.south, wanted.north)
    assert built.found == {"c": [0, 1, 2], "t": ["galaxy", "star"], "row": None}


def test_sample_is_every_nth_row(tmp_path, table, ordered, monkeypatch):
    monkeypatch.setattr("skyshade.index.build.SAMPLE_ROWS", 600)
    built = build(tmp_path, table)
    sample = pq.read_table(built.folder / "sample.parquet")
    assert built.segment.sampled == 7
    assert sample[KEY].to_pylist() == ordered[0][::7].tolist()
    assert sample["row"].to_pylist() == ordered[1]["row"].to_pylist()[::7]
    assert pq.ParquetFile(built.folder / "sample.parquet").metadata.row_group(0).num_rows == 64


@pytest.mark.parametrize("sizes", [{"run_rows": 4000}, {"run_rows": 97}, {"leaf_rows": 10**6}])
def test_size_of_runs_and_leaves_does_not_change_what_is_stored(tmp_path, table, built, sizes):
    other = build(tmp_path, table, STATES, **sizes)
    assert other.rows().equals(built.rows())
    mine, theirs = other.stored(), built.stored()
    assert mine.keys() == theirs.keys()
    for key, arrays in mine.items():
        assert (arrays.n == theirs[key].n).all()
        if arrays.a is not None:
            np.testing.assert_allclose(arrays.a, theirs[key].a, rtol=1e-12)


@pytest.mark.parametrize("workers", [1, 3])
def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path, table, built, workers):
    assert build(tmp_path, table, STATES, workers).bytes() == built.bytes()


def test_bytes_are_the_same_after_an_error_in_the_middle(tmp_path, table, built, monkeypatch):
    from skyshade.index import leaves, runs

    for module, name, allowed in ((runs, "_make", 3), (leaves, "_make", 4)):
        made, true = [], getattr(module, name)

        def fails(job, unit, made=made, true=true, allowed=allowed):
            made.append(unit)
            if len(made) > allowed:
                raise OSError(28, "No space left on device")
            return true(job, unit)

        with monkeypatch.context() as patch:
            patch.setattr(module, name, fails)
            with pytest.raises(OSError, match="No space"):
                build(tmp_path, table, STATES)
    called = []
    with monkeypatch.context() as patch:
        true = runs._make
        patch.setattr(runs, "_make", lambda job, unit: called.append(unit) or true(job, unit))
        again = build(tmp_path, table, STATES)
    assert again.bytes() == built.bytes()
    assert called == []  # all runs were there


def test_another_version_starts_anew(tmp_path, table):
    first = build(tmp_path, table).bytes()
    other = ArrowSky(table.table.slice(0, 1000), version="2")
    assert build(tmp_path, other).rows().num_rows == 1000
    assert build(tmp_path, table).bytes() == first


def test_many_rows_in_one_cell_come_in_pieces(tmp_path):
    ra = np.concatenate([np.full(3000, 10.0), np.full(50, 10.0000001), [200.0]])
    cells = pa.table({RA: ra, DEC: np.zeros(3051), "v": np.arange(3051.0)})
    built = build(tmp_path, ArrowSky(cells), ("count", "sum:v", "moments:v"))
    tile = SKY.tile_of(10.0, 0.0, 22)
    stored = built.stored()
    assert stored[tile, State("count")].n.max() == 3000
    assert stored[tile, State("sum", "v")].a.max() == sum(range(3000))
    assert stored[tile, State("moments", "v")].b.max() == pytest.approx(
        np.var(np.arange(3000)) * 3000, rel=1e-12
    )
    same = built.rows().filter(pa.compute.equal(built.rows()[RA], 10.0))
    assert same["v"].to_pylist() == list(range(3000))  # ties stay in table order
    assert built.segment.tally.distinct == 3


@pytest.fixture(scope="module")
def with_grids(tmp_path_factory, table):
    grids = ("sky", "WebMercatorQuad", "hips", "tan-77")
    states = ("count", "moments:v", "category:c")
    return build(tmp_path_factory.mktemp("grids"), table, states, grids=grids)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_planes_of_other_grids_equal_the_rows_binned_one_by_one(with_grids, ordered, number):
    grid = grid_named(with_grids.job.recipe.grids[number])
    rows = ordered[1]
    ra, dec = rows[RA].to_numpy(), rows[DEC].to_numpy()
    v = np.asarray(rows["v"].to_numpy(zero_copy_only=False), float)
    stored = with_grids.stored(number)
    wanted = {}
    for z in range(min(grid.max_zoom, 22) + 1):
        cols, lines = grid.lattice(ra, dec, z)
        height, width = grid.lattice_shape(z)
        shown = (cols >= 0) & (cols < width) & (lines >= 0) & (lines < height)
        tiles = np.stack([cols[shown] // 256, lines[shown] // 256], axis=1)
        names, counts = np.unique(tiles, axis=0, return_counts=True)
        wanted |= {Tile(z, int(x), int(y)): n for (x, y), n in zip(names, counts, strict=True)}
    assert {tile for tile, _ in stored} == {tile for tile, n in wanted.items() if n > 200}
    assert len(stored) > 20
    for (tile, state), arrays in stored.items():
        cols, lines = grid.lattice(ra, dec, tile.z)
        x, y = cols - 256 * tile.x, lines - 256 * tile.y
        inside = (x >= 0) & (x < 256) & (y >= 0) & (y < 256)
        pixel = (y * 256 + x)[inside]
        if state.kind == "count":
            found = arrays.n.ravel()
        elif state.kind == "category":
            inside &= rows["c"].to_numpy() == 1
            pixel, found = (y * 256 + x)[inside], arrays.n[:, :, 1].ravel()
        else:
            good = ~np.isnan(v[inside])
            sums = np.bincount(pixel[good], v[inside][good], 65536)
            np.testing.assert_allclose((arrays.a * arrays.n).ravel(), sums, atol=1e-8)
            pixel, found = pixel[good], arrays.n.ravel()
        assert (found == np.bincount(pixel, minlength=65536)).all(), tile


def test_other_grids_change_nothing_else(tmp_path, table, with_grids):
    plain = build(tmp_path, table, ("count", "moments:v", "category:c"))
    mine, theirs = plain.bytes(), with_grids.bytes()
    for name, data in mine.items():
        if name not in ("planes.npy", "planes/top.bin"):
            assert theirs[name] == data, name
    assert sorted(set(theirs) - set(mine))[0].startswith("planes/")
    assert with_grids.segment.tally.rows == plain.segment.tally.rows
    assert (with_grids.segment.tally.occupied == plain.segment.tally.occupied).all()


def test_text_and_other_columns_are_kept(tmp_path):
    kinds = pa.array(["a", None, "b", "a"]).dictionary_encode()
    other = pa.table(
        {
            RA: [1.0, 2.0, 3.0, 4.0],
            DEC: [0.0] * 4,
            "kind": kinds,
            "_key": [7, 8, 9, None],
            "when": pa.array([1, 2, None, 4], pa.timestamp("us")),
            "raw": pa.array([b"x", None, b"z", b""]),
            "flag": [True, None, False, True],
        }
    )
    built = build(tmp_path, ArrowSky(other), ("count", "category:kind", "category:flag"))
    rows = built.rows().sort_by(RA)
    assert rows["kind"].to_pylist() == ["a", None, "b", "a"]
    assert rows["_key_2"].to_pylist() == [7, 8, 9, None]
    for name in ("when", "raw", "flag"):
        assert rows[name].to_pylist() == other[name].to_pylist()
    assert built.found["kind"] == ["a", "b"]


def test_new_categories_keep_the_numbers_of_the_old(tmp_path):
    ra = np.full(400, 10.0)
    new = pa.table({RA: ra, DEC: ra, "t": ["b"] * 300 + ["c"] * 100})
    built = build(tmp_path, ArrowSky(new), ("category:t",), known={"t": ["a", "b", "c"]})
    n = built.stored()[roots()[0], State("category", "t")].n
    assert n.sum(axis=(0, 1)).tolist() == [0, 300, 100]
    with pytest.raises(InputError, match="'t' has the new category 'c'; the index counts a, b"):
        build(tmp_path, ArrowSky(new), ("category:t",), known={"t": ["a", "b"]})


def test_errors(tmp_path):
    none = pa.table({RA: [np.nan] * 3, DEC: [1.0] * 3, "i": [1, 2, 3]})
    with pytest.raises(DataError, match="stars: none of its 3 rows has a valid position"):
        build(tmp_path / "a", ArrowSky(none))
    with pytest.raises(DataError, match="stars: it has no rows"):
        build(tmp_path / "b", ArrowSky(none.slice(0, 0)))
    many = pa.table({RA: np.arange(50.0), DEC: np.zeros(50), "i": np.arange(50)})
    with pytest.raises(InputError, match="'i' has more than 32 different values"):
        build(tmp_path / "c", ArrowSky(many), ("category:i",))
    changing = ArrowSky(many)
    versions = iter("123456789")
    changing.version = lambda: next(versions)
    with pytest.raises(ChangedError, match="changed while it was being indexed"):
        build(tmp_path / "d", changing)
    assert not any((tmp_path / name / "work" / "runs").exists() for name in "abc")


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(20, 200))
def test_any_sky(tmp_path_factory, seed, n, threshold):
    table = sky(n, seed, bad=min(n // 2, 5) or 1)
    sizes = {"threshold": threshold, "leaf_rows": threshold, "run_rows": 64}
    built = build(tmp_path_factory.mktemp("any"), table, ("count",), **sizes) if n > 1 else None
    if built is None:
        return
    valid = np.isfinite(table.positions()[0])
    assert sorted(built.rows()["row"].to_pylist()) == np.flatnonzero(valid).tolist()
    ra, dec = (p[valid] for p in table.positions())
    for (tile, _), arrays in built.stored().items():
        block = RowBlock(keys_of(ra, dec), np.arange(ra.size))
        assert (arrays.n == brute(tile, State("count"), block, ra, dec)).all(), Tile(*tile)
