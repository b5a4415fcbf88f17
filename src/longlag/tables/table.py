"""Table: named columns that know their file and lines, and refuse to be used for what they are not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longlag.checks import instance_of, one_of
from longlag.errors import InputError
from longlag.tables.cells import Column, is_missing, number_in, type_values, written
from longlag.tables.date_formats import READABLE, dates_in
from longlag.tables.date_writing import form_of_numbers
from longlag.tables.number_formats import is_number, number_written
from longlag.tables.numeric_times import times_in
from longlag.tables.packages import require
from longlag.tables.table_format import TableFormat

__all__ = ["Table", "check_names", "did_you_mean"]


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, and for messages where each row stands in its file.

    Reading a file does not judge its cells; a column is judged the moment it is used. Nothing is filled in.

    Parameters
    ----------
    columns : name -> (rows,) array
        float64 for numbers (NaN is missing), datetime64 for dates (NaT is missing), object (str) for text.
    source : str
        The file, as the user named it.
    lines : (rows,) int64
        The line of the file on which each row begins, or its row number, both counted from 1.
    place : "line" or "row"
        What ``lines`` counts.
    as_written : name -> row -> str
        The text of cells that are missing or not finite, where the file had one; "" is an empty cell.
    notes : tuple of str
        What was found out about the file by itself, for people; empty where it is written as most are.
    form : TableFormat
        How the file is written, as far as that was said or found out.
    undecided : name -> "number" or "date"
        What columns of text would be if it were said in which of two ways their cells are to be read.
    date_forms : name -> str
        How columns of dates were written, see ``tables.date_writing.write_dates``, as far as that is known.

    Raises
    ------
    InputError
        If columns differ in length or are of another type, or there are no columns or no rows.
    """

    columns: Mapping[str, NDArray[Any]]
    source: str
    lines: NDArray[np.int64]
    place: Literal["line", "row"] = "line"
    as_written: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    form: TableFormat = field(default_factory=TableFormat)
    undecided: Mapping[str, Literal["number", "date"]] = field(default_factory=dict)
    date_forms: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        instance_of("columns", self.columns, Mapping, "a mapping from names to arrays")
        for name, part in (("lines", self.lines), *self.columns.items()):
            instance_of(f"{self.source}, {name!r}", part, np.ndarray, "an array")
        if not self.columns:
            raise InputError(f"{self.source} has no columns; expected at least one")
        if not self.lines.size:
            raise InputError(f"{self.source} has no rows; expected at least one")
        for name, column in self.columns.items():
            if column.shape != self.lines.shape or column.ndim != 1:
                raise InputError(f"{self.source}, column {name!r}: shape {column.shape}; expected {self.lines.shape}")
            if column.dtype != np.float64 and column.dtype.kind not in "MO":
                raise InputError(
                    f"{self.source}, column {name!r}: its type is {column.dtype}; "
                    "expected float64, datetime64 or object (Table.from_arrays converts)"
                )

    @classmethod
    def from_arrays(cls, columns: Mapping[str, ArrayLike], source: str = "arrays") -> Table:
        """A table of (rows,) arrays or lists: numbers become float64, dates stay, the rest becomes text."""
        instance_of("columns", columns, Mapping, "a mapping from names to arrays")
        typed = {name: type_values(_array(name, values)) for name, values in columns.items()}
        rows = len(next(iter(typed.values())).values) if typed else 0
        return cls.of_columns(typed, source, np.arange(1, rows + 1), "row")

    @classmethod
    def of_columns(
        cls,
        columns: Mapping[str, Column],
        source: str,
        lines: NDArray[np.int64],
        place: Literal["line", "row"],
        notes: Sequence[str] = (),
        form: TableFormat | None = None,
    ) -> Table:
        """A table of columns that have their types; what was found out about them joins the notes."""
        return cls(
            {name: column.values for name, column in columns.items()},
            source,
            lines,
            place,
            {name: column.as_written for name, column in columns.items()},
            (*notes, *(f"{name}: {column.note}" for name, column in columns.items() if column.note)),
            form or TableFormat(),
            {name: column.undecided for name, column in columns.items() if column.undecided is not None},
            {name: column.form for name, column in columns.items() if column.form is not None},
        )

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.lines)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in the order of the file."""
        return tuple(self.columns)

    def kind(self, name: str) -> Literal["number", "date", "text"]:
        """What a column holds. Text may be usable as numbers all the same: 007 is kept as written."""
        kind = self._column(name).dtype.kind
        return "number" if kind == "f" else "date" if kind == "M" else "text"

    def number(
        self, name: str, *, largest: float = np.inf, missing: Literal["refuse", "nan"] = "refuse"
    ) -> NDArray[np.float64]:
        """A column as (rows,) float64, a copy.

        Parameters
        ----------
        name : str
            The column.
        largest : float
            The largest size that is accepted.
        missing : "refuse" or "nan"
            Whether a missing cell is refused, or is NaN in the answer. A cell that holds something else than a number
            is refused either way.

        Raises
        ------
        InputError
            If there is no such column, or a cell is text, missing, not finite or beyond ``largest`` in size: the first
            is named by its line.
        """
        one_of("missing", missing, ("refuse", "nan"))
        column = self._column(name)
        if column.dtype.kind == "M":
            self._refuse(name, 0, f"the cell holds the date {column[0]}; expected a number")
        if column.dtype.kind == "f":
            values, absent = column.copy(), np.isnan(column)
        else:
            values, absent = self._numbers_in_text(column)
        unusable = ~np.isfinite(values)
        if missing == "nan":
            unusable &= ~absent
        if unusable.any():
            cells, rows = self._cells(name), np.flatnonzero(unusable).tolist()
            # A cell that is no number at all is the better complaint than one with a decimal comma.
            rows = [row for row in rows if number_in(cells[row]) is not None or not is_number(cells[row])] or rows
            others = f" (the first of {len(rows)} such cells in this column)" if len(rows) > 1 else ""
            self._refuse(name, rows[0], _no_number(cells[rows[0]], bool(absent[rows[0]])) + others)
        for row in np.flatnonzero(np.abs(values) > largest).tolist():
            self._refuse(name, row, f"{values[row]} is too large; expected at most {largest:g} in size")
        return values

    def numbers(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Columns side by side as (rows, len(names)) float64; raises as ``number`` does."""
        instance_of("names", names, Iterable, "names of columns")
        chosen = [names] if isinstance(names, str) else list(names)
        if not chosen:
            raise InputError(f"{self.source}: no columns were chosen; expected some of {_listed(self.names)}")
        return np.stack([self.number(name) for name in chosen], axis=1)

    def dates(self, name: str) -> NDArray[np.datetime64]:
        """A column as (rows,) datetime64, a copy; times that had an offset are in UTC.

        Raises
        ------
        InputError
            If there is no such column, or a cell is missing or no date: the first is named by its line.
        """
        column = self._column(name)
        absent = self._absent(name)
        if absent.any():
            row = int(np.flatnonzero(absent)[0])
            self._refuse(name, row, f"{_missing(self._cells(name)[row])}; expected {READABLE}")
        if column.dtype.kind == "M":
            return column.copy()
        if column.dtype.kind == "f":
            self._refuse(name, 0, f"the cell reads {_short(self._cells(name)[0])}; expected {READABLE}")
        dates = dates_in(_arrow(self._cells(name)), self.form.date_format)
        if dates.values is None:
            self._refuse(name, dates.row, dates.problem)
        return dates.values

    def times(self, name: str) -> NDArray[Any]:
        """A column as the times of its rows, (rows,): datetime64 where it stands for dates, else float64.

        Beside dates these are numbers that a column of times writes for dates: the years 1949, 1950, ... (as
        datetime64[Y]), 201201, 20120131, the decimal years 1960.25 (as months), and seconds, milliseconds,
        microseconds or nanoseconds since 1970. The whole column decides; where it decides for none of them, its
        numbers are a count.

        Raises
        ------
        InputError
            If there is no such column, or a cell is missing, or neither a number nor a date: named by its line.
        """
        return self._read_times(name)[0]

    def time_form(self, name: str) -> str | None:
        """How the times of a column are written, see ``tables.date_writing.write_dates``; None where it is unknown.

        Raises
        ------
        InputError
            As ``times`` does.
        """
        return self._read_times(name)[1]

    def _read_times(self, name: str) -> tuple[NDArray[Any], str | None]:
        column = self._column(name)
        if column.dtype.kind == "M":
            return self.dates(name), self.date_forms.get(name)
        cells = self._cells(name)
        if self.form.date_format is not None and not self._absent(name).any():
            dates = dates_in(_arrow(cells), self.form.date_format)
            if dates.values is not None:
                return dates.values, dates.form
        if column.dtype.kind == "O":
            if not all(number_in(cell) is not None or is_missing(cell) for cell in cells):
                return self.dates(name), None
            if all(cell.strip().isdigit() and int(cell) < 2**63 for cell in cells):
                digits = np.array([int(cell) for cell in cells], dtype=np.int64)
                dates_of_digits = times_in(digits)
                if dates_of_digits is not None:
                    form = form_of_numbers(digits, dates_of_digits)
                    return dates_of_digits, form if form is None else form.replace("#%", "%")  # they are text
        numbers = self.number(name)
        dates_of_numbers = times_in(numbers)
        if dates_of_numbers is None:
            return numbers, None
        return dates_of_numbers, form_of_numbers(numbers, dates_of_numbers)

    def text(self, name: str) -> NDArray[np.object_]:
        """A column as (rows,) str, for identifiers and labels: text as written, 3.0 as "3", dates as ISO.

        Raises
        ------
        InputError
            If there is no such column, or a cell is missing: the first is named by its line.
        """
        cells = self._cells(name)
        absent = self._absent(name)
        if absent.any():
            row = int(np.flatnonzero(absent)[0])
            self._refuse(name, row, f"{_missing(cells[row])}; expected a name or value in every row")
        values = np.empty(len(cells), dtype=object)
        values[:] = cells
        return values

    def where(self, row: int, name: str | None = None) -> str:
        """The place of row ``row`` (counted from 0) in words, as every message begins."""
        place = f"{self.source}, {self.place} {int(self.lines[row])}"
        return place if name is None else f"{place}, column {name!r}"

    def _column(self, name: str) -> NDArray[Any]:
        instance_of("name", name, str, f"one of the columns of {self.source}: {_listed(self.names)}")
        if name in self.columns:
            return self.columns[name]
        raise InputError(
            f"{self.source} has no column {name!r}; its columns are {_listed(self.names)}"
            + did_you_mean(name, self.names)
        )

    def _cells(self, name: str) -> list[str]:
        """A column as text, a missing cell as it was written."""
        column = self._column(name)
        if column.dtype.kind == "M":
            cells = ["" if cell == "NaT" else cell for cell in np.datetime_as_string(column).tolist()]
        else:
            cells = [written(value) for value in column.tolist()]
        for row, cell in self.as_written.get(name, {}).items():
            cells[row] = cell
        return cells

    def _absent(self, name: str) -> NDArray[np.bool_]:
        """Which rows of a column are missing, (rows,)."""
        column = self._column(name)
        if column.dtype.kind == "M":
            return np.asarray(np.isnat(column), dtype=bool)
        if column.dtype.kind == "f":
            return np.asarray(np.isnan(column), dtype=bool)
        empty = {cell for cell in set(column.tolist()) if is_missing(written(cell))}
        return np.array([cell in empty for cell in column.tolist()] if empty else np.zeros(len(column)), dtype=bool)

    def _numbers_in_text(self, column: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The numbers in a column of text, NaN for what is none; and which rows are missing."""
        cells = [written(value) for value in column.tolist()]
        absent = np.array([is_missing(cell) for cell in cells])
        decimal = self.form.decimal
        read = number_in if decimal is None else partial(number_written, decimal=decimal)
        numbers = [None if gone else read(cell) for cell, gone in zip(cells, absent, strict=True)]
        return np.array([np.nan if number is None else number for number in numbers], dtype=np.float64), absent

    def _refuse(self, name: str, row: int, what: str) -> NoReturn:
        raise InputError(f"{self.where(row, name)}: {what}")


def _array(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:  # rows of different length, tensors without values
        raise InputError(f"column {name!r} is no array ({error}); expected (rows,) values") from error


def _arrow(cells: list[str]) -> Any:
    return require("pyarrow", "read dates").array(cells, "string")


def check_names(names: Sequence[str], where: str) -> None:
    """Refuse columns without a name, or two of one name; ``where`` begins the message."""
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name:
            raise InputError(
                f"{where}: column {number} has no name; expected a name for every column "
                "(pandas writes a nameless one unless to_csv is told index=False)"
            )
        if first.setdefault(name, number) != number:
            raise InputError(
                f"{where}: columns {first[name]} and {number} are both called {name!r}; expected different names"
            )


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The words "; did you mean 'x'?" for the known name closest to ``name``; nothing if none is close."""
    folded = {candidate.casefold(): candidate for candidate in reversed(known)}
    close = get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.5)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def _no_number(cell: str, missing: bool) -> str:
    if missing:
        return f"{_missing(cell)}; expected a number in every row (missing values are never filled in)"
    if number_in(cell) is not None:
        return f"the cell reads {_short(cell)}, which is not finite; expected a finite number"
    if "," in cell and re.fullmatch(r"\s*[+-]?[\d.,' ]*\d\s*", cell):
        return (
            f"the cell reads {_short(cell)}, with a decimal comma or a thousands separator; "
            "expected a number with a decimal point and no other separator, or --decimal"
        )
    return f"the cell reads {_short(cell)}; expected a number"


def _missing(cell: str) -> str:
    return f"the cell reads {_short(cell)}, which counts as missing" if cell.strip() else "the cell is empty"


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"
