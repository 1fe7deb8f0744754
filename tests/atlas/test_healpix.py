"""HEALPix files among the layers of an atlas."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skyshade.atlas.build import open_atlas
from skyshade.layers.healpix import HealpixLayer


def test_every_plane_is_a_layer_and_a_bad_file_a_line(shared_data: Path) -> None:
    folder = shared_data / "real" / "healpix"
    files = [
        folder / "wmap_band_iqumap_r9_7yr_W_v4_udgraded32.fits",
        shared_data / "bad" / "hpx_wrong_npix.fits",
        np.zeros(12 * 4 * 4),
    ]
    atlas = open_atlas(files)
    entries = atlas.entries()
    shown = [entry for entry in entries if entry.layer is not None]
    stem = "wmap_band_iqumap_r9_7yr_w_v4_udgraded32"
    assert [entry.id for entry in shown] == [f"{stem}-i", f"{stem}-q", f"{stem}-u", "healpix"]
    assert all(isinstance(entry.layer, HealpixLayer) for entry in shown)
    (bad,) = [entry for entry in entries if entry.layer is None]
    assert bad.reason == "hpx_wrong_npix.fits, HDU 1: 11264 pixels, NSIDE = 32 needs 12288"
