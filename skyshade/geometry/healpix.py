"""HEALPix: equal-area pixels of the sphere (Gorski et al. 2005, ApJ 622, 759).

Longitudes and latitudes are degrees in the frame of the map; `skyshade.geometry.frames` turns ICRS
positions into it. ``nside`` is a power of two, 1 to `MAX_NSIDE`.
"""

from __future__ import annotations

import math

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry.frames import from_icrs, split_frame
from skyshade.geometry.planes import wrap_ra
from skyshade.kernels.healpix import (
    cells_of,
    find_pixels,
    find_window,
    renumber,
    ring_of,
    to_ring,
)
from skyshade.types import AnyArray, FloatArray, IntArray, Window

MAX_NSIDE = 1 << 29  # pixel numbers fit into 64 bits


def order_of(nside: int) -> int:
    """Return log2 of nside; InputError when nside is not a power of two up to `MAX_NSIDE`."""
    if not 1 <= nside <= MAX_NSIDE or nside & (nside - 1):
        msg = f"nside {nside} is not allowed: a power of two, 1 to {MAX_NSIDE}"
        raise InputError(msg)
    return int(nside).bit_length() - 1


def nside_of(count: int) -> int:
    """Return the nside of a map of `count` pixels; InputError when there is none."""
    nside = math.isqrt(max(count, 0) // 12)
    if nside < 1 or 12 * nside * nside != count or nside & (nside - 1):
        msg = f"{count} pixels are no HEALPix map: allowed are 12 * nside**2, nside a power of two"
        raise InputError(msg)
    return nside


def pixel_area(nside: int) -> float:
    """Return the area of a pixel in square degrees."""
    return math.degrees(math.degrees(4.0 * math.pi / (12 << 2 * order_of(nside))))


def resolution(nside: int) -> float:
    """Return the side of a square of a pixel's area, degrees."""
    return math.sqrt(pixel_area(nside))


def pixel_of(nside: int, lon: AnyArray, lat: AnyArray, nested: bool) -> IntArray:
    """Return the numbers of the pixels that hold positions.

    Parameters
    ----------
    nside : int
    lon, lat : array-like of float
        Degrees, in the frame of the map; broadcast together.
    nested : bool
        NESTED numbers; else RING.

    Returns
    -------
    ndarray of int64
        -1 where a position is not finite or a latitude lies beyond a pole.
    """
    order = order_of(nside)
    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    with np.errstate(invalid="ignore"):
        t = wrap_ra(lon).ravel() / 90.0
        height = np.where(np.abs(lat) <= 90.0, lat, np.nan).ravel()
        z = np.sin(np.radians(height))
        # from the pole's side: the cosine of a latitude near 90 degrees keeps all its digits
        s = np.sin(np.radians(90.0 - np.abs(height)))
    out = np.empty(t.size, np.int64)
    find_pixels(t, z, s, order, bool(nested), out)
    return out.reshape(lon.shape)


def pixel_centres(nside: int, pixels: AnyArray, nested: bool) -> tuple[FloatArray, FloatArray]:
    """Return longitude (0..360) and latitude of pixel centres in degrees, in the map's frame.

    Raises
    ------
    InputError
        A pixel number is not within 0 to 12 nside**2 - 1.
    """
    numbers = _checked(nside, pixels)
    order, nside = order_of(nside), int(nside)
    if nested:
        numbers = to_ring(*cells_of(numbers, order, nested=True), order)
    ring, at, length = ring_of(numbers, order)
    belt = (ring >= nside) & (ring <= 3 * nside)
    shift = np.where(belt, 0.5 * (1 - ((ring - nside) & 1)), 0.5)
    # in the caps 1 - |z| is 2 sin(distance / 2)**2: near a pole that keeps all digits
    cap = 90.0 - np.degrees(2.0 * np.arcsin(length / (nside * math.sqrt(6.0))))
    z = (2 * nside - ring) * (2.0 / (3.0 * nside))
    level = np.degrees(np.arcsin(np.clip(z, -1.0, 1.0)))
    lat = np.where(belt, level, np.copysign(cap, 2 * nside - ring))
    return (at + shift) / length * 90.0, lat


def ring_to_nested(nside: int, pixels: AnyArray) -> IntArray:
    """Return the NESTED numbers of pixels given by RING numbers; InputError when out of range."""
    return _renumbered(nside, pixels, nested=False)


def nested_to_ring(nside: int, pixels: AnyArray) -> IntArray:
    """Return the RING numbers of pixels given by NESTED numbers; InputError when out of range."""
    return _renumbered(nside, pixels, nested=True)


def _renumbered(nside: int, pixels: AnyArray, *, nested: bool) -> IntArray:
    numbers = _checked(nside, pixels)
    flat = np.ascontiguousarray(numbers).ravel()
    out = np.empty(flat.size, np.int64)
    renumber(flat, order_of(nside), nested, out)
    return out.reshape(numbers.shape)


def _checked(nside: int, pixels: AnyArray) -> IntArray:
    numbers = np.asarray(pixels, np.int64)
    last = (12 << 2 * order_of(nside)) - 1
    if numbers.size and not (numbers.min() >= 0 and numbers.max() <= last):
        bad = int(numbers.min()) if numbers.min() < 0 else int(numbers.max())
        msg = f"pixel {bad} is not in a map of nside {nside}: allowed are 0 to {last}"
        raise InputError(msg)
    return numbers


def frame_matrix(frame: str) -> FloatArray:
    """Return the rotation from ICRS to a frame, shape (3, 3).

    Raises
    ------
    UnknownNameError, InputError
        The frame is not known, or is FK4, which is no rotation of ICRS.
    """
    if split_frame(frame)[0] == "fk4":
        msg = f"frame {frame!r} of a HEALPix map is not allowed: FK4 is no rotation of ICRS"
        raise InputError(msg)
    if frame == "icrs":
        return np.eye(3)
    lon, lat = (np.radians(a) for a in from_icrs(np.array([0, 90, 0]), np.array([0, 0, 90]), frame))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def pixels_under(
    window: Window, matrix: FloatArray, order: int, nested: bool, parts: int = 1
) -> IntArray:
    """Return the pixels that hold the centres of a window's pixels.

    Parameters
    ----------
    window : Window
        Of a grid on the sky.
    matrix : ndarray, shape (3, 3)
        From ICRS to the frame of the pixels.
    order : int
        log2 of nside.
    nested : bool
    parts : int
        Positions along each side of a window's pixel.

    Returns
    -------
    ndarray of int64, shape (height * parts, width * parts)
        -1 where the grid shows no sky.
    """
    cols = window.col + (np.arange(window.width * parts) + 0.5) / parts
    rows = window.row + (np.arange(window.height * parts) + 0.5) / parts
    if window.grid.separable and window.grid.periodic:
        ra, dec = window.grid.sky_axes(window.z, cols, rows)
        ra, dec = ra[None, :], dec[:, None]
        beyond = (rows < 0) | (rows > window.grid.lattice_shape(window.z)[0])
        dec = np.where(beyond[:, None], np.nan, dec)
    else:
        ra, dec = window.grid.sky(window.z, cols[None, :], rows[:, None])
    ra, dec = np.radians(ra), np.radians(dec)
    across, along = np.stack([np.cos(ra), np.sin(ra)]), np.stack([np.cos(dec), np.sin(dec)])
    out = np.empty((rows.size, cols.size), np.int64)
    find_window(across, along, matrix, order, bool(nested), out)
    return out
