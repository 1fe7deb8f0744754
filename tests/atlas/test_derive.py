from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skyshade.atlas.atlas import Atlas
from skyshade.atlas.build import open_atlas
from skyshade.geometry.grids import SKY
from skyshade.types import Tile, Window
from tests.geometry.skies import make_wcs

EAST = Window.of(SKY, Tile(0, 1, 0))
WCS = make_wcs(cdelt=(-2.0, 2.0), crpix=(90.5, 45.5))


def write_map(path: Path, seed: int, **cards: object) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(90, 180)).astype(np.float32)
    header = WCS.to_header()
    header.update({"BUNIT": "uK", **cards})
    fits.writeto(path, values, header)
    return values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b", "c")):
        write_map(tmp_path / f"{name}.fits", seed)
    return tmp_path


def opened(folder: Path, layers: str) -> Atlas:
    path = folder / "survey.toml"
    path.write_text(f'title = "Survey"\n[[files]]\npath = "*.fits"\n{layers}')
    return open_atlas([path])


def test_every_kind_of_layer_is_made(folder: Path) -> None:
    planes = np.random.default_rng(9).normal(size=(3, 90, 180)).astype(np.float32)
    header = WCS.to_header()
    header.update({"NAXIS": 3, "CTYPE3": "STOKES", "CRVAL3": 1, "CRPIX3": 1, "CDELT3": 1})
    fits.writeto(folder / "iqu.fits", planes, header)
    atlas = opened(
        folder,
        """
[[layers]]
id = "half"
title = "Half the difference"
expression = "(x - y) / 2"
of = { x = "a", y = "b" }
cmap = "coolwarm"
vmin = -2
vmax = 2

[[layers]]
id = "wide"
smooth = "half"
fwhm = 10

[[layers]]
id = "colours"
rgb = ["a", "b", "wide"]
q = 5

[[layers]]
id = "angle"
polarisation = "angle"
layer = "iqu-i"

[[layers]]
id = "again"
layer = "a"
cmap = "gray"

[[layers]]
id = "weighted"
layer = "a"
weight = "half"
""",
    )
    assert {e.id: e.reason for e in atlas.entries() if e.state != "ok"} == {}
    assert atlas.title == "Survey"
    half, a, b = (atlas.layer(name) for name in ("half", "a", "b"))
    assert half.value(10.0, 20.0) == pytest.approx((a.value(10, 20) - b.value(10, 20)) / 2)
    assert (half.info.title, half.info.style.cmap, half.info.style.vmax) == (
        "Half the difference",
        "coolwarm",
        2.0,
    )
    assert atlas.layer("wide").parts == (half,)
    colours = atlas.layer("colours")
    assert (colours.info.style.stretch, colours.info.style.q) == ("lupton", 5.0)
    assert colours.compute(EAST).values.shape == (256, 256, 3)
    angle = atlas.layer("angle").compute(EAST).values
    assert 0 <= np.nanmin(angle) < np.nanmax(angle) < 180
    again = atlas.layer("again")
    assert (again.info.id, again.info.style.cmap, again.version) == ("again", "gray", a.version)
    assert atlas.layer("weighted").image.weight is half.image.reader


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('expression = "x"\nof = { x = "nosuch" }', "unknown layer 'nosuch'; known: a, b, c"),
        ('expression = "x + y"\nof = { x = "a" }', "unknown name at position 5 of expression 'y'"),
        ('expression = "x +"\nof = { x = "a" }', "expected a number, a name or '(' at position 4"),
        ('smooth = "a"\nfwhm = -1', "fwhm=-1.0 is not allowed"),
        ('polarisation = "angle"\nlayer = "a"', "layer 'a' has no Stokes Q and U"),
        ('rgb = ["a", "b", "good"]\nstretch = "log"', "stretch of a colour layer 'log'"),
        ('rgb = ["a", "b", "later"]', "unknown layer 'later'"),
        ('layer = "a"\ncmap = "nosuchmap"', "unknown colour map 'nosuchmap'"),
        ('layer = "a"\nvmin = 3\nvmax = 1', "vmin=3 is not below vmax=1"),
        ('layer = "smooth"\nweight = "a"', "layer 'smooth' is no map of rows and columns"),
        ('expression = "x"\nof = { x = "smooth" }', "has no pixels of its own: give a map"),
    ],
)
def test_a_layer_that_cannot_be_made_is_rejected_alone(folder: Path, table: str, said: str) -> None:
    atlas = opened(
        folder,
        f"""
[[layers]]
id = "smooth"
smooth = "a"
fwhm = 5
[[layers]]
id = "bad"
title = "Bad one"
{table}
[[layers]]
id = "good"
layer = "b"
[[layers]]
id = "later"
layer = "c"
""".replace('"good"]', '"c"]'),
    )
    entry = atlas.entry("bad")
    assert (entry.state, entry.layer, entry.title) == ("rejected", None, "Bad one")
    assert entry.reason.startswith("survey.toml, [[layers]] 2 (bad): ")
    assert said in entry.reason
    assert [e.id for e in atlas.entries() if e.state == "ok"] == [
        "a", "b", "c", "smooth", "good", "later",
    ]  # fmt: skip


def test_maps_of_other_geometry_are_named(folder: Path) -> None:
    write_map(folder / "moved.fits", 5, CRVAL1=40.0)
    atlas = opened(
        folder,
        '[[layers]]\nid = "bad"\nexpression = "x - y"\nof = { x = "a", y = "moved" }\n',
    )
    assert "layers 'a' and 'moved' cannot be combined" in atlas.entry("bad").reason
    assert "CRVAL1 is 0.0 and 40.0" in atlas.entry("bad").reason


def test_taken_ids_and_wrong_tables_get_entries_of_their_own(folder: Path) -> None:
    atlas = opened(
        folder,
        '[[layers]]\nid = "a"\nlayer = "b"\n[[layers]]\nid = "x"\n[[layers]]\nlayer = "a"\n',
    )
    assert atlas.entry("a").state == "ok"
    assert "id = 'a' is not allowed: another layer has it" in atlas.entry("a-2").reason
    assert "one of expression, smooth" in atlas.entry("x").reason
    assert "id is missing" in atlas.entry("survey-layers-3").reason
    assert [e.state for e in atlas.entries()] == ["ok"] * 3 + ["rejected"] * 3
