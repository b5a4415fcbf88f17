"""One trial: trained until test set and validation set both say that it is solved, or the recipe ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from torch import Tensor

from longlag.gradients import NetworkObjective
from longlag_lab.batch2013.outcome import Outcome, Snapshot
from longlag_lab.batch2013.problem import Data, Problem
from longlag_lab.batch2013.recipes import Cost, Recipe
from longlag_lab.harness.curves import thinned

__all__ = ["WORST", "run_trial"]

WORST = sys.float_info.max
"""The error of a network whose answers are not finite."""

_POINTS = 80  # of a trial's curve that are stored


def run_trial(
    problem: Problem, recipe: Recipe, number: int, seed: int, on_look: Callable[[int], None] = lambda evaluations: None
) -> Outcome:
    """Run trial ``number`` of an experiment: its sequences and first weights are the same for every recipe.

    ``on_look`` gets the evaluations so far whenever the trial looks at its errors; what it raises ends the trial.
    """
    data_seed, start = np.random.SeedSequence([seed, number]).spawn(2)
    first = int(start.generate_state(1)[0])
    trial, reason = _Trial(problem, problem.draw(data_seed), on_look), ""
    for begun in range(problem.starts):
        objective = problem.objective(first + begun)
        trial.begin(objective)
        reason = recipe.train(objective, trial.data.training, first, trial.look)
        if trial.done:
            break
    return trial.outcome(number, reason)


class _Trial:
    """A trial while it runs. It looks at both sets while its clock stands."""

    def __init__(self, problem: Problem, data: Data, on_look: Callable[[int], None]) -> None:
        self.problem, self.data, self.on_look = problem, data, on_look
        self.solved: Snapshot | None = None
        self.solved_on_validation: Snapshot | None = None
        self.seconds = 0.0
        self.before = self.cost = Cost()  # of earlier starts; of all
        self.curve: list[tuple[float, ...]] = []

    @property
    def done(self) -> bool:
        return self.solved is not None and self.solved_on_validation is not None

    def begin(self, objective: NetworkObjective) -> None:
        """Begin with new weights."""
        self.objective, self.before = objective, self.cost
        self.last = self.snapshot(objective.theta)
        self.curve.append((self.cost.passes, self.seconds, self.last.test))
        self.resumed = time.process_time()

    def look(self, theta: Tensor, cost: Cost) -> bool:
        """Note the errors at ``theta``; whether the trial may end."""
        self.seconds += time.process_time() - self.resumed
        self.cost = self.before + cost
        self.on_look(self.cost.evaluations)
        self.last = self.snapshot(theta)
        self.curve.append((self.cost.passes, self.seconds, self.last.test))
        if self.solved is None and self.last.test < self.problem.below:
            self.solved = self.last
        if self.solved_on_validation is None and self.last.validation < self.problem.below:
            self.solved_on_validation = self.last
        self.resumed = time.process_time()
        return self.done

    def snapshot(self, theta: Tensor) -> Snapshot:
        """Return the cost so far and the errors; those that are not finite count as ``WORST``, which JSON has."""
        parts, cost = (self.data.test, self.data.validation), self.cost
        errors = [self.problem.error(self.objective, theta, part) for part in parts]
        test, validation = (min(WORST, error) for error in errors)
        return Snapshot(cost.evaluations, cost.gradients, cost.passes, self.seconds, test, validation)

    def outcome(self, number: int, reason: str) -> Outcome:
        best = min(error for _, _, error in self.curve)
        curve = thinned(self.curve, _POINTS)
        return Outcome(number, self.solved, self.solved_on_validation, best, self.last, reason, curve)
