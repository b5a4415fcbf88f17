"""The times of a series: that each comes after the one before, and which ones follow the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of, is_number, is_whole, shown
from longlag.errors import InputError
from longlag.panels.calendar import Frequency
from longlag.panels.spacing import month_days
from longlag.tables.date_writing import write_dates
from longlag.tables.table import Table

__all__ = ["EvenTimes", "times_of", "written_times"]

_DAY = np.timedelta64(1, "D")
_UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns")
"""NumPy's units of dates."""


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


def times_of(table: Table, name: str) -> NDArray[Any]:
    """Column ``name`` as dates or numbers, (rows,).

    Raises
    ------
    InputError
        If a cell is neither, or a row's time does not come after the one before it; names the line.
    """
    instance_of("table", table, Table, "a Table")
    times = table.times(name)
    if times.dtype == "datetime64[Y]":  # years stand in forecasts as the numbers that they are
        times = table.number(name)
    back = np.flatnonzero(times[1:] <= times[:-1])
    if len(back):
        row = int(back[0]) + 1
        raise InputError(
            f"{table.where(row, name)}: {times[row]} does not come after {times[row - 1]} in the row before; "
            "expected the rows of one series in time order"
        )
    return times


@dataclass(frozen=True)
class EvenTimes:
    """Evenly spaced times, as plain data: the last of them and the step, from which the next ones follow.

    Parameters
    ----------
    last : float, int or str
        The last time: a number, or an ISO date.
    step : float or int
        From one time to the next, in ``unit``.
    unit : str or None
        None for numbers; for dates NumPy's unit. A step in months ("M") leads to the same day of the month, or to its
        last day where the times stand there.

    Raises
    ------
    InputError
        If the three do not belong together.
    """

    last: float | str
    step: float
    unit: str | None

    def __post_init__(self) -> None:
        if self.unit is None:
            fits = is_number(self.last) and is_number(self.step)
        else:
            # NumPy also reads "now" and "NaT", which are no times of a series.
            written = isinstance(self.last, str) and self.last[:4].isdecimal()
            fits = written and is_whole(self.step) and self.unit in _UNITS
        if not fits:
            raise InputError(
                f"the last time is {shown(self.last)}, the step {shown(self.step)} and its unit {shown(self.unit)}; "
                "expected two numbers and None, or an ISO date, a whole number and a unit of dates"
            )
        self.after(1)

    @classmethod
    def of(cls, times: NDArray[Any]) -> Self | None:
        """The spacing of times (T,), numbers or dates; None where they are not evenly spaced, or fewer than two.

        Dates step by days, or by months (the same day of the month, or its last), dates with a time of day by
        microseconds.
        """
        instance_of("times", times, np.ndarray, "an array of numbers or dates")
        if times.ndim != 1 or times.dtype.kind not in "iufM":
            raise InputError(f"times is {times.dtype} of shape {times.shape}; expected numbers or dates (T,)")
        if len(times) < 2:
            return None
        if times.dtype.kind != "M":
            step = float(times[-1] - times[0]) / (len(times) - 1)
            even = np.allclose(np.diff(times), step, rtol=1e-6, atol=0)
            return cls(float(times[-1]), step, None) if even else None
        if times.dtype != "datetime64[M]" and (times == times.astype("datetime64[D]")).all():
            times = times.astype("datetime64[D]")
        unit = np.datetime_data(times.dtype)[0]
        steps = np.diff(times)
        if not (steps == steps[0]).all() and unit == "D":
            unit, steps = "M", np.diff(_months(times))
        if not (steps == steps[0]).all() or (unit == "M" and steps[0] == 0):
            return None
        return cls(str(times[-1]), int(steps[0].astype(np.int64)), unit)

    def after(self, steps: int) -> list[Any]:
        """The next ``steps`` times after the last: numbers, or ISO dates.

        Raises
        ------
        InputError
            If the last time is no date, or a next one is beyond the calendar.
        """
        if self.unit is None:
            return [_short(float(self.last) + self.step * ahead) for ahead in range(1, steps + 1)]
        try:
            jumps = int(self.step) * np.arange(1, steps + 1)
            if self.unit != "M":
                last = np.array(self.last, dtype=f"datetime64[{self.unit}]")
                return _written(last + jumps.astype(f"timedelta64[{self.unit}]"))
            day = np.datetime64(str(self.last))
            if day.dtype == "datetime64[M]":
                return _written(day + jumps.astype("timedelta64[M]"))
            month = day.astype("datetime64[M]")
            number = int((day - month.astype("datetime64[D]")).astype(np.int64)) + 1
            is_last = (day + _DAY).astype("datetime64[M]") != month
            months = month + jumps.astype("timedelta64[M]")
            return _written(month_days(months, 31 if is_last else number))
        except (ArithmeticError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.step} {self.unit} after {shown(self.last)} is no date ({error}); expected an ISO date first"
            ) from error


def _months(days: NDArray[Any]) -> NDArray[Any]:
    """The month of each date if all stand on the same day of their month, or on its last; else no months at all."""
    for shift in (0 * _DAY, _DAY):
        months = (days + shift).astype("datetime64[M]")
        if len(set((days + shift - months).tolist())) == 1:
            return months
    return np.zeros(len(days), dtype="datetime64[M]")


def _written(times: NDArray[Any]) -> list[str]:
    if np.datetime_data(times.dtype)[0] in ("ms", "us", "ns") and (times == times.astype("datetime64[s]")).all():
        times = times.astype("datetime64[s]")
    return [str(time) for time in times]


def _short(value: float) -> float | int:
    value = float(f"{value:.12g}")  # 0.1 + 0.2 is 0.3
    return int(value) if value.is_integer() else value
