from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skyshade.geometry.grids import SKY
from skyshade.layers.map import MapLayer
from skyshade.layers.planes import stretches_of
from skyshade.loaders.api import load
from skyshade.shaders.shader import shader_for
from skyshade.types import Style, Window
from tests.geometry.skies import ALL, make_wcs
from tests.layers.images import image


def test_statistics_of_a_large_map_come_from_a_sample() -> None:
    wcs = make_wcs(cdelt=(-0.1, 0.1), crpix=(1800.5, 900.5))
    values = np.full((1800, 3600), np.nan, np.float32)
    values[400:440, 900:960] = np.arange(2400).reshape(40, 60)
    layer = MapLayer([image(wcs, values)], id="m")
    found = layer.statistics()
    assert not found.exact
    assert found.n_valid > 500  # the box around the few valid pixels is sampled densely
    assert found.maximum == pytest.approx(2399, rel=0.02)
    assert layer.scale() == 4096.0
    assert (
        sum((y1 - y0) * (x1 - x0) / s**2 for y0, y1, x0, x1, s in layer._mine.reader.boxes) < 2.5e6
    )


def test_info() -> None:
    wcs, shape = ALL["car galactic"]
    planes = [
        image(wcs, np.zeros(shape), plane=p, units="uK_CMB", title="A <b>map</b>", hdu="")
        for p in "IQU"
    ]
    info = MapLayer(planes, id="a-map-u", plane=2).info
    assert (info.id, info.kind, info.frame, info.projection) == (
        "a-map-u",
        "map",
        "galactic",
        "CAR",
    )
    assert (info.size, info.units, info.quantity) == ("720 x 360", "uK_CMB", "U")
    assert info.title == "A <b>map</b> U"
    assert list(info.planes) == ["I", "Q", "U"]
    assert info.style.cmap == "planck"
    assert info.max_zoom == SKY.zoom_for(0.5) == 1
    assert info.coverage == pytest.approx((360, 0, -90, 90), abs=1e-3)


@pytest.mark.parametrize(
    ("units", "name", "cmap"),
    [
        ("uK", "m", "planck"),
        ("mK,thermodynamic", "m", "planck"),
        ("K_CMB", "m", "planck"),
        ("K", "m", "inferno"),
        ("MJy/sr", "m", "inferno"),
        ("", "act_ivar", "viridis"),
        ("uK^-2", "act_ivar", "viridis"),
        ("uK", "masked_sky", "planck"),
        ("", "hits", "viridis"),
        ("", "white_dwarfs", "inferno"),
        ("", "surveyMask", "gray"),
    ],
)
def test_default_styles(units: str, name: str, cmap: str) -> None:
    wcs, shape = ALL["car"]
    made = MapLayer([image(wcs, np.zeros(shape), units=units, name=name)], id="m")
    assert made.info.style.cmap == cmap


@pytest.mark.parametrize(
    ("more", "style"),
    [
        ({"name": "surveyMask"}, Style(cmap="gray", vmin=0.0, vmax=1.0)),
        ({"name": "x", "attrs": {"EXTNAME": "MASK"}}, Style(cmap="gray", vmin=0.0, vmax=1.0)),
        ({"name": "x", "plane": "HITS"}, Style(cmap="viridis", vmin=0.0, stretch="sqrt")),
        ({"name": "x", "hdu": "IVAR"}, Style(cmap="viridis", vmin=0.0, stretch="sqrt")),
        (
            {"name": "x", "attrs": {"BTYPE": "weight"}},
            Style(cmap="viridis", vmin=0.0, stretch="sqrt"),
        ),
    ],
)
def test_names_say_what_a_map_is(more: dict, style: Style) -> None:
    wcs, shape = ALL["car"]
    layer = MapLayer([image(wcs, np.ones(shape), units="uK_CMB", **more)], id="m")
    assert layer.info.style == style
    assert not layer.statistics().symmetric


def test_masks_are_never_interpolated() -> None:
    wcs, shape = ALL["car"]
    mask = np.random.default_rng(0).integers(0, 2, shape)
    layer = MapLayer([image(wcs, mask, name="galMask")], id="m")
    found = layer.compute(Window(SKY, 0, 0, 0, 512, 256)).values
    assert set(np.unique(found)) == {0.0, 1.0}


def test_a_real_survey_mask_comes_out_as_a_mask(shared_data: Path) -> None:
    loaded = load(shared_data / "real" / "car" / "surveyMask.fits.gz").images[0]
    info = MapLayer(loaded, id="mask").info
    assert info.style == Style(cmap="gray", vmin=0.0, vmax=1.0)


@pytest.mark.parametrize(
    ("more", "symmetric"),
    [
        ({"plane": "Q", "plane_axis": "stokes"}, True),
        ({"plane": "U"}, True),
        ({"plane": "I"}, False),
        ({"plane": "V", "plane_axis": "band"}, False),
        ({"name": "pa4_minus_pa5_diff"}, True),
        ({"name": "planck_residual"}, True),
        ({"attrs": {"EXTNAME": "U_STOKES"}}, True),
        ({"name": "diffuse"}, False),
        ({"plane": "Q", "name": "map_ivar"}, False),
    ],
)
def test_ranges_about_zero(more: dict, symmetric: bool) -> None:
    wcs, shape = ALL["car"]
    values = np.random.default_rng(0).normal(3.0, 1.0, shape)
    layer = MapLayer([image(wcs, values, **more)], id="m")
    found = layer.statistics()
    assert found.symmetric is symmetric
    shader = shader_for(Style(), found)
    if symmetric:
        assert shader.vmax == -shader.vmin == pytest.approx(found.percentiles["99.5"])
        assert shader_for(Style(vmin=1.0), found).vmin == 1.0
        assert not layer.select(reduction="std").statistics().symmetric
    else:
        assert shader.vmin == pytest.approx(found.percentiles["0.5"])


@pytest.mark.parametrize("name", ["car", "car galactic", "tan", "tan turned", "cea fk5", "zea"])
def test_most_maps_have_one_resolution(name: str) -> None:
    layer = MapLayer([image(ALL[name][0], np.zeros(ALL[name][1]))], id=name)
    assert stretches_of(layer.pixels)[0] < 1.2


def test_wide_gnomonic_maps_take_coarser_levels() -> None:
    """At the rim of a map 150 degrees wide its pixels are ten times finer on the sky."""
    n = 1500
    scale = 2 * np.degrees(np.tan(np.radians(75.0))) / n
    wcs = make_wcs("TAN", (180, 0), (-scale, scale), (n / 2 + 0.5, n / 2 + 0.5))
    layer = MapLayer([image(wcs, np.random.default_rng(0).normal(size=(n, n)))], id="wide")
    chosen, most = stretches_of(layer.pixels)
    assert 2.0 < chosen <= 4.0
    assert most > 10.0
    whole = layer.compute(Window(SKY, 0, -96, 98, 192, 60)).values
    halves = [layer.compute(Window(SKY, 0, col, 98, 96, 60)).values for col in (-96, 0)]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), whole)
    rim = whole[:, :12]  # 60 to 67 degrees from the middle
    assert np.isfinite(rim).all()
    assert rim.std() < 0.3  # of noise whose deviation is 1
