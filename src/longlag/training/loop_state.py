"""Where the training loop is, what it has seen, and the checkpoints that put it there again."""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from longlag.checks import is_number, is_whole, shown
from longlag.errors import CheckpointError
from longlag.io.directory import Saved
from longlag.nn.network import Network
from longlag.training.devices import generator_states, set_generator_states
from longlag.training.run import Run
from longlag.training.train_step import TrainStep

__all__ = ["LoopState", "copied", "restore", "save"]


@dataclass
class LoopState:
    """The loop's memory besides parameters and optimiser.

    epoch, batch : how many epochs are done, and how many batches of the next one.
    loss, norm : of the epoch under way, the loss so far and the largest norm of a gradient.
    best_value, best_epoch, best_sharpness : the best score so far, and where it was.
    ended : the word "converged" or "stalled" once the optimiser has said so.
    history : an entry for each epoch that is done.
    """

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    norm: float = 0.0
    best_value: float | None = None
    best_epoch: int = 0
    best_sharpness: float = 1.0
    ended: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def is_best(self, score: float, sharpness: float, min_delta: float) -> bool:
        """Whether ``score`` is better than all before by more than ``min_delta``; if so it is noted as the best."""
        if not math.isfinite(score) or (self.best_value is not None and score >= self.best_value - min_delta):
            return False
        self.best_value, self.best_epoch, self.best_sharpness = score, self.epoch, sharpness
        return True

    def end_epoch(self, entry: dict[str, Any], ended: str | None) -> None:
        """Go on to the next epoch."""
        self.history.append(entry)
        self.epoch, self.batch, self.loss, self.norm, self.ended = self.epoch + 1, 0, 0.0, 0.0, ended

    def reason_to_stop(self, patience: int | None) -> str | None:
        """Why training ends before its last epoch; None where it does not."""
        if self.ended is not None:
            return self.ended
        if patience is not None and self.batch == 0 and self.epoch - self.best_epoch >= patience:
            return "patience"
        return None


def copied(network: Network) -> dict[str, Tensor]:
    """The network's parameters and buffers by name, as they are now."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def save(
    run: Run,
    network: Network,
    optimizer: TrainStep,
    state: LoopState,
    best: dict[str, Tensor],
    step: int,
    planned_epochs: int | None = None,
) -> None:
    """Write the checkpoint of ``step``, the number of updates so far.

    Parameters
    ----------
    best : the best parameters
    planned_epochs : those that schedules go over, where the run has been given more
    """
    run.save(
        step,
        {
            "parameters": copied(network),
            "best": best,
            "optimizer": optimizer.pack(),
            "random": generator_states(next(network.parameters()).device),
        },
        {
            "watch": dataclasses.asdict(state),
            "sharpness": network.lstm.cell.sharpness,
            **({} if planned_epochs is None else {"planned_epochs": planned_epochs}),
        },
    )


def restore(saved: Saved, network: Network, optimizer: TrainStep, state: LoopState) -> dict[str, Tensor]:
    """Put network, optimiser, generator and loop where a checkpoint has them; return the best parameters."""
    network.load_state_dict(saved.files["parameters.safetensors"])
    network.lstm.cell = dataclasses.replace(network.lstm.cell, sharpness=saved.document["sharpness"])
    optimizer.unpack(saved.files["optimizer.safetensors"])
    set_generator_states(next(network.parameters()).device, saved.files["random.safetensors"])
    for name, value in _watch(saved.document["watch"]).items():
        setattr(state, name, value)
    return dict(saved.files["best.safetensors"])


def _watch(document: Any) -> dict[str, Any]:
    """The loop's memory as a checkpoint has it, of the names and kinds that it can have. CheckpointError otherwise."""
    names = {field.name for field in dataclasses.fields(LoopState)}
    if not isinstance(document, dict) or document.keys() != names:
        raise CheckpointError(f"the checkpoint's watch is {shown(document)}; expected {', '.join(sorted(names))}")
    counts = all(is_whole(document[name]) and document[name] >= 0 for name in ("epoch", "batch", "best_epoch"))
    numbers = all(is_number(document[name]) for name in ("loss", "norm", "best_sharpness"))
    best = document["best_value"] is None or is_number(document["best_value"])
    ended = document["ended"] is None or isinstance(document["ended"], str)
    history = document["history"]
    entries = isinstance(history, list) and all(isinstance(entry, dict) for entry in history)
    if not (counts and numbers and best and ended and entries and len(history) == document["epoch"]):
        raise CheckpointError(f"the checkpoint's watch is {shown(document)}; expected what training writes")
    return copy.deepcopy(document)
