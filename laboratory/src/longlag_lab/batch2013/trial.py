"""One trial: trained until test set and validation set both say that it is solved, or the recipe ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from longlag.gradients import NetworkObjective
from longlag_lab.batch2013.problem import Data, Problem
from longlag_lab.batch2013.recipes import Cost, Recipe

__all__ = ["Found", "Trial", "run_trial"]


WORST = sys.float_info.max  # error of a network whose answers are not finite


@dataclass(frozen=True)
class Found:
    """A moment of a trial: what it had cost, and the errors on both sets.

    seconds : CPU time of training alone.
    """

    evaluations: int
    gradients: float
    passes: float
    seconds: float
    test: float
    validation: float


@dataclass(frozen=True)
class Trial:
    """What came of it.

    solved : when the test set's error was first low enough, the paper's criterion; honest : when the validation set's
    was; None: never. best : lowest error on the test set; last : the end; reason : why it ended; curve : (passes,
    seconds, test error).
    """

    trial: int
    solved: Found | None
    honest: Found | None
    best: float
    last: Found
    reason: str
    curve: list[tuple[float, float, float]] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"curve": [list(point) for point in self.curve]}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Trial:
        """From ``plain``."""
        moments = {name: document[name] and Found(**document[name]) for name in ("solved", "honest", "last")}
        curve = [(float(a), float(b), float(c)) for a, b, c in document["curve"]]
        return cls(**document | moments | {"curve": curve})


def run_trial(
    problem: Problem, recipe: Recipe, number: int, seed: int, on_look: Callable[[], None] = lambda: None
) -> Trial:
    """Trial ``number`` of an experiment: its sequences and first weights are the same for every recipe.

    ``on_look`` is called whenever the trial looks at its errors; what it raises ends the trial.
    """
    data_seed, start = np.random.SeedSequence([seed, number]).spawn(2)
    first = int(start.generate_state(1)[0])
    watch, reason = _Watch(problem, problem.draw(data_seed), on_look), ""
    for begun in range(problem.starts):
        objective = problem.objective(first + begun)
        watch.begin(objective)
        reason = recipe.train(objective, watch.data.training, first, watch.look)
        if watch.done:
            break
    return watch.trial(number, reason)


class _Watch:
    """Looks at both sets, off the clock."""

    def __init__(self, problem: Problem, data: Data, on_look: Callable[[], None]) -> None:
        self.problem, self.data, self.on_look = problem, data, on_look
        self.solved: Found | None = None
        self.honest: Found | None = None
        self.seconds = 0.0
        self.before = self.cost = Cost()  # of earlier starts; of all
        self.curve: list[tuple[float, float, float]] = []

    @property
    def done(self) -> bool:
        return self.solved is not None and self.honest is not None

    def begin(self, objective: NetworkObjective) -> None:
        self.objective, self.before = objective, self.cost
        self.last = self.found(objective.theta)
        self.curve.append((self.cost.passes, self.seconds, self.last.test))
        self.resumed = time.process_time()

    def look(self, theta: Tensor, cost: Cost) -> bool:
        self.seconds += time.process_time() - self.resumed
        self.on_look()
        self.cost = self.before + cost
        self.last = self.found(theta)
        self.curve.append((self.cost.passes, self.seconds, self.last.test))
        if self.solved is None and self.last.test < self.problem.below:
            self.solved = self.last
        if self.honest is None and self.last.validation < self.problem.below:
            self.honest = self.last
        self.resumed = time.process_time()
        return self.done

    def found(self, theta: Tensor) -> Found:
        """Errors that are no numbers any more count as ``WORST``, which JSON has."""
        parts, cost = (self.data.test, self.data.validation), self.cost
        errors = [self.problem.error(self.objective, theta, part) for part in parts]
        test, validation = (min(WORST, error) for error in errors)
        return Found(cost.evaluations, cost.gradients, cost.passes, self.seconds, test, validation)

    def trial(self, number: int, reason: str) -> Trial:
        best = min(error for _, _, error in self.curve)
        return Trial(number, self.solved, self.honest, best, self.last, reason, thinned(self.curve))


def thinned(curve: list[tuple[float, float, float]], points: int = 80) -> list[tuple[float, float, float]]:
    """At most so many points, the first and the last among them."""
    if len(curve) <= points:
        return curve
    return [curve[place] for place in np.linspace(0, len(curve) - 1, points).round().astype(int)]
