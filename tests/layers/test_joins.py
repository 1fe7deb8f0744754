"""Neighbouring tiles join: no pixel column or row of the map is lost or doubled between them."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest

from skyshade.geometry.grids import HIPS, MERCATOR, SKY, WORLD, tan_grid
from skyshade.layers.map import MapLayer
from skyshade.types import Tile, Window
from tests.geometry.skies import ALL, make_wcs
from tests.layers.images import ArrayReader, image

SIDE = 180.0 / 256  # degrees of a lattice pixel of level 0
# WCS, shape, level, and lattice pixels of that level for one of the map, edges on edges
CARS = {
    "whole": (make_wcs(cdelt=(-SIDE, SIDE), crpix=(256.5, 128.5)), (256, 512), 2, 4),
    "flipped": (make_wcs(cdelt=(SIDE, -SIDE), crpix=(256.5, 128.5)), (256, 512), 1, 2),
    "cut at RA 90": (
        make_wcs(crval=(90, 0), cdelt=(-SIDE, SIDE), crpix=(0.5, 128.5)),
        (256, 512),
        2,
        4,
    ),
    "far reference": (
        make_wcs(crval=(180, 0), cdelt=(-SIDE / 8, SIDE / 8), crpix=(-20000.5, 683.5)),
        (456, 4096),
        4,
        2,
    ),
    "wider than the sky": (
        make_wcs(crval=(45, 0), cdelt=(-SIDE, SIDE), crpix=(300.5, 128.5)),
        (256, 600),
        2,
        4,
    ),
    "one to one": (
        make_wcs(cdelt=(-SIDE / 4, SIDE / 4), crpix=(1024.5, 512.5)),
        (1024, 2048),
        2,
        1,
    ),
}
KINDS = ["car", "car galactic", "car rotated whole", "car of 514.3 px", "cea fk5", "ait galactic"]
KINDS += ["zea", "hpx", "tan sip"]
PLACES = [(SKY, (180.0, 0.0)), (SKY, (0.0, 89.9)), (SKY, (80.0, 30.0))]
PLACES += [(HIPS, (45.0, 35.0)), (WORLD, (180.0, -20.0)), (MERCATOR, (0.1, 80.0))]
PLACES += [(tan_grid(80.0, 30.0), (80.0, 30.0)), (tan_grid(0.0, 90.0), (0.0, 89.0))]


def numbered(wcs: Any, shape: tuple[int, int], axis: int) -> MapLayer:
    """Return a map whose pixels hold the number of their row (axis 0) or column (axis 1)."""
    values = np.indices(shape)[axis].astype(np.int32)
    return MapLayer([image(wcs, ArrayReader(values), integer=True)], id="numbers")


def noise(kind: str) -> MapLayer:
    wcs, shape = ALL[kind]
    return MapLayer([image(wcs, np.random.default_rng(3).normal(size=shape))], id="noise")


def inside(layer: MapLayer) -> tuple[float, float]:
    """Return ra and dec of a place on a map, off its symmetries."""
    ny, nx = layer.pixels.shape
    ra, dec = layer.pixels.pixel_to_sky(np.array(nx * 0.45), np.array(ny * 0.55))
    return float(ra), float(dec)


def runs(line: np.ndarray) -> list[tuple[float, int]]:
    """Return (value, length) of the runs of equal values."""
    return [(float(value), len(list(same))) for value, same in groupby(line.tolist())]


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("name", CARS)
def test_every_column_appears_once_and_in_order(name: str, size: int) -> None:
    """Once round the sky, from RA 180 over RA 0 to RA 180, through all tiles of a row."""
    wcs, shape, z, ratio = CARS[name]
    layer = numbered(wcs, shape, 1)
    z -= size == 512
    y = SKY.tile_of(*inside(layer), z).y
    tiles = [layer.compute(Window.of(SKY, Tile(z, x, y), size)).values for x in range(2 << z)]
    lines = np.concatenate(tiles, axis=1)
    lines = lines[np.isfinite(lines[:, 0])]
    assert len(lines) > size // 2
    assert np.all(lines == lines[0])
    found = runs(lines[0])
    if found[0][0] == found[-1][0]:  # the row begins and ends within one column
        found[0] = (found[0][0], found[0][1] + found.pop()[1])
    columns, lengths = np.array(found).T
    assert set(lengths) == {ratio}
    turn = round(360.0 / abs(wcs.wcs.cdelt[0]))
    step = np.diff(np.append(columns, columns[0])) % turn
    assert columns.size == turn
    assert set(step) == {1 if wcs.wcs.cdelt[0] < 0 else turn - 1}


@pytest.mark.parametrize("name", CARS)
def test_every_row_appears_once_and_in_order(name: str) -> None:
    wcs, shape, z, ratio = CARS[name]
    layer = numbered(wcs, shape, 0)
    tiles = [layer.compute(Window.of(SKY, Tile(z, 1, y))).values for y in range(1 << z)]
    lines = np.concatenate(tiles)
    np.testing.assert_array_equal(lines, np.repeat(lines[:, :1], 256, axis=1))
    rows, lengths = np.array(runs(lines[np.isfinite(lines[:, 0]), 0])).T
    assert rows.size == shape[0]
    assert set(lengths) == {ratio}
    assert set(np.diff(rows)) == {-1 if wcs.wcs.cdelt[1] > 0 else 1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", range(len(PLACES)))
def test_four_tiles_are_one_window(kind: str, place: int) -> None:
    """To the last bit, at 256 px as at 512 px."""
    layer = noise(kind)
    grid, (ra, dec) = PLACES[place]
    for z in (1, layer.info.max_zoom + 2):
        tile = grid.tile_of(ra, dec, z)
        x, y = tile.x // 2 * 2, tile.y // 2 * 2
        tiles = [
            [layer.compute(Window.of(grid, Tile(z, x + i, y + j))).values for i in (0, 1)]
            for j in (0, 1)
        ]
        whole = layer.compute(Window(grid, z, x * 256, y * 256, 512, 512)).values
        np.testing.assert_array_equal(np.block(tiles), whole)
        twice = layer.compute(Window.of(grid, Tile(z - 1, x // 2, y // 2), 512)).values
        np.testing.assert_array_equal(twice, whole)


@pytest.mark.parametrize("kind", ["car", "car galactic", "ait galactic", "zea"])
@pytest.mark.parametrize("z", [0, 3])
def test_the_sky_joins_at_its_seam(kind: str, z: int) -> None:
    """The last tile of a row and the first are neighbours."""
    layer = noise(kind)
    for grid in (SKY, WORLD, MERCATOR):
        width, y = grid.lattice_shape(z)[1], (grid.rows << z) // 2
        last = layer.compute(Window.of(grid, Tile(z, (grid.columns << z) - 1, y))).values
        first = layer.compute(Window.of(grid, Tile(z, 0, y))).values
        both = layer.compute(Window(grid, z, width - 256, y * 256, 512, 256)).values
        np.testing.assert_array_equal(np.concatenate([last, first], axis=1), both)
        assert np.isfinite(both).any()


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("kind", [*KINDS, "car oblique"])
def test_world_crs84_quad_is_the_mirror_image(kind: str, size: int) -> None:
    layer = noise(kind)
    for z in (0, 2, layer.info.max_zoom, layer.info.max_zoom + 2):
        tile = SKY.tile_of(*inside(layer), z)
        sky = layer.compute(Window.of(SKY, tile, size)).values
        other = Tile(z, (2 << z) - 1 - tile.x, tile.y)
        mirrored = layer.compute(Window.of(WORLD, other, size)).values
        np.testing.assert_array_equal(mirrored, sky[:, ::-1])
        assert np.isfinite(sky).any()


@pytest.mark.parametrize(("kind", "period"), [("car of 513.7 px", 513.6986), ("car", 360.0)])
def test_a_turn_of_part_of_a_pixel_more_leaves_no_gap(kind: str, period: float) -> None:
    """Maps of 513 columns for a turn of 513.7: the last column fills the rest of the turn."""
    wcs, shape = ALL[kind]
    layer = numbered(wcs, shape, 1)
    z = layer.info.max_zoom + 2
    height, width = SKY.lattice_shape(z)
    line = layer.compute(Window(SKY, z, 0, height // 2, width, 16)).values[0]
    assert np.isfinite(line).all()
    edges = np.flatnonzero(np.diff(line))
    assert edges.size in (shape[1], shape[1] - 1)
    assert set(np.abs(np.diff(line)[edges]) % (shape[1] - 1)) <= {0.0, 1.0}
    assert np.diff(edges).max() * 360.0 / width < 1.7 * 360.0 / period + 360.0 / width
