"""Excel's workbooks to tables, through openpyxl, which is imported when the first one is read."""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Sequence
from typing import Any
from zipfile import BadZipFile

import numpy as np

from longlag.checks import instance_of
from longlag.errors import InputError
from longlag.tables.cells import Column, type_values, written
from longlag.tables.dialect import SAMPLE, find_layout
from longlag.tables.files import open_bytes
from longlag.tables.packages import require
from longlag.tables.records import Heading, columns_of, table_of
from longlag.tables.table import Table
from longlag.tables.table_format import TableFormat

__all__ = ["read_xlsx"]


def read_xlsx(path: str | os.PathLike[str], *, form: TableFormat | None = None) -> Table:
    """A table from the first sheet of a workbook that has cells; rows are counted as Excel does.

    Titles above the header and empty rows and columns around the table are left out. Numbers, true and false (1 and
    0) and dates keep their types; cells of text are read as in a CSV file. Formulas have the values that were saved.

    Raises
    ------
    InputError
        If openpyxl is missing, the file cannot be opened, is damaged or no workbook, or its table is refused as
        ``read_csv`` refuses one.
    """
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    form = TableFormat() if form is None else form
    instance_of("form", form, TableFormat, "a TableFormat")
    openpyxl = require("openpyxl", "read .xlsx files", extra="tables")
    source = os.fspath(path)
    with open_bytes(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions, which no table needs
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            name, rows = _first_sheet(book)
            sheets = len(book.sheetnames)
        except (BadZipFile, KeyError, OSError, ValueError, TypeError, AttributeError, SyntaxError) as error:
            # SyntaxError: what the parsers of XML raise for text that is none
            reason = (str(error).splitlines() or ["unknown reason"])[0].rstrip(".")
            raise InputError(f"{source} is damaged or no .xlsx file ({reason}); expected an Excel workbook") from None
    table = _cut_out(rows)
    records = [
        (line, [_text(cell) for cell in row] if any(cell is not None for cell in row) else []) for line, row in table
    ]
    layout = find_layout([record for _, record in records[:SAMPLE]])
    stream = iter([(line, record, line) for line, record in records])
    heading = Heading.read(stream, layout, source, "row")
    columns, lines = columns_of(stream, heading)
    below = [row for line, row in table if line > heading.line][: len(lines)]
    typed = [_typed([row[place] for row in below]) or cells for place, cells in enumerate(columns)]
    notes = [f"the sheet is {name!r}, the first of {sheets}"] if sheets > 1 else []
    return table_of(heading, typed, lines, form, notes)


def _first_sheet(book: Any) -> tuple[str, list[tuple[Any, ...]]]:
    """The first sheet with a cell in it: its name and its rows."""
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # programs write wrong ones
        rows = [tuple(None if cell == "" else cell for cell in row) for row in sheet.iter_rows(values_only=True)]
        if any(cell is not None for row in rows for cell in row):
            return str(sheet.title), rows
    return "", []


def _cut_out(rows: Sequence[tuple[Any, ...]]) -> list[tuple[int, list[Any]]]:
    """The rows with their numbers, all of one width, without the empty ones and empty columns around them."""
    filled = [number for number, row in enumerate(rows) if any(cell is not None for cell in row)]
    if not filled:
        return []
    used = {place for row in rows for place, cell in enumerate(row) if cell is not None}
    first, width = min(used), max(used) + 1
    padded = [[*row[first:width], *[None] * (width - max(len(row), first))] for row in rows]
    return [(number + 1, padded[number]) for number in range(filled[0], filled[-1] + 1)]


def _typed(cells: Sequence[Any]) -> Column | None:
    """A column of numbers or of dates; None for one with text in it."""
    kinds = {type(cell) for cell in cells if cell is not None}
    absent = {row: "" for row, cell in enumerate(cells) if cell is None}
    if kinds and kinds <= {int, float, bool} and not any(type(cell) is int and abs(cell) > 2**53 for cell in cells):
        numbers = type_values(np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64))
        return Column(numbers.values, numbers.as_written | absent)
    if kinds and kinds <= {datetime.datetime, datetime.date}:
        moments = np.array(["NaT" if cell is None else cell for cell in cells], dtype="datetime64[us]")
        days = moments.astype("datetime64[D]")
        return Column(days if (days == moments)[~np.isnat(moments)].all() else moments, absent)
    return None


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return str(cell.date())
    return written(cell)
