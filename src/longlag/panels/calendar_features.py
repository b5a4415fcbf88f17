"""The calendar as numbers: where in the day, week, month and year a time stands, and whether it is a holiday."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of, shown
from longlag.errors import InputError
from longlag.panels.calendar import Frequency
from longlag.panels.spacing import MICROSECONDS, weekdays_of
from longlag.tables.packages import require

__all__ = ["calendar_features", "calendar_names"]

_CYCLES = {
    "Q": ("year",),
    "M": ("year",),
    "W": ("month", "year"),
    "D": ("week", "month", "year"),
    "B": ("week", "month", "year"),
    "h": ("day", "week", "month", "year"),
    "m": ("hour", "day", "week", "month", "year"),
}
"""The cycles of which a step of this unit is a part."""


def calendar_names(frequency: Frequency, holidays: str | None = None) -> tuple[str, ...]:
    """What the columns of ``calendar_features`` are called."""
    names = [f"{cycle} {part}" for cycle in _cycles(frequency) for part in ("sine", "cosine")]
    weekend = ("weekend",) if _has_days(frequency) else ()
    return (*names, *weekend, *(() if holidays is None else ("holiday",)))


def calendar_features(times: NDArray[Any], frequency: Frequency, holidays: str | None = None) -> NDArray[np.float64]:
    """Where dates (T,) stand in the calendar, (T, K), K as ``calendar_names`` has it; all numbers are in -1..1.

    For each cycle, the hour to the year, that a step is a part of: sine and cosine of the share of it that has gone by,
    which are close where dates are close, over its end too. For steps of a day or less also 1 on Saturdays and Sundays,
    and on the public holidays of a country.

    Parameters
    ----------
    times : (T,) datetime64
    frequency : of the series
    holidays : a country, and a part of it if wanted, as the package "holidays" has them ("DE", "US-CA"); None: none

    Raises
    ------
    InputError
        If times are no dates, steps are a year or more, or the country or the package is not there.
    """
    instance_of("times", times, np.ndarray, "an array of dates")
    instance_of("frequency", frequency, Frequency, "a Frequency")
    if times.dtype.kind != "M" or times.ndim != 1:
        raise InputError(f"times are {times.dtype} of shape {times.shape}; expected dates (T,) for a calendar")
    columns = []
    for cycle in _cycles(frequency):
        angle = 2 * np.pi * _gone_by(times, cycle)
        columns += [np.sin(angle), np.cos(angle)]
    if _has_days(frequency):
        columns.append((weekdays_of(times) >= 5).astype(np.float64))
    if holidays is not None:
        columns.append(_holidays(times, frequency, holidays))
    return np.stack(columns, axis=1) if columns else np.empty((len(times), 0))


def _cycles(frequency: Frequency) -> tuple[str, ...]:
    if frequency.unit is None:
        raise InputError("the times of the series are numbers; expected dates for a calendar")
    return _CYCLES.get(frequency.unit, () if frequency.unit == "Y" else _CYCLES["m"])


def _has_days(frequency: Frequency) -> bool:
    """Whether a step lies within one day, and not on weekdays alone."""
    return frequency.unit not in ("Y", "Q", "M", "W", "B")


def _gone_by(times: NDArray[Any], cycle: str) -> NDArray[np.float64]:
    """The share of its cycle that has gone by at each time, in 0..1."""
    exact = times.astype("datetime64[us]").astype(np.int64)
    if cycle == "week":
        begins = times.astype("datetime64[D]").astype("datetime64[us]").astype(np.int64)
        return (weekdays_of(times) + (exact - begins) / MICROSECONDS["D"]) / 7.0
    unit = {"hour": "h", "day": "D", "month": "M", "year": "Y"}[cycle]
    number = times.astype(f"datetime64[{unit}]").astype(np.int64)
    begins, ends = (
        (number + end).astype(f"datetime64[{unit}]").astype("datetime64[us]").astype(np.int64) for end in (0, 1)
    )
    share: NDArray[np.float64] = (exact - begins) / (ends - begins)
    return share


def _holidays(times: NDArray[Any], frequency: Frequency, country: str) -> NDArray[np.float64]:
    """1 on the public holidays of a country, else 0."""
    instance_of("holidays", country, str, "the name of a country, such as 'DE' or 'US-CA'")
    if frequency.unit in ("Y", "Q", "M", "W"):
        raise InputError(f"times are {frequency.name()}; expected steps of a day or less for holidays")
    package = require("holidays", "tell public holidays")
    name, _, part = country.partition("-")
    days = times.astype("datetime64[D]")
    years = np.unique(times.astype("datetime64[Y]").astype(np.int64) + 1970).tolist()
    try:
        calendar = package.country_holidays(name, subdiv=part or None, years=years)
    except (NotImplementedError, AttributeError, TypeError) as error:
        raise InputError(
            f"holidays is {shown(country)}, which is no country that the package knows ({error}); expected one such as "
            "'DE' or 'US-CA'"
        ) from error
    unique, number = np.unique(days, return_inverse=True)
    free = np.array([float(day in calendar) for day in unique.tolist()])
    return free[number]
