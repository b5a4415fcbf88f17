"""Rows of one or several series in the order of their times: sorted, one for each time, on a grid without gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.panels.calendar import Frequency
from longlag.panels.spacing import MONTHS, weekdays_of
from longlag.tables.table import Table

__all__ = ["Duplicates", "Gaps", "Grid", "OrderedRows", "order_rows", "shown_time", "to_grid"]

Duplicates = Literal["refuse", "mean", "last"]
Gaps = Literal["auto", "fill", "mask", "refuse", "ignore"]

_SPARSEST = 3
"""A calendar of which more than two thirds had to be put in is not what the rows follow."""


@dataclass(frozen=True, eq=False)
class OrderedRows:
    """The rows of a table, series by series and in time order; rows of one series and time are one step.

    rows : (T,) rows of the table, one for each step: the last of those that share it
    starts : (N,) the first step of each series
    times : (T,) of each step
    shared : (rows of the table,) the step of each row, in the table's order
    ids : (N,) what the series are called
    """

    rows: NDArray[np.intp]
    starts: NDArray[np.intp]
    times: NDArray[Any]
    shared: NDArray[np.intp]
    ids: tuple[str, ...]

    @property
    def series(self) -> NDArray[np.intp]:
        """The series of each step, (T,)."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    @property
    def lengths(self) -> NDArray[np.intp]:
        """The steps of each series, (N,)."""
        return np.diff(np.append(self.starts, len(self.rows)))

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (rows of the table,) of each step, (T,): the mean of those that are not missing."""
        if len(self.rows) == len(values):
            return values[self.rows]
        present = np.isfinite(values)
        total = np.bincount(self.shared, np.where(present, values, 0.0), len(self.rows))
        count = np.bincount(self.shared, present, len(self.rows))
        with np.errstate(invalid="ignore"):
            mean: NDArray[np.float64] = total / count
        return mean


def order_rows(
    table: Table,
    codes: NDArray[np.intp],
    ids: tuple[str, ...],
    times: NDArray[Any] | None,
    time_name: str | None,
    duplicates: Duplicates,
) -> tuple[OrderedRows, list[str]]:
    """Rows by series and time, and what was done to them, in sentences.

    ``codes`` is the series of each row. Without ``times`` the rows of a series follow each other as they stand.

    Raises
    ------
    InputError
        If two rows of a series have one time and duplicates are to be refused; names both.
    """
    notes: list[str] = []
    by_series = np.argsort(codes, kind="stable")
    if times is None:
        starts = np.flatnonzero(np.diff(codes[by_series], prepend=-1))
        lengths = np.diff(np.append(starts, len(codes)))
        count = np.arange(len(codes)) - np.repeat(starts, lengths) + 1
        return OrderedRows(by_series, starts, count, np.argsort(by_series), ids), notes
    order = _by_series_and_time(codes, times)
    moved = np.flatnonzero((codes[by_series][1:] == codes[by_series][:-1]) & _earlier(times[by_series]))
    if moved.size:
        row = by_series[moved[0] + 1]
        notes.append(
            f"rows were sorted by {time_name!r}: {table.place} {int(table.lines[row])} holds {shown_time(times[row])}, "
            f"after a later time in {table.place} {int(table.lines[by_series[moved[0]]])}"
        )
    code, time = codes[order], times[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (code[1:] != code[:-1]) | (time[1:] != time[:-1])
    step = np.cumsum(new) - 1
    twice = np.flatnonzero(~new)
    if twice.size:
        _refuse_or_note(table, order[twice[0] - 1 : twice[0] + 1], times, codes, ids, duplicates, twice.size, notes)
    shared = np.empty(len(order), dtype=np.intp)
    shared[order] = step
    last = np.append(np.flatnonzero(new)[1:] - 1, len(order) - 1)
    starts = np.flatnonzero(np.diff(code[new], prepend=-1))
    return OrderedRows(order[last], starts, time[new], shared, ids), notes


def _by_series_and_time(codes: NDArray[np.intp], times: NDArray[Any]) -> NDArray[np.intp]:
    """The rows by series, then time, equal ones as they stand: one sort of whole numbers where they have room."""
    if times.dtype.kind == "M" and len(times):
        since = (times - times.min()).astype(np.int64)
        span = int(since.max()) + 1
        if span * (int(codes.max()) + 1) < 2**62:
            return np.argsort(codes.astype(np.int64) * span + since, kind="stable")
    order: NDArray[np.intp] = np.lexsort((times, codes))
    return order


def _earlier(times: NDArray[Any]) -> NDArray[np.bool_]:
    earlier: NDArray[np.bool_] = times[1:] < times[:-1]
    return earlier


def _refuse_or_note(
    table: Table,
    rows: NDArray[np.intp],
    times: NDArray[Any],
    codes: NDArray[np.intp],
    ids: tuple[str, ...],
    duplicates: Duplicates,
    count: int,
    notes: list[str],
) -> None:
    """Refuse the first two rows of one time, or say what becomes of them."""
    first, second = int(rows[0]), int(rows[1])
    name = f" of series {ids[codes[second]]!r}" if len(ids) > 1 else ""
    what = f"{shown_time(times[second])}{name} stands in {table.place} {int(table.lines[first])} already"
    others = f" ({count} rows in all repeat a time)" if count > 1 else ""
    if duplicates == "refuse":
        clocks = ""
        if _is_clock_change(times[second]) and bool((times != times.astype("datetime64[D]")).any()):
            clocks = " (an hour comes twice where clocks are set back; an offset, as in 02:00+01:00, tells them apart)"
        raise InputError(
            f"{table.where(second)}: {what}{others}; expected one row for each time{clocks}, or --duplicates mean or "
            "last to merge them"
        )
    how = "their mean is taken" if duplicates == "mean" else "the last of them counts"
    notes.append(f"rows that repeat a time ({count}, first {table.place} {int(table.lines[second])}): {how}")


def _is_clock_change(time: Any) -> bool:
    """Whether clocks may be set back or forward at a time: early on a Sunday in spring or autumn."""
    if not isinstance(time, np.datetime64) or np.datetime_data(time.dtype)[0] in ("Y", "M", "D"):
        return False
    day = time.astype("datetime64[D]")
    month = int(day.astype("datetime64[M]").astype(np.int64)) % 12 + 1
    return bool(weekdays_of(day) == 6 and month in (3, 4, 9, 10, 11) and time - day <= np.timedelta64(3, "h"))


@dataclass(frozen=True, eq=False)
class Grid:
    """The steps of each series without gaps.

    slots : (T,) where each step of the rows stands among all
    starts : (N,) the first of each series
    times : (all,) of each
    size : how many there are
    """

    slots: NDArray[np.intp]
    starts: NDArray[np.intp]
    times: NDArray[Any]
    size: int

    def place(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (T, ...) of the rows' steps at all steps, NaN where there is no row."""
        if self.size == len(values):
            return values
        placed = np.full((self.size, *values.shape[1:]), np.nan)
        placed[self.slots] = values
        return placed

    def carry(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """As ``place``, but a step without a row has the value of the row before it."""
        row = np.zeros(self.size, dtype=np.intp)
        row[self.slots] = np.arange(len(self.slots))
        carried: NDArray[np.float64] = values[np.maximum.accumulate(row)]
        return carried


def to_grid(
    table: Table,
    rows: OrderedRows,
    frequency: Frequency | None,
    time_name: str | None,
    gaps: Gaps,
    *,
    maskable: bool = True,
) -> tuple[Grid, list[str]]:
    """The grid on which the rows stand, and a sentence where it has steps without a row.

    ``maskable`` is whether these may be missing values; otherwise "auto" refuses them.

    Raises
    ------
    InputError
        If there are gaps that the option refuses, or that no calendar makes certain; or two rows share a step.
    """
    own = Grid(np.arange(len(rows.rows)), rows.starts, rows.times, len(rows.rows))
    if frequency is None:
        if gaps in ("mask", "fill"):
            raise InputError(
                f"{table.source}, column {time_name!r}: no step fits the times, so there is no telling where one is "
                f"missing; expected even times for --gaps {gaps}, or --gaps ignore to take the rows as steps"
            )
        uneven = "are uneven" if rows.lengths.max() > 1 else "have no step, because there is one"
        return own, [f"times in {time_name!r} {uneven}: rows are taken as steps"]
    series, lengths = rows.series, rows.lengths
    position = frequency.positions(rows.times, np.repeat(rows.times[rows.starts], lengths))
    jump = np.diff(position, prepend=0)
    jump[rows.starts] = 1
    if gaps == "ignore" and jump.max(initial=1) > 1:
        return own, [f"{int((jump - 1).sum())} times are missing in {time_name!r}: rows are taken as steps"]
    if jump.min(initial=1) < 1:
        step = int(np.argmax(jump < 1))
        before, here = shown_time(rows.times[step - 1]), shown_time(rows.times[step])
        raise InputError(
            f"{table.where(int(rows.rows[step]), time_name)}: {here} is the same step as {before} in {table.place} "
            f"{int(table.lines[rows.rows[step - 1]])} ({frequency.name()}); expected one row for each"
        )
    notes = _near(rows, frequency, time_name, position)
    missing = int((jump - 1).sum())
    if not missing:
        return own, notes
    sizes = position[np.append(rows.starts[1:] - 1, len(position) - 1)] + 1
    size = int(sizes.sum())
    note = _gap(table, rows, frequency, time_name, gaps, jump, size, maskable)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    slots = starts[series] + position
    within = np.arange(size) - np.repeat(starts, sizes)
    times = frequency.at(np.repeat(rows.times[rows.starts], sizes), within).astype(rows.times.dtype)
    times[slots] = rows.times
    return Grid(slots, starts, times, size), [*notes, note]


def _near(rows: OrderedRows, frequency: Frequency, time_name: str | None, position: NDArray[np.int64]) -> list[str]:
    """A sentence if times are near the steps of their frequency only."""
    exact_days = frequency.unit in MONTHS and frequency.anchor in (None, 1, 31)
    if exact_days or frequency.unit in (None, "W", "D", "B"):  # days are exact, but for an hour of summer
        return []
    exact = frequency.at(np.repeat(rows.times[rows.starts], rows.lengths), position)
    off = np.flatnonzero(exact != rows.times)
    if not len(off):
        return []
    here, step = shown_time(rows.times[off[0]]), shown_time(exact[off[0]])
    return [
        f"times in {time_name!r} are near their steps ({frequency.name()}), not on them: {here} is taken for {step}"
    ]


def _gap(
    table: Table,
    rows: OrderedRows,
    frequency: Frequency,
    time_name: str | None,
    gaps: Gaps,
    jump: NDArray[np.int64],
    size: int,
    maskable: bool,
) -> str:
    """The sentence about the steps that are put in, if they may be."""
    step = int(np.argmax(jump > 1))
    missing = int((jump - 1).sum())
    series = f" of series {rows.ids[rows.series[step]]!r}" if len(rows.ids) > 1 else ""
    here, before = shown_time(rows.times[step]), shown_time(rows.times[step - 1])
    where = f"{here}{series} comes {int(jump[step])} steps after {before} ({frequency.name()})"
    certain = maskable and frequency.is_calendar() and size <= _SPARSEST * len(rows.rows)
    if gaps == "refuse" or (gaps == "auto" and not certain):
        others = f"; {missing} of {size} steps have no row" if missing > int(jump[step]) - 1 else ""
        expected = "every time" if gaps == "refuse" else f"every time, or --gaps {'mask, ' * maskable}fill or ignore"
        raise InputError(f"{table.where(int(rows.rows[step]), time_name)}: {where}{others}; expected {expected}")
    how = "carry the value before them on" if gaps == "fill" else "are missing values"
    forward = frequency.unit in ("h", "m") and _is_clock_change(rows.times[step])
    clocks = "; an hour is left out where clocks are set forward" if forward else ""
    return f"steps without a row ({missing} of {size}) {how}: {where}{clocks}"


def shown_time(time: Any) -> str:
    """A time in a sentence: without a time of day at midnight, and whole numbers without a point."""
    if isinstance(time, np.datetime64):
        for unit in ("D", "m", "s"):
            if np.datetime_data(time.dtype)[0] in ("Y", "M"):
                break
            if time == time.astype(f"datetime64[{unit}]"):
                return str(time.astype(f"datetime64[{unit}]"))
        return str(time)
    return f"{float(time):.12g}"
