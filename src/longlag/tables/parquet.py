"""Parquet files to tables. pyarrow is imported here, when the first such file is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from longlag.checks import instance_of
from longlag.errors import InputError
from longlag.tables.arrow import table_of_arrow
from longlag.tables.files import open_bytes
from longlag.tables.packages import require
from longlag.tables.table import Table

__all__ = ["read_parquet"]


def read_parquet(
    path: str | os.PathLike[str], *, columns: Sequence[str] | None = None, rows: tuple[int, int] | None = None
) -> Table:
    """A table from a Parquet file; messages name rows, counted from 1.

    Integers, decimals, floating-point numbers and booleans (0 and 1) are numbers, and a null or NaN among
    them is missing. Whole numbers beyond 2**53 are kept as text, digit for digit. Dates and timestamps are
    dates (in UTC). Everything else is text.

    Parameters
    ----------
    path
        The file.
    columns : sequence of str, optional
        Those to read. Default: all.
    rows : (start, stop), optional
        Rows start..stop-1, counted from 0. Only the row groups that hold them are read. Default: all.

    Raises
    ------
    InputError
        If pyarrow is missing, the file cannot be opened, is damaged or no Parquet file, has no rows or
        columns, has two columns of one name, or lacks some of ``columns`` or ``rows``.
    """
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    arrow = require("pyarrow", "read Parquet files")
    parquet = require("pyarrow.parquet", "read Parquet files")
    source = os.fspath(path)
    with open_bytes(path) as file:
        try:
            # ParquetFile, not read_table: that would add columns from directory names such as year=2020.
            content, first = _content(parquet.ParquetFile(file, page_checksum_verification=True), source, columns, rows)
            return table_of_arrow(content, source, first=first)
        except InputError:
            raise
        except (arrow.ArrowException, OSError, ValueError) as error:
            reason = (str(error).splitlines() or ["unknown reason"])[0].rstrip(".")
            raise InputError(f"{source} is damaged or no Parquet file ({reason}); expected a Parquet file") from None


def _content(file: Any, source: str, columns: Sequence[str] | None, rows: tuple[int, int] | None) -> tuple[Any, int]:
    """The chosen part as an arrow table, and the number of its first row."""
    if columns is not None:
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise InputError(f"{source} has no column {missing[0]!r}; it has {', '.join(file.schema_arrow.names)}")
        columns = list(columns)
    if rows is None:
        return file.read(columns=columns), 0
    start, stop = rows
    if not 0 <= start < stop <= file.metadata.num_rows:
        raise InputError(f"{source} has {file.metadata.num_rows} rows; expected rows {start + 1} to {stop}")
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    begins = np.cumsum([0, *sizes])
    groups = [group for group, size in enumerate(sizes) if begins[group] < stop and begins[group] + size > start]
    content = file.read_row_groups(groups, columns=columns)
    return content.slice(start - int(begins[groups[0]]), stop - start), start
