from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from skyshade.errors import InputError, UnknownNameError
from skyshade.layers.reductions import DENSITY, describe, reduction_of

COLUMNS = ("vt", "bt", "type")


@pytest.mark.parametrize(
    ("given", "column", "label"),
    [
        (None, None, "density"),
        (None, "vt", "mean(vt)"),
        ("density", None, "density"),
        ("count", None, "count"),
        ("count", "vt", "count(vt)"),
        ("mean", "vt", "mean(vt)"),
        ("mean:vt", None, "mean(vt)"),
        ("mean:vt", "vt", "mean(vt)"),
        (" std:bt", None, "std(bt)"),
        ("count_cat:type", None, "count_cat(type)"),
    ],
)
def test_texts(given: object, column: str | None, label: str) -> None:
    assert reduction_of(given, column, COLUMNS).label == label


@pytest.mark.parametrize(
    ("given", "column", "message"),
    [
        ("median", "vt", "unknown reduction 'median'; known: density, count, sum"),
        ("mean", None, "reduction 'mean' needs a column, e.g. mean:vt"),
        ("mean:", None, "needs a column"),
        ("mean:mag", None, "unknown column 'mag'; known: vt, bt, type"),
        ("mean", "mag", "unknown column 'mag'"),
        (None, "mag", "unknown column 'mag'"),
        ("mean:vt", "bt", "names column 'vt', but column is 'bt'"),
        ("density", "vt", "'density' takes no column"),
        (7, None, "unknown reduction 7"),
    ],
)
def test_errors(given: object, column: str | None, message: str) -> None:
    with pytest.raises(InputError) as error:
        reduction_of(given, column, COLUMNS)
    assert message in str(error.value)


def test_what_is_not_named_is_kept() -> None:
    current = reduction_of("max:vt", None, COLUMNS)
    assert reduction_of(None, None, COLUMNS, current) is current
    assert reduction_of("min", None, COLUMNS, current).label == "min(vt)"
    assert reduction_of(None, "bt", COLUMNS, current).label == "max(bt)"
    assert reduction_of("density", None, COLUMNS, current) == DENSITY
    assert reduction_of("count", None, COLUMNS, current).label == "count"


def _ds(make: Callable[[Any], Any]) -> Any:
    return make(pytest.importorskip("datashader"))


@pytest.mark.parametrize(
    ("make", "name", "label"),
    [
        (lambda ds: ds.count(), "count", "count"),
        (lambda ds: ds.count("vt"), "count", "count(vt)"),
        (lambda ds: ds.mean("vt"), "mean", "mean(vt)"),
        (lambda ds: ds.sum("vt"), "sum", "sum(vt)"),
        (lambda ds: ds.std("vt"), "std", "std(vt)"),
        (lambda ds: ds.min("vt"), "min", "min(vt)"),
        (lambda ds: ds.max("vt"), "max", "max(vt)"),
        (lambda ds: ds.count_cat("type"), "count_cat", "count_cat(type)"),
        (lambda ds: ds.var("vt"), "canvas", "var(vt)"),
        (lambda ds: ds.first("vt"), "canvas", "first(vt)"),
        (lambda ds: ds.any(), "canvas", "any()"),
        (lambda ds: ds.by("type", ds.mean("vt")), "canvas", "by(type, mean(vt))"),
        (lambda ds: ds.where(ds.max("vt"), "bt"), "canvas", "where(bt, max(vt))"),
        (lambda ds: ds.max_n("vt", n=2), "canvas", "max_n(vt, n=2)"),
    ],
)
def test_datashader_objects(make: Callable[[Any], Any], name: str, label: str) -> None:
    found = reduction_of(_ds(make), None, COLUMNS)
    assert (found.name, found.label) == (name, label)
    assert set(found.columns) <= set(COLUMNS)


def test_columns_inside_datashader_objects_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="unknown column 'mag'"):
        reduction_of(_ds(lambda ds: ds.by("type", ds.mean("mag"))), None, COLUMNS)
    with pytest.raises(InputError, match="names its own column"):
        reduction_of(_ds(lambda ds: ds.mean("vt")), "bt", COLUMNS)
    with pytest.raises(InputError, match="select one reduction"):
        reduction_of(_ds(lambda ds: ds.summary(a=ds.count())), None, COLUMNS)


@pytest.mark.parametrize(
    ("text", "quantity", "units"),
    [
        ("density", "surface density", "1 / deg2"),
        ("count", "number of rows", ""),
        ("mean:vt", "mean of vt", "mag"),
        ("mean:bt", "mean of bt", ""),
        ("count_cat:type", "number of rows by type", ""),
    ],
)
def test_description(text: str, quantity: str, units: str) -> None:
    assert describe(reduction_of(text, None, COLUMNS), {"vt": "mag"}) == (quantity, units)


def test_nothing_heavy_is_imported() -> None:
    """The tile path of a catalogue imports neither datashader nor pandas, xarray, numba."""
    code = (
        "import sys, skyshade.layers.catalog as _; heavy = 'datashader pandas xarray numba dask';"
        "print([m for m in heavy.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
