"""The page as a server gives it, and `view` as a notebook calls it."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from skyshade.app.server import Server
from skyshade.app.settings import Settings
from skyshade.app.view import Viewer, view
from skyshade.atlas.atlas import Atlas
from skyshade.atlas.build import open_layers
from skyshade.errors import DataError, InputError


def get(url: str) -> tuple[int, str, str]:
    with urllib.request.urlopen(url, timeout=30) as reply:
        return reply.status, reply.headers["content-type"], reply.read().decode("latin-1")


def test_the_page_needs_nothing_from_elsewhere(atlas: Atlas) -> None:
    with Server(atlas, Settings(port=0), background=False).start_in_thread() as server:
        status, kind, page = get(f"{server.base_url}/")
        assert status == 200
        assert kind.startswith("text/html")
        sources = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', page)
        assert sources
        assert not [s for s in sources if re.match(r"(?:[a-z]+:)?//", s) or s.startswith("http")]
        assert "cdn." not in page
        assert get(f"{server.base_url}/{sources[-1].lstrip('/')}")[0] == 200


def test_view_serves_tiles_with_its_token(demo_data: Path) -> None:
    viewer = view(demo_data / "tycho2_bright.parquet", stretch="log", center=(84.0, -1.0), width=20)
    try:
        assert isinstance(viewer, Viewer)
        assert (viewer.stretch, viewer.center, viewer.width) == ("log", (84.0, -1.0), 20)
        url = viewer._map.want.data["url"][0]
        assert url.startswith("http://127.0.0.1:")
        assert "token=" in url
        status, kind, data = get(url.replace("{Z}", "2").replace("{X}", "1").replace("{Y}", "0"))
        assert (status, kind) == (200, "image/png")
        assert data.startswith("\x89PNG")
    finally:
        viewer.close()


def test_view_takes_layers(demo_data: Path) -> None:
    counts, colour, _ = open_layers(demo_data / "tycho2_planes.fits").values()
    difference = colour - counts
    viewer = view(difference, counts, reduction="max")
    try:
        assert viewer.layer == difference.info.id
        assert viewer.reduction == "max"
        url = viewer._map.want.data["url"][0]
        assert get(url.replace("{Z}", "1").replace("{X}", "0").replace("{Y}", "0"))[0] == 200
        assert np.asarray(viewer.picture(200)).std() > 10
        viewer.layer = counts.info.id
    finally:
        viewer.close()


def test_view_says_why_nothing_can_be_shown(tmp_path: Path) -> None:
    bad = tmp_path / "bad.fits"
    bad.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"bad\.fits"):
        view(bad)
    with pytest.raises(InputError, match="nothing to show"):
        view()
