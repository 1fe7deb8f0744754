"""Tile-compressed images: equal to astropy's, bounded, and hard to hurt."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from skyshade.errors import ChangedError, DataError
from skyshade.loaders import fits_compressed, private
from skyshade.loaders.api import load
from skyshade.types import PixelReader
from tests.loaders.conftest import car_header

NOISE = np.random.default_rng(3).normal(100, 10, (60, 70))


def write(
    path: Path, data: np.ndarray, cards: dict[str, Any] | None = None, **options: Any
) -> Path:
    header = car_header(data.shape[-1], data.shape[-2], **(cards or {}))
    fits.CompImageHDU(data, header, **options).writeto(path)
    return path


def theirs(path: Path) -> np.ndarray:
    with fits.open(path) as hdus:
        return np.asarray(hdus[1].data, float)


def all_of(reader: PixelReader) -> np.ndarray:
    return reader.read(0, *reader.shape[:1], 0, *reader.shape[1:])


@pytest.mark.parametrize("shape", [None, (16, 16), (7, 70), (60, 70)])
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("method", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "NOCOMPRESS"])
def test_equal_to_astropy(tmp_path: Path, method: str, kind: str, shape: Any) -> None:
    lossless = {"quantize_level": 0} if method == "NOCOMPRESS" else {}
    data = NOISE.astype(kind)
    path = write(tmp_path / "c.fz", data, compression_type=method, tile_shape=shape, **lossless)
    (image,) = load(path).images[0]
    assert image.integer == (kind[0] != "f")
    truth = theirs(path).astype(image.reader.dtype)
    box = image.reader.read(3, 50, 5, 60, 7)  # some tiles first, the rest later
    np.testing.assert_array_equal(box, truth[3:50:7, 5:60:7])
    np.testing.assert_array_equal(all_of(image.reader), truth)


@pytest.mark.parametrize("method", [-1, 1, 2])
@pytest.mark.parametrize("shape", [(60, 70), (3, 5, 60), (2, 7, 11)])
def test_quantised_floats_bit_for_bit(tmp_path: Path, method: int, shape: tuple[int, ...]) -> None:
    data = np.resize(NOISE, (5, 60, 70) if len(shape) == 3 else (60, 70)).astype(np.float32)
    data[..., 3, 4], data[..., 20:30, :] = np.nan, 0.0
    options = {"quantize_method": method, "dither_seed": 9_990 if method > 0 else 0}
    path = write(tmp_path / "c.fz", data, compression_type="RICE_1", tile_shape=shape, **options)
    planes = load(path).images[0]
    truth = theirs(path).reshape(-1, 60, 70).astype(np.float32)
    for k in reversed(range(len(truth))):
        found = np.vstack([planes[k].reader.read(y, y + 9, 0, 70) for y in range(0, 60, 9)])
        np.testing.assert_array_equal(found, truth[k])
    assert np.isnan(truth).sum() == len(truth)


def test_lists_of_lines_and_cubes_of_tiles(tmp_path: Path) -> None:
    path = write(tmp_path / "p.fz", NOISE.astype(np.int16), compression_type="PLIO_1")
    np.testing.assert_array_equal(all_of(load(path).images[0][0].reader), theirs(path))
    cube = np.arange(3 * 2 * 20 * 30, dtype=np.int32).reshape(3, 2, 20, 30)
    shape = (2, 1, 6, 13)
    path = write(tmp_path / "c.fz", cube, compression_type="RICE_1", tile_shape=shape)
    planes = load(path).images[0]
    assert planes[5].plane == "2 3"
    for k, plane in enumerate(planes):
        np.testing.assert_array_equal(all_of(plane.reader), cube[k // 2, k % 2])


def test_blank_and_scaled_integers(tmp_path: Path) -> None:
    data = NOISE.astype(np.int16)
    data[5, 6] = -99
    hdu = fits.CompImageHDU(data, car_header(70, 60), compression_type="RICE_1")
    hdu.header["BLANK"] = -99
    hdu.writeto(tmp_path / "b.fz")
    reader = load(tmp_path / "b.fz").images[0][0].reader
    assert np.argwhere(np.isnan(all_of(reader))).tolist() == [[5, 6]]
    path = write(tmp_path / "u.fz", NOISE.astype(np.uint16) + 40_000, compression_type="RICE_1")
    (image,) = load(path).images[0]
    np.testing.assert_array_equal(all_of(image.reader), theirs(path))
    assert image.integer


def test_real_methods_agree(shared_data: Path) -> None:
    def pixels(name: str) -> np.ndarray:
        return all_of(load(shared_data / "real" / "fz" / name).images[0][0].reader)

    truth = pixels("m13.fits")
    for method in ("gzip", "rice", "plio", "hcomp"):
        np.testing.assert_array_equal(pixels(f"m13_{method}.fits"), truth)


def test_only_what_is_needed_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.arange(2000 * 900, dtype=np.int32).reshape(2000, 900)
    path = write(tmp_path / "c.fz", data, compression_type="RICE_1")
    decoded: list[int] = []
    real = fits_compressed.TileTable.decode
    monkeypatch.setattr(
        fits_compressed.TileTable,
        "decode",
        lambda s, first, count, shape: decoded.append(count) or real(s, first, count, shape),
    )
    reader = load(path).images[0][0].reader
    assert not decoded
    np.testing.assert_array_equal(reader.read(100, 110, 5, 9), data[100:110, 5:9])
    assert decoded == [10]
    reader.read(105, 112, 0, 900)
    assert sum(decoded) == 12
    assert reader.stored == np.dtype(">i4")
    rows: list[bytes] = []
    assert reader.stored_rows(
        1990, 2000, 0, 900, lambda fd, at, pitch: rows.append(os.pread(fd, 10 * pitch, at)) is None
    )
    np.testing.assert_array_equal(np.frombuffer(rows[0], ">i4").reshape(10, 900), data[1990:])
    np.testing.assert_array_equal(all_of(reader), data)
    assert sum(decoded) < 2100  # some rows twice rather than one more start


def test_many_threads_see_the_same_pixels(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 1000, (3, 600, 300)).astype(np.int32)
    path = write(tmp_path / "c.fz", data, compression_type="RICE_1", tile_shape=(2, 13, 70))
    planes = load(path).images[0]

    def job(seed: int) -> bool:
        random = np.random.default_rng(seed)
        k, y, x = (int(random.integers(n)) for n in (3, 580, 280))
        box = planes[k].reader.read(y, y + 40, x, x + 40, 1 + seed % 3)
        return bool((box == data[k, y : y + 40 : 1 + seed % 3, x : x + 40 : 1 + seed % 3]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(job, range(100)))


def test_damaged_tiles_are_missing(tmp_path: Path) -> None:
    data = NOISE.astype(np.int16)
    path = write(tmp_path / "c.fits.fz", data, compression_type="GZIP_1", tile_shape=(10, 35))
    raw = path.read_bytes()
    first = raw.index(b"\x1f\x8b\x08", raw.index(b"\x1f\x8b\x08") + 9)  # of tile 1
    path.write_bytes(raw[:first] + b"\0" * 10 + raw[first + 10 :])
    (image,) = load(path).images[0]
    assert image.notes == ("1 of 12 tiles are damaged and shown as missing",)
    box = image.reader.read(0, 60, 0, 70)
    assert np.isnan(box[:10, 35:]).all()
    box[:10, 35:] = data[:10, 35:]
    np.testing.assert_array_equal(box, data)
    np.testing.assert_array_equal(
        np.isnan(image.reader.read(9, 14, 30, 70, 2)[0]), [0] * 3 + [1] * 17
    )
    buffer = np.empty(2800, np.uint8)
    assert not image.reader.stored_rows(0, 20, 0, 70, lambda *_: True)
    assert image.reader.stored_rows(20, 60, 0, 70, lambda *_: True)
    assert image.reader.stored_boxes([(20, 0), (5, 30)], (8, 9), buffer) is None
    boxes = image.reader.stored_boxes([(20, 0), (5, 20)], (8, 9), buffer)
    np.testing.assert_array_equal(boxes.view(">i2")[8:], data[5:13, 20:29])


def test_nothing_but_damage_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "c.fits.fz", NOISE.astype(np.int16), compression_type="GZIP_1")
    path.write_bytes(path.read_bytes().replace(b"\x1f\x8b\x08", b"\0\0\0"))
    with pytest.raises(DataError, match=r"c\.fits\.fz, HDU 1 .*: cannot be decoded: "):
        load(path)


@pytest.mark.parametrize(
    ("key", "old", "new", "cause"),
    [
        ("ZNAXIS1", "40", "4000000040", "tiles do not make up"),
        ("ZCMPTYPE", "'RICE_1  '", "'EVIL_9  '", "unknown compression 'EVIL_9'; known: RI"),
        ("ZVAL1", "32", "0", "BLOCKSIZE = 0 is not"),
        ("ZVAL2", "2", "3", "BYTEPIX = 3 is not"),
        ("ZBITPIX", "16", "17", "ZBITPIX = 17 are not"),
        ("ZTILE1", "40", "0", "in tiles of"),
        ("TFORM1", "'1P", "'1Y", "TFORM1 = '1Y"),
        ("NAXIS2", "20", "19", "19 compressed tiles do"),
    ],
)
def test_lies_in_the_header(tmp_path: Path, key: str, old: str, new: str, cause: str) -> None:
    data = np.zeros((20, 40), np.int16)
    path = write(tmp_path / "c.fits.fz", data, compression_type="RICE_1")
    raw = path.read_bytes()
    cards = [raw[i : i + 80].decode("latin-1") for i in range(0, len(raw), 80)]
    at = next(i for i, c in enumerate(cards) if c.startswith(f"{key:<8}=") and i > 36)
    card = cards[at].replace(f"{old:>20}" if old.isdigit() else old,
                             f"{new:>20}" if new.isdigit() else new)  # fmt: skip
    assert card != cards[at]
    path.write_bytes(raw[: 80 * at] + card.encode() + raw[80 * at + 80 :])
    with pytest.raises(DataError, match=rf"c\.fits\.fz, HDU 1[^:]*: .*{cause}"):
        load(path)


def test_more_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.zeros((2000, 4000), np.int16)
    path = write(tmp_path / "c.fits.fz", data, compression_type="GZIP_1", tile_shape=(2000, 4000))
    assert path.stat().st_size * 100 < data.nbytes  # a ratio is no reason
    assert load(path).images[0][0].reader.read(0, 5, 0, 5).sum() == 0
    with pytest.raises(DataError, match=r"decodes to 15\.3 MiB; at most 10 MiB allowed \(max_dec"):
        load(path, max_decoded=10 << 20)
    usage = type("Usage", (), {"free": 200 << 20})
    monkeypatch.setattr(private.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"c\.fits\.fz: needs 15\.3 MiB in .*, where 200 MiB are"):
        load(path).images[0][0].reader.read(0, 5, 0, 5)


def test_a_tile_that_is_a_bomb(tmp_path: Path) -> None:
    data = NOISE.astype(np.int16)
    path = write(tmp_path / "c.fits.fz", data, compression_type="GZIP_1", tile_shape=(30, 70))
    raw = path.read_bytes()
    first = raw.index(b"\x1f\x8b\x08")
    second = raw.index(b"\x1f\x8b\x08", first + 9)
    bomb = gzip.compress(bytes(2 << 20))
    assert len(bomb) < second - first
    path.write_bytes(raw[:first] + bomb + raw[first + len(bomb) :])
    (image,) = load(path).images[0]
    assert image.notes == ("1 of 2 tiles are damaged and shown as missing",)
    assert np.isnan(all_of(image.reader)[:30]).all()


def test_streams_that_lie_about_their_size(tmp_path: Path) -> None:
    data = NOISE.astype(np.int32)
    options = {"compression_type": "HCOMPRESS_1", "tile_shape": (30, 70)}
    path = write(tmp_path / "h.fits.fz", data, **options)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\xdd\x99")
    raw[at + 2 : at + 10] = (30_000).to_bytes(4, "big") * 2  # would be written past the buffer
    path.write_bytes(raw)
    (image,) = load(path).images[0]
    assert image.notes == ("1 of 2 tiles are damaged and shown as missing",)


def test_streams_that_lie_about_a_tile_at_the_edge(tmp_path: Path) -> None:
    options = {"compression_type": "HCOMPRESS_1", "tile_shape": (16, 16)}
    path = write(tmp_path / "h.fits.fz", NOISE.astype(np.int32), **options)
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"\xdd\x99")
    assert raw[at + 2 : at + 10] == (12).to_bytes(4, "big") + (6).to_bytes(4, "big")
    raw[at + 2 : at + 10] = (16).to_bytes(4, "big") * 2  # as many as in any other tile
    path.write_bytes(raw)
    (image,) = load(path).images[0]
    assert image.notes == ("1 of 20 tiles are damaged and shown as missing",)
    assert np.isnan(all_of(image.reader)).sum() == 12 * 6


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "c.fits.fz", np.zeros((2000, 900), np.int16), compression_type="RICE_1")
    reader = load(path).images[0][0].reader
    reader.read(0, 5, 0, 5)
    before = reader.version()
    with path.open("ab") as file:
        file.write(bytes(2880))
    assert reader.version() == before  # of what is decoded; opening it again gives another
    assert load(path).images[0][0].reader.version() != before
    assert reader.read(0, 5, 0, 5).sum() == 0
    with pytest.raises(ChangedError, match=r"c\.fits\.fz: changed"):
        reader.read(1500, 1505, 0, 5)


_FLIP = """
import logging, sys
import numpy as np
from pathlib import Path
from skyshade.errors import DataError
from skyshade.loaders.api import load
logging.disable(logging.CRITICAL)
for name in sys.argv[1:]:
    raw = Path(name).read_bytes()
    start = raw.index(b"XTENSION")
    for seed in range(12):
        random = np.random.default_rng(seed)
        data = bytearray(raw)
        for at in random.integers(start + 2880 * (seed % 2), len(raw), 1 + seed):
            data[at] = random.integers(256)
        Path("x.fz").write_bytes(data)
        try:
            for plane in load("x.fz", max_decoded=64 << 20).images:
                plane[0].reader.read(0, 60, 0, 70)
        except DataError as error:
            assert "\\n" not in str(error)
print("alive")
"""


def test_flipped_bytes_do_no_harm(tmp_path: Path) -> None:
    names = []
    for method in ("RICE_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"):
        names.append(f"{method}.fz")
        write(tmp_path / names[-1], NOISE.astype(np.int16), compression_type=method)
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FLIP, *names],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert found.stdout.strip() == "alive", found.stderr[-2000:]
