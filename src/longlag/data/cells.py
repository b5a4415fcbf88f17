"""Cells of a table: what counts as a number, a date or missing, and how a column of cells gets its type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_date", "is_missing", "number_in", "type_text", "type_values", "written"]

_MISSING = frozenset({"", "na", "n/a", "nan", "+nan", "-nan", "null"})
_DATE = re.compile(
    r"\s*\d{4}-\d\d(-\d\d(?P<time>[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?\s*",
    re.ASCII,
)
_EXACT = 2**53  # every whole number up to here has its own float64


def is_missing(cell: str) -> bool:
    """An empty cell, or NA, N/A, NaN or null in any case of letters."""
    return cell.strip().casefold() in _MISSING


def is_date(cell: str) -> bool:
    """An ISO 8601 date or date and time, such as 2001-02-03, 2001-02 or 2001-02-03T04:05:06Z."""
    return _DATE.fullmatch(cell) is not None and _dates([cell]) is not None


def number_in(cell: str) -> float | None:
    """The number written in a cell, possibly infinite; None for text. Python's 1_000 is text."""
    if not _is_plain(cell):
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def written(value: Any) -> str:
    """A number, date or text as one would write it; None is empty."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(float(value))
    return str(value)


def type_text(cells: Sequence[str]) -> tuple[NDArray[Any], dict[int, str]]:
    """A column as float64 if every cell but the missing is a number, datetime64 if a date, else as written.

    Digits that float64 would not give back (007, or whole numbers beyond 2**53) stay text, so that
    identifiers keep their identity; ``Table.number`` still reads them as numbers. Times with an offset become UTC;
    a column that mixes times with and without one stays text.

    Returns
    -------
    column : (rows,) float64 with NaN, datetime64 with NaT, or object (str)
    as_written : the text of each number that is missing or not finite, by row
    """
    values = _floats(cells)
    absent: set[int] = set()
    if values is None:
        absent = {row for row, cell in enumerate(cells) if is_missing(cell)}
        values = _floats(["nan" if row in absent else cell for row, cell in enumerate(cells)])
    if values is not None and _gives_back(cells, values):
        return values, {int(row): cells[row] for row in np.flatnonzero(~np.isfinite(values))}
    dates = _dates(["NaT" if row in absent else cell for row, cell in enumerate(cells)])
    if dates is not None:
        return dates, {row: cells[row] for row in sorted(absent)}
    return _objects(cells), {}


def type_values(values: NDArray[Any]) -> tuple[NDArray[Any], dict[int, str]]:
    """Like ``type_text`` for values that have a type: numbers and booleans become float64, dates stay.

    Whole numbers beyond 2**53 and everything else become text.
    """
    if values.dtype.kind in "iu" and values.size and (values.max() > _EXACT or values.min() < -_EXACT):
        return _objects([str(value) for value in values]), {}
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
        return numbers, {int(row): written(float(numbers[row])) for row in np.flatnonzero(~np.isfinite(numbers))}
    if values.dtype.kind == "M":
        return values.copy(), {}
    return _objects([written(value) for value in values.tolist()]), {}


def _floats(cells: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        numbers = np.array(list(map(float, cells)), dtype=np.float64)
    except ValueError:
        return None
    return numbers if _is_plain("".join(cells)) else None


def _is_plain(text: str) -> bool:
    return text.isascii() and "_" not in text  # float() also takes 1_000 and other alphabets' digits


def _gives_back(cells: Sequence[str], values: NDArray[np.float64]) -> bool:
    if any(cell.isdigit() and len(cell) > 1 for cell in cells if cell[:1] == "0"):
        return False
    return not any(cells[row].strip().lstrip("+-").isdigit() for row in np.flatnonzero(np.abs(values) >= _EXACT))


def _dates(cells: Sequence[str]) -> NDArray[np.datetime64] | None:
    """Days if no cell has a time, else microseconds; None where a cell is no date, or zones are mixed."""
    zones, times = set(), False
    for cell in cells:
        if cell == "NaT":
            continue
        match = _DATE.fullmatch(cell)
        if match is None:
            return None
        zones.add(match["zone"] is not None)
        times = times or match["time"] is not None
    if len(zones) != 1:
        return None
    try:
        if True in zones:
            cells = [cell if cell == "NaT" else _in_utc(cell) for cell in cells]
        return np.array([cell.strip() for cell in cells], dtype="datetime64[us]" if times else "datetime64[D]")
    except (ValueError, OverflowError):  # 2001-02-30
        return None


def _in_utc(cell: str) -> str:
    return datetime.fromisoformat(cell.strip()).astimezone(UTC).replace(tzinfo=None).isoformat()


def _objects(cells: Sequence[str]) -> NDArray[np.object_]:
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return column
