"""``GET /api/events``: the atlas's news as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from skyshade.app.api_errors import dump
from skyshade.atlas.events import Events

HELLO = b": connected\nretry: 3000\n\n"
HEARTBEAT = b": alive\n\n"


async def stream(events: Events, heartbeat: float) -> AsyncIterator[bytes]:
    """Yield server-sent events, and a comment when `heartbeat` seconds brought none.

    The listener is removed when the consumer stops (the client went away).
    """
    loop = asyncio.get_running_loop()
    news = asyncio.Event()

    def notify() -> None:
        try:
            loop.call_soon_threadsafe(news.set)
        except RuntimeError:  # the loop is closed: nobody listens any more
            subscription.close()

    subscription = events.subscribe(notify=notify)
    with subscription:
        yield HELLO
        while True:
            try:
                await asyncio.wait_for(news.wait(), heartbeat)
            except TimeoutError:
                yield HEARTBEAT
            news.clear()
            for event in subscription.drain():
                yield b"data: " + dump(event) + b"\n\n"
