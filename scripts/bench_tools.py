"""Parts of bench_start.py: the big map, a server as a process with its CPU time, TileMaker."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

NX, NY, PLANES = 21600, 5160, 3  # one arcminute a pixel, Dec -63 to 23: 1.3 GB
ROWS = 215  # written at a time; divides NY
TICK = os.sysconf("SC_CLK_TCK")


def card(key: str, value: object) -> bytes:
    """Return one FITS header card."""
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        text = f"'{value:<8}'"
    else:
        text = f"{value!r:>20}"
    return f"{key:<8}= {text}".ljust(80).encode("ascii")


def header(nx: int, ny: int) -> bytes:
    """Return the header of a plate carree I,Q,U map as CMB map makers write it."""
    step = 360 / nx
    cards: list[tuple[str, object]] = [
        ("SIMPLE", True), ("BITPIX", -32), ("NAXIS", 3),
        ("NAXIS1", nx), ("NAXIS2", ny), ("NAXIS3", PLANES),
        ("CTYPE1", "RA---CAR"), ("CUNIT1", "deg"),
        ("CRPIX1", nx / 2 + 1.0), ("CDELT1", -step), ("CRVAL1", 0.0),
        ("CTYPE2", "DEC--CAR"), ("CUNIT2", "deg"),
        ("CRPIX2", 63 / step + 1.0), ("CDELT2", step), ("CRVAL2", 0.0),
        ("CTYPE3", "STOKES"), ("CRPIX3", 1.0), ("CDELT3", 1.0), ("CRVAL3", 1.0),
        ("RADESYS", "ICRS"), ("BUNIT", "uK"),
    ]  # fmt: skip
    text = b"".join(card(*one) for one in cards) + b"END".ljust(80)
    return text.ljust(-(-len(text) // 2880) * 2880)


def smooth_field(ny: int, nx: int, seed: int) -> np.ndarray:
    """Return a random field whose power falls like the CMB's, standard deviation 1."""
    rng = np.random.default_rng(seed)
    ky, kx = np.fft.fftfreq(ny)[:, None], np.fft.rfftfreq(nx)[None, :]
    k = np.maximum(np.hypot(ky, kx), 1 / nx)
    noise = np.fft.rfft2(rng.standard_normal((ny, nx)))
    field = np.fft.irfft2(noise / k * np.exp(-((k / 0.2) ** 2)), s=(ny, nx))
    return (field / field.std()).astype(np.float32)


def write_plane(out: Any, nx: int, ny: int, plane: int) -> None:
    """Append one plane: the smooth field enlarged eight times, and a little white noise."""
    rng = np.random.default_rng(100 + plane)
    coarse = smooth_field(ny // 8 + 2, nx // 8 + 2, plane) * (100.0, 5.0, 5.0)[plane]
    x = np.arange(nx) / 8
    left, fraction_x = x.astype(int), (x % 1).astype(np.float32)
    for start in range(0, ny, ROWS):
        y = np.arange(start, min(start + ROWS, ny)) / 8
        low, fraction_y = y.astype(int), (y % 1).astype(np.float32)[:, None]
        rows = coarse[low] * (1 - fraction_y) + coarse[low + 1] * fraction_y
        values = rows[:, left] * (1 - fraction_x) + rows[:, left + 1] * fraction_x
        values += 3 * rng.standard_normal(values.shape, dtype=np.float32)
        out.write(values.astype(">f4").tobytes())


def big_map(folder: Path, nx: int = NX, ny: int = NY) -> Path:
    """Return the I,Q,U map of the benchmark, made at the first call."""
    path = folder / f"bench_iqu_{nx}.fits"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as out:
            out.write(header(nx, ny))
            for plane in range(PLANES):
                write_plane(out, nx, ny, plane)
            out.write(bytes(-out.tell() % 2880))
        part.rename(path)
    return path


def warm_page_cache(path: Path) -> None:
    """Read the file once, so that no run waits for the disk."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """A tile server under measurement; `command` may hold ``{port}``."""

    def __init__(self, command: list[str], env: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [part.replace("{port}", str(self.port)) for part in command],
            env={**os.environ, **(env or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body."""
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read()

    def json(self, path: str) -> Any:
        """Return a decoded JSON answer."""
        return json.loads(self.get(path)[2])

    def wait_for(self, path: str, kind: str = "", limit: float = 120.0) -> tuple[float, bytes]:
        """Ask every 5 ms until `path` answers 200 with `kind`; return seconds since exec, body."""
        while time.perf_counter() - self.started < limit:
            with suppress(OSError, http.client.HTTPException):
                status, media, body = self.get(path)
                if status == 200 and media.startswith(kind):
                    return time.perf_counter() - self.started, body
            self.connection.close()
            if self.process.poll() is not None:
                msg = f"{self.process.args} ended with code {self.process.returncode}"
                raise RuntimeError(msg)
            time.sleep(0.005)
        msg = f"no answer at {path} within {limit} s"
        raise RuntimeError(msg)

    def cpu(self) -> float:
        """Return the CPU seconds that the process has used, all threads together."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def wait_idle(self, limit: float = 180.0) -> None:
        """Return when the process has used next to no CPU for two seconds."""
        end, quiet, before = time.monotonic() + limit, 0, self.cpu()
        while quiet < 4 and time.monotonic() < end:
            time.sleep(0.5)
            now = self.cpu()
            quiet = quiet + 1 if now - before <= 0.02 else 0
            before = now

    def cpu_of(self, paths: list[str], kind: str) -> float:
        """Return CPU seconds per request of `paths`, asked one after the other."""
        before = self.cpu()
        for path in paths:
            status, media, _ = self.get(path)
            if status != 200 or not media.startswith(kind):
                msg = f"{path}: {status} {media}"
                raise RuntimeError(msg)
        return (self.cpu() - before) / len(paths)


def tilemaker(folder: Path, given: str | None) -> tuple[str | None, str]:
    """Return TileMaker's command, installed once in an environment of its own, and a remark."""
    if given:
        return given, "as given"
    home = folder / "tilemaker"
    command = home / "bin" / "tilemaker"
    if command.exists():
        return str(command), "installed before"
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "tilemaker"]
    try:
        subprocess.run([python_for_tilemaker(), "-m", "venv", home], check=True, timeout=120)
        subprocess.run(pip, check=True, timeout=900, stdout=sys.stderr)
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"cannot be installed: {error}"
    return str(command), "installed now"


def python_for_tilemaker() -> str:
    """Return Python 3.12, the one that TileMaker is made for, or this one."""
    found = shutil.which("python3.12")
    if (
        found
        and subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode == 0
    ):
        return found
    return sys.executable
