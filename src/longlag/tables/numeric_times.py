"""Numbers that are times: years, decimal years, 20120101, and seconds since 1970, decided by a whole column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["times_in"]

_EPOCHS = ((1e8, 4.2e9, "s"), (2.5e11, 4.2e12, "ms"), (1e14, 4.2e15, "us"), (1e17, 4.2e18, "ns"))
"""From, below, unit since 1970: what lies in here is a moment between 1973 (1977 in milliseconds, so that 201201312359
is none) and 2103."""


def times_in(values: NDArray[Any]) -> NDArray[np.datetime64] | None:
    """The dates that a column of finite numbers (rows,) stands for when it holds times; None where it counts.

    Whole numbers from 1000 to 2999 are years. Numbers such as 20120131, 201201 and 20120131235959 are dates where each
    of them is one. Years with a fraction are months where all fractions are twelfths, as R prints them. Numbers as
    large as the seconds, milliseconds, microseconds or nanoseconds from 1970 to a moment after 1973 (milliseconds:
    after 1977) are those.
    """
    if not len(values):
        return None
    smallest, largest = float(values.min()), float(values.max())
    whole = values.dtype.kind in "iu" or bool((values == np.floor(values)).all())
    if smallest >= 1000 and largest < 3000:
        if whole:
            return (values.astype(np.int64) - 1970).astype("datetime64[Y]")
        return _decimal_years(values)
    if whole and smallest > -(2**62) and largest < 2**62:
        written = _written_dates(values.astype(np.int64), smallest, largest)
        if written is not None:
            return written
    for least, below, unit in _EPOCHS:
        if least <= smallest and largest < below:
            if whole:
                return values.astype(np.int64).astype(f"datetime64[{unit}]")
            if unit in ("s", "ms"):
                scale = 1e6 if unit == "s" else 1e3
                return np.round(values * scale).astype(np.int64).astype("datetime64[us]")
    return None


def _decimal_years(values: NDArray[np.float64]) -> NDArray[np.datetime64] | None:
    """Months, where every value is a twelfth of a year to the two or three digits that are printed."""
    months = np.round(values * 12)
    if (np.abs(values * 12 - months) > 0.065).any():  # 0.005 x 12, and a little for binary fractions
        return None
    return (months.astype(np.int64) - 1970 * 12).astype("datetime64[M]")


def _written_dates(values: NDArray[np.int64], smallest: float, largest: float) -> NDArray[np.datetime64] | None:
    """Dates whose digits were written without marks, from the year 1900 to 2099 (days: 1000 to 2999)."""
    if smallest >= 190001 and largest <= 209912:
        return _checked(values, None, None)
    if smallest >= 10000101 and largest <= 29991231:
        return _checked(values // 100, values % 100, None)
    for digits, clock in ((12, 10**4), (14, 10**6)):
        if 19 * 10 ** (digits - 2) <= smallest and largest < 21 * 10 ** (digits - 2):
            dates, clocks = values // clock, values % clock * (100 if digits == 12 else 1)
            return _checked(dates // 100, dates % 100, clocks)
    return None


def _checked(
    months: NDArray[np.int64], days: NDArray[np.int64] | None, clocks: NDArray[np.int64] | None
) -> NDArray[np.datetime64] | None:
    """Dates of yyyymm, dd and hhmmss; None where one of them is none."""
    number = months % 100
    if ((number < 1) | (number > 12)).any():
        return None
    month = ((months // 100 - 1970) * 12 + number - 1).astype("datetime64[M]")
    if days is None:
        return month
    date: NDArray[np.datetime64] = month.astype("datetime64[D]") + (days - 1).astype("timedelta64[D]")
    if (date.astype("datetime64[M]") != month).any():
        return None
    if clocks is None:
        return date
    hours, minutes, seconds = clocks // 10000, clocks // 100 % 100, clocks % 100
    ticks = hours * 3600 + minutes * 60 + seconds
    if ((ticks > 86400) | (minutes > 59) | (seconds > 59)).any():  # 24:00 ends a day
        return None
    clock = ticks.astype("timedelta64[s]")
    moments: NDArray[np.datetime64] = date.astype("datetime64[s]") + clock
    return moments
