"""Panel: one or several series of a table, each in the order of its times and without gaps in its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of, one_of, whole_number
from longlag.errors import InputError
from longlag.panels.calendar import Frequency
from longlag.panels.categories import Categories, learn_categories
from longlag.panels.continuation import Continuation
from longlag.panels.id_columns import series_codes
from longlag.panels.roles import Roles, find_roles
from longlag.panels.rows import Duplicates, Gaps, order_rows, to_grid
from longlag.panels.series_arrays import table_of_series
from longlag.panels.series_columns import SeriesColumns
from longlag.panels.time_columns import read_times
from longlag.panels.unfolding import unfold
from longlag.tables.frames import FrameKind, is_frame, table_of_frame
from longlag.tables.table import Table

__all__ = ["Panel", "PanelOptions"]

Array = NDArray[np.float64]


class PanelOptions(TypedDict, total=False):
    """The options of ``Panel.from_table``."""

    target: str | Sequence[str] | None
    time: str | None
    id: str | None
    known: Sequence[str]
    past: Sequence[str]
    static: Sequence[str]
    duplicates: Duplicates
    gaps: Gaps
    frequency: Frequency | None
    categories: Categories | None


@dataclass(frozen=True, eq=False)
class Panel:
    """Series i of N has T_i steps, from its first time to its last.

    Parameters
    ----------
    ids : (N,) what the series are called: cells of the id column, or the target where there is none.
    values : N arrays (T_i,) float64, NaN where a value is missing or there is no row.
    times : N arrays (T_i,) of numbers or dates; 1, 2, ... where there is no column of times.
    frequency : how the times follow each other, or None where they are uneven.
    known, past : N arrays (T_i, K) of the columns known in the future, and up to now alone; NaN is missing.
    static : (N, S) of the columns that are constant for a series.
    roles : which columns these are.
    categories : the words of the columns that hold words; their places are the codes.
    notes : a sentence for each thing that was understood or done without being told, by the reader of a file too.
    kind : the kind of data frame that the series came from, or None.
    time_form : how the column of times is written, see ``tables.date_writing.write_dates``, or None.
    """

    ids: tuple[str, ...]
    values: tuple[Array, ...]
    times: tuple[NDArray[Any], ...]
    frequency: Frequency | None
    known: tuple[Array, ...]
    past: tuple[Array, ...]
    static: Array
    roles: Roles
    categories: Categories
    notes: tuple[str, ...] = ()
    kind: FrameKind | None = None
    time_form: str | None = None

    def __len__(self) -> int:
        """The number of series N."""
        return len(self.ids)

    @classmethod
    def from_table(
        cls,
        table: Table,
        *,
        target: str | Sequence[str] | None = None,
        time: str | None = None,
        id: str | None = None,
        known: Sequence[str] = (),
        past: Sequence[str] = (),
        static: Sequence[str] = (),
        duplicates: Duplicates = "refuse",
        gaps: Gaps = "auto",
        frequency: Frequency | None = None,
        categories: Categories | None = None,
    ) -> Panel:
        """The series of a table, its rows in any order.

        Parameters
        ----------
        target : the column to forecast, or several for a series each; None: the only one that it can be.
        time, id : the columns of times, and of what series a row belongs to; None: found where that is plain.
        known, past, static : further columns, of numbers or words.
        duplicates : whether rows of one series and time are refused, replaced by their mean (of words the last), or
            the last of them in the table counts.
        gaps : what becomes of steps without a row. "mask": missing values; "fill": the row before is carried on;
            "refuse"; "ignore": none are put in, rows are steps; "auto": "mask" if a calendar makes the gaps certain.
        frequency : of all the times; None infers it.
        categories : the words of columns, where they were learned before.

        Raises
        ------
        InputError
            If a column is missing, ambiguous or unusable, or times repeat or have gaps that are not allowed: named by
            line and column, or one question.
        """
        one_of("duplicates", duplicates, ("refuse", "mean", "last"))
        one_of("gaps", gaps, ("auto", "fill", "mask", "refuse", "ignore"))
        if frequency is not None:
            instance_of("frequency", frequency, Frequency, "a Frequency, or None to infer it")
        if categories is not None:
            instance_of("categories", categories, Mapping, "words by column, or None to learn them")
        instance_of("table", table, Table, "a Table")
        if not _has_columns(table, target):
            table, series_name, step_name = unfold(table)
            id, time = id or series_name, time or step_name
        roles, notes = find_roles(table, target=target, time=time, id=id, known=known, past=past, static=static)
        notes = [*table.notes, *notes]
        codes, ids = series_codes(table, roles.id)
        times = None if roles.time is None else read_times(table, roles.time)
        rows, row_notes = order_rows(table, codes, ids, times, roles.time, duplicates)
        notes += row_notes
        if roles.time is None:
            frequency = Frequency(None, 1)
        elif frequency is None:
            frequency = Frequency.of_sorted(rows.times, rows.starts)
            if frequency is not None:
                how = f"go up by {frequency.step:.12g}" if frequency.unit is None else f"are {frequency.name()}"
                notes.append(f"times in {roles.time!r} {how}")
        grid, grid_notes = to_grid(table, rows, frequency, roles.time, gaps)
        notes += grid_notes
        if categories is None:
            categories = learn_categories(table, (*roles.known, *roles.past, *roles.static))
        reader = SeriesColumns(table, rows, grid, categories, duplicates, gaps == "fill")
        series = [reader.target(name) for name in roles.target]
        bounds = grid.starts[1:]
        whole = cls(
            _ids(ids, roles),
            tuple(
                part for parts in zip(*(np.split(column, bounds) for column in series), strict=True) for part in parts
            ),
            _repeated(np.split(grid.times, bounds), len(series)),
            frequency,
            _repeated(np.split(reader.columns(roles.known), bounds), len(series)),
            _repeated(np.split(reader.columns(roles.past), bounds), len(series)),
            np.repeat(reader.constants(roles.static), len(series), axis=0),
            roles,
            categories,
            tuple(notes),
            time_form=None if roles.time is None or roles.time not in table.columns else table.time_form(roles.time),
        )
        whole._refuse_empty(table)
        return whole if len(roles.target) == 1 else whole._without_padding()

    @classmethod
    def from_arrays(
        cls,
        values: Any,
        times: Any = None,
        *,
        ids: Sequence[str] | None = None,
        duplicates: Duplicates = "refuse",
        gaps: Gaps = "auto",
    ) -> Panel:
        """One series from an array or list (T,), several from a list of them or the columns of an array (T, N).

        ``times`` are numbers or dates: one array for all series, or a list of one for each; None counts the steps.
        ``ids`` are the names of the series. The rest as for ``from_table``.

        Raises
        ------
        InputError
            If lengths differ, values are no numbers, or as for ``from_table``; steps are counted from 1.
        """
        table = table_of_series(values, times, ids)
        has_names = "series" in table.names
        panel = cls.from_table(
            table,
            target="value",
            time="time" if "time" in table.names else None,
            id="series" if has_names else None,
            duplicates=duplicates,
            gaps=gaps,
        )
        place = {name: number for number, name in enumerate(panel.ids)}
        order = [place[name] for name in dict.fromkeys(table.text("series"))] if has_names else [0]
        return panel.select(order)

    @classmethod
    def from_frame(cls, data: Any, **options: Unpack[PanelOptions]) -> Panel:
        """The series of a frame or series of pandas, Polars or Arrow, a mapping of columns, or of arrays.

        A pandas index is a column too. Arrays are read as by ``from_arrays``, everything else as by ``from_table``,
        whose options these are. ``Continuation.frame`` answers with a frame of the same kind.

        Raises
        ------
        InputError
            As ``from_table`` does, or if it is none of these.
        """
        if isinstance(data, Mapping):
            return cls.from_table(Table.from_arrays(data, "the data"), **options)
        if is_frame(data):
            table, kind = table_of_frame(data)
            return replace(cls.from_table(table, **options), kind=kind)
        unused = sorted(set(options) - {"duplicates", "gaps"})
        if unused:
            raise InputError(f"{unused[0]} was given, but the data have no columns; expected a frame or a mapping")
        return cls.from_arrays(data, duplicates=options.get("duplicates", "refuse"), gaps=options.get("gaps", "auto"))

    def select(self, series: Sequence[int]) -> Panel:
        """The series of these numbers, 0 to N - 1, in this order."""
        chosen = [whole_number("the number of a series", number, 0, len(self) - 1) for number in series]
        return replace(
            self,
            ids=tuple(self.ids[number] for number in chosen),
            values=tuple(self.values[number] for number in chosen),
            times=tuple(self.times[number] for number in chosen),
            known=tuple(self.known[number] for number in chosen),
            past=tuple(self.past[number] for number in chosen),
            static=self.static[chosen],
        )

    def continuation(self) -> Continuation:
        """Where the series go on: their last times, and what is known of their table."""
        last = np.stack([times[-1] for times in self.times])
        return Continuation(self.ids, last, self.frequency, self.roles, self.categories, self.kind, self.time_form)

    def after(self, steps: int) -> tuple[NDArray[Any], ...]:
        """The next ``steps`` times of each series after its own last one; 1, 2, ... where times are uneven."""
        return self.continuation().times(steps)

    def _refuse_empty(self, table: Table) -> None:
        """Refuse a series without any value."""
        for number, values in enumerate(self.values):
            if np.isfinite(values).any():
                continue
            series = "" if self.roles.id is None else f"series {self.ids[number]!r} of "
            column = self.roles.target[number % len(self.roles.target)]
            raise InputError(
                f"{table.source}: {series}column {column!r} has no value in {len(values)} "
                f"step{'s' * (len(values) > 1)}; expected at least one number"
            )

    def _without_padding(self) -> Panel:
        """Each series from its first value to its last: tables of many columns are padded with missing values."""
        parts = [_span(values) for values in self.values]
        short = sum(part.stop - part.start < len(values) for part, values in zip(parts, self.values, strict=True))
        notes = (f"{short} of {len(self)} series begin later or end earlier than the table",) if short else ()

        def cut(arrays: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
            return tuple(array[part] for array, part in zip(arrays, parts, strict=True))

        return replace(
            self,
            values=cut(self.values),
            times=cut(self.times),
            known=cut(self.known),
            past=cut(self.past),
            notes=self.notes + notes,
        )


def _has_columns(table: Table, names: Any) -> bool:
    """Whether columns are given and the table has them; the steps of a series may still be columns where it has not."""
    columns = [names] if isinstance(names, str) else names
    return names is not None and not (
        isinstance(columns, (list, tuple)) and any(name not in table.names for name in columns)
    )


def _ids(ids: tuple[str, ...], roles: Roles) -> tuple[str, ...]:
    if roles.id is None:
        return roles.target
    if len(roles.target) == 1:
        return ids
    return tuple(f"{name}/{target}" for name in ids for target in roles.target)


def _repeated(arrays: list[Any], times: int) -> tuple[Any, ...]:
    return tuple(array for array in arrays for _ in range(times))


def _span(values: Array) -> slice:
    """The steps from the first value to the last."""
    present = np.flatnonzero(np.isfinite(values))
    return slice(int(present[0]), int(present[-1]) + 1)
