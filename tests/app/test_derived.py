"""Layers made of others, from a config file to bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from skyshade.atlas.build import open_atlas
from tests.geometry.skies import make_wcs

CONFIG = """
[[files]]
path = "*.fits"

[[layers]]
id = "colours"
rgb = ["a", "b", "c"]

[[layers]]
id = "difference"
expression = "a - b"
of = { a = "a", b = "b" }

[[layers]]
id = "wide"
smooth = "difference"
fwhm = 8
"""


@pytest.fixture
def client(connect: Any, tmp_path: Path) -> Any:
    header = make_wcs(cdelt=(-2.0, 2.0), crpix=(90.5, 45.5)).to_header()
    for seed, name in enumerate("abc"):
        values = np.random.default_rng(seed).normal(size=(90, 180)).astype(np.float32)
        values[:, :20] = np.nan
        fits.writeto(tmp_path / f"{name}.fits", values, header)
    (tmp_path / "survey.toml").write_text(CONFIG)
    return connect(open_atlas([tmp_path / "survey.toml"]))


def pixels(client: Any, url: str) -> np.ndarray:
    reply = client.get(url)
    assert reply.status_code == 200, reply.text
    return np.asarray(Image.open(io.BytesIO(reply.content)).convert("RGBA"))


def test_a_colour_layer_is_served_and_styled(client: Any) -> None:
    plain = pixels(client, "/tiles/colours/sky/0/0/0.png")
    assert plain.shape == (256, 256, 4)
    assert {0, 255} == set(np.unique(plain[..., 3]))  # clear where the maps have nothing
    assert len(np.unique(plain[..., :3].reshape(-1, 3), axis=0)) > 1000
    harder = pixels(client, "/tiles/colours/sky/0/0/0.png?q=50")
    linear = pixels(client, "/tiles/colours/sky/0/0/0.png?stretch=linear&vmin=-1&vmax=1")
    assert (harder != plain).any()
    assert (linear != plain).any()
    for fmt in ("webp", "jpg"):
        assert pixels(client, f"/tiles/colours/sky/0/0/0.{fmt}").shape == (256, 256, 4)
    assert pixels(client, "/tiles/colours/square/0/0/0.png").shape == (256, 256, 4)


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        (".f2", "a value tile holds (y, x) numbers, not 3 dimensions: ask for png"),
        (".png?stretch=log", "unknown stretch of a colour layer 'log'; known: lupton, linear"),
        (".png?q=0", "q=0.0 is not allowed: give a number above 0"),
        (".png?plane=Q", "plane 'Q' of layer 'colours' is not allowed"),
    ],
)
def test_what_a_colour_layer_cannot_do_is_said(client: Any, tail: str, said: str) -> None:
    reply = client.get(f"/tiles/colours/sky/0/0/0{tail}")
    assert reply.status_code == 422
    assert said in reply.json()["detail"]


def test_lupton_is_for_colours_only(client: Any) -> None:
    reply = client.get("/tiles/a/sky/0/0/0.png?stretch=lupton")
    assert reply.status_code == 422
    assert "unknown stretch 'lupton'" in reply.json()["detail"]


def test_derived_numbers_are_served(client: Any) -> None:
    tiles = {
        name: np.frombuffer(client.get(f"/tiles/{name}/sky/0/0/0.f4").content, "<f4")
        for name in ("a", "b", "difference", "wide")
    }
    shown = np.isfinite(tiles["difference"])
    np.testing.assert_allclose(
        tiles["difference"][shown], (tiles["a"] - tiles["b"])[shown], atol=1e-4
    )
    assert np.nanstd(tiles["wide"]) < np.nanstd(tiles["difference"]) / 2
    for name in ("colours", "difference", "wide"):
        listed = client.get(f"/api/layers/{name}").json()
        assert listed["id"] == name
        assert client.get(f"/tiles/{name}/sky/tilejson.json").status_code == 200
    assert client.get("/api/layers/colours").json()["style"]["stretch"] == "lupton"
