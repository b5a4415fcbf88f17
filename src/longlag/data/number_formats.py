"""Numbers as people write them: a decimal comma or point, and thousands set apart by the other one, a blank or '."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decimal", "decimal_of", "is_number", "number_written", "numbers_written"]

Decimal = Literal[".", ",", "either", "plain"]
"""The decimal character of some numbers; "either" where both readings are possible and differ; "plain" without any."""

_BLANKS = "'\u2019 \u00a0\u202f"


def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    grouped = rf"\d{{1,3}}(?:(?P<mark>[{re.escape(thousands)}{_BLANKS}])\d{{3}}(?:(?P=mark)\d{{3}})*)"
    decimal = re.escape(decimal)
    return re.compile(
        rf"\s*[+-]?(?:(?:{grouped}|\d+)(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII
    )  # ASCII: other alphabets' digits are text


_PATTERNS = {".": _pattern(".", ","), ",": _pattern(",", ".")}
_GROUPS = {".": re.compile(rf"[,{_BLANKS}]"), ",": re.compile(rf"[.{_BLANKS}]")}


def decimal_of(cells: Iterable[str]) -> Decimal | None:
    """The decimal character by which all cells are numbers; None where there is none."""
    possible, marked = {".", ","}, False
    for cell in cells:
        for decimal in tuple(possible):
            if _PATTERNS[decimal].fullmatch(cell) is None:
                possible.remove(decimal)
        if not possible:
            return None
        marked = marked or "," in cell or "." in cell
    if len(possible) == 2:
        return "either" if marked else "plain"
    return "." if "." in possible else ","


def number_written(cell: str, decimal: str) -> float | None:
    """The number in a cell with this decimal character, possibly infinite; None for text."""
    if cell.strip().lstrip("+-").casefold() in ("inf", "infinity"):
        return float(cell)
    return _plain(cell, decimal) if _PATTERNS[decimal].fullmatch(cell) else None


def numbers_written(cells: Sequence[str], decimal: str) -> NDArray[np.float64]:
    """The numbers in cells which ``decimal_of`` gave this decimal character."""
    return np.array([_plain(cell, decimal) for cell in cells], dtype=np.float64)


def is_number(cell: str) -> bool:
    """Whether a cell is a number, as 15 or 1,5 or 1.234,5 or 1'000."""
    return any(pattern.fullmatch(cell) for pattern in _PATTERNS.values())


def _plain(cell: str, decimal: str) -> float:
    return float(_GROUPS[decimal].sub("", cell.strip()).replace(",", "."))
