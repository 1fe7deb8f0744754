"""Maps of every kind in the real page: cubes, reductions, HEALPix, colours, press images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from playwright.sync_api import Page

from tests.browser.conftest import Served, Visit, serve_script
from tests.browser.test_viewer import choose, on_screen, open_page, settle, shot, toggle

pytestmark = pytest.mark.browser

BRIGHT = (100.0, 30.0)  # where the one bright pixel of a large map is
BLOCKS = {"red": 40.0, "green": 30.0, "blue": 20.0}  # RA of the block in each part of a composite
SERVE = """
import sys
from skyshade.atlas.atlas import Entry
from skyshade.atlas.build import open_atlas
from skyshade.layers.rgb import RgbLayer

atlas = open_atlas(sys.argv[1:])
bands = [atlas.layer(name) for name in ("red", "green", "blue")]
blocks = RgbLayer(*bands, id="blocks", title="Three blocks")
atlas.add(Entry("blocks", blocks, title=blocks.info.title))
"""


def plate_carree(values: np.ndarray[Any, Any], **cards: object) -> fits.PrimaryHDU:
    """Return an all-sky map (or cube) about RA 0, east left."""
    ny, nx = values.shape[-2:]
    hdu = fits.PrimaryHDU(values.astype(np.float32))
    hdu.header.update(
        CTYPE1="RA---CAR", CRPIX1=nx / 2 + 0.5, CRVAL1=0.0, CDELT1=-360 / nx, CUNIT1="deg",
        CTYPE2="DEC--CAR", CRPIX2=ny / 2 + 0.5, CRVAL2=0.0, CDELT2=180 / ny, CUNIT2="deg",
        **cards,
    )  # fmt: skip
    return hdu


def pixel_at(ra: float, dec: float, shape: tuple[int, int]) -> tuple[int, int]:
    """Return row and column of the pixel of `plate_carree` at a position."""
    ny, nx = shape
    col = nx / 2 - 0.5 - ((ra + 180) % 360 - 180) * nx / 360
    return round(ny / 2 - 0.5 + dec * ny / 180), round(col)


def write_cube(path: Path, planes: int = 70) -> None:
    """Write more planes than become layers of their own; a bright block moves with the plane."""
    values = np.zeros((planes, 45, 90))
    for plane in range(planes):
        values[plane, 18:27, 8 + plane : 16 + plane] = 1.0
    axis = {"CTYPE3": "FREQ", "CRPIX3": 1.0, "CRVAL3": 1.0e11, "CDELT3": 1.0e9, "CUNIT3": "Hz"}
    plate_carree(values, BUNIT="Jy/beam", OBJECT="moving block", **axis).writeto(path)


@pytest.fixture(scope="module")
def gallery(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, real = tmp_path_factory.mktemp("gallery"), shared_data / "real"
    write_cube(folder / "cube.fits")
    values = np.random.default_rng(1).random((2048, 4096))
    values[pixel_at(*BRIGHT, values.shape)] = 20.0
    plate_carree(values, BUNIT="uK_CMB").writeto(folder / "bright.fits")
    for name, ra in BLOCKS.items():
        values = np.zeros((180, 360))
        row, col = pixel_at(ra, 0.0, values.shape)
        values[row - 3 : row + 4, col - 3 : col + 4] = 1.0
        plate_carree(values).writeto(folder / f"{name}.fits")
    made = [folder / f"{name}.fits" for name in ("cube", "bright", *BLOCKS)]
    sphere = real / "healpix" / "wmap_band_iqumap_r9_7yr_W_v4_udgraded32.fits"
    press = real / "avm" / "NGC253ALMA.jpg"
    yield from serve_script(SERVE, *map(str, (*made, sphere, press)))


def show_layer(page: Page, title: str) -> dict[str, Any]:
    """Choose the layer whose title contains `title`, without lines over it; return the plot."""
    options = page.get_by_label("Layer", exact=True).locator("option").all_inner_texts()
    found = [option for option in options if title in option]
    assert found, f"no layer {title!r} among {options}"
    first = found[0] == options[0]
    before = "" if first else page.evaluate(TILES)[0]
    choose(page, "Layer", found[0])
    toggle(page, "Graticule")
    return wait_for_tiles(page, "", before)


TILES = """() => {
  for (const view of Bokeh.index.query((v) => v.model?.renderers != null)) {
    const tiled = view.model.renderers.filter((r) => r.tile_source != null);
    if (tiled.length) return tiled.map((r) => r.tile_source.url);
  }
  return [];
}"""


def wait_for_tiles(page: Page, text: str, before: str = "") -> dict[str, Any]:
    """Wait until the only tiles have `text` in their address, which is not `before`."""
    page.wait_for_function(
        f"""([text, before]) => {{
          const urls = ({TILES})();
          return urls.length == 1 && urls[0].includes(text) && urls[0] != before;
        }}""",
        arg=[text, before],
    )
    return settle(page, 0.3)


def type_range(page: Page, low: str, high: str) -> None:
    for label, text in (("From", low), ("To", high)):
        field = page.get_by_label(label, exact=True)
        field.fill(text)
        field.press("Enter")
        page.wait_for_timeout(200)


def light_at(picture: np.ndarray[Any, Any], plot: dict[str, Any], ra: float, dec: float) -> Any:
    """Return the colour on the screen at a position, the brightest within two pixels."""
    x, y = (round(v) for v in on_screen(plot, ra, dec))
    near = picture[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].reshape(-1, 3)
    return near[near.sum(axis=1).argmax()]


def test_a_plane_of_a_cube_is_chosen(visit: Visit, gallery: Served) -> None:
    open_page(visit, gallery)
    page = visit.page
    plot = show_layer(page, "moving block")
    assert page.get_by_label("Layer", exact=True).locator("option").first.inner_text() == (
        "moving block"
    )
    planes = page.get_by_label("Plane", exact=True).locator("option").all_inner_texts()
    assert len(planes) == 70
    assert all("Hz" in plane for plane in planes)
    for number in (0, 45):
        choose(page, "Plane", planes[number])
        plot = wait_for_tiles(page, f"plane={planes[number].replace(' ', '+')}")
        picture = shot(page, plot)
        ra, dec = -(number + 11.5 - 44.5) * 4.0, 0.0
        block = light_at(picture, plot, ra, dec).sum()
        assert block > 500, "the block of this plane is not where it must be"
        other = light_at(picture, plot, -((45 - number) + 11.5 - 44.5) * 4.0, dec).sum()
        assert other < 100, "another plane is shown"
        assert page.get_by_text(planes[number]).count() > 0
    assert any("plane=" in url for url in visit.tiles())
    with page.expect_download() as download:
        page.get_by_role("link", name="FITS").click()
    with fits.open(download.value.path()) as hdus:
        assert hdus[0].header["BUNIT"] == "Jy/beam"
        assert hdus[0].data.max() == 1.0
        assert np.argwhere(hdus[0].data[22] > 0).min() == 8 + 45
    assert visit.console == []


def test_the_maximum_keeps_a_bright_pixel(visit: Visit, gallery: Served) -> None:
    """A pixel is a small part of a displayed one: its mean is lost, its maximum is not."""
    open_page(visit, gallery)
    page = visit.page
    show_layer(page, "bright")
    choose(page, "Colour map", "gray")
    light = {}
    for reduction in ("mean", "max"):
        choose(page, "Reduction", reduction)
        page.wait_for_timeout(500)
        type_range(page, "0", "10")
        plot = wait_for_tiles(page, "vmax=10.0")
        light[reduction] = int(light_at(shot(page, plot), plot, *BRIGHT).mean())
    assert light["max"] > 150  # one pixel of a tile, drawn on less than one of the screen
    assert light["mean"] < 60
    assert any("agg=max" in url for url in visit.tiles())
    x, y = on_screen(plot, *BRIGHT)
    page.mouse.click(plot["left"] + x, plot["top"] + y)
    page.get_by_text("20 \N{MICRO SIGN}K_CMB", exact=True).wait_for(timeout=5000)
    assert visit.console == []


def test_a_healpix_map_shows_the_galactic_plane(visit: Visit, gallery: Served) -> None:
    open_page(visit, gallery)
    page = visit.page
    plot = show_layer(page, "udgraded32 I")
    choose(page, "Colour map", "gray")
    plot = wait_for_tiles(page, "cmap=gray")
    picture = shot(page, plot)

    def along(b: float) -> float:
        sky = SkyCoord(np.arange(-60.0, 61.0, 5.0), b, unit="deg", frame="galactic").icrs
        return float(
            np.mean(
                [
                    light_at(picture, plot, ra, dec).mean()
                    for ra, dec in zip(sky.ra.deg, sky.dec.deg, strict=True)
                ]
            )
        )

    assert along(0.0) > along(25.0) + 30
    assert along(0.0) > along(-25.0) + 30
    group = page.locator("optgroup", has=page.locator("option", has_text="udgraded32 I"))
    assert group.first.get_attribute("label") == "HEALPix maps"
    assert visit.console == []


def test_a_composite_has_the_colours_of_its_parts(visit: Visit, gallery: Served) -> None:
    open_page(visit, gallery)
    page = visit.page
    plot = show_layer(page, "Three blocks")
    picture = shot(page, plot)
    for band, (name, ra) in enumerate(BLOCKS.items()):
        colour = light_at(picture, plot, ra, 0.0)
        assert colour.argmax() == band, f"{name} is {colour}"
        assert colour[band] > 200
        assert np.delete(colour, band).max() < 60
    assert not page.get_by_label("Colour map", exact=True).is_visible()
    assert not page.get_by_label("From", exact=True).is_visible()
    choose(page, "Stretch", "linear")
    wait_for_tiles(page, "stretch=linear")
    assert visit.console == []


def test_a_press_image_lies_where_its_avm_says(
    visit: Visit, gallery: Served, shared_data: Path
) -> None:
    from PIL import Image
    from pyavm import AVM

    path = shared_data / "real" / "avm" / "NGC253ALMA.jpg"
    truth = np.asarray(Image.open(path).convert("RGB")).astype(float)
    height, width = truth.shape[:2]
    told = AVM.from_image(str(path)).Spatial
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = told.ReferenceValue, told.ReferencePixel
    wcs.wcs.cdelt, wcs.wcs.crota = told.Scale, (told.Rotation, told.Rotation)
    open_page(visit, gallery)
    page = visit.page
    plot = show_layer(page, "NGC 253")
    picture = shot(page, plot).astype(float)
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0.1, 0.9, (2, 400)) * [[width], [height]]
    ra, dec = wcs.all_pix2world(x, y, 0)
    seen = np.array(
        [
            picture[tuple(round(v) for v in on_screen(plot, *at)[::-1])]
            for at in zip(ra, dec, strict=True)
        ]
    )

    def likeness(cols: Any, rows: Any) -> float:  # rows of AVM count from below
        there = truth[np.clip(height - 1 - rows, 0, height - 1).astype(int), cols.astype(int)]
        return float(np.corrcoef(there.ravel(), seen.ravel())[0, 1])

    assert likeness(x, y) > 0.9
    assert likeness(width - 1 - x, y) < 0.8, "mirrored"
    assert likeness(x, height - 1 - y) < 0.8, "upside down"
    assert not page.get_by_label("Stretch", exact=True).is_visible()
    assert page.get_by_text("own colours").count() == 1
    assert visit.console == []
