"""Polarised intensity and angle of two layers of Stokes parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.frames import to_icrs
from skyshade.layers.derived import DerivedLayer, worst
from skyshade.types import (
    Aggregate,
    AnyArray,
    FloatArray,
    Layer,
    LayerInfo,
    Style,
    Window,
)

KINDS = ("intensity", "angle")
CONVENTIONS = ("IAU", "COSMO")


class PolarisationLayer(DerivedLayer):
    """Polarised intensity sqrt(Q**2 + U**2), or the angle of polarisation.

    The angle is 0.5 atan2(U, Q), 0 to 180 degrees from north through east (IAU), turned from the
    map's frame to ICRS position by position. Both come from the mean Q and U of a displayed pixel.

    Parameters
    ----------
    q, u : Layer
        Stokes Q and U in one frame.
    kind : {"intensity", "angle"}
    id : str, optional
        Name in URLs; "" makes one.
    convention : {"IAU", "COSMO"}, optional
        Sense of U: COSMO angles grow from north through west, which turns the sign of U. None
        follows the map's POLCCONV; without that card HEALPix maps are COSMO (as HEALPix software
        writes them) and all others IAU (the FITS standard).

    Raises
    ------
    InputError
        A value is not allowed, or Q and U are of two frames.
    """

    def __init__(
        self,
        q: Layer,
        u: Layer,
        kind: str = "intensity",
        *,
        id: str = "",
        convention: str | None = None,
    ) -> None:
        if kind not in KINDS:
            raise UnknownNameError("kind of polarisation", kind, KINDS)
        if q.info.frame != u.info.frame:
            msg = (
                f"Q and U must have one frame: {q.info.id!r} is {q.info.frame} and "
                f"{u.info.id!r} is {u.info.frame}"
            )
            raise InputError(msg)
        self.kind = cast("Literal['intensity', 'angle']", kind)
        self.convention = convention_of(q) if convention is None else _checked(convention)
        super().__init__([q, u], _info(q.info, kind, id), f"{kind}|{self.convention}")

    def _compute(self, window: Window) -> Aggregate:
        made = [part.compute(window) for part in self.parts]
        for one in made:
            if one.values.ndim != 2:
                msg = f"layer {self.id!r} needs plain numbers, not axes {', '.join(one.dims)}"
                raise InputError(msg)
        q, u = (one.values for one in made)
        values = np.hypot(q, u) if self.kind == "intensity" else self._angles(q, u, window)
        return Aggregate(values.astype(np.float32), self.info.units, "", worst(made))

    def _angles(self, q: AnyArray, u: AnyArray, window: Window) -> AnyArray:
        shown = np.isfinite(q) & np.isfinite(u)
        values = np.full(q.shape, np.nan, np.float32)
        if shown.any():
            rows = window.row + np.arange(window.height)[:, None] + 0.5
            cols = window.col + np.arange(window.width) + 0.5
            ra, dec = np.broadcast_arrays(*window.grid.sky(window.z, cols, rows))
            values[shown] = self._angle(q[shown], u[shown], ra[shown], dec[shown])
        return values

    def _angle(self, q: AnyArray, u: AnyArray, ra: FloatArray, dec: FloatArray) -> FloatArray:
        sign = -1.0 if self.convention == "COSMO" else 1.0
        own = np.degrees(0.5 * np.arctan2(sign * u, q, dtype=np.float64))
        turned = np.mod(own + north_angle(ra, dec, self.parts[0].info.frame), 180.0)
        return np.where(turned.astype(np.float32) >= 180.0, 0.0, turned)

    def value(self, ra: float, dec: float) -> float | None:
        """Return the intensity or angle of the map's own pixel at an ICRS position in degrees."""
        q, u = (part.value(ra, dec) for part in self.parts)
        if q is None or u is None:
            return None
        if self.kind == "intensity":
            return math.hypot(q, u)
        return float(self._angle(*(np.array([v]) for v in (q, u, ra, dec)))[0])


def _info(info: LayerInfo, kind: str, id: str) -> LayerInfo:
    words = {"intensity": "polarised intensity", "angle": "angle of polarisation"}[kind]
    angle = kind == "angle"
    return replace(
        info,
        id=id or f"{info.id}-{'angle' if angle else 'intensity'}",
        title=f"{info.title.removesuffix(' Q')} {words}",
        kind="map",
        units="deg" if angle else info.units,
        quantity=words,
        style=Style(cmap="twilight", vmin=0.0, vmax=180.0) if angle else Style(cmap="inferno"),
        planes=(),
    )


def convention_of(layer: Layer) -> Literal["IAU", "COSMO"]:
    """Return the convention of a layer's U: its POLCCONV, else the usual one of its kind."""
    image = getattr(layer, "image", None)
    given = str(image.attrs.get("POLCCONV", "")).strip().upper() if image is not None else ""
    if given in CONVENTIONS:
        return cast("Literal['IAU', 'COSMO']", given)
    return "COSMO" if layer.info.kind == "healpix" else "IAU"


def _checked(convention: str) -> Literal["IAU", "COSMO"]:
    if convention not in CONVENTIONS:
        raise UnknownNameError("polarisation convention", convention, CONVENTIONS)
    return cast("Literal['IAU', 'COSMO']", convention)


def north_angle(ra: AnyArray, dec: AnyArray, frame: str) -> FloatArray:
    """Return the position angle of a frame's north at ICRS positions, degrees through east.

    That of the great circle to the frame's pole at (a, d): tan p = cos d sin(a - ra) /
    (sin d cos dec - cos d sin dec cos(a - ra)), the four-part formula of spherical trigonometry
    (e.g. Smart 1977, Textbook on Spherical Astronomy, section 1.8; ERFA's ``pas``). Add it to an
    angle that was counted from the frame's north.
    """
    ra, dec = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
    if frame == "icrs":
        return np.zeros(np.broadcast_shapes(ra.shape, dec.shape))
    pole = to_icrs(np.array([0.0]), np.array([90.0]), frame)
    a, d = (np.radians(float(v[0])) for v in pole)
    away, up = a - np.radians(ra), np.radians(dec)
    east = np.cos(d) * np.sin(away)
    north = np.sin(d) * np.cos(up) - np.cos(d) * np.sin(up) * np.cos(away)
    found: FloatArray = np.degrees(np.arctan2(east, north))
    return found


def stokes_of(layer: Any) -> tuple[Layer, Layer]:
    """Return the layers of a map's planes Q and U.

    Raises
    ------
    InputError
        It has none; the message names those that it has.
    """
    planes: Sequence[str] = layer.info.planes
    found = [_plane(planes, letter) for letter in "QU"]
    if "" in found:
        have = ", ".join(planes) or "no planes"
        msg = f"layer {layer.info.id!r} has no Stokes Q and U: it has {have}"
        raise InputError(msg)
    return layer.select(plane=found[0]), layer.select(plane=found[1])


def _plane(planes: Sequence[str], letter: str) -> str:
    """Return the plane called Q (or ``Q_POLARISATION``, ``Q-STOKES``, ``STOKES Q`` ...)."""
    plain = [plane.upper().removeprefix("STOKES").strip() for plane in planes]
    firsts = [name.replace("-", "_").partition("_")[0] for name in plain]
    for names in (plain, firsts):
        if letter in names:
            return planes[names.index(letter)]
    return ""
