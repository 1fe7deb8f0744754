"""Energy bands of a cube, from the table that gamma-ray and X-ray files hold beside it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from skyshade.errors import SkyshadeError
from skyshade.loaders.axis_values import names_of, ranges_of
from skyshade.loaders.fits_headers import Hdu, text
from skyshade.loaders.fits_tables import FitsColumns
from skyshade.storage import ByteFile
from skyshade.types import AnyArray

log = logging.getLogger("skyshade")

_TABLES = ("ENERGIES", "EBOUNDS")  # of Fermi and gammapy; of OGIP
_LIMIT = 65_536  # bands


def energy_bands(file: ByteFile, hdus: Sequence[Hdu]) -> list[str]:
    """Return names of the energies or energy ranges in the first such table, none without one.

    Energies without a unit are MeV in files of GLAST (Fermi), otherwise plain numbers.
    """
    lengths = {n for hdu in hdus if hdu.kind == "IMAGE" for n in hdu.axes[2:]}
    for hdu in hdus:
        rows = hdu.axes[1] if hdu.kind == "BINTABLE" and len(hdu.axes) == 2 else 0
        if hdu.extname.upper() not in _TABLES or rows not in lengths or rows > _LIMIT:
            continue
        try:
            return _read(file, hdu, hdus[0])
        except (SkyshadeError, ValueError, TypeError, ArithmeticError, LookupError):
            log.debug("%s, %s is not read; bands are numbered", file.name, hdu.part, exc_info=True)
    return []


def _read(file: ByteFile, hdu: Hdu, first: Hdu) -> list[str]:
    table = FitsColumns(file, hdu)
    known = {name.upper(): name for name in table.names}
    if "E_MIN" in known and "E_MAX" in known:
        low, high = known["E_MIN"], known["E_MAX"]
        found = table.read([low, high])
        unit = table.units.get(low, "")
        return ranges_of(_checked(found[low]), _checked(found[high]), unit)
    column = known["ENERGY"] if "ENERGY" in known else table.names[0]
    unit = table.units.get(column, "")
    if not unit and "GLAST" in (text(first.header, "TELESCOP"), text(hdu.header, "TELESCOP")):
        unit = "MeV"
    return names_of(_checked(table.read([column])[column]), unit)


def _checked(values: AnyArray) -> list[float]:
    numbers = values.astype(float)
    if not np.all(np.isfinite(numbers)):
        message = "energies that are not finite"
        raise ValueError(message)
    return [float(v) for v in numbers]
