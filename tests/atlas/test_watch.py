"""Files that change after they were opened: looked at by hand, without threads."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skyshade.atlas.atlas import Atlas
from skyshade.atlas.build import Opening
from skyshade.atlas.items import How
from tests.atlas.test_build import ids, write_map, write_table

HERE = (40.0, 0.0)


class Watched:
    """An atlas and a hand that looks at its files."""

    def __init__(self, *items: object) -> None:
        self.atlas = Atlas()
        self._opening = Opening(items, How(), atlas=self.atlas)
        self._opening.run()
        self.news = self.atlas.events.subscribe()

    def look(self, times: int = 2) -> None:
        """Look at the files; a change is believed at the second look."""
        for _ in range(times):
            self._opening._watch.look()

    def states(self) -> list[str]:
        return [entry.state for entry in self.atlas.entries()]


def constant(path: Path, value: float, shape: tuple[int, int] = (8, 16)) -> Path:
    """Write a map of one value, in place when it is there."""
    header = fits.getheader(write_map(path.with_suffix(".tmp")))
    fresh = fits.PrimaryHDU(np.full(shape, value, np.float32), header)
    path.with_suffix(".tmp").unlink()
    data = path.with_suffix(".new")
    fresh.writeto(data, overwrite=True)
    content = data.read_bytes()
    data.unlink()
    path.write_bytes(content)
    return path


def replace(path: Path, value: float, **more: object) -> None:
    """Put a new file in the place of the old, as careful programmes do."""
    constant(path.with_name("other.fits"), value, **more).replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return constant(tmp_path / "m.fits", 1.0)


def test_nothing_happens_to_files_that_rest(path: Path) -> None:
    watched = Watched(path)
    before = watched.atlas.layer("m")
    watched.look(5)
    assert watched.atlas.layer("m") is before
    assert watched.news.drain() == []


@pytest.mark.parametrize("change", [replace, constant])
def test_a_changed_file_is_another_layer_of_the_same_id(path: Path, change) -> None:
    watched = Watched(path)
    before = watched.atlas.layer("m").version
    change(path, 2.0)
    watched.look()
    layer = watched.atlas.layer("m")
    assert layer.value(*HERE) == 2.0
    assert layer.version != before
    assert watched.news.drain() == [
        {"type": "layer", "id": "m", "state": "ok", "reason": "", "version": layer.version}
    ]


def test_a_change_is_believed_when_it_rests(path: Path) -> None:
    watched = Watched(path)
    replace(path, 2.0)
    watched.look(1)
    assert watched.atlas.layer("m").value(*HERE) == 1.0
    replace(path, 3.0)
    watched.look(1)
    assert watched.atlas.layer("m").value(*HERE) == 1.0
    watched.look(1)
    assert watched.atlas.layer("m").value(*HERE) == 3.0


def test_a_file_that_never_rests_is_read_in_the_end(path: Path) -> None:
    watched = Watched(path)
    for value in range(2, 9):
        replace(path, float(value))
        watched.look(1)
    assert watched.atlas.layer("m").value(*HERE) > 2.0


def test_another_shape_and_place(path: Path) -> None:
    watched = Watched(path)
    replace(path, 2.0, shape=(4, 4))
    watched.look()
    assert watched.atlas.layer("m").info.size == "4 x 4"


def test_a_truncated_file_degrades_and_comes_back(path: Path) -> None:
    watched = Watched(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    watched.look()
    (entry,) = watched.atlas.entries()
    assert entry.state == "degraded"
    assert "m.fits" in entry.reason
    assert "\n" not in entry.reason
    assert entry.layer is not None
    path.write_bytes(whole)
    watched.look()
    assert watched.states() == ["ok"]
    assert watched.atlas.layer("m").value(*HERE) == 1.0
    assert [e.get("state") for e in watched.news.drain()] == ["degraded", "ok"]


def test_a_file_that_is_gone_is_shown_until_it_is_back(path: Path) -> None:
    watched = Watched(path)
    kept = path.rename(path.with_name("kept"))
    watched.look()
    assert watched.states() == ["degraded"]
    assert "gone" in watched.atlas.entry("m").reason
    assert watched.atlas.layer("m").value(*HERE) == 1.0
    kept.rename(path)
    watched.look()
    assert watched.states() == ["ok"]


def test_a_file_that_was_bad_at_first(tmp_path: Path, path: Path) -> None:
    late = tmp_path / "late.fits"
    watched = Watched(late, path)
    assert watched.states() == ["rejected", "ok"]
    constant(late, 5.0)
    watched.look()
    assert ids(watched.atlas) == ["late", "m"]
    assert watched.atlas.layer("late").value(*HERE) == 5.0


def test_planes_come_and_go(tmp_path: Path) -> None:
    path = write_map(tmp_path / "iqu.fits", planes=3)
    stars = write_table(tmp_path / "stars.fits")
    watched = Watched(path, stars)
    path.unlink()
    write_map(path)
    watched.look()
    assert ids(watched.atlas) == ["iqu", "iqu-i", "iqu-q", "iqu-u", "stars"]
    assert watched.states() == ["ok", "rejected", "rejected", "rejected", "ok"]
    assert "no longer in the file" in watched.atlas.entry("iqu-q").reason
    assert {"type": "layers"} in watched.news.drain()
    path.unlink()
    write_map(path, planes=3)
    watched.look()
    assert [e.id for e in watched.atlas.entries() if e.state == "ok"] == [
        *("iqu-i", "iqu-q", "iqu-u", "stars")
    ]


def test_an_id_with_digits_stays(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = constant(tmp_path / "m.fits", 1.0)
    two = constant(tmp_path / "other" / "m.fits", 2.0)
    watched = Watched(one, two)
    before = ids(watched.atlas)
    replace(two, 3.0)
    watched.look()
    replace(one, 4.0)
    watched.look()
    assert ids(watched.atlas) == before
    assert [watched.atlas.layer(name).value(*HERE) for name in before] == [4.0, 3.0]


def test_catalogues_are_read_anew(tmp_path: Path) -> None:
    path = write_table(tmp_path / "stars.fits")
    watched = Watched(path)
    write_table(tmp_path / "more.fits", 7).replace(path)
    watched.look()
    assert watched.atlas.layer("stars").info.size == "7 rows"
    assert len(watched.atlas.sources("stars")) == 7


def test_packed_files_are_shown_from_their_copy(tmp_path: Path) -> None:
    packed(path := tmp_path / "p.fits.gz", 2.0)
    watched = Watched(path)
    assert watched.atlas.layer("p").value(*HERE) == 2.0
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    watched.look()
    assert watched.states() == ["degraded"]
    assert watched.atlas.layer("p").value(*HERE) == 2.0  # from the decoded copy


def packed(path: Path, value: float) -> None:
    """Write a constant map in the way that the ending says."""
    plain = constant(path.with_name("plain.fits"), value)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
        return
    with fits.open(plain) as hdus:
        image = fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type="GZIP_1")
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(path.with_name("new"), overwrite=True)
    path.write_bytes(path.with_name("new").read_bytes())


@pytest.mark.parametrize("ending", ["gz", "fz"])
def test_decoded_pixels_are_not_taken_for_those_of_a_new_file(tmp_path: Path, ending: str) -> None:
    """What was kept of the old version must never be served under the name of the new."""
    path = tmp_path / f"p.fits.{ending}"
    packed(path, 1.0)
    watched = Watched(path)
    old = watched.atlas.layer("p")
    before = old.version
    assert old.value(*HERE) == 1.0
    packed(path, 2.0)
    assert (old.version, old.value(*HERE)) == (before, 1.0)
    watched.look()
    assert watched.atlas.layer("p").version != before
    assert watched.atlas.layer("p").value(*HERE) == 2.0


def test_a_folder_in_the_place_of_the_file(path: Path) -> None:
    watched = Watched(path)
    path.unlink()
    path.mkdir()
    watched.look()
    assert watched.states() == ["degraded"]
    shutil.rmtree(path)


def test_objects_are_not_watched(path: Path) -> None:
    with fits.open(path) as hdus:
        watched = Watched(fits.PrimaryHDU(hdus[0].data, hdus[0].header))
    path.unlink()
    watched.look()
    assert watched.states() == ["ok"]


def test_it_looks_by_itself_until_it_is_stopped(path: Path, monkeypatch) -> None:
    monkeypatch.setattr("skyshade.atlas.watch.INTERVAL", 0.02)
    watched = Watched(path)
    watch = watched._opening._watch
    watch.start()
    watch.start()
    replace(path, 2.0)
    assert watched.news.wait(20)[0]["id"] == "m"
    watch.stop()
    watch.stop()
    replace(path, 3.0)
    assert watched.news.wait(0.2) == []
