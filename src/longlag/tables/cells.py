"""Cells of a table: what counts as a number, a date or missing, and how a column of cells gets its type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from longlag.tables.date_formats import dates_in, looks_like_date
from longlag.tables.number_formats import Decimal, decimal_of, is_number, numbers_written
from longlag.tables.packages import require
from longlag.tables.table_format import TableFormat

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
    undecided : what a column of text would be if it were said which of two ways it is to be read in
    form : how its dates are written, see ``date_writing.write_dates``; None where nothing is known of it
    """

    values: NDArray[Any]
    as_written: dict[int, str] = field(default_factory=dict)
    note: str = ""
    decimal: Decimal | None = None
    undecided: Literal["number", "date"] | None = None
    form: str | None = None


def is_missing(cell: str) -> bool:
    """An empty cell, or one that reads NA, N/A, NaN, null, <NA> or #N/A in any case of letters."""
    return cell.strip().casefold() in _MISSING


def looks_typed(cell: str) -> bool:
    """Whether a cell looks like a number in some notation, or like a date."""
    return number_in(cell) is not None or is_number(cell) or looks_like_date(cell)


def number_in(cell: str) -> float | None:
    """The number written in a cell, possibly infinite; None for text. Python's 1_000 is text."""
    if not cell.isascii() or "_" in cell:  # float() also takes 1_000 and other alphabets' digits
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


def type_columns(columns: Sequence[Any], form: TableFormat) -> tuple[list[Column], TableFormat]:
    """The columns of one file with their types, and the format with the decimal character that they agree on.

    A column is an Arrow array of text, or has its type already.

    A column such as 1,234 alone does not say whether its comma is a decimal one; the other columns of the file may.
    """
    typed = [cells if isinstance(cells, Column) else type_text(cells, form) for cells in columns]
    if form.decimal is not None or all(column.decimal in (None, "plain") for column in typed):
        return typed, form
    concerned = [
        not isinstance(cells, Column) and (column.decimal is not None or column.values.dtype == np.float64)
        for column, cells in zip(typed, columns, strict=True)
    ]
    kinds = {
        column.decimal or decimal_of(_present(cells, _spellings(form.missing) | _PLACEHOLDERS)[0])
        for column, cells, of_numbers in zip(typed, columns, concerned, strict=True)
        if of_numbers
    }
    known = kinds & {".", ","}
    if len(known) != 1:
        return typed, form
    form = replace(form, decimal="," if "," in known else ".")
    return [
        type_text(cells, form) if of_numbers else column
        for column, cells, of_numbers in zip(typed, columns, concerned, strict=True)
    ], form


def type_text(cells: Any, form: TableFormat) -> Column:
    """An Arrow array of text as float64 if every cell but the missing is a number, datetime64 if a date, else text.

    Digits that float64 would not give back (007, or whole numbers beyond 2**53) stay text, so that
    identifiers keep their identity; ``Table.number`` still reads them as numbers. Times with an offset become UTC;
    a column that mixes times with and without one stays text, and so does one whose dates or decimal characters can be
    read in two ways.
    """
    present, absent = cells, np.zeros(len(cells), dtype=bool)
    values = None if form.missing else _floats(cells, form.decimal)
    if values is None:
        present, absent = _present(cells, _spellings(form.missing))
        values = _floats(present, form.decimal)
    if values is not None:
        return _number_column(cells, present, absent, values) or _text_column(cells, absent)
    first = present[0].as_py()
    placeholders = _PLACEHOLDERS & _lowered(cells, unique=True)
    if not placeholders and form.date_format is None and not looks_typed(first):
        return _text_column(cells, absent)
    notes = []
    without = absent
    if placeholders:
        present, without = _present(cells, _spellings(form.missing) | placeholders)
        row = int(np.flatnonzero(without & ~absent)[0])
        notes.append(f"{cells[row].as_py().strip()!r} counts as missing")
        values = _floats(present, form.decimal)
    kind = None
    if values is None:
        if form.date_format is None and not looks_typed(present[0].as_py()):
            return _text_column(cells, absent)
        kind = decimal_of(present)
        values = _in_notation(present, kind, form.decimal)
        if kind == "," and form.decimal is None:
            notes.append("decimal comma")
        elif kind == "either" and form.decimal == ".":
            notes.append("the comma separates thousands")
    if values is not None:
        column = _number_column(cells, present, without, values, ", ".join(notes), kind)
        return column or _text_column(cells, absent)
    dates = dates_in(present, form.date_format)
    if dates.values is None:
        column = _text_column(cells, absent, kind)
        return replace(column, undecided="number" if kind == "either" else "date" if dates.undecided else None)
    notes += [dates.note] if dates.note else []
    return Column(_spread(dates.values, without), _texts(cells, without), ", ".join(notes), form=dates.form)


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
    texts = [written(value) for value in values.tolist()]
    if not looks_like_date(next((cell for cell in texts if not is_missing(cell)), "")):
        return Column(_objects(texts))
    cells = require("pyarrow", "read tables").array(texts, "string")
    present, absent = _present(cells, _MISSING)
    dates = dates_in(present)
    if dates.values is None:
        return Column(_objects(texts))
    return Column(_spread(dates.values, absent), _texts(cells, absent), dates.note, form=dates.form)


def _spellings(missing: tuple[str, ...]) -> frozenset[str]:
    return _MISSING | {cell.strip().casefold() for cell in missing} if missing else _MISSING


def _lowered(cells: Any, *, unique: bool = False) -> Any:
    """Cells without blanks around them, in small letters; ``unique``, as a set."""
    compute = require("pyarrow.compute", "read tables")
    lowered = compute.utf8_lower(compute.utf8_trim_whitespace(cells))
    return set(compute.unique(lowered).to_pylist()) if unique else lowered


def _present(cells: Any, spellings: frozenset[str]) -> tuple[Any, NDArray[np.bool_]]:
    """The cells that are written in none of these ways, and which rows are (rows,)."""
    arrow, compute = require("pyarrow", "read tables"), require("pyarrow.compute", "read tables")
    is_absent = compute.is_in(_lowered(cells), value_set=arrow.array(sorted(spellings)))
    absent = np.asarray(is_absent.to_numpy(zero_copy_only=False), dtype=bool)
    return (cells.filter(compute.invert(is_absent)) if absent.any() else cells), absent


def _floats(cells: Any, decimal: str | None) -> NDArray[np.float64] | None:
    """The numbers of cells that are written as Python writes them; None where one is not."""
    if len(cells) and number_in(cells[0].as_py()) is None:
        return None
    arrow, compute = require("pyarrow", "read tables"), require("pyarrow.compute", "read tables")
    if decimal == "," and compute.any(compute.match_substring(cells, ".")).as_py():  # 1.234 is a thousand here
        return None
    try:
        numbers = compute.cast(compute.utf8_trim_whitespace(cells), "float64")
    except arrow.ArrowInvalid:
        return None
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


def _in_notation(present: Any, kind: Decimal | None, decimal: str | None) -> NDArray[np.float64] | None:
    """The numbers of cells that are all written in one way; None where they can be read in two."""
    chosen = decimal or (kind if kind in (".", ",") else "." if kind == "plain" else None)
    if chosen is None or kind is None or (kind in (".", ",") and kind != chosen):
        return None
    return numbers_written(present, chosen)


def _number_column(
    cells: Any,
    present: Any,
    absent: NDArray[np.bool_],
    values: NDArray[np.float64],
    note: str = "",
    decimal: Decimal | None = None,
) -> Column | None:
    """A column of numbers; None where they do not give back the digits that were written."""
    compute = require("pyarrow.compute", "read tables")
    if compute.any(compute.match_substring_regex(present, r"^0\d+$")).as_py():
        return None
    large = np.flatnonzero(np.abs(values) >= _EXACT)
    if any(present[int(row)].as_py().strip().lstrip("+-").isdigit() for row in large):
        return None
    numbers = _spread(values, absent)
    return Column(numbers, _texts(cells, ~np.isfinite(numbers)), note, decimal)


def _text_column(cells: Any, absent: NDArray[np.bool_], decimal: Decimal | None = None) -> Column:
    """A column as written. Rows of one text share it."""
    encoded = require("pyarrow.compute", "read tables").dictionary_encode(cells)
    values = _objects(encoded.dictionary.to_pylist())[encoded.indices.to_numpy()]
    values[absent] = ""
    return Column(values, _texts(cells, absent), decimal=decimal)


def _spread(values: NDArray[Any], absent: NDArray[np.bool_]) -> NDArray[Any]:
    """Values of the rows that are present among all rows, NaN or NaT in the others."""
    if not absent.any():
        return values.copy()  # Arrow's memory is read-only
    spread = np.full(len(absent), np.array("NaN" if values.dtype.kind == "f" else "NaT").astype(values.dtype))
    spread[~absent] = values
    return spread


def _texts(cells: Any, rows: NDArray[np.bool_]) -> dict[int, str]:
    chosen = np.flatnonzero(rows)
    return dict(zip(chosen.tolist(), cells.take(chosen).to_pylist(), strict=True)) if len(chosen) else {}


def _objects(cells: Sequence[str]) -> NDArray[np.object_]:
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return column
