"""Solid angles of the pixels of a map."""

from __future__ import annotations

import numpy as np

from skyshade.geometry.wcs import PixelMap
from skyshade.layers.analysis_pieces import Piece
from skyshade.types import AnyArray, FloatArray

SQUARE_DEGREES = float(np.degrees(1.0) ** 2)  # in a steradian
EQUAL_AREA = frozenset({"ZEA", "SFL", "PAR", "MOL", "AIT", "COE", "BON", "QSC", "HPX", "XPH"})
_SHRUNK = (0.5, 0.05, 0.005)  # half sides tried, where corners of whole pixels are off the sky


def pixel_areas(pixels: PixelMap, piece: Piece, distorted: bool = False) -> FloatArray:
    """Return the solid angles of a piece's pixels in square degrees.

    Where x is native longitude (unrotated cylindrical projections, whatever their frame) a pixel is
    a box of native longitude and latitude: dlon (sin lat1 - sin lat2), exactly; for CAR that is
    cos(lat) dlon dlat to first order. In the other equal-area projections of FITS WCS paper II all
    pixels are alike. Everywhere else it is the spherical quadrilateral of its corners: two
    triangles of Van Oosterom & Strackee 1983 (IEEE Trans. Biomed. Eng. 30, 125, eq. 8).

    Parameters
    ----------
    pixels : PixelMap
    piece : Piece
    distorted : bool
        Whether SIP or lookup tables come on top of the projection.

    Returns
    -------
    ndarray of float64
        Shape (rows, columns), or (rows, 1) or (1, 1) where columns or all pixels are alike. NaN off
        the sky; parts of pixels beyond a pole of a cylindrical projection do not count.
    """
    if pixels.period:
        return _bands(pixels, piece.y0, piece.y1)[:, None]
    if pixels.projection in EQUAL_AREA and not distorted:
        return np.full((1, 1), _constant(pixels) * SQUARE_DEGREES)
    x, y = np.arange(piece.x0, piece.x1), np.arange(piece.y0, piece.y1)
    areas = _quads(_corners(pixels, x, y))
    lost = np.isnan(areas)
    if lost.any():
        rows, cols = np.nonzero(lost)
        areas[lost] = _shrunk(pixels, x[cols], y[rows])
    return areas * SQUARE_DEGREES


def _constant(pixels: PixelMap) -> float:
    """Return the solid angle of any pixel, in steradians, from small squares here and there."""
    ny, nx = pixels.shape
    x, y = np.meshgrid(np.linspace(0, nx - 1, 17), np.linspace(0, ny - 1, 17))
    return float(np.nanmedian(_squares(pixels, x.ravel(), y.ravel(), _SHRUNK[1])))


def _bands(pixels: PixelMap, y0: int, y1: int) -> FloatArray:
    """Return the solid angle of a pixel of each row, in square degrees.

    Three points a third of a turn apart on one native parallel have the mean sin(lat) times the
    native pole, whatever frame and projection say.
    """
    rows = np.arange(y0 - 0.5, y1 + 0.5)
    around: FloatArray = np.arange(3.0) * (pixels.period / 3.0)
    axis = _axis(pixels, around)
    edges, middles = (_heights(pixels, around, axis, at) for at in (rows, rows[:-1] + 0.5))
    beyond = np.isnan(edges)  # over the pole: the band ends there
    low = np.where(beyond[:-1], np.copysign(1.0, middles), edges[:-1])
    high = np.where(beyond[1:], np.copysign(1.0, middles), edges[1:])
    areas = np.abs(high - low) * (2.0 * np.pi / pixels.period) * SQUARE_DEGREES
    return np.where(np.isnan(middles), np.nan, areas)


def _axis(pixels: PixelMap, around: FloatArray) -> FloatArray:
    """Return the native pole: what the plane of a parallel stands upright on."""
    rows = np.linspace(0.0, pixels.shape[0] - 1.0, 9)
    a, b, c = np.moveaxis(_vectors(pixels, around, rows[:, None]), 1, 0)
    upright = np.cross(b - a, c - a)
    length = np.linalg.norm(upright, axis=1)
    best = int(np.nanargmax(length))  # the widest parallel
    axis: FloatArray = upright[best] / length[best]
    return axis


def _heights(pixels: PixelMap, around: FloatArray, axis: FloatArray, rows: AnyArray) -> FloatArray:
    found: FloatArray = _vectors(pixels, around, rows[:, None]).mean(axis=1) @ axis
    return found


def _corners(pixels: PixelMap, x: AnyArray, y: AnyArray) -> FloatArray:
    """Return unit vectors at the corners of pixels: shape (4, rows, columns, 3), in turn."""
    along, up = (np.append(part - 0.5, part[-1] + 0.5) for part in (x, y))
    nodes = _vectors(pixels, along, up[:, None])
    return np.stack([nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, 1:], nodes[1:, :-1]])


def _shrunk(pixels: PixelMap, x: AnyArray, y: AnyArray) -> FloatArray:
    """Return solid angles in steradians of pixels at the edge of the sky, from smaller ones."""
    found = np.full(x.shape, np.nan)
    for half in _SHRUNK:
        left = np.flatnonzero(np.isnan(found))
        found[left] = _squares(pixels, x[left], y[left], half)
    on_sky = np.isfinite(pixels.pixel_to_sky(x, y)[0])
    nominal = np.radians(pixels.resolution) ** 2
    return np.where(np.isnan(found) & on_sky, nominal, found)


def _squares(pixels: PixelMap, x: FloatArray, y: FloatArray, half: float) -> FloatArray:
    """Return solid angles for a whole pixel from squares of half a side `half`."""
    sides = half * np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]])[:, :, None]
    return _quads(_vectors(pixels, x + sides[0], y + sides[1])) / (2.0 * half) ** 2


def _quads(corners: FloatArray) -> FloatArray:
    """Return the solid angles of quadrilaterals, corners along the first axis, in steradians."""
    a, b, c, d = corners
    return _triangles(a, b, c) + _triangles(a, c, d)


def _triangles(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    """Return the solid angles of triangles; from differences, so that small ones keep digits."""
    up = np.abs((a * np.cross(b - a, c - a)).sum(axis=-1))
    along = 1.0 + (a * b + b * c + c * a).sum(axis=-1)
    found: FloatArray = 2.0 * np.arctan2(up, along)
    return found


def _vectors(pixels: PixelMap, x: AnyArray, y: AnyArray) -> FloatArray:
    ra, dec = pixels.pixel_to_sky(x, y)
    a, d = np.radians(ra), np.radians(dec)
    flat = np.cos(d)
    return np.stack([flat * np.cos(a), flat * np.sin(a), np.sin(d)], axis=-1)
