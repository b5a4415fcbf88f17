"""A panel of a table as the forecaster reads it: words as columns of their own, the calendar beside known columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.forecasting.view import SeriesData
from longlag.panels.calendar_features import calendar_features
from longlag.panels.categories import Categories
from longlag.panels.continuation import Continuation
from longlag.panels.panel import Panel
from longlag.tables.frames import is_frame, table_of_frame
from longlag.tables.table import Table

__all__ = ["future_of", "going_on", "is_table", "panel_of", "part_of", "series_in", "unread"]

Array = NDArray[np.float64]


def is_table(data: Any) -> bool:
    """Whether data have columns with names: a panel, a table, a data frame or series of one, a mapping."""
    return isinstance(data, (Panel, Table, dict)) or is_frame(data)


def panel_of(data: Any, **options: Any) -> Panel:
    """The panel in data that ``is_table``; the options are those of ``Panel.from_table``, and none of a panel."""
    if isinstance(data, Panel):
        roles = ("target", "time", "id", "known", "past", "static", "duplicates", "gaps")
        named = [name for name in roles if options.get(name) is not None]
        if named:
            raise InputError(f"{named[0]} was given beside a Panel, which has its columns; expected it in the Panel")
        return data
    given = {name: value for name, value in options.items() if value is not None}
    return Panel.from_table(data, **given) if isinstance(data, Table) else Panel.from_frame(data, **given)


def part_of(panel: Panel, first: Sequence[int], last: Sequence[int]) -> Panel:
    """The panel with steps ``first .. last - 1`` of each series."""
    spans = [slice(start, stop) for start, stop in zip(first, last, strict=True)]

    def cut(arrays: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        return tuple(array[span] for array, span in zip(arrays, spans, strict=True))

    return dataclasses.replace(
        panel, values=cut(panel.values), times=cut(panel.times), known=cut(panel.known), past=cut(panel.past)
    )


def series_in(panel: Panel, calendar: bool | str) -> list[SeriesData]:
    """The series of a panel; ``calendar`` is whether dates are read too, or the country whose holidays are."""
    known = [_columns(one, panel.roles.known, panel.categories) for one in panel.known]
    past = [_columns(one, panel.roles.past, panel.categories) for one in panel.past]
    if calendar:
        times = [_calendar(one, panel.continuation(), calendar) for one in panel.times]
        known = [np.hstack(pair) for pair in zip(known, times, strict=True)]
    static = _columns(panel.static, panel.roles.static, panel.categories)
    spread = static.std(axis=0)
    static = (static - static.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return [SeriesData(*parts) for parts in zip(panel.values, known, past, static, strict=True)]


def going_on(panel: Panel, before: Continuation) -> list[int]:
    """How many steps are missing between the last time of each series and the panel's first.

    Raises
    ------
    InputError
        If the series are others, or one does not begin after its last time.
    """
    if panel.ids != before.ids:
        raise InputError(f"the series are called {_listed(panel.ids)}; expected {_listed(before.ids)}, as in fit")
    if before.roles.time is None or before.frequency is None:
        return [0] * len(panel)
    missing = []
    for name, times, last in zip(panel.ids, panel.times, before.last, strict=True):
        if not len(times):
            missing.append(0)
            continue
        if not times[0] > last:
            raise InputError(f"series {name!r} begins at {times[0]}; expected it to go on after {last}")
        missing.append(int(before.frequency.positions(times[:1], np.asarray(last)[None])[0]) - 1)
    return missing


def unread(panel: Panel, before: Continuation, read: Sequence[Array]) -> tuple[Panel, list[int]]:
    """The rows of a panel after those that were read, and how many steps are missing between the two in each series.

    Rows up to the last time that was read were read, as were those that repeat all values of all series, ``read``,
    where there are no times.

    Raises
    ------
    InputError
        As ``going_on``.
    """
    lengths = [len(times) for times in panel.times]
    first = [0] * len(panel)
    if panel.ids != before.ids:
        pass  # which is refused below
    elif before.roles.time is not None:
        first = [int(np.sum(times <= last)) for times, last in zip(panel.times, before.last, strict=True)]
    elif all(
        len(values) >= len(old) and np.array_equal(values[: len(old)], old, equal_nan=True)
        for values, old in zip(panel.values, read, strict=True)
    ):
        first = [len(old) for old in read]
    rest = part_of(panel, first, lengths)
    return rest, going_on(rest, before)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def future_of(continuation: Continuation, X: Any | None, steps: int, calendar: bool | str) -> list[Array] | None:
    """The known columns of the next steps of each series, (steps, K) each; None where there are none.

    ``X`` is a table with rows for these steps, or None where no column but the calendar is known.
    """
    names = continuation.roles.known
    if (X is None) != (not names):
        wanted = f"the columns {', '.join(names)} of the next {steps} steps" if names else "none"
        raise InputError(f"the model was fitted {'with' if names else 'without'} known columns; expected {wanted}")
    parts: list[list[Array]] = []
    if X is not None:
        if not is_table(X) or isinstance(X, Panel):
            raise InputError("what is known of the next steps has no columns; expected a data frame, a Table or a dict")
        table = X if isinstance(X, Table) else _table(X)
        rows = continuation.known(table, steps)
        parts.append([_columns(one, names, continuation.categories) for one in rows])
    if calendar:
        parts.append([_calendar(times, continuation, calendar) for times in continuation.times(steps)])
    return [np.hstack(one) for one in zip(*parts, strict=True)] if parts else None


def _table(frame: Any) -> Table:
    return Table.from_arrays(frame, "the future") if isinstance(frame, dict) else table_of_frame(frame)[0]


def _columns(values: Array, names: Sequence[str], categories: Categories) -> Array:
    """Columns (T, K) of numbers and codes as (T, M): each word has a column of its own, 0 or 1; missing is the last."""
    columns = []
    for number, name in enumerate(names):
        column = values[:, number]
        if name in categories:
            columns += [(column == code).astype(np.float64) for code in range(len(categories[name]))]
        else:
            columns.append(_without_gaps(column))
    return np.stack(columns, axis=1) if columns else np.empty((len(values), 0))


def _without_gaps(column: Array) -> Array:
    """A column whose missing values are the last known one, and before all, the first; 0 where none is known."""
    known = np.isfinite(column)
    if known.all():
        return column
    if not known.any():
        return np.zeros_like(column)
    last = np.maximum.accumulate(np.where(known, np.arange(len(column)), -1))
    complete: Array = column[np.where(last < 0, int(np.argmax(known)), last)]
    return complete


def _calendar(times: NDArray[Any], continuation: Continuation, calendar: bool | str) -> Array:
    if continuation.frequency is None or times.dtype.kind != "M":
        raise InputError("the series has no dates at even steps; expected some, or no calendar")
    return calendar_features(times, continuation.frequency, calendar if isinstance(calendar, str) else None)
