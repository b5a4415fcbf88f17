"""Performs a group of jobs: trials that can share vectors run side by side, the others one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from longlag_lab.harness.curves import thinned_means
from longlag_lab.harness.experiment import Report
from longlag_lab.hochreiter1997.adam_reference import AdamReference, AdamTrial
from longlag_lab.hochreiter1997.batching import run_trials
from longlag_lab.hochreiter1997.competitor_configs import cascade, guessing
from longlag_lab.hochreiter1997.config import TrialConfig
from longlag_lab.hochreiter1997.jobs import Job, JobGroup, configs_of, seed_of
from longlag_lab.hochreiter1997.outcome import Outcome
from longlag_lab.hochreiter1997.trial import Trial

__all__ = ["perform"]

_POINTS = 60  # of a trial's curve that are stored


def perform(group: JobGroup, report: Report[Job, Outcome]) -> None:
    """Run the trials of a group to their ends."""
    trials: list[Trial] = []
    origins: list[tuple[Job, int]] = []  # of each trial its job and its number there
    for job, numbers in group:
        for number, config in zip(numbers, configs_of(job, numbers), strict=True):
            if isinstance(config, TrialConfig):
                seed, data = seed_of(job, number), seed_of(job, number // 10, "data")
                trials.append(Trial(config, seed, cap=job.cap, data=data))
                origins.append((job, number))
            else:
                began = time.perf_counter()
                outcome = _single_outcome(job, number, config, report)
                report.ended(job, replace(outcome, seconds=time.perf_counter() - began))
    if not trials:
        return
    places = {id(trial): place for place, trial in enumerate(trials)}
    lengths = np.array([job.length for job, _ in origins])
    shares = TimeShares(len(trials))

    def finished(trial: Trial) -> None:
        place = places[id(trial)]
        job, number = origins[place]
        outcome = Outcome(
            number,
            trial.solved_at,
            trial.sequences,
            trial.config.topology.weight_count(),
            trial.also_at,
            trial.test,
            thinned_means(trial.curve, _POINTS),
            float(shares.seconds[place]),
        )
        report.ended(job, outcome)

    def running() -> dict[Job, int]:
        read = dict.fromkeys((job for job, _ in group), 0)
        for trial, (job, _) in zip(trials, origins, strict=True):
            if not trial.finished:
                read[job] += trial.sequences
        return read

    def round_ended() -> None:
        shares.divide(np.array([trial.sequences for trial in trials]) * lengths)
        report.running(running)

    run_trials(trials, finished, round_ended)


class TimeShares:
    """Shares the time of each round among the trials that ran in it, by the steps that each has read."""

    def __init__(self, count: int) -> None:
        self._began = time.perf_counter()
        self._steps = np.zeros(count, dtype=np.int64)
        self.seconds = np.zeros(count)

    def divide(self, steps: NDArray[np.int64]) -> None:
        """Share out the time since the last call. ``steps``: all that each trial has read so far."""
        now, read = time.perf_counter(), steps - self._steps
        if read.any():  # a round in which nobody has read counts with the next
            self.seconds += (now - self._began) * read / read.sum()
            self._began, self._steps = now, steps


def _single_outcome(job: Job, number: int, config: AdamReference | str, report: Report[Job, Outcome]) -> Outcome:
    """Return the outcome of a trial that shares vectors with no other."""
    seed, data = seed_of(job, number), seed_of(job, number // 10, "data")

    def running(sequences: int) -> None:
        report.running(lambda: {job: sequences})

    if isinstance(config, AdamReference):
        return _adam_outcome(number, AdamTrial(config, seed, cap=job.cap, data=data), running)
    if config == "guess":
        search = guessing(job.row.name)
        guess = search.run(int(seed.generate_state(1)[0]), job.cap)
        test: dict[str, float] = {"wrong": guess.test_wrong, "of": guess.test_size} if guess.solved else {}
        solved = guess.guesses if guess.solved else None
        return Outcome(number, solved, guess.guesses, search.topology.weight_count(), {}, test)
    result = cascade(seed, data, job.cap)
    solved = result.presentations if result.solved else None
    return Outcome(number, solved, result.presentations, result.weights)


def _adam_outcome(number: int, trial: AdamTrial, running: Callable[[int], None]) -> Outcome:
    trial.run(running)
    curve = thinned_means(trial.curve, _POINTS)
    return Outcome(number, trial.solved_at, trial.sequences, trial.config.weight_count(), {}, trial.test, curve)
