"""The commands as a user runs them: real processes, real sockets."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import click
import pytest

from skyshade.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SKYSHADE = [str(Path(sys.executable).with_name("skyshade"))]
ENV = {k: v for k, v in os.environ.items() if not k.startswith("SKYSHADE_")}


def run(*args, env=None, timeout=120):
    return subprocess.run(
        [*SKYSHADE, *map(str, args)],
        env={**ENV, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class Serving:
    """`skyshade open ...` while it runs; `lines` is what it printed up to the ready line."""

    def __init__(self, process, lines):
        self.process, self.lines = process, lines
        self.link = lines[-1].removeprefix("Skyshade is ready at ")
        self.port = int(self.link.partition("://")[2].partition("/")[0].rpartition(":")[2])

    def get(self, path, host=None, headers=None):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            shown = {"Host": host or f"127.0.0.1:{self.port}", **(headers or {})}
            connection.request("GET", path, headers=shown)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def json(self, path, **how):
        status, _, body = self.get(path, **how)
        assert status == 200, body
        return json.loads(body)


@contextmanager
def serving(*args, command="open"):
    process = subprocess.Popen(
        [*SKYSHADE, command, *map(str, args), "--no-browser", "--port", "0"],
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("Skyshade is ready at "):
                break
        else:
            pytest.fail(f"ended with code {process.wait()}: {process.stderr.read()}")
        yield Serving(process, lines)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def bad_file(tmp_path):
    path = tmp_path / "broken.fits"
    path.write_bytes(b"SIMPLE  = nothing of the kind")
    return path


@pytest.fixture(scope="module")
def demo():
    with serving(ROOT / "skyshade" / "data" / "tycho2_bright.parquet") as server:
        yield server


def commands():
    return sorted(main.commands.items())


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_command_has_help_and_is_in_the_readme(name, command):
    assert command.help
    assert f"skyshade {name}" in README


@pytest.mark.parametrize(
    ("command", "option"),
    [
        pytest.param(name, option, id=f"{name} {option.opts[-1]}")
        for name, command in commands()
        for option in command.params
        if isinstance(option, click.Option)
    ],
)
def test_every_option_has_help_and_is_in_the_readme(command, option):
    assert option.help, f"{command} {option.name}"
    assert f"`{max(option.opts, key=len)}`" in README


def test_help_lists_every_command():
    ran = run("--help")
    assert ran.returncode == 0
    assert all(name in ran.stdout for name, _ in commands())


def test_version():
    import skyshade

    assert run("--version").stdout == f"skyshade {skyshade.__version__}\n"


def test_a_layer_is_one_line_and_the_server_answers(demo):
    assert demo.lines[0].split()[:4] == ["tycho2_bright", "catalog", "56,993", "rows"]
    assert [layer["id"] for layer in demo.json("/api/layers")] == ["tycho2_bright"]
    status, headers, body = demo.get("/tiles/tycho2_bright/sky/0/0/0.png")
    assert (status, dict(headers)["Content-Type"], body[:4]) == (200, "image/png", b"\x89PNG")


def test_the_link_is_as_documented(demo):
    assert demo.link == f"http://127.0.0.1:{demo.port}"


def test_guessed_columns_are_shown(demo):
    assert any("ra" in line and "dec" in line for line in demo.lines[1:-1])


def test_another_host_is_misdirected(demo):
    assert demo.get("/api/layers", host="evil.example")[0] == 421
    assert demo.get("/api/layers", host="localhost:9182")[0] == 200  # ssh -L 9182:...


def test_allowed_host():
    path = ROOT / "skyshade" / "data" / "tycho2_bright.parquet"
    with serving(path, "--allowed-host", "sky.example") as server:
        assert server.get("/api/layers", host="sky.example")[0] == 200
        assert server.get("/api/layers", host="evil.example")[0] == 421


def test_port_in_use_names_a_free_one():
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = run("demo", "--no-browser", "--port", port)
    assert ran.returncode == 1
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"Error: port {port} on 127.0.0.1 is in use; port ")
    free = int(line.partition("; port ")[2].partition(" ")[0])
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", free))


def test_all_bad_is_exit_code_1(bad_file, tmp_path):
    ran = run("open", bad_file, tmp_path / "absent.fits", "--no-browser", "--port", 0)
    assert ran.returncode == 1
    warnings = ran.stderr.splitlines()
    assert [line.partition(":")[0] for line in warnings] == ["Warning", "Warning", "Error"]
    assert "broken.fits" in warnings[0]
    assert "absent.fits" in warnings[1]
    assert "ready" not in ran.stdout


def test_a_folder_is_refused_in_one_line(tmp_path):
    ran = run("info", tmp_path)
    assert ran.returncode == 1
    assert tmp_path.name in ran.stderr
    assert "folder" in ran.stderr
    assert len(ran.stderr.splitlines()) == 2


def test_one_bad_file_leaves_the_others(bad_file):
    with serving(bad_file, ROOT / "skyshade" / "data" / "tycho2_planes.fits") as server:
        first, *others = server.json("/api/layers")
        assert first["state"] == "rejected"
        assert "broken.fits" in first["reason"]
        assert {layer["state"] for layer in others} == {"ok"}
        server.process.terminate()
        (line,) = server.process.stderr.read().splitlines()
        assert line.startswith("Warning: broken.fits")


def test_many_files_open_behind_the_first(tmp_path):
    from tests.atlas.test_build import write_map

    files = [write_map(tmp_path / f"m{n}.fits") for n in range(40)]
    files.insert(20, tmp_path / "absent.fits")
    with serving(*files) as server:
        assert server.get("/tiles/m0/sky/0/0/0.png")[0] == 200
        end = time.monotonic() + 60
        while len(layers := server.json("/api/layers")) < 41:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert [layer["id"] for layer in layers] == [path.stem for path in files]
        assert [layer["id"] for layer in layers if layer["state"] != "ok"] == ["absent"]
        server.process.terminate()
        (line,) = server.process.stderr.read().splitlines()
        assert line == "Warning: absent.fits: no such file"


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_more_files_than_a_process_may_have_open_at_first(tmp_path):
    import shutil

    from tests.atlas.test_build import write_map

    first = write_map(tmp_path / "m.fits")
    files = [shutil.copy(first, tmp_path / f"m{n}.fits") for n in range(150)]
    limited = 'ulimit -S -n 100 && exec "$0" "$@"'
    ran = subprocess.run(
        ["sh", "-c", limited, *SKYSHADE, "info", *files],
        env=ENV,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(ran.stdout.splitlines()) == 150


def test_a_file_is_served_while_the_next_one_is_read(tmp_path):
    first = ROOT / "skyshade" / "data" / "tycho2_planes.fits"
    slow = tmp_path / "slow.csv"
    rows = "\n".join(f"{n % 360},{n % 90}" for n in range(1_500_000))
    slow.write_text(f"ra,dec\n{rows}\n")
    with serving(first, slow) as server:
        assert {layer["kind"] for layer in server.json("/api/layers")} >= {"map"}
        end = time.monotonic() + 60
        while server.json("/ready")["layers"] < 4:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_config_file_can_be_opened(tmp_path):
    from tests.atlas.test_build import write_map

    write_map(tmp_path / "a.fits")
    write_map(tmp_path / "b.fits")
    config = tmp_path / "survey.toml"
    of = 'of = { a = "a", b = "b" }'
    made = f'[[layers]]\nid = "sum"\nexpression = "a + b"\n{of}\n'
    config.write_text(f'[[files]]\npath = "*.fits"\n\n{made}')
    ran = run("info", config)
    assert ran.returncode == 0, ran.stderr
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["a", "b", "sum"]


def test_a_cap_on_what_is_decoded():
    path = ROOT / "skyshade" / "data" / "tycho2_counts.fits.fz"
    assert run("info", path).returncode == 0
    for given, env in ((["--max-decoded", "10000"], {}), ([], {"MAX_DECODED_BYTES": "10000"})):
        ran = run("info", path, *given, env={f"SKYSHADE_{k}": v for k, v in env.items()})
        assert ran.returncode == 1
        assert "max_decoded" in ran.stderr


def test_demo_shows_all_its_data():
    with serving(command="demo") as server:
        layers = server.json("/api/layers")
        assert {layer["kind"] for layer in layers} == {"map", "catalog"}
        assert {layer["state"] for layer in layers} == {"ok"}
        assert all(layer["title"] for layer in layers)
        lines = [line for line in server.lines[:-1] if not line.startswith(" ")]
        assert len(lines) == len(layers)
        assert (
            len({line.index(layer["kind"]) for line, layer in zip(lines, layers, strict=True)}) == 1
        )


def test_a_public_host_needs_the_token():
    path = ROOT / "skyshade" / "data" / "tycho2_bright.parquet"
    with serving(path, "--host", "0.0.0.0") as server:
        base, _, token = server.link.partition("/?token=")
        assert len(token) >= 20
        assert base.startswith("http://")
        assert server.get("/api/layers")[0] == 403
        assert server.get("/")[0] == 403
        assert server.get("/api/layers?token=wrong")[0] == 403
        assert server.get("/api/layers", headers={"Authorization": f"token {token}"})[0] == 200
        cookies = [value for key, value in server.get(f"/?token={token}")[1] if key == "Set-Cookie"]
        assert "HttpOnly" in cookies[0]
        cookie = {"Cookie": cookies[0].partition(";")[0]}
        assert server.get("/api/layers", headers=cookie)[0] == 200


@pytest.mark.parametrize(
    ("given", "token"),
    [(["--token"], None), (["--token=quasar"], "quasar"), (["--token", "q"], "q")],
)
def test_token_on_loopback(given, token):
    """Also right before a file: `skyshade open --token map.fits` must not take the file for it."""
    with serving(*given, ROOT / "skyshade" / "data" / "tycho2_bright.parquet") as server:
        found = server.link.partition("?token=")[2]
        assert found == token if token else len(found) >= 20
        assert server.get("/api/layers")[0] == 403
        assert server.get("/api/layers", headers={"Authorization": f"token {found}"})[0] == 200


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_cleanly():
    with serving(ROOT / "skyshade" / "data" / "tycho2_bright.parquet") as server:
        server.get("/tiles/tycho2_bright/sky/0/0/0.png")
        server.process.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, errors = server.process.communicate(timeout=30)
        assert time.monotonic() - start < 10
        assert server.process.returncode == 0
        assert errors == ""


def test_info_as_json(bad_file):
    ran = run("info", "--json", ROOT / "skyshade" / "data" / "tycho2_bright.parquet", bad_file)
    assert ran.returncode == 0
    good, bad = json.loads(ran.stdout)
    assert (good["id"], good["state"], good["kind"]) == ("tycho2_bright", "ok", "catalog")
    assert bad["state"] == "rejected"
    assert "broken.fits" in bad["reason"]


def test_named_columns(tmp_path):
    table = tmp_path / "odd.csv"
    table.write_text("north,east\n10.5,20.25\n-3.5,300.0\n")
    assert run("info", table).returncode == 1
    ran = run("info", table, "--ra", "east", "--dec", "north")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[:3] == ["odd", "catalog", "2"]


def test_a_wrong_setting_is_one_line():
    ran = run("demo", env={"SKYSHADE_PORT": "many"})
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("Error: SKYSHADE_PORT='many' is not allowed")


def test_debug_shows_the_traceback():
    ran = run("demo", env={"SKYSHADE_PORT": "many", "SKYSHADE_DEBUG": "1"})
    assert ran.returncode == 1
    assert "Traceback" in ran.stderr


def test_text_of_a_file_cannot_command_the_terminal(tmp_path):
    table = tmp_path / "x\x1b[31m.csv"
    table.write_text("a,b\n1,2\n")
    ran = run("info", table)
    assert "\x1b" not in ran.stdout + ran.stderr
