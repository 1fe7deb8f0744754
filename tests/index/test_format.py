"""The manifest comes back as it was; others are refused with one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from skyshade.errors import DataError
from skyshade.geometry.keys import keys_of
from skyshade.index.facts import tally
from skyshade.index.format import Column, Manifest, Segment, read_manifest
from skyshade.types import State
from tests.index.skies import places


def manifest() -> Manifest:
    ra, dec = places(500)
    found = tally(np.sort(keys_of(ra, dec)), ra, dec)
    columns = (Column("vt", "float", "mag"), Column("type", "string", "", ("a", "b")))
    segment = Segment("0001", 500, 3, 1, found, {"stars.parquet": "v1"})
    return Manifest("stars", columns, ("count", "sum:vt"), (segment,), "ra, dec", notes=("n",))


def test_round_trip() -> None:
    made = manifest()
    read = read_manifest(made.to_json(), "x")
    assert read.to_json() == made.to_json()
    assert read.columns == made.columns
    assert (read.rows, read.invalid, read.threshold) == (500, 3, 131072)
    assert read.stored == [State("count"), State("sum", "vt")]
    one, two = read.segments[0].tally, made.segments[0].tally
    assert (one.max_zoom, one.level, one.coverage) == (two.max_zoom, two.level, two.coverage)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "not a catalogue index"),
        ({"version": 99}, "index of format version 99: this skyshade reads 1"),
        ({"segments": [{}]}, "manifest of the index is damaged"),
        ({"columns": None}, "manifest of the index is damaged"),
        ({"threshold": "many"}, "manifest of the index is damaged"),
    ],
)
def test_what_is_refused(change: dict[str, object], said: str) -> None:
    record = json.loads(manifest().to_json()) | change
    with pytest.raises(DataError, match=said):
        read_manifest(json.dumps(record).encode(), "stars")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_no_manifest_at_all(data: bytes) -> None:
    with pytest.raises(DataError, match="stars: "):
        read_manifest(data, "stars")
