from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from skyshade.errors import UnknownNameError
from skyshade.shaders.colormaps import BUILTIN, STORED, colormap, colormap_names
from tests.shaders.make_builtin import colours_of


def test_every_matplotlib_name() -> None:
    import matplotlib

    for name, cmap in matplotlib.colormaps.items():
        if name.startswith("cet_"):  # colorcet puts its own there when it is imported
            continue
        expected = cmap(np.linspace(0, 1, 256), bytes=True)
        away = np.abs(colormap(name).astype(int) - expected).max()
        assert away <= (2 if name == "twilight_r" else 1), name  # we keep half of its 510 colours


def test_every_colorcet_name() -> None:
    import colorcet
    import matplotlib

    shared = {n for n in matplotlib.colormaps if not n.startswith("cet_")}
    for name, hexes in colorcet.palette.items():
        expected = np.array([list(bytes.fromhex(h[1:])) for h in hexes])
        for ours in [f"cet_{name}"] if name in shared else [name, f"cet_{name}"]:
            np.testing.assert_array_equal(colormap(ours)[:, :3], expected, ours)
        np.testing.assert_array_equal(colormap(f"cet_{name}_r")[:, :3], expected[::-1])


@pytest.mark.parametrize("name", ["fire", "bmy", "CET-L16", "CET_L16", "rainbow4"])
def test_well_known_colorcet_names(name: str) -> None:
    import colorcet

    expected = colorcet.palette[name.replace("-", "_")]
    assert bytes(colormap(name)[77]).hex() == expected[77][1:] + "ff"


def test_every_listed_name_resolves() -> None:
    names = colormap_names()
    assert len(set(names)) == len(names) > 700
    assert {*BUILTIN, "planck_r", "cet_coolwarm", "bmy", "tab10", "jet_r"} <= set(names)
    for name in names:
        made = colormap(name)
        assert made.shape == (256, 4)
        assert made.dtype == np.uint8


@pytest.mark.parametrize("name", STORED)
def test_stored_maps_are_the_libraries_own(name: str) -> None:
    np.testing.assert_array_equal(colormap(name)[:, :3], colours_of(name))
    np.testing.assert_array_equal(colormap(f"{name}_r"), colormap(name)[::-1])


def test_planck_stops() -> None:
    made = colormap("planck").astype(int)
    for at, colour in ((0, "0000ff"), (85, "00d7ff"), (255, "640000")):
        assert np.abs(made[at, :3] - list(bytes.fromhex(colour))).max() <= 3
    assert (made[:, 3] == 255).all()


def test_builtin_maps_import_no_library() -> None:
    code = (
        "import sys; from skyshade.shaders.shader import Shader; Shader(); Shader('planck_r');"
        "print(sorted({'matplotlib', 'colorcet', 'PIL', 'xarray', 'numba'} & {*sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_unknown_name_tells_close_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown colour map 'virids'; known: viridis"):
        colormap("virids")


def test_maps_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        colormap("viridis")[0] = 0
