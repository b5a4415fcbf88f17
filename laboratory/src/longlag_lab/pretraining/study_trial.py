"""One trial of the study: a network taught on one thread, and what it is worth."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from longlag.errors import InputError
from longlag_lab.benchmarks.forecast_competitions import COMPETITIONS, Group, competition
from longlag_lab.pretraining.batches import Batch
from longlag_lab.pretraining.competitions import score_groups, training_parts
from longlag_lab.pretraining.settings import PretrainingSettings
from longlag_lab.pretraining.threads import gradients, one_thread_each
from longlag_lab.pretraining.training import Training
from longlag_lab.pretraining.validation import mean_loss, validate, validation_batches

__all__ = ["Trial", "run_trial"]


@dataclass(frozen=True)
class Trial:
    """What came of a trial.

    weights : how many the network has. seconds : of processors, without scoring. loss, coverage : on held-out synthetic
    series, means over the frequencies. losses : of each frequency. real : scores by competition and frequency; empty
    where real series were not looked at.
    """

    trial: int
    weights: int
    steps: int
    seconds: float
    loss: float
    coverage: float
    losses: dict[str, float]
    real: dict[str, dict[str, float | None]]

    @property
    def solved(self) -> None:
        """Nothing is solved here."""
        return

    def plain(self) -> dict[str, Any]:
        """Return the trial as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def read(cls, document: Any, *, real: bool) -> Trial:
        """Return the trial that ``plain`` was asked of. InputError if it is none, or lacks scores of real series."""
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(document, dict) or document.keys() != names:
            raise InputError(f"it has not the entries {', '.join(sorted(names))}")
        if real and not document["real"]:
            raise InputError("it has no scores of real series")
        return cls(**document)


def run_trial(
    settings: PretrainingSettings, number: int, *, real: bool, running: Callable[[int], object] = lambda _: None
) -> Trial:
    """Teach a network with the seed ``number``; ``running`` is called with the number of updates after each."""
    settings = dataclasses.replace(settings, seed=number)
    with one_thread_each():
        began = time.process_time()
        training = Training(settings)
        with gradients(settings, training.network, 0, 1) as steps:
            for gradient in steps:
                training.update(gradient)
                running(training.updates)
        seconds = time.process_time() - began
        scores = validate(training.average, _held_out())
        return Trial(
            number,
            sum(parameter.numel() for parameter in training.network.parameters()),
            training.updates,
            seconds,
            mean_loss(scores),
            sum(score.coverage for score in scores.values()) / len(scores),
            {name: score.loss for name, score in scores.items()},
            score_groups(training.average, _real()) if real else {},
        )


@functools.cache
def _held_out() -> dict[str, list[Batch]]:
    return validation_batches()


@functools.cache
def _real() -> list[Group]:
    return training_parts([group for name in COMPETITIONS for group in competition(name)])
