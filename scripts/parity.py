"""Compare pyproject.toml with the two lock files and environment.yml; print every difference.

The lock files must pin a fitting version of every dependency for each supported Python and hold
no address; environment.yml must ask for the same dependencies under conda-forge's names.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.11", "3.12", "3.13")
CONDA_NAMES = {
    "duckdb": "python-duckdb",
    "isal": "python-isal",
    "playwright": "playwright-python",
}
CONDA_ONLY = {"python", "pip"}
LOCKS = ("requirements.lock", "requirements-test.lock")


def declared(project: dict[str, object], *, extras: bool) -> list[Requirement]:
    """Return the dependencies in pyproject's `project` table, without references to itself."""
    texts = list(project["dependencies"])
    if extras:
        texts += [text for extra in project["optional-dependencies"].values() for text in extra]
    wanted = [Requirement(text) for text in texts]
    return [one for one in wanted if one.name != project["name"]]


def pins(lock: Path) -> list[Requirement]:
    """Return the pins of a lock file; lines of another form are left out."""
    lines = (line.strip() for line in lock.read_text().splitlines())
    return [Requirement(line) for line in lines if line and line[0] != "#" and is_plain(line)]


def is_plain(line: str) -> bool:
    """Return whether a line names no address and sets no option of pip."""
    return not ("://" in line or line.startswith("-") or " @ " in line)


def applies(pin: Requirement, python: str) -> bool:
    """Return whether `pin` is meant for `python` on this machine."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return pin.marker is None or pin.marker.evaluate(environment)


def version_of(pin: Requirement) -> str:
    """Return the version that a pin names."""
    return str(pin.specifier).removeprefix("==")


def lock_problems(lock: Path, wanted: list[Requirement]) -> Iterator[str]:
    """Yield what is wrong with one lock file."""
    for line in lock.read_text().splitlines():
        if not is_plain(line):
            yield f"{lock.name}: {line!r} is not a plain name and version"
    have = pins(lock)
    for python in PYTHONS:
        versions = {canonicalize_name(p.name): version_of(p) for p in have if applies(p, python)}
        for one in wanted:
            pinned = versions.get(canonicalize_name(one.name))
            if pinned is None:
                yield f"{lock.name}: {one.name} is missing for Python {python}"
            elif not one.specifier.contains(pinned, prereleases=True):
                yield f"{lock.name}: {one.name} {pinned} is not {one.specifier} (Python {python})"


def subset_problems(small: Path, large: Path) -> Iterator[str]:
    """Yield the pins of `small` that `large` does not hold."""
    missing = {str(p) for p in pins(small)} - {str(p) for p in pins(large)}
    yield from (f"{small.name}: {pin!r} is not in {large.name}" for pin in sorted(missing))


def conda_problems(path: Path, wanted: list[Requirement], python: str) -> Iterator[str]:
    """Yield where environment.yml differs from `wanted`."""
    listed = yaml.safe_load(path.read_text())["dependencies"]
    texts = (text for text in listed if isinstance(text, str))
    have = {name: bounds for name, _, bounds in (text.partition(" ") for text in texts)}
    want = {CONDA_NAMES.get(r.name, r.name): bounds_of(r) for r in wanted}
    have_key = {canonicalize_name(name): bounds for name, bounds in have.items()}
    want_key = {canonicalize_name(name): bounds for name, bounds in want.items()}
    if have_key.get("python") != python:
        yield f"{path.name}: python is {have_key.get('python')!r}, pyproject.toml has {python!r}"
    for name in sorted(set(have_key) - set(want_key) - CONDA_ONLY):
        yield f"{path.name}: {name} is not in pyproject.toml"
    for name, bounds in sorted(want_key.items()):
        if have_key.get(name) != bounds:
            yield f"{path.name}: {name} is {have_key.get(name)!r}, pyproject.toml has {bounds!r}"


def bounds_of(wanted: Requirement) -> str:
    """Return the version bounds with the lower one first, as people write them."""
    return ",".join(sorted((str(s) for s in wanted.specifier), reverse=True))


def problems(root: Path) -> list[str]:
    """Return one line for every difference between the files under `root`."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    to_run, all_of_it = declared(project, extras=False), declared(project, extras=True)
    small, large = (root / name for name in LOCKS)
    return [
        *lock_problems(small, to_run),
        *lock_problems(large, all_of_it),
        *subset_problems(small, large),
        *conda_problems(root / "environment.yml", all_of_it, project["requires-python"]),
    ]


def main() -> int:
    """Print the differences; return 1 if there are any."""
    found = problems(Path(__file__).resolve().parent.parent)
    print("\n".join(found) or "lock files and environment.yml agree with pyproject.toml")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
