"""Bounded reads of files that others may change: pread, never mmap (truncation: SIGBUS)."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import time
import weakref
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import ChangedError, DataError, UnsupportedError
from skyshade.kernels.files import read_rows

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def _pread_into(fd: int, buffers: Sequence[memoryview], offset: int) -> int:
    """Stand in for `os.preadv` with one buffer, where the system has none (macOS)."""
    data = os.pread(fd, len(buffers[0]), offset)
    buffers[0][: len(data)] = data
    return len(data)


_preadv = getattr(os, "preadv", _pread_into)
_TICK = 10_000_000  # ns between two times that a file system can tell apart, at most
_WAITS = 8


class Stamp(NamedTuple):
    """What tells two states of a file apart."""

    size: int
    mtime_ns: int
    inode: int

    @property
    def version(self) -> str:
        """Twelve hex digits made from all three."""
        return blake2b(repr(tuple(self)).encode(), digest_size=6).hexdigest()


class ByteFile:
    """An open file with thread-safe reads at an offset; closed when nobody holds it any more.

    Parameters
    ----------
    fd : int
        File descriptor; the object owns it.
    name : str
        For messages.
    version : str, optional
        Fixed version of a private copy (a decoded or fetched file); by default that of the stamp.
    """

    def __init__(self, fd: int, name: str, version: str = "") -> None:
        self.fd, self.name, self._version = fd, name, version
        self._close = weakref.finalize(self, os.close, fd)

    @classmethod
    def open(cls, path: Path) -> ByteFile:
        """Open a regular file; DataError when that is not possible."""
        name = path.name or str(path)
        try:
            mode = path.stat().st_mode  # before opening: a pipe would block
            if stat.S_ISDIR(mode):
                raise UnsupportedError(name, "is a folder, not a file")
            if not stat.S_ISREG(mode):
                raise UnsupportedError(name, "is not a regular file")
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError as error:
            raise DataError(name, "no such file") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(name, f"cannot be opened: {reason}") from error
        return cls(fd, name)

    @classmethod
    def private(cls, name: str, version: str) -> tuple[ByteFile, BinaryIO]:
        """Return an anonymous temporary file and a handle to fill it with (close it when done)."""
        handle = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
        return cls(os.dup(handle.fileno()), name, version), handle

    def stamp(self) -> Stamp:
        """Return size, modification time and inode as they are now, for a later `check`.

        File systems count time in ticks: a write within the tick of the last one could not be
        told from it. So this waits until that tick is over, some hundredths of a second at most.
        """
        now = self._now()
        for _ in range(_WAITS):
            if self._version or not 0 <= time.time_ns() - now.mtime_ns < _TICK:
                break
            time.sleep(_TICK / 2e9)
            now = self._now()
        return now

    def _now(self) -> Stamp:
        now = os.fstat(self.fd)
        return Stamp(now.st_size, now.st_mtime_ns, now.st_ino)

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self.fd).st_size

    def version(self) -> str:
        """Return a short text that changes when the file changes."""
        return self._version or self._now().version

    def fix_version(self, version: str) -> None:
        """Give a private copy the version of what it was copied from."""
        self._version = version

    def check(self, before: Stamp) -> None:
        """Raise ChangedError when the file is not as it was."""
        if self._now() != before:
            raise ChangedError(self.name, "changed while it was being read")

    def read_into(self, buffer: WriteableBuffer, offset: int) -> int:
        """Fill `buffer` from `offset`; return the bytes read, fewer only at the end of the file."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view):
            got = _preadv(self.fd, (view[done:],), offset + done)
            if not got:
                break
            done += got
        return done

    def read_pieces(self, buffer: NDArray[np.uint8], offset: int, pitch: int) -> None:
        """Fill the rows of a (count, width) buffer from places `pitch` apart; zeros past the end.

        One system call a row: the fastest bounded way to read a narrow box of a wide image.
        """
        for row in range(read_rows(self.fd, offset, pitch, buffer), len(buffer)):
            got = self.read_into(memoryview(buffer[row]), offset + row * pitch)
            buffer[row, got:] = 0

    def read(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset`."""
        count = max(0, min(count, self.size - offset))
        buffer = bytearray(count)
        return bytes(memoryview(buffer)[: self.read_into(buffer, offset)])


class RawFile(io.RawIOBase):
    """A readable, seekable view of a `ByteFile` with a position of its own, for other libraries."""

    def __init__(self, file: ByteFile) -> None:
        self._file, self._at = file, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill `buffer` from the position; return the bytes read."""
        got = self._file.read_into(buffer, self._at)
        self._at += got
        return got
