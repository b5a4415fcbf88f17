"""Columns of words as numbers: the words of a column are learned once, and have the same codes ever after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.tables.cells import is_missing, written
from longlag.tables.table import Table, did_you_mean

__all__ = ["Categories", "first_seen_codes", "learn_categories", "read_columns"]

Categories = Mapping[str, tuple[str, ...]]
"""The words of each column of words, sorted: a word's place is its code."""


def learn_categories(table: Table, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The words of those of the columns that hold text; missing cells are none."""
    return {
        name: tuple(sorted(word for word in first_seen_codes(table, name)[1] if not is_missing(word)))
        for name in names
        if table.kind(name) == "text"
    }


def read_columns(table: Table, names: Sequence[str], categories: Categories) -> NDArray[np.float64]:
    """Columns side by side, (rows, len(names)): numbers, or the codes of words; NaN where a cell is missing.

    Raises
    ------
    InputError
        If a word is none of those that the column had when its categories were learned, or a cell is no number.
    """
    columns = [
        _codes(table, name, categories[name]) if name in categories else table.number(name, missing="nan")
        for name in names
    ]
    return np.stack(columns, axis=1) if columns else np.empty((len(table), 0))


def first_seen_codes(table: Table, name: str) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Each cell as the number of its value, and the values as written, in the order in which they first appear."""
    if table.kind(name) == "number":
        values, first, codes = np.unique(table.columns[name], return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), dtype=np.intp)
        rank[order] = np.arange(len(order))
        return rank[codes], tuple(written(value) for value in values[order].tolist())
    if table.kind(name) == "date":
        table.dates(name)  # refuses a missing one
        cells = np.datetime_as_string(table.columns[name]).tolist()
    else:
        cells = table.columns[name].tolist()
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    codes = np.fromiter(map(numbers.__getitem__, cells), np.intp, len(cells))
    return codes, tuple(numbers)


def _codes(table: Table, name: str, words: tuple[str, ...]) -> NDArray[np.float64]:
    codes, cells = first_seen_codes(table, name)
    place = {word: float(code) for code, word in enumerate(words)}
    for number, cell in enumerate(cells):
        if not is_missing(cell) and cell not in place:
            row = int(np.argmax(codes == number))
            known = ", ".join(repr(word) for word in words[:8]) + (" and others" if len(words) > 8 else "")
            raise InputError(
                f"{table.where(row, name)}: {cell!r} is a word that this column did not have before; "
                f"expected one of {known}{did_you_mean(cell, words)}"
            )
    return np.array([place.get(cell, np.nan) for cell in cells])[codes]
