from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import InputError, UnknownNameError
from skyshade.layers.where import parse_where

TABLE: dict[str, Any] = {
    "vt": np.array([5.0, 8.5, 9.0, np.nan, 12.0]),
    "bt": np.array([7.0, 8.6, 11.0, 10.0, np.nan], np.float32),
    "id": np.array([1, 2, 3, 2**60, 2**60 + 1]),
    "flags": np.array([0, 3, 250, 255, 7], np.uint8),
    "type": np.array(["star", "galaxy", None, "star", "qso"], object),
    "fixed": np.array(["a", "b", "a", "b", "c"]),
    "code": np.array([b"x", b"y", b"x", b"", b"z"]),
    "good": np.array([True, False, True, True, False]),
    "sigma v (km/s)": np.array([1.0, 2, 3, 4, 5]),
    "größe": np.array([1.0, 2, 3, 4, 5]),
    "when": np.array(["2020-01-01"] * 5, "datetime64[D]"),
    "vector": np.zeros((5, 3)),
}


def rows(text: str) -> list[int]:
    """Return the rows that pass."""
    mask = parse_where(text, TABLE).mask(TABLE.__getitem__)
    assert mask.dtype == bool
    return np.flatnonzero(np.broadcast_to(mask, 5)).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vt < 9", [0, 1]),
        ("vt <= 9", [0, 1, 2]),
        ("vt > 9", [4]),
        ("9 >= vt", [0, 1, 2]),
        ("vt == 9", [2]),
        ("vt != 9", [0, 1, 4]),  # NaN compares false
        ("vt != vt", []),
        ("~vt < 9", [2, 3, 4]),  # a negated false is true
        ("vt < 9 & bt - vt > 1", [0]),  # & binds weaker than comparisons
        ("(vt < 9) & (bt - vt > 1)", [0]),
        ("vt < 6 | vt > 9 & id > 5", [0, 4]),  # & binds stronger than |
        ("(vt < 6 | vt > 8) & id < 3", [0, 1]),
        ("~(vt < 6 | vt > 8) ", [3]),
        ("~~vt<9", [0, 1]),
        ("vt - 1 - 1 == 3", [0]),  # from left to right
        ("vt / 2 / 2.5 == 1", [0]),
        ("2 + 3 * vt == 17", [0]),
        ("(2 + 3) * vt == 25", [0]),
        ("-vt < -8.5", [2, 4]),
        ("--vt == +5", [0]),
        ("vt > -1e1 & vt < .6e1", [0]),
        ("vt / 0 > 1", [0, 1, 2, 4]),
        ("vt * 0 / 0 == 1", []),
        ("vt < 1e999", [0, 1, 2, 4]),
        ("id == 1152921504606846977", [4]),  # exact, not through float64
        ("id < 99999999999999999999999", [0, 1, 2, 3, 4]),
        ("flags + 10 > 255", [2, 3]),  # no wrap-around of narrow integers
        ("flags < 300 & flags > -1", [0, 1, 2, 3, 4]),
        ("type == 'star'", [0, 3]),
        ("type != 'star'", [1, 4]),  # a missing text compares false
        ("type < 'm'", [1]),
        ("'star' == type", [0, 3]),
        ("~type == \"star\"", [1, 2, 4]),
        ("fixed == 'b'", [1, 3]),
        ("code == 'x'", [0, 2]),
        ("good", [0, 2, 3]),
        ("~good & vt < 10", [1]),
        ("good == 1", [0, 2, 3]),
        ("`sigma v (km/s)` >= 4", [3, 4]),
        ("größe<2", [0]),
        ("1 < 2", [0, 1, 2, 3, 4]),
        ("type == '`vt` & (DROP)'", []),
    ],
)  # fmt: skip
def test_rows_that_pass(text: str, expected: list[int]) -> None:
    assert rows(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("vt", "'vt' at position 1 is not true/false"),
        ("vt <", "expected a number, a text, a column or '(' at position 5, found the end"),
        ("vt = 9", "unexpected '=' at position 4; write '=='"),
        ("vt < 9 and bt < 9", "position 8, found 'and'; write '&'"),
        ("not vt < 9", "found 'not'; write '~'"),
        ("1 < vt < 9", "position 8, found '<'"),
        ("vt < 9 bt", "expected an operator or the end at position 8, found 'bt'"),
        ("(vt < 9", "expected ')' at position 8, found the end"),
        ("vt < 9)", "found ')'"),
        ("vt + 1", "expected a comparison at position 1"),
        ("(vt < 9) + 1 > 0", "expected a value at position 1, found a comparison"),
        ("vt < (bt < 3)", "expected a value at position 6"),
        ("-(vt < 3)", "expected a value at position 2"),
        ("5 & vt < 3", "expected a comparison at position 1"),
        ("type < 3", "'<' at position 6 compares a text with a number"),
        ("type + 1 < 3", "arithmetic at position 1 needs numbers"),
        ("-type < 3", "arithmetic at position 1 needs numbers"),
        ("vt < 'a", 'unexpected "\'" at position 6'),
        ("vt.__class__ == 1", "unexpected '.' at position 3"),
        ("vt[0] == 1", "unexpected '[' at position 3"),
        ("vt == 1; import os", "unexpected ';' at position 8"),
        ("vt < 9 && bt < 3", "position 9, found '&'"),
        ("when < 3", "'when' at position 1 holds neither numbers nor texts"),
        ("vector < 3", "'vector' at position 1 holds neither numbers nor texts"),
        ("vt < 9" + " & vt < 9" * 200, "1806 characters: at most 1000"),
        ("(" * 51 + "vt < 9" + ")" * 51, "nested deeper than 50 at position 52"),
        ("~" * 60 + "vt < 9", "nested deeper than 50"),
        ("vt < " + "-" * 60 + "9", "nested deeper than 50"),
    ],
)
def test_errors_name_the_position(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_where(text, TABLE).mask(TABLE.__getitem__)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["mag < 9", "__import__('os')", "`no such` < 1", "vt < mag"])
def test_unknown_columns_name_the_known(text: str) -> None:
    with pytest.raises(
        UnknownNameError, match=r"column at position \d+ of where .*known: vt, bt, id"
    ):
        parse_where(text, TABLE)


def test_names_are_those_that_are_read() -> None:
    assert parse_where("vt<9 & bt-vt>1 & type=='vt'", TABLE).names == ("vt", "bt", "type")


def test_deep_but_allowed() -> None:
    assert rows("(" * 49 + "vt < 9" + ")" * 49) == [0, 1]
    assert rows("vt < 9" + " + 0" * 240) == [0, 1]


@given(st.text("vtb <>=!&|~()+-*/.19'\"`e", max_size=40))
def test_any_text_gives_a_mask_or_an_input_error(text: str) -> None:
    try:
        mask = parse_where(text, TABLE).mask(TABLE.__getitem__)
    except InputError:
        return
    assert np.broadcast_to(mask, 5).dtype == bool


numbers = st.sampled_from(["vt", "bt", "2", "0.5"])


@given(numbers, st.sampled_from("+-*/"), numbers, st.sampled_from(["<", "<=", ">", "=="]), numbers)
def test_agrees_with_numpy(a: str, sign: str, b: str, symbol: str, c: str) -> None:
    """Python's own evaluation is the oracle, here where the text is ours."""
    columns = {"vt": TABLE["vt"], "bt": TABLE["bt"].astype(float)}
    text = f"{a} {sign} {b} {symbol} {c}"
    with np.errstate(all="ignore"):
        expected = eval(text, {}, columns)
    mask = parse_where(text, TABLE).mask(columns.__getitem__)
    np.testing.assert_array_equal(np.broadcast_to(mask, 5), np.broadcast_to(expected, 5))
