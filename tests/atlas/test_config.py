from __future__ import annotations

from pathlib import Path

import pytest

from skyshade.atlas.config import FileItem, LayerItem, read_config
from skyshade.errors import DataError


def write(folder: Path, text: str) -> Path:
    path = folder / "survey.toml"
    path.write_text(text)
    return path


def test_a_whole_config_is_read(tmp_path: Path) -> None:
    for name in ("b.fits", "a.fits", "stars.csv"):
        (tmp_path / name).touch()
    found = read_config(
        write(
            tmp_path,
            """
title = "My survey"
boxes = "fields.json"

[[files]]
path = "*.fits"

[[files]]
path = "stars.csv"
name = "gaia"
ra = "RAJ2000"
dec = "DEJ2000"

[[files]]
path = "https://example.org/map.fits"

[[layers]]
id = "difference"
title = "A - B"
expression = "(a - b) / 2"
of = { a = "map-a", b = "map-b" }
cmap = "RdBu"
vmin = -3
vmax = 3.5
reverse = true

[[layers]]
id = "wide"
smooth = "difference"
fwhm = 1

[[layers]]
id = "colours"
rgb = ["a", "b", "c"]
stretch = "lupton"
q = 8

[[layers]]
id = "angle"
polarisation = "angle"
layer = "iqu"

[[layers]]
id = "weighted"
layer = "map-a"
weight = "ivar"
""",
        )
    )
    assert (found.title, found.problems) == ("My survey", ())
    assert found.boxes == str(tmp_path / "fields.json")
    assert found.files == (
        FileItem(str(tmp_path / "a.fits")),
        FileItem(str(tmp_path / "b.fits")),
        FileItem(str(tmp_path / "stars.csv"), "gaia", "RAJ2000", "DEJ2000"),
        FileItem("https://example.org/map.fits"),
    )
    assert [item.source for item in found.layers] == [
        "expression",
        "smooth",
        "rgb",
        "polarisation",
        "layer",
    ]
    assert found.layers[0] == LayerItem(
        "survey.toml, [[layers]] 1 (difference)",
        "difference",
        "A - B",
        "expression",
        {"expression": "(a - b) / 2", "of": {"a": "map-a", "b": "map-b"}},
        {"cmap": "RdBu", "vmin": -3.0, "vmax": 3.5, "reverse": True},
    )
    assert found.layers[1].values == {"smooth": "difference", "fwhm": 1.0}
    assert found.layers[3].values == {
        "polarisation": "angle",
        "layer": "iqu",
        "convention": None,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = [", "survey.toml: is not TOML: "),
        ("titel = 'x'", "titel = 'x' is not allowed: keys are title, boxes, files, layers"),
        ("title = 3", "title = 3 is not allowed: give a text"),
        ("layers = 'x'", "layers = 'x' is not allowed: give a list"),
        ("layers = ['x']", r"layers = 'x' is not allowed: write tables headed \[\[layers\]\]"),
    ],
)
def test_a_wrong_file_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_config(write(tmp_path, text))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.toml: cannot be read: No such file"):
        read_config(tmp_path / "no.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00title")
    with pytest.raises(DataError, match="is not TOML"):
        read_config(tmp_path / "binary.toml")


FILES = [
    ("name = 'x'", "path is missing: give a text"),
    ("path = 'nothing*.fits'", "path = 'nothing*.fits' is not allowed: no file matches"),
    ("path = 'a.fits'\ncolumn = 'x'", "column = 'x' is not allowed: keys are path, name, ra"),
    ("path = 'a.fits'\nra = 3", "ra = 3 is not allowed: give a text"),
    ("path = '*.fits'\nname = 'x'", "name = 'x' is not allowed: 2 files match path"),
]
LAYERS = [
    ("title = 'x'", "id is missing: give a text"),
    ("id = 'My Map'", "id = 'My Map' is not allowed: use at most 80 of a-z"),
    ("id = 'x'", "(x): one of expression, smooth, rgb, polarisation, layer says"),
    ("id = 'x'\nsmooth = 'a'\nrgb = ['a', 'b', 'c']", "it has smooth and rgb"),
    ("id = 'x'\nsmooth = 'a'", "(x): fwhm is missing: give a number"),
    ("id = 'x'\nsmooth = 'a'\nfwhm = '1'", "fwhm = '1' is not allowed: give a number"),
    ("id = 'x'\nsmooth = 'a'\nfwhm = nan", "fwhm = nan is not allowed: give a number"),
    ("id = 'x'\nsmooth = 'a'\nfwhm = true", "fwhm = True is not allowed: give a number"),
    ("id = 'x'\nrgb = ['a', 'b']", "rgb = ['a', 'b'] is not allowed: give the ids of three"),
    ("id = 'x'\nexpression = 'a'\nof = {a = 1}", "of.a = 1 is not allowed: give the id"),
    ("id = 'x'\nexpression = 'a'\nfwhm = 1", "fwhm = 1 is not allowed: keys are id, title, expr"),
    ("id = 'x'\nlayer = 'a'\nvmin = 'low'", "vmin = 'low' is not allowed: give a number"),
    ("id = 'x'\nlayer = 'a'\nreverse = 1", "reverse = 1 is not allowed: give true or false"),
    ("id = 'x'\npolarisation = 'angle'", "(x): layer is missing: give a text"),
]


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [("files", *case) for case in FILES] + [("layers", *case) for case in LAYERS],
)
def test_a_wrong_table_stops_no_other(tmp_path: Path, table: str, text: str, said: str) -> None:
    for name in ("a.fits", "b.fits"):
        (tmp_path / name).touch()
    good = "[[files]]\npath = 'a.fits'\n[[layers]]\nid = 'good'\nlayer = 'a'\n"
    found = read_config(write(tmp_path, f"{good}[[{table}]]\n{text}\n"))
    assert (len(found.files), [item.id for item in found.layers]) == (1, ["good"])
    (problem,) = found.problems
    assert problem.reason.startswith(f"survey.toml, [[{table}]] 2")
    assert said in problem.reason
    assert "\n" not in problem.reason
    assert problem.id == ("x" if "id = 'x'" in text else f"survey-{table}-2")
