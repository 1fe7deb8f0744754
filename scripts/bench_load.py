"""A small HTTP client for load on 127.0.0.1, in a process of its own.

    bench_load.py PORT CONNECTIONS SECONDS < request.json

The request is ``{"paths": [...], "headers": {...}, "once": false, "stride": 7}``: every connection
asks for the paths in turn, each beginning `stride` paths after the one before it, until the time is
over (`once`: a single request each, all sent at the same moment). Prints JSON: requests, seconds,
statuses, milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

LONGEST = 60.0  # seconds; a server that answers nothing must not keep the client


class Client:
    """All connections, and what they found."""

    def __init__(self, port: int, request: dict[str, Any]) -> None:
        self.port, self.paths, self.once = port, request["paths"], request.get("once", False)
        extra = "".join(f"{name}: {text}\r\n" for name, text in request.get("headers", {}).items())
        self.stride = request.get("stride", 7)
        self.tail = f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{extra}\r\n"
        self.times: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.end = 0.0

    async def run(self, connections: int, seconds: float) -> dict[str, Any]:
        """Connect, then ask; return what was found."""
        made = [await asyncio.open_connection("127.0.0.1", self.port) for _ in range(connections)]
        begin = time.perf_counter()
        self.end = begin + seconds
        await asyncio.gather(*(self.ask(n, *pair) for n, pair in enumerate(made)))
        spent = time.perf_counter() - begin
        for _, writer in made:
            writer.close()
        times = sorted(self.times)
        return {
            "requests": len(times),
            "seconds": spent,
            "rate": len(times) / spent,
            "p50": 1e3 * times[len(times) // 2],
            "p99": 1e3 * times[min(len(times) - 1, int(0.99 * len(times)))],
            "statuses": dict(self.statuses),
        }

    async def ask(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Send one request after the other on one connection."""
        turn = number * self.stride
        while True:
            begin = time.perf_counter()
            writer.write(f"GET {self.paths[turn % len(self.paths)]}{self.tail}".encode())
            self.statuses[await answer(reader)] += 1
            now = time.perf_counter()
            self.times.append(now - begin)
            turn += 1
            if self.once or now > self.end:
                return


async def answer(reader: asyncio.StreamReader) -> str:
    """Read one answer whole; return its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, text = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(text)
    if length:
        await reader.readexactly(length)
    return head.split(b" ", 2)[1].decode()


def load(port: int, connections: int, seconds: float, **request: Any) -> dict[str, Any]:
    """Run this file as a process of its own; return what it printed."""
    command = [sys.executable, str(Path(__file__)), str(port), str(connections), str(seconds)]
    done = subprocess.run(
        command, input=json.dumps(request), capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def main() -> None:
    """Run as the module's text says."""
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    client = Client(port, json.load(sys.stdin))
    async with asyncio.timeout(seconds + LONGEST):
        print(json.dumps(await client.run(connections, seconds)))


if __name__ == "__main__":
    asyncio.run(main())
