"""What the server can be told; the environment is read here and in `skyshade.cli` only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from typing import Any

from skyshade.errors import InputError, UnknownNameError

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the server runs. Every field is also read from ``SKYSHADE_<NAME>`` by `from_environ`.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        0 takes any free port.
    token : str or None
        What readers must know; None lets everyone on this machine read. `skyshade.app.server`
        makes one by itself when `host` is not this machine alone.
    allowed_hosts : tuple of str
        Names, besides `host` and this machine's own, that requests may be addressed to
        (a proxy's public name). Any port is allowed, because tunnels change it. ``*`` is every
        name where a token is needed.
    tile_cache_bytes, aggregate_cache_bytes : int
        Caps of the two caches.
    tile_seconds : float
        Deadline of one tile; 503 when it is exceeded.
    max_age : int
        Seconds for which a tile without the current ``v`` may be kept by clients.
    workers : int
        Threads that compute tiles; 0 takes as many as there are cores.
    body_bytes : int
        Largest request body that is read.
    heartbeat_seconds : float
        Pause between two signs of life on ``/api/events``.
    max_decoded_bytes : int
        Most bytes that a compressed file may become.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    tile_cache_bytes: int = 256 * MIB
    aggregate_cache_bytes: int = 64 * MIB  # some screens: fresh memory costs more than a tile
    tile_seconds: float = 30.0
    max_age: int = 60
    workers: int = 0
    body_bytes: int = MIB
    heartbeat_seconds: float = 15.0
    max_decoded_bytes: int = 4 << 30

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            msg = f"port {self.port} is not allowed: 0 to 65535"
            raise InputError(msg)
        for name in ("tile_cache_bytes", "aggregate_cache_bytes", "max_age", "workers"):
            if getattr(self, name) < 0:
                msg = f"{name} {getattr(self, name)} is not allowed: 0 or more"
                raise InputError(msg)
        for name in ("tile_seconds", "heartbeat_seconds", "body_bytes", "max_decoded_bytes"):
            if not getattr(self, name) > 0:
                msg = f"{name} {getattr(self, name)} is not allowed: more than 0"
                raise InputError(msg)
        if self.token == "":
            msg = "an empty token is not allowed: give at least one character, or none at all"
            raise InputError(msg)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def threads(self) -> int:
        """Threads that compute tiles."""
        return self.workers or os.cpu_count() or 1

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Return settings from ``SKYSHADE_*`` variables; `given` values that are not None win.

        Raises
        ------
        InputError
            When a variable cannot be read as its field's type.
        UnknownNameError
            When a given name is no field.
        """
        known = {f.name: f.default for f in fields(cls)}
        for name in given:
            if name not in known:
                raise UnknownNameError("setting", name, known)
        source = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for name, default in known.items():
            text = source.get(f"SKYSHADE_{name.upper()}", "")
            if text:
                values[name] = _parse(name, text, default)
        values.update({name: value for name, value in given.items() if value is not None})
        return cls(**values)


def _parse(name: str, text: str, default: object) -> Any:
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    kind = type(default) if isinstance(default, int | float) else str
    try:
        return kind(text)
    except ValueError:
        msg = f"SKYSHADE_{name.upper()}={text!r} is not allowed: give a number ({kind.__name__})"
        raise InputError(msg) from None
