"""Open anything: `open_map`, `open_maps`, `open_catalog` for users, `load` for the rooms above."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from skyshade.errors import (
    DataError,
    InputError,
    SkyshadeError,
    UnknownNameError,
    UnsupportedError,
    one_line,
)
from skyshade.geometry.frames import split_frame
from skyshade.loaders import csv_table, ds9, fits, hats, json_list, parquet, press, refused, votable
from skyshade.loaders.frames import to_dask
from skyshade.loaders.healpix import sphere_to_dataarray
from skyshade.loaders.objects import load_object
from skyshade.loaders.source import Loaded, Options, open_source
from skyshade.loaders.tables import SkyTable
from skyshade.loaders.xarrays import label, to_dataarray
from skyshade.types import SkyImage, SphereImage

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger("skyshade")
AnyImage = SkyImage | SphereImage

# Each has sniff(head, uri) -> bool and open(source, options) -> Loaded; the first yes opens.
LOADERS: tuple[ModuleType, ...] = (
    votable,
    refused,
    ds9,
    fits,
    parquet,
    press,
    csv_table,
    json_list,
)


def load(
    item: Any,
    *,
    ra: str | None = None,
    dec: str | None = None,
    frame: str | None = None,
    name: str | None = None,
    all_sky: str | None = None,
    max_decoded: int | None = None,
) -> Loaded:
    """Return the images and tables of an item; only headers are read (packed files: unpacked).

    Parameters
    ----------
    item : str, path or object
        A file, a URI, a folder of Parquet files or a HATS catalogue, a pattern or list of Parquet
        files that are one table, or an object of another library (see `skyshade.loaders.objects`).
    ra, dec : str, optional
        Coordinate columns of catalogues; guessed by default.
    frame : str, optional
        Frame of these columns, or of the pixels of a HEALPix map: ``"icrs"``, ``"galactic"`` ...
    name : str, optional
        Instead of the file's stem.
    all_sky : str, optional
        Frame of a picture without WCS that shows the whole sky in plate carree projection:
        ``"icrs"``, ``"galactic"`` or ``"ecliptic"``. It covers 360 x 180 degrees, longitude 0 is
        in the middle and grows to the left. A place in the picture itself (AVM) goes before it.
    max_decoded : int, optional
        Bytes that the item may decode to (gzip, bzip2, tile compression, pictures); 4 GiB by
        default.

    Raises
    ------
    DataError
        Nothing of the item can be shown. One bad HDU beside good ones is in ``rejected`` instead.
    InputError
        `frame` or `all_sky` is not known, or `max_decoded` is not positive.
    """
    options = Options(ra or "", dec or "", frame or "", name or "", all_sky or "")
    if all_sky:
        press.check_all_sky(all_sky)
    if max_decoded is not None:
        if max_decoded <= 0:
            msg = f"max_decoded {max_decoded} is not allowed: a positive number of bytes"
            raise InputError(msg)
        options = replace(options, max_decoded=max_decoded)
    if options.frame:
        split_frame(options.frame)
    label_ = Path(item).name if isinstance(item, str | os.PathLike) else type(item).__name__
    try:
        return _open(item, options)
    except SkyshadeError:
        raise
    except Exception as error:
        # The boundary to hostile files and foreign objects: the item is rejected, others go on.
        log.warning("%s is rejected", one_line(label_), exc_info=True)
        cause = f"cannot be read: {type(error).__name__}: {one_line(error, 120)}"
        raise DataError(label_, cause) from error


def open_map(
    item: Any,
    *,
    hdu: str | int | None = None,
    plane: str | None = None,
    wcs: Any = None,
    name: str | None = None,
    all_sky: str | None = None,
    max_decoded: int | None = None,
) -> xr.DataArray:
    """Open one map as a lazy DataArray of dims (y, x), or (stokes, y, x) where there are planes.

    A HEALPix map is (pix,) or (stokes, pix), in the order of its file.

    Planes of cubes lie along an axis with the names of the planes, e.g. ``freq`` with
    ``"1.42 GHz"``; a picture is (band, y, x).

    Parameters
    ----------
    item : str, path or object
        As for `load`.
    hdu : str or int, optional
        EXTNAME or number; by default the first image.
    plane : str, optional
        One plane only, e.g. ``"Q"``.
    wcs : astropy.wcs.WCS, optional
        For an array or DataArray that has none.
    name, all_sky, max_decoded : optional
        As for `load`.

    Returns
    -------
    xarray.DataArray
        Backed by dask; y and x are pixel numbers; attrs: units, wcs, frame, header values.

    Raises
    ------
    DataError
        The item cannot be shown.
    UnknownNameError
        There is no such HDU or plane.
    """
    said: dict[str, Any] = {"name": name, "all_sky": all_sky, "max_decoded": max_decoded}
    maps = _images(load(_with_wcs(item, wcs), **said), item)
    images = maps[0] if hdu is None else _pick(maps, hdu)
    if plane is not None:
        images = [i for i in images if i.plane == plane] or _no_plane(plane, images)
    return _dataarray(images)


def open_maps(item: Any) -> dict[str, xr.DataArray]:
    """Open all maps of a file or object; keys: the stem, with the HDU where there are several."""
    found: dict[str, xr.DataArray] = {}
    for images in _images(load(item), item):
        key = base = label(images[0])
        count = 1
        while key in found:
            count += 1
            key = f"{base}-{count}"
        found[key] = _dataarray(images)
    return found


def open_catalog(
    item: Any,
    *,
    ra: str | None = None,
    dec: str | None = None,
    frame: str | None = None,
    name: str | None = None,
) -> Any:
    """Open a catalogue as a lazy dask DataFrame.

    Parameters
    ----------
    item, ra, dec, frame, name
        As for `load`.

    Returns
    -------
    dask.dataframe.DataFrame
        ra, dec (ICRS degrees, NaN where not valid), then the other columns;
        ``attrs["guess"]`` says how the coordinates were found.

    Raises
    ------
    DataError
        The item cannot be read, or no coordinate columns are recognised (the message lists all).
    """
    tables = load(item, ra=ra, dec=dec, frame=frame, name=name).tables
    if not tables:
        raise UnsupportedError(_name(item), "holds no catalogue; try open_map")
    table = tables[0]
    if not isinstance(table, SkyTable):
        raise UnsupportedError(_name(item), f"a table of kind {type(table).__name__}")
    return to_dask(table)


def _open(item: Any, options: Options) -> Loaded:
    if _is_path(item):
        return _load_file(os.fspath(item), options)
    if isinstance(item, list | tuple) and item and all(map(_is_path, item)):
        return hats.open_files([os.fspath(path) for path in item], options)
    return load_object(item, options)


def _load_file(uri: str, options: Options) -> Loaded:
    if hats.is_folder(uri):
        return hats.open_folder(uri, options)
    if files := hats.matches(uri):
        return hats.open_files(files, options)
    source = open_source(uri, options.name, options.max_decoded)
    for loader in LOADERS:
        if loader.sniff(source.head, source.name):
            found: Loaded = loader.open(source, options)
            return found
    begin = one_line(source.head[:24].decode("ascii", "replace"))
    known = "FITS, Parquet, VOTable, JPEG, PNG, TIFF, CSV or a JSON list of sources"
    cause = f"not {known} (begins with {begin!r})"
    raise UnsupportedError(source.name, cause)


def _is_path(item: Any) -> bool:
    return isinstance(item, str | os.PathLike)


def _with_wcs(item: Any, wcs: Any) -> Any:
    if wcs is None:
        return item
    if isinstance(item, str | os.PathLike):
        msg = f"wcs= is for arrays; {one_line(item)!r} is a file, whose own WCS is used"
        raise InputError(msg)
    return item.assign_attrs(wcs=wcs) if hasattr(item, "assign_attrs") else (item, wcs)


def _dataarray(images: list[AnyImage]) -> xr.DataArray:
    spheres = [i for i in images if isinstance(i, SphereImage)]
    if spheres:
        return sphere_to_dataarray(spheres)
    return to_dataarray([i for i in images if isinstance(i, SkyImage)])


def _images(loaded: Loaded, item: Any) -> list[list[AnyImage]]:
    maps: list[Sequence[AnyImage]] = [*loaded.images, *loaded.spheres, *loaded.pictures]
    found = [list(images) for images in maps]
    if not found:
        raise UnsupportedError(_name(item), "holds no image; try open_catalog")
    return found


def _pick(maps: Iterable[list[AnyImage]], wanted: str | int) -> list[AnyImage]:
    known = []
    for images in maps:
        names = [str(images[0].attrs.get(key, "")) for key in ("EXTNAME", "HDU")]
        if str(wanted).lower() in [n.lower() for n in names if n]:
            return images
        known.append(" = ".join(n for n in names if n) or "0")
    raise UnknownNameError("image HDU", wanted, known)


def _no_plane(wanted: str, images: list[AnyImage]) -> list[AnyImage]:
    raise UnknownNameError("plane", wanted, [i.plane for i in images if i.plane])


def _name(item: Any) -> str:
    return Path(item).name if isinstance(item, str | os.PathLike) else type(item).__name__
