"""HEALPix maps in memory, and as lazy xarray objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import DataError, InputError, UnsupportedError, one_line
from skyshade.geometry.frames import split_frame
from skyshade.geometry.healpix import nside_of
from skyshade.loaders.fits_headers import text
from skyshade.loaders.fits_healpix import (
    FRAMES,
    MAX_COLUMNS,
    MAX_NSIDE,
    ORDERS,
    UNSEEN,
    USUAL_FRAME,
    plane_names,
)
from skyshade.loaders.memory import as_pixels, fresh_version
from skyshade.types import AnyArray, IntArray, SphereImage, SphereReader

if TYPE_CHECKING:
    import xarray as xr

CHUNK = 1 << 22  # pixels
PIXEL_DIMS = ("pix", "pixel", "pixels", "cell", "cells", "cell_ids", "healpix", "hpx", "npix")
_NEAR = 1e-5  # of UNSEEN, which is not an exact float32


class SphereArray:
    """A `SphereReader` of anything that takes slices: numpy, dask, zarr, ``DataArray.variable``.

    Masked values, Inf and UNSEEN become NaN.

    Parameters
    ----------
    array : array-like of one dimension
    nested : bool
    """

    listed: AnyArray | None = None

    def __init__(self, array: Any, nested: bool) -> None:
        self._array, self._version = array, fresh_version()
        self.nested = bool(nested)
        self.nside = nside_of(int(array.shape[0]))
        stored = np.dtype(array.dtype)
        narrow = stored.itemsize < 4 or (stored.kind == "f" and stored.itemsize == 4)
        self.dtype: np.dtype[Any] = np.dtype(np.float32 if narrow else np.float64)

    def version(self) -> str:
        """Return a text that is the object's own; changes of its pixels are not seen."""
        return self._version

    def read(self, start: int, stop: int) -> AnyArray:
        """Return pixels ``start`` to ``stop``; missing ones are NaN."""
        return self._clean(self._array[start:stop])

    def read_runs(self, runs: IntArray) -> AnyArray:
        """Return the pixels of runs, shape (n, 2), one after the other; missing ones are NaN."""
        if not isinstance(self._array, np.ndarray):
            parts = [self.read(int(start), int(stop)) for start, stop in runs]
            return np.concatenate(parts) if parts else np.empty(0, self.dtype)
        lengths = runs[:, 1] - runs[:, 0]
        begins = np.repeat(runs[:, 0] - np.cumsum(lengths) + lengths, lengths)
        return self._clean(self._array[begins + np.arange(begins.size)])

    def _clean(self, part: Any) -> AnyArray:
        values = as_pixels(part, self.dtype)
        with np.errstate(invalid="ignore"):
            values[np.abs(values - UNSEEN) <= _NEAR * abs(UNSEEN)] = np.nan
        return values


def healpix(
    values: Any,
    *,
    nested: bool = False,
    frame: str = USUAL_FRAME,
    units: str = "",
    name: str = "healpix",
    planes: Sequence[str] | None = None,
) -> list[SphereImage]:
    """Return a HEALPix map in memory as what `skyshade.view` and `open_map` take.

    Parameters
    ----------
    values : array-like, sequence or mapping of arrays
        Shape (12 nside**2,), or (planes, 12 nside**2); a sequence of such arrays; or arrays by
        name. Three planes without names are I, Q and U. UNSEEN (-1.6375e30), NaN and masked pixels
        are missing.
    nested : bool
        Pixels are numbered NESTED; else RING, as healpy has it.
    frame : str
        Frame of the pixels: ``"galactic"``, ``"icrs"``, ``"ecliptic"`` ... or G, C, E.
    units, name : str
    planes : sequence of str, optional
        Names of the planes.

    Returns
    -------
    list of SphereImage
        One a plane.

    Raises
    ------
    InputError
        The frame is not known, or there are not as many names as planes.
    UnsupportedError
        No HEALPix map: the number of pixels is not 12 nside**2 with nside a power of two.
    """
    if isinstance(values, Mapping):
        planes = [one_line(key) for key in values] if planes is None else planes
        values = list(values.values())
    arrays = _arrays(values, name)
    axis, names = _names(planes, len(arrays))
    frame = FRAMES.get(frame.strip().upper(), frame)
    split_frame(frame)
    return [
        SphereImage(
            SphereArray(array, nested),
            frame,
            name,
            plane=plane,
            plane_axis=axis,
            units=one_line(units),
            integer=np.dtype(array.dtype).kind in "iub",
        )
        for array, plane in zip(arrays, names, strict=True)
    ]


def is_sphere(item: Any) -> bool:
    """Tell whether an array, or a list of arrays, has the shape of a HEALPix map."""
    if isinstance(item, tuple | list):
        return bool(item) and all(is_sphere(part) and len(part.shape) == 1 for part in item)
    shape: tuple[int, ...] = getattr(item, "shape", ())
    if len(shape) not in (1, 2) or getattr(item, "dtype", None) is None:
        return False
    try:
        return nside_of(int(shape[-1])) <= MAX_NSIDE and np.dtype(item.dtype).kind in "fiub"
    except InputError:
        return False


def sphere_of_dataarray(item: Any, name: str, frame: str = "") -> list[SphereImage]:
    """Return the planes of a DataArray whose last dimension is that of HEALPix pixels.

    Attributes say how pixels are numbered (``nested`` or ``ordering``), and their ``frame`` and
    ``units``; without them: RING and galactic.
    """
    attrs = item.attrs
    nested = attrs.get("nested", str(attrs.get("ordering", "")).upper().startswith("NEST"))
    planes = None
    if item.ndim == 2 and item.dims[0] in item.coords:
        planes = [one_line(v) for v in item.coords[item.dims[0]].values.tolist()]
    whole = item.data if isinstance(item.data, np.ndarray) else item.variable
    return healpix(
        whole if item.ndim == 1 else [whole[n] for n in range(item.shape[0])],
        nested=bool(nested),
        frame=frame or str(attrs.get("frame", USUAL_FRAME)),
        units=str(attrs.get("units", "")),
        name=name,
        planes=planes,
    )


def sphere_of_table(data: Any, header: Any, name: str, frame: str = "") -> list[SphereImage]:
    """Return the planes of a table of all pixels in memory, as astropy reads it from a file.

    Raises
    ------
    UnsupportedError
        A partial map, an unknown ORDERING or COORDSYS, or no column of 12 nside**2 pixels.
    """
    order, system = text(header, "ORDERING").upper(), text(header, "COORDSYS").upper()
    if text(header, "INDXSCHM").upper() == "EXPLICIT":
        raise UnsupportedError(name, "a partial HEALPix map in memory; open its file instead")
    if order not in ("", *ORDERS):
        raise UnsupportedError(name, f"ORDERING = {order!r}; allowed are RING and NESTED")
    if system and not frame and system not in FRAMES:
        raise UnsupportedError(name, f"COORDSYS = {system!r}; allowed are C, G and E")
    flat = {str(key): np.asarray(data[key]).reshape(-1) for key in data.dtype.names}
    columns = {key: array for key, array in flat.items() if is_sphere(array)}
    if not columns:
        raise UnsupportedError(name, "no column of 12 nside**2 pixels, nside a power of two")
    units = text(header, f"TUNIT{1 + list(flat).index(next(iter(columns)))}")
    said = frame or FRAMES.get(system, USUAL_FRAME)
    nested = ORDERS.get(order, False)
    return healpix(columns, nested=nested, frame=said, units=units, name=name)


def sphere_to_dataarray(images: Sequence[SphereImage]) -> xr.DataArray:
    """Return the planes of one map as a lazy DataArray: (pix,) or (stokes, pix).

    Pixels are in the order of the file; attrs hold nside, ordering, frame, units, header values.
    """
    import dask.array as da  # noqa: PLC0415 (not on the tile path)
    import xarray as xr  # noqa: PLC0415 (not on the tile path)

    pixels = LazySphere([i.reader for i in images])
    chunks = (1,) * (pixels.ndim - 1) + (min(CHUNK, pixels.shape[-1]),)
    token = "-".join(("skyshade", *(i.reader.version() for i in images)))
    meta = np.empty((0,) * pixels.ndim, pixels.dtype)
    array = da.from_array(pixels, chunks=chunks, name=token, meta=meta, asarray=True)
    first, axis = images[0], images[0].plane_axis or "plane"
    several = len(images) > 1
    attrs = {
        "units": first.units,
        "frame": first.frame,
        "nside": first.reader.nside,
        "ordering": "NESTED" if first.reader.nested else "RING",
        "integer": first.integer,
        **first.attrs,
    }
    attrs |= {"title": first.title} if first.title else {}
    attrs |= {"notes": list(first.notes)} if first.notes else {}
    if len({i.units for i in images}) > 1:
        attrs["units"] = [i.units for i in images]
    return xr.DataArray(
        array,
        dims=(axis, "pix") if several else ("pix",),
        coords={axis: [i.plane for i in images]} if several else None,
        name=f"{first.name}-{first.hdu}" if first.hdu else first.name or None,
        attrs=attrs,
    )


class LazySphere:
    """Readers as one array-like of (pix,) or (plane, pix); a slice reads only its pixels.

    There is no `copy` here on purpose: `dask.array.from_array` would call it and read everything.
    """

    def __init__(self, readers: Sequence[SphereReader]) -> None:
        self._readers = tuple(readers)
        self.dtype = np.result_type(*(r.dtype for r in readers))
        count = 12 * readers[0].nside ** 2
        self.shape: tuple[int, ...] = (count,) if len(readers) == 1 else (len(readers), count)
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> AnyArray:
        parts = key if isinstance(key, tuple) else (key,)
        parts = (*parts, *[slice(None)] * (self.ndim - len(parts)))
        if self.ndim == 1:
            return self._part(self._readers[0], parts[0])
        wanted = self._readers[parts[0]]
        if not isinstance(wanted, tuple):
            return self._part(wanted, parts[1])
        found = [self._part(reader, parts[1]) for reader in wanted]
        return np.stack(found) if found else np.empty((0, self.shape[1]), self.dtype)[:, parts[1]]

    def _part(self, reader: SphereReader, part: Any) -> AnyArray:
        picked = range(self.shape[-1])[part]
        if not isinstance(picked, range):
            value: AnyArray = reader.read(picked, picked + 1).astype(self.dtype)[0]
            return value
        if not picked:
            return np.empty(0, self.dtype)
        low, high = min(picked[0], picked[-1]), max(picked[0], picked[-1])
        values = reader.read(low, high + 1).astype(self.dtype, copy=False)
        turned: AnyArray = values[:: abs(picked.step)]
        return turned[::-1] if picked.step < 0 else turned


def _arrays(values: Any, name: str) -> list[Any]:
    if isinstance(values, tuple | list) and values and all(np.ndim(v) == 1 for v in values):
        arrays = [v if hasattr(v, "shape") else np.asarray(v) for v in values]
    else:
        whole = values if hasattr(values, "shape") else np.asarray(values)
        if len(whole.shape) not in (1, 2) or 0 in whole.shape:
            cause = f"array of shape {tuple(whole.shape)}; allowed: (pixels,) or (planes, pixels)"
            raise UnsupportedError(name, cause)
        arrays = [whole] if len(whole.shape) == 1 else [whole[n] for n in range(whole.shape[0])]
    if len(arrays) > MAX_COLUMNS:
        raise UnsupportedError(name, f"{len(arrays)} planes; at most {MAX_COLUMNS} are shown")
    for array in arrays:
        _check(array, name)
    sizes = {int(array.shape[0]) for array in arrays}
    if len(sizes) > 1:
        raise DataError(name, f"planes of {' and '.join(map(str, sorted(sizes)))} pixels")
    return arrays


def _check(array: Any, name: str) -> None:
    if np.dtype(array.dtype).kind not in "fiub":
        raise UnsupportedError(name, f"array of {array.dtype}: only real numbers are shown")
    try:
        nside = nside_of(int(array.shape[0]))
    except InputError as error:
        raise UnsupportedError(name, str(error)) from error
    if nside > MAX_NSIDE:
        raise UnsupportedError(name, f"nside {nside} is not allowed: at most {MAX_NSIDE}")


def _names(planes: Sequence[str] | None, count: int) -> tuple[str, list[str]]:
    if planes is None:
        if count == 3:
            return "stokes", ["I", "Q", "U"]
        return ("plane", [str(n + 1) for n in range(count)]) if count > 1 else ("", [""])
    if len(planes) != count or len(set(planes)) != count:
        msg = f"planes {list(planes)!r} are not allowed: give {count} different names"
        raise InputError(msg)
    return plane_names([one_line(plane) for plane in planes])
