"""Continuation: where series go on after their last steps, as plain data that a saved forecaster keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longlag.checks import instance_of, is_number, shown, whole_number
from longlag.errors import InputError
from longlag.panels.calendar import Frequency
from longlag.panels.categories import Categories, read_columns
from longlag.panels.id_columns import series_codes
from longlag.panels.roles import Roles
from longlag.panels.rows import order_rows, shown_time
from longlag.panels.time_columns import read_times
from longlag.tables.date_writing import write_dates
from longlag.tables.frames import FrameKind
from longlag.tables.table import Table

__all__ = ["Continuation"]


@dataclass(frozen=True, eq=False)
class Continuation:
    """The last time of each series, and what is known of their table: enough to date and to read what comes next.

    ids : (N,) names of the series
    last : (N,) their last times, numbers or dates
    frequency : from which the next times follow, or None where times are uneven
    roles, categories : of the columns, as ``Panel`` has them
    kind : the kind of data frame in which forecasts are wanted, or None
    time_form : how the column of times is written, see ``tables.date_writing.write_dates``, or None
    """

    ids: tuple[str, ...]
    last: NDArray[Any]
    frequency: Frequency | None
    roles: Roles
    categories: Categories
    kind: FrameKind | None = None
    time_form: str | None = None

    def times(self, steps: int) -> tuple[NDArray[Any], ...]:
        """The next ``steps`` times of each series after its own last one; 1, 2, ... where times are uneven.

        Raises
        ------
        InputError
            If ``steps`` is no whole number, or times end beyond the year 9999.
        """
        whole_number("steps", steps, 0, 10**8)
        count = np.arange(1, steps + 1)
        if self.frequency is None:
            return (count,) * len(self.ids)
        return tuple(self.frequency.at(self.last[:, None], count[None, :]))

    def columns(self, steps: int, answers: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
        """A long table of forecasts: the series, if there are several, the time and the answers of each next step.

        Parameters
        ----------
        steps : how many steps after the last time of each series
        answers : column -> (N, steps) numbers, a row for each series

        Raises
        ------
        InputError
            If answers have another shape.
        """
        instance_of("answers", answers, Mapping, "a mapping from columns to arrays")
        columns: dict[str, NDArray[Any]] = {}
        if self.roles.id is not None or len(self.ids) > 1:
            names = np.empty(len(self.ids), dtype=object)
            names[:] = self.ids
            columns[self.roles.id or "series"] = np.repeat(names, steps)
        dated = self.frequency is not None and self.roles.time is not None
        columns[str(self.roles.time) if dated else "step"] = (
            np.concatenate(self.times(steps)) if dated else np.tile(np.arange(1, steps + 1), len(self.ids))
        )
        for name, answer in answers.items():
            values = np.asarray(answer)
            if values.shape != (len(self.ids), steps):
                raise InputError(f"{name} has shape {values.shape}; expected {(len(self.ids), steps)}")
            columns[name] = values.reshape(-1)
        return columns

    def frame(self, steps: int, answers: Mapping[str, ArrayLike]) -> Any:
        """``columns`` as a frame of the kind that the series came in; the mapping itself where it was none.

        Times that were text or numbers in the frame are so again, in the form that they had.
        """
        columns = self.columns(steps, answers)
        if self.kind is None:
            return columns
        name = str(self.roles.time)
        if self.time_form is not None and name in columns:
            cells = write_dates(columns[name], self.time_form)
            columns[name] = np.array(cells, dtype=object if isinstance(cells[0], str) else None)
        return self.kind.frame(columns)

    def known(self, table: Table, steps: int) -> tuple[NDArray[np.float64], ...]:
        """What is known of the next ``steps`` of each series: N arrays (steps, K), from a table with rows for them.

        The table has the columns of the series' own but for the target. Rows at other times and of other series do not
        matter. Where the series have no times, or uneven ones, rows count from the first after the last time.

        Raises
        ------
        InputError
            If a column, the row of a series and time, or a cell is missing, or a word was not there before.
        """
        instance_of("table", table, Table, "a Table with the columns known in the future")
        whole_number("steps", steps, 1, 10**8)
        names = self.roles.known
        values = read_columns(table, names, self.categories)
        codes, ids = series_codes(table, self.roles.id)
        times = None if self.roles.time is None else read_times(table, self.roles.time)
        if times is not None and (times.dtype.kind == "M") != (self.last.dtype.kind == "M"):
            kind = "dates" if times.dtype.kind == "M" else "numbers"
            raise InputError(
                f"{table.source}, column {self.roles.time!r} holds {kind}; expected times that go on from "
                f"{shown_time(self.last[0])}"
            )
        rows, _ = order_rows(table, codes, ids, times, self.roles.time, "refuse")
        bounds = dict(zip(ids, zip(rows.starts, rows.starts + rows.lengths, strict=True), strict=True))
        owners = [self._owner(number) for number in range(len(self.ids))]
        future = []
        for owner, last in zip(owners, self.last, strict=True):
            start, stop = bounds.get(owner, (0, 0))
            ahead = rows.rows[start:stop][self._ahead(rows.times[start:stop], last, steps)]
            if len(ahead) < steps:
                self._refuse_missing(table, owner, last, rows.times[start:stop], steps)
            cells = values[ahead]
            empty = np.argwhere(np.isnan(cells))
            if len(empty):
                step, column = empty[0]
                raise InputError(
                    f"{table.where(int(ahead[step]), names[column])}: the cell is missing; expected what is known of "
                    "every step to be forecast"
                )
            future.append(cells)
        return tuple(future)

    def state(self) -> dict[str, Any]:
        """Plain data, from which ``from_state`` makes the same one again."""
        dates = self.last.dtype.kind == "M"
        return {
            "ids": list(self.ids),
            "last": np.datetime_as_string(self.last).tolist() if dates else self.last.tolist(),
            "frequency": None if self.frequency is None else dataclasses.asdict(self.frequency),
            "roles": {role: _plain(names) for role, names in vars(self.roles).items()},
            "categories": {name: list(words) for name, words in self.categories.items()},
            "kind": None if self.kind is None else {part: _plain(value) for part, value in vars(self.kind).items()},
            "time_form": self.time_form,
        }

    @classmethod
    def from_state(cls, state: Any) -> Continuation:
        """What ``state`` was made of.

        Raises
        ------
        InputError
            If it is anything else.
        """
        try:
            last = state["last"]
            if not last or not (all(is_number(time) for time in last) or all(_is_date(time) for time in last)):
                raise ValueError(f"last is {shown(last)}")
            if len(last) != len(state["ids"]):
                raise ValueError(f"{len(state['ids'])} series and {len(last)} last times")
            return cls(
                tuple(str(name) for name in state["ids"]),
                np.array(last, dtype="datetime64" if isinstance(last[0], str) else None),
                None if state["frequency"] is None else Frequency(**state["frequency"]),
                Roles(**_tuples(state["roles"])),
                {str(name): tuple(map(str, words)) for name, words in state["categories"].items()},
                None if state["kind"] is None else FrameKind(**_tuples(state["kind"])),
                _form(state.get("time_form")),  # which runs of earlier releases do not have
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the state of a continuation is damaged ({error}); expected what was saved") from error

    def _owner(self, number: int) -> str:
        """The cell of the id column that names series ``number``: several targets share one."""
        if self.roles.id is None:
            return ""
        name, targets = self.ids[number], self.roles.target
        return name.removesuffix(f"/{targets[number % len(targets)]}") if len(targets) > 1 else name

    def _ahead(self, times: NDArray[Any], last: Any, steps: int) -> NDArray[np.intp]:
        """Which of a series' rows, in time order, are the next ``steps``."""
        if self.roles.time is None:
            return np.arange(min(steps, len(times)))
        if self.frequency is None:
            return np.flatnonzero(times > last)[:steps]
        position = self.frequency.positions(times, np.full(len(times), last))
        return np.flatnonzero((position >= 1) & (position <= steps))

    def _refuse_missing(self, table: Table, owner: str, last: Any, times: NDArray[Any], steps: int) -> None:
        series = f" of series {owner!r}" if self.roles.id is not None else ""
        if self.roles.time is None or self.frequency is None:
            what = f"has {len(self._ahead(times, last, steps))} rows{series} to come"
        else:
            wanted = self.frequency.at(np.asarray(last), np.arange(1, steps + 1))
            position = self.frequency.positions(times, np.full(len(times), last))
            absent = wanted[np.isin(np.arange(1, steps + 1), position, invert=True)]
            what = f"has no row{series} for {shown_time(absent[0])}"
        raise InputError(
            f"{table.source} {what}; expected one for each of the {steps} steps after {shown_time(last)}, with "
            f"{', '.join(repr(name) for name in self.roles.known)}"
        )


def _form(form: Any) -> str | None:
    """A form of dates, or None. TypeError or ValueError if it is anything else."""
    if form is None:
        return None
    write_dates(np.array(["2000-01-01"], dtype="datetime64[D]"), form)
    return str(form)


def _plain(names: Any) -> Any:
    return list(names) if isinstance(names, tuple) else names


def _tuples(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in parts.items()}


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and value[:4].isdecimal()
