"""Schedules: a number that changes with the progress of training (learning rate, sharpness, share of own answers)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from longlag.checks import is_number, is_whole
from longlag.errors import InputError

__all__ = ["Schedule", "Shape", "value_at"]

Shape = Literal["constant", "linear", "cosine", "exponential", "steps"]


@dataclass(frozen=True)
class Schedule:
    """From ``start`` at progress 0 to ``end`` at progress 1.

    Parameters
    ----------
    start, end : float
    shape : {"constant", "linear", "cosine", "exponential", "steps"}
        "constant" stays at ``start``; "exponential" changes by equal factors; "steps" by ``steps`` equal factors, held
        in between.
    steps : int
        Number of drops of the shape "steps".

    Raises
    ------
    InputError
        For an unknown shape, what is not a finite number, or a factor between numbers of which one is not positive.
    """

    start: float
    end: float | None = None
    shape: Shape = "constant"
    steps: int = 3

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise InputError(f"schedule shape is {self.shape!r}; expected one of {', '.join(get_args(Shape))}")
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is None and name == "end":
                continue
            if not is_number(value):
                raise InputError(f"schedule {name} is {value!r}; expected a finite number")
            object.__setattr__(self, name, float(value))  # NumPy's numbers too: the run record holds plain ones
        if not is_whole(self.steps) or self.steps < 1:
            raise InputError(f"schedule steps is {self.steps!r}; expected a whole number of at least 1")
        object.__setattr__(self, "steps", int(self.steps))
        if self.shape == "constant":
            return
        if self.end is None:
            raise InputError(f"schedule shape {self.shape!r} needs an end; expected a number")
        if self.shape in ("exponential", "steps") and not (self.start > 0 and self.end > 0):
            raise InputError(
                f"schedule shape {self.shape!r} goes from {self.start} to {self.end}; expected positive numbers"
            )

    def at(self, progress: float) -> float:
        """The value at ``progress`` in 0..1; exactly ``start`` at 0 and ``end`` at 1, whatever rounding would say."""
        if self.shape == "steps":
            progress = min(math.floor(progress * (self.steps + 1)), self.steps) / self.steps
        if self.shape == "constant" or self.end is None or progress <= 0.0:
            return self.start
        if progress >= 1.0:
            return self.end
        if self.shape == "linear":
            return self.start + (self.end - self.start) * progress
        if self.shape == "cosine":
            return self.end + (self.start - self.end) * 0.5 * (1.0 + math.cos(math.pi * progress))
        return float(self.start * (self.end / self.start) ** progress)


def value_at(schedule: Schedule | float, progress: float) -> float:
    """A number is a schedule that stays."""
    return schedule.at(progress) if isinstance(schedule, Schedule) else schedule
