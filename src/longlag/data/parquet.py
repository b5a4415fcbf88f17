"""Parquet files to tables. pyarrow is imported here, when the first such file is read."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data.cells import type_values
from longlag.data.packages import require
from longlag.data.readers import open_bytes
from longlag.data.table import Table, check_names
from longlag.errors import InputError

__all__ = ["read_parquet"]


def read_parquet(path: str | os.PathLike[str]) -> Table:
    """A table from a Parquet file; messages name rows, counted from 1.

    Integers, decimals, floating-point numbers and booleans (0 and 1) are numbers, and a null or NaN among
    them is missing. Whole numbers beyond 2**53 are kept as text, digit for digit. Dates and timestamps are
    dates (in UTC). Everything else is text.

    Raises
    ------
    InputError
        If pyarrow is missing, the file cannot be opened, is damaged or no Parquet file, has no rows or
        columns, or has two columns of one name.
    """
    arrow = require("pyarrow", "read Parquet files")
    parquet = require("pyarrow.parquet", "read Parquet files")
    source = os.fspath(path)
    with open_bytes(path) as file:
        try:
            # ParquetFile, not read_table: that would add columns from directory names such as year=2020.
            content = parquet.ParquetFile(file, page_checksum_verification=True).read()
            names = [str(name) for name in content.column_names]
            typed = [_typed(column, arrow) for column in content.columns]  # damaged text is found only here
        except (arrow.ArrowException, OSError, ValueError) as error:
            reason = (str(error).splitlines() or ["unknown reason"])[0].rstrip(".")
            raise InputError(f"{source} is damaged or no Parquet file ({reason}); expected a Parquet file") from None
    check_names(names, source)
    if not content.num_rows or not names:
        raise InputError(f"{source} has {len(names)} columns and {content.num_rows} rows; expected at least one each")
    return Table(
        {name: column for name, (column, _) in zip(names, typed, strict=True)},
        source,
        np.arange(1, content.num_rows + 1),
        "row",
        {name: cells for name, (_, cells) in zip(names, typed, strict=True)},
    )


def _typed(column: Any, arrow: Any) -> tuple[NDArray[Any], dict[int, str]]:
    """A pyarrow column as ``type_values`` gives it; nulls are written as empty cells."""
    kinds = arrow.types
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kinds.is_decimal(column.type):
        column = column.cast(arrow.float64())
    nulls = np.asarray(column.is_null().to_numpy(), dtype=bool)
    empty = {int(row): "" for row in np.flatnonzero(nulls)}
    if kinds.is_null(column.type):
        return np.full(len(column), np.nan), empty
    if kinds.is_integer(column.type) or kinds.is_boolean(column.type):
        values, as_written = type_values(column.fill_null(False if kinds.is_boolean(column.type) else 0).to_numpy())
        values[nulls] = np.nan if values.dtype == np.float64 else ""
        return values, as_written | empty
    if kinds.is_floating(column.type) or kinds.is_date(column.type) or kinds.is_timestamp(column.type):
        values, as_written = type_values(column.to_numpy())
        return values, as_written | empty
    return type_values(np.array([*column.to_pylist(), None], dtype=object)[:-1])  # None keeps it one-dimensional
