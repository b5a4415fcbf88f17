"""Roles: which column of a table is the time, which tells series apart, and which is to be forecast."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of
from longlag.data.categories import first_seen_codes
from longlag.data.table import Table
from longlag.errors import InputError

__all__ = ["Roles", "find_roles"]

_SURE_TIMES = ("ds", "date", "datetime", "timestamp", "time", "year", "years")
_TIME_NAMES = (*_SURE_TIMES, "quarter", "month", "week", "day", "hour", "period", "index", "t", "step")
_ID_NAMES = ("unique_id", "series_id", "item_id", "ts_id", "id", "series")
_TARGET_NAMES = ("y", "value", "values", "target")
_ROW_NUMBERS = ("", "index", "row", "rownames", "unnamed: 0", "level_0")


@dataclass(frozen=True)
class Roles:
    """The columns of a table by what they are for, as plain data.

    target : the columns to forecast; several are several series
    time : of each row, or None where the rows stand in order
    id : which series a row belongs to, or None where there is one for each target
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
    given = {
        "target": _names("target", target, table),
        "time": _names("time", time, table),
        "id": _names("id", id, table),
        "known": _names("known", known, table),
        "past": _names("past", past, table),
        "static": _names("static", static, table),
    }
    used: dict[str, str] = {}
    for role, names in given.items():
        if role in ("time", "id") and len(names) > 1:
            raise InputError(f"{role} names {len(names)} columns, {_listed(names)}; expected one")
        for name in names:
            if name in used:
                raise InputError(f"column {name!r} is both {used[name]} and {role}; expected one of them")
            used[name] = role
    notes: list[str] = []
    time_name = given["time"][0] if given["time"] else _find_time(table, used, notes)
    if time_name is not None:
        used.setdefault(time_name, "time")
    id_name = given["id"][0] if given["id"] else _find_id(table, time_name, used, notes)
    if id_name is not None:
        used.setdefault(id_name, "id")
    targets = given["target"] or _find_targets(table, used, notes)
    used.update(dict.fromkeys(targets, "target"))
    left = [name for name in table.names if name not in used and not _is_row_number(table, name)]
    if left:
        notes.append(f"column{'s' * (len(left) > 1)} {_listed(left)} {'are' if len(left) > 1 else 'is'} not used")
    return Roles(targets, time_name, id_name, given["known"], given["past"], given["static"]), notes


def _names(role: str, names: Any, table: Table) -> tuple[str, ...]:
    """Names of existing columns: one, several or none."""
    if names is None:
        return ()
    instance_of(role, names, (str, Iterable), "names of columns")
    chosen = (names,) if isinstance(names, str) else tuple(names)
    for name in chosen:
        table.kind(name)  # refuses what is no column
    return chosen


def _find_time(table: Table, used: dict[str, str], notes: list[str]) -> str | None:
    """The column of times: of dates, or of numbers under a name that says so."""
    free = [name for name in table.names if name not in used]
    named = sorted((name for name in free if name.casefold() in _TIME_NAMES), key=_time_rank)
    dates = [name for name in free if table.kind(name) == "date"]
    if len(dates) > 1:
        dates = [name for name in named if name in dates][:1] or dates
    if len(dates) > 1:
        raise InputError(
            f"{table.source} has {len(dates)} columns of dates, {_listed(dates)}; expected --time and one of them"
        )
    for name in dates or named:
        # A column "month" may hold one of twelve and be no time; "date" and "year" may repeat for every series.
        if dates or name.casefold() in _SURE_TIMES or _increases(table, name, used):
            notes.append(f"column {name!r} is taken for the time")
            return name
    notes.append("no column holds times: rows are taken as steps, in their order")
    return None


def _time_rank(name: str) -> int:
    return _TIME_NAMES.index(name.casefold())


def _increases(table: Table, name: str, used: dict[str, str]) -> bool:
    """Whether a column holds numbers of which none comes twice, within a series where the id is given."""
    if table.kind(name) != "number" or not np.isfinite(table.columns[name]).all():
        return False
    ids = [column for column, role in used.items() if role == "id"]
    ids = ids or [column for column in table.names if column.casefold() in _ID_NAMES and column != name][:1]
    codes = first_seen_codes(table, ids[0])[0] if ids else np.zeros(len(table), dtype=np.intp)
    return _repeats(codes, table.columns[name]) == 0


def _repeats(codes: NDArray[np.intp], times: NDArray[Any]) -> int:
    """How many rows have the series and the time of an earlier row."""
    _, number = np.unique(times, return_inverse=True)
    pairs = codes.astype(np.int64) * (int(number.max(initial=0)) + 1) + number
    return len(pairs) - len(np.unique(pairs))


def _find_id(table: Table, time: str | None, used: dict[str, str], notes: list[str]) -> str | None:
    """The column that tells series apart, where times repeat without one or its name is known."""
    free = [name for name in table.names if name not in used and table.kind(name) != "date"]
    for name in free:
        if name.casefold() == "unique_id":
            return name
    if time is None:
        return _find_blocks(table, free)
    times = table.times(time)
    alone = _repeats(np.zeros(len(table), dtype=np.intp), times)
    if not alone:
        return None
    codes = {name: first_seen_codes(table, name) for name in free if _may_be_id(table, name)}
    apart = [name for name in codes if _tells_apart(*codes[name], times, alone)]
    plain = [name for name in apart if name.casefold() in _ID_NAMES][:1]
    plain = plain or [name for name in apart if table.kind(name) == "text"]
    if plain and all((codes[name][0] == codes[plain[0]][0]).all() for name in plain):
        notes.append(f"times repeat: the {len(codes[plain[0]][1])} values of column {plain[0]!r} are taken for series")
        return plain[0]
    if not apart:
        return None
    row, first = _first_repeat(times)
    what = f"column {apart[0]!r} the id" if len(apart) == 1 else f"one of columns {_listed(apart)} the id"
    raise InputError(
        f"{table.where(row, time)}: times repeat, first that of {table.place} {int(table.lines[first])}: is {what} of "
        f"several series? Expected --id {apart[0] if len(apart) == 1 else 'and its name'}"
    )


def _tells_apart(codes: NDArray[np.intp], ids: tuple[str, ...], times: NDArray[Any], alone: int) -> bool:
    """Whether times hardly ever repeat within a value of a column, and the values are few and the repeats many.

    ``alone`` is how many times repeat without the column: a few of them are mistakes, not several series.
    """
    some = 1 < len(ids) <= len(codes) / 2 and 4 * alone >= len(codes)
    return some and 20 * _repeats(codes, times) <= alone


def _first_repeat(times: NDArray[Any]) -> tuple[int, int]:
    """The first row that has the time of an earlier one, and that one."""
    _, first, number = np.unique(times, return_index=True, return_inverse=True)
    row = int(np.argmax(first[number] != np.arange(len(times))))
    return row, int(first[number[row]])


def _may_be_id(table: Table, name: str) -> bool:
    """Whether a column holds words or whole numbers."""
    column = table.columns[name]
    return table.kind(name) == "text" or bool(np.isfinite(column).all() and (column % 1 == 0).all())


def _find_blocks(table: Table, free: list[str]) -> str | None:
    """None, unless a column shows that several series stand below each other without a time: then one question."""
    for name in free:
        if table.kind(name) != "text" and name.casefold() not in _ID_NAMES:
            continue
        if not _may_be_id(table, name):
            continue
        codes, ids = first_seen_codes(table, name)
        if 1 < len(ids) <= len(table) // 2 and (np.diff(codes) >= 0).all():
            raise InputError(
                f"{table.source} has no column of times, and column {name!r} has {len(ids)} values in blocks: do "
                f"several series stand below each other? Expected --id {name}, or --time and a column"
            )
    return None


def _find_targets(table: Table, used: dict[str, str], notes: list[str]) -> tuple[str, ...]:
    """The only column of numbers, or the one with a known name, or several that differ in a number alone."""
    numbers = [
        name
        for name in table.names
        if name not in used and table.kind(name) == "number" and not _is_row_number(table, name)
    ]
    known = [name for wanted in _TARGET_NAMES for name in numbers if name.casefold() == wanted]
    if len(numbers) == 1 or known:
        return ((known or numbers)[0],)
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


def _is_row_number(table: Table, name: str) -> bool:
    """Whether a column does nothing but count the rows, as pandas and R write it."""
    if name.casefold() not in _ROW_NUMBERS or table.kind(name) != "number":
        return False
    return bool((np.diff(table.columns[name]) == 1).all())


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(repr(name) for name in names[:8])
    return listed if len(names) <= 8 else f"{listed} and {len(names) - 8} more"
