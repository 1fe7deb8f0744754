"""Press images: JPEG, PNG and TIFF with Astronomy Visualization Metadata, or of the whole sky."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from astropy.wcs import WCS

from skyshade.errors import DataError, InputError, UnsupportedError, one_line
from skyshade.loaders.avm import Metadata, find_packet, place, read_packet
from skyshade.loaders.fits_pixels import FitsReader, PixelFormat
from skyshade.loaders.private import PrivateCopy, check_decoded, in_words
from skyshade.loaders.source import ALL_SKY, Loaded, Options, Source
from skyshade.quiet import quiet
from skyshade.storage import ByteFile, RawFile
from skyshade.types import AnyArray, SkyImage

log = logging.getLogger("skyshade")

PLANES = ("red", "green", "blue", "alpha")
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
}
_AXES = {
    "icrs": ("RA---CAR", "DEC--CAR"),
    "galactic": ("GLON-CAR", "GLAT-CAR"),
    "ecliptic": ("ELON-CAR", "ELAT-CAR"),
}
_WAY_OUT = (
    "no AVM metadata that say where it lies; write them with pyavm, or give all_sky="
    '"icrs", "galactic" or "ecliptic" for a plate carree picture of the whole sky'
)
_STRIP = 256  # rows
_SHARE = 0.8  # of the free memory that a picture may take while it is decoded
_SIDE = 1 << 20  # pixels
# Decoded bytes that a byte can stand for: deflate 1,032; a bit a block of JPEG; LZW 2,700.
_DENSEST = {"PNG": 1_100, "JPEG": 1_100, "TIFF": 3_000}
_MEMORY, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
_lock = threading.Lock()


def sniff(head: bytes, uri: str) -> bool:  # noqa: ARG001 (the common form)
    """Tell the formats by their first bytes."""
    return bool(_format(head))


def open(source: Source, options: Options) -> Loaded:
    """Return a picture as planes red, green, blue (and alpha) of bytes 0..255.

    Grey pictures have three equal planes; 16-bit ones are scaled to 8 bits. Rows run from the
    bottom, as AVM and FITS count them.

    Raises
    ------
    UnsupportedError
        No AVM and no `all_sky`; more pixels than may be decoded.
    DataError
        Damaged.
    """
    if options.all_sky:
        check_all_sky(options.all_sky)
    with _pillow(source) as image:
        size = image.size
        wcs, about, notes = _place(source, size, options)
        channels = 4 if _has_alpha(image) else 3
        decoded = size[0] * size[1] * channels
        check_decoded(source.name, decoded, options.max_decoded)
        _check_memory(source.name, decoded)
        grey = _is_grey(image)
        copy = _decode(image, source.file, grey, channels)
    common: dict[str, Any] = {"wcs": wcs, "name": source.stem, "notes": notes}
    if about is not None:
        common |= {"title": about.title, "attrs": about.attrs()}
    return Loaded(pictures=[_planes(copy, size, grey, channels, common)])


def _planes(
    copy: PrivateCopy, size: tuple[int, int], grey: bool, channels: int, common: dict[str, Any]
) -> list[SkyImage]:
    """Return the channels; those of a grey picture are read from the same place."""
    shape = size[1], size[0]
    first = FitsReader(copy, (0, 0), 0, shape, PixelFormat(8))
    stored = (0, 0, 0, 1) if grey else (0, 1, 2, 3)
    images = []
    for k, name in enumerate(PLANES[:channels]):
        reader = first.plane(stored[k] * size[0] * size[1], f"-{name}")
        images.append(SkyImage(reader, plane=name, plane_axis="band", integer=True, **common))
    return images


def check_all_sky(frame: str) -> None:
    """Raise InputError where a frame of all-sky pictures is not known."""
    if frame not in ALL_SKY:
        msg = f"all_sky {one_line(frame, 40)!r} is not allowed; known: {', '.join(ALL_SKY)}"
        raise InputError(msg)


def all_sky_wcs(size: tuple[int, int], frame: str) -> Any:
    """Return the WCS of a plate carree picture of the whole sky.

    Longitude 0 is in the middle and grows to the left; latitude +90 is the upper edge.

    Parameters
    ----------
    size : (int, int)
        Pixels, (width, height).
    frame : str
        One of `ALL_SKY`.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = list(_AXES[frame])
    wcs.wcs.crval = [0.0, 0.0]
    wcs.wcs.crpix = [(size[0] + 1) / 2, (size[1] + 1) / 2]
    wcs.wcs.cdelt = [-360.0 / size[0], 180.0 / size[1]]
    if frame == "icrs":
        wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    wcs.pixel_shape = size
    return wcs


def _format(head: bytes) -> str:
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


@contextmanager
def _pillow(source: Source) -> Iterator[Any]:
    """Open a picture in Pillow; nothing is decoded yet, and one picture is decoded at a time."""
    from PIL import Image  # noqa: PLC0415 (only for pictures)

    with _lock, quiet():
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # our own is `max_decoded`
        try:
            raw = cast("BinaryIO", RawFile(source.file))
            with Image.open(raw, formats=(_format(source.head),)) as image:
                _check_sides(source, image)
                yield image
        except (DataError, InputError):
            raise
        except Exception as error:
            # Decoders of pictures meet hostile bytes here and raise anything.
            log.debug("%s cannot be decoded", source.name, exc_info=True)
            cause = one_line(str(error).partition("<")[0] or type(error).__name__, 120)
            raise DataError(source.name, f"cannot be decoded: {cause}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_sides(source: Source, image: Any) -> None:
    """Refuse a size that is out of reason, or that so few bytes cannot stand for."""
    width, height = image.size
    cause = ""
    if max(image.size) > _SIDE or min(image.size) < 1:
        cause = f"1 to {_SIDE} a side are allowed"
    bits = 1 if image.mode in ("1", "L", "P") else 8 * len(image.getbands())
    if width * height * bits > 8 * _DENSEST[image.format] * source.file.size:
        cause = f"a file of {in_words(source.file.size)} cannot hold that"
    if cause:
        raise DataError(source.name, f"declares {width} x {height} pixels: {cause}")


def _place(
    source: Source, size: tuple[int, int], options: Options
) -> tuple[Any, Metadata | None, tuple[str, ...]]:
    """Return where a picture lies: as its AVM says, else on the whole sky if the user says so."""
    packet, about = find_packet(source.file), None
    problem = UnsupportedError(source.name, _WAY_OUT)
    if packet is not None:
        try:
            about = read_packet(packet, source.name)
            wcs, notes = place(about, size, source.name)
            return wcs, about, notes
        except UnsupportedError as error:
            cause = f"{error.cause}; {_WAY_OUT.partition('; ')[2]}"
            problem = UnsupportedError(source.name, cause)
        except DataError:
            if not options.all_sky:
                raise
    if not options.all_sky:
        raise problem
    notes = ()
    if abs(size[0] - 2 * size[1]) > 2:
        notes = (f"{size[0]} x {size[1]} pixels, not twice as wide as high: stretched",)
    return all_sky_wcs(size, options.all_sky), about, notes


def _has_alpha(image: Any) -> bool:
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def _is_grey(image: Any) -> bool:
    return image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")


def _decode(image: Any, file: ByteFile, grey: bool, channels: int) -> PrivateCopy:
    """Write the channels one after another, rows from the bottom."""
    width, height = image.size
    alpha = channels == 4
    kept = (1 if grey else 3) + alpha
    mode = {(True, False): "L", (True, True): "LA", (False, False): "RGB", (False, True): "RGBA"}
    copy = PrivateCopy.of(file, width * height * kept)
    image.load()
    for top in range(0, height, _STRIP):
        bottom = min(height, top + _STRIP)
        strip = image.crop((0, top, width, bottom))
        pixels = _bytes(strip, mode[grey, alpha])
        for channel in range(kept):
            rows = np.ascontiguousarray(pixels[::-1, :, channel])
            copy.write(rows, (channel * height + height - bottom) * width)
    return copy


def _bytes(strip: Any, mode: str) -> AnyArray:
    """Return a strip as (rows, columns, channels) of bytes."""
    if strip.mode.startswith("I"):
        wide = np.asarray(strip).astype(np.int64)
        if strip.mode == "I" and (wide.max(initial=0) > 65535 or wide.min(initial=0) < 0):
            message = "pictures of more than 16 bits a channel are not shown"
            raise ValueError(message)
        return ((wide + 128) // 257).astype(np.uint8)[:, :, None]
    if strip.mode == "F":
        message = "pictures of floating-point numbers are not shown; convert to FITS"
        raise ValueError(message)
    converted = strip if strip.mode == mode else strip.convert(mode)
    pixels = np.asarray(converted)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _check_memory(name: str, size: int) -> None:
    """Refuse a picture that does not fit into the free memory: Pillow decodes it whole."""
    free = _free_memory()
    if free is not None and size > _SHARE * free:
        cause = f"takes {in_words(size)} of memory to decode; {in_words(free)} are free"
        raise UnsupportedError(name, cause)


def _free_memory() -> int | None:
    """Return the bytes free in the machine, or in the container's share of it; None if not known.

    What the system only keeps as copies of files counts as free.
    """
    found = _read_number(_MEMORY, "MemAvailable:")
    limit = _read_number(_CGROUP / "memory.max")
    used = _read_number(_CGROUP / "memory.current")
    if found is None or limit is None or used is None:
        return None if found is None else 1024 * found
    copies = _read_number(_CGROUP / "memory.stat", "inactive_file") or 0
    return max(0, min(1024 * found, limit - used + copies))


def _read_number(path: Path, name: str = "") -> int | None:
    """Return the number in a file of the system, or the one behind a name; None where none is."""
    try:
        words = path.read_text().split()
        return int(words[words.index(name) + 1 if name else 0])
    except (OSError, ValueError, IndexError):
        return None
