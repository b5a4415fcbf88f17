"""A series as the forecaster reads it: one or many, with columns that are known beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longlag.errors import InputError
from longlag.forecasting.view import SeriesData

__all__ = ["Form", "read_many", "read_series", "with_future"]

Array = NDArray[np.float64]

_SIDE_BY_SIDE = 8  # series that see each other's past; more would drown each in the others

Form = Literal["one", "columns", "list", "table"]
"""How series were written: one (T,); the columns of (T, K); a list of (T_i,); or a table."""


def read_series(values: ArrayLike, what: str, *, largest: float = np.inf, missing: bool = False) -> Array:
    """Read (T,) or (T, K) numbers as (T, K) float64.

    Raises
    ------
    InputError
        If a value is no finite number (NaN is one where a value may be ``missing``) or larger than ``largest``, naming
        its step. ``what`` begins the sentence.
    """
    try:
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "biufO" or _holds_text(numbers):
            raise TypeError(f"dtype {numbers.dtype}")  # text that looks like a number is none, a complex number is two
        array = numbers.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} holds something that is not a number ({error}); expected numbers") from error
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.shape[1]:
        raise InputError(f"{what} has shape {np.shape(values)}; expected (steps,) or (steps, values)")
    bad = np.isinf(array) if missing else ~np.isfinite(array)
    if bad.any():
        step, column = np.argwhere(bad)[0]
        raise InputError(f"{what} is {array[step, column]} at step {step}, column {column}; expected finite numbers")
    large = np.abs(array) > largest
    if large.any():
        step, column = np.argwhere(large)[0]
        raise InputError(
            f"{what} is {array[step, column]} at step {step}, column {column}; expected at most {largest:g} in size"
        )
    return array


def read_many(y: Any, X: Any | None, *, largest: float = np.inf) -> tuple[Form, list[SeriesData]]:
    """Read one series (T,), K of them side by side (T, K), or a list of arrays (T_i,), with known columns ``X``.

    Series side by side each have the others as columns of the past. ``X`` is (T, E), the same for all, or for a list of
    series a list of (T_i, E).

    Raises
    ------
    InputError
        As ``read_series``; if there is no series, one has no steps, or X does not have a row for each step.
    """
    if _is_list(y):
        if not len(y):
            raise InputError("there are no series; expected at least one")
        series = [read_series(one, f"series {k}", largest=largest, missing=True) for k, one in enumerate(y)]
        for number, one in enumerate(series):
            if one.shape[1] != 1 or not len(one):
                raise InputError(f"series {number} has shape {one.shape}; expected at least one step of one value")
        columns = _columns(X, [len(one) for one in series], what="X")
        return "list", [SeriesData.of(one[:, 0], known) for one, known in zip(series, columns, strict=True)]
    table = read_series(y, "the series", largest=largest, missing=True)
    if not len(table):
        raise InputError("the series has 0 steps; expected at least one")
    (known,) = _columns(X, [len(table)], what="X")
    data = [
        SeriesData.of(one, known, np.delete(table, number, axis=1) if table.shape[1] <= _SIDE_BY_SIDE else None)
        for number, one in enumerate(table.T)
    ]
    return "one" if np.ndim(y) == 1 else "columns", data


def with_future(data: Sequence[SeriesData], X: Any | None, form: Form, horizon: int) -> list[SeriesData]:
    """The series with the known columns of the next ``horizon`` steps behind those of the past.

    Raises
    ------
    InputError
        If the model was fitted with known columns and there are none, or the other way round, or of another shape.
    """
    columns = data[0].known.shape[1]
    if (X is None) != (not columns):
        wanted = f"X with {horizon} rows of {columns} values" if columns else "no X"
        raise InputError(f"the model was fitted {'with' if columns else 'without'} X; expected {wanted}")
    if X is None:
        return list(data)
    futures = _columns(X, [horizon] * (len(data) if form == "list" else 1), what="X")
    futures = futures if form == "list" else futures * len(data)
    joined = []
    for one, future in zip(data, futures, strict=True):
        if future is None or future.shape[1] != columns:
            raise InputError(f"X has shape {np.shape(X)}; expected ({horizon}, {columns})")
        joined.append(one.knowing(future))
    return joined


def _columns(X: Any | None, lengths: Sequence[int], what: str) -> list[Array | None]:
    """Known columns for each series. InputError if a series has not as many rows of them as steps."""
    if X is None:
        return [None] * len(lengths)
    separate = _is_list(X)
    if separate and len(X) != len(lengths):
        raise InputError(f"{what} has columns for {len(X)} series; expected {len(lengths)}")
    tables = [read_series(one, what) for one in X] if separate else [read_series(X, what)] * len(lengths)
    for table, length in zip(tables, lengths, strict=True):
        if len(table) != length:
            raise InputError(f"{what} has {len(table)} rows; expected {length}, as many as the series has steps")
    return list(tables)


def _is_list(values: Any) -> bool:
    """Whether these are several series: a list of arrays, not of numbers or rows of numbers."""
    return isinstance(values, (list, tuple)) and (not len(values) or bool(getattr(values[0], "shape", ())))


def _holds_text(array: NDArray[Any]) -> bool:
    return array.dtype == object and any(isinstance(value, str) for value in array.flat)
