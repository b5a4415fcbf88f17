"""Work: a row of a table under one reading, cut into nothing smaller than trials; and what comes of a trial."""

from __future__ import annotations

import importlib.metadata
import zlib
from collections.abc import Callable, Sequence
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

__all__ = ["Outcome", "Reading", "Work", "fingerprint", "perform"]

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
        """Roughly, for who wants to begin with what takes longest."""
        return float(self.cap) * self.trials * _length(self.row)


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


def perform(
    work: Work, numbers: Sequence[int], finished: Callable[[Outcome], None], progress: Callable[[int], None]
) -> None:
    """Runs trials ``numbers``. ``finished`` gets each as it ends; ``progress`` the sequences that others have read."""
    trials: list[Trial] = []
    by_trial: dict[int, int] = {}
    for number, setting in zip(numbers, _settings(work, numbers), strict=True):
        seed, data = seed_of(work, number), seed_of(work, number // 10, "data")
        if isinstance(setting, Setting):
            trials.append(Trial(setting, seed, cap=work.cap, data=data))
            by_trial[id(trials[-1])] = number
        elif isinstance(setting, Modern):
            modern = ModernTrial(setting, seed, cap=work.cap, data=data)
            modern.run(progress)
            weights = setting.weight_count()
            curve = thinned(modern.curve)
            finished(Outcome(number, modern.solved_at, modern.sequences, weights, {}, modern.test, curve))
        elif setting == "guess":
            search = guessing(work.row.name)
            guess = search.run(int(seed.generate_state(1)[0]), work.cap)
            test = {"wrong": guess.test_wrong, "of": guess.test_size} if guess.solved else {}
            found_at = guess.guesses if guess.solved else None
            finished(Outcome(number, found_at, guess.guesses, search.topology.weight_count(), {}, {**test}))
            progress(0)
        else:
            found = cascade(seed, data, work.cap)
            read = found.presentations
            finished(Outcome(number, read if found.solved else None, read, found.weights))
            progress(0)

    def report(trial: Trial) -> None:
        number, weights = by_trial[id(trial)], trial.setting.topology.weight_count()
        curve = thinned(trial.curve)
        finished(Outcome(number, trial.solved_at, trial.sequences, weights, trial.also_at, trial.test, curve))

    if trials:
        run_trials(trials, report, lambda: progress(sum(trial.sequences for trial in trials if not trial.finished)))


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
