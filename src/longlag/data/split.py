"""Splitting a series in time order: what comes later is never learned from."""

from __future__ import annotations

from typing import Any, NamedTuple

from longlag.data.checks import is_whole
from longlag.errors import InputError

__all__ = ["Split", "chronological_split"]


class Split(NamedTuple):
    """Three adjoining slices of a series, in time order; ``validation`` is empty if none was asked for."""

    train: slice
    validation: slice
    test: slice


def chronological_split(n: int, test: float | int, *, validation: float | int = 0) -> Split:
    """The last steps for testing, those before for validation, the rest for training; nothing is shuffled.

    Parameters
    ----------
    n : steps of the series.
    test, validation : an int is a number of steps; a float strictly between 0 and 1 is a share of ``n``,
        rounded to the nearest step. ``validation=0`` asks for none.

    Raises
    ------
    InputError
        If a part that was asked for, or the training part, would be empty.
    """
    test_steps = _steps("test", test, n)
    validation_steps = 0 if is_whole(validation) and validation == 0 else _steps("validation", validation, n)
    train_steps = n - test_steps - validation_steps
    if train_steps < 1:
        raise InputError(
            f"{test_steps} steps for testing and {validation_steps} for validation leave none of {n} "
            "for training; expected at least one"
        )
    return Split(slice(0, train_steps), slice(train_steps, n - test_steps), slice(n - test_steps, n))


def _steps(part: str, amount: Any, n: int) -> int:
    if is_whole(amount):
        steps = int(amount)
    elif isinstance(amount, float) and 0.0 < amount < 1.0:
        steps = round(n * amount)
    else:
        raise InputError(f"{part}={amount!r}; expected a whole number of steps or a share strictly between 0 and 1")
    if steps < 1:
        raise InputError(f"{part}={amount} of {n} steps leaves the {part} part empty; expected at least one step")
    return steps
