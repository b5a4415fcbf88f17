"""Numbers as people write them: a decimal comma or point, and thousands set apart by the other one, a blank or '."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from longlag.tables.packages import require

__all__ = ["Decimal", "decimal_of", "is_number", "number_written", "numbers_written"]

Decimal = Literal[".", ",", "either", "plain"]
"""The decimal character of some numbers; "either" where both readings are possible and differ; "plain" without any."""

_BLANKS = "'\u2019 \u00a0\u202f"


def _pattern(decimal: str, thousands: str) -> str:
    """A number with these characters, as Python and Arrow understand it alike."""
    grouped = "|".join(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+" for mark in (thousands, *_BLANKS))
    decimal = re.escape(decimal)
    return rf"\s*[+-]?(?:(?:{grouped}|\d+)(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?\s*"


_PATTERNS = {".": _pattern(".", ","), ",": _pattern(",", ".")}
_COMPILED = {decimal: re.compile(pattern, re.ASCII) for decimal, pattern in _PATTERNS.items()}
_GROUPS = {".": rf"[,{_BLANKS}]", ",": rf"[.{_BLANKS}]"}


def decimal_of(cells: Any) -> Decimal | None:
    """The decimal character by which all of an Arrow array of text are numbers; None where there is none."""
    compute = require("pyarrow.compute", "read tables")
    first = cells[0].as_py() if len(cells) else ""
    possible = [
        decimal
        for decimal, pattern in _PATTERNS.items()
        if _COMPILED[decimal].fullmatch(first)
        and compute.all(compute.match_substring_regex(cells, f"^{pattern}$")).as_py()
    ]
    if len(possible) == 2:
        return "either" if compute.any(compute.match_substring_regex(cells, "[.,]")).as_py() else "plain"
    return None if not possible else "." if possible == ["."] else ","


def numbers_written(cells: Any, decimal: str) -> NDArray[np.float64]:
    """The numbers in an Arrow array of text to which ``decimal_of`` gave this decimal character."""
    compute = require("pyarrow.compute", "read tables")
    digits = compute.replace_substring_regex(compute.utf8_trim_whitespace(cells), _GROUPS[decimal], "")
    numbers = compute.cast(compute.replace_substring(digits, ",", "."), "float64")
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


def number_written(cell: str, decimal: str) -> float | None:
    """The number in a cell with this decimal character, possibly infinite; None for text."""
    if cell.strip().lstrip("+-").casefold() in ("inf", "infinity"):
        return float(cell)
    if _COMPILED[decimal].fullmatch(cell) is None:
        return None
    return float(re.sub(_GROUPS[decimal], "", cell.strip()).replace(",", "."))


def is_number(cell: str) -> bool:
    """Whether a cell is a number, as 15 or 1,5 or 1.234,5 or 1'000."""
    return any(pattern.fullmatch(cell) for pattern in _COMPILED.values())
