"""Press images: the right pixel at the right place of the sky, and no harm from hostile ones."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.wcs import WCS
from PIL import Image
from pyavm import AVM

from skyshade.errors import DataError, InputError, UnsupportedError
from skyshade.loaders import press, private
from skyshade.loaders.api import load, open_map
from skyshade.loaders.avm import find_packet, place, read_packet
from skyshade.storage import ByteFile
from skyshade.types import SkyImage

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def tan(size: tuple[int, int], turn: float = 0.0) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [83.0, -5.0], [size[0] / 2 + 0.5, size[1] / 2 + 0.5]
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = 0.01 * np.array([[-c, s], [s, c]])
    wcs.wcs.radesys = "ICRS"
    return wcs


def corners(size: tuple[int, int]) -> Image.Image:
    """Return a picture of four colours: red and green above, blue and white below."""
    image = Image.new("RGB", size)
    for k, colour in enumerate(COLOURS.values()):
        x, y = (k % 2) * size[0] // 2, (k // 2) * size[1] // 2
        image.paste(colour, (x, y, x + size[0] // 2, y + size[1] // 2))
    return image


def embed(image: Image.Image, path: Path, avm: AVM, **options: Any) -> Path:
    if path.suffix == ".tif":
        image.save(path, tiffinfo={700: avm.to_xmp()}, **options)
        return path
    bare = path.with_name(f"bare{path.suffix}")
    image.save(bare, **options)
    avm.embed(bare, path)
    return path


def avm_of(size: tuple[int, int], turn: float = 0.0) -> AVM:
    avm = AVM.from_wcs(tan(size, turn), shape=size[::-1])
    if turn > 0:  # pyavm 0.9.9 turns these by another 180 degrees when it writes them
        avm.Spatial.CDMatrix = tan(size, turn).wcs.cd.ravel().tolist()
    avm.Title, avm.Credit = "A <b>title</b>", "Somebody"
    return avm


def pixels(planes: list[SkyImage]) -> np.ndarray:
    ny, nx = planes[0].reader.shape
    return np.stack([p.reader.read(0, ny, 0, nx) for p in planes], axis=-1)


def at(planes: list[SkyImage], ra: float, dec: float) -> list[float]:
    x, y = planes[0].wcs.wcs_world2pix([[ra, dec]], 0)[0].round().astype(int)
    return [float(p.reader.read(y, y + 1, x, x + 1)[0, 0]) for p in planes]


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_north_is_up_and_east_is_left(tmp_path: Path, ending: str) -> None:
    size = (80, 60)
    extra = {"quality": 100, "subsampling": 0} if ending == "jpg" else {}
    path = embed(corners(size), tmp_path / f"p.{ending}", avm_of(size), **extra)
    (planes,) = load(path).pictures
    assert [p.plane for p in planes] == ["red", "green", "blue"]
    first = planes[0]
    assert (first.plane_axis, first.integer, first.reader.dtype) == ("band", True, np.float32)
    assert (first.name, first.title, first.attrs["credit"]) == ("p", "A <b>title</b>", "Somebody")
    assert first.reader.shape == (60, 80)
    for ra, dec, colour in ((83.2, -4.8, "red"), (82.8, -4.8, "green"), (83.2, -5.2, "blue"),
                            (82.8, -5.2, "white")):  # fmt: skip
        np.testing.assert_allclose(at(planes, ra, dec), COLOURS[colour], atol=3)
    seen = tan(size).wcs_pix2world([[3, 50]], 0)
    np.testing.assert_allclose(first.wcs.wcs_pix2world([[3, 50]], 0), seen, atol=1e-9)


@pytest.mark.parametrize("turn", [-137.0, -20.0, 0.0, 20.0, 137.0])
@pytest.mark.parametrize("factor", [0.25, 3.0])
def test_another_size_than_the_described(tmp_path: Path, factor: float, turn: float) -> None:
    size = int(80 * factor), int(60 * factor)
    path = embed(corners(size), tmp_path / "p.png", avm_of((80, 60), turn))
    (planes,) = load(path).pictures
    edges = np.array([[-0.5, -0.5], [79.5, 59.5], [-0.5, 59.5], [20, 31]])
    scaled = (edges + 0.5) * factor - 0.5
    np.testing.assert_allclose(
        planes[0].wcs.wcs_pix2world(scaled, 0), tan((80, 60), turn).wcs_pix2world(edges, 0),
        atol=1e-9,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("L", 77, (77, 77, 77)), ("1", 1, (255, 255, 255)), ("LA", (9, 200), (9, 9, 9, 200)),
        ("RGBA", (1, 2, 3, 4), (1, 2, 3, 4)), ("P", 5, None), ("I;16", 40_000, (156, 156, 156)),
        ("I;16", 65_535, (255, 255, 255)),
    ],
)  # fmt: skip
def test_kinds_of_pictures(tmp_path: Path, mode: str, value: Any, expected: Any) -> None:
    image = Image.new(mode, (8, 6), value)
    if mode == "P":
        image.putpalette([*range(30)])
        expected = (15, 16, 17)
    path = embed(image, tmp_path / "p.png", avm_of((8, 6)))
    (planes,) = load(path).pictures
    assert [p.plane for p in planes] == ["red", "green", "blue", "alpha"][: len(expected)]
    assert (pixels(planes) == np.array(expected)).all()


def test_other_kinds_are_refused_or_converted(tmp_path: Path) -> None:
    path = embed(Image.new("CMYK", (8, 6), (0, 255, 255, 0)), tmp_path / "c.tif", avm_of((8, 6)))
    assert pixels(load(path).pictures[0])[0, 0] == pytest.approx([255, 0, 0], abs=3)
    path = embed(Image.new("F", (8, 6), 1.5), tmp_path / "f.tif", avm_of((8, 6)))
    with pytest.raises(DataError, match=r"f\.tif: .*floating-point"):
        load(path)


def test_rows_beyond_one_strip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(press, "_STRIP", 7)
    data = np.random.default_rng(2).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    path = embed(Image.fromarray(data), tmp_path / "p.png", avm_of((80, 60)))
    (planes,) = load(path).pictures
    np.testing.assert_array_equal(pixels(planes), data[::-1])
    np.testing.assert_array_equal(
        planes[2].reader.read(5, 30, 9, 20, 4), data[::-1][5:30:4, 9:20:4, 2]
    )


def test_open_map(shared_data: Path) -> None:
    path = shared_data / "real" / "avm" / "NGC253ALMA.jpg"
    array = open_map(path)
    assert (array.dims, array.shape) == (("band", "y", "x"), (3, 2129, 2166))
    assert array.attrs["credit"].startswith("B. Saxton (NRAO/AUI/NSF)")
    truth = np.asarray(Image.open(path))
    np.testing.assert_array_equal(array[1, 100:200, 700:900], truth[::-1, :, 1][100:200, 700:900])
    assert open_map(path, plane="red").dims == ("y", "x")


def test_the_nucleus_of_ngc_253_is_where_it_is(shared_data: Path) -> None:
    (planes,) = load(shared_data / "real" / "avm" / "NGC253ALMA.jpg").pictures
    light = pixels(planes).sum(axis=-1)
    y, x = np.argwhere(light > 400).T
    ra, dec = planes[0].wcs.wcs_pix2world([[np.median(x), np.median(y)]], 0)[0]
    assert (ra, dec) == pytest.approx((11.888, -25.288), abs=0.001)  # NED
    east = planes[0].wcs.wcs_world2pix([[11.90, dec]], 0)[0][0]
    assert east < np.median(x)


def test_stars_of_orion_are_where_tycho_saw_them(shared_data: Path) -> None:
    (planes,) = load(shared_data / "real" / "avm" / "eso_eso1723a_320.jpg").pictures
    light = pixels(planes).sum(axis=-1)
    table = load(shared_data / "real" / "catalog" / "tycho2_lsstlike.parquet").tables[0]
    ra, dec = table.positions()
    near = (abs(ra - 83.78) < 0.5) & (abs(dec + 5.48) < 0.38)
    x, y = planes[0].wcs.wcs_world2pix(ra[near], dec[near], 0)

    def contrast(x: np.ndarray, y: np.ndarray) -> float:
        found = []
        for col, row in zip(x.round().astype(int), y.round().astype(int), strict=True):
            around = light[max(0, row - 8) : row + 9, max(0, col - 8) : col + 9]
            star = light[max(0, row - 1) : row + 2, max(0, col - 1) : col + 2]
            found.append(star.max() - np.median(around) if star.size else 0.0)
        return float(np.mean(found))

    assert len(x) > 30
    right = contrast(x, y)
    assert right > 4 * contrast(x, 247 - y)
    assert right > 4 * contrast(319 - x, y)
    assert right > contrast(x + 3, y)


def test_the_whole_sky(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "real" / "avm" / "MW_2mass.jpg"
    (planes,) = load(path, all_sky="galactic").pictures
    assert planes[0].title == "The Infrared Milky Way"
    assert planes[0].wcs.wcs.ctype[0] == "GLON-CAR"
    light = open_map(path, all_sky="galactic", plane="red")
    assert light.attrs["frame"] == "galactic"
    centre = planes[0].wcs.wcs_world2pix([[0, 0], [-90, 0], [90, 0], [0, 90]], 0)
    np.testing.assert_allclose(
        centre, [[3249.5, 1624.5], [4874.5, 1624.5], [1624.5, 1624.5], [3249.5, 3249.5]], atol=1e-6
    )
    values = np.array([[p.reader.read(r, r + 40, c, c + 40).mean() for p in planes]
                       for r, c in ((1605, 3230), (3000, 3230), (1605, 200))])  # fmt: skip
    assert values[0].mean() > 3 * values[1].mean()  # the bulge outshines the pole
    # The Large Magellanic Cloud, l = 280.5, b = -32.9: right of the centre and below
    x, y = planes[0].wcs.wcs_world2pix([[280.5, -32.9]], 0)[0].astype(int)
    assert x > 3250
    assert y < 1625
    red = planes[0].reader
    cloud = red.read(y - 25, y + 25, x - 25, x + 25).mean()
    mirrored = red.read(y - 25, y + 25, 6499 - x - 25, 6499 - x + 25).mean()
    assert cloud > 2 * mirrored
    Image.new("RGB", (30, 30)).save(tmp_path / "square.png")
    (planes,) = load(tmp_path / "square.png", all_sky="icrs").pictures
    assert planes[0].notes == ("30 x 30 pixels, not twice as wide as high: stretched",)
    assert planes[0].wcs.wcs.radesys == "ICRS"
    (planes,) = load(tmp_path / "square.png", all_sky="ecliptic").pictures
    assert open_map(tmp_path / "square.png", all_sky="ecliptic").attrs["frame"].endswith("ecliptic")
    with pytest.raises(
        InputError, match=r"all_sky 'sgal' is not allowed; known: icrs, galactic, e"
    ):
        load(path, all_sky="sgal")


def test_a_place_in_the_picture_wins_over_the_option(shared_data: Path) -> None:
    path = shared_data / "real" / "avm" / "NGC253ALMA.jpg"
    (alone,), (said,) = load(path).pictures, load(path, all_sky="galactic").pictures
    assert said[0].wcs.wcs.compare(alone[0].wcs.wcs)


def test_no_place_names_both_ways_out(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedError, match=r"no Spatial\.Ref.*write them with pyavm, or give all"
    ):
        load(shared_data / "real" / "avm" / "MW_2mass.jpg")
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    with pytest.raises(
        UnsupportedError, match=r"x\.png: no AVM metadata .* with pyavm, or give all_s"
    ):
        load(tmp_path / "x.png")


def test_every_real_packet(shared_data: Path) -> None:
    files = sorted((shared_data / "real" / "avm" / "xml").iterdir())
    assert len(files) == 37
    refused = []
    for path in files:
        packet = find_packet(ByteFile.open(path))
        assert packet is not None
        found = read_packet(packet, path.name)
        sides = found.avm.Spatial.ReferenceDimension or (100, 100)
        size = int(sides[0]), int(sides[1])
        if not found.avm.Spatial.ReferenceValue:
            with pytest.raises(UnsupportedError, match=r"no Spatial\.ReferenceValue"):
                place(found, size, path.name)
            refused.append(path.stem)
            continue
        wcs, _ = place(found, size, path.name)
        np.testing.assert_allclose(
            wcs.wcs_pix2world([wcs.wcs.crpix], 1)[0], found.avm.Spatial.ReferenceValue, atol=1e-9
        )
        np.testing.assert_allclose(wcs.wcs.crpix, found.avm.Spatial.ReferencePixel)
        assert found.title.isprintable()
    assert refused == ["heic0409a", "sig05-021-alpha", "ssc2004-06a1-alpha", "ssc2004-06b1-alpha"]


_BOMB = b"".join(
    [b"<!DOCTYPE x [<!ENTITY a0 'ha'>"]
    + [b"<!ENTITY a%d '%s'>" % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 11)]
    + [b"]>"]
)


@pytest.mark.parametrize("inside", [False, True])
def test_entities_are_not_expanded(tmp_path: Path, inside: bool) -> None:
    start = time.monotonic()
    packet = avm_of((8, 6)).to_xml()
    head = packet.index(b"<x:xmpmeta") if b"<x:xmpmeta" in packet else packet.index(b"<rdf:RDF")
    cut = packet.index(b">", head) + 1 if inside else head
    hostile = packet[:cut] + _BOMB + packet[cut:].replace(b"Somebody", b"&a10;")
    Image.new("RGB", (8, 6)).save(tmp_path / "p.tif", tiffinfo={700: hostile})
    with pytest.raises(
        DataError, match=r"p\.tif: its AVM packet (declares entities|cannot be read)"
    ):
        load(tmp_path / "p.tif")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"ReferenceDimension": [80, 20]}, r"not the one described: 80 x 20"),
        ({"ReferenceValue": [1e6, 0.0]}, "broken WCS"),
        ({"CDMatrix": [0.0, 0.0, 0.0, 0.0]}, "no WCS|broken WCS"),
        ({"CDMatrix": None, "Scale": None}, r"no Spatial\.CDMatrix"),
        ({"CoordinateFrame": None}, None),
    ],
)
def test_metadata_that_make_no_sense(
    tmp_path: Path, change: dict[str, Any], cause: str | None
) -> None:
    avm = avm_of((8, 6))
    for key, value in change.items():
        setattr(avm.Spatial, key, value)
    path = embed(Image.new("RGB", (8, 6)), tmp_path / "p.png", avm)
    if cause is None:
        notes = load(path).pictures[0][0].notes
        assert "Spatial.CoordinateFrame not found, assuming ICRS" in notes
        return
    with pytest.raises(DataError, match=rf"p\.png: .*({cause})"):
        load(path)


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = embed(Image.new("RGB", (1000, 800)), tmp_path / "p.png", avm_of((1000, 800)))
    assert path.stat().st_size < 20_000
    with pytest.raises(DataError, match=r"decodes to 2\.29 MiB; at most 2 MiB allowed"):
        load(path, max_decoded=2 << 20)
    monkeypatch.setattr(press, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("5000000")
    (tmp_path / "memory.current").write_text("3000000")
    with pytest.raises(UnsupportedError, match=r"takes 2\.29 MiB of memory .*; 1\.91 MiB are free"):
        load(path)
    (tmp_path / "memory.stat").write_text("anon 7\ninactive_file 2000000\n")
    assert load(path).pictures
    (tmp_path / "memory.max").write_text("max")
    monkeypatch.setattr(press, "_MEMORY", tmp_path / "meminfo")
    assert load(path).pictures
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 1024 kB\n")
    with pytest.raises(UnsupportedError, match=r"takes 2\.29 MiB of memory to decode; 1 MiB are"):
        load(path)
    usage = type("Usage", (), {"free": 1 << 20})
    (tmp_path / "meminfo").unlink()
    monkeypatch.setattr(private.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"p\.png: needs 2\.29 MiB in"):
        load(path)


def png(width: int, height: int, size: int) -> bytes:
    """Return a picture that declares its sides and has `size` bytes of noise for pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    noise = zlib.compress(np.random.default_rng(0).bytes(size), 0)
    made = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", head), (b"IDAT", noise), (b"IEND", b"")):
        made += struct.pack(">I", len(data)) + kind + data
        made += struct.pack(">I", zlib.crc32(kind + data))
    return made


def test_more_pixels_than_bytes_can_stand_for(tmp_path: Path) -> None:
    (tmp_path / "lie.png").write_bytes(png(30_000, 30_000, 1_000))
    with pytest.raises(
        DataError, match=r"declares 30000 x 30000 pixels: a file of 1\.04 KiB cannot"
    ):
        load(tmp_path / "lie.png", all_sky="icrs")
    (tmp_path / "wide.png").write_bytes(png(2_000_000, 1, 10_000))
    with pytest.raises(DataError, match=r"2000000 x 1 pixels: 1 to 1048576 a side are allowed"):
        load(tmp_path / "wide.png", all_sky="icrs")
    Image.new("1", (4000, 3000)).save(tmp_path / "blank.png")  # as dense as it gets
    assert load(tmp_path / "blank.png", all_sky="icrs").pictures
    Image.new("RGB", (4000, 3000)).save(tmp_path / "blank.jpg", progressive=True, optimize=True)
    assert load(tmp_path / "blank.jpg", all_sky="icrs").pictures


def test_a_picture_larger_than_pillow_likes(tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(png(60_000, 30_000, 5 << 20))
    code = (
        "import resource, sys; from skyshade.loaders.api import load\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
        "before = used()\n"
        "try: load(sys.argv[1], all_sky='icrs')\n"
        "except Exception as error: print(error)\n"
        "print(used() - before)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "big.png")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    reason, megabytes = found.stdout.splitlines()
    assert "decodes to 5.03 GiB; at most 4 GiB allowed (max_decoded)" in reason
    assert int(megabytes) < 150
    assert Image.MAX_IMAGE_PIXELS is not None


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_damaged_pictures(tmp_path: Path, ending: str) -> None:
    data = np.random.default_rng(2).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    whole = io.BytesIO()
    Image.fromarray(data).save(whole, {"jpg": "jpeg", "tif": "tiff"}.get(ending, ending))
    raw = whole.getvalue()
    for cut in (len(raw) // 2, 40, 12):
        (tmp_path / f"cut.{ending}").write_bytes(raw[:cut])
        with pytest.raises(DataError, match=rf"cut\.{ending}: cannot be decoded: ") as caught:
            load(tmp_path / f"cut.{ending}", all_sky="icrs")
        assert "\n" not in str(caught.value)
        assert "0x" not in str(caught.value)
