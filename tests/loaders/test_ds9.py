"""DS9 region files and regions in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord, PointSkyRegion, Regions

from skyshade.errors import UnsupportedError
from skyshade.loaders import ds9
from skyshade.loaders.api import load
from skyshade.overlays import sources_from_table

HEAD = "# Region file format: DS9 version 4.1\nglobal color=green width=1\n"


def open_text(tmp_path: Path, text: str, name: str = "r.reg"):  # type: ignore[no-untyped-def]
    (tmp_path / name).write_text(text)
    (table,) = load(tmp_path / name).tables
    return table


def test_shapes_labels_and_colours(tmp_path: Path) -> None:
    text = HEAD + (
        "fk5\n"
        "circle(359.5,10.2,2.0) # color=red text={<b>x</b>; y}\n"
        'ellipse(100.5,-20,1800",3600",30) # color=#aabbcc\n'
        "box(17:45:40,-29:00:28,30',60',45)\n"
        "polygon(10,10,20,10,20,20,10,20)\n"
        "point(1,2) # point=x text={pt}\n"
        "# text(30,40) text={Hello}\n"
        "annulus(50,60,30',60')\n"
        "line(350,80,10,85) # line=0 0\n"
    )
    table = open_text(tmp_path, text, "r.txt")  # told by its first line
    shapes = "circle ellipse box polygon point text circle,annulus line"
    assert table.column("shape").tolist() == [s.replace(",", " ") for s in shapes.split()]
    assert table.column("name").tolist()[:2] == ["<b>x</b>; y", ""]
    assert table.column("name").tolist()[4:6] == ["pt", "Hello"]
    assert table.outlines.colours[:4] == ["red", "#aabbcc", "#00ff00", "#00ff00"]
    np.testing.assert_allclose(table.column("width")[:3], [4.0, 1.0, 0.5])
    np.testing.assert_allclose(table.column("height")[:3], [4.0, 2.0, 1.0])
    ra, dec = table.positions()
    assert (ra[2], dec[2]) == pytest.approx((266.416667, -29.007778), abs=1e-4)
    assert np.bincount(table.outlines.rows, minlength=8).tolist() == [1, 1, 1, 1, 0, 0, 2, 1]
    assert not table.notes


@pytest.mark.parametrize("frame", ["galactic", "fk5", "icrs", "ecliptic", "fk4"])
def test_every_sky_frame_becomes_icrs(tmp_path: Path, frame: str) -> None:
    table = open_text(tmp_path, f"{HEAD}{frame}\ncircle(30,40,1d)\n")
    (region,) = Regions.parse(f"{frame}\ncircle(30,40,1d)\n", format="ds9")
    place = region.center.icrs
    ra, dec = table.positions()
    assert (ra[0], dec[0]) == pytest.approx((place.ra.deg, place.dec.deg), abs=1e-9)
    edge = SkyCoord(-table.outlines.u, table.outlines.v, unit="deg")
    np.testing.assert_allclose(edge.separation(place).deg, 1.0, atol=1e-5)  # fk4: E-terms


def test_bad_records_are_skipped_and_counted(tmp_path: Path) -> None:
    text = HEAD + (
        'icrs\ncircle(1,2,3")\nhexagon(1,2,3)\ncircle(abc,1,2)\ncircle(3,4,5") # text={good}\n'
        "image\ncircle(100,100,10)\n"
    )
    table = open_text(tmp_path, text)
    assert table.column("name").tolist() == ["", "good"]
    (note,) = table.notes
    assert note.startswith("3 records were skipped (line 5: ")
    assert "hexagon" in note
    sources = sources_from_table(table, "r")
    assert note in sources.notes
    assert [*sources.names] == ["1", "good"]


def test_a_long_faulty_file_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ds9, "MOST_ALONE", 3)
    table = open_text(tmp_path, HEAD + "icrs\nhexagon(1)\n" + "circle(1,2,3)\n" * 9)
    assert len(table) == 2
    assert "2 records were skipped" in table.notes[0]


@pytest.mark.parametrize("frame", ["image", "physical", ""])
def test_pixels_have_no_place_on_the_sky(tmp_path: Path, frame: str) -> None:
    with pytest.raises(UnsupportedError, match=r"r\.reg: line \d: .*image or physical coordinates"):
        open_text(tmp_path, f"{HEAD}{frame}\ncircle(100,100,10)\n")


@pytest.mark.parametrize("text", ["", "no regions here\n", "icrs\n", "icrs\ncircle(nan,1,2)\n"])
def test_files_without_regions(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnsupportedError, match=r"r\.reg: .*(no regions|finite|line 4)"):
        open_text(tmp_path, HEAD + text)


def test_binary_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.reg").write_bytes(b"\0\1\2" * 100)
    with pytest.raises(UnsupportedError, match=r"r\.reg: not a region file"):
        load(tmp_path / "r.reg")


def test_regions_in_memory() -> None:
    at = SkyCoord(10.0, 20.0, unit="deg")
    first = CircleSkyRegion(at, 1.0 * u.deg, meta={"text": "A"})
    (table,) = load(Regions([first, PointSkyRegion(at)])).tables
    assert table.column("name").tolist() == ["A", ""]
    assert len(load(first).tables[0]) == 1
    pixel = CirclePixelRegion(PixCoord(1, 2), 3)
    (mixed,) = load(Regions([first, pixel])).tables
    assert "1 record was skipped (region 2: a CirclePixelRegion is in image" in mixed.notes[0]
    with pytest.raises(UnsupportedError, match="region 1: a CirclePixelRegion is in image"):
        load(Regions([pixel]))
