"""Files to tables: CSV and TSV through the standard library, which knows the line of everything."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from longlag.checks import instance_of, shown
from longlag.data.cells import number_in, type_text
from longlag.data.files import open_bytes
from longlag.data.parquet import read_parquet
from longlag.data.table import Table, check_names
from longlag.errors import InputError

__all__ = ["SUFFIXES", "read_csv", "read_table"]

SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")


def read_table(path: str | os.PathLike[str]) -> Table:
    """A table from a .csv, .tsv, .parquet or .pq file, told apart by the suffix (in any case of letters).

    Raises
    ------
    InputError
        If the suffix is another, or the file cannot be read as what its suffix says.
    """
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    suffix = Path(path).suffix.lower()
    if suffix in (".parquet", ".pq"):
        return read_parquet(path)
    if suffix in (".csv", ".tsv"):
        return read_csv(path, delimiter="," if suffix == ".csv" else "\t")
    with open_bytes(path):  # a missing file is the better complaint
        raise InputError(f"{path} has the suffix {suffix!r}; expected one of {', '.join(SUFFIXES)}")


def read_csv(path: str | os.PathLike[str], *, delimiter: str = ",") -> Table:
    """A table from a UTF-8 text file: a header line of column names, then one line per row, quoting with ".

    Blanks around a name do not belong to it. A byte order mark and every kind of line end are accepted, and
    blank lines at the end of the file are skipped; a blank line between rows is refused, because in a file
    with one column it could be a missing value. ``lines`` counts as an editor does, so quoted line breaks are
    counted.

    Raises
    ------
    InputError
        If the file is missing, a directory, unreadable, empty, without rows, not UTF-8, has a NUL byte, a row
        of another length than the header, unnamed or twice-named columns, a stray or unclosed quote, or a
        field longer than 131072 characters.
    """
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    source = os.fspath(path)
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise InputError(f"delimiter={shown(delimiter)}; expected one character that separates fields")
    rows: list[list[str]] = []
    lines: list[int] = []
    with open_bytes(path) as file:
        records = _records(file, source, delimiter)
        names = _header(records, source, delimiter)
        for line, row in records:
            if len(row) != len(names):
                raise InputError(
                    f"{source}, line {line}: the row has {len(row)} field{'s' * (len(row) != 1)}; "
                    f"expected {len(names)}, as in the header"
                )
            rows.append(row)
            lines.append(line)
    if not rows:
        raise InputError(f"{source} has a header but no rows; expected at least one row below line 1")
    typed = {name: type_text([row[number] for row in rows]) for number, name in enumerate(names)}
    return Table(
        {name: column for name, (column, _) in typed.items()},
        source,
        np.array(lines, dtype=np.int64),
        "line",
        {name: cells for name, (_, cells) in typed.items()},
    )


def _records(file: BinaryIO, source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every record that is not blank, after the line on which it begins."""
    reader = csv.reader(_text_lines(file, source), delimiter=delimiter, strict=True)
    begins, blank = 1, 0
    try:
        for record in reader:
            if not record:
                blank = blank or begins
            elif blank:
                raise InputError(f"{source}, line {blank}: the line is blank; expected a row, or the end of the file")
            else:
                yield begins, record
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{source}, line {begins}: {_csv_complaint(str(error))}") from None
    except OSError as error:
        raise InputError(f"{source}, line {begins}: reading failed ({error.strerror}); expected a whole file") from None


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


def _text_lines(file: BinaryIO, source: str) -> Iterator[str]:
    """Lines with their ends; decoding line by line knows the place of a bad byte and holds the file once."""
    number = offset = 0
    for chunk in file:
        for raw in chunk.splitlines(keepends=True) if b"\r" in chunk else (chunk,):
            number += 1
            if offset == 0 and raw.startswith(b"\xef\xbb\xbf"):
                offset, raw = 3, raw[3:]
            try:
                line = raw.decode()
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{source}, line {number}: byte {offset + error.start} (0x{raw[error.start]:02x}) "
                    "is not UTF-8; expected a text file saved as UTF-8"
                ) from None
            if "\0" in line:
                raise InputError(f"{source}, line {number}: byte {offset + raw.index(0)} is NUL; expected UTF-8 text")
            yield line
            offset += len(raw)


def _header(records: Iterator[tuple[int, list[str]]], source: str, delimiter: str) -> list[str]:
    """The names in the first record, refused where they look like something else."""
    first = next(records, None)
    if first is None:
        raise InputError(f"{source} is empty; expected a header line with the names of the columns, then rows")
    names = [name.strip() for name in first[1]]
    if len(names) == 1:
        for other in (",", ";", "\t"):
            if other in names[0] and other != delimiter:
                raise InputError(
                    f"{source}, line 1: the header is one field, {names[0][:60]!r}, with {other!r} in it; "
                    f"expected names separated by {shown(delimiter)}"
                )
    check_names(names, f"{source}, line 1")
    counted = [str(number) for number in range(len(names))]  # the names pandas gives to unnamed columns
    if names != counted and all(number_in(name) is not None for name in names):
        raise InputError(
            f"{source}, line 1: every name is a number, so it looks like data; "
            "expected a header line with the names of the columns"
        )
    return names
