"""What has come of a trial, and its JSON, which is checked when it is read."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any

from longlag.errors import InputError
from longlag_lab.harness.checks import mapping, number, whole

__all__ = ["Outcome"]

_TEST = ("wrong", "of")  # what a trial that was tested has at least


@dataclass(frozen=True)
class Outcome:
    """What has come of a trial.

    Parameters
    ----------
    trial : int
        The trial's number.
    solved : int, optional
        How many sequences it took until the task's rule held; None: it reached its cap.
    sequences : int
        How many sequences it read.
    weights : int
        How many weights its network had.
    also : dict
        After how many sequences other rules of the task held.
    test : dict
        Errors on fresh sequences, if it was solved.
    curve : list
        Points (sequences, mean error).
    seconds : float
        Its share of the time that it and those beside it took.
    """

    trial: int
    solved: int | None
    sequences: int
    weights: int
    also: dict[str, int] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """How many sequences the trial read."""
        return self.sequences

    def plain(self) -> dict[str, Any]:
        """Return the outcome as JSON, where a number that is not finite is None."""
        test = {name: value if math.isfinite(value) else None for name, value in self.test.items()}
        curve = [[int(n), float(error) if math.isfinite(error) else None] for n, error in self.curve]
        return asdict(self) | {"test": test, "curve": curve}

    @classmethod
    def from_plain(cls, document: Any) -> Outcome:
        """Return the outcome of which ``plain`` made the document. InputError says what in it cannot be."""
        names = [one.name for one in fields(cls)]
        if not isinstance(document, dict) or sorted(document) != sorted(names):
            raise InputError(f"it is not made of {', '.join(names)}")
        sequences = whole("sequences", document["sequences"])
        solved, test, curve = document["solved"], mapping("test", document["test"]), document["curve"]
        if solved is not None:
            whole("solved", solved, 1, sequences)
        for name, value in test.items():
            if value is not None or name in _TEST:
                number(f"{name!r} in test", value)
        if test and not (test.keys() >= set(_TEST) and test["wrong"] <= test["of"]):
            raise InputError(f"test is {test!r}; expected 'wrong' of 'of' sequences, or nothing")
        if not isinstance(curve, list) or not all(isinstance(point, list) and len(point) == 2 for point in curve):
            raise InputError("curve is no list of points; expected [sequences, mean error] each")
        for place, error in curve:
            whole("a place in curve", place, 0, sequences)
            if error is not None:
                number("an error in curve", error)
        if any(after[0] < before[0] for before, after in pairwise(curve)):
            raise InputError("curve goes back; expected more and more sequences")
        return cls(
            trial=whole("trial", document["trial"]),
            solved=solved,
            sequences=sequences,
            weights=whole("weights", document["weights"]),
            also={
                name: whole(f"{name!r} in also", value, 0, sequences)
                for name, value in mapping("also", document["also"]).items()
            },
            test={name: math.nan if value is None else value for name, value in test.items()},
            curve=[(place, math.nan if error is None else float(error)) for place, error in curve],
            seconds=float(number("seconds", document["seconds"])),
        )
