"""Work: a row of a table under one reading. Works whose networks are alike run together; and what comes of a trial."""

from __future__ import annotations

import importlib.metadata
import math
import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from longlag.experiments.hochreiter1997.competitors import cascade, competitor, guessing
from longlag.experiments.hochreiter1997.lanes import run_trials
from longlag.experiments.hochreiter1997.modern import Modern, ModernTrial
from longlag.experiments.hochreiter1997.paper import Row
from longlag.experiments.hochreiter1997.readings import setting_for
from longlag.experiments.hochreiter1997.setting import Setting
from longlag.experiments.hochreiter1997.trial import Trial

__all__ = ["Outcome", "Reading", "Task", "Work", "fingerprint", "grouped", "perform"]

Reading = Literal["literal", "best", "today"]
_POINTS = 60  # of a trial's curve that are kept


@dataclass(frozen=True)
class Outcome:
    """One trial: ``solved`` is the number of sequences it took, None at the cap. ``curve``: (sequences, mean error)."""

    trial: int
    solved: int | None
    sequences: int
    weights: int
    also: dict[str, int] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[int, float]] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"curve": [[int(n), float(error)] for n, error in self.curve]}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Outcome:
        """From ``plain``."""
        return cls(**document | {"curve": [(int(n), float(error)) for n, error in document["curve"]]})


@dataclass(frozen=True)
class Work:
    """A row under a reading: so many trials, each with at most ``cap`` sequences."""

    row: Row
    reading: Reading
    trials: int
    cap: int
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.row.name}.{self.reading}"

    def cost(self) -> float:
        """Roughly what it takes if no trial ends before its cap: for who wants to begin with what takes longest."""
        share = 0.05 if self.reading == "today" else 1.0
        return share * self.cap * self.trials * self.length * math.sqrt(self.row.weights)

    @property
    def length(self) -> int:
        """Steps of a sequence, roughly."""
        return _length(self.row)


def fingerprint(work: Work) -> str:
    """Everything that a trial's result depends on besides its number, as text."""
    return f"{_settings(work, range(3))!r} {work.cap} {work.seed} {importlib.metadata.version('longlag')}"


def _settings(work: Work, numbers: Sequence[int]) -> list[Setting | Modern | str]:
    """What each trial runs; in a row of several learning rates they differ."""
    if work.row.learner in ("RCC", "guess"):
        return [work.row.learner] * len(numbers)
    if work.row.learner == "LSTM":
        return [setting_for(work.row.name, work.reading)] * len(numbers)
    return [competitor(work.row.name, number) for number in numbers]


Task = list[tuple[Work, list[int]]]
"""Works that run together, and the trials of each that are wanted."""


def grouped(tasks: Sequence[tuple[Work, list[int]]]) -> list[Task]:
    """Works whose trials can share vectors together, whatever takes longest first."""
    groups: dict[Hashable, Task] = {}
    for work, numbers in sorted(tasks, key=lambda task: task[0].cost(), reverse=True):
        groups.setdefault(_alike(work), []).append((work, numbers))
    return sorted(groups.values(), key=lambda task: sum(work.cost() for work, _ in task), reverse=True)


def _alike(work: Work) -> Hashable:
    """What the works of a group have in common; a work whose trials run one by one has it with nobody."""
    setting = _settings(work, [0])[0]
    if not isinstance(setting, Setting):
        return work.name
    rule = type(setting.rule).__name__
    # Rules over training sequences hold where they hold; test sets are looked at after so many sequences of all.
    pace = None if rule == "RecentRun" else (setting.check_every, getattr(setting.task, "T", _length(work.row)))
    variant = getattr(setting.task, "variant", None) == "c"
    begins = setting.cells_when_stalled
    return (
        setting.topology,
        setting.update,
        setting.every_step,
        setting.wide,
        setting.method,
        rule,
        pace,
        variant,
        begins,
    )


def perform(task: Task, finished: Callable[[Work, Outcome], None], progress: Callable[[Work, int], None]) -> None:
    """Runs a task. ``finished`` gets each trial as it ends; ``progress`` the sequences that others have read."""
    trials: list[Trial] = []
    origin: dict[int, tuple[Work, int]] = {}
    for work, numbers in task:
        for number, setting in zip(numbers, _settings(work, numbers), strict=True):
            if isinstance(setting, Setting):
                seed, data = seed_of(work, number), seed_of(work, number // 10, "data")
                trials.append(Trial(setting, seed, cap=work.cap, data=data))
                origin[id(trials[-1])] = work, number
            else:
                finished(work, _alone(work, number, setting, progress))

    def report(trial: Trial) -> None:
        work, number = origin[id(trial)]
        weights, curve = trial.setting.topology.weight_count(), thinned(trial.curve)
        outcome = Outcome(number, trial.solved_at, trial.sequences, weights, trial.also_at, trial.test, curve)
        finished(work, outcome)

    def tell() -> None:
        for work, _ in task:
            mine = (trial.sequences for trial in trials if not trial.finished and origin[id(trial)][0] is work)
            progress(work, sum(mine))

    if trials:
        run_trials(trials, report, tell)


def _alone(work: Work, number: int, setting: Modern | str, progress: Callable[[Work, int], None]) -> Outcome:
    """A trial that shares vectors with none."""
    seed, data = seed_of(work, number), seed_of(work, number // 10, "data")
    if isinstance(setting, Modern):
        modern = ModernTrial(setting, seed, cap=work.cap, data=data)
        modern.run(lambda sequences: progress(work, sequences))
        curve = thinned(modern.curve)
        weights = setting.weight_count()
        return Outcome(number, modern.solved_at, modern.sequences, weights, {}, modern.test, curve)
    if setting == "guess":
        search = guessing(work.row.name)
        guess = search.run(int(seed.generate_state(1)[0]), work.cap)
        test: dict[str, float] = {"wrong": guess.test_wrong, "of": guess.test_size} if guess.solved else {}
        solved = guess.guesses if guess.solved else None
        return Outcome(number, solved, guess.guesses, search.topology.weight_count(), {}, test)
    found = cascade(seed, data, work.cap)
    return Outcome(number, found.presentations if found.solved else None, found.presentations, found.weights)


def seed_of(work: Work, number: int, what: str = "trial") -> np.random.SeedSequence:
    """Of a trial, or of the data that some trials share: the same for every reading of a row."""
    names = [zlib.crc32(text.encode()) for text in (work.row.name, what)]
    return np.random.SeedSequence([work.seed, *names, number])


def thinned(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most ``_POINTS`` points, each the mean of those it stands for."""
    if len(curve) <= _POINTS:
        return curve
    parts = np.array_split(np.array(curve), _POINTS)
    return [(int(part[-1, 0]), float(part[:, 1].mean())) for part in parts]


def _length(row: Row) -> int:
    for length in (1000, 500, 200, 100, 50):
        if str(length) in row.title:
            return length
    return 10 if row.table == 1 else 100
