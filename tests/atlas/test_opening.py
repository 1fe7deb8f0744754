"""Opening in the background, config files as items, layers as items, `open_layers`."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import skyshade
from skyshade.atlas.atlas import MANY
from skyshade.atlas.build import Opening, open_atlas, open_layer, open_layers
from skyshade.atlas.items import How
from skyshade.errors import DataError, InputError, UnknownNameError
from tests.atlas.test_build import ids, write_map, write_table
from tests.atlas.test_watch import HERE, Watched, constant, replace


def test_the_first_layer_is_there_before_the_others(tmp_path: Path) -> None:
    gate = threading.Event()

    def items():
        yield tmp_path / "absent.fits"
        yield write_map(tmp_path / "one.fits")
        assert gate.wait(20)
        yield write_map(tmp_path / "two.fits")

    opening = Opening(items(), How())
    with opening.atlas.events.subscribe() as news:
        opening.start()
        assert opening.wait_first()
        assert ids(opening.atlas) == ["absent", "one"]
        assert not opening.done
        gate.set()
        opening.wait()
        assert ids(opening.atlas) == ["absent", "one", "two"]
        assert {"type": "layers"} in news.drain()


@pytest.mark.parametrize("config", [False, True])
def test_many_files_wait_until_the_first_is_shown(tmp_path: Path, config: bool) -> None:
    files = [tmp_path / "absent.fits", write_map(tmp_path / "one.fits")]
    files += [tmp_path / f"absent{n}.fits" for n in range(MANY)]
    if config:
        lines = "".join(f'[[files]]\npath = "{path.name}"\n' for path in files)
        files = [tmp_path / "all.toml"]
        files[0].write_text(lines)
    shown, calls = threading.Event(), []
    opening = Opening(files, How(), hold=lambda: calls.append(shown.wait(20)))
    opening.start()
    assert opening.wait_first(0.2)
    assert ids(opening.atlas) == ["absent", "one"]
    shown.set()
    opening.wait()
    assert len(opening.atlas) == MANY + 2
    assert calls == [True]


def test_few_files_do_not_wait(tmp_path: Path) -> None:
    files = [write_map(tmp_path / f"m{n}.fits") for n in range(3)]
    Opening(files, How(), hold=lambda: pytest.fail("held")).run()


def test_no_layer_at_all(tmp_path: Path) -> None:
    opening = Opening([tmp_path / "a.fits", tmp_path / "b.fits"], How())
    opening.start()
    assert not opening.wait_first(5.0)
    assert opening.done
    assert len(opening.atlas) == 2


def test_order_is_that_of_the_files(tmp_path: Path) -> None:
    files = [write_map(tmp_path / f"m{n}.fits") for n in (5, 3, 9, 1)]
    opening = Opening(files, How())
    opening.start()
    opening.wait()
    assert ids(opening.atlas) == ["m5", "m3", "m9", "m1"]


def test_stopping_opens_no_further_file(tmp_path: Path) -> None:
    def items():
        for n in range(1000):
            if n == 2:
                opening.stop()
            yield write_map(tmp_path / f"m{n}.fits")

    opening = Opening(items(), How())
    opening.run()
    assert ids(opening.atlas) == ["m0", "m1"]


CONFIG = """
title = "Two and their difference"
[[files]]
path = "maps/*.fits"
[[layers]]
id = "difference"
expression = "(b - a) / 2"
of = { a = "a", b = "b" }
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "maps").mkdir()
    constant(tmp_path / "maps" / "a.fits", 1.0)
    constant(tmp_path / "maps" / "b.fits", 5.0)
    path = tmp_path / "survey.toml"
    path.write_text(CONFIG)
    return path


def test_a_config_file_is_an_item(config: Path, tmp_path: Path) -> None:
    atlas = open_atlas([config, write_table(tmp_path / "stars.fits")])
    assert ids(atlas) == ["a", "b", "difference", "stars"]
    assert atlas.title == "Two and their difference"
    assert atlas.layer("difference").value(*HERE) == 2.0


def test_a_bad_config_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "survey.toml"
    path.write_text("title = [")
    (entry,) = open_atlas([path]).entries()
    assert (entry.id, entry.state) == ("survey", "rejected")
    assert entry.reason.startswith("survey.toml: is not TOML")


def test_what_is_made_of_a_changed_file_is_made_again(config: Path) -> None:
    watched = Watched(config)
    before = watched.atlas.layer("difference").version
    replace(config.parent / "maps" / "b.fits", 9.0)
    watched.look()
    assert watched.atlas.layer("difference").value(*HERE) == 4.0
    assert watched.atlas.layer("difference").version != before
    assert [e["id"] for e in watched.news.drain()] == ["b", "difference"]
    assert ids(watched.atlas) == ["a", "b", "difference"]


def test_a_changed_config_file(config: Path) -> None:
    watched = Watched(config)
    config.write_text(CONFIG.replace("(b - a) / 2", "b - a"))
    watched.look()
    assert watched.atlas.layer("difference").value(*HERE) == 4.0
    config.write_text("title = [")
    watched.look()
    assert watched.atlas.entry("difference").state == "degraded"
    assert watched.atlas.layer("difference").value(*HERE) == 4.0


def test_layers_are_items(tmp_path: Path) -> None:
    a, b = (open_layer(constant(tmp_path / f"{n}.fits", v)) for n, v in (("a", 1.0), ("b", 4.0)))
    atlas = open_atlas([a, b, b - a])
    assert ids(atlas)[:2] == ["a", "b"]
    assert atlas.layer("a") is a
    assert len(set(ids(atlas))) == 3
    assert atlas.entries()[2].layer.value(*HERE) == 3.0


def test_a_layer_of_a_taken_name_gets_another(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = open_layer(constant(tmp_path / "m.fits", 1.0))
    two = open_layer(constant(tmp_path / "other" / "m.fits", 2.0))
    atlas = open_atlas([one, two])
    first, second = atlas.entries()
    assert first.layer is one
    assert second.id.startswith("m-")
    assert second.layer.info.id == second.id
    assert two.info.id == "m"
    assert second.layer.value(*HERE) == 2.0


def test_open_layers_is_public(tmp_path: Path) -> None:
    iqu, stars = write_map(tmp_path / "iqu.fits", planes=3), write_table(tmp_path / "stars.fits")
    found = skyshade.open_layers(iqu, stars)
    assert list(found) == ["iqu-i", "iqu-q", "iqu-u", "stars"]
    assert found["stars"].info.kind == "catalog"


def test_one_layer(tmp_path: Path) -> None:
    iqu = write_map(tmp_path / "iqu.fits", planes=3)
    assert skyshade.open_layer(iqu).info.id == "iqu-i"
    assert open_layer(iqu, plane="U").info.quantity == "U"
    with pytest.raises(UnknownNameError, match="'V'; known: I, Q, U"):
        open_layer(iqu, plane="V")
    two = write_map(tmp_path / "two.fits", hdus=2)
    assert open_layer(two, hdu="map1").info.id == open_layer(two, hdu=1).info.id
    with pytest.raises(UnknownNameError, match="MAP7"):
        open_layer(two, hdu="MAP7")


def test_layers_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError, match="at least one"):
        open_layers()
    with pytest.raises(DataError, match=r"none can be shown: .*absent\.fits"):
        open_layers(tmp_path / "absent.fits")
    assert list(open_layers(tmp_path / "absent.fits", write_map(tmp_path / "m.fits"))) == ["m"]
    assert "absent.fits" in caplog.text


def test_healpix_maps_and_pictures_are_layers(shared_data: Path) -> None:
    real = shared_data / "real"
    spheres = open_layers(real / "healpix" / "wmap_band_iqumap_r9_7yr_W_v4_udgraded32.fits")
    assert [layer.info.kind for layer in spheres.values()] == ["healpix"] * 3
    assert [name[-2:] for name in spheres] == ["-i", "-q", "-u"]
    picture = open_layer(real / "avm" / "NGC253ALMA.jpg")
    assert picture.info.kind == "image"
    whole = open_layer(real / "avm" / "MW_2mass.jpg", all_sky="galactic")
    assert (whole.info.projection, whole.info.frame) == ("CAR", "galactic")


def test_a_long_cube_is_one_layer(tmp_path: Path) -> None:
    path = write_map(tmp_path / "cube.fits", planes=65)
    assert ids(open_atlas([path])) == ["cube"]
    assert len(open_layer(path).info.planes) == 65


def test_a_cap_on_what_is_unpacked(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "m.fits.gz"
    path.write_bytes(gzip.compress(write_map(tmp_path / "m.fits").read_bytes()))
    assert np.isfinite(open_layer(path).value(*HERE))
    with pytest.raises(DataError, match=r"m\.fits\.gz.*max_decoded"):
        open_layer(path, max_decoded=3000)
