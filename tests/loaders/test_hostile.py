"""Every file of shared/data: hostile ones give one line or an image, never anything else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skyshade.errors import DataError
from skyshade.loaders.api import load

# What each bad file gives: "image", "table", or words of the one-line reason.
BAD = {
    "ok_control.fits": "image",
    "all_nan.fits": "image",
    "mixed_inf_huge.fits": "image",
    "bscale_overflow.fits": "image",
    "blank_int.fits": "image",
    "wcs_flipped.fits": "image",
    "bunit_bad.fits": "image",
    "hdr_nonascii.fits": "image",
    "hdr_html_injection.fits": "image",
    "trunc_data_50.fits": "image",
    "real_checksum_false.fits": "image",
    "real_header_newlines.fits": "image",
    "real_nocdelt.fits": "image",
    "cat_bad_coords.fits": "table",
    "trunc_header.fits": "truncated: 0 of",
    "empty.fits": "empty file (0 bytes)",
    "not_fits.fits": "not a FITS file: begins with '<html>",
    "naxis_lie_bigger.fits": "truncated: 132480 of 4194304 bytes",
    "naxis_petabyte.fits": "truncated: 132480 of 6400000000000000 bytes",
    "naxis_negative.fits": "NAXIS2 = -128",
    "naxis_zero_axis.fits": "no data",
    "bitpix_bad.fits": "BITPIX = 17",
    "no_wcs.fits": "no celestial WCS",
    "wcs_cdelt0.fits": "singular",
    "wcs_crval_nan.fits": "CRVAL1",
    "wcs_one_celestial.fits": "celestial axes",
    "wcs_unknown_proj.fits": "XYZ",
    "hdr_100k_cards.fits.gz": "header too large",
    "gzip_bomb.fits.gz": "image",
    "gzip_truncated.fits.gz": "truncated",
    "rice_corrupt.fits.fz": "no celestial WCS",
    "rice_unknown_algo.fits.fz": "unknown compression 'EVIL_9'",
    "hpx_wrong_npix.fits": "NSIDE = 32 needs 12288",
    "billion_laughs.vot": "holds a DOCTYPE or entities",
    "xinclude_stream.vot": "STREAM refers to 'file:///etc/passwd'",
    "parquet_trunc.parquet": "broken Parquet file",
    "parquet_no_coords.parquet": "columns: a, b",
    "real_zerowidth.fits": "no data",
    "real_lzw.fits.Z": "LZW",
    "real_blank.fits": "no celestial WCS",
    "real_invalid_header.hdr": "without END",
    "real_outside_sky.hdr": "without END",
    "real_nonstandard_units.hdr": "not FITS",
    "real_unit.hdr": "truncated",
    "real_nonstandard_units.xml": "columns: Flux",
    "real_no_resource.xml": "no table in the VOTable",
    "real_too_many_columns.xml.gz": "more columns than are defined",
    "real_go1520120601.fits.gz": "columns: ",
    "real_badMPE.fits": "no celestial WCS",
    "real_issue49test.fits": "no data",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file(shared_data: Path, name: str) -> None:
    path = shared_data / "bad" / name
    if BAD[name] not in ("image", "table"):
        with pytest.raises(DataError) as caught:
            load(path)
        assert BAD[name] in str(caught.value)
        assert str(caught.value).startswith(name)
        assert "\n" not in str(caught.value)
        return
    loaded = load(path)
    assert BAD[name] == ("image" if loaded.images else "table")
    for image in (i for planes in loaded.images for i in planes):
        ny, nx = image.reader.shape
        step = max(1, ny * nx >> 22)
        box = image.reader.read(0, ny, 0, nx, step)
        assert box.shape == (-(-ny // step), -(-nx // step))
        assert not np.isinf(box).any()
        assert (image.title + image.units).isprintable()
    for table in loaded.tables:
        assert all(len(table.column(c)) == len(table) for c in table.columns)
        table.positions()


def test_every_bad_file_is_listed(shared_data: Path) -> None:
    names = {p.name for p in (shared_data / "bad").iterdir()} - {"MANIFEST.md"}
    assert names == set(BAD)


def test_values_of_odd_files(shared_data: Path) -> None:
    def pixels(name: str) -> np.ndarray:
        return load(shared_data / "bad" / name).images[0][0].reader.read(0, 999, 0, 999)

    control = pixels("ok_control.fits")
    assert np.isfinite(control).all()
    half = pixels("trunc_data_50.fits")
    kept = np.isfinite(half)
    assert kept.sum() == 64_800 // 4
    np.testing.assert_array_equal(half[kept], control[kept])
    assert np.isnan(pixels("all_nan.fits")).all()
    assert 0 < np.isnan(pixels("blank_int.fits")).sum() < 256 * 128
    (huge,) = load(shared_data / "bad" / "bscale_overflow.fits").images[0]
    assert huge.notes == (
        "BSCALE = 1e+305, BZERO = 1e+308: values beyond 3.4e38 are shown as missing",
    )
    ra, dec = load(shared_data / "bad" / "cat_bad_coords.fits").tables[0].positions()
    assert (np.isfinite(ra) == np.isfinite(dec)).all()
    assert np.isfinite(ra).sum() == 1


GREEDY = {
    "naxis_petabyte.fits": (1.0, 50),
    "gzip_bomb.fits.gz": (5.0, 300),
    "hdr_100k_cards.fits.gz": (5.0, 100),
    "billion_laughs.vot": (1.0, 50),
    "rice_corrupt.fits.fz": (5.0, 100),
}
_MEASURE = """
import json, resource, sys, time
from skyshade.errors import DataError
from skyshade.loaders.api import load
load(sys.argv[2])
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    load(sys.argv[1])
except DataError:
    pass
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([time.process_time() - start, grown / 1024]))
"""


@pytest.mark.parametrize("name", GREEDY)
def test_time_and_memory(shared_data: Path, name: str) -> None:
    bad = shared_data / "bad"
    command = [sys.executable, "-c", _MEASURE, str(bad / name), str(bad / "ok_control.fits")]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    seconds, megabytes = json.loads(found.stdout)
    assert seconds < GREEDY[name][0]
    assert megabytes < GREEDY[name][1]


# Of real files: (images of planes, tables), or words of the reason.
REAL = {
    "car/MM_unlensed_071123.fits": ([3], 0),
    "car/bexpmap_01.fits": ([5], 0),
    "car/gc_bolocam_gps.fits": ([1], 0),
    "car/gc_msx_e.fits": ([1], 0),
    "car/spitzer_example_image.fits": ([1], 0),
    "car/surveyMask.fits.gz": ([1], 0),
    "car/wmap_W_iqu_car_derived.fits": ([3], 0),
    "image/HorseHead.fits": ([1], 0),
    "image/M13_blue_0001.fits": "no celestial WCS",
    "image/allsky_rosat.fits": ([1], 0),
    "image/gc_2mass_k.fits": ([1], 0),
    "image/herschel_spire.fits.gz": ([1, 1, 1], 0),
    "image/nocdelt.fits": ([3], 0),
    "image/reprojected_sdss_i.fits.bz2": ([1], 0),
    "image/test_image.fits": ([1], 0),
    "catalog/E-D56Clusters.fits": ([], 1),
    "catalog/NGC-star-clusters.fits": ([], 1),
    "catalog/gaia-chunk-05483.fits": ([], 1),
    "catalog/gll_psc_v16.fit.gz": ([], 3),
    "catalog/labels.vot": ([], 1),
    "catalog/tycho2_lsstlike.parquet": ([], 1),
    "fz/m13.fits": ([1], 0),
    "fz/m13_gzip.fits": ([1], 0),
    "fz/m13_hcomp.fits": ([1], 0),
    "fz/m13_plio.fits": ([1], 0),
    "fz/m13_rice.fits": ([1], 0),
    "cube/M17_SWex_unittest.fits": ([5], 0),
    "cube/fermi-3fhl-gc-counts-cube.fits.gz": ([11], 0),
    "cube/l1448_13co.fits": ([53], 0),
    "hats/hats_Npix44.parquet": ([], 1),
    "healpix/ligo_simulated.fits.gz": ([], 0),
    "healpix/wmap_band_iqumap_r9_7yr_W_v4_udgraded32.fits": ([], 0),
    "tess/tess-s0001-4-3_107.27_-70.0_5x5_astrocut.fits": ([1], 0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_file(shared_data: Path, name: str) -> None:
    expected = REAL[name]
    if isinstance(expected, str):
        with pytest.raises(DataError) as caught:
            load(shared_data / "real" / name)
        assert expected in str(caught.value)
        return
    loaded = load(shared_data / "real" / name)
    assert ([len(planes) for planes in loaded.images], len(loaded.tables)) == expected
    assert bool(loaded.spheres) == name.startswith("healpix")
    assert not loaded.rejected
    for planes in loaded.images:
        ny, nx = planes[0].reader.shape
        box = planes[0].reader.read(0, ny, 0, nx, 7)
        assert box.shape == (-(-ny // 7), -(-nx // 7))
        assert np.isfinite(box).any()
    for table in loaded.tables:
        ra, dec = table.positions()
        assert np.isfinite(ra).all()
        assert np.isfinite(dec).all()


def test_compressions_agree(shared_data: Path) -> None:
    def pixels(name: str) -> np.ndarray:
        return load(shared_data / "real" / "fz" / name).images[0][0].reader.read(0, 300, 0, 300)

    truth = pixels("m13.fits")
    for method in ("gzip", "rice", "plio", "hcomp"):
        np.testing.assert_array_equal(pixels(f"m13_{method}.fits"), truth)


def test_demo_data(demo_data: Path) -> None:
    planes = load(demo_data / "tycho2_planes.fits").images[0]
    assert [p.plane for p in planes] == ["counts", "mean BT-VT", "mean VT"]
    (counts,) = load(demo_data / "tycho2_counts.fits.fz").images[0]
    assert (counts.units, counts.integer, counts.reader.shape) == ("ct", True, (720, 1440))
    stars = load(demo_data / "tycho2_bright.parquet").tables[0]
    assert len(stars) == 56_993


def test_the_pleiades_are_where_they_are(shared_data: Path) -> None:
    table = load(shared_data / "real" / "catalog" / "tycho2_lsstlike.parquet").tables[0]
    ra, dec = table.positions()
    near = np.hypot((ra - 56.75) * np.cos(np.radians(dec)), dec - 24.12) < 1.0
    assert (table.column("vt")[near] < 8).sum() > 25
    assert table.column("vt")[near].min() == pytest.approx(2.83, abs=0.01)  # Alcyone
