"""Astronomy Visualization Metadata: where a press image lies on the sky.

The packet is found by our own means and refused where it declares entities, since the parser that
pyavm uses expands them; pyavm then reads it.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from skyshade.errors import DataError, UnsupportedError, one_line
from skyshade.loaders.fits_wcs import check
from skyshade.quiet import quiet
from skyshade.storage import ByteFile

log = logging.getLogger("skyshade")

PACKET_LIMIT = 8 << 20  # bytes of XML
_SCANNED = 64 << 20  # bytes of a file that are searched for a packet, from its start
_STEP = 4 << 20
_FORBIDDEN = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_START = re.compile(rb"<(x:)?xmpmeta\b|<rdf:RDF\b")
_ENDS = {b"<x:xmpmeta": b"</x:xmpmeta>", b"<xmpmeta": b"</xmpmeta>", b"<rdf:RDF": b"</rdf:RDF>"}
_ASPECT = 0.01  # by how much the sides of an image may be scaled differently
_FK = {"FK4", "FK5", "ICRS"}


@dataclass(frozen=True, eq=False)
class Metadata:
    """What a packet says.

    Parameters
    ----------
    avm : pyavm.AVM
    notes : tuple of str
        What had to be assumed.
    """

    avm: Any
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Title or headline, one line."""
        for name in ("Title", "Headline"):
            if found := _text(getattr(self.avm, name, None)):
                return found
        return ""

    def attrs(self) -> dict[str, Any]:
        """Return credit, rights, facility and the like, one line each."""
        wanted = ("Credit", "Rights", "Creator", "Publisher", "ReferenceURL", "Type", "ID")
        found = {name.lower(): _text(getattr(self.avm, name, None)) for name in wanted}
        found["quality"] = _text(self.avm.Spatial.Quality)
        found["objects"] = _text(getattr(self.avm.Subject, "Name", None))
        return {key: text for key, text in found.items() if text}


def find_packet(file: ByteFile) -> bytes | None:
    """Return the XMP packet of a file, from its first element to the end of that; None without."""
    data = b""
    for at in range(0, min(file.size, _SCANNED), _STEP):
        overlap = data[-32:]
        data = file.read(at, _STEP)
        found = _START.search(overlap + data)
        if found is not None:
            start = at - len(overlap) + found.start()
            return _whole(file.read(start, PACKET_LIMIT), found[0])
    return None


def read_packet(packet: bytes, name: str) -> Metadata:
    """Parse a packet.

    Raises
    ------
    DataError
        It declares a document type or entities, or cannot be parsed.
    """
    if _FORBIDDEN.search(packet) or len(packet) > PACKET_LIMIT:
        raise DataError(name, "its AVM packet declares entities or is too large; it is not read")
    import pyavm  # noqa: PLC0415 (only for pictures)

    try:
        with quiet():
            return Metadata(pyavm.AVM.from_xml(packet))
    except Exception as error:
        # Foreign packets make pyavm and its parser raise anything; the picture has no place then.
        log.debug("AVM packet of %s", name, exc_info=True)
        cause = one_line(str(error) or type(error).__name__, 120)
        raise DataError(name, f"its AVM packet cannot be read: {cause}") from error


def place(found: Metadata, size: tuple[int, int], name: str) -> tuple[Any, tuple[str, ...]]:
    """Return the WCS of an image whose rows run from the bottom, and notes.

    Parameters
    ----------
    found : Metadata
    size : (int, int)
        Pixels of the image, (width, height). Where ``Spatial.ReferenceDimension`` is another, the
        scale is adapted.
    name : str
        Of the file, for messages.

    Raises
    ------
    UnsupportedError
        The metadata give no position, scale or projection.
    DataError
        They make no sense.
    """
    spatial = found.avm.Spatial
    missing = [key for key in ("ReferenceValue", "ReferencePixel") if not _given(spatial, key, 2)]
    if not spatial.CoordsystemProjection:
        missing.append("CoordsystemProjection")
    scale = ("Scale", 2) if spatial.CDMatrix is None else ("CDMatrix", 4)
    if not _given(spatial, *scale):
        missing.append(scale[0])
    if missing:
        cause = f"its AVM gives no place on the sky: no Spatial.{', Spatial.'.join(missing)}"
        raise UnsupportedError(name, cause)
    try:
        with quiet() as said:
            wcs = found.avm.to_wcs()
            _rescale(wcs, spatial.ReferenceDimension, size)
            wcs.wcs.set()
    except Exception as error:
        log.debug("AVM of %s gives no WCS", name, exc_info=True)
        cause = one_line(str(error) or type(error).__name__, 160)
        raise DataError(name, f"its AVM gives no WCS: {cause}") from error
    wcs.pixel_shape = size
    check(wcs, size[::-1], name)
    notes = tuple(said)
    if _text(spatial.Quality).lower() == "position":
        notes += ("AVM quality is Position: scale and rotation may be wrong",)
    return wcs, notes


def _given(spatial: Any, key: str, count: int) -> bool:
    found = getattr(spatial, key, None)
    return isinstance(found, list | tuple) and len(found) == count and None not in found


def _rescale(wcs: Any, reference: Any, size: tuple[int, int]) -> None:
    """Adapt a WCS to another number of pixels; pixel edges stay where they are on the sky."""
    if not reference:
        return
    factors = np.array(size, float) / np.array([float(n) for n in reference][:2])
    if not (np.isfinite(factors).all() and factors.min() > 0):
        message = f"Spatial.ReferenceDimension = {reference}"
        raise ValueError(message)
    if abs(factors[0] / factors[1] - 1.0) > _ASPECT:
        sides = " x ".join(f"{float(n):g}" for n in reference)
        message = f"the image of {size[0]} x {size[1]} pixels is not the one described: {sides}"
        raise ValueError(message)
    wcs.wcs.crpix = (np.asarray(wcs.wcs.crpix) - 0.5) * factors + 0.5
    if wcs.wcs.has_cd():
        wcs.wcs.cd = np.asarray(wcs.wcs.cd) / factors
    else:
        wcs.wcs.cdelt = np.asarray(wcs.wcs.cdelt) / factors


def _whole(data: bytes, start: bytes) -> bytes | None:
    end = _ENDS[start]
    stop = data.find(end)
    return data[: stop + len(end)] if stop >= 0 else None


def _text(found: Any) -> str:
    if isinstance(found, list | tuple):
        found = ", ".join(str(part) for part in found if part)
    return one_line(found, 300) if found else ""
