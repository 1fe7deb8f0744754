"""Settings and their environment."""

from __future__ import annotations

import pytest

from skyshade.app.settings import Settings
from skyshade.errors import InputError, UnknownNameError


def test_environment_is_read_and_arguments_win():
    environ = {
        "SKYSHADE_PORT": "9000",
        "SKYSHADE_ALLOWED_HOSTS": "a.example, b.example",
        "SKYSHADE_TILE_SECONDS": "2.5",
        "SKYSHADE_TOKEN": "x",
        "SKYSHADE_HOST": "",
    }
    read = Settings.from_environ(environ, port=None, token="y")
    assert read == Settings(
        port=9000, allowed_hosts=("a.example", "b.example"), tile_seconds=2.5, token="y"
    )


@pytest.mark.parametrize(
    "given",
    [
        {"port": 65536},
        {"port": -1},
        {"tile_cache_bytes": -1},
        {"tile_seconds": 0},
        {"heartbeat_seconds": float("nan")},
        {"token": ""},
    ],
)
def test_refused(given):
    with pytest.raises(InputError):
        Settings(**given)


def test_refused_from_environment():
    with pytest.raises(InputError, match="SKYSHADE_PORT='x'"):
        Settings.from_environ({"SKYSHADE_PORT": "x"})
    with pytest.raises(UnknownNameError, match="prot"):
        Settings.from_environ({}, prot=1)


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", 1), ("localhost", 1), ("::1", 1), ("127.9.9.9", 1), ("0.0.0.0", 0), ("n", 0)],
)
def test_loopback(host, here):
    assert Settings(host=host).loopback == bool(here)
