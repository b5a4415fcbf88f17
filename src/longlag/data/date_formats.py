"""Dates and times in text: the forms that are known, one form for a whole column, and what a column leaves open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["READABLE", "DateColumn", "dates_in", "even", "looks_like_date"]

READABLE = (
    "an ISO date, or one such as 2012/01/31, 31.01.2012, 1/31/12, 31-Jan-2012, Jan 2012, 2012-01, 2012Q1, "
    "or any other with --date-format"
)
"""What can be read as a date, for messages."""

_MONTHS = dict(jan=1, feb=2, mar=3, apr=4, may=5, jun=6, jul=7, aug=8, sep=9, oct=10, nov=11, dec=12)

_TIME = (
    r"(?:(?:[T ]|,\s?)\s*(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s?(?P<half>[AaPp]\.?[Mm]\.?)?\s?(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?"
)
_YEAR = r"(?P<year>\d{4}|\d\d)"
_MONTH = (
    r"(?P<name>(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?))\.?"
)
_DAY = r"(?P<day>\d{1,2})"
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}\.?,?\s+)?"

_FORMS = tuple(
    re.compile(rf"\s*{form}\s*", re.ASCII)
    for form in (
        r"(?P<year>\d{4})-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2})" + _TIME + ")?",
        r"(?P<year>\d{4})(?P<mark>[/.])(?P<month>\d{1,2})(?P=mark)" + _DAY + _TIME,
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)[T ](?P<hour>\d\d):?(?P<minute>\d\d)(?::?(?P<second>\d\d)"
        r"(?:\.(?P<fraction>\d{1,9}))?)?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?",
        r"(?P<first>\d{1,2})(?P<mark>[/-])(?P<other>\d{1,2})(?P=mark)" + _YEAR + _TIME,
        _DAY + r"\.\s?(?P<month>\d{1,2})\.\s?" + _YEAR + _TIME,
        _WEEKDAY + _DAY + rf"(?:st|nd|rd|th)?\.?[-/ ]?{_MONTH}[-/ ]?(?:,\s)?" + _YEAR + _TIME,
        _WEEKDAY + rf"{_MONTH}[- ]{_DAY}(?:st|nd|rd|th)?,?[- ](?P<year>\d{{4}})" + _TIME,
        r"(?P<year>\d{4})[- /]" + _MONTH + "[- /]" + _DAY + _TIME,
        _MONTH + r"[-/ ,']{0,2}" + _YEAR,
        r"(?P<year>\d{4})[- /]?" + _MONTH,
        r"(?P<year>\d{4})(?:/|[- ]?[Mm])(?P<month>\d{1,2})",
        r"(?P<month>\d{1,2})[/-](?P<year>\d{4})",
        r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])",
        r"[Qq](?P<quarter>[1-4])[-/ ]?'?" + _YEAR,
        r"(?P<quarter>[1-4])[Qq][-/ ]?" + _YEAR,
    )
)


@dataclass(frozen=True, eq=False)
class DateColumn:
    """What the cells of a column are as dates.

    values : (rows,) datetime64 with NaT where a cell was to be left out; None where they are no dates
    note : what was decided by the whole column, else ""
    problem : the cell that is no date, or that leaves its reading open, and what was expected; else ""
    row : the row that ``problem`` is about
    """

    values: NDArray[np.datetime64] | None = None
    note: str = ""
    problem: str = ""
    row: int = 0


def looks_like_date(cell: str) -> bool:
    """Whether a cell has one of the known forms; the 31st of a shorter month looks like a date too."""
    return bool(cell.strip()) and any(form.fullmatch(cell) for form in _FORMS)


def dates_in(cells: Sequence[str], absent: frozenset[int], date_format: str | None = None) -> DateColumn:
    """The dates in a column of text, all of one form; rows in ``absent`` are left out.

    Days where no cell has a time, months where none has a day, else microseconds (nanoseconds where they are written).
    Times with an offset become UTC.
    """
    present = [row for row in range(len(cells)) if row not in absent] if absent else range(len(cells))
    if not present:
        return DateColumn()
    # A panel repeats its dates in every series: each is parsed once.
    number_of: dict[str, int] = {}
    numbers = [number_of.setdefault(cells[row], len(number_of)) for row in present]
    unique = list(number_of)
    parsed = _in_known_form(unique) if date_format is None else _in_format(unique, date_format)
    if parsed.values is None:
        return DateColumn(problem=parsed.problem, row=present[numbers.index(parsed.row)])
    values = np.full(len(cells), "NaT", dtype=parsed.values.dtype)
    values[np.asarray(present)] = parsed.values[np.asarray(numbers)]
    return DateColumn(values, parsed.note)


def even(dates: NDArray[Any]) -> bool:
    """Whether the different ones among dates follow each other by one step, of days or of months."""
    dates = np.unique(dates.astype("datetime64[D]"))
    if len(dates) < 3:
        return False
    months = dates.astype("datetime64[M]")
    same_day = len(np.unique(dates - months.astype("datetime64[D]"))) == 1
    return any(len(np.unique(np.diff(steps))) == 1 for steps in ((dates, months) if same_day else (dates,)))


def _in_format(cells: Sequence[str], date_format: str) -> DateColumn:
    moments: list[datetime] = []
    for row, cell in enumerate(cells):
        try:
            moments.append(datetime.strptime(cell.strip(), date_format))  # noqa: DTZ007
        except (ValueError, re.error):
            problem = f"the cell reads {_short(cell)}; expected a date of the form {date_format} (--date-format)"
            return DateColumn(problem=problem, row=row)
    if len({moment.tzinfo is None for moment in moments}) != 1:
        return DateColumn(problem=_MIXED_ZONES)
    if moments[0].tzinfo is not None:
        moments = [moment.astimezone(UTC).replace(tzinfo=None) for moment in moments]
    values = np.array(moments, dtype="datetime64[us]")
    return DateColumn(values if re.search("%[HIMSfpcXz]", date_format) else values.astype("datetime64[D]"))


_MIXED_ZONES = "some times of this column have an offset and some do not; expected one kind"


def _in_known_form(cells: Sequence[str]) -> DateColumn:
    """The dates of the first form that all cells have, each cell once."""
    failure = DateColumn(problem=_no_date(cells[0]))
    for form in _FORMS:
        if form.fullmatch(cells[0]) is None:
            continue
        matches = [form.fullmatch(cell) for cell in cells]
        column = _of_parts(cells, matches)
        if column.values is not None:
            return column
        if column.row >= failure.row:
            failure = column
    return failure


def _of_parts(cells: Sequence[str], matches: Sequence[re.Match[str] | None]) -> DateColumn:
    broken = next((row for row, match in enumerate(matches) if match is None), None)
    if broken is not None:
        cell = cells[broken]
        if not looks_like_date(cell):
            return DateColumn(problem=_no_date(cell), row=broken)
        problem = f"the cell reads {_short(cell)}; expected a date in the form of {_short(cells[0])} before it"
        return DateColumn(problem=problem, row=broken)
    parts: dict[str, list[str | None]] = {}
    for name, group in matches[0].re.groupindex.items():  # type: ignore[union-attr]
        parts[name] = [match[group] for match in matches]  # type: ignore[index]
    note = ""
    if any(len(year) == 2 for year in parts["year"] if year):
        note = "two-digit years are 1930 to 2029"
    years = np.array([_year(year) for year in parts["year"]], dtype=np.int64)
    if "first" in parts:
        return _of_two_orders(cells, parts, years, note)
    if "quarter" in parts:
        months = np.array([3 * int(quarter or 1) - 2 for quarter in parts["quarter"]], dtype=np.int64)
    elif "name" in parts:
        months = np.array([_MONTHS[(name or "")[:3].lower()] for name in parts["name"]], dtype=np.int64)
    else:
        months = _whole(parts["month"])
    return _of_numbers(cells, years, months, _whole(parts["day"], 1) if "day" in parts else None, parts, note)


def _of_two_orders(
    cells: Sequence[str], parts: dict[str, list[str | None]], years: NDArray[np.int64], note: str
) -> DateColumn:
    """Dates such as 1/2/12: the whole column decides what comes first, the day or the month."""
    first, other = _whole(parts["first"]), _whole(parts["other"])
    day_first = _of_numbers(cells, years, other, first, parts, note)
    month_first = _of_numbers(cells, years, first, other, parts, note)
    if day_first.values is not None and month_first.values is not None:
        if (day_first.values == month_first.values).all():
            return day_first
        evenly = even(day_first.values), even(month_first.values)
        if evenly[0] == evenly[1]:
            row = int(np.flatnonzero(day_first.values != month_first.values)[0])
            mark, year = parts["mark"][row], "%Y" if len(parts["year"][row] or "") == 4 else "%y"
            options = [mark.join((*order, year)) for order in (("%d", "%m"), ("%m", "%d"))] if mark else []
            return DateColumn(
                problem=f"the cell reads {_short(cells[row])}, which may be day/month or month/day, and the column "
                f"does not decide; expected --date-format {options[0]} or --date-format {options[1]}",
                row=row,
            )
        chosen, order = (day_first, "day") if evenly[0] else (month_first, "month")
    elif day_first.values is not None:
        chosen, order = day_first, "day"
    elif month_first.values is not None:
        chosen, order = month_first, "month"
    else:
        return max(day_first, month_first, key=lambda column: column.row)
    return DateColumn(chosen.values, f"the {order} comes first" + (f", {note}" if note else ""))


def _of_numbers(
    cells: Sequence[str],
    years: NDArray[np.int64],
    months: NDArray[np.int64],
    days: NDArray[np.int64] | None,
    parts: dict[str, list[str | None]],
    note: str,
) -> DateColumn:
    if ((months < 1) | (months > 12)).any():
        return _refused(cells, (months < 1) | (months > 12))
    month = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    if days is None or ("day" in parts and not any(parts["day"])):
        return DateColumn(month, note)
    date = month.astype("datetime64[D]") + (days - 1).astype("timedelta64[D]")
    wrong = (days < 1) | (date.astype("datetime64[M]") != month)
    if wrong.any():
        return _refused(cells, wrong)
    if not any(parts.get("hour", ())):
        return DateColumn(date, note)
    return _with_times(cells, date, parts, note)


def _refused(cells: Sequence[str], wrong: NDArray[np.bool_]) -> DateColumn:
    row = int(np.flatnonzero(wrong)[0])
    return DateColumn(problem=_no_date(cells[row]), row=row)


def _no_date(cell: str) -> str:
    return f"the cell reads {_short(cell)}; expected {READABLE}"


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


def _with_times(
    cells: Sequence[str], date: NDArray[np.datetime64], parts: dict[str, list[str | None]], note: str
) -> DateColumn:
    hours, minutes, seconds = (_whole(parts[name], 0) for name in ("hour", "minute", "second"))
    halves = [(half or "")[:1].lower() for half in parts.get("half", ())]
    if any(halves):
        in_halves = np.array([half != "" for half in halves])
        wrong = in_halves & ((hours < 1) | (hours > 12))
        hours = np.where(in_halves, hours % 12 + 12 * np.array([half == "p" for half in halves]), hours)
    else:
        wrong = np.zeros(len(hours), dtype=bool)
    wrong |= (hours * 3600 + minutes * 60 + seconds > 86400) | (minutes > 59) | (seconds > 59)  # 24:00 ends a day
    if wrong.any():
        return _refused(cells, wrong)
    fractions = parts["fraction"]
    digits = 9 if any(len(fraction or "") > 6 for fraction in fractions) else 6
    unit = "ns" if digits == 9 else "us"
    ticks = (hours * 3600 + minutes * 60 + seconds) * 10**digits
    if any(fractions):
        ticks = ticks + np.array([int((fraction or "0").ljust(digits, "0")) for fraction in fractions], dtype=np.int64)
    offsets = {zone: _offset(zone) for zone in set(parts["zone"])}
    if None in offsets and len(offsets) > 1:
        return DateColumn(problem=_MIXED_ZONES, row=0)
    if None not in offsets:
        ticks = ticks - np.array([offsets[zone] for zone in parts["zone"]], dtype=np.int64) * 60 * 10**digits
    values = date.astype(f"datetime64[{unit}]") + ticks.astype(f"timedelta64[{unit}]")
    return DateColumn(values, note)


def _offset(zone: str | None) -> int:
    """Minutes east of Greenwich."""
    if zone is None or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if zone[0] == "-" else 1)


def _whole(texts: Sequence[str | None], default: int = 0) -> NDArray[np.int64]:
    return np.array([default if text is None else int(text) for text in texts], dtype=np.int64)


def _year(text: str | None) -> int:
    """A year of two digits lies between 1930 and 2029, as in a spreadsheet."""
    year = int(text or 0)
    return year if text is None or len(text) == 4 else year + (1900 if year >= 30 else 2000)
