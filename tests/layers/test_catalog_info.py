from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.geometry import SKY
from skyshade.geometry.keys import keys_of
from skyshade.index.facts import tally
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.catalog_info import sampled_densities
from skyshade.types import ALL_SKY, Coverage, Window
from tests.layers.tables import ArrayTable, sphere


def coverage_of(ra: np.ndarray, dec: np.ndarray) -> Coverage:
    return tally(np.sort(keys_of(ra, dec)), ra, dec).coverage


@pytest.mark.parametrize(
    ("ra", "expected"),
    [
        ([10.0, 20.0, 15.0], (20.0, 10.0)),
        ([350.0, 10.0, 0.0], (370.0, 350.0)),
        ([359.95, 0.0, 0.05], (360.05, 359.95)),
        ([42.0], (42.0, 42.0)),
        ([0.0, 90.0, 180.0, 270.0], (270.0, 0.0)),  # of equal holes the first is kept out
    ],
)
def test_right_ascensions_covered(ra: list[float], expected: tuple[float, float]) -> None:
    found = coverage_of(np.array(ra), np.linspace(-5, 5, len(ra)))
    if len(ra) == 4:
        assert found.ra_east - found.ra_west == pytest.approx(270)
    else:
        assert found[:2] == pytest.approx(expected)
    assert (found.dec_min, found.dec_max) == (-5, 5 if len(ra) > 1 else -5)


@given(st.floats(0, 359.999), st.floats(0.01, 355))
def test_coverage_is_right_wherever_it_begins(west: float, width: float) -> None:
    ra = (west + np.linspace(0, width, 4000)) % 360
    found = coverage_of(ra, np.zeros(4000))
    assert found.ra_east - found.ra_west == pytest.approx(width, abs=1e-9)
    assert (found.ra_west - west + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    assert 0 <= found.ra_west < 360


def test_whole_sky_and_no_rows() -> None:
    ra, dec = sphere(20_000)
    found = coverage_of(ra, dec)
    assert (found.ra_east, found.ra_west) == (360, 0)
    assert coverage_of(np.empty(0), np.empty(0)) == ALL_SKY


def test_info() -> None:
    ra, dec = sphere(120)
    ra[50], dec[60], dec[70] = np.nan, np.inf, 90.5
    kinds = np.array(["x", "y", "x"] * 40, object)
    table = ArrayTable(ra, dec, {"vt": ra, "kind": kinds, "id": np.arange(120)}, name="my stars")
    info = CatalogLayer(table, id="s", where="vt < 200").info
    assert (info.id, info.title, info.kind, info.size) == ("s", "my stars", "catalog", "120 rows")
    assert (info.units, info.quantity) == ("1 / deg2", "surface density")
    assert info.columns == ("vt", "kind", "id")
    assert info.categories == ("kind",)
    assert info.notes == (
        "ra, dec from arrays",
        "3 of 120 rows have no valid position",
        "only rows where vt < 200",
    )
    assert (info.max_zoom, info.resolution) == (8, SKY.pixel_size(8))
    assert (info.style.cmap, info.style.stretch) == ("bone", "asinh")


def test_one_row_is_written_as_one() -> None:
    info = CatalogLayer(ArrayTable([np.nan], [0.0]), id="s").info
    assert info.size == "1 row"
    assert "1 of 1 rows has no valid position" in info.notes


def test_dense_catalogues_can_be_zoomed_deeper() -> None:
    rng = np.random.default_rng(2)
    spread = ArrayTable(180 + rng.uniform(0, 0.1, 5000), rng.uniform(0, 0.1, 5000))
    zoom = CatalogLayer(spread, id="dense").info.max_zoom
    assert 12 <= zoom <= 18
    twins = ArrayTable(np.repeat(spread.ra, 2), np.repeat(spread.dec, 2))
    assert CatalogLayer(twins, id="twins").info.max_zoom == zoom  # equal positions never part


def test_small_catalogues_are_not_zoomed_for_ever() -> None:
    assert CatalogLayer(ArrayTable([10.0], [0.0]), id="one").info.max_zoom == 8
    pair = ArrayTable([10.0, 10.0001, 50.0], [0.0, 0.0, 3.0])
    assert CatalogLayer(pair, id="pair").info.max_zoom == 8


@pytest.mark.parametrize("n", [0, 1, 7, 300, 100_000])
def test_pixels_of_the_sampling_level_hold_eight_rows(n: int) -> None:
    keys = CatalogLayer(ArrayTable(*sphere(n)), id="n")._index.base.keys
    z = CatalogLayer(ArrayTable(*sphere(n)), id="n")._index.facts.level
    assert -5 <= z <= 12
    occupied = np.unique(keys >> (2 * (22 - z))).size
    assert occupied * 8 <= n or z == -5
    assert n == 0 or np.unique(keys >> (2 * (21 - z))).size * 8 > n


def test_sampled_densities_are_the_same_at_pole_and_equator() -> None:
    layer = CatalogLayer(ArrayTable(*sphere(400_000)), id="even")
    view = layer._index.base
    densities = sampled_densities(*view.cells(view.level), view.level)
    mean = 400_000 / 41253
    assert np.median(densities) == pytest.approx(mean, rel=0.05)
    assert densities.max() < 5 * mean  # single rows near the poles do not stand out
    found = layer.statistics()
    assert found.percentiles["50"] == pytest.approx(mean, rel=0.05)
    assert found.exact


def test_value_is_the_local_density() -> None:
    layer = CatalogLayer(ArrayTable(*sphere(400_000)), id="even")
    for ra, dec in [(0.0, 0.0), (123.0, 60.0), (359.999, -45.0)]:
        value = layer.value(ra, dec)
        assert value is not None
        assert 3 < value < 30
    assert layer.value(0.0, 91.0) is None
    assert layer.value(np.nan, 0.0) is None
    mean = layer.select(reduction="count").value(123.0, 60.0)
    assert mean == int(mean or 0) > 0


def test_values_of_columns_and_categories() -> None:
    ra, dec = sphere(400)
    columns = {"vt": np.full(400, 7.5), "kind": np.array(["a", "b"] * 200, object)}
    layer = CatalogLayer(ArrayTable(ra, dec, columns, units={"vt": "mag"}), id="v")
    mean = layer.select(column="vt")
    assert mean.value(ra[20], dec[20]) == 7.5
    assert (mean.info.units, mean.info.quantity) == ("mag", "mean of vt")
    assert mean.statistics().percentiles["50"] == 7.5
    assert (layer.select(reduction="count_cat:kind").value(ra[20], dec[20]) or 0) >= 1


def test_milky_way(shared_data: Path) -> None:
    """The bright bulk of Tycho-2 lies along the galactic plane; all rows are there."""
    import pyarrow.parquet as pq

    stars = pq.read_table(shared_data / "real" / "catalog" / "tycho2_lsstlike.parquet")
    ra, dec = (np.degrees(stars[name].to_numpy()) for name in ("coord_ra", "coord_dec"))
    layer = CatalogLayer(ArrayTable(ra % 360, dec), id="tycho2")
    counts = layer.select(reduction="count").compute(Window(SKY, 1, 0, 0, 1024, 512)).values
    assert counts.sum() == 2_031_930
    on_plane, off_plane = layer.value(160.0, -59.0), layer.value(192.9, 27.1)
    assert on_plane is not None
    assert off_plane is not None
    assert on_plane > 2 * off_plane
    percentiles = layer.statistics().percentiles
    assert 2 < percentiles["0.5"] < off_plane < on_plane < 3 * percentiles["99.5"]
    sigma_orionis = layer.nearest(84.68652, -2.60007, 0.01)  # SIMBAD's position
    assert sigma_orionis is not None
    assert sigma_orionis["separation"] < 0.5 / 3600
