"""Callbacks: objects that are told when a training starts, after each batch and epoch, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import torch

from longlag.errors import InputTypeError
from longlag.nn.network import Network
from longlag.training.config import TrainingConfig
from longlag.training.devices import drawing_devices
from longlag.training.requirements import check_kind
from longlag.training.result import TrainingResult
from longlag.training.surroundings import as_it_was

__all__ = ["BatchEnd", "Callback", "Callbacks", "Stage", "TrainingInfo", "check_callbacks"]


@dataclass(frozen=True)
class Stage:
    """Which part of a larger training one call of ``train`` is.

    name : "fit"; "refit" where networks then learn what was held out; "update" where they learn values that came later.
    network : the number of the network in its ensemble, counted from 0. networks : how many the ensemble has.
    """

    name: str = "fit"
    network: int = 0
    networks: int = 1


@dataclass(frozen=True)
class TrainingInfo:
    """What is trained, and how; the same during one training.

    network : what is trained, to be read. config : with what None stands for in its place. stage : which part of a
    larger training this is. batches : those of an epoch. epochs_done : epochs that a run had behind it when it was
    continued; 0 for a new one. validated : whether there is a validation loss.
    """

    network: Network
    config: TrainingConfig
    stage: Stage
    batches: int
    epochs_done: int
    validated: bool


@dataclass(frozen=True)
class BatchEnd:
    """What one batch was. Its loss and the norm of its gradient are those from before the update.

    epoch, batch : counted from 1. step : batches so far, those of former epochs too. loss : of this batch; None if it
    asks for no answer. gradient_norm : the largest of the batch, before clipping. learning_rate : None for a batch
    method. sequences, time_steps : the size of the batch, without padding.
    """

    epoch: int
    batch: int
    step: int
    loss: float | None
    gradient_norm: float
    learning_rate: float | None
    sequences: int
    time_steps: int


class Callback:
    """Base of what is told of a training; a subclass overrides what it wants to hear.

    A callback reads: networks, configurations and numbers are not its to change. Random numbers that it draws, modes of
    modules that it sets and gradients that it leaves are put back, so that training has the same bits without it. What
    it raises ends the training and reaches the caller; a run on disk can then be continued.
    """

    def on_train_start(self, training: TrainingInfo) -> None:
        """Called before the first batch, of a run that is continued too."""

    def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
        """Called after the update of each batch."""

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> bool | None:
        """Called after each epoch with its line of the history, before a checkpoint of it. True asks to stop here.

        The entry has epoch (counted from 1), loss, validation (None without validation data), gradient_norm,
        learning_rate, sharpness, seconds and sequences_per_second.
        """
        return None

    def on_train_end(self, training: TrainingInfo, result: TrainingResult | None) -> None:
        """Called when training has ended, with the kept parameters in place; None if an error or Ctrl-C ended it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself: copies of an estimator, of which scikit-learn makes many, tell the same callback."""
        return self


class Callbacks:
    """The callbacks of one training, which are called one after the other, and leave no trace in it."""

    def __init__(self, callbacks: Sequence[Callback], training: TrainingInfo) -> None:
        self.callbacks, self.training = callbacks, training
        self.devices = drawing_devices(next(training.network.parameters()).device)

    def __bool__(self) -> bool:
        return bool(self.callbacks)

    def around(self, train: Callable[[], TrainingResult]) -> TrainingResult:
        """Train between start and end; whoever heard of the start hears of the end, whatever happens."""
        result: TrainingResult | None = None

        def end(callback: Callback) -> None:
            self._call(callback.on_train_end, result)

        with ExitStack() as stack:
            for callback in self.callbacks:
                self._call(callback.on_train_start)
                stack.callback(end, callback)
            result = train()
        return result

    def batch_end(self, batch: BatchEnd) -> None:
        """Tell of a batch."""
        for callback in self.callbacks:
            self._call(callback.on_batch_end, batch)

    def epoch_end(self, entry: Mapping[str, Any]) -> bool:
        """Tell of an epoch. Whether one of the callbacks asks to stop; all have heard of the epoch then."""
        answers = [self._call(callback.on_epoch_end, MappingProxyType(entry)) for callback in self.callbacks]
        for callback, answer in zip(self.callbacks, answers, strict=True):
            if answer is not None and not isinstance(answer, (bool, np.bool_)):
                raise InputTypeError(
                    f"{type(callback).__name__}.on_epoch_end returned {answer!r}; expected True to stop, or None"
                )
        return any(answers)

    def _call(self, method: Callable[..., Any], *facts: Any) -> Any:
        network = self.training.network
        with torch.random.fork_rng(devices=self.devices), as_it_was(network, None):
            return method(self.training, *facts)


def check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Callbacks as a tuple; None is none. InputTypeError for anything else."""
    if callbacks is None:
        return ()
    if not isinstance(callbacks, (list, tuple)):
        raise InputTypeError(f"callbacks is a {type(callbacks).__name__}; expected a list of Callback objects")
    for callback in callbacks:
        check_kind("a callback", callback, Callback)
    return tuple(callbacks)
