"""Runs cases, several processes at a time, and keeps every trial that has ended."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from longlag.errors import CheckpointError
from longlag.io.files import writing
from longlag.io.history import History
from longlag_lab.batch2013.cases import Case
from longlag_lab.batch2013.trial import Trial, run_trial
from longlag_lab.harness.pool import Sender, pool

__all__ = ["Keeper", "Progress", "run"]


@dataclass
class Progress:
    """Of one case: the trials that have ended, by number."""

    case: Case
    trials: int
    seed: int
    ended: dict[int, Trial] = field(default_factory=dict)

    @property
    def solved(self) -> int:
        """By the test set."""
        return sum(trial.solved is not None for trial in self.ended.values())

    @property
    def seconds(self) -> float:
        """CPU time of training."""
        return sum(trial.last.seconds for trial in self.ended.values())


class Keeper:
    """Files ``<figure>.<digest>.jsonl``, one for each case: its digest is of all that a trial's result depends on.

    resume : False: what is there is set aside, as ``.old``, when the first new trial has ended
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.folder, self.resume = folder, resume
        self._begun: set[Path] = set()

    def path(self, case: Case, seed: int) -> Path:
        """Where a case's trials stand."""
        text = f"{case.problem!r} {case.recipe!r} {seed} {importlib.metadata.version('longlag')}"
        return self.folder / f"{case.figure}.{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"

    def load(self, case: Case, seed: int, trials: int) -> dict[int, Trial]:
        """The trials that are there, by number. CheckpointError names the line that is none."""
        if not self.resume:
            return {}
        path, found = self.path(case, seed), {}
        for number, line in enumerate(History(path).entries(), 1):
            try:
                trial = Trial.of(line)
            except (TypeError, KeyError, ValueError) as error:
                raise CheckpointError(
                    f"{path}, line {number} is not a trial; remove the file to run it again"
                ) from error
            if trial.trial < trials:
                found[trial.trial] = trial
        return found

    def add(self, case: Case, seed: int, trial: Trial) -> None:
        """One more trial has ended."""
        path = self.path(case, seed)
        with writing(path):
            if not self.resume and path not in self._begun and path.exists():
                path.replace(path.with_name(f"{path.name}.old"))
        self._begun.add(path)
        History(path).append(trial.plain())


def run(
    wanted: Sequence[Case],
    keeper: Keeper,
    *,
    trials: int | None,
    seed: int,
    jobs: int,
    show: Callable[[list[Progress]], None] = lambda _: None,
) -> list[Progress]:
    """Runs the trials that ``keeper`` does not have, case by case."""
    states = [Progress(case, trials or case.trials, seed) for case in wanted]
    for state in states:
        state.ended = keeper.load(state.case, seed, state.trials)
    missing = [(place, n) for place, state in enumerate(states) for n in range(state.trials) if n not in state.ended]
    show(states)
    units = [(place, state.case, number, seed) for place, number in missing for state in [states[place]]]
    with pool(_perform, units, jobs) as messages:
        for place, trial in messages:
            state = states[place]
            state.ended[trial.trial] = trial
            keeper.add(state.case, seed, trial)
            show(states)
    return states


def _perform(unit: tuple[int, Case, int, int], sender: Sender) -> None:
    place, case, number, seed = unit
    sender.send((place, run_trial(case.problem, case.recipe, number, seed, sender.check)))
