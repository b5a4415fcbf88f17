"""Records of text to a table: header, names of rows, and the refusals that name a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

import numpy as np

from longlag.checks import shown
from longlag.data.cells import number_in, type_columns
from longlag.data.dialect import SEPARATORS, Layout
from longlag.data.table import Table, check_names
from longlag.data.table_format import TableFormat
from longlag.errors import InputError

__all__ = ["INDEX", "Record", "table_of_records"]

INDEX = "index"
"""What a first column without a name is called, as pandas calls it, unless it holds the numbers of the rows."""

_CHUNK = 4096
Record = tuple[int, Sequence[str]]
"""The line on which a record begins, and its fields; none at all for a blank line."""


def table_of_records(
    records: Iterator[Record],
    layout: Layout,
    source: str,
    place: Literal["line", "row"],
    form: TableFormat,
    notes: Sequence[str] = (),
    separator: str = "",
) -> Table:
    """A table of the records of a file: titles, a header with the names of the columns, then rows.

    Parameters
    ----------
    records : the records in the order of the file
    layout : where they begin, and what they have beside the columns of the header
    source, place : for messages
    form : how cells are written, as far as it is known
    notes : what was found out so far
    separator : between fields, in a text file

    Raises
    ------
    InputError
        If there is no header or no row, a row has another length than the header, a line between rows is blank, or
        columns have no name or the same.
    """
    notes = list(notes)
    for _ in islice(records, layout.titles):
        pass
    records = _until_the_end(records, source, place)
    first = next(records, None)
    if first is None:
        raise InputError(f"{source} is empty; expected a header line with the names of the columns, then rows")
    head, header = first
    where = f"{source}, {place} {head}"
    if layout.titles:
        notes.append(f"the header is in {place} {head}")
    names = [name.strip() for name in header]
    if len(names) == 1:
        _refuse_another_separator(names[0], separator, where)
    if layout.row_names:
        names = ["", *names]
    width = len(names) + layout.trailing
    columns, lines = _columns(records, width, len(names) - layout.row_names, source, place)
    if not lines:
        raise InputError(f"{source} has a header but no rows; expected at least one row below {place} {head}")
    if layout.trailing:
        names.append("")
        notes.append("rows end with one separator more than the header")
    names, columns = _without_empty_columns(names, columns)
    names, columns, note = _with_names_for_rows(names, columns)
    notes += [note] if note else []
    check_names(names, where)
    counted = [str(number) for number in range(len(names))]  # the names pandas gives to unnamed columns
    if names != counted and all(number_in(name) is not None for name in names):
        raise InputError(
            f"{where}: every name is a number, so it looks like data; "
            "expected a header line with the names of the columns"
        )
    typed, known = type_columns(columns, form)
    if known.decimal == "," and form.decimal is None:
        notes.append("numbers have a decimal comma")
    return Table.of_columns(
        dict(zip(names, typed, strict=True)),
        source,
        np.array(lines, dtype=np.int64),
        place,
        notes,
        known,
    )


def _refuse_another_separator(header: str, separator: str, where: str) -> None:
    for other in SEPARATORS:
        if separator and other in header and other != separator:
            raise InputError(
                f"{where}: the header is one field, {header[:60]!r}, with {other!r} in it; "
                f"expected names separated by {shown(separator)}"
            )


def _until_the_end(records: Iterator[Record], source: str, place: str) -> Iterator[Record]:
    """The records that are not blank; blank lines at the end belong to the file, others are refused."""
    blank = 0
    for begins, record in records:
        if not record:
            blank = blank or begins
        elif blank:
            raise InputError(f"{source}, {place} {blank}: the {place} is blank; expected a row, or the end of the file")
        else:
            yield begins, record


def _columns(
    records: Iterator[Record], width: int, in_header: int, source: str, place: str
) -> tuple[list[list[str]], list[int]]:
    """The cells of each column, and the line of each row. A chunk at a time, so that few rows are held twice."""
    columns: list[list[str]] = [[] for _ in range(width)]
    lines: list[int] = []
    while chunk := list(islice(records, _CHUNK)):
        for line, row in chunk:
            if len(row) != width:
                raise InputError(
                    f"{source}, {place} {line}: the row has {len(row)} field{'s' * (len(row) != 1)}; "
                    f"expected {in_header}, as in the header"
                )
            lines.append(line)
        for column, cells in zip(columns, zip(*(row for _, row in chunk), strict=True), strict=True):
            column.extend(cells)
    return columns, lines


def _without_empty_columns(names: list[str], columns: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The columns but those at the end that have neither a name nor a cell: rows there end with a separator."""
    while len(names) > 1 and not names[-1] and not any(cell.strip() for cell in columns[-1]):
        names, columns = names[:-1], columns[:-1]
    return names, columns


def _with_names_for_rows(names: list[str], columns: list[list[str]]) -> tuple[list[str], list[list[str]], str]:
    """Without a nameless first column where it numbers the rows; else with a name for it; and what was done."""
    if len(names) < 2 or names[0] not in ("", "Unnamed: 0") or not all(names[1:]):
        return names, columns, ""
    if _numbers_the_rows(columns[0]):
        return names[1:], columns[1:], "the first column, which numbers the rows, is left out"
    if names[0] or INDEX in names:
        return names, columns, ""
    return [INDEX, *names[1:]], columns, f"the first column has no name and is called {INDEX!r}"


def _numbers_the_rows(cells: Iterable[str]) -> bool:
    """Whether cells hold each of the numbers 0, 1, 2, ... or 1, 2, 3, ... once, in any order."""
    cells = list(cells)
    if not all(cell.isascii() and cell.isdigit() and len(cell) < 10 for cell in cells):
        return False
    numbers = np.sort(np.array(list(map(int, cells)), dtype=np.int64))
    return bool((numbers == np.arange(len(numbers)) + numbers[0]).all()) and numbers[0] in (0, 1)
