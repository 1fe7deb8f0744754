"""Maps that bench_maps.py measures: made once, in the cache folder, and used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench_tools import card, smooth_field

STRIP = 208  # rows written at a time
TAN_SIDE, ZEA_SIDE = 8192, 8192
SMALL_FILES, SMALL_SIDE = 1000, 64


def made(path: Path, write: Callable[[Any], None]) -> Path:
    """Return `path`, written by ``write(file)`` unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as out:
            write(out)
            out.write(bytes(-out.tell() % 2880))
        part.rename(path)
    return path


def image_header(cards: dict[str, object]) -> bytes:
    """Return the header of a float32 image, padded to whole blocks."""
    text = b"".join(card(*one) for one in {"SIMPLE": True, "BITPIX": -32, **cards}.items())
    text += b"END".ljust(80)
    return text.ljust(-(-len(text) // 2880) * 2880)


def car_cards(nx: int, ny: int, step: float) -> dict[str, object]:
    """Return the cards of a plate carree map about RA 0, Dec 0; `step` in degrees."""
    return {
        "NAXIS": 2, "NAXIS1": nx, "NAXIS2": ny,
        "CTYPE1": "RA---CAR", "CUNIT1": "deg",
        "CRPIX1": nx / 2 + 1.0, "CDELT1": -step, "CRVAL1": 0.0,
        "CTYPE2": "DEC--CAR", "CUNIT2": "deg",
        "CRPIX2": ny / 2 + 0.5, "CDELT2": step, "CRVAL2": 0.0,
        "RADESYS": "ICRS", "BUNIT": "uK",
    }  # fmt: skip


def zenithal_cards(code: str, side: int, step: float) -> dict[str, object]:
    """Return the cards of a square zenithal map about RA 40, Dec 20."""
    return {
        **car_cards(side, side, step),
        "CTYPE1": f"RA---{code}", "CRPIX1": side / 2 + 0.5, "CRVAL1": 40.0,
        "CTYPE2": f"DEC--{code}", "CRVAL2": 20.0,
    }  # fmt: skip


def strips(nx: int, ny: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield first row and values of strips: a smooth field, enlarged eight times, with noise."""
    rng = np.random.default_rng(seed)
    coarse = 100 * smooth_field(ny // 8 + 2, nx // 8 + 2, seed)
    noise = 3 * rng.standard_normal((STRIP, nx + 997), dtype=np.float32)
    x = np.arange(nx) / 8
    left, part_x = x.astype(int), (x % 1).astype(np.float32)
    for start in range(0, ny, STRIP):
        y = np.arange(start, min(start + STRIP, ny)) / 8
        low, part_y = y.astype(int), (y % 1).astype(np.float32)[:, None]
        rows = coarse[low] * (1 - part_y) + coarse[low + 1] * part_y
        values = rows[:, left] * (1 - part_x) + rows[:, left + 1] * part_x
        shift = int(rng.integers(997))
        yield start, values + noise[: len(y), shift : shift + nx]


def write_map(out: Any, cards: dict[str, object], *, border: bool = False, seed: int = 1) -> None:
    """Write a map; with a border, a twentieth on every side is NaN, its inner edge wavy."""
    nx, ny = int(str(cards["NAXIS1"])), int(str(cards["NAXIS2"]))
    out.write(image_header(cards))
    columns = np.arange(nx)
    ripple = 40 * np.sin(columns / 150)
    inside_x = (columns > nx / 20) & (columns < nx * 19 / 20)
    for start, values in strips(nx, ny, seed):
        if border:
            rows = start + np.arange(len(values))[:, None]
            inside = (rows + ripple > ny / 20) & (rows + ripple < ny * 19 / 20) & inside_x
            values[~inside] = np.nan
        out.write(values.astype(">f4").tobytes())


def bordered_map(folder: Path) -> Path:
    """Return a plate carree map of 0.9 GB with NaN borders."""
    cards = car_cards(21600, 10400, 1 / 60)
    return made(folder / "bench_border.fits", lambda out: write_map(out, cards, border=True))


def large_map(folder: Path) -> Path:
    """Return a plate carree map of 1.8 GB."""
    cards = car_cards(43200, 10400, 1 / 120)
    return made(folder / "bench_large.fits", lambda out: write_map(out, cards, seed=2))


def tan_map(folder: Path) -> Path:
    """Return a TAN map of 9 degrees, 4 arcseconds a pixel: 268 MB."""
    cards = zenithal_cards("TAN", TAN_SIDE, 4 / 3600)
    return made(folder / "bench_tan.fits", lambda out: write_map(out, cards, seed=3))


def zea_map(folder: Path) -> Path:
    """Return a ZEA map of 137 degrees, one arcminute a pixel: 268 MB."""
    cards = zenithal_cards("ZEA", ZEA_SIDE, 1 / 60)
    return made(folder / "bench_zea.fits", lambda out: write_map(out, cards, seed=4))


def healpix_map(folder: Path, nside: int = 2048) -> Path:
    """Return a Galactic RING map of 50 million pixels: 201 MB."""
    return made(folder / f"bench_healpix_{nside}.fits", lambda out: _write_healpix(out, nside))


def _write_healpix(out: Any, nside: int) -> None:
    from astropy.io import fits

    pixels = 12 * nside**2
    noise = np.random.default_rng(5).standard_normal(pixels, dtype=np.float32)
    values = 100 * np.sin(np.arange(pixels) / pixels * 60).astype(np.float32) + 3 * noise
    column = fits.Column("TEMPERATURE", "1024E", unit="uK", array=values.reshape(-1, 1024))
    table = fits.BinTableHDU.from_columns([column])
    table.header.update(
        PIXTYPE="HEALPIX", ORDERING="RING", NSIDE=nside, COORDSYS="G", INDXSCHM="IMPLICIT",
        FIRSTPIX=0, LASTPIX=pixels - 1,
    )  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(out)


def small_files(folder: Path, count: int = SMALL_FILES) -> Path:
    """Return a folder of `count` small TAN images that cover part of the sky side by side."""
    home = folder / f"bench_small_{count}"
    home.mkdir(parents=True, exist_ok=True)
    values = (100 * smooth_field(SMALL_SIDE, SMALL_SIDE, 6)).astype(">f4").tobytes()
    for number in range(count):
        row, column = divmod(number, 40)
        place = {"CRVAL1": column * 1.2, "CRVAL2": row * 1.2 - 15, "OBJECT": f"field {number}"}
        cards = zenithal_cards("TAN", SMALL_SIDE, 1 / 60) | place
        path = home / f"field_{number:04d}.fits"
        made(path, lambda out, cards=cards: (out.write(image_header(cards)), out.write(values)))
    return home
