"""Where bytes lie: bounded reads of files that others may change."""

from skyshade.storage.files import ByteFile, RawFile, Stamp

__all__ = ["ByteFile", "RawFile", "Stamp"]
