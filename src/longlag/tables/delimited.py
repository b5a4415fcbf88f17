"""Text tables: CSV, TSV and their kin through the standard library, which knows the line of everything."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of, shown
from longlag.errors import InputError
from longlag.tables.compression import read_bytes, uncompressed_name
from longlag.tables.dialect import NAMES, SAMPLE, fields, find_separator, layout_of_lines
from longlag.tables.encodings import decoded
from longlag.tables.packages import require
from longlag.tables.records import Heading, Record, columns_of, table_of
from longlag.tables.table import Table
from longlag.tables.table_format import TableFormat

__all__ = ["read_csv"]

_LARGE = 2**18
"""Characters from which on it pays to ask Arrow first."""


def read_csv(path: str | os.PathLike[str], *, delimiter: str | None = None, form: TableFormat | None = None) -> Table:
    """A table from a text file: a header line of column names, then one line per row, quoting with ".

    What separates fields, decimals and thousands, the encoding, the form of dates and titles above the header are
    found out, and said in ``Table.notes`` where they are not the usual ones; ``form`` says them instead. A nameless
    first column, as pandas and R write it, is called "index", or left out where it numbers the rows.

    Blanks around a name do not belong to it. A byte order mark and every kind of line end are accepted, and
    blank lines at the end of the file are skipped; a blank line between rows is refused, because in a file
    with one column it could be a missing value. ``lines`` counts as an editor does, so quoted line breaks are
    counted.

    Parameters
    ----------
    path
        The file, which may be compressed.
    delimiter : str, optional
        The character between fields; short for ``form=TableFormat(separator=...)``.
    form : TableFormat, optional
        What is known about the way the file is written.

    Raises
    ------
    InputError
        If the file is missing, a directory, unreadable, empty, without rows, in another encoding, has a NUL byte, a
        row of another length than the header, unnamed or twice-named columns, a stray or unclosed quote, or a
        field longer than 131072 characters.
    """
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    form = TableFormat() if form is None else form
    instance_of("form", form, TableFormat, "a TableFormat")
    if delimiter is not None:
        if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
            raise InputError(f"delimiter={shown(delimiter)}; expected one character that separates fields")
        form = TableFormat(**{**vars(form), "separator": delimiter})
    source = os.fspath(path)
    text, encoding = decoded(read_bytes(path), source, form.encoding)
    notes = [] if encoding == "utf-8" or form.encoding else [f"the encoding is {encoding}"]
    usual = "\t" if uncompressed_name(Path(path)).suffix.lower() in (".tsv", ".tab") else ","
    beginning = list(islice(_lines(text), SAMPLE))
    if form.separator is not None:
        separator, layout = form.separator, layout_of_lines(beginning, form.separator)
    else:
        separator, layout = find_separator(beginning, usual)
        if separator != usual:
            notes.append(f"the separator is {NAMES[separator]}")
    records = _records(text, source, separator)
    heading = Heading.read(records, layout, source, "line")
    heading.refuse_another_separator(separator)
    columns, lines = _columns_by_arrow(text, separator, heading) or columns_of(records, heading)
    return table_of(heading, columns, lines, form, notes)


def _lines(text: str) -> Iterator[str]:
    """The lines of a text with their ends, one by one: only what an editor takes for the end of a line is one."""
    return (match[0] for match in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text))


def _records(text: str, source: str, separator: str) -> Iterator[Record]:
    """Every record of a file, refused as ``csv`` refuses it."""
    ends = 0
    try:
        for record in fields(_lines(text), separator, strict=True):
            ends = record[2]
            yield record
    except csv.Error as error:
        raise InputError(f"{source}, line {ends + 1}: {_csv_complaint(str(error))}") from None


def _columns_by_arrow(text: str, separator: str, heading: Heading) -> tuple[list[Any], NDArray[np.int64]] | None:
    """What ``columns_of`` gives for a file of many rows, ten times as fast; None where it has to look for itself.

    Arrow does not know the lines of a file. So it reads only what has one row in each line, without quotes inside of
    fields and without blank lines, and whatever it refuses is read again by ``csv``, whose refusals name the line.
    """
    if len(text) < _LARGE or separator == " " or not separator.isascii() or text.count("\r") != text.count("\r\n"):
        return None
    body = text[_offset_of_line(text, heading.ends + 1) :].rstrip("\r\n")
    has_blank_lines = body[:1] in ("\r", "\n") or "\n\n" in body or "\n\r\n" in body
    if not body or has_blank_lines or _has_unusual_quotes(body, separator):
        return None
    arrow, reader = require("pyarrow", "read tables"), require("pyarrow.csv", "read tables")
    names = [str(number) for number in range(heading.width)]
    try:
        table = reader.read_csv(
            arrow.py_buffer(body.encode()),
            read_options=reader.ReadOptions(column_names=names),
            parse_options=reader.ParseOptions(delimiter=separator, ignore_empty_lines=False),
            convert_options=reader.ConvertOptions(
                column_types=dict.fromkeys(names, arrow.string()), strings_can_be_null=False
            ),
        )
    except arrow.ArrowInvalid:
        return None
    lines = np.arange(heading.ends + 1, heading.ends + 1 + table.num_rows, dtype=np.int64)
    return [column.combine_chunks() for column in table.columns], lines


def _has_unusual_quotes(text: str, separator: str) -> bool:
    """Whether a quote stands elsewhere than around a whole field in one line."""
    mark = re.escape(separator)
    whole = re.compile(rf'(?<![^{mark}\n])"[^"\r\n]*"(?![^{mark}\r\n])')
    return '"' in text and text.count('"') != 2 * sum(1 for _ in whole.finditer(text))


def _offset_of_line(text: str, line: int) -> int:
    """Where a line begins, counted from 1; the end of the text where it has fewer."""
    offset = 0
    for _ in range(line - 1):
        offset = text.find("\n", offset) + 1
        if not offset:
            return len(text)
    return offset


def _csv_complaint(message: str) -> str:
    if "unexpected end of data" in message:
        return 'a quoted field begins in this row and never ends; expected a closing "'
    if "field limit" in message:
        return (
            f"a field of this row is longer than {csv.field_size_limit()} characters; "
            'expected a shorter one (is a closing " missing?)'
        )
    if "expected after" in message:
        return 'text follows a closing " directly; expected the next field, or "" for a quote in a field'
    return f"{message}; expected fields as in RFC 4180"
