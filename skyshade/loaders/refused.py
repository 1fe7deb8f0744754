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


def sniff(head: bytes, uri: str) -> bool:  # noqa: ARG001 (the common form)
    """Tell the kinds by their first bytes; XML is never parsed."""
    return bool(_reason(head))


def open(source: Source, options: Options) -> Loaded:  # noqa: ARG001 (the common form)
    """Raise UnsupportedError with the reason."""
    raise UnsupportedError(source.name, _reason(source.head))


def _reason(head: bytes) -> str:
    for magic, reason in _MAGIC:
        if head.startswith(magic):
            return reason
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return f"XML {_CONVERT} FITS" if start.startswith(b"<?xml") else ""
