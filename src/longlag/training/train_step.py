"""The step of training: what the loop knows of an optimiser, first-order or batch method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor
from longlag.gradients import ScheduledSampling
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.training.config import TrainingConfig
from longlag.training.first_order import FirstOrderStep
from longlag.training.second_order import SecondOrderStep

__all__ = ["TrainStep", "make_train_step"]


class TrainStep(Protocol):
    """One optimiser at work on one network.

    advice : what may help against divergence, for its message.
    """

    advice: str

    @property
    def ended(self) -> str | None:
        """The word "converged" or "stalled" once no further epoch makes sense; None before."""
        ...

    @property
    def learning_rate(self) -> float | None:
        """The learning rate of this epoch; None for a method, which has none."""
        ...

    def begin_epoch(self, progress: float) -> None:
        """Set what schedules decide at ``progress``, from 0 to 1. The loop has set the gates' sharpness before."""
        ...

    def on(self, batch: SequenceBatch, place: str) -> Iterator[tuple[float, float]]:
        """Make the updates of one batch.

        Each yields its part of the batch's loss and the gradient's norm, both from before the update.

        Raises
        ------
        DivergenceError
            If loss, gradient or parameters stop being finite at ``place``; the parameters are those before that update.
        """
        ...

    def pack(self) -> dict[str, Tensor]:
        """The optimiser's memory as named tensors."""
        ...

    def unpack(self, packed: Mapping[str, Tensor]) -> None:
        """Put back the memory that ``pack`` took. CheckpointError if it is another optimiser's."""
        ...


def make_train_step(
    config: TrainingConfig,
    network: Network,
    loss: Loss,
    data: SequenceBatch,
    feeding: ScheduledSampling | None,
    executor: Executor | None,
) -> TrainStep:
    """Make the step of the optimiser that the resolved ``config`` names; workers compute if there is an executor.

    Raises
    ------
    InputError
        If the optimiser cannot train this network.
    """
    if config.is_method:
        return SecondOrderStep(config, network, loss, data, executor)
    return FirstOrderStep(config, network, loss, feeding, executor)
