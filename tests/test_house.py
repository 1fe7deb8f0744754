"""The house keeps its own rules: public names, imports, lists of dependencies, scripts."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import skyshade
from skyshade.app.settings import Settings
from skyshade.cli import demo_files
from skyshade.geometry import GRIDS

ROOT = Path(__file__).resolve().parent.parent
PAPERS = ("pyproject.toml", "requirements.lock", "requirements-test.lock", "environment.yml")
HEAVY = {
    "numpy",
    "astropy",
    "numba",
    "xarray",
    "pandas",
    "dask",
    "datashader",
    "panel",
    "bokeh",
    "matplotlib",
}


def load_script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_can_be_imported():
    for name in skyshade.__all__:
        assert getattr(skyshade, name) is not None, name


def test_all_is_what_is_public():
    assert set(skyshade._HOMES) | {"__version__"} == set(skyshade.__all__)
    assert set(skyshade.__all__) <= set(dir(skyshade))
    assert sorted(set(skyshade.__all__)) == sorted(skyshade.__all__)


def test_an_unknown_name_is_named():
    with pytest.raises(AttributeError, match="nonesuch"):
        skyshade.nonesuch  # noqa: B018 (the access is what is tested)


@pytest.mark.parametrize("module", ["skyshade", "skyshade.cli"])
def test_import_is_light(module):
    code = f"import sys, {module}; print(*{{m.partition('.')[0] for m in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(ran.stdout.split()) & HEAVY


def test_locks_and_environment_agree_with_pyproject():
    assert load_script("parity").problems(ROOT) == []


@pytest.mark.parametrize(
    ("paper", "old", "new", "said"),
    [
        ("environment.yml", "  - numba >=0.61\n", "", "numba is None"),
        ("environment.yml", "  - numba >=0.61\n", "  - numba >=0.5\n", "numba is '>=0.5'"),
        ("environment.yml", "  - pip\n", "  - pip\n  - gammapy\n", "gammapy is not in"),
        ("requirements.lock", "click==", "click==8.0\n#", "click 8.0 is not >=8.1"),
        ("requirements.lock", "numba==", "numbat==", "numba is missing for Python 3.11"),
        ("requirements.lock", "numba==", "--index-url https://a.b/\nnumba==", "not a plain name"),
        ("requirements-test.lock", "click==", "click==9.", "is not in requirements-test.lock"),
        ("pyproject.toml", 'requires-python = ">=3.11"', 'requires-python = ">=3.12"', "python is"),
    ],
)
def test_parity_sees_a_difference(tmp_path, paper, old, new, said):
    for name in PAPERS:
        shutil.copy(ROOT / name, tmp_path)
    changed = (tmp_path / paper).read_text()
    assert old in changed
    (tmp_path / paper).write_text(changed.replace(old, new, 1))
    assert any(said in problem for problem in load_script("parity").problems(tmp_path))


@pytest.mark.parametrize("name", ["demo", "test", "check", "bench", "lock", "_setup.sh"])
def test_scripts_are_sh_and_can_be_run(name):
    script = ROOT / "scripts" / name
    assert name.startswith("_") or os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_an_old_python_is_refused_in_one_line(tmp_path):
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    for name in PAPERS:
        shutil.copy(ROOT / name, clone)
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1\nexit 1\n')
    old.chmod(0o755)
    environment = {**os.environ, "SKYSHADE_PYTHON": str(old)}
    ran = subprocess.run(
        [str(clone / "scripts" / "demo")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    wanted = "Python 3.9.1 is too old; skyshade needs Python 3.11 or newer"
    assert ran.stderr.splitlines() == [f"demo: {wanted} (name one in SKYSHADE_PYTHON)"]


def test_the_wheel_carries_data_and_types():
    """What hatchling would put into a wheel; `pip wheel` itself needs a package registry."""
    package = ROOT / "skyshade"
    assert (package / "py.typed").is_file()
    assert all(Path(path).stat().st_size > 1000 for path in demo_files())
    assert "skyshade/data" not in (ROOT / ".gitignore").read_text()  # hatchling obeys it


def test_no_file_is_too_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "skyshade").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 420  # "about 400"
    }
    assert not long


def test_every_setting_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    names = [f"SKYSHADE_{field.name.upper()}" for field in fields(Settings)]
    assert [name for name in names if f"`{name}`" not in readme] == []


def test_every_grid_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in (*GRIDS, "square") if f"`{name}`" not in readme] == []
