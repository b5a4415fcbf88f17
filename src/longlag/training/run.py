"""Run: a directory that a training run writes to while it works, and is continued from after a kill."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from longlag.checks import is_number, is_whole, not_negative, true_or_false
from longlag.data.sequences import SequenceBatch
from longlag.errors import CheckpointError, InputError
from longlag.gradients import ScheduledSampling
from longlag.io.directory import Saved
from longlag.io.environment import environment
from longlag.io.files import path_of, writing
from longlag.io.fingerprint import fingerprint
from longlag.io.history import History
from longlag.io.json import JSON
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.training.checkpoints import Checkpoints
from longlag.training.config import TrainingConfig

__all__ = ["Run", "identity"]


class Run:
    """``checkpoints/`` and ``history.jsonl`` below ``directory``. One process at a time writes to a run.

    The history's first line is the run's record (configuration, data fingerprint, versions, commit); one line per
    epoch follows.

    Parameters
    ----------
    directory : path
        Made if missing, in an existing parent.
    resume : bool
        Continue the run that is there; with nothing there, begin one. Without it a run that is there is refused. A
        configuration with more ``max_epochs`` trains on, as if it had had them from the start; only schedules are
        those of the epochs there were to be, and stay at their end.
    every_seconds : float
        Least time between two checkpoints; 0 saves after every batch. It changes no bit of the result.
    start : str, optional
        A fingerprint of the parameters that training begins with, where another training has made them: should they
        now be others, what is in the directory is outdated, and begun anew.

    Raises
    ------
    InputError
        If the directory cannot be written, already holds a run (without ``resume``), holds another run (with it), or
        another process is writing to it.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        resume: bool = False,
        every_seconds: float = 1.0,
        start: str | None = None,
    ) -> None:
        self.directory = path_of("directory", directory)
        true_or_false("resume", resume)
        if every_seconds != math.inf:  # which is never
            not_negative("every_seconds", every_seconds)
        self.resume, self.every_seconds, self.start = resume, every_seconds, start
        self.planned_epochs: int | None = None
        self.history = History(self.directory / "history.jsonl")
        self._checkpoints = Checkpoints(self.directory / "checkpoints")
        self._identity: dict[str, Any] = {}
        self._saved_at = 0.0
        self._open = False

    def __enter__(self) -> Self:
        with writing(self.directory):
            self.directory.mkdir(exist_ok=True)
        self._checkpoints.__enter__()
        if not self.resume and (self._checkpoints.steps() or self.history.path.exists()):
            self._checkpoints.close()
            raise InputError(
                f"{self.directory} already holds a run; expected --resume (resume=True) to continue it, "
                "or another directory"
            )
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._checkpoints.close()

    def begin(self, identity: dict[str, Any]) -> Saved | None:
        """Write the record of a new run, or give back the newest checkpoint of the run to continue.

        ``identity`` is what must be equal for the run to be the same one; the first part that differs is named.
        Afterwards ``planned_epochs`` are those the run was to have when it began; None of a new one.
        """
        if not self._open:  # without its lock, and without having looked for another run
            raise InputError(f"the run in {self.directory} is not open; expected `with Run(...) as run:`")
        if self.start is not None:
            identity = {**identity, "start": self.start}
        self._identity = identity
        latest = self._checkpoints.latest()
        if latest is not None and self.start not in (None, latest[1].document["identity"].get("start")):
            self._checkpoints.clear()
            latest = None
        self._saved_at = time.monotonic()
        if latest is None:
            self.history.rewind(0)
            self.history.append({"record": {**identity, "environment": environment()}})
            return None
        saved = latest[1]
        before = _with_names_of_today(saved.document["identity"])
        _same(self.directory, _trained_on(before, identity["config"]["max_epochs"]), identity)
        planned = saved.document.get("planned_epochs", before["config"]["max_epochs"])
        if not is_whole(planned) or planned < 1:
            raise CheckpointError(f"the checkpoint's planned_epochs is {planned!r}; expected a whole number")
        self.planned_epochs = planned
        self.history.rewind(1 + len(saved.document["watch"]["history"]))
        return saved

    def is_due(self) -> bool:
        """Whether enough time has passed for another checkpoint."""
        return time.monotonic() - self._saved_at >= self.every_seconds

    def save(self, step: int, files: Mapping[str, Mapping[str, Tensor]], document: Mapping[str, JSON]) -> None:
        """Save a checkpoint; ``files`` holds tensors by file name without its ending."""
        self._checkpoints.save(
            step,
            {f"{name}.safetensors": tensors for name, tensors in files.items()},
            {**document, "identity": self._identity},
        )
        self._saved_at = time.monotonic()


def _with_names_of_today(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What made a run the same one, as today's release writes it; earlier ones had other names for some of it."""

    def renamed(part: Any, old: str, new: str) -> Any:
        return {new if name == old else name: value for name, value in part.items()} if part else part

    return {
        "device": "cpu",  # of a release that did not say so
        **identity,
        "config": renamed(identity.get("config"), "own_answers", "sampling_probability"),
        "sampling": renamed(identity.get("sampling"), "emit", "feedback"),
    }


def _trained_on(identity: Mapping[str, Any], max_epochs: int) -> dict[str, Any]:
    """What made a run the same one, had it had so many epochs from the start; fewer it cannot have."""
    config = identity["config"]
    return {**identity, "config": {**config, "max_epochs": max(config["max_epochs"], max_epochs)}}


def _same(directory: Path, old: Mapping[str, Any], new: Mapping[str, Any], place: str = "") -> None:
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            _same(directory, before, now, f"{place}{key}.")
        elif before != now:
            if key in ("data", "validation"):  # a digest, which says nothing to people
                raise InputError(f"{directory} holds a run on other {key}; expected the {key} it began with")
            raise InputError(
                f"{directory} holds a run with {place}{key} = {before!r}, not {now!r}; "
                "expected the same settings to continue it"
            )


# -- what makes a run the same one -------------------------------------------------------------------------------------


def identity(
    network: Network,
    loss: Loss,
    data: SequenceBatch,
    validation: SequenceBatch | None,
    sampling: ScheduledSampling | None,
    config: TrainingConfig,
    *,
    shared_out: bool = False,
) -> dict[str, Any]:
    """Everything besides the weights that the bits of a run depend on, as plain JSON data."""
    lstm = network.lstm
    cell = dataclasses.asdict(lstm.cell)
    if config.sharpness is not None:  # the schedule decides, whatever the cell begins with
        del cell["sharpness"]
    return {
        "config": config.document(),
        "cell": cell,
        "network": {
            "reads": network.reads,
            "output_activation": network.output_activation,
            "dropout": lstm.dropout,
            "gradient": lstm.gradient,
            "backend": lstm.backend,
        },
        "parameters": {
            name: f"{tuple(weight.shape)} {weight.dtype}" + ("" if weight.requires_grad else " frozen")
            for name, weight in network.named_parameters()
        },
        "device": next(network.parameters()).device.type,
        "loss": {"name": type(loss).__name__, **{name: _plain(value) for name, value in vars(loss).items()}},
        "sampling": None if sampling is None else {"columns": sampling.columns, "feedback": _plain(sampling.feedback)},
        "data": _digest(data),
        "validation": None if validation is None else _digest(validation),
        **({"map_reduce": True} if shared_out else {}),  # by whom is no matter, but sums have another order
    }


def _digest(batch: SequenceBatch) -> str:
    return fingerprint(*batch.tensors)


def _plain(value: object) -> JSON:
    """An option as JSON data; of a function, or anything else that has no such form, its name."""
    if isinstance(value, Tensor):
        return fingerprint(value)
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if is_number(value):
        return float(value)  # type: ignore[arg-type]
    return str(getattr(value, "__qualname__", type(value).__qualname__))
