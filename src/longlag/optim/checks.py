"""How options are refused: one sentence that says whose option it is, its value, and what was expected."""

from __future__ import annotations

import math
from typing import Any

from longlag.checks import is_number, is_whole
from longlag.errors import InputError

__all__ = ["number", "require", "require_part", "whole"]


def require(owner: str, name: str, value: object, holds: bool, expected: str) -> None:
    """Refuse an option in one sentence unless it ``holds``."""
    if not holds:
        raise InputError(f"{owner}: {name} is {value!r}; expected {expected}")


def number(value: Any) -> float:
    """Return ``value`` for a comparison; NaN, for which no comparison holds, where it is no number."""
    return value if is_number(value) or isinstance(value, float) else math.nan


def whole(value: Any) -> float:
    """Return ``value`` for a comparison; NaN, for which no comparison holds, where it is no whole number."""
    return value if is_whole(value) else math.nan


def require_part(owner: str, name: str, value: object, kind: type) -> None:
    """Refuse an option that is not an object of a class of options, such as StrongWolfe."""
    require(owner, name, value, isinstance(value, kind), f"a {kind.__name__}")
