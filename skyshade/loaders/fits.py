"""The FITS loader: images, I,Q,U maps and tables of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from skyshade.errors import DataError, UnsupportedError
from skyshade.loaders.fits_headers import Hdu, text, walk
from skyshade.loaders.fits_images import holds_image, read_images
from skyshade.loaders.fits_tables import FitsColumns
from skyshade.loaders.source import Loaded, Options, Source
from skyshade.loaders.tables import SkyTable

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
    for hdu in walk(source.file):
        if isinstance(hdu, DataError):
            loaded.rejected.append(hdu)
            continue
        try:
            if _load(source, hdu, options, loaded):
                parts.append(hdu)
        except UnsupportedError as error:
            loaded.notes.append(str(error))
            loaded.rejected.append(error)
        except DataError as error:
            loaded.rejected.append(error)
    if loaded.empty:
        raise _reason(source, loaded.rejected)
    loaded.rejected = [e for e in loaded.rejected if not isinstance(e, UnsupportedError)]
    _name_parts(loaded, [h for h in parts if holds_image(h)], [h for h in parts if _is_table(h)])
    return loaded


def _load(source: Source, hdu: Hdu, options: Options, loaded: Loaded) -> bool:
    """Add one HDU to `loaded`; False when there is nothing in it."""
    if holds_image(hdu):
        loaded.images.append(read_images(source, hdu))
        return True
    if _is_table(hdu):
        if text(hdu.header, "PIXTYPE").upper() == "HEALPIX":
            raise UnsupportedError(source.name, "HEALPix map: not read by this version", hdu.part)
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
    if len(images) > 1:
        labels = _labels(images)
        loaded.images = [
            [replace(image, hdu=label) for image in planes]
            for planes, label in zip(loaded.images, labels, strict=True)
        ]
    if len(tables) > 1:
        for table, label in zip(loaded.tables, _labels(tables), strict=True):
            if isinstance(table, SkyTable):
                table.rename(f"{table.name}-{label}")


def _labels(hdus: list[Hdu]) -> list[str]:
    counts = Counter(h.extname for h in hdus)
    return [h.extname if h.extname and counts[h.extname] == 1 else str(h.index) for h in hdus]
