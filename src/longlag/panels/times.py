"""The times of a series as one writes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of
from longlag.panels.calendar import Frequency
from longlag.tables.date_writing import write_dates

__all__ = ["written_times"]


def written_times(times: NDArray[Any], frequency: Frequency | None = None, form: str | None = None) -> list[Any]:
    """Times (T,) as one writes them: in the form that is known, or as ISO dates; or numbers.

    ISO dates have a time of day where the frequency has one, or without a frequency where one of them has one.
    """
    instance_of("times", times, np.ndarray, "an array of numbers or dates")
    if times.dtype.kind != "M":
        return [_short(float(time)) for time in times]
    if form is not None:
        return [_short(time) if isinstance(time, float) else time for time in write_dates(times, form)]
    days = times.astype("datetime64[D]")
    coarse = np.datetime_data(times.dtype)[0] in ("Y", "M")
    has_clock = frequency is not None and frequency.unit in ("h", "m", "s", "ms", "us")
    if not coarse and not has_clock and (days == times).all():
        times = days
    return _written(times)


def _written(times: NDArray[Any]) -> list[str]:
    if np.datetime_data(times.dtype)[0] in ("ms", "us", "ns") and (times == times.astype("datetime64[s]")).all():
        times = times.astype("datetime64[s]")
    return [str(time) for time in times]


def _short(value: float) -> float | int:
    value = float(f"{value:.12g}")  # 0.1 + 0.2 is 0.3
    return int(value) if value.is_integer() else value
