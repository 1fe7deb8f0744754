"""Private copies of decoded pixels on disk: capped, never more than the disk has room for."""

from __future__ import annotations

import os
import shutil
import tempfile

from skyshade.errors import DataError
from skyshade.storage import ByteFile, Stamp
from skyshade.types import AnyArray

MAX_DECODED = 4 << 30  # bytes that one item may decode to, unless the user says otherwise
RESERVE = 256 << 20  # bytes that stay free on the disk


class PrivateCopy(ByteFile):
    """An anonymous temporary file of a fixed size, filled in pieces while others read from it.

    Its version is that of the file that it is decoded from, as it was at the start. What was not
    written yet is zeros.
    """

    _length: int

    @classmethod
    def of(cls, origin: ByteFile, size: int) -> PrivateCopy:
        """Return an empty file of `size` bytes; DataError where the disk has no room for it."""
        check_room(origin.name, size)
        made, handle = cls.private(origin.name, origin.version())
        handle.close()
        if not isinstance(made, PrivateCopy):
            raise TypeError(type(made).__name__)
        made._length = size
        os.truncate(made.fd, size)
        return made

    def stamp(self) -> Stamp:
        """Return a stamp that never changes: nobody else can write to the file."""
        return Stamp(self._length, 0, 0)

    def check(self, before: Stamp) -> None:
        """Do nothing: nobody else can write to the file."""

    def write(self, array: AnyArray, offset: int) -> None:
        """Write the bytes of a contiguous array at `offset`.

        Raises
        ------
        DataError
            The disk is full.
        """
        view = memoryview(array).cast("B")
        try:
            while view:
                done = os.pwrite(self.fd, view, offset)
                view, offset = view[done:], offset + done
        except OSError as error:
            raise DataError(self.name, f"its copy cannot be written: {error.strerror}") from error


def check_room(name: str, size: int) -> None:
    """Raise DataError where the folder of temporary files has no room for `size` bytes."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size + RESERVE > free:
        cause = f"needs {in_words(size)} in {folder}, where {in_words(free)} are free (TMPDIR)"
        raise DataError(name, cause)


def check_decoded(name: str, size: int, limit: int, part: str = "") -> None:
    """Raise DataError where an item decodes to more than `limit` bytes."""
    if size > limit:
        cause = f"decodes to {in_words(size)}; at most {in_words(limit)} allowed (max_decoded)"
        raise DataError(name, cause, part)


def in_words(size: int) -> str:
    """Return a number of bytes as text, e.g. ``"1.5 GiB"``."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << shift:
            return f"{size / (1 << shift):.3g} {unit}"
    return f"{size} bytes"
