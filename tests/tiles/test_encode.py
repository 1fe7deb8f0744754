from __future__ import annotations

import importlib
import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as Pillow

from skyshade.errors import InputError, UnknownNameError
from skyshade.tiles import encode as module
from skyshade.tiles.encode import constant, encode, encode_values
from skyshade.types import Image


def decoded(data: bytes) -> np.ndarray:
    """(y, x, 4) of a file, by another hand than ours."""
    return np.asarray(Pillow.open(io.BytesIO(data)).convert("RGBA"))


def random_image(colours: int, shape: tuple[int, int] = (37, 41), seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (256, 4), np.uint8)
    chosen = rng.choice(256, colours, replace=False)
    return Image(rng.choice(chosen, shape).astype(np.uint8), palette)


@pytest.mark.parametrize("colours", [1, 2, 3, 4, 5, 16, 17, 128, 129, 256])
@pytest.mark.parametrize("shape", [(1, 1), (3, 9), (256, 256), (31, 7)])
def test_palette_png_is_exact(colours: int, shape: tuple[int, int]) -> None:
    image = random_image(colours, shape)
    made = encode(image, "png")
    assert made.media_type == "image/png"
    np.testing.assert_array_equal(decoded(made.data), image.rgba())


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20))),
    st.integers(1, 256).flatmap(lambda n: hnp.arrays(np.uint8, (n, 4))),
)
def test_any_palette_png_is_exact(pixels: np.ndarray, palette: np.ndarray) -> None:
    image = Image((pixels.astype(int) % len(palette)).astype(np.uint8), palette)
    np.testing.assert_array_equal(decoded(encode(image, "png").data), image.rgba())


def test_smooth_pictures_are_exact_and_small() -> None:
    y, x = np.mgrid[:256, :256]
    pixels = ((np.sin(x / 40) + np.cos(y / 30) + 2) * 60).astype(np.uint8)
    image = Image(pixels, random_image(1).palette)
    data = encode(image, "png").data
    np.testing.assert_array_equal(decoded(data), image.rgba())
    assert len(data) < 256 * 256 / 3


@pytest.mark.parametrize("opaque", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (33, 19)])
def test_rgba_png_is_exact(opaque: bool, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 4), np.uint8)
    if opaque:
        pixels[..., 3] = 255
    made = encode(Image(pixels), "png").data
    assert Pillow.open(io.BytesIO(made)).mode in (("RGB", "P") if opaque else ("RGBA", "P"))
    np.testing.assert_array_equal(decoded(made), pixels)


def test_only_needed_palette_entries_are_written() -> None:
    few = Image(np.array([[3, 200]], np.uint8), random_image(1).palette)
    assert b"\0\0\0\6PLTE" in encode(few, "png").data
    opaque = Image(np.array([[3, 200]], np.uint8), np.full((256, 4), 255, np.uint8))
    assert b"tRNS" not in encode(opaque, "png").data


def test_one_colour_is_tiny_and_remembered() -> None:
    image = Image(np.full((256, 256), 9, np.uint8), random_image(1).palette)
    data = encode(image, "png").data
    assert len(data) < 150
    assert encode(image, "png").data is data
    np.testing.assert_array_equal(decoded(data), image.rgba())
    assert decoded(constant((1, 2, 3, 4), 5, 6)).tolist() == [[[1, 2, 3, 4]] * 6] * 5


def test_webp_of_a_palette_is_lossless() -> None:
    image = random_image(200)
    made = encode(image, "webp")
    assert made.media_type == "image/webp"
    assert Pillow.open(io.BytesIO(made.data)).format == "WEBP"
    np.testing.assert_array_equal(decoded(made.data), image.rgba())


def test_jpeg_is_one_and_lies_on_its_backdrop() -> None:
    clear = Image(np.zeros((16, 16), np.uint8), np.array([[255, 255, 255, 0]], np.uint8))
    made = encode(clear, "jpg")
    assert made.media_type == "image/jpeg"
    assert Pillow.open(io.BytesIO(made.data)).format == "JPEG"
    assert decoded(made.data)[..., :3].max() <= 2
    on_blue = decoded(encode(clear, "jpg", backdrop=(0, 0, 255)).data)[0, 0, :3].astype(int)
    assert np.abs(on_blue - [0, 0, 255]).max() <= 3
    rgba = Image(np.full((16, 16, 4), [200, 100, 50, 255], np.uint8))
    assert (
        np.abs(decoded(encode(rgba, "jpg").data)[0, 0].astype(int) - [200, 100, 50, 255]).max() <= 3
    )


def test_zlib_does_when_isal_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "isal_zlib", None)
    image = random_image(256)
    np.testing.assert_array_equal(decoded(encode(image, "png").data), image.rgba())


def test_isal_checksums_are_zlib_s() -> None:
    isal = importlib.import_module("isal.isal_zlib")
    assert isal.crc32(b"skyshade", 7) == zlib.crc32(b"skyshade", 7)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.float32, (3, 4)), st.integers(-30, 30))
def test_f2_round_trip(values: np.ndarray, exponent: int) -> None:
    scale = 2.0**exponent
    made = encode_values(values, "f2", scale)
    assert made.media_type == "application/octet-stream"
    back = np.frombuffer(made.data, "<f2").reshape(3, 4).astype(float) * scale
    finite = np.isfinite(values)
    assert np.isnan(back[~finite]).all()
    expected = np.clip(values[finite].astype(float), -65504 * scale, 65504 * scale)
    np.testing.assert_allclose(back[finite], expected, rtol=2**-11, atol=scale * 2**-24)


def test_f2_saturates_and_keeps_none() -> None:
    values = np.array([[1e9, -1e9, 65519.0, np.inf, -np.inf, np.nan]])
    made = np.frombuffer(encode_values(values, "f2").data, "<f2")
    assert made[:3].tolist() == [65504, -65504, 65504]
    assert np.isnan(made[3:]).all()


def test_f4_is_not_scaled() -> None:
    values = np.array([[1e-6, 3e38, 1e300, np.inf]])
    made = np.frombuffer(encode_values(values, "f4", 64.0).data, "<f4")
    assert made[0] == np.float32(1e-6)
    assert made[2] == np.finfo(np.float32).max
    assert np.isnan(made[3])


def test_counts_of_zero_are_none_in_value_tiles() -> None:
    made = np.frombuffer(encode_values(np.array([[0, 5]], "u4"), "f4").data, "<f4")
    assert np.isnan(made[0])
    assert made[1] == 5


def test_errors_name_value_and_choice() -> None:
    with pytest.raises(UnknownNameError, match="unknown picture format 'gif'; known: png"):
        encode(random_image(2), "gif")
    with pytest.raises(UnknownNameError, match="unknown value format 'png'; known: f2"):
        encode_values(np.zeros((2, 2)), "png")
    with pytest.raises(InputError, match="3 dimensions"):
        encode_values(np.zeros((2, 2, 2)), "f2")
    for scale in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="scale="):
            encode_values(np.zeros((2, 2)), "f2", scale)
