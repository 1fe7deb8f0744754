"""Rows as pandas and as Arrow tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.types import AnyArray, IntArray

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(
    columns: Mapping[str, AnyArray], rows: IntArray, attrs: Mapping[str, Any]
) -> pd.DataFrame:
    """Return columns as a DataFrame with numbers of rows as its index."""
    import pandas as pd  # noqa: PLC0415 (takes half a second)

    data = {name: values if values.ndim == 1 else list(values) for name, values in columns.items()}
    frame = pd.DataFrame(data, index=pd.Index(rows, name="row"))
    frame.attrs.update(attrs)
    return frame


def to_arrow(columns: Mapping[str, AnyArray], units: Mapping[str, str], schema: Any = None) -> Any:
    """Return columns as a `pyarrow.Table`, of the types of `schema` where that is given."""
    import pyarrow as pa  # noqa: PLC0415

    schema = schema_of(columns, units) if schema is None else schema
    arrays = [_array(columns[field.name], field.type) for field in schema]
    return pa.table(arrays, schema=schema)


def schema_of(columns: Mapping[str, AnyArray], units: Mapping[str, str]) -> Any:
    """Return the `pyarrow.Schema` of columns; units are in the metadata of the fields."""
    import pyarrow as pa  # noqa: PLC0415

    fields = []
    for name, values in columns.items():
        about = {"unit": units[name]} if name in units else None
        fields.append(pa.field(name, _type_of(values), metadata=about))
    return pa.schema(fields)


def _type_of(values: AnyArray) -> Any:
    """Return the Arrow type of a column by its numpy type alone, so that all parts have one."""
    import pyarrow as pa  # noqa: PLC0415

    kind = values.dtype.kind
    if kind == "M":
        found = pa.timestamp("us")
    elif kind in "biuf":
        found = pa.from_numpy_dtype(values.dtype.newbyteorder("="))
    else:
        found = pa.string()
    for _ in values.shape[1:]:
        found = pa.list_(found)
    return found


def _array(values: AnyArray, kind: Any) -> Any:
    """Return a column as an Arrow array; NaN, NaT and None become null."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_string(kind):
        return pa.array([text_of(value) for value in values.tolist()], kind)
    if values.ndim > 1 or values.dtype.kind in "OSU":
        return pa.array([None if _missing(value) else value for value in values.tolist()], kind)
    if values.dtype.kind == "M":
        return pa.array(values.astype("M8[us]"), kind)
    missing = np.isnan(values) if values.dtype.kind == "f" else None
    if missing is not None and pa.types.is_integer(kind):  # integers of which some are missing
        values = np.where(missing, 0, values)
    plain = np.ascontiguousarray(values, kind.to_pandas_dtype())
    return pa.array(plain, kind, mask=missing)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def text_of(value: object) -> str | None:
    """Return a cell as text that UTF-8 can hold; None for what is missing."""
    if _missing(value):
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", "replace").decode("utf-8")
