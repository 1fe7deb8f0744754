"""What travels between the rooms: numbers, pictures, styles and descriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from skyshade.types.lattice import ALL_SKY, AnyArray, Coverage

if TYPE_CHECKING:
    import xarray as xr

Quality = Literal["exact", "preview", "sample", "approximate"]
Kind = Literal["map", "healpix", "catalog", "rgb", "image"]


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """Numbers on one window: what lies between data and colour.

    A light twin of `xarray.DataArray` for the tile path (importing xarray and pandas costs more
    than half a second); `to_xarray` gives the real thing.

    Parameters
    ----------
    values : ndarray
        ``(y, x)``, ``(y, x, category)`` or ``(y, x, band)``; row 0 on top. NaN (floats) or 0
        (counts) means no data.
    units, version : str
    quality : {"exact", "preview", "sample", "approximate"}
    categories : tuple of str
        Names along the third axis.
    axis : {"category", "band"}
        Name of the third axis.
    opacity : ndarray of uint8, shape (y, x), optional
        How much of each pixel is covered, of 255, where smooth marks are drawn: shaders lay colours
        on with it. Pixels beyond it are missing; +inf is a mark without a number. Not a part of
        `to_xarray`.
    under : ndarray, shape of `values`, optional
        Numbers below the marks; NaN or 0 for none.
    """

    values: AnyArray
    units: str = ""
    version: str = ""
    quality: Quality = "exact"
    categories: tuple[str, ...] = ()
    axis: Literal["category", "band"] = "category"
    opacity: NDArray[np.uint8] | None = None
    under: AnyArray | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = (self.values, self.opacity, self.under)
        return sum(array.nbytes for array in arrays if array is not None)

    def moved(self, move: Callable[[AnyArray], AnyArray]) -> Aggregate:
        """Return the aggregate with every array changed alike: turned round, cut, enlarged."""
        opacity, under = (None if a is None else move(a) for a in (self.opacity, self.under))
        return replace(self, values=move(self.values), opacity=opacity, under=under)

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes."""
        return ("y", "x", self.axis)[: self.values.ndim]

    def to_xarray(self) -> xr.DataArray:
        """Return the aggregate as a DataArray without index coordinates (categories excepted)."""
        import xarray as xr  # noqa: PLC0415 (costs half a second; not on the tile path)

        coords = {self.axis: list(self.categories)} if self.values.ndim == 3 else None
        attrs = {"units": self.units, "version": self.version, "quality": self.quality}
        return xr.DataArray(self.values, dims=self.dims, coords=coords, attrs=attrs)


@dataclass(frozen=True, slots=True)
class Image:
    """A coloured window: palette indices with their palette, or RGBA.

    Parameters
    ----------
    pixels : ndarray of uint8
        ``(y, x)`` indices into `palette`, or ``(y, x, 4)`` RGBA with straight alpha. Row 0 on top.
    palette : ndarray of uint8, shape (n, 4), optional
        RGBA rows, at most 256.
    """

    pixels: NDArray[np.uint8]
    palette: NDArray[np.uint8] | None = None

    def rgba(self) -> NDArray[np.uint8]:
        """Return the image as ``(y, x, 4)`` RGBA."""
        return self.pixels if self.palette is None else self.palette[self.pixels]


STRETCHES = ("linear", "log", "asinh", "sqrt", "abs", "eq_hist")
COLOUR_STRETCHES = ("lupton", "linear")  # of layers that have a red, a green and a blue band


@dataclass(frozen=True, slots=True)
class Style:
    """How a layer is coloured; every field has a URL parameter of the same name.

    Parameters
    ----------
    cmap : str
    vmin, vmax : float, optional
        Range in the layer's units; None takes the layer's own percentiles.
    stretch : str
        One of `STRETCHES`; of colour layers one of `COLOUR_STRETCHES`.
    reverse : bool
        Turn the colour map round.
    nan, bg : str, optional
        Colour of missing values and of the background, ``#rrggbb`` or ``#rrggbbaa``.
    q : float, optional
        Softening of ``lupton``; other stretches have none.
    colors : str, optional
        Colours of classes, ``star:#ff0,galaxy:#0af``; ``*`` names all others.
    """

    cmap: str = "viridis"
    vmin: float | None = None
    vmax: float | None = None
    stretch: str = "linear"
    reverse: bool = False
    nan: str | None = None
    bg: str | None = None
    q: float | None = None
    colors: str | None = None


PERCENTILES = ("0.1", "0.5", "1", "5", "25", "50", "75", "95", "99", "99.5", "99.9")


@dataclass(frozen=True, slots=True)
class Statistics:
    """Numbers that describe a layer's valid values (finite; for densities: above zero).

    Parameters
    ----------
    n_valid : int
    minimum, maximum, mean, std : float or None
        None when there is no valid value.
    percentiles : mapping of str to float
        Keys are `PERCENTILES`; empty when there is no valid value.
    counts : tuple of int
        Histogram between the 0.1 and 99.9 percentiles.
    edges : tuple of float
        One more than `counts`.
    exact : bool
        False when taken from a sample of the data.
    symmetric : bool
        Whether zero is the middle of the automatic range (polarisation, differences).
    bands : tuple of (float, float)
        Colour layers: the values of each band that are black and white unless a style says
        otherwise. Empty for all others.
    """

    n_valid: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    percentiles: Mapping[str, float] = field(default_factory=dict)
    counts: tuple[int, ...] = ()
    edges: tuple[float, ...] = ()
    exact: bool = True
    symmetric: bool = False
    bands: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """What a list of layers shows; cheap, nothing here reads data.

    Parameters
    ----------
    id, title : str
    kind : {"map", "healpix", "catalog", "rgb", "image"}
    units : str
        As FITS or astropy writes them; "" when unknown.
    quantity : str
        What the numbers are, e.g. ``"I"``, ``"surface density"``, ``"mean of vt"``.
    frame, projection : str
        E.g. ``"galactic"`` and ``"CAR"``.
    size : str
        For people: ``"21600 x 5160"`` or ``"2,031,930 rows"``.
    coverage : Coverage
    resolution : float
        Native pixel size in degrees (catalogues: of the deepest useful lattice).
    max_zoom : int
        Deepest level of the ``sky`` grid that shows more than the one above.
    style : Style
        Default style.
    planes, columns, categories : sequence of str
        What `select` may be given.
    notes : sequence of str
        Warnings that a user should read, e.g. how coordinate columns were guessed.
    """

    id: str
    title: str
    kind: Kind
    units: str = ""
    quantity: str = ""
    frame: str = "icrs"
    projection: str = ""
    size: str = ""
    coverage: Coverage = ALL_SKY
    resolution: float = 1.0
    max_zoom: int = 0
    style: Style = Style()
    planes: Sequence[str] = ()
    columns: Sequence[str] = ()
    categories: Sequence[str] = ()
    notes: Sequence[str] = ()
