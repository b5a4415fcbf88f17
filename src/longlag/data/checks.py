"""Checks of options that several files of this package share."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from longlag.errors import InputError

__all__ = ["LARGEST", "is_number", "is_whole", "not_negative", "true_or_false", "whole_number"]

LARGEST = 1e150
"""The largest absolute value that may be predicted: squares of errors, and sums of them, must fit into a float64."""


def is_number(value: Any) -> bool:
    """A finite number of Python or NumPy; True and False are not."""
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """An int of Python or NumPy; True and False are not."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def whole_number(name: str, value: Any, least: int) -> int:
    """``value`` as an int of Python; refuses what is not a whole number of at least ``least``."""
    if not is_whole(value) or value < least:
        raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return int(value)


def not_negative(name: str, value: Any) -> None:
    """Refuse what is not a finite number of at least 0."""
    if not is_number(value) or value < 0:
        raise InputError(f"{name} is {value!r}; expected a number of at least 0")


def true_or_false(name: str, value: Any) -> None:
    """Refuse what is not a bool."""
    if not isinstance(value, bool):
        raise InputError(f"{name} is {value!r}; expected True or False")
