"""The FITS loader: images, I,Q,U maps and tables of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from skyshade.errors import DataError, UnsupportedError
from skyshade.loaders.fits_bands import energy_bands
from skyshade.loaders.fits_headers import Hdu, walk
from skyshade.loaders.fits_healpix import holds_sphere, read_spheres
from skyshade.loaders.fits_images import holds_image, read_images
from skyshade.loaders.fits_tables import FitsColumns
from skyshade.loaders.fits_weights import add_weights
from skyshade.loaders.source import Loaded, Options, Source
from skyshade.loaders.tables import SkyTable
from skyshade.types import SkyImage, SphereImage

M = TypeVar("M", SkyImage, SphereImage)
ENDINGS = (".fits", ".fit", ".fts", ".fits.fz", ".fz")


def sniff(head: bytes, uri: str) -> bool:
    """Tell a FITS file by its first bytes, or by a name that promises one."""
    return head.startswith(b"SIMPLE  =") or uri.lower().removesuffix(".gz").endswith(ENDINGS)


def open(source: Source, options: Options) -> Loaded:
    """Return what the file holds.

    Raises
    ------
    DataError
        Nothing in the file can be shown: the most telling reason of all HDUs.
    """
    loaded = Loaded()
    parts: list[Hdu] = []
    walked = list(walk(source.file))
    bands = energy_bands(source.file, [hdu for hdu in walked if isinstance(hdu, Hdu)])
    for hdu in walked:
        if isinstance(hdu, DataError):
            loaded.rejected.append(hdu)
            continue
        try:
            if _load(source, hdu, options, loaded, bands):
                parts.append(hdu)
        except UnsupportedError as error:
            loaded.notes.append(str(error))
            loaded.rejected.append(error)
        except DataError as error:
            loaded.rejected.append(error)
    if loaded.empty:
        raise _reason(source, loaded.rejected)
    loaded.rejected = [e for e in loaded.rejected if not isinstance(e, UnsupportedError)]
    spheres = [h for h in parts if holds_sphere(h)]
    parts = [h for h in parts if not holds_sphere(h)]
    loaded.spheres = _named(loaded.spheres, spheres)
    _name_parts(loaded, [h for h in parts if holds_image(h)], [h for h in parts if _is_table(h)])
    return loaded


def _load(source: Source, hdu: Hdu, options: Options, loaded: Loaded, bands: Sequence[str]) -> bool:
    """Add one HDU to `loaded`; False when there is nothing in it."""
    if holds_sphere(hdu):
        loaded.spheres.append(read_spheres(source, hdu, options.frame))
        return True
    if holds_image(hdu):
        loaded.images.append(read_images(source, hdu, options.max_decoded, bands))
        return True
    if _is_table(hdu):
        if hdu.extname.upper() in ("PIXELS", "TARGETTABLES"):
            cause = "target pixel file: images of many times in table cells are not shown"
            raise UnsupportedError(source.name, cause, hdu.part)
        columns = FitsColumns(source.file, hdu)
        loaded.tables.append(SkyTable.of(columns, source.stem, options, source.name, hdu.part))
        return True
    if hdu.axes and hdu.kind not in ("IMAGE", "GROUPS"):
        raise UnsupportedError(source.name, f"extension of kind {hdu.kind!r}", hdu.part)
    return False


def _is_table(hdu: Hdu) -> bool:
    return hdu.kind in ("BINTABLE", "TABLE") and not holds_image(hdu)


def _reason(source: Source, errors: Sequence[DataError]) -> DataError:
    """Return the error to show for a file with nothing good: damage before what is unsupported."""
    damage = [e for e in errors if not isinstance(e, UnsupportedError)]
    found = [*damage, *errors]
    return found[0] if found else UnsupportedError(source.name, "no data in any HDU")


def _name_parts(loaded: Loaded, images: list[Hdu], tables: list[Hdu]) -> None:
    """Give images and tables the name of their HDU where the file holds several."""
    loaded.images = _named(loaded.images, images)
    if len(images) > 1:
        loaded.images = add_weights(loaded.images)
    if len(tables) > 1:
        for table, label in zip(loaded.tables, _labels(tables), strict=True):
            if isinstance(table, SkyTable):
                table.rename(f"{table.name}-{label}")


def _named(maps: list[list[M]], hdus: list[Hdu]) -> list[list[M]]:
    """Return maps with the name of their HDU, where there are several."""
    if len(hdus) < 2:
        return maps
    return [
        [replace(image, hdu=label) for image in planes]
        for planes, label in zip(maps, _labels(hdus), strict=True)
    ]


def _labels(hdus: list[Hdu]) -> list[str]:
    counts = Counter(h.extname for h in hdus)
    return [h.extname if h.extname and counts[h.extname] == 1 else str(h.index) for h in hdus]
