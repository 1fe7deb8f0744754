"""Files that change while a server shows them: no crash, the new numbers, never two in one tile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from astropy.io import fits

from skyshade.app.server import Server
from skyshade.app.settings import Settings
from skyshade.atlas.build import open_atlas

SHAPE = (256, 512)  # the whole sky; small enough for an overview within a tile
SECONDS = 5.0  # until the new version is shown
TILE = "/tiles/m/sky/{}.f4"
PLACES = ("0/0/0", "1/1/0", "2/3/1")


def content(value: float, shape: tuple[int, int] = SHAPE, **cards: Any) -> bytes:
    """Return the bytes of an all-sky map of one value."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---CAR", "DEC--CAR"
    header["CRPIX1"], header["CRPIX2"] = shape[1] / 2 + 0.5, shape[0] / 2 + 0.5
    header["CRVAL1"], header["CRVAL2"] = 180.0, 0.0
    header["CDELT1"], header["CDELT2"] = -360.0 / shape[1], 180.0 / shape[0]
    header.update(cards)
    hdu = fits.PrimaryHDU(np.full(shape, value, np.float32), header)
    rows = [np.frombuffer(hdu.header.tostring().encode(), np.uint8), hdu.data.astype(">f4")]
    raw = b"".join(part.tobytes() for part in rows)
    return raw + bytes(-len(raw) % 2880)


def in_place(path: Path, new: bytes) -> None:
    path.write_bytes(new)


def by_rename(path: Path, new: bytes) -> None:
    path.with_suffix(".new").write_bytes(new)
    path.with_suffix(".new").replace(path)


def after_deletion(path: Path, new: bytes) -> None:
    path.unlink()
    time.sleep(0.05)
    path.write_bytes(new)


WAYS = [in_place, by_rename, after_deletion]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "m.fits"
    made.write_bytes(content(1.0))
    return made


@pytest.fixture
def serve(connect: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return ``serve(path) -> client`` of a server with its background work."""
    monkeypatch.setattr("skyshade.atlas.watch.INTERVAL", 0.3)
    monkeypatch.setattr("skyshade.atlas.atlas.HEAD_START", 0.0)
    with ExitStack() as stack:

        def make(*items: Path) -> Any:
            atlas = open_atlas(items)
            pool = stack.enter_context(ThreadPoolExecutor(1))
            client = connect(atlas)
            atlas.start_background(pool)
            stack.callback(atlas.stop_background)
            return client

        yield make


def states(client: Any) -> list[str]:
    return [line["state"] for line in client.get("/api/layers").json()]


def value(client: Any, place: str) -> float:
    """Return the one value of a tile; fail when it shows two."""
    reply = client.get(TILE.format(place))
    assert reply.status_code == 200, reply.text
    (found,) = np.unique(np.frombuffer(reply.content, "<f4"))
    return float(found)


def soon(ask: Callable[[], Any], wanted: Any) -> None:
    """Wait until `ask` gives what is wanted."""
    end = time.monotonic() + SECONDS
    while (found := ask()) != wanted:
        assert time.monotonic() < end, f"{found!r}, not {wanted!r}"
        time.sleep(0.05)


@pytest.mark.parametrize("way", WAYS)
def test_the_new_numbers_are_shown_soon(serve: Any, path: Path, way: Any) -> None:
    client = serve(path)
    assert [value(client, place) for place in PLACES] == [1.0] * 3
    way(path, content(2.0))
    for place in PLACES:
        soon(lambda place=place: value(client, place), 2.0)
    assert client.get("/api/layers/m/value?ra=10&dec=20").json()["value"] == 2.0
    soon(lambda: states(client), ["ok"])


@pytest.mark.parametrize("way", WAYS)
def test_another_header(serve: Any, path: Path, way: Any) -> None:
    client = serve(path)
    value(client, PLACES[0])
    way(path, content(3.0, (90, 180), BUNIT="uK"))
    soon(lambda: client.get("/api/layers/m").json().get("units"), "uK")
    assert [value(client, place) for place in PLACES] == [3.0] * 3


def test_truncated_and_mended(serve: Any, path: Path) -> None:
    client = serve(path)
    whole = path.read_bytes()
    value(client, PLACES[0])
    with path.open("r+b") as file:
        file.truncate(len(whole) // 4)
    for place in PLACES:  # whatever is left, at once: no crash
        assert client.get(TILE.format(place)).status_code in (200, 409, 422)
    soon(lambda: states(client), ["degraded"])
    (line,) = client.get("/api/layers").json()
    assert "truncated" in line["reason"]
    for place in PLACES:
        assert client.get(TILE.format(place)).status_code in (200, 409, 422)
    path.write_bytes(whole)
    soon(lambda: states(client), ["ok"])
    assert [value(client, place) for place in PLACES] == [1.0] * 3


def test_deleted_and_restored(serve: Any, path: Path) -> None:
    client = serve(path)
    kept = path.rename(path.with_suffix(".kept"))
    assert [value(client, place) for place in PLACES] == [1.0] * 3
    soon(lambda: states(client), ["degraded"])
    assert [value(client, place) for place in PLACES] == [1.0] * 3
    kept.rename(path)
    soon(lambda: states(client), ["ok"])


def test_broken_from_the_start_and_mended(serve: Any, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    client = serve(path)
    assert states(client) == ["rejected"]
    assert client.get(TILE.format("0/0/0")).status_code == 404
    path.write_bytes(whole)
    soon(lambda: states(client), ["ok"])
    assert value(client, PLACES[0]) == 1.0


@pytest.mark.parametrize("way", WAYS[:2])
def test_never_two_versions_in_one_tile(serve: Any, path: Path, way: Any) -> None:
    """A writer swaps 1 for 2 and back every 50 ms; every tile that comes is all of one kind."""
    contents = content(2.0), content(1.0)
    client = serve(path)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for new in contents:
                way(path, new)
                stop.wait(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    seen, refused = [], 0
    try:
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            for place in PLACES:
                reply = client.get(TILE.format(place))
                if reply.status_code == 200:
                    seen += [np.unique(np.frombuffer(reply.content, "<f4")).tolist()]
                else:
                    assert reply.status_code == 409, reply.text
                    refused += 1
    finally:
        stop.set()
        writer.join()
    assert {tuple(s) for s in seen} <= {(1.0,), (2.0,)}
    assert len(seen) > 10 * refused
    path.write_bytes(contents[0])
    for place in PLACES:
        soon(lambda place=place: value(client, place), 2.0)


def test_a_catalogue_is_read_anew(serve: Any, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(rows: int) -> None:
        new = tmp_path / "stars.new"
        places = np.linspace(10, 20, rows)
        pq.write_table(pa.table({"ra": places, "dec": places}), new)
        new.replace(tmp_path / "stars.parquet")

    write(5)
    client = serve(tmp_path / "stars.parquet")
    assert client.get("/tiles/stars/sky/0/0/0.png").status_code == 200
    write(7)
    soon(lambda: client.get("/api/layers").json()[0]["size"], "7 rows")
    reply = client.get("/api/layers/stars/rows?ra=15&dec=15&radius=20")
    assert len(reply.json()) == int(reply.headers["skyshade-total"]) == 7
    assert client.get("/api/sources").json()[0]["total"] == 7


def test_listeners_are_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyshade.atlas.watch.INTERVAL", 0.1)
    atlas = open_atlas([path])
    with Server(atlas, Settings(port=0)).start_in_thread() as server:
        with httpx.stream("GET", f"{server.base_url}/api/events", timeout=20) as news:
            lines = news.iter_lines()
            next(lines)
            by_rename(path, content(2.0))
            told = (json.loads(line[6:]) for line in lines if line.startswith("data: "))
            event = next(e for e in told if "version" in e)
        assert (event["type"], event["id"], event["state"]) == ("layer", "m", "ok")
        assert event["version"] == atlas.layer("m").version
