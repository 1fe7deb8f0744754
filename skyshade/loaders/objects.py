"""Objects of other libraries, told by the names of their classes: nothing is imported to look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from skyshade.errors import DataError, UnsupportedError, one_line
from skyshade.loaders.arrow import ArrowColumns
from skyshade.loaders.fits_headers import quiet
from skyshade.loaders.fits_images import KEPT, Transposed
from skyshade.loaders.fits_planes import MAX_PLANES
from skyshade.loaders.fits_wcs import celestial, celestial_of
from skyshade.loaders.memory import ArrayReader, fresh_version
from skyshade.loaders.object_tables import astropy_columns, dask_columns, mapping_columns
from skyshade.loaders.source import Loaded, Options
from skyshade.loaders.tables import Columns, SkyTable
from skyshade.types import PixelReader, SkyImage

_Opener = Callable[[Any, Options], Loaded]


def load_object(item: Any, options: Options) -> Loaded:
    """Return what an object holds.

    Raises
    ------
    UnsupportedError
        The object is of no kind that is known here, or has no place on the sky.
    """
    opener = _opener(item)
    if opener is None:
        raise UnsupportedError(type(item).__name__, f"objects of this kind are not shown; {_KNOWN}")
    return opener(item, options)


_KNOWN = (
    "known: a path, (array, WCS), HDU, HDUList, NDData, xarray DataArray or Dataset, "
    "astropy Table, pandas, dask or arrow table, dict of arrays"
)


def _opener(item: Any) -> _Opener | None:
    for kind in type(item).__mro__:
        found = _BY_CLASS.get((kind.__module__.split(".")[0], kind.__name__))
        if found is not None:
            return found
    if isinstance(item, tuple | list) and len(item) == 2:
        return _open_pair if hasattr(item[0], "shape") else None
    if isinstance(item, np.ndarray) and item.dtype.names:
        return _open_mapping
    if isinstance(item, Mapping):
        return _open_mapping
    if hasattr(item, "__arrow_c_stream__"):
        return _open_arrow
    return None


def _open_pair(item: Any, options: Options) -> Loaded:
    """Open (array, WCS) or (array, FITS header)."""
    array, place = item
    return Loaded(images=[_planes(array, place, options.name or "array", {})])


def _planes(
    array: Any,
    place: Any,
    name: str,
    common: dict[str, Any],
    names: tuple[str, list[str]] | None = None,
) -> list[SkyImage]:
    """Return one SkyImage a plane of an array of two or three dimensions."""
    shape = tuple(int(n) for n in array.shape)
    if len(shape) not in (2, 3) or 0 in shape:
        raise UnsupportedError(name, f"array of shape {shape}; allowed: (y, x) or (plane, y, x)")
    if len(shape) == 3 and shape[0] > MAX_PLANES:
        raise UnsupportedError(name, f"{shape[0]} planes; at most {MAX_PLANES} are shown")
    if np.dtype(array.dtype).kind not in "fiub":
        raise UnsupportedError(name, f"array of {array.dtype}: only real numbers are shown")
    wcs, swapped = _place(place, shape[-2:], name)
    axis, labels = names or _plane_names(array, shape)
    common = {"integer": np.dtype(array.dtype).kind in "iub", **common}
    images = []
    for k, label in enumerate(labels):
        reader: PixelReader = ArrayReader(array[k] if len(shape) == 3 else array)
        reader = Transposed(reader) if swapped else reader
        image = SkyImage(reader, wcs, name, plane=label, plane_axis=axis, **common)
        images.append(image)
    return images


def _plane_names(array: Any, shape: tuple[int, ...]) -> tuple[str, list[str]]:
    if len(shape) == 2 or shape[0] == 1:
        return "", [""]
    if shape[0] == 3 and np.dtype(array.dtype).kind == "f":
        return "stokes", ["I", "Q", "U"]
    return "plane", [str(k + 1) for k in range(shape[0])]


def _place(place: Any, shape: tuple[int, ...], name: str) -> tuple[Any, bool]:
    size = (int(shape[0]), int(shape[1]))
    if type(place).__name__ == "Header":
        return celestial(place, size, name, "")
    return celestial_of(place, size, name)


def _open_hdu(item: Any, options: Options) -> Loaded:
    name = options.name or one_line(getattr(item, "name", "") or "HDU", 60)
    with quiet():
        data = item.data
    if data is None:
        raise UnsupportedError(name, "the HDU holds no data")
    if data.dtype.names:
        return _table(astropy_columns(_hdu_table(item)), name, options)
    header = item.header
    array = data.reshape(_squeezed(data.shape))
    common = {
        "units": one_line(header.get("BUNIT", "")),
        "title": one_line(header.get("OBJECT", "")),
        "attrs": {k: header[k] for k in KEPT if k in header},
    }
    return Loaded(images=[_planes(array, header, name, common)])


def _hdu_table(item: Any) -> Any:
    from astropy.table import Table  # noqa: PLC0415 (only for table HDUs in memory)

    with quiet():
        return Table.read(item)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    extra = tuple(n for n in shape[:-2] if n != 1)
    return (*extra, *shape[-2:])


def _open_hdus(item: Any, options: Options) -> Loaded:
    loaded = Loaded()
    for index, hdu in enumerate(item):
        if not getattr(hdu, "is_image", False) and not hasattr(hdu, "columns"):
            continue
        label = options.name or hdu.name or f"HDU-{index}"
        try:
            part = _open_hdu(hdu, Options(options.ra, options.dec, options.frame, label))
        except UnsupportedError as error:
            loaded.notes.append(str(error))
        except DataError as error:
            loaded.rejected.append(error)
        else:
            loaded.images += part.images
            loaded.tables += part.tables
    if loaded.empty:
        reasons = [str(e) for e in loaded.rejected] + loaded.notes
        raise UnsupportedError(options.name or "HDUList", "; ".join(reasons[:3]) or "no data")
    return loaded


def _open_nddata(item: Any, options: Options) -> Loaded:
    name = options.name or type(item).__name__
    if item.wcs is None:
        raise UnsupportedError(name, "no WCS")
    array = item.data
    if item.mask is not None:
        array = np.ma.MaskedArray(array, np.broadcast_to(item.mask, array.shape))
    meta = item.meta if isinstance(item.meta, Mapping) else {}
    common = {"units": one_line(item.unit or ""), "title": one_line(meta.get("OBJECT", ""))}
    return Loaded(images=[_planes(array, item.wcs, name, common)])


def _open_data_array(item: Any, options: Options) -> Loaded:
    name = options.name or one_line(item.name or "array")
    place = item.attrs.get("wcs")
    if place is None:
        raise UnsupportedError(name, 'no WCS: put one into attrs["wcs"]')
    last = [d for d in ("y", "x") if d in item.dims]
    array = item.transpose(..., *last) if len(last) == 2 else item
    array = array.squeeze([d for d in array.dims[:-2] if array.sizes[d] == 1], drop=True)
    common = {
        "units": one_line(item.attrs.get("units") or item.attrs.get("unit") or ""),
        "title": one_line(item.attrs.get("title") or item.attrs.get("OBJECT") or ""),
        "attrs": {k: v for k, v in item.attrs.items() if k in KEPT},
        "integer": bool(item.attrs.get("integer", np.dtype(item.dtype).kind in "iub")),
    }
    names = None
    if array.ndim == 3 and array.dims[0] in array.coords:
        axis = str(array.dims[0])
        names = axis, [one_line(v) for v in array.coords[axis].values.tolist()]
    return Loaded(images=[_planes(array, place, name, common, names)])


def _open_dataset(item: Any, options: Options) -> Loaded:
    loaded = Loaded()
    for key, array in item.data_vars.items():
        if "wcs" not in array.attrs and "wcs" in item.attrs:
            array = array.assign_attrs(wcs=item.attrs["wcs"])
        if "wcs" in array.attrs:
            part = _open_data_array(array, Options(name=one_line(key)))
            loaded.images += part.images
    if loaded.empty:
        raise UnsupportedError(options.name or "Dataset", 'no variable with a WCS in attrs["wcs"]')
    return loaded


def _table(columns: Columns, name: str, options: Options) -> Loaded:
    return Loaded(tables=[SkyTable.of(columns, options.name or name, options)])


def _open_astropy_table(item: Any, options: Options) -> Loaded:
    return _table(astropy_columns(item), one_line(item.meta.get("name", "table"), 60), options)


def _open_mapping(item: Any, options: Options) -> Loaded:
    return _table(mapping_columns(item), "table", options)


def _open_arrow(item: Any, options: Options) -> Loaded:
    import pyarrow as pa  # noqa: PLC0415 (only for arrow tables)

    table = item if type(item).__name__ == "Table" and hasattr(item, "schema") else pa.table(item)
    return _table(ArrowColumns(table, fresh_version()), "table", options)


def _open_pandas(item: Any, options: Options) -> Loaded:
    columns = {str(key): item[key] for key in item.columns}
    return _table(mapping_columns(columns), "table", options)


def _open_dask(item: Any, options: Options) -> Loaded:
    return _table(dask_columns(item), "table", options)


def _open_sky_image(item: Any, options: Options) -> Loaded:  # noqa: ARG001 (an _Opener)
    return Loaded(images=[[item]])


def _open_sky_table(item: Any, options: Options) -> Loaded:  # noqa: ARG001 (an _Opener)
    return Loaded(tables=[item])


_BY_CLASS: dict[tuple[str, str], _Opener] = {
    ("astropy", "HDUList"): _open_hdus,
    ("astropy", "_BaseHDU"): _open_hdu,
    ("astropy", "NDData"): _open_nddata,
    ("astropy", "NDDataRef"): _open_nddata,
    ("astropy", "Table"): _open_astropy_table,
    ("xarray", "DataArray"): _open_data_array,
    ("xarray", "Dataset"): _open_dataset,
    ("pandas", "DataFrame"): _open_pandas,
    ("pyarrow", "Table"): _open_arrow,
    ("pyarrow", "RecordBatch"): _open_arrow,
    ("dask", "DataFrame"): _open_dask,
    ("skyshade", "SkyImage"): _open_sky_image,
    ("skyshade", "SkyTable"): _open_sky_table,
}
