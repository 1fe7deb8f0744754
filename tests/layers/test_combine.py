from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import ChangedError, InputError, UnknownNameError
from skyshade.geometry.grids import SKY
from skyshade.layers.combine import CombinedReader, combine, maximum, mean, minimum
from skyshade.layers.map import MapLayer
from skyshade.loaders.api import load
from skyshade.testing import LayerTests
from skyshade.types import Style, Tile, Window
from tests.geometry.skies import make_wcs
from tests.layers.images import ArrayReader, image

SHAPE = (90, 180)
WCS = make_wcs(cdelt=(-2.0, 2.0), crpix=(90.5, 45.5))
EAST = Window.of(SKY, Tile(1, 1, 0))


def numbers(seed: int, missing: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(1.0, 2.0, SHAPE).astype(np.float32)
    values[rng.random(SHAPE) < missing] = np.nan
    return values


def layer(name: str, values: np.ndarray, **more: object) -> MapLayer:
    more = {"title": name.upper(), "units": "uK", **more}
    return MapLayer([image(WCS, ArrayReader(values), **more)], id=name)


def pixels(made: MapLayer) -> np.ndarray:
    return made.image.reader.read(0, SHAPE[0], 0, SHAPE[1])


A, B = numbers(1), numbers(2)


class TestLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> MapLayer:
        return (layer("a", A) - layer("b", B)) / 2


CASES = {
    "sum": (lambda a, b: a + b, A + B),
    "difference": (lambda a, b: a - b, A - B),
    "product": (lambda a, b: a * b * 2, A * B * 2),
    "weighted": (lambda a, b: (b * a) / b, (B * A) / B),
    "reflected": (lambda a, b: 3 - a + 2 * b, 3 - A + 2 * B),
    "reciprocal": (lambda a, _: 1 / a, 1 / A),
    "numpy number": (lambda a, _: np.float64(2.0) * a, 2 * A),
    "negative": (lambda a, b: -a - -b, -A + B),
    "absolute": (lambda a, _: abs(a), np.abs(A)),
    "mean": (lambda a, b: mean(a, b, 4.0), (A + B + 4) / 3),
    "minimum": (lambda a, b: minimum(a, b), np.minimum(A, B)),
    "maximum": (lambda a, b: maximum(a, b, 0.5), np.maximum(np.maximum(A, B), 0.5)),
    "mask": (lambda a, _: a > 0.5, np.where(np.isnan(A), np.nan, A > 0.5)),
    "masks": (
        lambda a, b: (a > 0.5) & ~(b <= 1) | (a < -1),
        np.where(np.isnan(A + B), np.nan, ((A > 0.5) & ~(B <= 1)) | (A < -1)),
    ),
    "masked": (lambda a, b: a.where(b > 0), np.where(np.nan_to_num(B) > 0, A, np.nan)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_combination_is_that_of_the_pixels(name: str) -> None:
    make, expected = CASES[name]
    made = make(layer("a", A), layer("b", B))
    found = pixels(made)
    assert found.dtype == made.image.reader.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_division_by_zero_is_missing() -> None:
    zero = np.where(np.arange(180) % 2, B, 0.0).astype(np.float32)
    found = pixels(layer("a", A) / layer("z", zero))
    assert np.isnan(found[:, ::2]).all()
    assert np.isnan(pixels(1 / (layer("a", A) / layer("z", zero)))[:, ::2]).all()  # not 1 / inf
    assert np.isnan(pixels(combine("sqrt(a)", {"a": layer("a", -np.abs(A) - 1)}))).all()


def test_only_the_boxes_asked_for_are_read_and_each_part_once() -> None:
    a, b = layer("a", A), layer("b", B)
    made = (a * b) / a + a
    made.info  # noqa: B018 (a description reads nothing)
    assert a.image.reader.boxes == b.image.reader.boxes == []
    made.image.reader.read(10, 20, 30, 50)
    assert a.image.reader.boxes == b.image.reader.boxes == [(10, 20, 30, 50, 1)]


def test_tiles_values_and_statistics_follow() -> None:
    made = (layer("a", A) - layer("b", B)) / 2
    plain = layer("c", (A - B) / 2)
    assert np.isfinite(plain.compute(EAST).values).any()
    for window in (EAST, Window.of(SKY, Tile(0, 1, 0)), Window.of(SKY, Tile(3, 9, 3))):
        np.testing.assert_array_equal(made.compute(window).values, plain.compute(window).values)
    assert made.statistics() == plain.statistics()
    assert made.value(10.0, 20.0) == plain.value(10.0, 20.0)


def test_the_version_follows_the_parts_and_the_expression() -> None:
    a, b = layer("a", A), layer("b", B)
    made, other = a - b, a + b
    first = made.version
    assert first == (a - b).version != other.version
    before = made.compute(EAST).values
    b.image.reader.mark = "2"
    b.image.reader.values = b.image.reader.values + 1
    assert made.version != first
    shown = np.isfinite(before)
    np.testing.assert_allclose((made.compute(EAST).values - before)[shown], -1.0, atol=1e-4)


def test_a_part_that_changes_while_it_is_read_never_mixes() -> None:
    class Moving(ArrayReader):
        turns, stop = 0, 1

        def read(self, *box: int) -> np.ndarray:
            found = super().read(*box)
            if self.turns < self.stop:
                self.turns += 1
                self.mark, self.values = f"v{self.turns}", self.values + 1
            return found

    moving = Moving(A)
    made = MapLayer([image(WCS, moving)], id="m") + layer("b", B)
    np.testing.assert_allclose(pixels(made), A + B + 1, atol=1e-5)
    moving.stop = 100
    with pytest.raises(ChangedError, match="keep changing"):
        pixels(made)


def test_float64_parts_keep_their_digits() -> None:
    wide = layer("w", 1e9 + np.arange(SHAPE[0] * SHAPE[1], dtype=np.float64).reshape(SHAPE))
    made = wide - 1e9
    assert made.image.reader.dtype == np.float64
    assert pixels(made)[0, 5] == 5.0


def test_titles_units_and_ids() -> None:
    a, b, k = layer("a", A), layer("b", B), layer("k", B, units="K km/s")
    said = {
        "(A - B) / 2": ((a - b) / 2, "uK"),
        "A - (B - 1)": (a - (b - 1), "uK"),
        "A / B": (a / b, ""),
        "A / K": (a / k, "uK / (K km/s)"),
        "1 / A": (1 / a, "1 / uK"),
        "A * K": (a * k, "uK * (K km/s)"),
        "A + K": (a + k, ""),
        "-A": (-a, "uK"),
        "A > 0.5 & B < 1": ((a > 0.5) & (b < 1), ""),
        "min(A, B)": (minimum(a, b), "uK"),
        "where(A, B > 0)": (a.where(b > 0), "uK"),
        "A * -2": (a * -2, "uK"),
    }
    for title, (made, units) in said.items():
        assert (made.info.title, made.info.units) == (title, units)
    assert (a - b).info.id == "a-minus-b"
    assert a.where(b > 0).info.id == "where-a-b-above-0"
    assert len(sum([a] * 40, b).info.id) <= 60
    assert ((a > 0).image.integer, (a + 1).image.integer) == (True, False)


def test_a_name_a_title_and_a_style_can_be_given() -> None:
    a, b = layer("a", A), layer("b", B)
    made = (a - b).named("diff", "Difference", style=Style(cmap="RdBu", vmin=-3, vmax=3))
    assert (made.id, made.info.title, made.info.style.cmap) == ("diff", "Difference", "RdBu")
    assert made.version == (a - b).version
    assert (a - b).named("x").info.title == "A - B"


def test_parts_stay_reachable() -> None:
    a, b = layer("a", A), layer("b", B)
    made = (a - b) * (b + 1)
    assert made.parts == (a, b)  # combinations are taken apart, each map once
    assert made.select(reduction="max").parts == (a, b)
    assert a.parts == ()


def test_weights_stay_with_a_map_that_is_only_scaled() -> None:
    weight = ArrayReader(np.ones(SHAPE, np.float32))
    a = MapLayer([replace(image(WCS, A), weight=weight)], id="a")
    b = layer("b", B)
    assert (2 * a + 1).image.weight is weight
    assert a.where(b > 0).image.weight is weight
    assert (a + b).image.weight is None
    assert abs(a).image.weight is None


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (make_wcs(cdelt=(-2.0, 2.0), crpix=(90.5, 45.5), axes="G"), "CTYPE1 is RA---CAR and GLON"),
        (make_wcs(cdelt=(-2.0, 2.0), crpix=(90.5, 45.5), crval=(10, 0)), "CRVAL1 is 0.0 and 10.0"),
    ],
)
def test_other_geometries_are_refused_and_the_difference_named(other: object, said: str) -> None:
    moved = MapLayer([image(other, B)], id="moved")
    with pytest.raises(InputError, match=f"'a' and 'moved' cannot be combined.*{said}"):
        layer("a", A) + moved


def test_other_sizes_are_refused() -> None:
    small = MapLayer([image(WCS, B[:45])], id="small")
    with pytest.raises(InputError, match="180 x 90 and 180 x 45 pixels"):
        layer("a", A) - small


def test_a_header_that_moves_no_pixel_does_not_matter() -> None:
    dated = make_wcs(cdelt=(-2.0, 2.0), crpix=(90.5, 45.5), dateobs="2020-01-01")
    turned = make_wcs(cdelt=(-2.0, 2.0), crpix=(90.5 - 180, 45.5), crval=(360, 0))
    for same in (dated, turned):
        made = layer("a", A) + MapLayer([image(same, B)], id="b")
        np.testing.assert_allclose(pixels(made), A + B)


@pytest.mark.parametrize("bad", ["text", None, True, np.zeros(3), [1]])
def test_other_operands_are_a_type_error(bad: object) -> None:
    with pytest.raises(TypeError):
        layer("a", A) + bad  # type: ignore[operator]


def test_numbers_must_be_finite_and_expressions_of_some_length() -> None:
    a = layer("a", A)
    with pytest.raises(InputError, match=r"operand nan of '\*'"):
        a * float("nan")
    with pytest.raises(InputError, match="operand x of 'min'"):
        minimum(a, "x")  # type: ignore[arg-type]
    for _ in range(11):
        a = a * a
    with pytest.raises(InputError, match="steps is not allowed: at most 4096"):
        a * a


def test_long_sums_are_no_recursion() -> None:
    made = sum([layer(f"m{i}", A) for i in range(1200)], layer("a", A))
    np.testing.assert_allclose(made.image.reader.read(0, 1, 0, 9), 1201 * A[:1, :9], rtol=1e-4)


def test_text_says_the_same_as_operators() -> None:
    a, b = layer("a", A), layer("b", B)
    texts = {
        "(a - b) / 2": (a - b) / 2,
        "max(a, b, 0.5) * -1": maximum(a, b, 0.5) * -1,
        "where(a, b > 0 & ~(a < 1))": a.where((b > 0) & ~(a < 1)),
        "mean(a, b) / (abs(a) + 1e-3)": mean(a, b) / (abs(a) + 1e-3),
        "(a > 0.5) * b": (a > 0.5) * b,
    }
    for text, made in texts.items():
        found = combine(text, {"a": a, "b": b, "unused": a})
        np.testing.assert_array_equal(pixels(found), pixels(made))
        assert found.info.title == made.info.title
    equal = combine("a == a & a != b", {"a": a, "b": b}, id="x", title="Title")
    assert (equal.info.id, equal.info.title) == ("x", "Title")
    np.testing.assert_array_equal(pixels(equal), np.where(np.isnan(A + B), np.nan, A != B))


@given(st.text(max_size=40))
def test_no_text_does_worse_than_an_input_error(text: str) -> None:
    try:
        made = combine(text, {"a": LONELY})
    except InputError:
        return
    assert isinstance(made.image.reader, CombinedReader)


LONELY = layer("a", A)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expression '' is empty"),
        ("1 + 2", "uses no layer"),
        ("a +", "expected a number, a name or '\\(' at position 4, found the end|position 4"),
        ("a + c", "unknown name at position 5 of expression 'c'; known: a"),
        ("exp(a)", "unknown function at position 1 of expression 'exp'; known: abs, sqrt"),
        ("min(a)", "min at position 1 takes 2 to 64 values, not 1"),
        ("where(a, a, a)", "where at position 1 takes 2 values, not 3"),
        ("a, a", "expected an operator or the end at position 2"),
        ("a + 'x'", "expected a number, a name or '\\('"),
        ("__import__('os')", "unknown function"),
        ("a.image", "unexpected '.'"),
        ("(" * 60 + "a" + ")" * 60, "nested deeper than 50"),
        ("a" + "+a" * 600, "at most 1000"),
    ],
)
def test_bad_expressions_say_where(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        combine(text, {"a": LONELY})


def test_unknown_names_are_listed() -> None:
    with pytest.raises(UnknownNameError, match="known: a"):
        combine("q * 2", {"a": LONELY})


def test_threads_agree() -> None:
    made = (layer("a", A) - layer("b", B)) / 2
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.append(made.compute(EAST).values)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in found[1:]:
        np.testing.assert_array_equal(one, found[0])


def test_planes_of_a_real_map(shared_data: Path) -> None:
    planes = load(shared_data / "real/car/wmap_W_iqu_car_derived.fits").images[0]
    q, u = (MapLayer(planes, id=f"w-{n}", plane=n) for n in (1, 2))
    power = q * q + u * u
    values = [power.value(83.6, 22.0), q.value(83.6, 22.0), u.value(83.6, 22.0)]
    assert values[0] == pytest.approx(values[1] ** 2 + values[2] ** 2, rel=1e-5)
    assert power.info.units == "uK * uK"


def test_healpix_maps_combine_too(shared_data: Path) -> None:
    from skyshade.layers.healpix import HealpixLayer

    name = "real/healpix/wmap_band_iqumap_r9_7yr_W_v4_udgraded32.fits"
    planes = load(shared_data / name).spheres[0]
    i, q = (HealpixLayer(planes, id=f"h{n}", plane=n) for n in (0, 1))
    made = (i - q) * 2
    expected = 2 * (i.image.reader.read(5, 50) - q.image.reader.read(5, 50))
    np.testing.assert_allclose(made.image.reader.read(5, 50), expected, rtol=1e-5)
    assert made.value(83.6, 22.0) == pytest.approx(
        2 * (i.value(83.6, 22.0) - q.value(83.6, 22.0)), rel=1e-5
    )
    assert np.isfinite(made.compute(EAST).values).all()
    with pytest.raises(InputError, match="kinds healpix and map"):
        made + layer("a", A)
