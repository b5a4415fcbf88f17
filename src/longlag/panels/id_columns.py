"""The columns that tell the series of a table apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.panels.categories import first_seen_codes
from longlag.panels.time_columns import TIME_NAMES, column_parts, read_times, repeated_times
from longlag.tables.cells import is_missing
from longlag.tables.table import Table

__all__ = ["ID_NAMES", "find_id", "series_codes"]

ID_NAMES = ("unique_id", "series_id", "item_id", "ts_id", "id", "series")
"""Names of columns that name series wherever their values repeat."""


def series_codes(table: Table, name: str | None) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """The series of each row, and the names of the series: sorted, numbers by size, so that no order of rows matters.

    ``name`` is a column, several with a + between them, or None for one series.

    Raises
    ------
    InputError
        If a name is missing; names its line.
    """
    if name is None:
        return np.zeros(len(table), dtype=np.intp), ("",)
    codes: NDArray[np.intp] = np.zeros(len(table), dtype=np.intp)
    ids: tuple[str, ...] = ("",)
    for column in column_parts(table, name):
        inner, words = _sorted_codes(table, column)
        if any(is_missing(word) for word in words):
            table.text(column)  # refuses the missing one by its line
        if ids == ("",):
            codes, ids = inner, words
            continue
        pairs, codes = np.unique(codes * len(words) + inner, return_inverse=True)
        ids = tuple(f"{ids[pair // len(words)]}+{words[pair % len(words)]}" for pair in pairs.tolist())
    return codes, ids


def _sorted_codes(table: Table, name: str) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Each cell as the place of its value among all of the column, sorted."""
    codes, words = first_seen_codes(table, name)
    if table.kind(name) == "number":
        order = np.argsort(table.columns[name][np.unique(codes, return_index=True)[1]])
    else:
        order = np.array(sorted(range(len(words)), key=words.__getitem__), dtype=np.intp)
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    return place[codes], tuple(words[number] for number in order.tolist())


def find_id(table: Table, time: str | None, taken: set[str], notes: list[str]) -> str | None:
    """The column that tells series apart where times repeat without one, or its name is known; None for one series.

    Raises
    ------
    InputError
        If it is not plain whether a column does: one question.
    """
    free = [
        name
        for name in table.names
        if name not in taken and table.kind(name) != "date" and name.casefold() not in TIME_NAMES
    ]
    for name in free:
        if name.casefold() == "unique_id":
            return name
    if time is None:
        _refuse_blocks(table, free)
        return None
    times = read_times(table, time)
    alone = repeated_times(times)
    if 4 * alone < len(table):  # a few are mistakes, not several series
        return None
    codes = {name: first_seen_codes(table, name) for name in free if _may_be_id(table, name)}
    codes = {name: (code, ids) for name, (code, ids) in codes.items() if 1 < len(ids) <= len(table) / 2}
    apart = [name for name, (code, _) in codes.items() if 20 * _repeats(code, times) <= alone]
    plain = [name for name in apart if name.casefold() in ID_NAMES][:1]
    plain = plain or [name for name in apart if table.kind(name) == "text"]
    if plain and all((codes[name][0] == codes[plain[0]][0]).all() for name in plain):
        notes.append(f"times repeat: the {len(codes[plain[0]][1])} values of column {plain[0]!r} are taken for series")
        return plain[0]
    if not apart:
        apart = _pair_apart(codes, times, alone)
    if apart:
        _ask(table, time, times, apart)
    return None


def _pair_apart(
    codes: dict[str, tuple[NDArray[np.intp], tuple[str, ...]]], times: NDArray[Any], alone: int
) -> list[str]:
    """The first two columns that tell series apart together, as one name."""
    for first, second in combinations(list(codes)[:8], 2):
        both = codes[first][0] * len(codes[second][1]) + codes[second][0]
        if 2 * len(np.unique(both)) <= len(both) and 20 * _repeats(both, times) <= alone:
            return [f"{first}+{second}"]
    return []


def _repeats(codes: NDArray[np.intp], times: NDArray[Any]) -> int:
    """How many rows have the series and the time of an earlier row."""
    _, number = np.unique(times, return_inverse=True)
    return repeated_times(codes.astype(np.int64) * (int(number.max(initial=0)) + 1) + number)


def _ask(table: Table, time: str, times: NDArray[Any], apart: Sequence[str]) -> None:
    """Refuse times that repeat, with the columns that may name their series."""
    _, first, number = np.unique(times, return_index=True, return_inverse=True)
    row = int(np.argmax(first[number] != np.arange(len(times))))
    before = int(table.lines[first[number[row]]])
    if len(apart) > 1:
        what, expected = f"one of columns {', '.join(map(repr, apart))} the id", "and its name"
    elif "+" in apart[0] and apart[0] not in table.columns:
        what, expected = f"{apart[0]!r}, both columns together, the id", apart[0]
    else:
        what, expected = f"column {apart[0]!r} the id", apart[0]
    raise InputError(
        f"{table.where(row, time)}: times repeat, first that of {table.place} {before}: is {what} of several series? "
        f"Expected --id {expected}"
    )


def _may_be_id(table: Table, name: str) -> bool:
    """Whether a column holds words or whole numbers."""
    column = table.columns[name]
    return table.kind(name) == "text" or bool(np.isfinite(column).all() and (column % 1 == 0).all())


def _refuse_blocks(table: Table, free: list[str]) -> None:
    """Ask one question if a column shows that several series stand below each other without a time."""
    for name in free:
        if (table.kind(name) != "text" and name.casefold() not in ID_NAMES) or not _may_be_id(table, name):
            continue
        codes, ids = first_seen_codes(table, name)
        if 1 < len(ids) <= len(table) // 2 and (np.diff(codes) >= 0).all():
            raise InputError(
                f"{table.source} has no column of times, and column {name!r} has {len(ids)} values in blocks: do "
                f"several series stand below each other? Expected --id {name}, or --time and a column, or --label "
                f"{name} to tell these values apart"
            )
