"""What moves the parameters: the training loop knows this much of an optimiser, whatever its kind."""

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
from longlag.training.first_order import FirstOrder
from longlag.training.methods import BatchMethod

__all__ = ["Updates", "make"]


class Updates(Protocol):
    """One optimiser at work on one network.

    ended : "converged" or "stalled" once no further epoch makes sense; advice : against divergence, for its message.
    """

    advice: str

    @property
    def ended(self) -> str | None: ...

    @property
    def learning_rate(self) -> float | None:
        """Of this epoch; None where there is none."""
        ...

    def begin_epoch(self, progress: float) -> None:
        """Set what schedules decide; ``progress`` goes from 0 to 1. The loop has set the gates' sharpness."""
        ...

    def on(self, batch: SequenceBatch, place: str) -> Iterator[tuple[float, float]]:
        """Make the batch's updates: at each, its part of the batch's loss and the gradient's norm, both before it.

        Raises
        ------
        DivergenceError
            If loss, gradient or parameters stop being finite at ``place``; the parameters are those before that update.
        """
        ...

    def pack(self) -> dict[str, Tensor]:
        """The memory as named tensors."""
        ...

    def unpack(self, packed: Mapping[str, Tensor]) -> None:
        """Go on from the memory that ``pack`` took. CheckpointError if it is another optimiser's."""
        ...


def make(
    config: TrainingConfig,
    network: Network,
    loss: Loss,
    data: SequenceBatch,
    feeding: ScheduledSampling | None,
    executor: Executor | None,
) -> Updates:
    """The optimiser that the resolved ``config`` names, its questions put to the executor's workers if there is one.

    Raises
    ------
    InputError
        If the optimiser cannot train this network.
    """
    if config.is_method:
        return BatchMethod(config, network, loss, data, executor)
    return FirstOrder(config, network, loss, feeding, executor)
