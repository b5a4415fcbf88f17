"""The times of a series: that they go on, and how to go on counting after the last one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data import Table
from longlag.errors import CheckpointError, InputError

__all__ = ["counting_on", "times_ahead", "times_of"]

_DAY = np.timedelta64(1, "D")


def times_of(table: Table, name: str) -> NDArray[Any]:
    """Column ``name`` as dates or numbers. InputError if a row's time does not come after the one before it."""
    times: NDArray[Any] = table.dates(name) if table.kind(name) == "date" else table.number(name)
    back = np.flatnonzero(times[1:] <= times[:-1])
    if len(back):
        row = int(back[0]) + 1
        raise InputError(
            f"{table.where(row, name)}: {times[row]} does not come after {times[row - 1]} in the row before; "
            "expected the rows of one series in time order"
        )
    return times


def counting_on(times: NDArray[Any] | None, rows: int) -> dict[str, Any] | None:
    """The last time and the step to the next, as plain data; None where times are not evenly spaced.

    Without times rows are counted from 1. Dates step by days, or by months (the same day of the month, or its last),
    dates with a time of day by microseconds.
    """
    if times is None:
        return {"last": rows, "step": 1, "unit": None}
    if len(times) < 2:
        return None
    if times.dtype.kind != "M":
        step = float(times[-1] - times[0]) / (len(times) - 1)
        even = np.allclose(np.diff(times), step, rtol=1e-6, atol=0)
        return {"last": float(times[-1]), "step": step, "unit": None} if even else None
    if times.dtype != "datetime64[M]" and (times == times.astype("datetime64[D]")).all():
        times = times.astype("datetime64[D]")
    unit = np.datetime_data(times.dtype)[0]
    steps = np.diff(times)
    if not (steps == steps[0]).all() and unit == "D":
        unit, steps = "M", np.diff(_months(times))
    if not (steps == steps[0]).all() or (unit == "M" and steps[0] == 0):
        return None
    return {"last": str(times[-1]), "step": int(steps[0].astype(np.int64)), "unit": unit}


def _months(days: NDArray[Any]) -> NDArray[Any]:
    """The month of each date if all stand on the same day of their month, or on its last; else no months at all."""
    for shift in (0 * _DAY, _DAY):
        months = (days + shift).astype("datetime64[M]")
        if len(set((days + shift - months).tolist())) == 1:
            return months
    return np.zeros(len(days), dtype="datetime64[M]")


def times_ahead(going_on: dict[str, Any] | None, steps: int) -> list[Any]:
    """The next ``steps`` times after what ``counting_on`` found: ISO dates, or numbers; 1, 2, ... after None."""
    if going_on is None:
        return list(range(1, steps + 1))
    try:
        last, step, unit = (going_on[name] for name in ("last", "step", "unit"))
        if unit is None:
            return [_short(last + step * ahead) for ahead in range(1, steps + 1)]
        jumps = step * np.arange(1, steps + 1)
        if unit != "M":
            return _written(np.datetime64(last, unit) + jumps.astype(f"timedelta64[{unit}]"))
        day = np.datetime64(last)
        if day.dtype == "datetime64[M]":
            return _written(day + jumps.astype("timedelta64[M]"))
        shift = _DAY if (day + _DAY).astype("datetime64[M]") != day.astype("datetime64[M]") else 0 * _DAY
        month = (day + shift).astype("datetime64[M]")
        into = day + shift - month.astype("datetime64[D]")
        return _written((month + jumps.astype("timedelta64[M]")).astype("datetime64[D]") + into - shift)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the run's next_times is damaged ({error}); expected what longlag fit writes") from error


def _written(times: NDArray[Any]) -> list[str]:
    if np.datetime_data(times.dtype)[0] == "us" and (times == times.astype("datetime64[s]")).all():
        times = times.astype("datetime64[s]")
    return [str(time) for time in times]


def _short(value: float) -> float | int:
    value = float(f"{value:.12g}")  # 0.1 + 0.2 is 0.3
    return int(value) if value.is_integer() else value
