"""Statistics of the pixels in a circle on the sky."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from skyshade.errors import UnknownNameError
from skyshade.layers.analysis_numbers import Moments, valid_mask
from skyshade.layers.analysis_regions import Cone
from skyshade.types import AnyArray, FloatArray

Weight = Literal["pixel", "area"]
WEIGHTS: tuple[str, ...] = get_args(Weight)
PIXELS = 1 << 28  # of one aperture


@dataclass(frozen=True, slots=True)
class Aperture:
    """What the pixels of a map have whose centres lie in a circle.

    Parameters
    ----------
    ra, dec, radius : float
        ICRS degrees.
    weight : {"pixel", "area"}
        Whether mean and std weight pixels alike or by their solid angle.
    n : int
        Pixels with a value.
    missing : int
        Pixels without one.
    mean, std, minimum, maximum, sum : float or None
        None where n is 0. `std` is that of the population; `sum` is the plain sum of the values.
    area : float
        Solid angle of the pixels with a value, square degrees.
    coverage : float
        `area` as a part of the circle's, at most 1.
    units, version : str
        Of the layer.
    """

    ra: float
    dec: float
    radius: float
    weight: Weight
    n: int
    missing: int
    mean: float | None
    std: float | None
    minimum: float | None
    maximum: float | None
    sum: float | None
    area: float
    coverage: float
    units: str = ""
    version: str = ""


def weight_named(name: str) -> Weight:
    """Return a kind of weight; raise UnknownNameError with the known ones."""
    if name == "pixel":
        return "pixel"
    if name == "area":
        return "area"
    raise UnknownNameError("weight", name, WEIGHTS)


def aperture_of(
    cone: Cone,
    weight: Weight,
    parts: Iterable[tuple[AnyArray, AnyArray, FloatArray]],
    units: str = "",
    version: str = "",
) -> Aperture:
    """Return the statistics of all `parts`.

    Parameters
    ----------
    cone : Cone
    weight : {"pixel", "area"}
    parts : iterable of (values, mask, areas)
        Arrays of one shape, `areas` (square degrees) broadcast to it; the mask says which pixels
        lie in the circle.
    """
    moments, area, inside = Moments(), 0.0, 0
    for values, mask, areas in parts:
        inside += int(np.count_nonzero(mask))
        good = mask & valid_mask(values)
        each = np.broadcast_to(areas, values.shape)[good]
        area += float(each.sum())
        moments.add(values[good].astype(np.float64), each if weight == "area" else None)
    some = moments.n > 0
    return Aperture(
        *(cone.ra, cone.dec, cone.radius, weight),
        n=moments.n,
        missing=inside - moments.n,
        mean=moments.mean if some else None,
        std=moments.std if some else None,
        minimum=moments.minimum if some else None,
        maximum=moments.maximum if some else None,
        sum=moments.total if some else None,
        area=area,
        coverage=min(1.0, area / cone.area),
        units=units,
        version=version,
    )
