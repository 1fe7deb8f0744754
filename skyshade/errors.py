"""Every error that skyshade raises on purpose.

    SkyshadeError
    ├── InputError (ValueError)         a value given by a user is not allowed
    │   ├── UnknownNameError            a name (layer, grid, column ...) is not known
    │   ├── FrameMismatchError          a layer of one plane was asked for on a grid of another
    │   ├── TooLargeError               more pixels than one answer may take
    │   └── NoOverlapError              a region that a layer does not cover
    ├── DataError                       a file or object cannot be shown
    │   ├── UnsupportedError            readable, but of a kind that skyshade does not show
    │   └── ChangedError                the file changed while it was being read
    ├── OutsideGridError                a tile address beyond the grid
    └── PortInUseError                  the server's port is taken

Messages name the thing, the value and what is allowed, in one line.
"""

from __future__ import annotations

from collections.abc import Iterable


class SkyshadeError(Exception):
    """Base of all errors raised by skyshade."""


class InputError(SkyshadeError, ValueError):
    """Raised when a user's value is not allowed."""


class UnknownNameError(InputError):
    """Raised when a name is not among the known ones.

    Parameters
    ----------
    thing : str
        What the name should denote, e.g. ``"layer"``.
    name : str
        The name as given.
    known : iterable of str
        The allowed names; at most 20 are shown.
    """

    def __init__(self, thing: str, name: object, known: Iterable[str]) -> None:
        names = [str(k) for k in known]
        self.thing, self.name, self.known = thing, name, tuple(names)
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        listed = ", ".join(names[:20]) or "none"
        super().__init__(f"unknown {thing} {name!r}; known: {listed}{more}")


class FrameMismatchError(InputError):
    """Raised when a layer and a grid do not share a plane (sky against free x/y)."""


class TooLargeError(InputError):
    """Raised when an answer would take more pixels than are allowed."""


class NoOverlapError(InputError):
    """Raised when a layer has no pixel in the region asked for."""


class DataError(SkyshadeError):
    """Raised when a file or an object cannot be shown.

    Parameters
    ----------
    name : str
        The file (its name, not its whole path) or the kind of object.
    cause : str
        What is wrong, in a few words.
    part : str, optional
        Where in the file, e.g. ``"HDU 1"``.
    """

    def __init__(self, name: str, cause: str, part: str = "") -> None:
        self.name, self.cause, self.part = one_line(name), one_line(cause, 800), one_line(part)
        where = f"{self.name}, {self.part}" if self.part else self.name
        super().__init__(f"{where}: {self.cause}")


class UnsupportedError(DataError):
    """Raised when data are sound but of a kind that skyshade does not show."""


class ChangedError(DataError):
    """Raised when a file changed between two looks at it."""


class OutsideGridError(SkyshadeError):
    """Raised when a tile address lies beyond its grid."""


class PortInUseError(SkyshadeError):
    """Raised when the wanted TCP port is taken; ``free`` is one that is not."""

    def __init__(self, host: str, port: int, free: int) -> None:
        self.host, self.port, self.free = host, port, free
        super().__init__(f"port {port} on {host} is in use; port {free} is free (--port {free})")


def one_line(text: object, limit: int = 300) -> str:
    """Return `text` as one printable line of at most `limit` characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."
