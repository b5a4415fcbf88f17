"""The spacing of times: which unit and step the most common difference is a multiple of, and where in it they stand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MICROSECONDS", "MONTHS", "WEEKDAYS", "Spacing", "infer_spacing", "month_days", "weekdays_of"]

Spacing = tuple[str | None, float, str | int | None]
"""A unit, a step, and the anchor, as in ``longlag.panels.calendar.Frequency``."""

MONTHS = {"M": 1, "Q": 3, "Y": 12}
"""Months in the units of months."""

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
MICROSECONDS = {
    "W": 7 * _DAY,
    "D": _DAY,
    "h": 3600 * _SECOND,
    "m": 60 * _SECOND,
    "s": _SECOND,
    "ms": 1000,
    "us": 1,
}
"""Microseconds in the units of constant length, the longest first."""

WEEKDAYS = "1111100"
"""NumPy's weekmask of Monday to Friday."""

_PLAIN_STEPS = np.array([seconds * _SECOND for seconds in (1, 2, 5, 10, 15, 20, 30)])
_PLAIN_STEPS = np.concatenate([_PLAIN_STEPS, 60 * _PLAIN_STEPS, 3600 * _SECOND * np.array([1, 2, 3, 4, 6, 8, 12])])
"""Steps that a clock with jitter is taken to have: 1 second to 12 hours."""


def infer_spacing(times: NDArray[Any], together: NDArray[np.bool_]) -> Spacing | None:
    """The spacing of one or several series of increasing times; None where no step fits them all.

    Every difference has to be a multiple of the most common one, so missing times do not hide a spacing. Times of a
    clock may be up to a quarter of a step away from it, and days of months up to ten days.

    Parameters
    ----------
    times : (T,) numbers or dates, series below series
    together : (T - 1,) whether a time and the next one belong to the same series
    """
    if not together.any():
        return None
    if times.dtype.kind != "M":
        return _numbers(np.diff(times.astype(np.float64))[together])
    if np.datetime_data(times.dtype)[0] in ("Y", "M"):
        step = _common_step(np.diff(times.astype("datetime64[M]").astype(np.int64))[together])
        return None if step is None else _in_months(step, None)
    ticks = times.astype("datetime64[us]").astype(np.int64)
    steps = np.diff(ticks)[together]
    clock = ticks % _DAY
    # A day that begins at local midnight begins one hour earlier or later in UTC in half of the year.
    shift = (clock - clock[0] + _DAY // 2) % _DAY - _DAY // 2
    middle = clock[0] + (int(shift.min()) + int(shift.max())) // 2
    if steps.min() >= 20 * 3600 * _SECOND and np.abs(ticks % _DAY - clock[0]).max() == 0:
        return _days(ticks // _DAY, together)
    if steps.min() >= 20 * 3600 * _SECOND and shift.max() - shift.min() <= 3 * 3600 * _SECOND:
        return _days((ticks - middle + _DAY // 2) // _DAY, together)
    return _clock(ticks, steps, together)


def month_days(months: NDArray[Any], anchor: str | int) -> NDArray[Any]:
    """The day on which each month's time stands, datetime64[D]: a day of the month, or the last where it has less.

    ``anchor`` may also be "first weekday" or "last weekday", Monday to Friday.
    """
    first = months.astype("datetime64[D]")
    if anchor == "first weekday":
        return np.busday_offset(first, 0, roll="forward")
    last = (months + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    if anchor == "last weekday":
        return np.busday_offset(last, 0, roll="backward")
    days: NDArray[Any] = np.minimum(first + np.timedelta64(int(anchor) - 1, "D"), last)
    return days


def weekdays_of(days: NDArray[Any]) -> NDArray[np.int64]:
    """0 for Mondays to 6 for Sundays. ``days``: datetime64, or whole days since 1970."""
    return (days.astype("datetime64[D]").astype(np.int64) + 3) % 7


def _days(days: NDArray[np.int64], together: NDArray[np.bool_]) -> Spacing | None:
    """The spacing of dates, whole days since 1970."""
    steps = np.diff(days)[together]
    if steps.min() < 1:
        return None
    dates = days.astype("datetime64[D]")
    in_months = _month_spacing(dates, steps, together)
    if in_months is not None:
        return in_months
    step = _common_step(steps)
    if step is None:
        return None
    if step == 1:
        mask = _weekmask(days, steps, together)
        return ("D", 1, None) if mask is None else ("B", 1, mask)
    return ("D", step, None) if step % 7 else ("W", step // 7, int(weekdays_of(dates[:1])[0]))


def _month_spacing(dates: NDArray[Any], days: NDArray[np.int64], together: NDArray[np.bool_]) -> Spacing | None:
    """Months between dates, if no two of a series share one and they stand at about the same day of it."""
    months = dates.astype("datetime64[M]")
    steps = np.diff(months.astype(np.int64))[together]
    step = _common_step(steps)
    if step is None:
        return None
    day = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    anchors: list[str | int] = [31, int(day.max())]
    if len(dates) >= 3:
        anchors += ["first weekday", "last weekday"]
    for anchor in anchors:
        if (month_days(months, anchor) == dates).all():
            return _in_months(step, anchor)
    middle = int(np.median(day))
    constant = (days % _most_common(days) == 0).all()
    if constant or len(dates) < 4 or np.abs(day - middle).max() > 10 or np.mean(steps == step) < 0.5:
        return None
    return _in_months(step, middle)


def _in_months(step: int, anchor: str | int | None) -> Spacing:
    unit = next(unit for unit in ("Y", "Q", "M") if step % MONTHS[unit] == 0)
    if unit == "Q" and step != 3:
        unit = "M"
    return unit, step // MONTHS[unit], anchor


def _weekmask(days: NDArray[np.int64], steps: NDArray[np.int64], together: NDArray[np.bool_]) -> str | None:
    """The days of the week of a daily series that leaves some of them out; None where none is left out for certain.

    One weekend without rows, between days that have them, tells Monday to Friday; every other pattern has to leave its
    days out three times.
    """
    weekday = weekdays_of(days)
    seen = np.bincount(weekday, minlength=7) > 0
    start = days[:-1][together]
    short = steps <= 7  # what a longer gap leaves out tells nothing about days of the week
    first, last = start[short], (start + steps)[short] - 1
    passed = np.array([((last - day + 3) // 7 - (first - day + 3) // 7).sum() for day in range(7)])
    left_out = ~seen & (passed > 0)
    mask = "".join("0" if out else "1" for out in left_out)
    if not left_out.any() or passed[left_out].min() < (1 if mask == WEEKDAYS else 3):
        return None
    counted = np.busday_count(start.astype("datetime64[D]"), (start + steps).astype("datetime64[D]"), weekmask=mask)
    return mask if np.mean(counted == 1) >= 0.5 else None


def _clock(ticks: NDArray[np.int64], steps: NDArray[np.int64], together: NDArray[np.bool_]) -> Spacing | None:
    """The spacing of times of day, microseconds."""
    step = _common_step(steps)
    if step is None:
        typical = float(np.median(steps))
        step = int(_PLAIN_STEPS[np.argmin(np.abs(_PLAIN_STEPS - typical))])
        starts = np.concatenate([[0], np.flatnonzero(~together) + 1])
        since = ticks - np.repeat(ticks[starts], np.diff(np.append(starts, len(ticks))))
        number = np.rint(since / step)
        even = np.abs(since - number * step).max() <= step / 4 and np.diff(number)[together].min() >= 1
        if not even or abs(typical / step - 1) > 0.05:
            return None
    unit = next(unit for unit, length in MICROSECONDS.items() if step % length == 0)
    return unit, step // MICROSECONDS[unit], None


def _numbers(steps: NDArray[np.float64]) -> Spacing | None:
    if not np.isfinite(steps).all() or steps.min() <= 0:
        return None
    places = 9 - int(np.floor(np.log10(steps.max())))
    sizes, counts = np.unique(np.round(steps, places), return_counts=True)
    if sizes[0] <= 0:
        return None
    step = float(sizes[counts.argmax()])
    number = np.rint(steps / step)
    if np.abs(steps / step - number).max() > 1e-3 or number.min() < 1:
        whole = steps.astype(np.int64)
        divisor = None if (whole != steps).any() or steps.max() > 2**53 else _common_step(whole)
        return None if divisor is None else (None, divisor, None)
    exact = float(f"{steps.sum() / number.sum():.12g}")
    return None, int(exact) if exact.is_integer() else exact, None


def _common_step(steps: NDArray[np.int64]) -> int | None:
    """The most common step if all are multiples of it, else their common divisor if it fits half of the time."""
    if steps.min() < 1:
        return None
    step = _most_common(steps)
    if (steps % step == 0).all():
        return step
    divisor = int(np.gcd.reduce(steps))
    return divisor if 2 * len(steps) * divisor >= steps.sum() else None


def _most_common(steps: NDArray[np.int64]) -> int:
    sizes, counts = np.unique(steps, return_counts=True)
    return int(sizes[counts.argmax()])
