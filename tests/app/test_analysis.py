"""Histogram, aperture and cutout over HTTP, through ASGI and through Tornado."""

from __future__ import annotations

import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from skyshade.app import api_analysis
from skyshade.app.api_analysis_routes import file_name
from skyshade.app.plugin import demo_items
from skyshade.atlas.atlas import Atlas, Entry
from skyshade.atlas.build import open_atlas
from skyshade.layers import analysis_aperture, cutout
from skyshade.layers.healpix import HealpixLayer
from skyshade.layers.map import MapLayer
from skyshade.layers.rgb import RgbLayer
from skyshade.layers.smooth import SmoothedLayer
from skyshade.loaders.api import load
from tests.geometry.skies import make_wcs
from tests.layers.images import ArrayReader, image
from tests.layers.spheres import sphere

WCS_1 = make_wcs(cdelt=(-1, 1), crpix=(1, 90.5))  # RA 0 in the first column


def values() -> np.ndarray:
    made = np.random.default_rng(8).normal(5, 2, (180, 360)).astype("f4")
    made[40:50, 100:110] = np.nan
    return made


@pytest.fixture
def reader():
    return ArrayReader(values())


@pytest.fixture(scope="module")
def stars():
    return next(e.layer for e in open_atlas(demo_items()).entries() if e.layer.info.columns)


@pytest.fixture
def atlas(reader, stars):
    made = Atlas()
    plane = image(WCS_1, reader, units="uK", plane="I", title="A map")
    other = image(WCS_1, ArrayReader(values() + 100), units="uK", plane="Q")
    layer = MapLayer([plane, other], id="sky")
    tan = MapLayer(
        [image(make_wcs("TAN", (10, 20), (-0.1, 0.1), (30.5, 30.5)), np.ones((60, 60)))], id="tan"
    )
    ball = HealpixLayer([sphere(np.arange(12.0 * 32 * 32), frame="galactic")], id="ball")
    empty = MapLayer([image(WCS_1, np.full((180, 360), np.nan))], id="empty")
    rgb = RgbLayer(layer, tan, layer, id="rgb")
    beam = SmoothedLayer(layer, 5.0, id="beam")
    for one in (layer, tan, ball, empty, rgb, beam):
        made.add(Entry(one.id, one, title=one.info.title))
    made.add(Entry("bad", None, "rejected", "bad.fits, HDU 1: not FITS", "bad.fits"))
    made.add(Entry("stars", stars, title="stars"))
    return made


def strict(reply):
    def refuse(name):
        raise AssertionError(name)

    return json.loads(reply.text, parse_constant=refuse)


def test_histogram_of_every_pixel(client, reader):
    found = strict(client.get("/api/layers/sky/histogram?bins=40"))
    good = reader.values[np.isfinite(reader.values)].astype(float)
    assert (found["exact"], found["n_valid"], found["units"]) == (True, good.size, "uK")
    assert found["mean"] == pytest.approx(good.mean())
    assert found["percentiles"]["95"] == pytest.approx(np.percentile(good, 95))
    assert len(found["counts"]) == 40 == len(found["edges"]) - 1
    found = strict(client.get("/api/layers/sky/histogram?bins=4&range=0,10&plane=Q"))
    assert found["edges"] == [0, 2.5, 5, 7.5, 10]
    assert sum(found["counts"]) == 0
    assert found["minimum"] > 90
    quick = strict(client.get("/api/layers/sky/histogram?exact=false"))
    assert quick["counts"]


def test_histogram_of_nothing(client):
    found = strict(client.get("/api/layers/empty/histogram"))
    assert (found["n_valid"], found["counts"], found["edges"]) == (0, [], [])
    assert found["mean"] is None


def test_catalogues_keep_their_statistics(client):
    found = strict(client.get("/api/layers/stars/histogram"))
    assert sum(found["counts"]) > 0
    for url, named in [
        ("histogram?bins=5", "only maps have histograms"),
        ("aperture?ra=1&dec=1&radius=1", "only maps have apertures"),
        ("cutout?ra=1&dec=1&size=1", "only maps have cutouts"),
    ]:
        reply = client.get(f"/api/layers/stars/{url}")
        assert reply.status_code == 422
        assert named in strict(reply)["detail"]
        assert "catalogue" in strict(reply)["detail"]


def test_aperture(client, atlas):
    found = strict(client.get("/api/layers/sky/aperture?ra=0.5&dec=89&radius=3.3&weight=area"))
    mine = atlas.layer("sky").aperture(0.5, 89, 3.3, weight="area")
    assert (found["n"], found["mean"], found["area"]) == (mine.n, mine.mean, mine.area)
    assert found["n"] > 1000  # all around the pole
    assert (found["units"], found["quantity"], found["weight"]) == ("uK", "I", "area")
    plain = strict(client.get("/api/layers/sky/aperture?ra=0.5&dec=89&radius=3.3"))
    assert plain["n"] == found["n"]
    assert plain["mean"] != found["mean"]
    ball = strict(client.get("/api/layers/ball/aperture?ra=266.4&dec=-29&radius=10"))
    assert ball["area"] == pytest.approx(np.pi * 100, rel=0.05)
    empty = strict(client.get("/api/layers/empty/aperture?ra=0&dec=0&radius=2.2"))
    assert (empty["n"], empty["mean"], empty["coverage"]) == (0, None, 0)


def test_cutout_fits(client, reader):
    reply = client.get("/api/layers/sky/cutout?ra=0&dec=10&size=8,4")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "image/fits"
    disposition = 'attachment; filename="sky_0.0000_10.0000.fits"'
    assert reply.headers["content-disposition"] == disposition
    assert "skyshade-quality" not in reply.headers
    hdu = fits.open(io.BytesIO(reply.content))[0]
    assert (hdu.header["BUNIT"], hdu.header["OBJECT"], hdu.header["PLANE"]) == ("uK", "A map", "I")
    assert hdu.data.shape == (4, 9)
    ra, dec = WCS(hdu.header).all_pix2world(*np.indices(hdu.data.shape)[::-1], 0)
    columns = np.round(-ra).astype(int) % 360
    rows = np.round(dec + 89.5).astype(int)
    np.testing.assert_array_equal(hdu.data, reader.values[rows, columns])
    assert 0 in columns
    assert 359 in columns


def test_cutout_goes_round(client, tmp_path):
    """What is cut out can be opened, served and cut again."""
    reply = client.get("/api/layers/sky/cutout?box=20,340,-10,10&format=fits&plane=Q")
    (tmp_path / "cut.fits").write_bytes(reply.content)
    layer = MapLayer(load(tmp_path / "cut.fits").images[0], id="cut")
    assert layer.info.size == "41 x 20"
    assert layer.value(359.8, 3.3) > 90
    assert layer.cutout(0, 0, 5).values.shape[1] == 5


@pytest.mark.parametrize(("fmt", "kind"), [("png", "png"), ("jpg", "jpeg"), ("webp", "webp")])
def test_cutout_pictures(client, fmt, kind):
    reply = client.get(f"/api/layers/sky/cutout?ra=260&dec=-45&size=24,20&format={fmt}")
    assert reply.headers["content-type"] == f"image/{kind}"
    assert reply.headers["content-disposition"].startswith("inline; filename=")
    pixels = np.asarray(Image.open(io.BytesIO(reply.content)).convert("RGB"))
    assert 20 <= pixels.shape[0] <= 26  # the parallels are bent
    assert pixels.std() > 5


def test_pictures_are_coloured_like_tiles(client, reader):
    url = "/api/layers/sky/cutout?ra=100&dec=0&size=9&format=png&cmap=gray&vmin=-1&vmax=11"
    pixels = np.asarray(Image.open(io.BytesIO(client.get(url).content)).convert("RGBA"))
    cut = fits.open(io.BytesIO(client.get("/api/layers/sky/cutout?ra=100&dec=0&size=9").content))
    true = np.clip((cut[0].data[::-1] + 1) / 12, 0, 1) * 255
    np.testing.assert_allclose(pixels[..., 0], true, atol=2.0)
    turned = np.asarray(Image.open(io.BytesIO(client.get(url + "&reverse=1").content)).convert("L"))
    assert abs(int(turned[0, 0]) + int(pixels[0, 0, 0]) - 255) <= 1


@pytest.mark.parametrize("layer", ["ball", "beam"])
def test_layers_without_rows_are_resampled(client, layer):
    reply = client.get(f"/api/layers/{layer}/cutout?ra=100&dec=40&size=12")
    assert reply.status_code == 200, reply.text
    assert reply.headers["skyshade-quality"] == "resampled"
    hdu = fits.open(io.BytesIO(reply.content))[0]
    assert hdu.header["CTYPE1"] == "RA---TAN"
    assert np.isfinite(hdu.data).all()


def test_colours_are_pictures(client):
    reply = client.get("/api/layers/rgb/cutout?ra=10&dec=20&size=3&format=png")
    assert reply.status_code == 200, reply.text
    assert Image.open(io.BytesIO(reply.content)).size[0] > 20
    reply = client.get("/api/layers/rgb/cutout?ra=10&dec=20&size=3")
    assert reply.status_code == 422
    assert "png, jpg or webp" in strict(reply)["detail"]


@pytest.mark.parametrize(
    ("url", "status", "named"),
    [
        ("nope/histogram", 404, "unknown layer 'nope'"),
        ("nope/aperture?ra=1&dec=1&radius=1", 404, "'nope'"),
        ("nope/cutout?ra=1&dec=1&size=1", 404, "'nope'"),
        ("bad/cutout?ra=1&dec=1&size=1", 404, "bad.fits, HDU 1"),
        ("sky/histogram?bins=0", 422, "bins='0'"),
        ("sky/histogram?bins=x", 422, "bins='x'"),
        ("sky/histogram?bins=100000000", 422, "bins="),
        ("sky/histogram?range=1", 422, "range='1'"),
        ("sky/histogram?range=1,nan", 422, "range='1,nan'"),
        ("sky/histogram?range=2,1", 422, "range=(2.0, 1.0)"),
        ("sky/histogram?exact=maybe", 422, "exact='maybe'"),
        ("sky/histogram?nope=1", 422, "'nope'"),
        ("sky/histogram?plane=V", 422, "unknown plane 'V'"),
        ("sky/aperture?ra=1&dec=1", 422, "'radius' is missing"),
        ("sky/aperture?ra=1&dec=1&radius=0", 422, "radius='0'"),
        ("sky/aperture?ra=1&dec=1&radius=181", 422, "radius='181'"),
        ("sky/aperture?ra=1&dec=nan&radius=1", 422, "dec='nan'"),
        ("sky/aperture?ra=-1&dec=1&radius=1", 422, "ra='-1'"),
        ("sky/aperture?ra=1&dec=1&radius=1&weight=x", 422, "unknown weight 'x'"),
        ("sky/aperture?ra=1&dec=1&radius=1&cmap=gray", 422, "'cmap'"),
        ("rgb/aperture?ra=1&dec=1&radius=1", 422, "only maps have apertures"),
        ("beam/aperture?ra=1&dec=1&radius=1", 422, "only maps have apertures"),
        ("sky/cutout", 422, "needs ra, dec and size"),
        ("sky/cutout?ra=1&dec=1", 422, "needs ra, dec and size"),
        ("sky/cutout?ra=1&dec=1&size=nan", 422, "size='nan'"),
        ("sky/cutout?ra=1&dec=1&size=1e999", 422, "size"),
        ("sky/cutout?ra=1&dec=1&size=0", 422, "size=0.0"),
        ("sky/cutout?ra=1&dec=1&size=-3", 422, "size=-3"),
        ("sky/cutout?ra=1&dec=1&size=1,2,3", 422, "size='1,2,3'"),
        ("sky/cutout?ra=1&dec=1&size=1&box=1,2,3,4", 422, "box"),
        ("sky/cutout?box=1,2,3", 422, "box='1,2,3'"),
        ("sky/cutout?box=1,2,4,3", 422, "box=1,2,4,3"),
        ("sky/cutout?ra=1&dec=1&size=1&format=gif", 422, "'gif'"),
        ("sky/cutout?ra=1&dec=1&size=1&format=png&cmap=nope", 422, "'nope'"),
        ("sky/cutout?ra=1&dec=1&size=1&nope=2", 422, "'nope'"),
        ("sky/cutout?ra=1&ra=2&dec=1&size=1", 422, "'ra'"),
        ("ball/cutout?ra=1&dec=1&size=170", 422, "120"),
        ("tan/cutout?ra=200&dec=1&size=1", 404, "no pixel within"),
        ("sky/aperture?ra=1&dec=1&radius=1&plane=Q&agg=nope", 422, "nope"),
    ],
)
def test_refusals_are_one_sentence(client, url, status, named):
    reply = client.get(f"/api/layers/{url}")
    assert reply.status_code == status, reply.text
    body = strict(reply)
    assert list(body) == ["detail"]
    assert named in body["detail"]
    assert "\n" not in body["detail"]


def test_caps_are_413(client, monkeypatch):
    for module, url in [
        (cutout, "sky/cutout?ra=1&dec=1&size=90"),
        (cutout, "ball/cutout?ra=1&dec=1&size=100"),
        (analysis_aperture, "sky/aperture?ra=1&dec=1&radius=90"),
    ]:
        for name in ("cutout", "aperture"):
            for owner in (MapLayer, HealpixLayer):
                monkeypatch.setitem(getattr(owner, name).__kwdefaults__, "max_pixels", 1000)
        reply = client.get(f"/api/layers/{url}")
        assert (reply.status_code, module) == (413, module)
        assert "at most 1000" in strict(reply)["detail"]


def test_pictures_have_a_longest_side(client, monkeypatch):
    monkeypatch.setitem(api_analysis.LONGEST, "webp", 20)
    reply = client.get("/api/layers/sky/cutout?ra=100&dec=0&size=30&format=webp")
    assert reply.status_code == 413
    assert "at most 20" in strict(reply)["detail"]


def test_identical_requests_share_one_computation(connect, atlas, reader):
    client = connect(atlas)
    if not hasattr(client, "base_url"):
        pytest.skip("one request at a time")
    reader.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client.get, "/api/layers/sky/histogram?bins=9") for _ in range(8)]
        time.sleep(0.3)
        reader.gate.set()
        replies = [one.result() for one in asked]
    assert {one.text for one in replies} == {replies[0].text}
    whole = [box for box in reader.boxes if box[:4] == (0, 180, 0, 360)]
    assert len(whole) == 1
    client.get("/api/layers/sky/histogram?bins=9")  # kept
    assert len([box for box in reader.boxes if box[:4] == (0, 180, 0, 360)]) == 1
    reader.mark = "2"
    assert client.get("/api/layers/sky/histogram?bins=9").status_code == 200
    assert len([box for box in reader.boxes if box[:4] == (0, 180, 0, 360)]) == 2


def test_a_slow_answer_is_503_and_ready_later(connect, atlas, reader):
    client = connect(atlas, tile_seconds=0.2)
    reader.gate.clear()
    reply = client.get("/api/layers/sky/histogram")
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "1"
    assert "0.2 s" in strict(reply)["detail"]
    reader.gate.set()
    end = time.monotonic() + 5
    while client.get("/api/layers/sky/histogram").status_code != 200:
        assert time.monotonic() < end


def test_long_computations_leave_tiles_alone(connect, atlas, reader):
    client = connect(atlas, workers=2, tile_seconds=5)
    if not hasattr(client, "base_url"):
        pytest.skip("one request at a time")
    reader.gate.clear()
    threads = [
        threading.Thread(target=client.get, args=(f"/api/layers/sky/histogram?bins={n}",))
        for n in range(1, 6)
    ]
    for thread in threads:
        thread.start()
    try:
        assert client.get("/tiles/ball/sky/0/0/0.png").status_code == 200
    finally:
        reader.gate.set()
        for thread in threads:
            thread.join()


def test_changes_on_the_way_are_409(client, reader):
    read = reader.read

    def changing(*box):
        reader.mark += "x"
        return read(*box)

    reader.read = changing
    reply = client.get("/api/layers/sky/aperture?ra=1&dec=1&radius=50")
    assert reply.status_code == 409
    assert strict(client.get("/api/layers"))[0]["state"] == "ok"


def test_values_are_exact(client, reader):
    for column in (0, 1, 359):
        found = strict(client.get(f"/api/layers/sky/value?ra={-column % 360}&dec=3.5"))
        assert found["value"] == reader.values[93, column]


def test_openapi_documents_analysis(client):
    paths = strict(client.get("/openapi.json"))["paths"]
    for name, wanted in [
        ("histogram", {"bins", "range", "exact", "plane", "agg"}),
        ("aperture", {"ra", "dec", "radius", "weight", "plane"}),
        ("cutout", {"ra", "dec", "size", "box", "format", "cmap", "vmin", "plane"}),
    ]:
        what = paths[f"/api/layers/{{layer}}/{name}"]["get"]
        given_ = {p["name"]: p for p in what["parameters"]}
        assert wanted <= set(given_)
        assert all(p["description"] for n, p in given_.items() if n != "layer")
        assert {"200", "404", "422", "503"} <= set(what["responses"])
    assert "413" in what["responses"]
    assert "image/fits" in what["responses"]["200"]["content"]


def test_file_names_are_plain():
    query = api_analysis.CutoutQuery(1.5, -2.25, (1, 1), None, "png")
    assert file_name('a"b/../é;\n', query) == "a-b-..-_1.5000_-2.2500.png"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["histogram", "aperture", "cutout"]),
    fields=st.lists(
        st.tuples(
            st.sampled_from(["ra", "dec", "radius", "size", "box", "format", "bins", "range"]),
            st.sampled_from(["1", "-1", "nan", "inf", "1e400", "1,2", "0,0,0,0", ""])
            | st.text(max_size=9),
        ),
        max_size=4,
    ),
)
def test_hostile_queries(client, name, fields):
    reply = client.get(f"/api/layers/tan/{name}", params=fields)
    assert reply.status_code in (200, 404, 422)
    if reply.status_code != 200:
        strict(reply)
