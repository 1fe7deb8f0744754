"""A file to load, wherever it lies and however it is packed, and what loading it gives."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from skyshade.errors import DataError, SkyshadeError
from skyshade.loaders.private import MAX_DECODED, check_room
from skyshade.loaders.unpack import is_packed, unpack
from skyshade.storage import ByteFile
from skyshade.types import PointTable, SkyImage, SphereImage

HEAD = 4096
REMOTE_LIMIT = 4 << 30  # bytes of a remote file: fetched whole by this version
MAX_LAYERS = 64  # planes of one map that become layers of their own; of more, one layer shows all
ALL_SKY = ("icrs", "galactic", "ecliptic")
_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+://")  # two letters at least: not a Windows drive
_PACKED = {".gz", ".bz2", ".fz", ".z", ".xz", ".zst"}


@dataclass(frozen=True)
class Options:
    """What a user may say about an item; the empty text means "not said".

    Parameters
    ----------
    ra, dec, frame : str
        Coordinate columns of a catalogue.
    name : str
        Instead of the file's stem.
    all_sky : str
        Frame of a picture without WCS that shows the whole sky: one of `ALL_SKY`.
    max_decoded : int
        Bytes that the item may decode to.
    """

    ra: str = ""
    dec: str = ""
    frame: str = ""
    name: str = ""
    all_sky: str = ""
    max_decoded: int = MAX_DECODED


@dataclass(frozen=True)
class Source:
    """An open, unpacked file.

    Parameters
    ----------
    file : ByteFile
    uri : str
        As the user gave it.
    name : str
        File name, for messages.
    stem : str
        The user's name, or the file name without its endings.
    head : bytes
        The first bytes, at most `HEAD`.
    """

    file: ByteFile
    uri: str
    name: str
    stem: str
    head: bytes


@dataclass
class Loaded:
    """What one item holds.

    Parameters
    ----------
    images : list of list of SkyImage
        One inner list an HDU: the planes of one map together.
    spheres : list of list of SphereImage
        The same for HEALPix maps.
    pictures : list of list of SkyImage
        Press images: the red, green and blue (and alpha) planes of one picture together.
    tables : list of PointTable
    rejected : list of DataError
        Parts that cannot be shown, beside good ones.
    notes : list of str
        Parts that were skipped because they are neither image nor catalogue.
    """

    images: list[list[SkyImage]] = field(default_factory=list)
    spheres: list[list[SphereImage]] = field(default_factory=list)
    pictures: list[list[SkyImage]] = field(default_factory=list)
    tables: list[PointTable] = field(default_factory=list)
    rejected: list[DataError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing can be shown."""
        return not (self.images or self.spheres or self.pictures or self.tables)


def open_source(item: str | Path, name: str = "", max_decoded: int = MAX_DECODED) -> Source:
    """Open a path or URI; gzip and bzip2 are unpacked into an anonymous temporary file.

    Raises
    ------
    DataError
        No such file; an empty, damaged or cut one; more than `max_decoded` bytes when unpacked.
    """
    uri = str(item)
    path = local_path(uri)
    file = _fetch(uri) if path is None else ByteFile.open(path)
    if not file.size:
        raise DataError(file.name, "empty file (0 bytes)")
    head = file.read(0, HEAD)
    if is_packed(head):
        file = unpack(file, max_decoded)
        head = file.read(0, HEAD)
    return Source(file, uri, file.name, name or stem(file.name), head)


def local_path(uri: str) -> Path | None:
    """Return the path of a local item, None of a remote one."""
    if not _URI.match(uri):
        return Path(uri).expanduser()
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def stem(name: str) -> str:
    """Return a file name without its ending, and without that of its packing."""
    path = PurePosixPath(name)
    if path.suffix.lower() in _PACKED and path.stem:
        path = PurePosixPath(path.stem)
    return path.stem or name


def _fetch(uri: str) -> ByteFile:
    import fsspec  # noqa: PLC0415 (only for remote items)

    name = PurePosixPath(unquote(urlsplit(uri).path)).name or uri
    try:
        with fsspec.open(uri, "rb") as remote:
            return _copy(remote, name, uri)
    except SkyshadeError:
        raise
    except Exception as error:
        cause = f"cannot be fetched: {type(error).__name__}: {error}"
        raise DataError(name, cause) from error


def _copy(remote: BinaryIO, name: str, uri: str) -> ByteFile:
    size = getattr(remote, "size", None)
    if isinstance(size, int) and size > REMOTE_LIMIT:
        raise DataError(name, f"{size} bytes; remote files of at most {REMOTE_LIMIT} are fetched")
    check_room(name, size if isinstance(size, int) else 0)
    digest = blake2b(uri.encode(), digest_size=6)
    file, handle = ByteFile.private(name, "")
    with handle:
        done = 0
        while chunk := remote.read(1 << 20):
            done += len(chunk)
            if done > REMOTE_LIMIT:
                raise DataError(name, f"more than {REMOTE_LIMIT} bytes; not fetched")
            digest.update(chunk)
            handle.write(chunk)
    file.fix_version(digest.hexdigest())
    return file
