from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import InputError
from skyshade.shaders.colours import hex_of, hexes_of, over, parse_colour, resample, rgba_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#123", (0x11, 0x22, 0x33, 255)),
        ("#102030", (16, 32, 48, 255)),
        ("#10203040", (16, 32, 48, 64)),
        ("lightblue", (173, 216, 230, 255)),
        ("White", (255, 255, 255, 255)),
        ("none", (0, 0, 0, 0)),
    ],
)
def test_colours_are_read(text: str, expected: tuple[int, ...]) -> None:
    assert parse_colour(text) == expected


@pytest.mark.parametrize("text", ["", "#12", "#1234567", "#ggg", "blau", "#12345\n"])
def test_bad_colours_are_named(text: str) -> None:
    with pytest.raises(InputError, match="is not allowed: give #rrggbb"):
        parse_colour(text)


@given(st.lists(st.integers(0, 255), min_size=4, max_size=4))
def test_hex_round_trip(colour: list[int]) -> None:
    assert parse_colour(hex_of(colour)) == tuple(colour)


def test_lists_arrays_and_floats() -> None:
    assert hexes_of([(255, 0, 0), "#00f"]) == ("#ff0000ff", "#0000ffff")
    assert hexes_of(np.array([[0.0, 0.5, 1.0]])) == ("#0080ffff",)
    for bad in ([], [(1, 2)], [(1, 2, 256)], np.array([[2.0, 0, 0]])):
        with pytest.raises(InputError):
            hexes_of(bad)


def test_resampling_keeps_the_ends() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    made = resample(grey, 255)[:, 0].astype(int)
    assert (made[0], made[-1]) == (0, 255)
    assert set(np.diff(made)) == {1, 2}
    two = resample(rgba_of(["#000000", "#ff8000"]), 255)
    assert two[-1].tolist() == [255, 128, 0, 255]
    assert two[127].tolist() == [127, 64, 0, 255]
    assert (resample(rgba_of(["#112233"]), 3) == [0x11, 0x22, 0x33, 255]).all()


@given(
    st.tuples(*[st.integers(0, 255)] * 4),
    st.tuples(*[st.integers(0, 255)] * 4),
)
def test_over_is_bounded_and_exact_at_the_ends(front, back) -> None:
    made = over(np.array([front], np.uint8), back)[0].astype(int)
    assert made[3] >= max(front[3], back[3])
    if front[3] == 255:
        assert tuple(made) == front
    if front[3] == 0 and back[3]:
        assert tuple(made) == back
