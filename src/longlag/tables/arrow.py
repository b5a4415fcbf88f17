"""Columns of Arrow to columns of a table: what Parquet, Feather and data frames hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from longlag.errors import InputError
from longlag.tables.cells import Column, type_values
from longlag.tables.date_formats import IN_UTC
from longlag.tables.packages import require
from longlag.tables.table import Table, check_names

__all__ = ["INDEX", "local_days", "table_of_arrow", "typed_column"]

INDEX = "index"
"""What a column without a name is called that pandas or R wrote for the names of rows."""

_ZONES_OF_UTC = ("UTC", "Etc/UTC", "GMT", "+00:00", "Z")


def table_of_arrow(content: Any, source: str, *, first: int = 0) -> Table:
    """A table of a pyarrow table, whose rows are those of the file from row ``first`` on, counted from 0.

    Raises
    ------
    InputError
        If it has no rows or no columns, or two columns of one name.
    pyarrow.ArrowException
        If the content is damaged, which only the conversion shows.
    """
    names = [str(name) for name in content.column_names]
    if INDEX not in names:  # what pandas calls an index without a name
        names = [INDEX if name == "__index_level_0__" else name for name in names]
    typed = [_with_its_zone(column) for column in content.columns]
    check_names(names, source)
    if not content.num_rows or not names:
        raise InputError(f"{source} has {len(names)} columns and {content.num_rows} rows; expected at least one each")
    lines = np.arange(first + 1, first + content.num_rows + 1)
    return Table.of_columns(dict(zip(names, typed, strict=True)), source, lines, "row")


def _with_its_zone(column: Any) -> Column:
    """A column of a file, with a note where its times are of a zone and read in UTC."""
    typed = typed_column(column)
    zone = getattr(column.type, "tz", None)
    if zone is None or zone in _ZONES_OF_UTC or local_days(column)[1]:
        return typed
    return replace(typed, note=f"{IN_UTC} ({zone})")


def typed_column(column: Any) -> Column:
    """A pyarrow column as ``type_values`` gives it; nulls are written as empty cells."""
    arrow = require("pyarrow", "read Parquet files")
    kinds = arrow.types
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kinds.is_decimal(column.type):
        column = column.cast(arrow.float64())
    if kinds.is_timestamp(column.type) and column.type.tz:
        column, _ = local_days(column)
    nulls = np.asarray(column.is_null().to_numpy(), dtype=bool)
    empty = {int(row): "" for row in np.flatnonzero(nulls)}
    if kinds.is_null(column.type):
        return Column(np.full(len(column), np.nan), empty)
    if kinds.is_integer(column.type) or kinds.is_boolean(column.type):
        typed = type_values(column.fill_null(False if kinds.is_boolean(column.type) else 0).to_numpy())
        typed.values[nulls] = np.nan if typed.values.dtype == np.float64 else ""
    elif kinds.is_floating(column.type) or kinds.is_date(column.type) or kinds.is_timestamp(column.type):
        typed = type_values(column.to_numpy())
    else:  # None keeps an array of lists one-dimensional
        typed = type_values(np.array([*column.to_pylist(), None], dtype=object)[:-1])
    return replace(typed, as_written=typed.as_written | empty)


def local_days(column: Any) -> tuple[Any, bool]:
    """Times in a zone as they are read: the zone's own days if all are midnights there, else in UTC; and which it was.

    In UTC midnights would move by an hour in summer, and often into another month.
    """
    compute = require("pyarrow.compute", "read times in a zone")
    try:
        local = compute.local_timestamp(column)
    except ValueError as error:  # an unknown zone, or no list of zones on this machine
        raise InputError(f"times are in the zone {column.type.tz!r} ({error}); expected one that is known") from error
    midnight = compute.all(compute.equal(local, compute.floor_temporal(local, unit="day"))).as_py()
    return (local, True) if midnight else (column, False)
