"""Tiles, windows, extents, and what a plane and a grid must offer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
AnyArray = NDArray[Any]
Places = AnyArray | float


class Tile(NamedTuple):
    """A slippy-map tile; row ``y = 0`` is the top row."""

    z: int
    x: int
    y: int


class Extent(NamedTuple):
    """A rectangle in the plane of a grid, in the plane's units."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


class Coverage(NamedTuple):
    """A sky rectangle, ICRS degrees; runs from `ra_east` with falling RA to `ra_west`.

    The whole circle is ``ra_east - ra_west == 360``. `ra_west` lies in 0..360 and `ra_east` is the
    first equal or greater value, so ``Coverage(370, 350, ...)`` crosses RA 0.
    """

    ra_east: float
    ra_west: float
    dec_min: float
    dec_max: float


@runtime_checkable
class Plane(Protocol):
    """Coordinates that a tile grid is laid on."""

    @property
    def frame(self) -> Literal["sky", "plane"]:
        """Whether the plane shows the sky or free x/y data."""
        ...

    @property
    def period(self) -> float | None:
        """Period of x in plane units, or None."""
        ...

    @property
    def separable(self) -> bool:
        """Whether x follows RA only and y Dec only."""
        ...

    @property
    def degrees(self) -> float:
        """Degrees of sky in one plane unit, where the plane has its true scale."""
        ...

    def to_sky(self, x: AnyArray, y: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ICRS (ra 0..360, dec) in degrees, NaN outside."""
        ...

    def from_sky(self, ra: AnyArray, dec: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return plane coordinates of ICRS positions in degrees, NaN where it shows none."""
        ...


class Grid(Protocol):
    """What a window needs to know of its grid; `skyshade.geometry.TileGrid` is the one form."""

    @property
    def id(self) -> str:
        """Name of the grid in URLs."""
        ...

    @property
    def frame(self) -> Literal["sky", "plane"]:
        """Whether the grid lies on the sky or on free x/y data."""
        ...

    @property
    def periodic(self) -> bool:
        """Whether columns go round the sky; if not, columns beyond the lattice hold no data."""
        ...

    @property
    def separable(self) -> bool:
        """Whether columns follow RA only and rows Dec only: `sky_axes` may be asked."""
        ...

    @property
    def max_zoom(self) -> int:
        """Last level of tiles; the lattice of 512 px tiles is one level deeper."""
        ...

    def lattice_shape(self, z: int) -> tuple[int, int]:
        """Rows and columns of the pixel lattice of level `z`."""
        ...

    def pixel_degrees(self, z: int) -> float:
        """Side of a lattice pixel of level `z` in degrees, where the grid has its true scale."""
        ...

    def pixel_areas(self, z: int, cols: Places, rows: Places) -> FloatArray:
        """Solid angles of lattice pixels in square degrees; broadcasts to their shape."""
        ...

    def lattice(self, ra: AnyArray, dec: AnyArray, z: int) -> tuple[IntArray, IntArray]:
        """Return lattice (columns, rows) that own ICRS positions; beyond the lattice if none."""
        ...

    def sky(
        self, z: int, cols: Places, rows: Places, *, beyond: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Return (ra, dec) of lattice positions (fractional, broadcast), NaN where nothing is.

        With `beyond` positions beyond the lattice go on smoothly instead, over a pole too.
        """
        ...

    def sky_axes(self, z: int, cols: AnyArray, rows: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ra of lattice columns and dec of lattice rows (fractional), if separable."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of the global pixel lattice of level `z` of a grid.

    Columns are periodic where the grid is; what lies beyond the lattice holds no data. Row 0 is on
    top.

    Parameters
    ----------
    grid : Grid
    z : int
        Level of the lattice; that of ``sky`` has ``512 * 2**z`` columns, ``256 * 2**z`` rows.
    col, row : int
        Lattice position of the window's upper left pixel.
    width, height : int
        Size in pixels.
    """

    grid: Grid
    z: int
    col: int
    row: int
    width: int
    height: int

    @classmethod
    def of(cls, grid: Grid, tile: Tile, size: int = 256) -> Window:
        """Return the window of `tile` at `size` pixels a side (256 times a power of two).

        A 512 px tile of level z lies on the lattice of level z + 1.
        """
        step = size.bit_length() - 9
        return cls(grid, tile.z + step, tile.x * size, tile.y * size, size, size)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def key(self) -> tuple[str, int, int, int, int, int]:
        """A hashable name of the window, for caches."""
        return self.grid.id, self.z, self.col, self.row, self.width, self.height

    def pad(self, n: int) -> Window:
        """Return the window grown by `n` pixels on every side."""
        return replace(
            self,
            col=self.col - n,
            row=self.row - n,
            width=self.width + 2 * n,
            height=self.height + 2 * n,
        )


ALL_SKY = Coverage(360.0, 0.0, -90.0, 90.0)
