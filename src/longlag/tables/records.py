"""Records of text to a table: header, names of rows, and the refusals that name a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from longlag.checks import shown
from longlag.errors import InputError
from longlag.tables.arrow import INDEX
from longlag.tables.cells import Column, number_in, type_columns, written
from longlag.tables.dialect import SEPARATORS, Layout
from longlag.tables.packages import require
from longlag.tables.table import Table, check_names
from longlag.tables.table_format import TableFormat

__all__ = ["Heading", "Record", "columns_of", "table_of"]

_CHUNK = 4096

Record = tuple[int, Sequence[str], int]
"""The line on which a record begins, its fields, none at all for a blank line, and the line on which it ends."""


@dataclass(frozen=True)
class Heading:
    """The names of a table's columns, and what its rows look like.

    source, place : for messages
    line : where the header begins
    ends : where it ends
    names : as in the header
    layout : what rows have beside these
    """

    source: str
    place: Literal["line", "row"]
    line: int
    ends: int
    names: tuple[str, ...]
    layout: Layout

    @classmethod
    def read(cls, records: Iterator[Record], layout: Layout, source: str, place: Literal["line", "row"]) -> Heading:
        """The heading of a file; ``records`` then go on with its rows.

        Raises
        ------
        InputError
            If the file is empty, or begins with blank lines.
        """
        for _ in islice(records, layout.titles):
            pass
        first = next(_until_the_end(records, source, place), None)
        if first is None:
            raise InputError(f"{source} is empty; expected a header line with the names of the columns, then rows")
        return cls(source, place, first[0], first[2], tuple(name.strip() for name in first[1]), layout)

    @property
    def where(self) -> str:
        """The place of the header, as messages begin."""
        return f"{self.source}, {self.place} {self.line}"

    @property
    def width(self) -> int:
        """The fields of a row."""
        return len(self.names) + self.layout.row_names + self.layout.trailing

    def refuse_another_separator(self, separator: str) -> None:
        """Refuse a header of one field in which other separators stand."""
        for other in SEPARATORS:
            if len(self.names) == 1 and other in self.names[0] and other != separator:
                raise InputError(
                    f"{self.where}: the header is one field, {self.names[0][:60]!r}, with {other!r} in it; "
                    f"expected names separated by {shown(separator)}"
                )


def columns_of(records: Iterator[Record], heading: Heading) -> tuple[list[Any], NDArray[np.int64]]:
    """The cells of each column as Arrow arrays of text, and the line of each row.

    Raises
    ------
    InputError
        If a row has another length than the header, or a line between rows is blank.
    """
    arrow = require("pyarrow", "read tables")
    columns: list[list[str]] = [[] for _ in range(heading.width)]
    lines: list[int] = []
    records = _until_the_end(records, heading.source, heading.place)
    while chunk := list(islice(records, _CHUNK)):  # at a time, so that few rows are held twice
        for line, row, _ in chunk:
            if len(row) != heading.width:
                raise InputError(
                    f"{heading.source}, {heading.place} {line}: the row has {len(row)} field{'s' * (len(row) != 1)}; "
                    f"expected {len(heading.names)}, as in the header"
                )
            lines.append(line)
        for column, cells in zip(columns, zip(*(row for _, row, _ in chunk), strict=True), strict=True):
            column.extend(cells)
    return [arrow.array(column, "string") for column in columns], np.array(lines, dtype=np.int64)


def table_of(
    heading: Heading, columns: list[Any], lines: NDArray[np.int64], form: TableFormat, notes: Sequence[str] = ()
) -> Table:
    """A table of columns below a heading, as ``type_columns`` takes them, with what was found out about the file.

    Raises
    ------
    InputError
        If there is no row, or columns have no name or the same.
    """
    notes = list(notes)
    if heading.layout.titles:
        notes.append(f"the header is in {heading.place} {heading.line}")
    if heading.layout.trailing:
        notes.append("rows end with one separator more than the header")
    if not len(lines):
        raise InputError(
            f"{heading.source} has a header but no rows; expected at least one row below {heading.place} {heading.line}"
        )
    names = [*[""] * heading.layout.row_names, *heading.names, *[""] * heading.layout.trailing]
    while len(names) > 1 and not names[-1] and _is_empty(columns[-1]):  # rows and header end with a separator
        names, columns = names[:-1], columns[:-1]
    if len(names) > 1 and names[0] in ("", "Unnamed: 0"):
        if _numbers_the_rows(columns[0]):
            names, columns = names[1:], columns[1:]
            notes.append("the first column, which numbers the rows, is left out")
        elif not names[0] and INDEX not in names:
            names[0] = INDEX
            notes.append(f"the first column has no name and is called {INDEX!r}")
    check_names(names, heading.where)
    counted = [str(number) for number in range(len(names))]  # the names pandas gives to unnamed columns
    if names != counted and all(number_in(name) is not None for name in names):
        raise InputError(
            f"{heading.where}: every name is a number, so it looks like data; "
            "expected a header line with the names of the columns"
        )
    typed, known = type_columns(columns, form)
    if known.decimal == "," and form.decimal is None:
        notes.append("numbers have a decimal comma")
    return Table.of_columns(dict(zip(names, typed, strict=True)), heading.source, lines, heading.place, notes, known)


def _until_the_end(records: Iterator[Record], source: str, place: str) -> Iterator[Record]:
    """The records that are not blank; blank lines at the end belong to the file, others are refused."""
    blank = 0
    for record in records:
        if not record[1]:
            blank = blank or record[0]
        elif blank:
            raise InputError(f"{source}, {place} {blank}: the {place} is blank; expected a row, or the end of the file")
        else:
            yield record


def _is_empty(cells: Any) -> bool:
    return not isinstance(cells, Column) and not any(cell.strip() for cell in cells.unique().to_pylist())


def _numbers_the_rows(cells: Any) -> bool:
    """Whether cells hold each of the numbers 0, 1, 2, ... or 1, 2, 3, ... once, in any order."""
    texts = [written(value) for value in cells.values.tolist()] if isinstance(cells, Column) else cells.to_pylist()
    if not all(cell.isascii() and cell.isdigit() and len(cell) < 10 for cell in texts):
        return False
    numbers = np.sort(np.array(list(map(int, texts)), dtype=np.int64))
    return bool((numbers == np.arange(len(numbers)) + numbers[0]).all()) and numbers[0] in (0, 1)
