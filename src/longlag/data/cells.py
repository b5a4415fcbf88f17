"""Cells of a table: what counts as a number, a date or missing, and how a column of cells gets its type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data.date_formats import dates_in, looks_like_date
from longlag.data.number_formats import Decimal, decimal_of, is_number, numbers_written
from longlag.data.table_format import TableFormat

__all__ = ["Column", "is_missing", "looks_typed", "number_in", "type_columns", "type_text", "type_values", "written"]

_MISSING = frozenset(
    {"", "na", "n/a", "nan", "+nan", "-nan", "null", "<na>", "#n/a", "#na", "#n/a n/a", "#value!", "#div/0!"}
)
_PLACEHOLDERS = frozenset(
    {"-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "?", "*", "none", "nil", "missing", "n.a.", "n.d.", "nat"}
)
"""What counts as missing among numbers and dates alone: as a name or a class it may well be meant."""

_EXACT = 2**53  # every whole number up to here has its own float64


@dataclass(frozen=True, eq=False)
class Column:
    """A column with its type.

    values : (rows,) float64 with NaN, datetime64 with NaT, or object (str) with "", for what is missing
    as_written : the text of each cell that is missing or not finite, by row
    note : what was found out about it, for people; else ""
    decimal : how its numbers are written, where they are not written as Python writes them
    """

    values: NDArray[Any]
    as_written: dict[int, str] = field(default_factory=dict)
    note: str = ""
    decimal: Decimal | None = None


def is_missing(cell: str) -> bool:
    """An empty cell, or one that reads NA, N/A, NaN, null, <NA>, #N/A or NaT in any case of letters."""
    return cell.strip().casefold() in _MISSING


def looks_typed(cell: str) -> bool:
    """Whether a cell looks like a number in some notation, or like a date."""
    return number_in(cell) is not None or is_number(cell) or looks_like_date(cell)


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


def type_columns(columns: Sequence[Sequence[str]], form: TableFormat) -> tuple[list[Column], TableFormat]:
    """The columns of one file with their types, and the format with the decimal character that they agree on.

    A column such as 1,234 alone does not say whether its comma is a decimal one; the other columns of the file may.
    """
    typed = [type_text(cells, form) for cells in columns]
    if form.decimal is not None or all(column.decimal in (None, "plain") for column in typed):
        return typed, form
    kinds = {
        column.decimal or _decimal_in(cells, form.missing)
        for column, cells in zip(typed, columns, strict=True)
        if column.decimal or column.values.dtype == np.float64
    }
    known = kinds & {".", ","}
    if len(known) != 1:
        return typed, form
    form = replace(form, decimal="," if "," in known else ".")
    return [type_text(cells, form) for cells in columns], form


def type_text(cells: Sequence[str], form: TableFormat) -> Column:
    """A column as float64 if every cell but the missing is a number, datetime64 if a date, else as written.

    Digits that float64 would not give back (007, or whole numbers beyond 2**53) stay text, so that
    identifiers keep their identity; ``Table.number`` still reads them as numbers. Times with an offset become UTC;
    a column that mixes times with and without one stays text, and so does one whose dates or decimal characters can be
    read in two ways.
    """
    values = None if form.missing else _floats(cells, form.decimal)
    absent: set[int] = set()
    if values is None:
        absent = _rows_of(cells, _missing_spellings(form.missing))
        if absent or form.missing:
            values = _floats(["nan" if row in absent else cell for row, cell in enumerate(cells)], form.decimal)
    if values is None:
        return _type_what_is_not_plain(cells, absent, form)
    return _number_column(cells, values) or Column(_objects(cells, absent), _texts(cells, absent))


def _type_what_is_not_plain(cells: Sequence[str], absent: set[int], form: TableFormat) -> Column:
    """A column whose cells are no numbers of Python: another notation, placeholders, dates, or text."""
    placeholders = _rows_of(cells, _PLACEHOLDERS) - absent
    without = absent | placeholders
    present = [cell for row, cell in enumerate(cells) if row not in without] if without else cells
    notes = [f"{cells[min(placeholders)].strip()!r} counts as missing"] if placeholders else []
    if not present:
        return Column(np.full(len(cells), np.nan), _texts(cells, without), ", ".join(notes))
    kind = None
    if looks_typed(present[0]):
        kind = decimal_of(present)
        numbers = _in_notation(cells, present, without, kind, form.decimal)
        if kind == "," and form.decimal is None:
            notes.append("decimal comma")
        elif kind == "either" and form.decimal == ".":
            notes.append("the comma separates thousands")
        column = None if numbers is None else _number_column(cells, numbers, ", ".join(notes), kind)
        if column is not None:
            return column
        dates = dates_in(cells, frozenset(without), form.date_format)
        if dates.values is not None:
            return Column(
                dates.values, _texts(cells, without), ", ".join([*notes, dates.note] if dates.note else notes)
            )
    return Column(_objects(cells, absent), _texts(cells, absent), decimal=kind)


def _in_notation(
    cells: Sequence[str], present: Sequence[str], absent: set[int], kind: Decimal | None, decimal: str | None
) -> NDArray[np.float64] | None:
    """The numbers of cells that are ``present``, all written in this way; None where they can be read in two."""
    chosen = decimal or (kind if kind in (".", ",") else "." if kind == "plain" else None)
    if chosen is None or kind is None or (kind in (".", ",") and kind != chosen):
        return None
    numbers = np.full(len(cells), np.nan)
    numbers[[row for row in range(len(cells)) if row not in absent]] = numbers_written(present, chosen)
    return numbers


def type_values(values: NDArray[Any]) -> Column:
    """Like ``type_text`` for values that have a type: numbers and booleans become float64, dates stay.

    Text becomes dates where all of it is. Whole numbers beyond 2**53 and everything else become text.
    """
    if values.dtype.kind in "iu" and values.size and (values.max() > _EXACT or values.min() < -_EXACT):
        return Column(_objects([str(value) for value in values]))
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
        return Column(
            numbers, {int(row): written(float(numbers[row])) for row in np.flatnonzero(~np.isfinite(numbers))}
        )
    if values.dtype.kind == "M":
        return Column(values.copy())
    cells = [written(value) for value in values.tolist()]
    absent = _rows_of(cells, _MISSING)
    first = next((cell for row, cell in enumerate(cells) if row not in absent), "")
    if looks_like_date(first):
        dates = dates_in(cells, frozenset(absent))
        if dates.values is not None:
            return Column(dates.values, _texts(cells, absent), dates.note)
    return Column(_objects(cells))


def _decimal_in(cells: Sequence[str], missing: tuple[str, ...]) -> Decimal | None:
    """How the numbers of a column are written, the missing ones left out."""
    absent = _rows_of(cells, _missing_spellings(missing) | _PLACEHOLDERS)
    return decimal_of(cell for row, cell in enumerate(cells) if row not in absent)


def _number_column(
    cells: Sequence[str], values: NDArray[np.float64], note: str = "", decimal: Decimal | None = None
) -> Column | None:
    """A column of numbers; None where they do not give back the digits that were written."""
    if not _gives_back(cells, values):
        return None
    return Column(values, {int(row): cells[row] for row in np.flatnonzero(~np.isfinite(values))}, note, decimal)


def _floats(cells: Sequence[str], decimal: str | None) -> NDArray[np.float64] | None:
    try:
        numbers = np.array(list(map(float, cells)), dtype=np.float64)
    except ValueError:
        return None
    text = "".join(cells)
    if decimal == "," and "." in text:  # 1.234 is a thousand here
        return None
    return numbers if _is_plain(text) else None


def _is_plain(text: str) -> bool:
    return text.isascii() and "_" not in text  # float() also takes 1_000 and other alphabets' digits


def _gives_back(cells: Sequence[str], values: NDArray[np.float64]) -> bool:
    if any(cell.isdigit() and len(cell) > 1 for cell in cells if cell[:1] == "0"):
        return False
    return not any(cells[row].strip().lstrip("+-").isdigit() for row in np.flatnonzero(np.abs(values) >= _EXACT))


def _missing_spellings(missing: tuple[str, ...]) -> frozenset[str]:
    return _MISSING | {cell.strip().casefold() for cell in missing} if missing else _MISSING


def _rows_of(cells: Sequence[str], spellings: frozenset[str]) -> set[int]:
    """The rows whose cell is written in one of these ways, in any case of letters."""
    written_so = {cell for cell in set(cells) if cell.strip().casefold() in spellings}
    return {row for row, cell in enumerate(cells) if cell in written_so} if written_so else set()


def _texts(cells: Sequence[str], rows: set[int]) -> dict[int, str]:
    return {row: cells[row] for row in sorted(rows)}


def _objects(cells: Sequence[str], absent: set[int] | frozenset[int] = frozenset()) -> NDArray[np.object_]:
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    for row in absent:
        column[row] = ""
    return column
