"""The four files that are damaged, and how: everything follows from the seed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from astropy.io import fits

SHARED = {
    "rice": "real/fz/m13_rice.fits",
    "healpix": "real/healpix/wmap_band_iqumap_r9_7yr_W_v4_udgraded32.fits",
}
KINDS = ("car", "int16", *SHARED)
_HEADER = b"0123456789.-+E'/ TF=ABCDNX"  # what cards are made of


def write_originals(folder: Path, shared: Path) -> None:
    """Write the sound files into `folder`."""
    rng = np.random.default_rng(7)
    ripple = rng.normal(size=(64, 128)).astype(np.float32)
    ripple[:8, :20] = np.nan
    (folder / "car").write_bytes(_fits(ripple, BUNIT="uK", LONPOLE=0.0, EQUINOX=2000.0))
    counts = rng.integers(-3000, 3000, (64, 128)).astype(np.int16)
    counts[5] = -32768
    scaled = {"BSCALE": 0.25, "BZERO": 100.0, "BLANK": -32768}
    (folder / "int16").write_bytes(_fits(counts, **scaled))
    for kind, name in SHARED.items():
        (folder / kind).write_bytes((shared / name).read_bytes())


def _fits(data: np.ndarray, **cards: float | str) -> bytes:
    ny, nx = data.shape
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---CAR", "DEC--CAR"
    header["CRPIX1"], header["CRPIX2"] = nx / 2 + 0.5, ny / 2 + 0.5
    header["CRVAL1"], header["CRVAL2"] = 83.5, 0.0
    header["CDELT1"], header["CDELT2"] = -0.5, 0.5
    head = fits.PrimaryHDU(data, header).header
    head.update(cards)  # after the data: astropy would scale them
    raw = data.astype(data.dtype.newbyteorder(">")).tobytes()
    return head.tostring().encode("ascii") + raw + bytes(-len(raw) % 2880)


def damaged(original: bytes, seed: int) -> bytes:
    """Return a copy with some bytes changed, in headers, in the data or in both."""
    rng = np.random.default_rng(seed)
    raw = np.frombuffer(original, np.uint8).copy()
    head = _header_places(original)
    way = seed // len(KINDS) % 4
    if way in (0, 3):  # what a card may hold, where something stands
        written = head[(raw[head] != ord(" "))]
        places = rng.choice(written, rng.integers(1, 5))
        raw[places] = rng.choice(np.frombuffer(_HEADER, np.uint8), places.size)
    if way == 1:  # any byte of a header
        places = rng.choice(head, rng.integers(1, 5))
        raw[places] = rng.integers(0, 256, places.size)
    if way in (2, 3):  # any byte of the data
        data = np.setdiff1d(np.arange(raw.size), head, assume_unique=True)
        places = rng.choice(data, rng.integers(1, 65))
        raw[places] ^= rng.integers(1, 256, places.size).astype(np.uint8)
    return raw.tobytes()


def _header_places(original: bytes) -> np.ndarray:
    """Return the positions of all header bytes of a sound file."""
    with fits.open(io.BytesIO(original), disable_image_compression=True) as hdus:
        spans = [(h.fileinfo()["hdrLoc"], h.fileinfo()["datLoc"]) for h in hdus]
    return np.concatenate([np.arange(*span) for span in spans])
