"""Work: a row of a table under one reading. Works whose networks are alike run together, as a bundle."""

from __future__ import annotations

import functools
import importlib.metadata
import math
import time
import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from longlag.tasks import EmbeddedReber, Task
from longlag_lab.hochreiter1997.competitors import cascade, competitor, guessing
from longlag_lab.hochreiter1997.lanes import run_trials
from longlag_lab.hochreiter1997.modern import Modern, ModernTrial
from longlag_lab.hochreiter1997.outcome import Outcome
from longlag_lab.hochreiter1997.paper import Row
from longlag_lab.hochreiter1997.readings import setting_for
from longlag_lab.hochreiter1997.setting import Setting
from longlag_lab.hochreiter1997.trial import Trial

__all__ = ["Bundle", "Reading", "Work", "fingerprint", "grouped", "perform"]

Reading = Literal["literal", "best", "today"]
_POINTS = 60  # of a trial's curve that are kept


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

    @functools.cached_property
    def length(self) -> int:
        """Steps of a sequence, roughly: the mean of some."""
        return round(float(_task(self).draw(100, np.random.default_rng(0)).lengths.mean()))


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


def _task(work: Work) -> Task:
    setting = _settings(work, [0])[0]
    if isinstance(setting, str):
        return guessing(work.row.name).task if setting == "guess" else EmbeddedReber()
    return setting.task


Bundle = list[tuple[Work, list[int]]]
"""Works that run together, and the trials of each that are wanted."""


def grouped(parts: Bundle) -> list[Bundle]:
    """Works whose trials can share vectors together, whatever takes longest first."""
    groups: dict[Hashable, Bundle] = {}
    for work, numbers in sorted(parts, key=lambda part: part[0].cost(), reverse=True):
        groups.setdefault(_alike(work), []).append((work, numbers))
    return sorted(groups.values(), key=lambda bundle: sum(work.cost() for work, _ in bundle), reverse=True)


def _alike(work: Work) -> Hashable:
    """What the works of a group have in common; a work whose trials run one by one has it with nobody."""
    setting = _settings(work, [0])[0]
    if not isinstance(setting, Setting):
        return work.name
    rule = type(setting.rule).__name__
    # Rules over training sequences hold where they hold; test sets are looked at after so many sequences of all.
    pace = None if rule == "RecentRun" else (setting.check_every, getattr(setting.task, "T", work.length))
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


def perform(bundle: Bundle, finished: Callable[[Work, Outcome], None], progress: Callable[[Work, int], None]) -> None:
    """Runs a bundle. ``finished`` gets each trial as it ends; ``progress`` the sequences that others have read."""
    trials: list[Trial] = []
    origin: dict[int, tuple[Work, int, int]] = {}  # work, number, place in trials
    for work, numbers in bundle:
        for number, setting in zip(numbers, _settings(work, numbers), strict=True):
            if isinstance(setting, Setting):
                seed, data = seed_of(work, number), seed_of(work, number // 10, "data")
                trials.append(Trial(setting, seed, cap=work.cap, data=data))
                origin[id(trials[-1])] = work, number, len(trials) - 1
            else:
                began = time.perf_counter()
                outcome = _alone(work, number, setting, progress)
                finished(work, replace(outcome, seconds=time.perf_counter() - began))
    lengths = np.array([origin[id(trial)][0].length for trial in trials])
    shares = _Shares(len(trials))

    def report(trial: Trial) -> None:
        work, number, place = origin[id(trial)]
        weights, curve, seconds = trial.setting.topology.weight_count(), thinned(trial.curve), shares.seconds[place]
        outcome = Outcome(number, trial.solved_at, trial.sequences, weights, trial.also_at, trial.test, curve)
        finished(work, replace(outcome, seconds=float(seconds)))

    def tell() -> None:
        shares.divide(np.array([trial.sequences for trial in trials]) * lengths)
        for work, _ in bundle:
            mine = (trial.sequences for trial in trials if not trial.finished and origin[id(trial)][0] is work)
            progress(work, sum(mine))

    if trials:
        run_trials(trials, report, tell)


class _Shares:
    """Whose time it was: trials that run together share that of each round by the steps they have read in it."""

    def __init__(self, count: int) -> None:
        self._began = time.perf_counter()
        self._steps = np.zeros(count, dtype=np.int64)
        self.seconds = np.zeros(count)

    def divide(self, steps: NDArray[np.int64]) -> None:
        """What has passed since the last call. ``steps``: all that each has read so far."""
        now, read = time.perf_counter(), steps - self._steps
        if read.any():  # if nobody has read, the next round has it
            self.seconds += (now - self._began) * read / read.sum()
            self._began, self._steps = now, steps


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
