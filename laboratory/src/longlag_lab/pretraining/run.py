"""A pretraining in a folder: begun, followed, saved every few minutes, resumed to the same bits, and written out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longlag.errors import CheckpointError, InputError
from longlag.io.environment import environment
from longlag.io.files import writing
from longlag.io.history import History
from longlag.training.checkpoints import Checkpoints
from longlag_lab.benchmarks.machine import cores, cpu_name, instruction_set
from longlag_lab.pretraining.clock import Clock
from longlag_lab.pretraining.settings import PretrainingSettings
from longlag_lab.pretraining.threads import gradients, one_thread_each
from longlag_lab.pretraining.training import Training
from longlag_lab.pretraining.validation import Score, mean_loss, validate, validation_batches
from longlag_lab.pretraining.weights import write_weights

__all__ = ["EVERY_SECONDS", "VALIDATIONS", "Report", "pretrain"]

EVERY_SECONDS = 120.0
"""Between two checkpoints."""
VALIDATIONS = 20
"""How often the weights are validated in the course of a pretraining."""


@dataclass(frozen=True)
class Report:
    """How far a pretraining is. ``scores`` are there where a validation has just ended."""

    updates: int
    of: int
    loss: float
    seconds_per_update: float
    scores: dict[str, Score] | None = None


def pretrain(
    settings: PretrainingSettings,
    folder: Path,
    *,
    threads: int = 1,
    resume: bool = False,
    show: Callable[[Report], object] = lambda _: None,
    every_seconds: float = EVERY_SECONDS,
) -> dict[str, Any]:
    """Teach a network, and write ``weights.safetensors`` and ``manifest.json`` to the folder.

    Parameters
    ----------
    settings : PretrainingSettings
    folder : Path
        Made if missing.
    threads : int
        Changes no bit.
    resume : bool
        Go on with what the folder holds.
    show : callable
        Called after each update.
    every_seconds : float
        Least time between two checkpoints; 0 saves after every update. Changes no bit.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    InputError
        If the folder cannot be written to, holds a pretraining (without ``resume``) or another one (with it).
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with Checkpoints(folder / "checkpoints") as checkpoints, one_thread_each():
        run = _Run(settings, folder, checkpoints, resume=resume)
        validation = validation_batches()
        training = run.training
        with gradients(settings, training.network, training.updates, threads) as steps:
            began, first = time.monotonic(), training.updates
            saved_at = began
            for gradient in steps:
                training.update(gradient)
                scores = None
                if training.updates in validated_after(settings.updates):
                    scores = validate(training.average, validation)
                    run.record(scores)
                per_update = (time.monotonic() - began) / (training.updates - first)
                show(Report(training.updates, settings.updates, training.loss, per_update, scores))
                if time.monotonic() - saved_at >= every_seconds or training.updates == settings.updates:
                    run.save()
                    saved_at = time.monotonic()
        return write_weights(folder, training, run.facts(), validation)


def validated_after(updates: int) -> set[int]:
    """Return the numbers of updates after which the weights are validated; the last one is not among them."""
    return {updates * part // VALIDATIONS for part in range(1, VALIDATIONS)} - {0, updates}


class _Run:
    """What of a pretraining is on the disk: the newest checkpoints, and the history of the validations."""

    def __init__(self, settings: PretrainingSettings, folder: Path, checkpoints: Checkpoints, *, resume: bool) -> None:
        self.settings, self._checkpoints = settings, checkpoints
        self._history = History(folder / "history.jsonl")
        self.training, self.clock = Training(settings), Clock()
        self._environments = [environment()]
        if not resume and (checkpoints.steps() or self._history.path.exists()):
            raise InputError(f"{folder} already holds a pretraining; expected --resume, or another folder")
        latest = checkpoints.latest()
        entries = 0
        if latest is not None:
            entries = self._restore(folder, *latest)
        self._history.rewind(entries)
        if entries == 0:
            self._history.append({"settings": settings.document(), "environment": self._environments[-1]})

    def _restore(self, folder: Path, step: int, saved: Any) -> int:
        document = saved.document
        try:
            before, progress = document["settings"], document["progress"]
            loss, wall, cpu, entries = (progress[name] for name in ("loss", "wall", "cpu", "entries"))
            environments = list(document["environments"])
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{folder} holds no checkpoint of a pretraining: {error}") from error
        for name, value in self.settings.document().items():
            if before.get(name) != value:
                raise InputError(
                    f"{folder} holds a pretraining with {name} = {before.get(name)!r}, not {value!r}; expected the "
                    "same settings to continue it"
                )
        self.training.restore(saved.files, step, loss)
        self.clock = Clock(wall, cpu)
        if environments[-1] != self._environments[-1]:
            self._environments = [*environments, *self._environments]
        return int(entries)

    def record(self, scores: dict[str, Score]) -> None:
        """Write what a validation has found to the history."""
        self._history.append(
            {
                "updates": self.training.updates,
                "loss": self.training.loss,
                "validation": mean_loss(scores),
                "scores": {name: dataclasses.asdict(score) for name, score in scores.items()},
                **self.clock.document(),
            }
        )

    def save(self) -> None:
        """Write a checkpoint."""
        progress = {"loss": self.training.loss, "entries": len(self._history.entries()), **self.clock.document()}
        document: dict[str, Any] = {
            "settings": self.settings.document(),
            "progress": progress,
            "environments": self._environments,
        }
        self._checkpoints.save(self.training.updates, self.training.tensors(), document)

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of the run: how long it took, and where it ran, once for each place."""
        return {
            "hours": self.clock.hours(),
            "commit": self._environments[-1]["commit"],
            "environments": self._environments,
            "machine": {"cpu": cpu_name(), "cores": cores(), "instruction_set": instruction_set()},
        }
