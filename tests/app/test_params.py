"""Query parameters."""

from __future__ import annotations

import contextlib
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.app.params import TILE, Choice, parse, parse_tile
from skyshade.errors import InputError, UnknownNameError
from skyshade.types import Style


def test_nothing_given_changes_nothing():
    params = parse(b"")
    base = Style(cmap="gray", vmin=1.0)
    assert params.styled(base) == base
    assert params.choice == Choice()


def test_everything_given():
    query = urlencode(
        {
            "cmap": "magma",
            "vmin": "-1e-6",
            "vmax": "2",
            "stretch": "asinh",
            "reverse": "true",
            "nan": "#abc",
            "bg": "00112233",
            "agg": "mean",
            "col": "vt",
            "where": "vt < 9 & bt > 1",
            "plane": "Q",
            "time": "t",
            "v": "abc",
        }
    ).encode()
    params = parse(query)
    assert params.styled(Style()) == Style(
        "magma", -1e-6, 2.0, "asinh", True, "#aabbcc", "#00112233"
    )
    assert params.choice == Choice("mean", "vt", "vt < 9 & bt > 1", "Q", "t")
    assert params.v == "abc"


def test_order_of_parameters_does_not_matter():
    assert parse(b"vmin=1&vmax=2") == parse(b"vmax=2&vmin=1")


@pytest.mark.parametrize(
    "query",
    [
        b"x=1",
        b"vmin=1&vmin=1",
        b"vmin=",
        b"vmin=1e999",
        b"cmap=",
        b"reverse=2",
        b"nan=%23ggg",
        b"bg=12345",
        b"where=" + b"a" * 1001,
        b"cmap=%00",
        b"cmap=%ff",
        b"cmap=" + b"a" * 9000,
        b"&".join(b"v=1" for _ in range(60)),
    ],
)
def test_refused(query):
    with pytest.raises(InputError):
        parse(query)


def test_unknown_names_the_allowed():
    with pytest.raises(UnknownNameError, match="'colour'; known: cmap, vmin"):
        parse(b"colour=1")


def test_a_range_is_checked_against_the_layers_own():
    with pytest.raises(InputError, match=r"vmin=5 is not below vmax=2"):
        parse(b"vmin=5").styled(Style(vmax=2.0))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(query):
    with contextlib.suppress(InputError):
        parse_tile(query)


@given(st.sampled_from([p.name for p in TILE]), st.text(max_size=40))
def test_any_text_is_read_or_refused(name, text):
    problem = ""
    try:
        parse(f"{name}={quote(text)}".encode())
    except InputError as error:
        problem = str(error)
    assert not problem or name in problem
