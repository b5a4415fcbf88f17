"""Frequency: how the times of a series follow each other, which come next, and which seasons they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of, is_number, is_whole, shown, whole_number
from longlag.errors import InputError
from longlag.panels.spacing import MICROSECONDS, MONTHS, WEEKDAYS, infer_spacing, month_days

__all__ = ["Frequency"]

_DAY_NAMES = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_NAMES = {"Y": "yearly", "Q": "quarterly", "M": "monthly", "W": "weekly", "D": "daily", "B": "weekdays", "h": "hourly"}
_WORDS = {
    "Y": "year",
    "Q": "quarter",
    "M": "month",
    "W": "week",
    "D": "day",
    "B": "weekday",
    "h": "hour",
    "m": "minute",
    "s": "second",
    "ms": "millisecond",
    "us": "microsecond",
}
_SEASONS = {"Y": (1,), "Q": (4,), "M": (12,), "W": (52,), "D": (7,)}
_PERIODS = {"h": (24, 168), "m": (1440, 10080), "s": (60, 3600), "ms": (1000,)}
"""Units in a day and a week, an hour and so on, where a season of so many steps is to be expected."""


@dataclass(frozen=True)
class Frequency:
    """The step from one time to the next, as plain data: ``dataclasses.asdict`` and ``Frequency(**...)`` go by JSON.

    Parameters
    ----------
    unit : str or None
        "Y", "Q", "M", "W", "D", "B" (the days of the week that ``anchor`` names), "h", "m" (minutes), "s", "ms", "us";
        None where times are numbers.
    step : int or float
        Units from one time to the next, above 0; a whole number where there is a unit.
    anchor : str, int or None
        With "Y", "Q" and "M" the day of the month (31 is its last), "first weekday" or "last weekday"; None where times
        are months or years without a day. With "W" the day of the week, 0 for Monday, for ``name`` alone. With "B"
        seven digits, "1111100" for Monday to Friday.

    Raises
    ------
    InputError
        If the three do not belong together.
    """

    unit: str | None
    step: float = 1
    anchor: str | int | None = None

    def __post_init__(self) -> None:
        if self.unit is not None and (not isinstance(self.unit, str) or self.unit not in _WORDS):
            raise InputError(
                f"the unit of a frequency is {shown(self.unit)}; expected None or one of {', '.join(_WORDS)}"
            )
        if not (is_number(self.step) if self.unit is None else is_whole(self.step)) or not 0 < self.step < 2**40:
            raise InputError(
                f"the step of a frequency is {shown(self.step)}; expected a {'' if self.unit is None else 'whole '}"
                "number above 0"
            )
        if not _fits(self.unit, self.anchor):
            raise InputError(
                f"the anchor of a frequency in {shown(self.unit)} is {shown(self.anchor)}; expected what its unit has: "
                "a day of the month, a day of the week, the days of the week as seven digits, or None"
            )

    @classmethod
    def of(cls, times: NDArray[Any]) -> Self | None:
        """The frequency of times (T,), numbers or dates in any order, some of which may be missing.

        The most common step decides; None where the others are no multiples of it, or there are fewer than two times.

        Raises
        ------
        InputError
            If ``times`` is no array of numbers or dates (T,).
        """
        instance_of("times", times, np.ndarray, "an array of numbers or dates")
        if times.ndim != 1 or times.dtype.kind not in "iufM":
            raise InputError(f"times is {times.dtype} of shape {times.shape}; expected numbers or dates (T,)")
        return cls.of_sorted(np.unique(times), None)

    @classmethod
    def of_sorted(cls, times: NDArray[Any], starts: NDArray[np.intp] | None) -> Self | None:
        """As ``of`` for several series below each other, which begin at rows ``starts``; each increases."""
        together = np.ones(max(0, len(times) - 1), dtype=bool)
        if starts is not None:
            together[starts[1:] - 1] = False
        if np.isnat(times).any() if times.dtype.kind == "M" else not np.isfinite(times).all():
            return None
        spacing = infer_spacing(times, together)
        return None if spacing is None else cls(*spacing)

    def name(self) -> str:
        """The frequency in words: "monthly (month ends)", "every 30 minutes", "weekdays", "every 0.25"."""
        if self.unit is None:
            return f"every {_number(self.step)}"
        if self.unit == "B" and self.anchor not in (None, WEEKDAYS):
            days = ", ".join(name for name, used in zip(_DAY_NAMES, str(self.anchor), strict=True) if used == "1")
            return f"daily ({days})" if self.step == 1 else f"every {self.step} days ({days})"
        if self.step == 1:
            words = _NAMES.get(self.unit, f"every {_WORDS[self.unit]}")
        else:
            words = f"every {_number(self.step)} {_WORDS[self.unit]}s"
        if self.unit == "W" and isinstance(self.anchor, int):
            return f"{words} ({_DAY_NAMES[self.anchor]})"
        if self.unit in MONTHS and self.anchor is not None:
            place = {1: "month starts", 31: "month ends"}.get(self.anchor) if isinstance(self.anchor, int) else None
            place = place or (f"day {self.anchor}" if isinstance(self.anchor, int) else f"{self.anchor} of the month")
            return f"{words} ({place})"
        return words

    def seasons(self) -> tuple[int, ...]:
        """The steps of the seasons that this frequency may have, the likeliest first; empty where none is whole."""
        if self.unit is None:
            return ()
        if self.unit == "B":
            periods: tuple[int, ...] = (str(self.anchor or WEEKDAYS).count("1"),)
        else:
            periods = _SEASONS.get(self.unit) or _PERIODS.get(self.unit, ())
        if self.unit == "D" and self.step % 7 == 0:
            periods = (364,)
        whole = [int(period // self.step) for period in periods if period % self.step == 0 and period >= self.step]
        return tuple(dict.fromkeys(season for season in whole if season > 1)) or ((1,) if whole else ())

    def season(self) -> int | None:
        """The likeliest season in steps; 1 where there is none within a year, None where nothing is known of one."""
        return next(iter(self.seasons()), None)

    def after(self, last: Any, steps: int) -> NDArray[Any]:
        """The next ``steps`` times after ``last``, a number, a date or an ISO date: (steps,) of its kind.

        Raises
        ------
        InputError
            If ``last`` is of another kind, or a next time is beyond the year 9999.
        """
        return self.at(_time(last, self.unit), np.arange(1, whole_number("steps", steps, 0, 10**8) + 1))

    def at(self, origin: Any, steps: NDArray[np.int64]) -> NDArray[Any]:
        """The times that many steps after ``origin``; the two are broadcast, and the answer is of the origin's kind."""
        origin = np.asarray(origin)
        if self.unit is None or origin.dtype.kind != "M":
            return _rounded(origin + self.step * steps)
        count = np.asarray(steps * np.int64(self.step))
        kind = origin.dtype
        self._refuse_beyond(origin, int(count.max(initial=0)))
        if self.unit in MONTHS:
            months = origin.astype("datetime64[M]") + (MONTHS[self.unit] * count).astype("timedelta64[M]")
            if self.anchor is None or np.datetime_data(kind)[0] in ("M", "Y"):
                return _of_kind(months, kind)
            return _at_clock(month_days(months, self.anchor), origin)
        if self.unit == "B":
            mask = str(self.anchor or WEEKDAYS)
            days = np.busday_offset(origin.astype("datetime64[D]"), count, roll="backward", weekmask=mask)
            return _at_clock(days, origin)
        ticks = origin.astype("datetime64[us]") + (MICROSECONDS[self.unit] * count).astype("timedelta64[us]")
        return _of_kind(ticks, kind)

    def positions(self, times: NDArray[Any], origins: NDArray[Any]) -> NDArray[np.int64]:
        """The steps from ``origins`` to ``times``, of equal shape: the nearest whole number, or the month's."""
        step = int(self.step) if self.unit else self.step
        passed: NDArray[Any]
        if self.unit is None or times.dtype.kind != "M":
            passed = np.rint((times - origins) / step)
        elif self.unit in MONTHS:
            months = times.astype("datetime64[M]").astype(np.int64) - origins.astype("datetime64[M]").astype(np.int64)
            passed = months // (MONTHS[self.unit] * step)
        elif self.unit == "B":
            first, last = origins.astype("datetime64[D]"), times.astype("datetime64[D]")
            passed = np.busday_count(first, last, weekmask=str(self.anchor or WEEKDAYS)) // step
        else:
            ticks = (times.astype("datetime64[us]") - origins.astype("datetime64[us]")).astype(np.int64)
            passed = np.rint(ticks / (MICROSECONDS[self.unit] * step))
        return passed.astype(np.int64)

    def is_calendar(self) -> bool:
        """Whether the step is one of a calendar or a clock, so that a missing time is certain to be a gap."""
        if self.unit is None:
            return False
        if self.unit in ("m", "s"):
            return 60 % self.step == 0
        return self.unit in MONTHS or self.unit in ("W", "D", "B", "h")

    def _refuse_beyond(self, origin: NDArray[Any], count: int) -> None:
        """Refuse times beyond the year 9999, where ISO dates end and NumPy's arithmetic wraps around."""
        if not origin.size:
            return
        years = int(origin.astype("datetime64[Y]").astype(np.int64).max()) + 1970
        length = MONTHS.get(str(self.unit), 0) / 12 or MICROSECONDS.get(str(self.unit), MICROSECONDS["D"]) / 3.15e13
        if years + 1.5 * length * count >= 9999:
            raise InputError(
                f"{count} times ({self.name()}) after {origin.max()} end beyond the year 9999; expected fewer steps"
            )


def _fits(unit: str | None, anchor: Any) -> bool:
    if anchor is None:
        return unit not in ("B", "W")
    if unit in MONTHS:
        return anchor in ("first weekday", "last weekday") or (is_whole(anchor) and 1 <= anchor <= 31)
    if unit == "W":
        return is_whole(anchor) and 0 <= anchor <= 6
    return unit == "B" and isinstance(anchor, str) and len(anchor) == 7 and {"1"} <= set(anchor) <= {"0", "1"}


def _time(value: Any, unit: str | None) -> NDArray[Any]:
    """One time as an array of no dimensions: a number, or a date of the kind it was written as."""
    if isinstance(value, str) and value[:4].isdecimal():  # NumPy also reads "now" and "NaT"
        try:
            value = np.datetime64(value)
        except ValueError:
            raise InputError(f"the last time is {shown(value)}; expected an ISO date") from None
    if isinstance(value, np.datetime64) and unit is not None and not np.isnat(value):
        return np.asarray(value)
    if is_number(value) and unit in (None, "Y"):
        return np.asarray(value)
    raise InputError(f"the last time is {shown(value)}; expected {'a number' if unit is None else 'a date'}")


def _at_clock(days: NDArray[Any], origin: NDArray[Any]) -> NDArray[Any]:
    """Days at the origin's time of day, of its kind."""
    if np.datetime_data(origin.dtype)[0] == "D":
        return days
    return _of_kind(days + (origin - origin.astype("datetime64[D]")), origin.dtype)


def _of_kind(times: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    same: NDArray[Any] = times.astype(kind)
    return same


def _rounded(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers to twelve digits, whole where they all are: 0.1 + 0.2 is 0.3."""
    if values.dtype.kind == "f" and values.size:
        values = np.round(values, 11 - int(np.floor(np.log10(max(1e-300, np.abs(values).max())))))
    return values


def _number(value: float) -> str:
    return f"{value:.12g}"
