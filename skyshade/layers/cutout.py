"""A rectangle of a map's own pixels."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import InputError, NoOverlapError, TooLargeError, one_line
from skyshade.geometry.frames import frame_of
from skyshade.geometry.wcs import PixelMap
from skyshade.layers.analysis_numbers import Deadline
from skyshade.layers.analysis_pieces import mask_of, pieces, strips, unique_columns
from skyshade.layers.analysis_regions import Region
from skyshade.layers.analysis_wcs import TABLES, exact_header
from skyshade.types import AnyArray, PixelReader

if TYPE_CHECKING:
    import xarray as xr

PIXELS = 4096 * 4096
_STRIP = 1 << 22  # pixels read at once
_CARDS = 8  # characters of a keyword


@dataclass(frozen=True, eq=False)
class Cutout:
    """A rectangle of a map's pixels, unchanged, with its place on the sky.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (ny, nx); of colour layers (ny, nx, band)
        In the order of FITS: row 0 is the first row of the file. NaN where there is no value.
    wcs : astropy.wcs.WCS
        Of the rectangle.
    units, title, plane : str
    attrs : mapping
        Header values of the map.
    history : tuple of str
        Where it comes from, one line each.
    quality : str
        "exact" for the map's own pixels, "resampled" for a layer that has no rows of them.
    categories : tuple of str
        Names along a third axis.
    """

    values: AnyArray
    wcs: Any
    units: str = ""
    title: str = ""
    plane: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    quality: str = "exact"
    categories: tuple[str, ...] = ()

    def to_hdu(self) -> Any:
        """Return an `astropy.io.fits.PrimaryHDU` with WCS, BUNIT, OBJECT, PLANE and HISTORY.

        Raises
        ------
        InputError
            The cutout has colours instead of numbers.
        """
        from astropy.io import fits  # noqa: PLC0415 (not on the tile path)

        if self.values.ndim != 2:
            msg = "a cutout of colours has no FITS image: ask for png, jpg or webp"
            raise InputError(msg)
        header = fits.Header()
        for key, value in self.attrs.items():
            if _is_card(key, value):
                header[key] = _ascii(value)
        header.update(exact_header(self.wcs))
        for key, text in (("OBJECT", self.title), ("BUNIT", self.units), ("PLANE", self.plane)):
            if text:
                header[key] = _ascii(text)
        if self.plane and "BTYPE" not in header:
            header["BTYPE"] = _ascii(self.plane)
        for line in self.history:
            header.add_history(_ascii(line))
        return fits.PrimaryHDU(self.values, header)

    def to_fits(self) -> bytes:
        """Return a whole FITS file; lookup-table distortions follow as extensions."""
        from astropy.io import fits  # noqa: PLC0415 (not on the tile path)

        hdus, out = fits.HDUList([self.to_hdu()]), io.BytesIO()
        if any(getattr(self.wcs, name) is not None for name in TABLES):
            tables = self.wcs.to_fits(relax=True)
            hdus[0].header.update(tables[0].header)
            hdus.extend(tables[1:])
        hdus.writeto(out)
        return out.getvalue()

    def to_dataarray(self) -> xr.DataArray:
        """Return a DataArray of dims (y, x), with pixel numbers; `open_map` takes it again."""
        import xarray as xr  # noqa: PLC0415 (half a second; not on the tile path)

        ny, nx = self.values.shape[:2]
        attrs = {
            "units": self.units,
            "wcs": self.wcs,
            "frame": frame_of(self.wcs),
            "quality": self.quality,
            "history": list(self.history),
            **({"title": self.title} if self.title else {}),
        }
        coords: dict[str, Any] = {"y": np.arange(ny), "x": np.arange(nx)}
        dims = ("y", "x", "band")[: self.values.ndim]
        if self.categories:
            coords["band"] = list(self.categories)
        return xr.DataArray(self.values, coords, dims, attrs=attrs)

    def upright(self) -> AnyArray:
        """Return the values with row 0 on top: north up and east left as far as flips go.

        Rows or columns are reversed by the slopes of the sky at the middle pixel; a rotated map
        stays rotated.
        """
        ny, nx = self.values.shape[:2]
        pixels = PixelMap(self.wcs, (ny, nx))
        x, y = (nx - 1) / 2.0, (ny - 1) / 2.0
        ra, dec = pixels.pixel_to_sky(x + np.array([0.0, 0.5, 0.0]), y + np.array([0.0, 0.0, 0.5]))
        east = (ra[1] - ra[0] + 180.0) % 360.0 - 180.0
        rows = slice(None) if dec[2] < dec[0] else slice(None, None, -1)
        cols = slice(None, None, -1) if east > 0.0 else slice(None)
        return self.values[rows, cols]


def _is_card(key: str, value: object) -> bool:
    plain = isinstance(value, str | bool | int) or (
        isinstance(value, float) and math.isfinite(value)
    )
    skipped = key in {"HDU", "BUNIT", "OBJECT", "EXTNAME", "RADESYS", "EQUINOX"}
    return plain and not skipped and 0 < len(key) <= _CARDS and key.isupper() and key.isascii()


def _ascii(value: Any) -> Any:
    """Return text as printable ASCII of one line, as FITS wants it; other values as they are."""
    if not isinstance(value, str):
        return value
    plain = value.replace("μ", "u").replace("µ", "u").encode("ascii", "replace")
    return one_line(plain.decode("ascii"), 200)


def find_box(pixels: PixelMap, region: Region, deadline: Deadline) -> tuple[int, int, int, int]:
    """Return y0, y1, x0, x1 of the smallest rectangle with all pixels centred in `region`.

    On a map that goes round the sky, columns may run beyond the last one and mean the first ones
    again. A region between pixel centres takes the pixel at its middle.

    Raises
    ------
    NoOverlapError
    """
    ny, nx = pixels.shape[0], unique_columns(pixels)
    rows, cols = np.zeros(ny, bool), np.zeros(nx, bool)
    for piece in strips(pieces(pixels, region)):
        deadline.check()
        mask = mask_of(pixels, region, piece)
        rows[piece.y0 : piece.y1] |= mask.any(axis=1)
        cols[piece.x0 : piece.x1] |= mask.any(axis=0)
    if not rows.any():
        _mark_middle(pixels, region, rows, cols)
    y = np.flatnonzero(rows)
    x0, x1 = _run(np.flatnonzero(cols), nx if turns(pixels) else 0)
    return int(y[0]), int(y[-1]) + 1, x0, x1


def turns(pixels: PixelMap) -> bool:
    """Return whether the first column of the sky follows its last one."""
    whole = round(pixels.period)
    return whole > 1 and abs(pixels.period - whole) < 0.05 and pixels.shape[1] >= whole


def _mark_middle(pixels: PixelMap, region: Region, rows: AnyArray, cols: AnyArray) -> None:
    ra, dec = region.middle
    x, y = pixels.sky_to_pixel(np.array(ra), np.array(dec))
    if not (-0.5 <= x < cols.size - 0.5 and -0.5 <= y < rows.size - 0.5):
        msg = f"the map has no pixel within {region.outer:g} degrees of ra={ra:g}, dec={dec:g}"
        raise NoOverlapError(msg)
    rows[math.floor(float(y) + 0.5)] = cols[math.floor(float(x) + 0.5)] = True


def _run(cols: AnyArray, turn: int) -> tuple[int, int]:
    """Return first and last + 1 of the shortest run of columns with all of `cols`."""
    if not turn or cols.size == turn:
        return int(cols[0]), int(cols[-1]) + 1
    gaps = np.diff(cols, append=cols[0] + turn)
    widest = int(np.argmax(gaps))
    start = int(cols[(widest + 1) % cols.size])
    return start, start + turn - int(gaps[widest]) + 1


def read_box(reader: PixelReader, box: Sequence[int], turn: int, deadline: Deadline) -> AnyArray:
    """Return the pixels of a box whose columns may run round a map of `turn` columns (or 0)."""
    y0, y1, x0, x1 = box
    out = np.empty((y1 - y0, x1 - x0), reader.dtype)
    tall = max(1, _STRIP // (x1 - x0))
    for y in range(y0, y1, tall):
        deadline.check()
        end, x = min(y + tall, y1), x0
        while x < x1:
            begin = x % turn if turn else x
            wide = min(x1 - x, turn - begin) if turn else x1 - x
            out[y - y0 : end - y0, x - x0 : x - x0 + wide] = reader.read(
                y, end, begin, begin + wide
            )
            x += wide
    return out


def check_size(ny: int, nx: int, most: int) -> None:
    """Raise TooLargeError when a rectangle has more than `most` pixels."""
    if ny * nx > most:
        side = math.isqrt(most)
        msg = (
            f"a cutout of {nx} x {ny} pixels is not allowed: at most {most} pixels "
            f"({side} x {side}); give a smaller size"
        )
        raise TooLargeError(msg)
