"""The narrow seams between the rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from skyshade.types.lattice import AnyArray, FloatArray, IntArray, Window
from skyshade.types.values import Aggregate, Image, LayerInfo, Statistics

if TYPE_CHECKING:
    import xarray as xr


class Layer(Protocol):
    """Data that can be aggregated on any window of its plane."""

    @property
    def info(self) -> LayerInfo:
        """Static description."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the numbers change: data, selection and engine."""
        ...

    def compute(self, window: Window) -> Aggregate:
        """Return the numbers on `window`."""
        ...

    def aggregate(self, window: Window, *, exact: bool = False) -> xr.DataArray:
        """Return the numbers on `window` as a DataArray; `exact` waits for the best quality."""
        ...

    def select(
        self,
        *,
        reduction: object = None,
        column: str | None = None,
        where: str | None = None,
        plane: str | None = None,
        time: str | None = None,
    ) -> Layer:
        """Return the layer that shows other numbers of the same data."""
        ...

    def statistics(self) -> Statistics:
        """Return statistics of the layer's values (computed once, then kept)."""
        ...

    def scale(self) -> float:
        """Return the power of two that value tiles are divided by."""
        ...

    def value(self, ra: float, dec: float) -> float | None:
        """Return the value at an ICRS position in degrees; None where there is none."""
        ...


class Shader(Protocol):
    """Colours an aggregate."""

    def __call__(self, aggregate: Aggregate) -> Image:
        """Return the coloured window."""
        ...


class PixelReader(Protocol):
    """Bounded access to the pixels of one two-dimensional image."""

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of the image."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of what `read` returns: float32 or float64, native byte order."""
        ...

    def version(self) -> str:
        """Return a short text that changes when the pixels change."""
        ...

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> AnyArray:
        """Return pixels ``[y0:y1:step, x0:x1:step]``; missing pixels are NaN.

        The array is fresh or read-only shared; never a view of a file that may change.
        """
        ...


class StoredPixels(PixelReader, Protocol):
    """A `PixelReader` of numbers that lie in a file one after the other.

    Who reads many pixels asks for them as they are stored, into memory of their own.
    """

    @property
    def stored(self) -> np.dtype[Any] | None:
        """Big-endian type in the file when its numbers are the values; None if they are scaled."""
        ...

    @property
    def blank(self) -> int | None:
        """Stored integer that means "no value"."""
        ...

    def stored_rows(
        self, y0: int, y1: int, x0: int, x1: int, work: Callable[[int, int, int], bool]
    ) -> bool:
        """Have the rows of a box within the image read by ``work(fd, offset, pitch)``.

        It is told where they lie in a file (descriptor, place of the first, bytes from one to the
        next) and returns whether it got them all. False when the file does not hold all of the box.
        """
        ...

    def stored_boxes(
        self, corners: Sequence[tuple[int, int]], shape: tuple[int, int], buffer: NDArray[np.uint8]
    ) -> AnyArray | None:
        """Return boxes of one shape, given by their first (row, column), below one another.

        They are native unsigned integers of the stored bytes, and lie in `buffer`. None when the
        file does not hold all of them.
        """
        ...


class SphereReader(Protocol):
    """Bounded access to the pixels of one HEALPix map, in the order of its file."""

    @property
    def nside(self) -> int:
        """Pixels along the side of a base face; the map has ``12 * nside**2``."""
        ...

    @property
    def nested(self) -> bool:
        """Whether pixels are numbered NESTED; else RING."""
        ...

    @property
    def listed(self) -> AnyArray | None:
        """Numbers of the pixels that a partial map lists, sorted; None for a map of all pixels."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of what `read` returns: float32 or float64, native byte order."""
        ...

    def version(self) -> str:
        """Return a short text that changes when the pixels change."""
        ...

    def read(self, start: int, stop: int) -> AnyArray:
        """Return pixels ``start`` to ``stop``, shape (stop - start,); missing ones are NaN.

        UNSEEN and pixels that a partial map does not list are missing.
        """
        ...

    def read_runs(self, runs: IntArray) -> AnyArray:
        """Return the pixels of many runs at once, one run after the other.

        `runs` has shape (n, 2): first pixel, and the one after the last.
        """
        ...


class PointTable(Protocol):
    """A catalogue: positions at once, other columns when asked for."""

    @property
    def name(self) -> str:
        """File stem or the user's name."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """All columns of the original table, in its order."""
        ...

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        ...

    @property
    def guess(self) -> str:
        """How the coordinates were found, e.g. ``"ra, dec from RADeg, decDeg (deg)"``."""
        ...

    @property
    def frame(self) -> str:
        """Frame of the stored coordinates; `positions` gives ICRS whatever it is."""
        ...

    def version(self) -> str:
        """Return a short text that changes when the rows change."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def positions(self) -> tuple[FloatArray, FloatArray]:
        """Return ICRS ra (0..360) and dec in degrees, shape (rows,); NaN where not valid."""
        ...

    def column(self, name: str) -> AnyArray:
        """Return one column, shape (rows,); numbers, or objects/str for text; nulls NaN or None."""
        ...


class RowRange(NamedTuple):
    """Rows of a table: from `start` up to and without `stop`."""

    start: int
    stop: int


class ChunkedTable(PointTable, Protocol):
    """A catalogue of any size that is read in bounded pieces; all methods are thread-safe."""

    @property
    def notes(self) -> Sequence[str]:
        """Warnings that a user should read."""
        ...

    def schema(self, columns: Sequence[str] | None = None) -> Any:
        """Return the `pyarrow.Schema` of every chunk; `columns` as in `read_chunk`."""
        ...

    def chunks(
        self, rows: int = 1_000_000, columns: Sequence[str] | None = None
    ) -> Sequence[RowRange]:
        """Return ranges of at most `rows` rows that follow one another and cover the table.

        They are the same for the same version. They end where row groups or partitions end, which
        are split when they are larger; a chunk of the columns takes about 256 MiB at most.
        """
        ...

    def read_chunk(self, start: int, stop: int, columns: Sequence[str] | None = None) -> Any:
        """Return rows as a `pyarrow.Table`: ``_ra``, ``_dec``, then the columns with their types.

        Positions are ICRS degrees (float64), NaN where not valid. `columns` None is all of them,
        an empty sequence none.
        """
        ...


class TileStore(Protocol):
    """Where encoded tiles go."""

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store `data` under `key`, replacing what was there."""
        ...

    def get(self, key: str) -> bytes:
        """Return the bytes of `key`; KeyError when there are none."""
        ...

    def list(self, prefix: str = "") -> Sequence[str]:
        """Return the keys that begin with `prefix`, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Remove `key`; no error when it is not there."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...
