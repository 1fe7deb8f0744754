from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import InputError, UnknownNameError
from skyshade.index.texts import text_codes
from skyshade.layers.where import parse_where
from skyshade.layers.where_values import PIECE
from skyshade.types import TextCodes

TABLE: dict[str, Any] = {
    "vt": np.array([5.0, 8.5, 9.0, np.nan, 12.0]),
    "bt": np.array([7.0, 8.6, 11.0, 10.0, np.nan], np.float32),
    "id": np.array([1, 2, 3, 2**60, 2**60 + 1]),
    "flags": np.array([0, 3, 250, 255, 7], np.uint8),
    "type": np.array(["star", "galaxy", None, "star", "qso"], object),
    "fixed": np.array(["a", "b", "a", "b", "c"]),
    "code": np.array([b"x", b"y", b"x", b"", b"z"]),
    "good": np.array([True, False, True, True, False]),
    "maybe": np.array([True, None, False, True, None], object),
    "none": np.array([None] * 5, object),
    "sigma v (km/s)": np.array([1.0, 2, 3, 4, 5]),
    "größe": np.array([1.0, 2, 3, 4, 5]),
    "when": np.array(["2020-01-01"] * 5, "datetime64[D]"),
    "vector": np.zeros((5, 3)),
}


def coded(name: str) -> Any:
    """Return a column; texts by their different values."""
    found = text_codes(TABLE[name]) if TABLE[name].dtype.kind in "OUS" else None
    return TABLE[name] if found is None else found


def rows(text: str) -> list[int]:
    """Return the rows that pass."""
    where = parse_where(text, TABLE)
    mask = where.mask(TABLE.__getitem__)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, where.mask(coded))
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
        ("maybe", [0, 3]),
        ("~maybe & ~isnull(maybe)", [2]),
        ("maybe != 1", [2]),
        ("isnull(maybe)", [1, 4]),
        ("maybe + 1 > 1", [0, 3]),
        ("none < 3 | none == 'a' | none in (1, 2) | none in ('a') | none + 1 > 0", []),
        ("isnull(none) & none != none | 1 > 2 | none", []),
        ("`sigma v (km/s)` >= 4", [3, 4]),
        ("größe<2", [0]),
        ("1 < 2", [0, 1, 2, 3, 4]),
        ("type == '`vt` & (DROP)'", []),
        ("5 < vt < 9", [1]),  # ranges
        ("5 <= vt < 9", [0, 1]),
        ("9 >= vt >= 8.5 & id > 2", [2]),
        ("1 < bt - vt < 2.5", [0, 2]),
        ("~ 5 <= vt <= 9", [3, 4]),
        ("1 < 2 < vt < 12 <= 12", [0, 1, 2]),
        ("type in ('star', \"qso\")", [0, 3, 4]),
        ("~type in ('star')", [1, 2, 4]),  # a missing text is in no list
        ("fixed in ('a', 'z') | code in ('y')", [0, 1, 2]),
        ("id in (3, 1152921504606846977)", [2, 4]),  # exact
        ("flags in (-1, 255, 3.0, 1e300)", [1, 3]),
        ("vt + 1 in (6, +10) & good", [0, 2]),
        ("isnull(vt)", [3]),
        ("~isnull(vt) & ~isnull(type)", [0, 1, 4]),
        ("isnull(bt - vt)", [3, 4]),
        ("isnull(id) | isnull(fixed)", []),
        ("abs(vt - 9) <= .5", [1, 2]),
        ("sqrt(vt) == 3", [2]),
        ("sqrt(-vt) > 0", []),
        ("log10(id) < .4 & log10(id) > 0.3", [1]),
        ("abs(sin(30 * id) - 0.5) < 1e-12", [0]),  # degrees
        ("cos(0 * id) == 1", [0, 1, 2, 3, 4]),
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
        ("1 < vt > 9", "expected & or | (a chain has signs of one direction"),
        ("1 == vt == 9", "position 9, found '=='"),
        ("vt in 3", "expected '(' at position 7, found '3'"),
        ("vt in ()", "expected a number or a text at position 8, found ')'"),
        ("vt in (1, bt)", "expected a number or a text at position 11, found 'bt'"),
        ("vt in (1, 2", "expected ',' or ')' at position 12, found the end"),
        ("vt in (1, 'a')", "the list of 'in' at position 4 mixes texts and numbers"),
        ("vt in ('a')", "'in' at position 4 compares a text"),
        ("type in (1, 2)", "'in' at position 6 compares a text"),
        ("vt < 9 in (1)", "expected a value at position 1, found a comparison"),
        ("isnull(vt) > 0", "expected a value at position 1, found a comparison"),
        ("abs(vt)", "expected a comparison at position 1, found a value"),
        ("abs(vt, bt) > 1", "abs at position 1 takes 1 value, not 2"),
        ("abs() > 1", "expected a number, a text, a column or '(' at position 5"),
        ("abs(vt > 1", "found a comparison"),
        ("abs(vt < 3) > 1", "expected a value at position 5"),
        ("log10(type) > 1", "arithmetic at position 1 needs numbers"),
        ("exec('1') == 1", "unknown function at position 1 of where 'exec'; known: abs, sqrt"),
        ("vt == null", "position 7, found 'null'; write 'isnull(x)'"),
        ("vt between 5 and 9", "position 4, found 'between'; write 'a <= x <= b'"),
        ("vt < 0 & type < 3", "'<' at position 15 compares a text"),  # no row gets that far
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


@pytest.mark.parametrize("text", ["mag < 9", "__import__ == 'os'", "`no such` < 1", "vt < mag"])
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


floats = st.one_of(
    st.floats(allow_nan=False),
    st.floats(width=32, allow_nan=False).map(float),
    st.sampled_from([0.1, 1e300, -1e300, 3.4028235e38, 3.5e38, 1e-46, 16777217.0, 0.0]),
)


@given(
    floats,
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.sampled_from([np.float32, np.float16]),
    st.data(),
)
def test_narrow_columns_compare_as_float64(
    number: float, symbol: str, kind: Any, data: Any
) -> None:
    with np.errstate(over="ignore"):
        near = kind(number)
        around = [near, np.nextafter(near, kind(np.inf)), np.nextafter(near, kind(-np.inf))]
    width = np.dtype(kind).itemsize * 8
    more = data.draw(st.lists(st.floats(width=width), max_size=5))
    column = np.array([*around, *more, np.nan, np.inf, -np.inf, 0.0, 0.1], kind)
    wide = column.astype(np.float64)
    expected = eval(f"wide {symbol} {number!r}", {}, {"wide": wide, "inf": np.inf})
    if symbol == "!=":
        expected &= ~np.isnan(wide)
    text = f"x {symbol} {abs(number)!r}".replace("inf", "1e999")
    text = text if np.copysign(1, number) > 0 else text.replace(symbol, f"{symbol} -")
    turned = f"{text.partition(symbol)[2]} {symbol} x"
    np.testing.assert_array_equal(parse_where(text, ["x"]).mask(lambda _: column), expected)
    if symbol in ("==", "!="):
        np.testing.assert_array_equal(parse_where(turned, ["x"]).mask(lambda _: column), expected)


def test_pieces_join() -> None:
    """A column that is longer than a piece gives what it gives at once."""
    n = 2 * PIECE + 17
    rng = np.random.default_rng(1)
    vt, bt = (rng.normal(9, 1, n).astype(np.float32) for _ in range(2))
    vt[::7] = np.nan
    names = np.array(["star", None, "galaxy"], object)
    codes = rng.integers(-1, 3, n)
    columns = {"vt": vt, "bt": bt, "type": TextCodes(codes, names), "text": names[codes]}
    columns["text"][codes < 0] = None
    found = parse_where("vt < 9 & bt - vt > 1", columns).mask(columns.__getitem__)
    np.testing.assert_array_equal(found, (vt < 9) & (bt.astype(float) - vt > 1))
    first = parse_where("type == 'star' | isnull(type)", columns).mask(columns.__getitem__)
    np.testing.assert_array_equal(first, (codes == 0) | (codes == 1) | (codes < 0))
    second = parse_where("text == 'star' | isnull(text)", columns).mask(columns.__getitem__)
    np.testing.assert_array_equal(first, second)
    both = parse_where("type != text", columns).mask(columns.__getitem__)
    assert not both.any()


def test_every_text_is_looked_at_once() -> None:
    class Counted(str):
        looks = 0

        def __eq__(self, other: object) -> bool:
            Counted.looks += 1
            return str(self) == other

        __hash__ = str.__hash__

    n = 3 * PIECE
    column = TextCodes(np.arange(n) % 2, [Counted("star"), Counted("qso")])
    mask = parse_where("type == 'star'", ["type"]).mask(lambda _: column)
    assert (mask == (np.arange(n) % 2 == 0)).all()
    assert Counted.looks <= 2


def test_an_empty_table_gives_an_empty_mask() -> None:
    where = parse_where("vt < 9 & type == 'a'", TABLE)
    assert where.mask(lambda name: TABLE[name][:0]).shape == (0,)
