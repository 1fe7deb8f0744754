"""HEALPix maps in memory, for tests of their layers."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy_healpix import healpix_to_lonlat, lonlat_to_healpix

from skyshade.types import SphereImage

FRAMES = {"icrs": "icrs", "galactic": "galactic", "ecliptic": "barycentricmeanecliptic"}


class SphereArray:
    """A `SphereReader` of an array that counts what is read."""

    def __init__(self, values: Any, nested: bool = False, listed: Any = None) -> None:
        self.values, self.nested = np.asarray(values), nested
        self.nside = round((self.values.size / 12) ** 0.5)
        self.dtype = np.dtype(np.float64 if self.values.dtype == np.float64 else np.float32)
        self.listed = listed
        self.mark = "1"
        self.pixels = self.calls = self.most = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def version(self) -> str:
        return self.mark

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.read_runs(np.array([[start, stop]]))

    def read_runs(self, runs: np.ndarray) -> np.ndarray:
        assert (runs[:, 0] >= 0).all()
        assert (runs[:, 1] <= self.values.size).all()
        assert (runs[:, 1] >= runs[:, 0]).all()
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        parts = [self.values[a:b] for a, b in runs]
        found = np.concatenate(parts).astype(self.dtype) if parts else np.empty(0, self.dtype)
        self.calls += 1
        self.pixels += found.size
        self.most = max(self.most, found.size)
        return found


def sphere(values: Any, *, nested: bool = False, frame: str = "icrs", **more: Any) -> SphereImage:
    """Return an image of `values` (float32 unless they are a reader)."""
    if not hasattr(values, "read_runs"):
        values = SphereArray(np.asarray(values, "f4"), nested)
    return SphereImage(reader=values, frame=frame, **{"name": "test", **more})


def ramp(nside: int) -> np.ndarray:
    """Return a map in which every pixel has a value of its own (up to nside 1024)."""
    return np.arange(12 * nside * nside, dtype=np.float32)


def smooth(nside: int, nested: bool, frame: str = "icrs") -> np.ndarray:
    """Return a map that grows evenly with ICRS x and z, by astropy's coordinates."""
    order = "nested" if nested else "ring"
    lon, lat = healpix_to_lonlat(np.arange(12 * nside * nside), nside, order=order)
    place = SkyCoord(lon, lat, frame=FRAMES[frame]).icrs
    ra, dec = place.ra.rad, place.dec.rad
    return (np.cos(dec) * np.cos(ra) + 2 * np.sin(dec)).astype("f4")


def their_pixels(ra: Any, dec: Any, nside: int, nested: bool, frame: str) -> np.ndarray:
    """Return the pixels of ICRS positions as astropy-healpix and astropy's frames have them."""
    place = SkyCoord(np.asarray(ra) * units.deg, np.asarray(dec) * units.deg)
    there = place.transform_to(FRAMES[frame]).spherical
    order = "nested" if nested else "ring"
    return lonlat_to_healpix(there.lon, there.lat, nside, order=order)
