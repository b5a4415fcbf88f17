"""Tasks to train, stop and resume, for the tests of runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import ScheduledSampling
from longlag.nn import Loss, QuantileLoss, SquaredError
from longlag.optimizers import names
from longlag.training import Callback, Run, Schedule, TrainingConfig, TrainingResult, train


def samples(seed: int, lengths: tuple[int, ...] = (4, 2, 5, 3, 1)) -> SequenceBatch:
    generator = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(steps, 2, generator=generator) for steps in lengths]
    return SequenceBatch.every_step(inputs, [torch.randn(steps, 1, generator=generator) for steps in lengths])


class Task:
    """Everything a run is given; each is made anew, as by another process."""

    def __init__(self, config: TrainingConfig, **changes: Any) -> None:
        torch.manual_seed(0)
        cell = changes.get("cell", CellSpec(peepholes=True))
        options = {"num_layers": 2, "dropout": 0.0, **changes.get("lstm", {})}
        lstm = LSTM(2, changes.get("hidden_size", 2), cell=cell, dtype=changes.get("dtype"), **options)
        self.loss: Loss = changes.get("loss", SquaredError())
        outputs = changes.get("outputs", self.loss.outputs_for(1))
        self.network = Network(lstm, outputs, **changes.get("network", {}))
        for name in changes.get("frozen", []):
            self.network.get_parameter(name).requires_grad_(False)
        self.data: SequenceBatch = changes.get("data", samples(1)).to(dtype=changes.get("dtype"))
        self.validation: SequenceBatch | None = changes.get("validation")
        self.sampling: ScheduledSampling | None = changes.get("sampling")
        self.config = config

    def train(self, run: Run | None = None, *callbacks: Callback) -> TrainingResult:
        return train(
            self.network,
            self.loss,
            self.data,
            self.config,
            validation=self.validation,
            sampling=self.sampling,
            run=run,
            callbacks=callbacks,
        )


class Stop(Exception):
    """The end of a process."""


class Stopping(Callback):
    """A callback that ends the process at its n-th chance: after a batch's update, or an epoch's end."""

    def __init__(self, at: int) -> None:
        self.left = at

    def on_batch_end(self, *_: object) -> None:
        self.on_epoch_end()

    def on_epoch_end(self, *_: object) -> None:
        if self.left == 0:
            raise Stop
        self.left -= 1


def outcome(task: Task, result: TrainingResult) -> dict[str, Any]:
    """All that must be the same to the bit."""
    return {
        "weights": {name: value.tolist() for name, value in task.network.state_dict().items()},
        "sharpness": task.network.lstm.cell.sharpness,
        "reason": result.reason,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "history": without_times(result.history),
    }


def without_times(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = ("seconds", "sequences_per_second")
    return [{name: value for name, value in entry.items() if name not in times} for entry in entries]


def epochs_on_disk(run: Run) -> list[dict[str, Any]]:
    record, *entries = run.history.entries()
    assert list(record) == ["record"]
    return without_times(entries)


ADAM = TrainingConfig(learning_rate=0.05, clip_norm=0.1, max_epochs=2, batch_size=2, seed=3)
TRUNCATED = replace(ADAM, gradient="truncated")
METHODS = names(methods=True)


def method(name: Any, **options: Any) -> TrainingConfig:
    return TrainingConfig(optimizer=name, **{"max_epochs": 2, "seed": 3, **options})


def last(seed: int, lengths: tuple[int, ...] = (4, 2, 5, 3, 1)) -> SequenceBatch:
    """One answer for each sequence: then a dense matrix costs little."""
    generator = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(steps, 2, generator=generator) for steps in lengths]
    return SequenceBatch.last_step(inputs, torch.randn(len(lengths), 1, generator=generator))


SCENARIOS: dict[str, Callable[[], Task]] = {
    "adam": lambda: Task(ADAM),
    "momentum, learning rate schedule": lambda: Task(
        replace(ADAM, optimizer="momentum", learning_rate=Schedule(0.3, 0.1, "cosine"), weight_decay=0.01)
    ),
    "sgd": lambda: Task(replace(ADAM, optimizer="sgd")),
    "truncated BPTT": lambda: Task(replace(ADAM, gradient="tbptt", k1=2, k2=3)),
    "dropout": lambda: Task(ADAM, lstm={"dropout": 0.5}),
    "scheduled sampling": lambda: Task(
        replace(ADAM, sampling_probability=Schedule(0.3, 0.8, "linear")), sampling=ScheduledSampling(1)
    ),
    "sharpness schedule, validation": lambda: Task(
        replace(ADAM, sharpness=Schedule(1.5, 3.0, "linear")), validation=samples(2)
    ),
    "early stopping": lambda: Task(
        replace(ADAM, learning_rate=0.5, max_epochs=9, patience=1), validation=samples(2), lstm={"dropout": 0.5}
    ),
    **{
        name: partial(Task, method(name, batch_size=2, inner_iterations=2), data=last(1), lstm={"num_layers": 1})
        for name in METHODS
    },
    **{
        f"{name}, all the data": partial(Task, method(name, max_epochs=3), data=last(1), lstm={"num_layers": 1})
        for name in METHODS
    },
    "lbfgs, sharpness schedule, validation": lambda: Task(
        method("lbfgs", sharpness=Schedule(1.5, 3.0, "steps", 1), max_epochs=4), data=last(1), validation=samples(2)
    ),
    "converged": lambda: Task(
        method("lbfgs", inner_iterations=5, max_epochs=99), data=last(2, (2, 2)), validation=last(3)
    ),
}
ONE_BATCH = {name for name in SCENARIOS if "all the data" in name or "lbfgs, " in name or name == "converged"}
OWN = replace(ADAM, sampling_probability=0.5)
MORE = {"loss": QuantileLoss([0.2, 0.8])}


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def emitted(outputs: Tensor) -> Tensor:
    return outputs.tanh()


def refusal(
    directory: Path,
    before: tuple[TrainingConfig, dict[str, Any]],
    now: tuple[TrainingConfig, dict[str, Any]],
) -> str:
    """Stop a run, go on with another, and see that nothing was touched."""
    with pytest.raises(Stop), Run(directory, every_seconds=0) as run:
        Task(before[0], **before[1]).train(run, Stopping(3))
    saved, task = contents(directory), Task(now[0], **now[1])
    given = {name: value.clone() for name, value in task.network.state_dict().items()}
    with Run(directory, resume=True, every_seconds=0) as run, pytest.raises(InputError) as caught:
        task.train(run)
    assert contents(directory) == saved
    assert all(torch.equal(value, given[name]) for name, value in task.network.state_dict().items())
    return str(caught.value)
