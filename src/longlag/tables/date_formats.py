"""Dates and times in text: the forms that are known, one form for a whole column, and what a column leaves open."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.tables.date_writing import form_of_text
from longlag.tables.packages import require

__all__ = ["IN_UTC", "READABLE", "DateColumn", "dates_in", "looks_like_date"]

READABLE = (
    "an ISO date, or one such as 2012/01/31, 31.01.2012, 1/31/12, 31-Jan-2012, Jan 2012, 2012-01, 2012Q1, "
    "or any other with --date-format"
)
"""What can be read as a date, for messages."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

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
_WEEKDAY = r"(?:(?P<weekday>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6})\.?,?\s+)?"

_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)

# Python and Arrow understand these alike.
_FORMS = tuple(
    re.compile(rf"\s*{form}\s*", re.ASCII)
    for form in (
        r"(?P<year>\d{4})-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2})" + _TIME + ")?",
        r"(?P<year>\d{4})(?P<mark>[/.])(?P<month>\d{1,2})(?P<again>[/.])" + _DAY + _TIME,
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)[T ](?P<hour>\d\d):?(?P<minute>\d\d)(?::?(?P<second>\d\d)"
        r"(?:\.(?P<fraction>\d{1,9}))?)?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?",
        r"(?P<first>\d{1,2})(?P<mark>[/-])(?P<other>\d{1,2})(?P<again>[/-])" + _YEAR + _TIME,
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
    """What cells are as dates.

    values : (cells,) datetime64; None where they are no dates
    note : what was decided by the whole column, else ""
    problem : the cell that is no date, or that leaves its reading open, and what was expected; else ""
    row : the cell that ``problem`` is about
    undecided : whether they are dates that can be read in two ways
    form : how they are written, see ``write_dates``; None where no form gives them back
    """

    values: NDArray[np.datetime64] | None = None
    note: str = ""
    problem: str = ""
    row: int = 0
    undecided: bool = False
    form: str | None = None


def looks_like_date(cell: str) -> bool:
    """Whether a cell has one of the known forms; the 31st of a shorter month looks like a date too."""
    return bool(cell.strip()) and any(form.fullmatch(cell) for form in _FORMS)


def dates_in(cells: Any, date_format: str | None = None) -> DateColumn:
    """The dates in an Arrow array of text, all of one form: the given one, or one of those that are known.

    Days where no cell has a time, months where none has a day, else microseconds (nanoseconds where they are written).
    Times with an offset become UTC; where all are midnights, they are the days of their zone.
    """
    if not len(cells):
        return DateColumn()
    if date_format is not None:
        return _in_format(cells, date_format)
    first = cells[0].as_py()
    if _ISO.fullmatch(first):
        column = _in_iso_form(cells)
        if column.values is not None:
            return replace(column, form=form_of_text(cells, column.values, _FORMS[0]))
    failure = DateColumn(problem=_no_date(first))
    for form in _FORMS:
        if form.fullmatch(first) is None:
            continue
        column = _Parts(cells, form.pattern).dates()
        if column.values is not None:
            return replace(column, form=form_of_text(cells, column.values, form))
        if column.row >= failure.row:
            failure = column
    return failure


_ENOUGH = 5
"""Dates that are evenly spaced by chance are fewer than this."""


def _evenly_spaced(dates: NDArray[Any]) -> bool:
    """Whether the different ones among dates follow each other by one step, of days or of months."""
    dates = np.unique(dates.astype("datetime64[D]"))
    if len(dates) < _ENOUGH:
        return False
    months = dates.astype("datetime64[M]")
    same_day = len(np.unique(dates - months.astype("datetime64[D]"))) == 1
    return any(len(np.unique(np.diff(steps))) == 1 for steps in ((dates, months) if same_day else (dates,)))


def _in_iso_form(cells: Any) -> DateColumn:
    """Days or microseconds of cells that Arrow reads, ten times as fast as by their parts."""
    arrow, compute = require("pyarrow", "read tables"), require("pyarrow.compute", "read tables")
    try:
        moments = compute.cast(cells, arrow.timestamp("us"))
    except arrow.ArrowInvalid:
        return DateColumn()
    values: NDArray[np.datetime64] = moments.to_numpy(zero_copy_only=False)
    return DateColumn(
        values.astype("datetime64[D]") if compute.max(compute.utf8_length(cells)).as_py() == 10 else values
    )


def _in_format(cells: Any, date_format: str) -> DateColumn:
    """The dates of a form that the user gave. A panel repeats its dates in every series: each is read once."""
    compute = require("pyarrow.compute", "read tables")
    encoded = compute.dictionary_encode(cells)
    moments: list[datetime] = []
    for number, cell in enumerate(encoded.dictionary.to_pylist()):
        try:
            moments.append(datetime.strptime(cell.strip(), date_format))  # noqa: DTZ007
        except (ValueError, re.error):
            problem = f"the cell reads {_short(cell)}; expected a date of the form {date_format} (--date-format)"
            return DateColumn(problem=problem, row=int(np.flatnonzero(encoded.indices.to_numpy() == number)[0]))
    note = IN_UTC if any(moment.utcoffset() for moment in moments) else ""
    if moments[0].tzinfo is not None:
        moments = [moment.astimezone(UTC).replace(tzinfo=None) for moment in moments]
    values = np.array(moments, dtype="datetime64[us]")[encoded.indices.to_numpy()]
    values = values if re.search("%[HIMSfpcXz]", date_format) else values.astype("datetime64[D]")
    return DateColumn(values, note, form=form_of_text(cells, values, date_format))


IN_UTC = "times of a zone, read in UTC"
"""What is said of times that had an offset other than zero."""

_MIXED_ZONES = "some times of this column have an offset and some do not; expected one kind"


class _Parts:
    """The parts of the cells of a column that a form names: text, "" where a cell lacks one."""

    def __init__(self, cells: Any, pattern: str) -> None:
        self.cells = cells
        self.compute = require("pyarrow.compute", "read tables")
        self.struct = self.compute.extract_regex(cells, pattern=f"^{pattern}$")
        self.names = {field.name for field in self.struct.type}

    def dates(self) -> DateColumn:
        """The dates, or why there are none."""
        broken = np.asarray(self.struct.is_null().to_numpy(zero_copy_only=False), dtype=bool)
        if not broken.any() and "again" in self.names:
            same = self.compute.equal(self.text("mark"), self.text("again"))
            broken = ~np.asarray(same.to_numpy(zero_copy_only=False), dtype=bool)
        if broken.any():
            row = int(np.flatnonzero(broken)[0])
            cell, first = self.cells[row].as_py(), self.cells[0].as_py()
            if row == 0 or not looks_like_date(cell):
                return DateColumn(problem=_no_date(cell), row=row)
            problem = f"the cell reads {_short(cell)}; expected a date in the form of {_short(first)} before it"
            return DateColumn(problem=problem, row=row)
        years, note = self._years()
        if "first" in self.names:
            return self._of_two_orders(years, note)
        if "quarter" in self.names:
            months = 3 * self.whole("quarter") - 2
        elif "name" in self.names:
            arrow = require("pyarrow", "read tables")
            names = self.compute.utf8_slice_codeunits(self.compute.utf8_lower(self.text("name")), 0, 3)
            months = 1 + np.asarray(self.compute.index_in(names, value_set=arrow.array(_MONTHS)), dtype=np.int64)
        else:
            months = self.whole("month")
        days = self.whole("day", 1) if self.has("day") else None
        return self._of_numbers(years, months, days, note)

    def text(self, name: str) -> Any:
        """One part as an Arrow array."""
        return self.compute.struct_field(self.struct, name)

    def has(self, name: str) -> bool:
        """Whether some cell has this part."""
        return name in self.names and bool(self.compute.any(self.compute.not_equal(self.text(name), "")).as_py())

    def whole(self, name: str, default: int = 0) -> NDArray[np.int64]:
        """One part as whole numbers (cells,)."""
        text = self.text(name)
        text = self.compute.if_else(self.compute.equal(text, ""), str(default), text)
        return np.asarray(self.compute.cast(text, "int64"), dtype=np.int64)

    def _years(self) -> tuple[NDArray[np.int64], str]:
        """Years, and what was said of them: one of two digits lies between 1930 and 2029, as in a spreadsheet."""
        years = self.whole("year")
        short = np.asarray(self.compute.utf8_length(self.text("year"))) == 2
        if not short.any():
            return years, ""
        return years + short * np.where(years >= 30, 1900, 2000), "two-digit years are 1930 to 2029"

    def _of_two_orders(self, years: NDArray[np.int64], note: str) -> DateColumn:
        """Dates such as 1/2/12: the whole column decides what comes first, the day or the month."""
        first, other = self.whole("first"), self.whole("other")
        day_first = self._of_numbers(years, other, first, note)
        month_first = self._of_numbers(years, first, other, note)
        if day_first.values is not None and month_first.values is not None:
            differ = np.flatnonzero(day_first.values != month_first.values)
            if not len(differ):
                return day_first
            evenly = _evenly_spaced(day_first.values), _evenly_spaced(month_first.values)
            if evenly[0] == evenly[1]:
                return self._open(int(differ[0]))
            chosen, order = (day_first, "day") if evenly[0] else (month_first, "month")
        elif day_first.values is not None:
            chosen, order = day_first, "day"
        elif month_first.values is not None:
            chosen, order = month_first, "month"
        else:
            return max(day_first, month_first, key=lambda column: column.row)
        return DateColumn(chosen.values, f"the {order} comes first" + (f", {note}" if note else ""))

    def _open(self, row: int) -> DateColumn:
        """The refusal of a column that can be read in two ways."""
        mark, year = self.text("mark")[row].as_py(), "%Y" if len(self.text("year")[row].as_py()) == 4 else "%y"
        clock = {True: " %H:%M:%S" if self.has("second") else " %H:%M", False: ""}[self.has("hour")]
        day_first, month_first = (mark.join((*order, year)) + clock for order in (("%d", "%m"), ("%m", "%d")))
        return DateColumn(
            problem=f"the cell reads {_short(self.cells[row].as_py())}, which may be day/month or month/day, and the "
            f"column does not decide; expected --date-format '{day_first}' or --date-format '{month_first}'",
            row=row,
            undecided=True,
        )

    def _of_numbers(
        self, years: NDArray[np.int64], months: NDArray[np.int64], days: NDArray[np.int64] | None, note: str
    ) -> DateColumn:
        wrong = (months < 1) | (months > 12)
        if wrong.any():
            return self._refused(wrong)
        month = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
        if days is None:
            return DateColumn(month, note)
        date = month.astype("datetime64[D]") + (days - 1).astype("timedelta64[D]")
        wrong = date.astype("datetime64[M]") != month
        if wrong.any():
            return self._refused(wrong)
        return self._with_clock(date, note) if self.has("hour") else DateColumn(date, note)

    def _with_clock(self, date: NDArray[np.datetime64], note: str) -> DateColumn:
        hours, minutes, seconds = (self.whole(name) for name in ("hour", "minute", "second"))
        wrong = np.zeros(len(hours), dtype=bool)
        if self.has("half"):
            halves = self.compute.utf8_lower(self.text("half"))
            with_half = np.asarray(self.compute.not_equal(halves, ""), dtype=bool)
            late = np.asarray(self.compute.starts_with(halves, "p"), dtype=bool)
            wrong = with_half & ((hours < 1) | (hours > 12))
            hours = np.where(with_half, hours % 12 + 12 * late, hours)
        wrong |= (hours * 3600 + minutes * 60 + seconds > 86400) | (minutes > 59) | (seconds > 59)  # 24:00 ends a day
        if wrong.any():
            return self._refused(wrong)
        digits, unit = 6, "us"
        ticks = hours * 3600 + minutes * 60 + seconds
        if self.has("fraction"):
            fraction = self.text("fraction")
            if self.compute.max(self.compute.utf8_length(fraction)).as_py() > digits:
                digits, unit = 9, "ns"
            padded = self.compute.utf8_rpad(fraction, width=digits, padding="0")
            ticks = ticks * 10**digits + np.asarray(self.compute.cast(padded, "int64"), dtype=np.int64)
        else:
            ticks = ticks * 10**digits
        if self.has("zone"):
            encoded = self.compute.dictionary_encode(self.text("zone"))
            zones = encoded.dictionary.to_pylist()
            if "" in zones:
                return DateColumn(problem=_MIXED_ZONES)
            if not ticks.any():  # in UTC they would be an hour apart from themselves in summer, and in another month
                return DateColumn(date, note or "midnights of a time zone, read as its days")
            offsets = np.array([_offset(zone) for zone in zones], dtype=np.int64)
            if offsets.any():
                note = f"{note}, {IN_UTC}" if note else IN_UTC
            ticks = ticks - offsets[encoded.indices.to_numpy()] * 60 * 10**digits
        values = date.astype(f"datetime64[{unit}]") + ticks.astype(f"timedelta64[{unit}]")
        return DateColumn(values, note)

    def _refused(self, wrong: NDArray[np.bool_]) -> DateColumn:
        row = int(np.flatnonzero(wrong)[0])
        return DateColumn(problem=_no_date(self.cells[row].as_py()), row=row)


def _no_date(cell: str) -> str:
    return f"the cell reads {_short(cell)}; expected {READABLE}"


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


def _offset(zone: str) -> int:
    """Minutes east of Greenwich."""
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if zone[0] == "-" else 1)
