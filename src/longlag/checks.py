"""Checks of options: whole numbers, numbers, flags, choices. NumPy's numbers pass wherever Python's do."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

from longlag.errors import InputError, InputTypeError

__all__ = [
    "LARGEST",
    "MOST",
    "instance_of",
    "is_number",
    "is_whole",
    "not_negative",
    "one_of",
    "shown",
    "true_or_false",
    "whole_number",
]

MOST = 2**40
"""No option asks for more numbers than this, eight terabytes of float64: such a one is a mistake, not a size."""

LARGEST = 1e150
"""The largest absolute value that may be predicted: squares of errors, and sums of them, must fit into a float64."""


def shown(value: Any) -> str:
    """Return ``repr(value)`` as a sentence has room for it: on one line, and not much longer than 60 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_number(value: Any) -> bool:
    """Return whether ``value`` is a finite number of Python or NumPy; True and False are not."""
    try:
        return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        return False


def is_whole(value: Any) -> bool:
    """Return whether ``value`` is an int of Python or NumPy; True and False are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def whole_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return ``value`` as an int of Python.

    Raises
    ------
    InputTypeError
        When it is not a whole number.
    InputError
        When it is less than ``least`` or more than ``most``.
    """
    if not is_whole(value):
        raise InputTypeError(f"{name} is {shown(value)}; expected a whole number of at least {least}")
    if value < least:
        raise InputError(f"{name} is {shown(value)}; expected a whole number of at least {least}")
    if most is not None and value > most:
        raise InputError(f"{name} is {shown(value)}; expected a whole number of at most {most}")
    return int(value)


def instance_of(name: str, value: Any, kinds: type | tuple[type, ...], expected: str) -> None:
    """Refuse, with an InputTypeError, what is of none of these types; ``expected`` names them for people."""
    if not isinstance(value, kinds):
        raise InputTypeError(f"{name} is {_described(value)}; expected {expected}")


def _described(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def not_negative(name: str, value: Any) -> None:
    """Refuse what is not a finite number of at least 0."""
    if not is_number(value) or value < 0:
        raise InputError(f"{name} is {shown(value)}; expected a number of at least 0")


def true_or_false(name: str, value: Any) -> None:
    """Refuse what is not a bool."""
    if not isinstance(value, bool):
        raise InputTypeError(f"{name} is {shown(value)}; expected True or False")


def one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is not one of these words."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} is {shown(value)}; expected one of {', '.join(choices)}")
