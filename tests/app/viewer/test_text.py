"""Positions as people type them; numbers, angles and units as people read them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.app.viewer.text import (
    MINUS,
    cell,
    dms,
    escape,
    hms,
    number,
    parse_position,
    pretty_units,
)
from skyshade.errors import InputError

CENTRE = (266.416667, -29.007778)


@pytest.mark.parametrize(
    "text",
    [
        "266.416667 -29.007778",
        "266.416667, -29.007778",
        "266.416667,-29.007778",
        "266.416667-29.007778",
        "17:45:40 -29:00:28",
        "17:45:40-29:00:28",
        "17 45 40 -29 00 28",
        "17h45m40s -29d00m28s",
        "17h45m40s, -29d00m28s",
        f"17h45m40s {MINUS}29\N{DEGREE SIGN}00\N{PRIME}28\N{DOUBLE PRIME}",
        "17h45m40s -29d00'28\"",
    ],
)
def test_usual_forms_of_a_position(text: str) -> None:
    assert parse_position(text) == pytest.approx(CENTRE, abs=1e-6)


@pytest.mark.parametrize("text", ["l=0 b=0", "l 0 b 0", "gal 0 0", "0, 0 galactic", "0 0 Gal"])
def test_galactic_positions(text: str) -> None:
    assert parse_position(text) == pytest.approx((266.40499, -28.93617), abs=1e-4)


def test_names_of_sources_win() -> None:
    names = {"act-cl j0005.0-0138": (1.27, -1.64)}
    assert parse_position("  ACT-CL  J0005.0-0138 ", names) == (1.27, -1.64)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nowhere 12", "'nowhere'"),
        ("M 31", "'M'"),
        ("10 95", "95"),
        ("400 10", "400"),
        ("12:70:00 5", "minutes 70"),
        ("12h 5h", "5h"),
        ("1 2 3", "'1 2 3'"),
        ("", "''"),
        ("l=0 b=95", "latitude 95"),
    ],
)
def test_errors_name_what_was_not_understood(text: str, named: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_position(text)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.floats(0.0, 359.999), st.floats(-90.0, 90.0))
def test_what_is_shown_can_be_typed_again(ra: float, dec: float) -> None:
    found = parse_position(f"{hms(ra, 3)} {dms(dec, 2)}")
    assert abs((found[0] - ra + 180.0) % 360.0 - 180.0) <= 15 * 0.0005 / 3600 + 1e-9
    assert abs(found[1] - dec) <= 0.005 / 3600 + 1e-9


def test_seconds_never_show_sixty() -> None:
    assert hms(359.99999999) == "00h00m00.0s"
    assert dms(-0.99999999) == f"{MINUS}01\N{DEGREE SIGN}00\N{PRIME}00\N{DOUBLE PRIME}"


def test_numbers_have_a_true_minus_sign_and_short_exponents() -> None:
    assert number(-1.234567e-7, 3) == f"{MINUS}1.23e{MINUS}7"
    assert number(-12.0) == f"{MINUS}12"
    assert number(math.nan) == "no value"


def test_cells() -> None:
    assert cell(None) == cell(math.nan) == cell(np.float32("nan")) == ""
    assert cell(np.float32(2.949)) == "2.949"
    assert cell(np.int64(-3)) == f"{MINUS}3"
    assert cell(b"abc ") == "abc"
    assert len(cell("x" * 1000)) == 200


def test_units() -> None:
    assert pretty_units("deg-2") == pretty_units("deg**-2") == "deg\N{SUPERSCRIPT MINUS}\u00b2"
    assert pretty_units("1 / deg2") == pretty_units("deg-2")
    assert pretty_units("1 / s") == "s\N{SUPERSCRIPT MINUS}\u00b9"
    assert pretty_units("K_CMB") == "K_CMB"
    assert pretty_units("uK_CMB") == "\N{MICRO SIGN}K_CMB"
    assert pretty_units("MJy / sr") == pretty_units("MJy/sr") == "MJy/sr"
    assert pretty_units("uJy/beam") == "\N{MICRO SIGN}Jy/beam"
    assert pretty_units("erg / (Angstrom s cm2)") == "erg/(\u00c5 s cm\u00b2)"


@pytest.mark.parametrize(
    "text", ["10**(-6)counts/s", "10^-6 counts/s", "10**-6 counts / s", "1e-06 counts / s"]
)
def test_a_power_of_ten_before_units(text: str) -> None:
    assert pretty_units(text) == "10\N{SUPERSCRIPT MINUS}\N{SUPERSCRIPT SIX} counts/s"


@pytest.mark.parametrize("text", ["sun", "counts", "ADU", "mag", "u", "K_RJ", "a 1 e"])
def test_other_words_stay(text: str) -> None:
    assert pretty_units(text) == text


def test_markup_is_text() -> None:
    assert escape('<img src="x">') == "&lt;img src=&quot;x&quot;&gt;"
