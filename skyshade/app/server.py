"""One process that serves viewer and tiles: `Server(atlas, settings).serve()`.

The order of a start is made for the first tile: the socket listens as soon as the files are open;
FastAPI, Panel, compiled kernels and overviews come after that tile, or when a request needs them.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tornado.httpserver import HTTPServer

from skyshade.app.api_light import LightApi
from skyshade.app.api_services import Services
from skyshade.app.guard import ANYWHERE, Guard, link
from skyshade.app.server_front import Front
from skyshade.app.server_page import Page
from skyshade.app.settings import Settings
from skyshade.atlas.atlas import Atlas
from skyshade.errors import InputError, PortInUseError, SkyshadeError

log = logging.getLogger("skyshade")
IDLE_SECONDS = 0.3  # background work waits so long for a first tile
START_SECONDS = 20.0
OnReady = Callable[[str], object]


class Server:
    """Serves an atlas.

    Parameters
    ----------
    atlas : Atlas
    settings : Settings, optional
        Without a token, one is made when `Settings.host` is not this machine alone.
    background : bool
        Whether to compile kernels and to build overviews after the first tile.

    Attributes
    ----------
    settled : threading.Event
        Set when the first tile is out, or nobody has asked for one in a moment: what would delay
        it may begin.
    """

    def __init__(
        self, atlas: Atlas, settings: Settings | None = None, *, background: bool = True
    ) -> None:
        settings = settings or Settings()
        if settings.token is None and not settings.loopback:
            settings = replace(settings, token=secrets.token_urlsafe(24))
        self.atlas, self.settings = atlas, settings
        self._background, self._preload = background, False
        self.settled = threading.Event()
        self._sockets: list[socket.socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port; the real one after `bind` when 0 was asked for."""
        return self.settings.port

    @property
    def token(self) -> str | None:
        """What readers must know."""
        return self.settings.token

    @property
    def base_url(self) -> str:
        """Address without the token and without a slash at its end."""
        host = socket.gethostname() if self.settings.host in ANYWHERE else self.settings.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def url(self) -> str:
        """Address that a person opens, with ``?token=`` when there is a token."""
        return link(f"{self.base_url}/", self.token) if self.token else self.base_url

    def bind(self) -> int:
        """Take the port (once) and return it; `serve` does this too.

        Raises
        ------
        PortInUseError
            Names a free port.
        InputError
            When the host cannot be listened on.
        """
        if not self._sockets:
            self._sockets = _bind(self.settings.host, self.settings.port)
            self.settings = replace(self.settings, port=self._sockets[0].getsockname()[1])
        return self.port

    def serve(self, on_ready: OnReady | None = None) -> None:
        """Serve until SIGINT, SIGTERM or `stop`.

        Parameters
        ----------
        on_ready : callable, optional
            Gets `url` once the server has answered a request of its own on its socket.
        """
        self.bind()
        self._preload = True
        asyncio.run(self._run(on_ready))

    def start_in_thread(self) -> Server:
        """Serve from a thread of its own, on this machine only; return when it answers.

        For notebooks and tests; `stop` ends it. Without a token in the settings, there is none:
        use `notebook_settings` for one.
        """
        if not self.settings.loopback:
            msg = f"host {self.settings.host!r} is not allowed in a thread: use 127.0.0.1"
            raise InputError(msg)
        self.bind()
        ready: Future[str] = Future()

        def run() -> None:
            try:
                asyncio.run(self._run(ready.set_result))
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        self._thread = threading.Thread(target=run, name="skyshade-server", daemon=True)
        self._thread.start()
        ready.result(START_SECONDS)
        return self

    def stop(self) -> None:
        """End `serve` or the thread; safe from any thread and more than once."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(START_SECONDS)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _run(self, on_ready: OnReady | None) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        services, guard = Services(self.atlas, self.settings), Guard(self.settings)
        api, page = LightApi(services), Page(self.atlas, guard.origins)
        front = Front(api, page, guard, self.settings)
        http = HTTPServer(front, max_body_size=self.settings.body_bytes)
        http.add_sockets(self._sockets)
        workers = ThreadPoolExecutor(max(1, self.settings.threads - 1), "skyshade-background")
        later = asyncio.create_task(self._later(services, api, page, workers))
        handled = self._handle_signals()
        try:
            await _knock(self._sockets[0])
            if on_ready is not None:
                on_ready(self.url)
            await self._stop.wait()
        finally:
            for number in handled:  # a second signal ends the process the hard way
                self._loop.remove_signal_handler(number)
            later.cancel()
            self.settled.set()
            self.atlas.stop_background()
            workers.shutdown(wait=False, cancel_futures=True)
            http.stop()
            page.stop()
            await http.close_all_connections()
            services.close()

    async def _later(
        self, services: Services, api: LightApi, page: Page, workers: ThreadPoolExecutor
    ) -> None:
        """Begin what the first tile does not wait for."""
        first, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the server is closing
                loop.call_soon_threadsafe(first.set)

        services.on_first_tile = tell
        with suppress(TimeoutError):
            await asyncio.wait_for(first.wait(), IDLE_SECONDS)
        self.settled.set()
        if self._background:
            self.atlas.start_background(workers)
        if self._preload:
            api.start()
            page.start()

    def _handle_signals(self) -> list[signal.Signals]:
        if threading.current_thread() is not threading.main_thread():
            return []
        handled = []
        assert self._loop is not None
        assert self._stop is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows: KeyboardInterrupt ends asyncio.run
                self._loop.add_signal_handler(number, self._stop.set)
                handled.append(number)
        return handled


def notebook_settings(**given: Any) -> Settings:
    """Return settings for `Server.start_in_thread`: any free port and a random token.

    Any host name too: Jupyter's proxy passes on its own.
    """
    own = {"port": 0, "token": secrets.token_urlsafe(24), "allowed_hosts": ("*",)}
    return Settings(**{**own, **given})


def _bind(host: str, port: int) -> list[socket.socket]:
    try:
        return listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(host, port, free_port(host, port)) from None
        reason = error.strerror or str(error)
        msg = f"host {host!r} and port {port} cannot be listened on: {reason}"
        raise InputError(msg) from None


def listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets for every address of `host`, all on one port.

    Raises
    ------
    OSError
        When one of them cannot be had; none is left open then.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[socket.socket] = []
    try:
        for family, *_, address in sorted(set(found), key=lambda item: item[0]):
            made.append(_listen_on(family, (address[0], port, *address[2:])))
            port = made[0].getsockname()[1]
    except OSError:
        for one in made:
            one.close()
        raise
    return made


def _listen_on(family: int, address: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # there it would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setblocking(False)
        made.bind(address)
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


def free_port(host: str, after: int) -> int:
    """Return a port that is free now, close above `after` when there is one; 0 if there is none."""
    for port in (*range(after + 1, min(after + 50, 65536)), 0):
        with suppress(OSError):
            sockets = listen(host, port)
            found: int = sockets[0].getsockname()[1]
            for one in sockets:
                one.close()
            return found
    return 0


async def _knock(listening: socket.socket) -> None:
    """Ask our own socket for ``/ready``; raise SkyshadeError when it does not answer."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    request = b"GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n"
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), START_SECONDS)
        writer.write(request)
        line = await asyncio.wait_for(reader.readline(), START_SECONDS)
        writer.close()
        await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        msg = f"the server does not answer on {host} port {port}: {error}"
        raise SkyshadeError(msg) from error
    if b" 200 " not in line:
        msg = f"the server answers {line.decode('latin-1').strip()!r} instead of being ready"
        raise SkyshadeError(msg)
