from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import ChangedError
from skyshade.loaders import fits_pixels
from skyshade.loaders.api import load
from skyshade.loaders.fits_pixels import FitsReader, PixelFormat
from skyshade.storage import ByteFile
from tests.loaders.conftest import Write

TYPES = [np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64]
NY, NX = 37, 3000  # wide enough for one system call a row


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[FitsReader, np.ndarray]:
    data = np.random.default_rng(1).normal(size=(NY, NX)).astype(">f4")
    path = tmp_path_factory.mktemp("wide") / "w"
    path.write_bytes(b"h" * 80 + data.tobytes())
    reader = FitsReader(ByteFile.open(path), (0, 80), 80, (NY, NX), PixelFormat(-32))
    return reader, data.astype(np.float32)


@given(
    st.integers(-3, NY + 3),
    st.integers(-3, NY + 3),
    st.integers(-9, NX + 9),
    st.integers(-9, NX + 9),
    st.integers(1, 70),
)
def test_any_box_equals_the_slice(
    wide: tuple[FitsReader, np.ndarray], y0: int, y1: int, x0: int, x1: int, step: int
) -> None:
    reader, data = wide
    box = reader.read(y0, y1, x0, x1, step)
    expected = data[max(0, y0) : max(0, y1) : step, max(0, x0) : max(0, x1) : step]
    assert box.shape == expected.shape
    assert (box == expected).all()
    assert box.dtype == np.float32
    assert box.dtype.isnative


@given(
    st.integers(0, NY - 1),
    st.integers(1, NY),
    st.integers(0, NX - 1),
    st.sampled_from([1, 9, 2000, NX]),
)
def test_stored_rows_are_told_where_they_lie(
    wide: tuple[FitsReader, np.ndarray], y: int, height: int, x: int, width: int
) -> None:
    reader, data = wide
    y1, x1 = min(y + height, NY), min(x + width, NX)
    found: list[bytes] = []

    def work(fd: int, offset: int, pitch: int) -> bool:
        found.extend(os.pread(fd, 4 * (x1 - x), offset + row * pitch) for row in range(y1 - y))
        return True

    assert reader.stored_rows(y, y1, x, x1, work)
    assert not reader.stored_rows(y, y1, x, x1, lambda *_: False)
    assert b"".join(found) == data[y:y1, x:x1].astype(">f4").tobytes()
    assert reader.stored == np.dtype(">f4")
    assert reader.blank is None


def test_stored_boxes_are_read_together(wide: tuple[FitsReader, np.ndarray]) -> None:
    reader, data = wide
    corners, buffer = [(0, 0), (30, 2900), (30, 2900), (3, 17)], np.empty(1 << 14, np.uint8)
    found = reader.stored_boxes(corners, (7, 100), buffer)
    assert found is not None
    assert np.shares_memory(found, buffer)
    expected = np.concatenate([data[y : y + 7, x : x + 100] for y, x in corners])
    assert (found.byteswap().view(np.float32) == expected).all()


@pytest.mark.parametrize("step", [1, 3])
def test_large_boxes_are_decoded_in_parts(
    wide: tuple[FitsReader, np.ndarray], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    reader, data = wide
    monkeypatch.setattr(fits_pixels, "_SPAN", 5 * 4 * NX)
    assert (reader.read(1, NY, 0, NX, step) == data[1::step, ::step]).all()
    assert (reader.read(1, NY, 7, 90, step) == data[1::step, 7:90:step]).all()


def test_numbers_that_need_more_than_a_swap_are_not_offered_as_stored(write: Write) -> None:
    path = write(np.arange(800, dtype=np.int16).reshape(20, 40))
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header["BSCALE"] = 0.5
    assert load(path).images[0][0].reader.stored is None
    plain = load(write(np.ones((20, 40), np.int16), "b.fits", BLANK=7)).images[0][0].reader
    assert (plain.stored, plain.blank) == (np.dtype(">i2"), 7)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("scaling", [{}, {"BSCALE": 0.25, "BZERO": -3.0}])
def test_values_equal_astropys(write: Write, kind: type, scaling: dict[str, float]) -> None:
    data = np.random.default_rng(2).integers(0, 100, (20, 40)).astype(kind)
    path = write(data)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header.update(scaling)
    expected = fits.getdata(path).astype(np.float64)
    image = load(path).images[0][0]
    box = image.reader.read(0, 20, 0, 40)
    np.testing.assert_allclose(box, expected, rtol=1e-7)
    assert box.dtype == image.reader.dtype
    assert image.integer == (np.dtype(kind).kind in "iu" and not scaling)
    wide = np.dtype(kind).itemsize == 8 or kind is np.int32
    assert box.dtype == (np.float64 if wide else np.float32)


def test_unsigned_integers_are_integers(write: Write) -> None:
    path = write(np.arange(800, dtype=np.uint16).reshape(20, 40) + 65_000 - 800)
    image = load(path).images[0][0]
    assert image.integer
    assert image.reader.read(0, 20, 0, 40).max() == 64_999


def test_blank_and_infinite_pixels_are_missing(write: Write) -> None:
    whole = np.arange(800, dtype=np.int16).reshape(20, 40)
    box = load(write(whole, "i.fits", BLANK=7)).images[0][0].reader.read(0, 20, 0, 40)
    assert np.argwhere(np.isnan(box)).tolist() == [[0, 7]]
    floats = whole.astype(np.float32)
    floats[3, 4], floats[5, 6] = np.inf, -np.inf
    box = load(write(floats, "f.fits")).images[0][0].reader.read(0, 20, 0, 40)
    assert np.argwhere(np.isnan(box)).tolist() == [[3, 4], [5, 6]]


def test_only_the_rows_asked_for_are_read(
    wide: tuple[FitsReader, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, _ = wide
    seen: list[tuple[int, ...]] = []
    real = ByteFile.read_pieces
    monkeypatch.setattr(
        ByteFile, "read_pieces", lambda f, b, o, p: seen.append(b.shape) or real(f, b, o, p)
    )
    reader.read(0, NY, 0, NX, 9)
    assert seen == [(5, 4 * NX)]


def test_a_rewritten_file_is_read_on_with_a_new_version(write: Write) -> None:
    path = write(np.zeros((20, 40), np.float32))
    reader = load(path).images[0][0].reader
    version = reader.version()
    raw = bytearray(path.read_bytes())
    raw[2880:2884] = np.array([5.0], ">f4").tobytes()
    path.write_bytes(raw)  # the same inode
    assert reader.version() != version
    assert reader.read(0, 1, 0, 1)[0, 0] == 5.0


def test_another_header_is_a_changed_file(write: Write) -> None:
    path = write(np.zeros((20, 40), np.float32))
    reader = load(path).images[0][0].reader
    raw = path.read_bytes().replace(b"30.0", b"31.0", 1)
    path.write_bytes(raw)
    with pytest.raises(ChangedError, match=r"a\.fits: its header changed"):
        reader.read(0, 1, 0, 1)


def test_a_file_cut_while_open_gives_missing_pixels(write: Write) -> None:
    path = write(np.ones((20, 40), np.float32))
    reader = load(path).images[0][0].reader
    with path.open("r+b") as handle:
        handle.truncate(2880 + 4 * (10 * 40 + 5))
    box = reader.read(0, 20, 0, 40)
    assert (box[:10] == 1).all()
    assert (box[10, :5] == 1).all()
    assert np.isnan(box[10, 5:]).all()
    assert np.isnan(box[11:]).all()


def test_threads_share_a_reader(wide: tuple[FitsReader, np.ndarray]) -> None:
    reader, data = wide
    wrong: list[int] = []

    def job(seed: int) -> None:
        for y, x in np.random.default_rng(seed).integers(0, 30, (50, 2)):
            if not (reader.read(y, y + 7, x, x + 900) == data[y : y + 7, x : x + 900]).all():
                wrong.append(seed)

    threads = [threading.Thread(target=job, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_versions_differ_between_planes(write: Write, tmp_path: Path) -> None:
    path = write(np.zeros((3, 20, 40), np.float32))
    planes = load(path).images[0]
    assert len({p.reader.version() for p in planes}) == 3
    assert planes[0].reader.version() == load(path).images[0][0].reader.version()
