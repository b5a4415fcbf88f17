"""What has come of a trial, and its JSON, which is checked when it is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from longlag.errors import InputError
from longlag_lab.harness.checks import mapping, number, text, whole

__all__ = ["Outcome", "Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """A moment of a trial: what training had cost, and the errors on both sets.

    Parameters
    ----------
    evaluations : int
    gradients, passes : float
        See ``recipes.Cost``.
    seconds : float
        CPU time of training alone.
    test, validation : float
        The error on each set.
    """

    evaluations: int
    gradients: float
    passes: float
    seconds: float
    test: float
    validation: float

    @classmethod
    def from_plain(cls, name: str, document: Any) -> Snapshot:
        """Return the snapshot in an outcome's JSON. InputError says what in it cannot be."""
        names = [one.name for one in fields(cls)]
        if sorted(mapping(name, document)) != sorted(names):
            raise InputError(f"{name} is not made of {', '.join(names)}")
        evaluations = whole(f"evaluations in {name}", document["evaluations"])
        return cls(evaluations, *(float(number(f"{part} in {name}", document[part])) for part in names[1:]))


@dataclass(frozen=True)
class Outcome:
    """What has come of a trial.

    Parameters
    ----------
    trial : int
        The trial's number.
    solved : Snapshot, optional
        When the test set's error was first low enough, which is the paper's criterion.
    solved_on_validation : Snapshot, optional
        When the validation set's was.
    best : float
        The lowest error on the test set.
    last : Snapshot
        The end.
    reason : str
        Why the trial ended.
    curve : list
        Points (passes, seconds, test error).
    """

    trial: int
    solved: Snapshot | None
    solved_on_validation: Snapshot | None
    best: float
    last: Snapshot
    reason: str
    curve: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many evaluations the trial took."""
        return self.last.evaluations

    @property
    def seconds(self) -> float:
        """CPU time of its training."""
        return self.last.seconds

    def plain(self) -> dict[str, Any]:
        """Return the outcome as JSON, in which ``solved_on_validation`` has its first name, "honest"."""
        document = asdict(self) | {"curve": [list(point) for point in self.curve]}
        return {"honest" if name == "solved_on_validation" else name: value for name, value in document.items()}

    @classmethod
    def from_plain(cls, document: Any) -> Outcome:
        """Return the outcome of which ``plain`` made the document. InputError says what in it cannot be."""
        names = ["trial", "solved", "honest", "best", "last", "reason", "curve"]
        if not isinstance(document, dict) or sorted(document) != sorted(names):
            raise InputError(f"it is not made of {', '.join(names)}")
        solved, on_validation = (
            None if document[name] is None else Snapshot.from_plain(name, document[name])
            for name in ("solved", "honest")
        )
        curve = document["curve"]
        if not isinstance(curve, list) or not all(isinstance(point, list) and len(point) == 3 for point in curve):
            raise InputError("curve is no list of points; expected [passes, seconds, test error] each")
        return cls(
            trial=whole("trial", document["trial"]),
            solved=solved,
            solved_on_validation=on_validation,
            best=float(number("best", document["best"])),
            last=Snapshot.from_plain("last", document["last"]),
            reason=text("reason", document["reason"]),
            curve=[tuple(float(number("a value in curve", value)) for value in point) for point in curve],
        )
