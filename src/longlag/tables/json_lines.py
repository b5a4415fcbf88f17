"""JSON lines to tables: an object of names and values in each line, or in a list."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from longlag.checks import instance_of
from longlag.errors import InputError
from longlag.tables.cells import Column, type_text, type_values, written
from longlag.tables.compression import read_bytes
from longlag.tables.encodings import decoded
from longlag.tables.packages import require
from longlag.tables.table import Table, check_names
from longlag.tables.table_format import TableFormat

__all__ = ["read_json_lines"]


def read_json_lines(path: str | os.PathLike[str], *, form: TableFormat | None = None) -> Table:
    """A table from a file with an object of names and values in each line, or with a list of such objects.

    Columns stand in the order in which their names come up; what an object lacks is missing, and so is null. Numbers,
    true and false (1 and 0) are numbers; text is read as in a CSV file; lists and objects are text.

    Raises
    ------
    InputError
        If the file cannot be opened, is empty, or a line is no object; names the line.
    """
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    form = TableFormat() if form is None else form
    instance_of("form", form, TableFormat, "a TableFormat")
    source = os.fspath(path)
    text, _ = decoded(read_bytes(path), source, form.encoding)
    in_list = text.lstrip()[:1] == "["
    columns: dict[str, list[Any]] = {}
    lines: list[int] = []
    for line, record in _in_a_list(text, source) if in_list else _in_lines(text, source):
        for name, value in record.items():
            cells = columns.setdefault(name, [])
            cells += [None] * (len(lines) - len(cells))
            cells.append(value)
        lines.append(line)
    if not columns:
        raise InputError(f"{source} is empty; expected an object of names and values in each line")
    names = list(columns)
    check_names([name.strip() for name in names], source)
    typed = {name.strip(): _typed(cells + [None] * (len(lines) - len(cells)), form) for name, cells in columns.items()}
    return Table.of_columns(typed, source, np.array(lines, dtype=np.int64), "row" if in_list else "line", (), form)


def _in_lines(text: str, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            yield line, _object(_parsed(content, source, line), f"{source}, line {line}")


def _in_a_list(text: str, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, value in enumerate(_parsed(text, source, 1), start=1):
        yield row, _object(value, f"{source}, row {row}")


def _parsed(text: str, source: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{source}, line {line + error.lineno - 1}: {error.msg} at character {error.colno}; "
            "expected an object of names and values in each line"
        ) from None
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        raise InputError(f"{source}, line {line}: the line is too deep or long; expected an object") from None


def _object(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise InputError(f"{where}: a JSON {type(value).__name__}; expected an object of names and values")


def _typed(cells: list[Any], form: TableFormat) -> Column:
    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds <= {int, float, bool} and not any(type(cell) is int and abs(cell) > 2**53 for cell in cells):
        column = type_values(np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64))
        return Column(column.values, column.as_written | {row: "" for row, cell in enumerate(cells) if cell is None})
    texts = [cell if isinstance(cell, str) else _text(cell) for cell in cells]
    return type_text(require("pyarrow", "read tables").array(texts, "string"), form)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (dict, list, bool)) else written(value)
