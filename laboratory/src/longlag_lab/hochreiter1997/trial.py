"""A trial: one network, from its first weights until its task's rule holds or its cap is reached."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data.flat import FlatSequences
from longlag.online.growth import ErrorWatch, Growth, widen
from longlag.online.streams import Answers
from longlag.online.topology import Topology
from longlag.tasks import AllStrings, EmbeddedReber, FreshRun, RecentRun, TestSet, TwoSequence
from longlag_lab.hochreiter1997 import engines
from longlag_lab.hochreiter1997.config import AnyTopology, TrialConfig
from longlag_lab.hochreiter1997.evaluate import evaluate, passes

__all__ = ["Trial", "Weights"]

Weights = dict[str, NDArray[Any]]
_FIRST_LOOK = 16  # test sequences of a first look
_POINT = 100  # sequences of one point of the curve
_LAST = 100  # training sequences whose errors decide whether a look is worth its cost


class Trial:
    """The state of a trial between two calls of the kernels.

    Everything random comes from ``seed``, so a trial's bits do not depend on the trials beside it. ``data`` is the seed
    of a training set that several trials share.
    """

    def __init__(
        self, config: TrialConfig, seed: np.random.SeedSequence, *, cap: int, data: np.random.SeedSequence
    ) -> None:
        self.config, self.cap = config, cap
        first, sequences, tests = (np.random.default_rng(child) for child in seed.spawn(3))
        self.first, self.rng, self.test_rng = first, sequences, tests
        self.topology: AnyTopology = config.topology
        if config.cells_when_stalled:
            self.topology = replace(config.topology, hidden_size=0)
        self.weights: Weights = engines.weights(config, self.topology, first)
        self.sequences = 0
        self.solved_at: int | None = None
        self.also_at: dict[str, int] = {}
        self.test: dict[str, float] = {}
        self.curve: list[tuple[int, float]] = []
        self._recent: tuple[NDArray[Any], NDArray[Any]] = (np.empty(0), np.empty(0))
        task = config.task
        self.training: FlatSequences | None = None
        self.test_set: FlatSequences | None = None
        if isinstance(task, EmbeddedReber):
            self.training, self.test_set = task.training_and_test(np.random.default_rng(data))
        elif isinstance(config.rule, TestSet):
            self.test_set = task.draw(config.rule.size, tests)
        self._first_look = None if self.test_set is None else self.test_set.select(np.arange(_FIRST_LOOK))
        self._watch = ErrorWatch(Growth(max_blocks=1, window=100, least_gain=0.05))

    @property
    def finished(self) -> bool:
        """Whether the trial is solved or at its cap."""
        return self.solved_at is not None or self.sequences >= self.cap

    def draw(self, sequences: int) -> FlatSequences:
        """Return the next training sequences, no more than the cap allows."""
        sequences = min(sequences, self.cap - self.sequences)
        if self.training is not None:
            return self.training.select(self.rng.integers(0, len(self.training), sequences))
        return self.config.task.draw(sequences, self.rng)

    # -- after reading -------------------------------------------------------------------------------------------------

    def stops_within(self, largest: NDArray[Any], mean: NDArray[Any]) -> int | None:
        """After how many of the sequences just read a rule over recent training sequences holds; None: it does not.

        ``largest`` and ``mean`` are the errors of these sequences.
        """
        rule = self.config.rule
        if not isinstance(rule, RecentRun):
            return None
        before = len(self._recent[0])
        joined = np.concatenate([self._recent[0], largest]), np.concatenate([self._recent[1], mean])
        for name in self.config.also:
            other = self.config.task.rules[name]
            if name not in self.also_at and isinstance(other, RecentRun):
                count = other.first_satisfied(*joined, self.config.task.tolerance)
                if count is not None:
                    self.also_at[name] = self.sequences + count - before
        first = rule.first_satisfied(*joined, self.config.task.tolerance)
        self._recent = (joined[0][-rule.window + 1 :], joined[1][-rule.window + 1 :])
        return None if first is None else first - before

    @property
    def training_errors_tell(self) -> bool:
        """Whether the rule is about errors like those on training sequences: not for noisy targets, nor for strings."""
        task = self.config.task
        noisy = isinstance(task, TwoSequence) and task.variant == "c"
        return not noisy and not isinstance(self.config.rule, AllStrings)

    def hopeful(self, largest: NDArray[Any]) -> bool:
        """Return whether the rule may hold, by the errors of the sequences just read: a test set costs more."""
        wrong = int((~(largest[-_LAST:] < self.config.task.tolerance)).sum())
        if isinstance(self.config.rule, FreshRun):
            return wrong == 0
        return 10 * wrong < min(_LAST, len(largest))

    def first_test_sequences(self) -> FlatSequences:
        """Return the test sequences of a first look; fresh ones where the rule asks for fresh ones."""
        if self._first_look is None:
            return self.config.task.draw(_FIRST_LOOK, self.test_rng)
        self._renew_test_set()
        return self._first_look

    def _renew_test_set(self) -> None:
        if self.config.new_test_sets and isinstance(self.config.rule, TestSet):
            self.test_set = self.config.task.draw(self.config.rule.size, self.test_rng)
            self._first_look = self.test_set.select(np.arange(_FIRST_LOOK))

    def may_pass(self, flat: FlatSequences, answer: Answers) -> bool:
        """Return whether the rule can still hold, after the answers to the test sequences of the first look."""
        assert answer.outputs is not None
        largest = self.config.task.errors(answer.outputs, flat)
        wrong = int((~(largest < self.config.task.tolerance)).sum())
        rules = [self.config.task.rules[name] for name in (*self.config.also, self.config.stop)]
        return wrong < max(getattr(rule, "wrong_below", 1) for rule in rules)

    @property
    def waits_for_cells(self) -> bool:
        """Whether memory cells are still to be added."""
        return self.topology.hidden_size < self.config.topology.hidden_size

    def record(self, count: int, mean: NDArray[Any]) -> None:
        """Record that ``count`` more sequences were read, with these mean errors."""
        starts = np.arange(0, count, _POINT)
        ends = np.append(starts[1:], count)
        errors = np.add.reduceat(mean, starts) / (ends - starts) if count else np.empty(0)
        self.curve += [(self.sequences + int(n), float(error)) for n, error in zip(ends, errors, strict=True)]
        self.sequences += count

    def look(self) -> None:
        """Look at the test set, and end the trial as solved if the rule holds."""
        config = self.config
        if isinstance(config.rule, RecentRun):
            return
        if self.training_errors_tell:  # otherwise the first look has drawn it
            self._renew_test_set()
        for name in (*config.also, config.stop):
            if name in self.also_at:
                continue
            rule = config.task.rules[name]
            if not passes(config, self.topology, self.weights, rule, self.test_set, self.training, self.test_rng):
                return
            self.also_at[name] = self.sequences
        self.solve()

    def solve(self) -> None:
        """End the trial as solved, with a last test on fresh sequences."""
        self.solved_at = self.sequences
        config = self.config
        self.also_at.setdefault(config.stop, self.sequences)
        if config.test_size and not isinstance(config.rule, AllStrings):
            fresh = config.task.draw(config.test_size, self.test_rng)
            largest, mean, squared = evaluate(config, self.topology, self.weights, fresh)
            self.test = {
                "wrong": int((~(largest < config.task.tolerance)).sum()),
                "of": len(largest),
                "mean_error": float(mean.mean()),
                "mse": float(squared.mean()),
            }

    def grow(self, mean: NDArray[Any]) -> bool:
        """Add the memory cells if the error has stopped decreasing (section 4.7). True if they were added."""
        config = self.config
        if not self.waits_for_cells:
            return False
        if not any(self._watch.stalls(float(error)) for error in mean):
            return False
        assert isinstance(self.topology, Topology)
        assert isinstance(config.topology, Topology)
        fresh = engines.weights(config, config.topology, self.first)
        self.weights = widen(self.topology, config.topology, self.weights, fresh)
        self.topology = config.topology
        return True
