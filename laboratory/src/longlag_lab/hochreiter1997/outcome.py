"""What comes of a trial, and how it is kept: plain JSON, checked when it is read."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any

from longlag.checks import is_number, is_whole
from longlag.errors import InputError

__all__ = ["Outcome", "number", "whole"]

_MOST = 2**53  # whole numbers up to here survive being floats
_TEST = ("wrong", "of")  # what a trial that was tested tells at least


@dataclass(frozen=True)
class Outcome:
    """One trial: ``solved`` is the number of sequences it took, None at the cap. ``curve``: (sequences, mean error).

    ``seconds``: its share of the time that it and those beside it took.
    """

    trial: int
    solved: int | None
    sequences: int
    weights: int
    also: dict[str, int] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """As JSON, which has no numbers that are not finite: None."""
        test = {name: value if math.isfinite(value) else None for name, value in self.test.items()}
        curve = [[int(n), float(error) if math.isfinite(error) else None] for n, error in self.curve]
        return asdict(self) | {"test": test, "curve": curve}

    @classmethod
    def of(cls, document: Any) -> Outcome:
        """From ``plain``. InputError says what in it cannot be."""
        names = [one.name for one in fields(cls)]
        if not isinstance(document, dict) or sorted(document) != sorted(names):
            raise InputError(f"it is not made of {', '.join(names)}")
        sequences = whole("sequences", document["sequences"])
        solved, test, curve = document["solved"], _mapping("test", document["test"]), document["curve"]
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
                for name, value in _mapping("also", document["also"]).items()
            },
            test={name: math.nan if value is None else value for name, value in test.items()},
            curve=[(place, math.nan if error is None else float(error)) for place, error in curve],
            seconds=float(number("seconds", document["seconds"])),
        )


def whole(name: str, value: Any, least: int = 0, most: int = _MOST) -> int:
    """The value, if it is a whole number in these bounds; InputError otherwise."""
    if not is_whole(value) or not least <= value <= most:
        raise InputError(f"{name} is {_short(value)}; expected a whole number from {least} to {most}")
    return int(value)


def number(name: str, value: Any) -> float:
    """The value, if it is a number that is not negative; InputError otherwise."""
    if (is_whole(value) and abs(value) > _MOST) or not is_number(value) or value < 0:
        raise InputError(f"{name} is {_short(value)}; expected a number of at least 0")
    return value  # type: ignore[no-any-return]


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{name} is {_short(value)}; expected an object")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
