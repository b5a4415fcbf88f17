"""Checks of values that were read from a file: each returns the value, or says in an InputError what it is instead."""

from __future__ import annotations

from typing import Any

from longlag.checks import is_number, is_whole, shown
from longlag.errors import InputError

__all__ = ["mapping", "number", "text", "whole"]

_MOST = 2**53  # whole numbers up to here survive being floats


def whole(name: str, value: Any, least: int = 0, most: int = _MOST) -> int:
    """Return the value, if it is a whole number in these bounds."""
    if not is_whole(value) or not least <= value <= most:
        raise InputError(f"{name} is {shown(value)}; expected a whole number from {least} to {most}")
    return int(value)


def number(name: str, value: Any) -> float:
    """Return the value, if it is a number that is not negative."""
    if (is_whole(value) and abs(value) > _MOST) or not is_number(value) or value < 0:
        raise InputError(f"{name} is {shown(value)}; expected a number of at least 0")
    return value  # type: ignore[no-any-return]


def text(name: str, value: Any) -> str:
    """Return the value, if it is text."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}; expected text")
    return value


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Return the value, if it is a JSON object."""
    if not isinstance(value, dict):
        raise InputError(f"{name} is {shown(value)}; expected an object")
    return value
