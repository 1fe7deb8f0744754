from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from skyshade.loaders.api import load
from skyshade.types import SkyImage
from tests.loaders.conftest import car_header

MAP = np.arange(20 * 40, dtype=np.float32).reshape(20, 40)


def maps(path: Path, *hdus: tuple[str, np.ndarray, dict[str, Any]]) -> list[list[SkyImage]]:
    made: list[Any] = [fits.PrimaryHDU()]
    for name, data, cards in hdus:
        made.append(fits.ImageHDU(data, car_header(40, 20, **cards), name=name))
    fits.HDUList(made).writeto(path / "w.fits")
    return load(path / "w.fits").images


@pytest.mark.parametrize(
    ("name", "weight"),
    [("SCI", "WHT"), ("MAP", "IVAR"), ("DATA", "WEIGHT"), ("flux", "invvar"), ("Q", "Q_IVAR"),
     ("F090", "IVAR_F090")],
)  # fmt: skip
def test_inverse_variances_beside_a_map(tmp_path: Path, name: str, weight: str) -> None:
    (first,), (second,) = maps(tmp_path, (name, MAP, {}), (weight, MAP + 1, {}))
    assert first.weight is second.reader
    assert first.notes == (f"means are weighted with {weight.upper()}",)
    assert second.weight is None
    assert second.notes == ()


@pytest.mark.parametrize(
    "weight",
    [
        ("ERR", MAP, {}), ("IVAR", MAP[:10], {}), ("IVAR", MAP, {"CRVAL1": 31.0}),
        ("OTHER_IVAR", MAP, {}), ("COVERAGE", MAP, {}), ("WHT", MAP, {"EXTVER": 2}),
        ("IVAR", np.stack([MAP, MAP]), {}),
    ],
    ids=lambda w: f"{w[0]}{w[2]}{w[1].shape}",
)  # fmt: skip
def test_only_clear_cases_count(tmp_path: Path, weight: tuple[str, np.ndarray, Any]) -> None:
    found = maps(tmp_path, ("SCI", MAP, {}), weight)
    assert [image.weight for planes in found for image in planes] == [None] * sum(map(len, found))


def test_planes_have_a_weight_each_or_one_for_all(tmp_path: Path) -> None:
    cube = np.stack([MAP, MAP, MAP])
    sky, ivar, hits = maps(tmp_path, ("X", cube, {}), ("X_IVAR", cube, {}), ("HITS", MAP, {}))
    assert [s.weight for s in sky] == [i.reader for i in ivar]
    (tmp_path / "b").mkdir()
    sky, ivar = maps(tmp_path / "b", ("MAP", cube, {}), ("IVAR", MAP, {}))
    assert [s.weight for s in sky] == [ivar[0].reader] * 3
    assert [s.plane for s in sky] == ["I", "Q", "U"]
    assert len(hits) == 1


def test_two_weights_are_none(tmp_path: Path) -> None:
    found = maps(tmp_path, ("SCI", MAP, {}), ("WHT", MAP, {}), ("IVAR", MAP, {}))
    assert found[0][0].weight is None


def test_extensions_of_a_real_file(shared_data: Path) -> None:
    found = load(shared_data / "real" / "image" / "herschel_spire.fits.gz").images
    assert [i[0].hdu for i in found] == ["image", "error", "coverage"]
    assert [i[0].units for i in found] == ["MJy/sr", "MJy/sr", ""]
    assert [i[0].attrs.get("unit") for i in found] == ["MJy / sr", "MJy / sr", None]
    assert [i[0].weight for i in found] == [None] * 3
