"""Arrays and lists as the columns of one table: series below each other, with their names and times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of
from longlag.errors import InputError
from longlag.tables.table import Table

__all__ = ["table_of_series"]


def table_of_series(values: Any, times: Any, ids: Sequence[str] | None) -> Table:
    """A long table with the columns value, time where there are times, and series where there are several.

    Raises
    ------
    InputError
        If they are of another form, or their lengths differ.
    """
    if ids is not None:
        instance_of("ids", ids, Iterable, "the names of the series, or None")
    series = _arrays("values", values)
    names = tuple(str(number) for number in range(len(series))) if ids is None else tuple(map(str, ids))
    if len(names) != len(series) or len(set(names)) < len(names):
        raise InputError(f"ids are {len(names)} names for {len(series)} series; expected one of its own for each")
    lengths = [len(part) for part in series]
    columns: dict[str, Any] = {"value": np.concatenate(series)}
    if len(series) > 1 or ids is not None:
        columns["series"] = np.repeat(np.array(names, dtype=object), lengths)
    if times is not None:
        time_arrays = _arrays("times", times)
        time_arrays = time_arrays * len(series) if len(time_arrays) == 1 else time_arrays
        if [len(part) for part in time_arrays] != lengths:
            raise InputError(
                f"times have {_lengths([len(part) for part in time_arrays])} steps and values {_lengths(lengths)}; "
                "expected as many"
            )
        columns["time"] = np.concatenate(time_arrays)
    return Table.from_arrays(columns, "values")


def _arrays(name: str, values: Any) -> list[NDArray[Any]]:
    """Arrays (T,) from an array (T,), an array (T, N) or a list of arrays (T,)."""
    if isinstance(values, (list, tuple)) and values and all(np.ndim(part) == 1 for part in values):
        arrays = [np.asarray(part) for part in values]
    else:
        try:
            whole = np.asarray(values)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name} are no array ({error}); expected (T,), (T, N) or a list of (T,)") from error
        if whole.ndim not in (1, 2) or whole.dtype.kind not in "biufMO":
            raise InputError(
                f"{name} are {whole.dtype} of shape {whole.shape}; expected (T,), (T, N) or a list of (T,)"
            )
        arrays = [whole] if whole.ndim == 1 else list(whole.T)
    if not arrays or not all(len(part) for part in arrays):
        raise InputError(f"{name} have a series without steps; expected at least one step for each")
    return arrays


def _lengths(lengths: list[int]) -> str:
    shown = ", ".join(str(length) for length in lengths[:5])
    return shown if len(lengths) <= 5 else f"{shown}, ..."
