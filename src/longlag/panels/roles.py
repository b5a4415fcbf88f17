"""Roles: which column of a table is the time, which tells series apart, and which is to be forecast."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longlag.checks import instance_of
from longlag.errors import InputError
from longlag.panels.id_columns import ID_NAMES, find_id
from longlag.panels.time_columns import TIME_NAMES, column_parts, find_time, is_part_of_time
from longlag.tables.cells import is_missing
from longlag.tables.number_formats import is_number
from longlag.tables.table import Table

__all__ = ["Roles", "find_roles"]

_TARGET_NAMES = ("y", "value", "values", "target")
_COUNTERS = ("", "index", "row", "rownames", "rowid", "unnamed: 0", "level_0", "obs", "observation", "id", "no", "nr")
"""Names of columns that count the rows, as pandas, R and people write them."""


@dataclass(frozen=True)
class Roles:
    """The columns of a table by what they are for, as plain data.

    target : the columns to forecast; several are several series
    time : of each row, or None where the rows stand in order; several columns have a + between them: year+month
    id : which series a row belongs to, or None where there is one for each target; several as for the time
    known, past, static : numbers or words known in the future, up to now alone, and constant for a series
    """

    target: tuple[str, ...]
    time: str | None = None
    id: str | None = None
    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()


def find_roles(
    table: Table,
    *,
    target: str | Sequence[str] | None = None,
    time: str | None = None,
    id: str | None = None,
    known: Sequence[str] = (),
    past: Sequence[str] = (),
    static: Sequence[str] = (),
) -> tuple[Roles, list[str]]:
    """The roles that were not given, where the table makes them plain; and in sentences what was found.

    Raises
    ------
    InputError
        If a column is missing or has two roles, or what is not given is not plain: one question, with the columns that
        may be the answer.
    """
    instance_of("table", table, Table, "a Table")
    by_role = {
        "target": _names("target", target, table),
        "time": _names("time", time, table),
        "id": _names("id", id, table),
        "known": _names("known", known, table),
        "past": _names("past", past, table),
        "static": _names("static", static, table),
    }
    used: dict[str, str] = {}
    for role, names in by_role.items():
        if role in ("time", "id") and len(names) > 1:
            raise InputError(
                f"{role} names {len(names)} columns, {_listed(names)}; expected one, or a+b for two as one"
            )
        for name in [part for whole in names for part in column_parts(table, whole)]:
            if name in used:
                raise InputError(f"column {name!r} is both {used[name]} and {role}; expected one of them")
            used[name] = role
    notes: list[str] = []
    id_name = by_role["id"][0] if by_role["id"] else None
    time_name = by_role["time"][0] if by_role["time"] else _take_time(table, set(used), id_name, notes)
    if time_name is not None:
        used.update(dict.fromkeys(column_parts(table, time_name), "time"))
    id_name = id_name or find_id(table, time_name, set(used), notes)
    if id_name is not None:
        used.update(dict.fromkeys(column_parts(table, id_name), "id"))
    targets = by_role["target"] or _find_targets(table, used, notes)
    used.update(dict.fromkeys(targets, "target"))
    left = [name for name in table.names if name not in used and not _counts_rows(table, name)]
    if left:
        notes.append(f"column{'s' * (len(left) > 1)} {_listed(left)} {'are' if len(left) > 1 else 'is'} not used")
    return Roles(targets, time_name, id_name, by_role["known"], by_role["past"], by_role["static"]), notes


def _names(role: str, names: Any, table: Table) -> tuple[str, ...]:
    """Names of existing columns: one, several or none."""
    if names is None:
        return ()
    instance_of(role, names, (str, Iterable), "names of columns")
    chosen = (names,) if isinstance(names, str) else tuple(names)
    for name in chosen:
        if len(column_parts(table, name)) > 1 and role not in ("time", "id"):
            table.kind(name)  # refuses what is no column
    return chosen


def _take_time(table: Table, taken: set[str], id: str | None, notes: list[str]) -> str | None:
    """The column of times that the table has, and a sentence about it."""
    if id is None:
        id = next((name for name in table.names if name.casefold() in ID_NAMES and not _counts_rows(table, name)), None)
    elif len(column_parts(table, id)) > 1:
        id = column_parts(table, id)[0]
    time = find_time(table, taken, id)
    if time is None:
        notes.append("no column holds times: rows are taken as steps, in their order")
    else:
        parts = column_parts(table, time)
        notes.append(
            f"column {time!r} is taken for the time"
            if len(parts) == 1
            else f"columns {' and '.join(map(repr, parts))} are taken for the time together"
        )
    return time


def _find_targets(table: Table, used: dict[str, str], notes: list[str]) -> tuple[str, ...]:
    """The only column of numbers, or the one with a known name, or several that differ in a number alone."""
    numbers = [
        name
        for name in table.names
        if name not in used and table.kind(name) == "number" and not _counts_rows(table, name)
    ]
    if not numbers:  # whoever reads the values asks how they are meant
        numbers = [name for name in table.names if name not in used and table.undecided.get(name) == "number"]
    if len(numbers) > 1:  # a second time, such as a number beside a date
        numbers = [name for name in numbers if not _is_time_too(table, name)] or numbers
    known = [name for wanted in _TARGET_NAMES for name in numbers if name.casefold() == wanted]
    if known and len(numbers) > 1:
        notes.append(f"column {known[0]!r} is taken for the target")
    if known:
        return (known[0],)
    if len(numbers) < 2:
        _refuse_one_cell(table, used, numbers)
    if len(numbers) == 1:
        return (numbers[0],)
    if not numbers:
        free = [name for name in table.names if name not in used]
        raise InputError(
            f"{table.source} has no column of numbers to forecast; its columns are {_listed(table.names)}"
            + (f" ({free[0]!r} holds {table.kind(free[0])})" if free else "")
        )
    if len({re.sub(r"\d+$", "", name) for name in numbers}) == 1:
        notes.append(f"{len(numbers)} columns, {numbers[0]!r} to {numbers[-1]!r}, are taken for a series each")
        return tuple(numbers)
    raise InputError(
        f"{table.source} has {len(numbers)} columns of numbers, {_listed(numbers)}: which is to be forecast? Expected "
        "--target and one of them, or several for a series each"
    )


def _refuse_one_cell(table: Table, used: dict[str, str], others: Sequence[str]) -> None:
    """Refuse a column of numbers but for a cell or a few, naming the first of these.

    It may be the one that is meant, so ``others`` that could be forecast in its place are not taken for it.
    """
    for name in table.names:
        if name in used or name in others or table.kind(name) != "text":
            continue
        cells = [cell for cell in table.columns[name].tolist() if not is_missing(cell)]
        if 2 * sum(map(is_number, cells)) <= len(cells):
            continue
        try:
            table.number(name, missing="nan")
        except InputError as error:
            instead = f"; or --target {others[0]} to forecast that column" if others else ""
            raise InputError(f"{error}{instead}") from error


def _is_time_too(table: Table, name: str) -> bool:
    """Whether a column has the name of a time and goes up by steps of one, or holds months, days and such."""
    return (name.casefold() in TIME_NAMES and _steps_by_one(table, name)) or is_part_of_time(table, name)


def _counts_rows(table: Table, name: str) -> bool:
    """Whether a column does nothing but count the rows."""
    return name.casefold() in _COUNTERS and table.kind(name) == "number" and _steps_by_one(table, name)


def _steps_by_one(table: Table, name: str) -> bool:
    return bool((np.diff(table.columns[name]) == 1).all())


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(repr(name) for name in names[:8])
    return listed if len(names) <= 8 else f"{listed} and {len(names) - 8} more"
