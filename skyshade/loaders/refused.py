"""Kinds of files that are recognised only to say in one line why they are not shown."""

from __future__ import annotations

from skyshade.errors import UnsupportedError
from skyshade.loaders.source import Loaded, Options, Source

_CONVERT = "is not read by this version; convert to"
_MAGIC = (
    (b"\x1f\x9d", "compressed with LZW (.Z), which is not read; use gunzip, then gzip"),
    (b"\xfd7zXZ\0", f"xz {_CONVERT} gzip"),
    (b"\x28\xb5\x2f\xfd", f"zstd {_CONVERT} gzip"),
    (b"PK\x03\x04", "a ZIP archive; unpack it first"),
    (b"\x89HDF\r\n\x1a\n", f"HDF5 {_CONVERT} FITS, Parquet or CSV"),
    (b"#ASDF", f"ASDF {_CONVERT} FITS"),
)
_VOTABLE = f"VOTable {_CONVERT} Parquet, FITS or CSV"


def sniff(head: bytes, uri: str) -> bool:
    """Tell the kinds by their first bytes; XML is never parsed."""
    return bool(_reason(head, uri))


def open(source: Source, options: Options) -> Loaded:  # noqa: ARG001 (the common form)
    """Raise UnsupportedError with the reason."""
    raise UnsupportedError(source.name, _reason(source.head, source.uri))


def _reason(head: bytes, uri: str) -> str:
    for magic, reason in _MAGIC:
        if head.startswith(magic):
            return reason
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    xml = start.startswith((b"<?xml", b"<VOTABLE", b"<!DOCTYPE VOTABLE"))
    if xml and (b"VOTABLE" in head.upper() or uri.lower().endswith((".vot", ".xml.gz"))):
        return _VOTABLE
    if xml or uri.lower().endswith((".vot", ".votable")):
        return _VOTABLE if uri.lower().endswith((".vot", ".votable")) else f"XML {_CONVERT} FITS"
    return ""
