"""Where bytes lie: bounded reads of files that others may change."""

from skyshade.storage.files import ByteFile, RawFile, Stamp
from skyshade.storage.folders import Folder
from skyshade.storage.scratch import Scratch

__all__ = ["ByteFile", "Folder", "RawFile", "Scratch", "Stamp"]
