"""Trial: one network's life, from its first weights to the moment its task's rule is met, or to the cap."""

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
from longlag_lab.hochreiter1997.judge import judge, passes
from longlag_lab.hochreiter1997.setting import AnyTopology, Setting

__all__ = ["Trial", "Weights"]

Weights = dict[str, NDArray[Any]]
_FEW = 16  # test sequences of a first look
_POINT = 100  # sequences of one point of the curve
_LAST = 100  # training sequences that leave hope or not


class Trial:
    """What is known of a trial between two calls of the kernels.

    Everything random comes from ``seed``, so a trial is the same whoever runs beside it.
    """

    def __init__(
        self, setting: Setting, seed: np.random.SeedSequence, *, cap: int, data: np.random.SeedSequence
    ) -> None:
        self.setting, self.cap = setting, cap
        first, sequences, tests = (np.random.default_rng(child) for child in seed.spawn(3))
        self.first, self.rng, self.test_rng = first, sequences, tests
        self.topology: AnyTopology = setting.topology
        if setting.cells_when_stalled:
            self.topology = replace(setting.topology, hidden_size=0)
        self.weights: Weights = engines.weights(setting, self.topology, first)
        self.sequences = 0
        self.solved_at: int | None = None
        self.also_at: dict[str, int] = {}
        self.test: dict[str, float] = {}
        self.curve: list[tuple[int, float]] = []
        self._recent: tuple[NDArray[Any], NDArray[Any]] = (np.empty(0), np.empty(0))
        task = setting.task
        self.training: FlatSequences | None = None
        self.strings: FlatSequences | None = None
        if isinstance(task, EmbeddedReber):
            self.training, self.strings = task.training_and_test(np.random.default_rng(data))
        elif isinstance(setting.rule, TestSet):
            self.strings = task.draw(setting.rule.size, tests)
        self._few = None if self.strings is None else self.strings.select(np.arange(_FEW))
        self._watch = ErrorWatch(Growth(max_blocks=1, window=100, least_gain=0.05))

    @property
    def finished(self) -> bool:
        """Solved, or at the cap."""
        return self.solved_at is not None or self.sequences >= self.cap

    def draw(self, sequences: int) -> FlatSequences:
        """The next training sequences; no more than the cap allows."""
        sequences = min(sequences, self.cap - self.sequences)
        if self.training is not None:
            return self.training.select(self.rng.integers(0, len(self.training), sequences))
        return self.setting.task.draw(sequences, self.rng)

    # -- after reading -------------------------------------------------------------------------------------------------

    def stops_within(self, largest: NDArray[Any], mean: NDArray[Any]) -> int | None:
        """How many of the sequences just read it takes for a rule over recent training sequences to hold."""
        rule = self.setting.rule
        if not isinstance(rule, RecentRun):
            return None
        before = len(self._recent[0])
        joined = np.concatenate([self._recent[0], largest]), np.concatenate([self._recent[1], mean])
        for name in self.setting.also:
            other = self.setting.task.rules[name]
            if name not in self.also_at and isinstance(other, RecentRun):
                found = other.first_satisfied(*joined, self.setting.task.tolerance)
                if found is not None:
                    self.also_at[name] = self.sequences + found - before
        first = rule.first_satisfied(*joined, self.setting.task.tolerance)
        self._recent = (joined[0][-rule.window + 1 :], joined[1][-rule.window + 1 :])
        return None if first is None else first - before

    @property
    def training_errors_tell(self) -> bool:
        """Whether errors on training sequences are what the rule is about: not with noisy targets, nor for strings."""
        task = self.setting.task
        noisy = isinstance(task, TwoSequence) and task.variant == "c"
        return not noisy and not isinstance(self.setting.rule, AllStrings)

    def hopeful(self, largest: NDArray[Any]) -> bool:
        """Whether the sequences just read leave hope that the rule holds: a test set costs more than they did."""
        wrong = int((~(largest[-_LAST:] < self.setting.task.tolerance)).sum())
        if isinstance(self.setting.rule, FreshRun):
            return wrong == 0
        return 10 * wrong < min(_LAST, len(largest))

    def few(self) -> FlatSequences:
        """The first few test sequences: fixed ones, or where the rule asks for fresh ones, fresh ones."""
        if self._few is None:
            return self.setting.task.draw(_FEW, self.test_rng)
        self._renew_test_set()
        return self._few

    def _renew_test_set(self) -> None:
        if self.setting.new_test_sets and isinstance(self.setting.rule, TestSet):
            self.strings = self.setting.task.draw(self.setting.rule.size, self.test_rng)
            self._few = self.strings.select(np.arange(_FEW))

    def may_pass(self, flat: FlatSequences, answer: Answers) -> bool:
        """Whether the rule can still hold after the first few sequences."""
        assert answer.outputs is not None
        largest = self.setting.task.errors(answer.outputs, flat)
        wrong = int((~(largest < self.setting.task.tolerance)).sum())
        asked = [self.setting.task.rules[name] for name in (*self.setting.also, self.setting.stop)]
        return wrong < max(getattr(rule, "wrong_below", 1) for rule in asked)

    @property
    def waits_for_cells(self) -> bool:
        """Whether memory cells are still to come."""
        return self.topology.hidden_size < self.setting.topology.hidden_size

    def note(self, count: int, mean: NDArray[Any]) -> None:
        """``count`` sequences more have been read."""
        starts = np.arange(0, count, _POINT)
        ends = np.append(starts[1:], count)
        errors = np.add.reduceat(mean, starts) / (ends - starts) if count else np.empty(0)
        self.curve += [(self.sequences + int(n), float(error)) for n, error in zip(ends, errors, strict=True)]
        self.sequences += count

    def look(self) -> None:
        """Whether the test set says that the task is solved now."""
        setting = self.setting
        rule = setting.rule
        if isinstance(rule, RecentRun):
            return
        if self.training_errors_tell:  # otherwise the first look has drawn it
            self._renew_test_set()
        for name in (*setting.also, setting.stop):
            if name in self.also_at:
                continue
            asked = setting.task.rules[name]
            if not passes(setting, self.topology, self.weights, asked, self.strings, self.training, self.test_rng):
                return
            self.also_at[name] = self.sequences
        self.solve()

    def solve(self) -> None:
        """The rule holds: a last test on fresh sequences."""
        self.solved_at = self.sequences
        setting = self.setting
        self.also_at.setdefault(setting.stop, self.sequences)
        if setting.test_size and not isinstance(setting.rule, AllStrings):
            fresh = setting.task.draw(setting.test_size, self.test_rng)
            largest, mean, squared = judge(setting, self.topology, self.weights, fresh)
            self.test = {
                "wrong": int((~(largest < setting.task.tolerance)).sum()),
                "of": len(largest),
                "mean_error": float(mean.mean()),
                "mse": float(squared.mean()),
            }

    def grow(self, mean: NDArray[Any]) -> bool:
        """Section 4.7: the cell comes when the error has stopped decreasing. True if it came."""
        setting = self.setting
        if not self.waits_for_cells:
            return False
        if not any(self._watch.stalls(float(error)) for error in mean):
            return False
        assert isinstance(self.topology, Topology)
        assert isinstance(setting.topology, Topology)
        fresh = engines.weights(setting, setting.topology, self.first)
        self.weights = widen(self.topology, setting.topology, self.weights, fresh)
        self.topology = setting.topology
        return True
