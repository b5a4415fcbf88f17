"""The column of times of a table, or the columns of years, months, days and hours that together are it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.tables.cells import is_missing
from longlag.tables.date_formats import looks_like_date
from longlag.tables.table import Table

__all__ = [
    "TIME_NAMES",
    "column_parts",
    "find_time",
    "is_part_of_time",
    "parts_of_times",
    "read_times",
    "repeated_times",
]

_SURE_NAMES = ("ds", "date", "datetime", "timestamp", "time", "year", "years")
TIME_NAMES = (*_SURE_NAMES, "quarter", "month", "week", "day", "hour", "period", "index", "t", "step")
"""Names of columns that may hold times, the surest first."""

_PARTS = {
    "year": ("year", "years", "yr", "yyyy"),
    "quarter": ("quarter", "qtr", "q"),
    "month": ("month", "mon", "mm", "mo", "mnth"),
    "day": ("day", "dd", "dom", "mday"),
    "hour": ("hour", "hr", "hh", "h"),
}
_RANGES = {"quarter": (1, 4), "month": (1, 12), "day": (1, 31), "hour": (0, 24)}
_FINER = {"Y": ("quarter", "month"), "M": ("day",), "D": ("hour",)}
"""What may refine times of this unit of NumPy's."""


def column_parts(table: Table, name: str) -> tuple[str, ...]:
    """The columns that a name stands for: one, or several with a + between them, as in year+month.

    Raises
    ------
    InputError
        If the table has no such columns.
    """
    if isinstance(name, str) and name not in table.columns and all(part in table.columns for part in name.split("+")):
        return tuple(name.split("+"))
    table.kind(name)  # refuses what is no column
    return (name,)


def read_times(table: Table, name: str) -> NDArray[Any]:
    """The times of the rows, (rows,), dates or numbers, from a column or several such as year+month or date+hour.

    Raises
    ------
    InputError
        If a cell is no time, named by its line, or columns do not make a time together.
    """
    first, *finer = column_parts(table, name)
    times = table.times(first)
    for column in finer:
        times = _refined(table, times, column, name)
    return times


def parts_of_times(times: NDArray[Any], name: str) -> dict[str, list[Any]]:
    """Dates (T,) as the cells of the columns that a name such as year+month stands for; {} where it is one column."""
    first, *finer = name.split("+")
    kinds = [next((part for part in _RANGES if column.casefold() in _PARTS[part]), None) for column in finer]
    if times.dtype.kind != "M" or not finer or None in kinds:
        return {}
    years, months, days = (times.astype(f"datetime64[{unit}]") for unit in ("Y", "M", "D"))
    month = (months - years.astype("datetime64[M]")).astype(np.int64) + 1
    numbers = {
        "quarter": (month + 2) // 3,
        "month": month,
        "day": (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
        "hour": (times - days).astype("timedelta64[h]").astype(np.int64),
    }
    whole = {"day": months, "hour": days}.get(str(kinds[0]))
    cells = [years.astype(np.int64) + 1970 if whole is None else whole.astype(str)]
    cells += [numbers[str(kind)] for kind in kinds]
    return {column: values.tolist() for column, values in zip((first, *finer), cells, strict=True)}


def find_time(table: Table, taken: set[str], id: str | None) -> str | None:
    """The column of times, or None: of dates, or of numbers under a name that says so. ``taken``: columns with a role.

    Raises
    ------
    InputError
        If several may be it: one question. If the one has a cell that is no time: named by its line.
    """
    free = [name for name in table.names if name not in taken]
    named = [name for wanted in TIME_NAMES for name in free if name.casefold() == wanted]
    # Whoever reads the times asks how dates are meant that can be read in two ways.
    dates = [name for name in free if table.undecided.get(name, table.kind(name)) == "date"]
    if not dates and table.form.date_format is not None:
        _refuse_other_dates(table, free)
    if len(dates) > 1:
        dates = [name for name in named if name in dates][:1] or dates
    if len(dates) > 1:
        listed = ", ".join(repr(name) for name in dates)
        raise InputError(f"{table.source} has {len(dates)} columns of dates, {listed}; expected --time and one of them")
    # Years come before what only counts; a column "month" may hold one of twelve and be no time at all.
    named.sort(key=lambda name: not _is_year(table, name))
    chosen = next(
        (name for name in dates or named if dates or name.casefold() in _SURE_NAMES or _counts(table, name, id)), None
    )
    return None if chosen is None else _with_finer(table, chosen, free)


def _refuse_other_dates(table: Table, free: Sequence[str]) -> None:
    """Refuse a column of dates that have another form than the one that was given, by the line of the first."""
    for name in free:
        cells = table.columns[name].tolist() if table.kind(name) == "text" else []
        if looks_like_date(next((cell for cell in cells if not is_missing(cell)), "")):
            table.dates(name)


def is_part_of_time(table: Table, name: str) -> bool:
    """Whether a column has the name and the numbers of quarters, months, days or hours."""
    part = next((part for part in _RANGES if name.casefold() in _PARTS[part]), None)
    if part is None or table.kind(name) != "number":
        return False
    least, most = _RANGES[part]
    column = table.columns[name]
    return bool(((column >= least) & (column <= most) & (column % 1 == 0)).all())


def repeated_times(times: NDArray[Any]) -> int:
    """How many rows have the time of an earlier row."""
    return len(times) - len(np.unique(times))


def _with_finer(table: Table, name: str, free: list[str]) -> str:
    """A column of times that repeat, with the columns beside it that tell them apart."""
    if table.kind(name) == "text":
        return name
    times, plain = table.times(name), name
    repeats = len(times)
    while times.dtype.kind == "M":
        unit = np.datetime_data(_coarsest(times).dtype)[0]
        parts = [names for part in _FINER.get(unit, ()) for names in _PARTS[part]]
        if not any(column.casefold() in parts for column in free):
            break
        repeats = min(repeats, repeated_times(times))
        if not repeats:
            break
        finer = (_try_refined(table, times, column, name) for column in free if column.casefold() in parts)
        refined = next((one for one in finer if one is not None), None)
        if refined is None:
            break
        # All days may lie in one month, so that a month alone tells nothing apart; a day after it does.
        times, name = refined
        if repeated_times(times) < repeats:
            repeats, plain = repeated_times(times), name
    return plain


def _try_refined(table: Table, times: NDArray[Any], column: str, name: str) -> tuple[NDArray[Any], str] | None:
    try:
        return _refined(table, times, column, name), f"{name}+{column}"
    except InputError:  # it holds something else: then it is no part of the time, and left for what it is
        return None


def _refined(table: Table, times: NDArray[Any], column: str, name: str) -> NDArray[Any]:
    """Times made finer by the numbers of a column: quarters or months of years, days of months, hours of days."""
    times = _coarsest(times)
    unit = np.datetime_data(times.dtype)[0] if times.dtype.kind == "M" else ""
    part = next((part for part in _FINER.get(unit, ()) if column.casefold() in _PARTS[part]), None)
    if part is None:
        raise InputError(
            f"{table.source}: {name!r} make no time together; expected columns such as year+month, year+quarter, "
            "year+month+day or date+hour, of these names"
        )
    numbers = table.number(column)
    least, most = _RANGES[part]
    wrong = np.flatnonzero((numbers < least) | (numbers > most) | (numbers % 1 != 0))
    if not len(wrong) and part == "day":
        days: NDArray[Any] = times.astype("datetime64[D]") + (numbers - 1).astype("timedelta64[D]")
        wrong = np.flatnonzero(days.astype("datetime64[M]") != times)
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"{table.where(row, column)}: {numbers[row]:g} is no {part} of {times[row]}; expected a whole number from "
            f"{least} to {most}"
        )
    whole = numbers.astype(np.int64)
    refined: NDArray[Any]
    if part == "day":
        refined = days
    elif part == "hour":
        refined = times.astype("datetime64[us]") + whole * np.timedelta64(3600, "s")
    else:
        months = (whole - 1) * (3 if part == "quarter" else 1)
        refined = times.astype("datetime64[M]") + months.astype("timedelta64[M]")
    return refined


def _coarsest(times: NDArray[Any]) -> NDArray[Any]:
    """Dates at midnight as days, whatever the unit they came in."""
    if times.dtype.kind == "M" and np.datetime_data(times.dtype)[0] not in ("Y", "M"):
        days = times.astype("datetime64[D]")
        return days if bool((days == times).all()) else times
    return times


def _is_year(table: Table, name: str) -> bool:
    column = table.columns[name]
    if column.dtype.kind != "f" or not np.isfinite(column).all():
        return column.dtype.kind == "M"
    return bool((column % 1 == 0).all() and column.min() >= 1000 and column.max() < 3000)


def _counts(table: Table, name: str, id: str | None) -> bool:
    """Whether a column holds numbers of which none comes twice, or none within a value of the column ``id``."""
    column = table.columns[name]
    if column.dtype.kind != "f" or not np.isfinite(column).all():
        return False
    if id is None:
        return repeated_times(column) == 0
    _, series = np.unique(table.columns[id].astype(str), return_inverse=True)
    pairs = set(zip(series.tolist(), column.tolist(), strict=True))
    return len(pairs) == len(column)
