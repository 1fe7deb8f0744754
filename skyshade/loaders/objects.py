"""Objects of other libraries, told by the names of their classes: nothing is imported to look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.io.fits import Header

from skyshade.errors import DataError, UnsupportedError, one_line
from skyshade.loaders.arrow import ArrowColumns
from skyshade.loaders.columns import Columns
from skyshade.loaders.dask_tables import DaskColumns
from skyshade.loaders.fits_headers import text
from skyshade.loaders.fits_healpix import USUAL_FRAME
from skyshade.loaders.fits_images import KEPT, Transposed, kept_cards
from skyshade.loaders.fits_planes import Axis, plane_axes, planes
from skyshade.loaders.fits_wcs import celestial, celestial_of
from skyshade.loaders.fits_weights import add_weights
from skyshade.loaders.healpix import (
    PIXEL_DIMS,
    healpix,
    is_sphere,
    sphere_of_dataarray,
    sphere_of_table,
)
from skyshade.loaders.memory import ArrayReader, PlaneOf, fresh_version
from skyshade.loaders.object_tables import astropy_columns, mapping_columns
from skyshade.loaders.region_table import region_table
from skyshade.loaders.source import Loaded, Options
from skyshade.loaders.tables import SkyTable
from skyshade.loaders.units import parse_unit
from skyshade.quiet import quiet
from skyshade.types import PixelReader, SkyImage, SphereImage

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
    "astropy Table, pandas, dask or arrow table, dict of arrays, array of HEALPix pixels"
)


def _opener(item: Any) -> _Opener | None:
    for kind in type(item).__mro__:
        found = _BY_CLASS.get((kind.__module__.split(".")[0], kind.__name__))
        if found is not None:
            return found
    if _is_spheres(item):
        return _open_spheres
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
    """Return one SkyImage a plane of an array of two or more dimensions."""
    shape = tuple(int(n) for n in array.shape)
    if len(shape) < 2 or 0 in shape:
        raise UnsupportedError(name, f"array of shape {shape}; allowed: (y, x) or (plane, y, x)")
    if np.dtype(array.dtype).kind not in "fiub":
        raise UnsupportedError(name, f"array of {array.dtype}: only real numbers are shown")
    wcs, swapped = _place(place, shape[-2:], name)
    axis, labels = names or _plane_names(array, shape, place)
    common = {"integer": np.dtype(array.dtype).kind in "iub", **common}
    images = []
    for index, label in zip(np.ndindex(*shape[:-2]), labels, strict=True):
        reader: PixelReader = ArrayReader(PlaneOf(array, index) if index else array)
        reader = Transposed(reader) if swapped else reader
        image = SkyImage(reader, wcs, name, plane=label, plane_axis=axis, **common)
        images.append(image)
    return images


def _plane_names(array: Any, shape: tuple[int, ...], place: Any) -> tuple[str, list[str]]:
    """Return the name of what planes differ in and their names, from a header if there is one."""
    header = place if type(place).__name__ == "Header" else Header()
    floating = np.dtype(array.dtype).kind == "f"
    return planes(plane_axes(header, shape[::-1], floating))


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
    if data.dtype.names and text(item.header, "PIXTYPE").upper() == "HEALPIX":
        return Loaded(spheres=[sphere_of_table(data, item.header, name, options.frame)])
    if data.dtype.names:
        return _table(astropy_columns(_hdu_table(item)), name, options)
    header = item.header
    common = {
        "units": parse_unit(text(header, "BUNIT"))[0],
        "title": text(header, "OBJECT"),
        "attrs": kept_cards(header),
    }
    return Loaded(images=[_planes(data, header, name, common)])


def _hdu_table(item: Any) -> Any:
    from astropy.table import Table  # noqa: PLC0415 (only for table HDUs in memory)

    with quiet():
        return Table.read(item)


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
            found = {"HDU": index} | ({"EXTNAME": hdu.name} if hdu.name else {})
            loaded.images += [
                [replace(image, attrs=found | dict(image.attrs)) for image in planes_]
                for planes_ in part.images
            ]
            loaded.spheres += part.spheres
            loaded.tables += part.tables
    if loaded.empty:
        reasons = [str(e) for e in loaded.rejected] + loaded.notes
        raise UnsupportedError(options.name or "HDUList", "; ".join(reasons[:3]) or "no data")
    loaded.images = add_weights(loaded.images)
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
    if place is None and item.dims[-1:] and str(item.dims[-1]) in PIXEL_DIMS and is_sphere(item):
        return Loaded(spheres=[sphere_of_dataarray(item, name, options.frame)])
    if place is None:
        raise UnsupportedError(name, 'no WCS: put one into attrs["wcs"]')
    last = [d for d in ("y", "x") if d in item.dims]
    array = item.transpose(..., *last) if len(last) == 2 else item
    array = array.squeeze([d for d in array.dims[:-2] if array.sizes[d] == 1], drop=True)
    common = {
        "units": one_line(item.attrs.get("units") or item.attrs.get("unit") or ""),
        "title": one_line(item.attrs.get("title") or item.attrs.get("OBJECT") or ""),
        "attrs": {k: v for k, v in item.attrs.items() if k in KEPT or k == "unit"},
        "integer": bool(item.attrs.get("integer", np.dtype(item.dtype).kind in "iub")),
    }
    return Loaded(images=[_planes(array, place, name, common, _coordinate_names(array))])


def _coordinate_names(array: Any) -> tuple[str, list[str]] | None:
    """Return the names of planes from the coordinates of a DataArray; None where there are none."""
    axes = []
    for dim, count in zip(array.dims[-3::-1], array.shape[-3::-1], strict=True):
        known = array.coords[dim].values.tolist() if dim in array.coords else range(1, count + 1)
        axes.append(Axis(str(dim), [one_line(v) for v in known]))
    named = any(dim in array.coords for dim in array.dims[:-2])
    distinct = all(len(set(axis.planes)) == len(axis.planes) for axis in axes)
    return planes(axes) if named and distinct else None


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
    return _table(DaskColumns(item), "table", options)


def _is_spheres(item: Any) -> bool:
    """Tell HEALPix maps: what `healpix` returns, arrays of 12 nside**2 pixels, lists of these."""
    if isinstance(item, tuple | list) and item and all(isinstance(i, SphereImage) for i in item):
        return True
    plain = isinstance(item, np.ndarray) and not item.dtype.names
    return (plain or isinstance(item, tuple | list)) and is_sphere(item)


def _open_spheres(item: Any, options: Options) -> Loaded:
    if isinstance(item, SphereImage):
        return Loaded(spheres=[[item]])
    if isinstance(item[0], SphereImage):
        return Loaded(spheres=[list(item)])
    frame, name = options.frame or USUAL_FRAME, options.name or "healpix"
    return Loaded(spheres=[healpix(item, frame=frame, name=name)])


def _open_sky_image(item: Any, options: Options) -> Loaded:  # noqa: ARG001 (an _Opener)
    return Loaded(images=[[item]])


def _open_sky_table(item: Any, options: Options) -> Loaded:  # noqa: ARG001 (an _Opener)
    return Loaded(tables=[item])


def _open_regions(item: Any, options: Options) -> Loaded:
    regions = list(getattr(item, "regions", [item]))
    return Loaded(tables=[region_table(regions, options.name or "regions", fresh_version())])


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
    ("regions", "Regions"): _open_regions,
    ("regions", "Region"): _open_regions,
    ("skyshade", "SkyImage"): _open_sky_image,
    ("skyshade", "SphereImage"): _open_spheres,
    ("skyshade", "SkyTable"): _open_sky_table,
}
