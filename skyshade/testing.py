"""Conformance tests and hypothesis strategies, shipped so that others can test their own parts.

Subclass `LayerTests` in a test module, give it a ``layer`` fixture, and pytest runs the laws that
every layer keeps. Needs pytest and hypothesis (``pip install "skyshade[test]"``).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from skyshade.errors import InputError
from skyshade.geometry.grids import SKY, square_window
from skyshade.shaders.shader import shader_for
from skyshade.tiles.encode import encode_values
from skyshade.types import Aggregate, Layer, Tile, Window


def sky_tiles(max_zoom: int = 12) -> st.SearchStrategy[Tile]:
    """Return a strategy for tiles of the ``sky`` grid down to `max_zoom`."""
    return st.integers(0, max_zoom).flatmap(
        lambda z: st.builds(
            Tile,
            st.just(z),
            st.integers(0, (SKY.columns << z) - 1),
            st.integers(0, (SKY.rows << z) - 1),
        )
    )


def positions() -> st.SearchStrategy[tuple[float, float]]:
    """Return a strategy for ICRS positions in degrees, poles and RA 0, 180, 360 among them."""
    ra = st.one_of(st.sampled_from([0.0, 180.0, 360.0]), st.floats(0.0, 360.0))
    dec = st.one_of(st.sampled_from([-90.0, 0.0, 90.0]), st.floats(-90.0, 90.0))
    return st.tuples(ra, dec)


class LayerTests:
    """What every `skyshade.types.Layer` on the sky must do."""

    @pytest.fixture
    def layer(self) -> Layer:
        """Return the layer under test; subclasses override it."""
        msg = "override the layer fixture"
        raise NotImplementedError(msg)

    def _exact(self, layer: Layer, window: Window) -> Aggregate:
        layer.aggregate(window, exact=True)
        return layer.compute(window)

    def test_aggregate_is_the_narrow_waist(self, layer: Layer) -> None:
        """An aggregate has the window's shape, named dims, units, version and quality."""
        window = Window.of(SKY, Tile(1, 1, 0))
        array = layer.aggregate(window, exact=True)
        assert array.dims[:2] == ("y", "x")
        assert array.shape[:2] == window.shape
        assert array.attrs["quality"] == "exact"
        assert array.attrs["version"] == layer.version
        assert array.attrs["units"] == layer.info.units
        assert array.dtype.kind in "fu"

    def test_a_third_axis_is_named(self, layer: Layer) -> None:
        """Categories and bands have names, and never become tiles of values."""
        made = self._exact(layer, Window(SKY, 0, 0, 0, 16, 16))
        if made.values.ndim == 2:
            return
        assert made.dims[2] in ("category", "band")
        assert len(made.categories) == made.values.shape[2]
        with pytest.raises(InputError):
            encode_values(made.values, "f2", layer.scale())

    def test_the_default_style_colours_it(self, layer: Layer) -> None:
        """Whatever a layer gives, its own style makes a picture of it."""
        made = self._exact(layer, Window(SKY, 0, 128, 64, 32, 16))
        shown = shader_for(layer.info.style, layer.statistics())(made).rgba()
        assert shown.shape == (16, 32, 4)

    def test_neighbouring_windows_join(self, layer: Layer) -> None:
        """Two tiles computed alone equal the same two computed at once."""
        left = self._exact(layer, Window(SKY, 3, 1792, 768, 256, 256)).values
        right = self._exact(layer, Window(SKY, 3, 2048, 768, 256, 256)).values
        both = self._exact(layer, Window(SKY, 3, 1792, 768, 512, 256)).values
        np.testing.assert_allclose(np.concatenate([left, right], axis=1), both, rtol=1e-5)

    def test_columns_are_periodic(self, layer: Layer) -> None:
        """A window one turn further shows the same sky."""
        here = self._exact(layer, Window(SKY, 2, 1900, 300, 200, 100)).values
        there = self._exact(layer, Window(SKY, 2, 1900 - 2048, 300, 200, 100)).values
        np.testing.assert_array_equal(here, there)

    def test_rows_beyond_the_poles_are_empty(self, layer: Layer) -> None:
        """A padded window holds no data beyond the lattice."""
        values = self._exact(layer, Window(SKY, 1, 0, -8, 64, 8)).values
        assert not np.nan_to_num(values).any()

    def test_square_root_window(self, layer: Layer) -> None:
        """The half-size level behind the square root is served too."""
        window = square_window(Tile(0, 0, 0))
        assert window is not None
        assert self._exact(layer, window).values.shape[:2] == (128, 256)

    def test_version_follows_the_numbers(self, layer: Layer) -> None:
        """The version is a stable, short text."""
        assert layer.version == layer.version
        assert 0 < len(layer.version) <= 64

    def test_statistics_are_plain_numbers(self, layer: Layer) -> None:
        """Statistics never hold NaN or infinities, and the scale is a power of two."""
        found = layer.statistics()
        numbers = [found.minimum, found.maximum, found.mean, found.std, *found.percentiles.values()]
        assert all(n is not None and np.isfinite(n) for n in numbers) or found.n_valid == 0
        assert sum(found.counts) <= found.n_valid
        mantissa, _ = np.frexp(layer.scale())
        assert mantissa == 0.5

    def test_values_are_looked_up(self, layer: Layer) -> None:
        """A value is a finite number or None, at the poles and across RA 0 too."""
        for ra, dec in [(0.0, 0.0), (360.0, 0.0), (180.0, 90.0), (12.5, -90.0)]:
            value = layer.value(ra, dec)
            assert value is None or np.isfinite(value)
