"""Arrow columns as numpy: every type that a catalogue may have, with and without nulls."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skyshade.index.arrow import numpy_type, to_numpy

NAN, NAT = float("nan"), np.datetime64("NaT")
DAY = datetime.date(2020, 1, 2)


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        (pa.array([1, 2], "int8"), "i1", [1, 2]),
        (pa.array([1, None, 3], "int64"), "f8", [1, NAN, 3]),
        (pa.array([1.5, None], "float"), "f4", [1.5, NAN]),
        (pa.array([1.5, 2.5], "double"), "f8", [1.5, 2.5]),
        (pa.array(np.float16([1, 2])), "f2", [1, 2]),
        (pa.array([True, False, True]), "?", [True, False, True]),
        (pa.array([True, None]), "O", [True, None]),
        (pa.array(["a", None, "b"]), "O", ["a", None, "b"]),
        (pa.array(["a", None, "b", "a"]).dictionary_encode(), "O", ["a", None, "b", "a"]),
        (pa.array([None, None], pa.string()).dictionary_encode(), "O", [None, None]),
        (pa.array([5, None, 7], "int16").dictionary_encode(), "f4", [5, NAN, 7]),
        (pa.array([Decimal("1.5"), None]), "f8", [1.5, NAN]),
        (pa.array([DAY, None]), "M8[us]", [np.datetime64(DAY), NAT]),
        (pa.array([1, None], pa.timestamp("ns")), "M8[us]", [np.datetime64(0, "us"), NAT]),
        (pa.array([b"x", None]), "O", [b"x", None]),
        (pa.array([], "int32"), "i4", []),
        (pa.array([], pa.string()), "O", []),
    ],
)
def test_values(column: Any, kind: str, values: list[Any]) -> None:
    parts = pa.chunked_array([column, column.slice(1)]) if len(column) > 1 else column
    for given, wanted in ((column, values), (parts, values + values[1:])):
        found = to_numpy(given)
        assert found.dtype == np.dtype(kind)
        np.testing.assert_array_equal(found, np.array(wanted, found.dtype))
    cut = to_numpy(column.slice(1))
    np.testing.assert_array_equal(cut, np.array(values[1:], cut.dtype))


def test_texts_that_are_no_utf8_are_shown() -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 3], np.int32)), pa.py_buffer(b"a\xffb")]
    )
    assert to_numpy(broken).tolist() == ["a\ufffdb"]


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.bool_(),
             pa.string(), pa.date32(), pa.timestamp("ns"), pa.decimal128(5, 2), pa.binary()],
)  # fmt: skip
def test_types_by_name(kind: Any) -> None:
    assert numpy_type(str(kind)) == to_numpy(pa.array([], kind)).dtype
