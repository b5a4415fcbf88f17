"""Tables whose rows are whole series, or whole years: one row for each step instead."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from longlag.panels.time_columns import TIME_NAMES
from longlag.tables.table import Table

__all__ = ["unfold"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
Unfolded = tuple[Table, str | None, str | None]
_LEAST = 6
"""Fewer columns than this may be anything."""


def unfold(table: Table) -> Unfolded:
    """The same values with a row for each step, where the columns of the table are its steps; else the table itself.

    Beside it the columns that then name the series and hold the times.

    - A column for each month beside one of years: columns month and value.
    - A column for each year beside names that differ: columns of the name, year and value.
    - Numbered columns (V1, V2, ...) beside names that differ and no time: columns of the name, step and value.

    What is missing before the first value of a series and after the last is left out, and so are rows without values.
    A note says what was done.
    """
    numbers = [name for name in table.names if table.kind(name) == "number"]
    years = [name for name in table.names if name.casefold() in ("year", "years") and name in numbers]
    months = [name for name in numbers if name[:3].casefold() in _MONTHS]
    if len(years) == 1 and [name[:3].casefold() for name in months] == list(_MONTHS):
        first = table.times(years[0])
        if first.dtype == "datetime64[Y]" and len(np.unique(first)) == len(first):
            return _of_months(table, years[0], months, first)
    named_years = [name for name in numbers if re.fullmatch(r"[12]\d\d\d", name)]
    numbered = [name for name in numbers if re.search(r"\d+$", name)]
    names = _names_of_rows(table) if len(numbered) >= _LEAST else None
    steps = np.array([int(name) for name in named_years])
    if names is not None and len(steps) >= _LEAST and (np.diff(steps) > 0).all():
        return _of_rows(table, names, named_years, "year", (steps - 1970).astype("datetime64[Y]"))
    has_time = any(name.casefold() in TIME_NAMES or table.kind(name) == "date" for name in table.names)
    stems = {re.sub(r"\d+$", "", name) for name in numbered}
    count = np.array([int(re.findall(r"\d+$", name)[0]) for name in numbered])
    if names is not None and not has_time and len(stems) == 1 and len(count) >= _LEAST and (np.diff(count) == 1).all():
        return _of_rows(table, names, numbered, "step", (count - count[0] + 1).astype(np.float64))
    return table, None, None


def _names_of_rows(table: Table) -> str | None:
    """The first column of words, none of which is missing or comes twice."""
    for name in table.names:
        if table.kind(name) == "text":
            words = table.columns[name].tolist()
            if len(set(words)) == len(words) and all(word.strip() for word in words):
                return name
    return None


def _of_months(table: Table, year: str, months: Sequence[str], first: NDArray[np.datetime64]) -> Unfolded:
    values = np.stack([table.columns[name] for name in months], axis=1)
    times = first.astype("datetime64[M]")[:, None] + np.arange(12).astype("timedelta64[M]")
    order = np.argsort(first)
    present = np.flatnonzero(np.isfinite(values[order].reshape(-1)))
    if not len(present):
        return table, None, None
    inside = slice(int(present[0]), int(present[-1]) + 1)
    long = _long(
        table,
        {"month": times[order].reshape(-1)[inside], "value": values[order].reshape(-1)[inside]},
        np.repeat(order, 12)[inside],
        f"columns {months[0]!r} to {months[-1]!r} are taken for the months of column {year!r}",
    )
    return long, None, "month"


def _of_rows(table: Table, names: str, columns: Sequence[str], time: str, times: NDArray[np.generic]) -> Unfolded:
    values = np.stack([table.columns[name] for name in columns], axis=1)
    present = np.isfinite(values)
    begun = np.maximum.accumulate(present, axis=1)
    unfinished = np.maximum.accumulate(present[:, ::-1], axis=1)[:, ::-1]
    row, column = np.nonzero(begun & unfinished)
    if not len(row):
        return table, None, None
    empty = int((~present.any(axis=1)).sum())
    left_out = f"; {empty} rows without any value are left out" if empty else ""
    others = [name for name in table.names if name != names and name not in columns]
    if others:
        left_out += f"; column{'s' * (len(others) > 1)} {', '.join(map(repr, others[:8]))} not used"
    long = _long(
        table,
        {names: table.columns[names][row], time: times[column], "value": values[row, column]},
        row,
        f"each row is taken for a series, whose steps are the columns {columns[0]!r} to {columns[-1]!r} and whose name "
        f"is in {names!r}{left_out}",
    )
    return long, names, time


def _long(table: Table, columns: dict[str, NDArray[np.generic]], rows: NDArray[np.intp], note: str) -> Table:
    written = {name: {} for name in columns}  # type: dict[str, dict[int, str]]
    return Table(columns, table.source, table.lines[rows], table.place, written, (*table.notes, note), table.form)
