"""Files of a `Folder` that are read by ranges, wherever it lies."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, cast

from skyshade.errors import ChangedError, DataError
from skyshade.storage import ByteFile, Folder, RawFile, Stamp

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class RangeFile:
    """A remote file with the reads of a `ByteFile`: each is one request.

    Parameters
    ----------
    folder : Folder
    key : str
    size : int, optional
        Bytes, where they are known.
    """

    def __init__(self, folder: Folder, key: str) -> None:
        self._folder, self._key = folder, key
        self.name = key.rpartition("/")[2]
        with folder.open(key) as file:
            self.size = file.seek(0, 2)
        self._version = self._now()
        self._stamp = Stamp(self.size, 0, 0)

    def version(self) -> str:
        """Return a short text that changes when the file changes."""
        return self._now()

    def stamp(self) -> Stamp:
        """Return what was known of the file when it was opened."""
        return self._stamp

    def check(self, before: Stamp) -> None:
        """Raise ChangedError when the file is not as it was when it was opened."""
        if before != self._stamp or self._now() != self._version:
            raise ChangedError(self.name, "changed while it was being read")

    def read_into(self, buffer: WriteableBuffer, offset: int) -> int:
        """Fill `buffer` from `offset`; return the bytes read, fewer only at the end of the file."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self.size - offset))
        if count:
            view[:count] = self._folder.read_range(self._key, offset, count)
        return count

    def read(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset`."""
        count = max(0, min(count, self.size - offset))
        return self._folder.read_range(self._key, offset, count) if count else b""

    def _now(self) -> str:
        text = self._folder.version(self._key)
        if not text:
            raise DataError(self.name, "cannot be read: no such file any more")
        return blake2b(text.encode(), digest_size=6).hexdigest()


AnyFile = ByteFile | RangeFile


def open_key(folder: Folder, key: str) -> AnyFile:
    """Return a file of a folder: local ones are read as any other, remote ones by ranges."""
    if folder.path is not None:
        return ByteFile.open(folder.path / key)
    return RangeFile(folder, key)


def raw(file: AnyFile) -> RawFile:
    """Return a file as other libraries want it, with a position of its own."""
    return RawFile(cast("ByteFile", file))  # which needs no more of it than both have
