"""The WCS of a part of a map."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.geometry.frames import to_icrs
from skyshade.geometry.wcs import CYLINDRICAL, PixelMap, projection_of, separation
from skyshade.types import AnyArray

_AGREES = 1e-3  # of a pixel
_TRIED = 9
TABLES = "cpdis1", "cpdis2", "det2im1", "det2im2"  # lookup tables of an astropy WCS


def part_wcs(wcs: Any, pixels: PixelMap, y0: int, x0: int, shape: tuple[int, int]) -> Any:
    """Return the WCS of the rectangle whose first pixel is (x0, y0) of the map.

    The reference pixel moves, and with it the origins of SIP polynomials and lookup tables. wcslib
    knows native longitudes of -180 to 180 degrees only: a rectangle that leaves them (across the
    seam of a cylindrical map) takes another reference longitude, a whole number of pixels away.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Of the map.
    pixels : PixelMap
        Of the map.
    y0, x0 : int
        x0 may lie before the first column, or the rectangle beyond the last, of a map that goes
        round the sky.
    shape : (int, int)
        (ny, nx) of the rectangle.

    Returns
    -------
    astropy.wcs.WCS
        A copy.
    """
    made = wcs.deepcopy()
    shift = np.array([x0, y0], np.float64)
    made.wcs.crpix = np.asarray(made.wcs.crpix) - shift
    _shift_distortions(made, shift)
    made.wcs.set()
    made.pixel_shape = shape[1], shape[0]
    if pixels.projection in CYLINDRICAL and not made.has_distortion:
        for whole in (True, False):
            if _agrees(made, pixels, y0, x0, shape):
                break
            moved = _moved(made, shape, whole)
            made = moved if whole or _agrees(moved, pixels, y0, x0, shape) else made
    return made


def exact_header(wcs: Any) -> Any:
    """Return the FITS header of a WCS, distortions included, with all digits of its numbers."""
    header, prm = wcs.to_header(relax=True), wcs.wcs
    exact = {f"CRPIX{i + 1}": prm.crpix[i] for i in (0, 1)}
    exact |= {f"CRVAL{i + 1}": prm.crval[i] for i in (0, 1)}
    exact |= {f"CDELT{i + 1}": prm.get_cdelt()[i] for i in (0, 1)}
    exact |= {f"PC{i + 1}_{j + 1}": prm.get_pc()[i, j] for i in (0, 1) for j in (0, 1)}
    for key, value in exact.items():  # to_header writes twelve digits
        if key in header and np.isclose(header[key], value, rtol=1e-9, atol=0.0):
            header[key] = float(value)
    return header


def _shift_distortions(wcs: Any, shift: AnyArray) -> None:
    from astropy.wcs import DistortionLookupTable, Sip  # noqa: PLC0415 (few maps have any)

    if wcs.sip is not None:
        old = wcs.sip
        wcs.sip = Sip(old.a, old.b, old.ap, old.bp, np.asarray(old.crpix) - shift)
    for name in TABLES:
        table = getattr(wcs, name)
        if table is not None:
            at = tuple(np.asarray(table.crval) - shift)
            setattr(wcs, name, DistortionLookupTable(table.data, table.crpix, at, table.cdelt))


def _turn_of(wcs: Any) -> AnyArray:
    """Return the pixels (x, y) from a place to itself, one turn of native longitude on."""
    stretch = 1.0
    if projection_of(wcs) == "CYP":  # x = lambda * longitude, lambda is PVi_2
        stretch = next((v for _, m, v in wcs.wcs.get_pv() if m == 2), 1.0)
    matrix = np.asarray(wcs.wcs.get_cdelt())[:, None] * np.asarray(wcs.wcs.get_pc())
    goal = np.zeros(2)
    goal[wcs.wcs.lng] = 360.0 * stretch
    turn: AnyArray = np.linalg.solve(matrix, goal)
    return turn


def _moved(wcs: Any, shape: tuple[int, int], whole: bool) -> Any:
    """Return the WCS with its reference point moved along its native equator to the middle.

    By whole turns, which leaves CRVAL; else by whole pixels of the longer way.
    """
    made, turn = wcs.deepcopy(), _turn_of(wcs)
    crpix, middle = np.array(made.wcs.crpix), (np.array(shape[::-1]) + 1.0) / 2.0
    part = float((middle - crpix) @ turn / (turn @ turn))
    steps = 1.0 if whole else float(np.abs(turn).max())
    part = round(part * steps) / steps
    made.wcs.crpix = crpix + part * turn
    if not whole:
        _turn_reference(made, wcs, crpix + part * turn, 360.0 * part)
    made.wcs.set()
    return made


def _turn_reference(made: Any, wcs: Any, place: AnyArray, degrees: float) -> None:
    """Give `made` the reference position that `wcs` has so far along its native equator."""
    crval = np.array(wcs.wcs.crval)
    if crval[wcs.wcs.lat] == 0.0:  # the native equator is the frame's
        crval[wcs.wcs.lng] = (crval[wcs.wcs.lng] + degrees) % 360.0
    else:  # the native longitude of the frame's pole turns the other way; the pole stays
        crval = np.asarray(wcs.wcs.p2s(place[None, :], 1)["world"][0], np.float64)
        made.wcs.lonpole, made.wcs.latpole = wcs.wcs.lonpole - degrees, wcs.wcs.latpole
    made.wcs.crval = crval


def _agrees(wcs: Any, pixels: PixelMap, y0: int, x0: int, shape: tuple[int, int]) -> bool:
    """Return whether both lead pixels to the same places, as astropy sees the new one."""
    x, y = np.meshgrid(*(np.unique(np.linspace(0, n - 1, _TRIED)) for n in shape[::-1]))
    true = pixels.pixel_to_sky(x + x0, y + y0)
    world = wcs.all_pix2world(x, y, 0)
    found = to_icrs(world[wcs.wcs.lng], world[wcs.wcs.lat], pixels.frame)
    shown = np.isfinite(true[0])
    away = separation(*(part[shown] for part in (*true, *found)))
    return bool(np.all(away < _AGREES * pixels.resolution))
