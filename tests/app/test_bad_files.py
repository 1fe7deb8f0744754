"""Every broken file beside a sound one: a reason or a layer, and the sound one goes on."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from skyshade.atlas.build import open_atlas
from skyshade.geometry.grids import SKY
from skyshade.types import STRETCHES
from tests.loaders.test_hostile import BAD

CONTROL = "ok_control"
DEEPEST = SKY.max_zoom
PICTURES, NUMBERS = ("png", "webp", "jpg"), {"f2": "<f2", "f4": "<f4"}
SECONDS = 30.0  # for one file, opening included; the slowest takes 3 on a busy machine
MEGABYTES = 900


class Place(NamedTuple):
    ra: float
    dec: float


def strict(text: str) -> Any:
    """Parse JSON as a browser does: no NaN, no Infinity."""

    def refuse(word: str) -> None:
        pytest.fail(f"{word} in {text[:300]}")

    return json.loads(text, parse_constant=refuse)


def tile(place: Place, z: int) -> str:
    return "/".join(str(part) for part in SKY.tile_of(*place, z))


def middle(full: dict[str, Any]) -> Place:
    """Return a position inside a layer."""
    box = full["coverage"]
    return Place((box["ra_east"] + box["ra_west"]) / 2 % 360, (box["dec_min"] + box["dec_max"]) / 2)


def tile_paths(full: dict[str, Any]) -> list[str]:
    """Return tiles of both ends of the zoom range, on the layer and beside it."""
    here, elsewhere = middle(full), Place(83.6, -1.2)
    places = [(here, 0), (here, full["max_zoom"]), (here, DEEPEST), (elsewhere, full["max_zoom"])]
    paths = [f"{tile(place, z)}.{fmt}" for place, z in places for fmt in (*PICTURES, *NUMBERS)]
    paths += [f"{tile(here, 0)}.png?stretch={stretch}" for stretch in STRETCHES]
    return [*paths, f"{tile(here, 0)}@2x.png"]


def check_tile(reply: httpx.Response, fmt: str) -> None:
    """Fail unless a tile can be decoded."""
    assert reply.status_code == 200, (reply.url, reply.text)
    if fmt in NUMBERS:
        values = np.frombuffer(reply.content, NUMBERS[fmt])
        assert values.size == 256 * 256
        assert not np.isinf(values).any()
    else:
        Image.open(io.BytesIO(reply.content)).load()


def check_layer(api: Any, name: str) -> None:
    """Ask everything about a layer that opened."""
    reply = api.get(f"/api/layers/{name}")
    assert reply.status_code == 200, reply.text
    full = strict(reply.text)
    place = middle(full)
    for path in ("histogram", f"value?ra={place.ra}&dec={place.dec}", "value?ra=0&dec=-90"):
        reply = api.get(f"/api/layers/{name}/{path}")
        assert reply.status_code == 200, reply.text
        strict(reply.text)
    assert strict(api.get(f"/tiles/{name}/sky/tilejson.json").text)["tiles"]
    for path in tile_paths(full):
        fmt = path.partition("?")[0].rpartition(".")[2]
        check_tile(api.get(f"/tiles/{name}/sky/{path}"), fmt)


def control_tiles(api: Any) -> list[bytes]:
    paths = tile_paths(strict(api.get(f"/api/layers/{CONTROL}").text))
    return [api.get(f"/tiles/{CONTROL}/sky/{path}").content for path in paths]


@pytest.fixture
def alone(connect: Any, shared_data: Path) -> list[bytes]:
    """Tiles of the sound file when it is opened by itself."""
    return control_tiles(connect(open_atlas([shared_data / "bad" / f"{CONTROL}.fits"])))


@pytest.mark.parametrize("name", [n for n in BAD if n != f"{CONTROL}.fits"])
def test_beside_a_sound_file(
    connect: Any, shared_data: Path, caplog: pytest.LogCaptureFixture, alone: Any, name: str
) -> None:
    start, bad = time.monotonic(), shared_data / "bad"
    api = connect(open_atlas([bad / name, bad / f"{CONTROL}.fits"]))
    lines = strict(api.get("/api/layers").text)
    assert len(lines) >= 2
    for line in lines:
        if line["state"] == "rejected":
            assert line["reason"].startswith(name)
            assert api.get(f"/tiles/{line['id']}/sky/0/0/0.png").status_code == 404
            assert api.get(f"/api/layers/{line['id']}/value?ra=0&dec=0").status_code == 404
        else:
            check_layer(api, line["id"])
    assert control_tiles(api) == alone
    assert {line["state"] for line in strict(api.get("/api/layers").text)} <= {"ok", "rejected"}
    loud = [r for r in caplog.records if r.exc_info or r.levelno >= logging.ERROR]
    assert not loud
    assert time.monotonic() - start < SECONDS


@pytest.fixture
def rice(shared_data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of compressed maps with damaged tiles, on the sky."""

    def make(*, all_tiles: bool) -> Path:
        path = tmp_path / "rice.fits.fz"
        source = shared_data / "bad" / "rice_corrupt.fits.fz"
        with fits.open(source, disable_image_compression=True) as hdus:
            table = hdus[1]
            for axis, kind, at in ((1, "RA---TAN", 10.0), (2, "DEC--TAN", 5.0)):
                table.header[f"CTYPE{axis}"], table.header[f"CRVAL{axis}"] = kind, at
                table.header[f"CRPIX{axis}"], table.header[f"CDELT{axis}"] = 128.5, 0.01
            hdus.writeto(path)
        if all_tiles:
            with fits.open(path, disable_image_compression=True) as hdus:
                start, size = hdus[1].fileinfo()["datLoc"], hdus[1].header["PCOUNT"]
            whole = bytearray(path.read_bytes())
            noise = np.random.default_rng(5).integers(0, 256, size, np.uint8).tobytes()
            rows = hdus[1].header["NAXIS1"] * hdus[1].header["NAXIS2"]
            whole[start + rows : start + rows + size] = noise
            path.write_bytes(whole)
        return path

    return make


def test_damaged_compressed_tiles_are_missing(connect: Any, rice: Callable[..., Path]) -> None:
    api = connect(open_atlas([rice(all_tiles=False)]))
    check_layer(api, "rice")
    assert 0 < strict(api.get("/api/layers/rice/histogram").text)["n_valid"] < 256 * 256


def test_an_image_without_one_sound_tile_is_rejected(
    connect: Any, rice: Callable[..., Path]
) -> None:
    api = connect(open_atlas([rice(all_tiles=True)]))
    (line,) = strict(api.get("/api/layers").text)
    assert line["state"] == "rejected"
    assert line["reason"].startswith("rice.fits.fz, HDU 1")
    for path in ("/tiles/{}/sky/0/1/0.f4", "/api/layers/{}/histogram"):
        reply = api.get(path.format(line["id"]))
        assert reply.status_code == 404
        assert "rice.fits.fz, HDU 1" in strict(reply.text)["detail"]


@contextmanager
def opened(files: list[Path], folder: Path) -> Iterator[tuple[int, str, Path]]:
    """Run ``skyshade open`` on `files`; give its id, address and all that it says."""
    said, command = folder / "said.txt", str(Path(sys.executable).with_name("skyshade"))
    with said.open("w") as out:
        whole = [command, "open", *map(str, files), "--no-browser", "--port", "0"]
        process = subprocess.Popen(whole, stdout=out, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 120
        while not (found := re.search(r"Skyshade is ready at (\S+)", said.read_text())):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(0.1)
        yield process.pid, found[1], said
    finally:
        process.terminate()
        process.wait(30)


def test_all_at_once_in_a_real_process(shared_data: Path, tmp_path: Path) -> None:
    files = [shared_data / "bad" / name for name in BAD]
    with opened(files, tmp_path) as (pid, url, said), httpx.Client(base_url=url, timeout=60) as api:
        for line in strict(api.get("/api/layers").text):
            if line["state"] != "rejected":
                check_layer(api, line["id"])
        check_tile(api.get(f"/tiles/{CONTROL}/sky/0/0/0.png"), "png")
        page = api.get("/")
        assert page.status_code == 200
        assert "<img src=x" not in page.text
        status = Path(f"/proc/{pid}/status")
        if status.exists():
            peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            assert peak
            assert int(peak[1]) / 1024 < MEGABYTES
        words = said.read_text()
    assert "Traceback" not in words
    refused = [name for name in BAD if BAD[name] not in ("image", "table")]
    warnings = [line for line in words.splitlines() if line.startswith("Warning: ")]
    for name in refused:
        mine = [line for line in warnings if line.startswith(f"Warning: {name}")]
        assert len(mine) == 1, (name, mine)
    assert len(warnings) == len(refused)
