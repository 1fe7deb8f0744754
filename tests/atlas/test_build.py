"""From files to an atlas: ids, rejected files, source overlays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from skyshade.atlas import items
from skyshade.atlas.build import open_atlas
from skyshade.atlas.items import slug
from skyshade.errors import DataError


def write_map(path: Path, hdus: int = 1, planes: int = 0) -> Path:
    shape = (planes, 8, 16) if planes else (8, 16)
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---CAR", "DEC--CAR"
    header["CRPIX1"], header["CRPIX2"] = 8.5, 4.5
    header["CRVAL1"], header["CRVAL2"] = 40.0, 0.0
    header["CDELT1"], header["CDELT2"] = -1.0, 1.0
    if planes:
        header["CTYPE3"], header["CRPIX3"], header["CRVAL3"], header["CDELT3"] = "STOKES", 1, 1, 1
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    images = [fits.ImageHDU(data, header, name=f"MAP{n}") for n in range(hdus)]
    images[0] = fits.PrimaryHDU(data, header)
    fits.HDUList(images).writeto(path)
    return path


def write_table(path: Path, rows: int = 5) -> Path:
    names = ("ra", "dec", "mag")
    columns = [fits.Column(n, "D", array=np.linspace(1, 2, rows)) for n in names]
    fits.BinTableHDU.from_columns(columns).writeto(path)
    return path


def ids(atlas) -> list[str]:
    return [entry.id for entry in atlas.entries()]


def test_ids_are_slugs_of_stems(tmp_path):
    a, b = write_map(tmp_path / "Survey Mask.fits"), write_table(tmp_path / "Stars.fits")
    assert ids(open_atlas([a, str(b)])) == ["survey-mask", "stars"]


def test_planes_are_layers_of_their_own(tmp_path):
    atlas = open_atlas([write_map(tmp_path / "iqu.fits", planes=3)])
    assert ids(atlas) == ["iqu-i", "iqu-q", "iqu-u"]
    assert list(atlas.layer("iqu-q").info.planes) == ["I", "Q", "U"]
    assert atlas.layer("iqu-i").value(40.0, 0.0) < atlas.layer("iqu-q").value(40.0, 0.0)
    assert len({atlas.layer(name).version for name in ids(atlas)}) == 3


def test_several_hdus(tmp_path):
    found = ids(open_atlas([write_map(tmp_path / "two.fits", hdus=2)]))
    assert len(found) == 2
    assert len(set(found)) == 2
    assert all(name.startswith("two") for name in found)


def test_a_collision_adds_four_digits(tmp_path):
    (tmp_path / "other").mkdir()
    files = [write_map(tmp_path / "m.fits"), write_map(tmp_path / "other" / "m.fits")]
    first, second = ids(open_atlas(files))
    assert first == "m"
    assert second.startswith("m-")
    assert len(second) == 6
    int(second[2:], 16)
    assert ids(open_atlas(files))[1] == second  # the same in every process


def test_the_same_file_many_times(tmp_path):
    path = write_map(tmp_path / "m.fits")
    assert len(set(ids(open_atlas([path] * 40)))) == 40


def test_one_bad_file_beside_good_ones(tmp_path):
    bad = tmp_path / "bad.fits"
    bad.write_bytes(b"SIMPLE  =    nonsense")
    good = write_map(tmp_path / "good.fits")
    rejected, opened = [], []
    atlas = open_atlas(
        [bad, good, tmp_path / "none.fits", 5],
        on_reject=rejected.append,
        on_layer=opened.append,
    )
    states = {entry.id: entry.state for entry in atlas.entries()}
    assert states["good"] == "ok"
    assert [e.state for e in rejected] == ["rejected"] * 3
    assert [e.id for e in opened] == ["good"]
    assert "bad.fits" in rejected[0].reason
    assert "none.fits" in rejected[1].reason
    assert all("\n" not in e.reason for e in rejected)


def test_an_unforeseen_error_rejects_one_file(tmp_path, monkeypatch, caplog):
    from skyshade.atlas import items

    good, bad = write_map(tmp_path / "good.fits"), write_map(tmp_path / "bad.fits")
    real = items.load

    def load(item, **options):
        if item == bad:
            raise RuntimeError("boom")
        return real(item, **options)

    monkeypatch.setattr(items, "load", load)
    atlas = open_atlas([bad, good])
    assert [e.state for e in atlas.entries()] == ["rejected", "ok"]
    assert "bad.fits: cannot be opened: RuntimeError: boom" in atlas.entry("bad").reason
    assert "boom" in caplog.text


def test_catalogues_are_source_lists_too(tmp_path, monkeypatch):
    monkeypatch.setattr(items, "LIMIT", 20_000)
    sizes = {"small": 5, "big": 10_001, "huge": 20_001}
    atlas = open_atlas([write_table(tmp_path / f"{n}.fits", size) for n, size in sizes.items()])
    assert ids(atlas) == ["small", "big", "huge"]
    assert [s.id for s in atlas.source_lists()] == ["small", "big"]
    assert [s.prominent for s in atlas.source_lists()] == [True, False]
    assert len(atlas.sources("small")) == 5


def test_named_coordinate_columns(tmp_path):
    path = write_table(tmp_path / "t.fits")
    atlas = open_atlas([path], ra="mag", dec="dec")
    assert atlas.entry("t").state == "ok"
    (refused,) = open_atlas([path], ra="nope", dec="dec").entries()
    assert refused.state == "rejected"
    assert "nope" in refused.reason


def test_boxes(tmp_path, caplog):
    path = tmp_path / "boxes.json"
    good = {"name": "a", "ra_east": 10, "ra_west": 350, "dec_min": 0, "dec_max": 1}
    path.write_text(json.dumps([good, {"name": "b"}]))
    atlas = open_atlas([], boxes=path)
    assert [b.name for b in atlas.boxes()] == ["a"]
    assert "record 2" in caplog.text
    path.write_text("{}")
    with pytest.raises(DataError, match=r"boxes\.json"):
        open_atlas([], boxes=path)


@given(st.text(max_size=120))
def test_slugs_are_safe_in_addresses(text):
    made = slug(text)
    assert 1 <= len(made) <= 80
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert ".." not in made
    assert slug(made) == made


def test_bad_files_of_the_shared_data(shared_data):
    folder = shared_data / "bad"
    files = sorted(p for p in folder.iterdir() if p.suffix != ".md")
    atlas = open_atlas(files)
    control = atlas.layer("ok_control")
    assert control.statistics().n_valid > 0
    for entry in atlas.entries():
        assert entry.layer is not None or entry.reason
        assert "\n" not in entry.reason
