"""The loss of a network over a data set, here or by the workers of an executor."""

from __future__ import annotations

from collections.abc import Callable

import torch

from longlag.checks import whole_number
from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor, MapReduceObjective
from longlag.gradients import NetworkObjective
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.training.requirements import check_kind

__all__ = ["evaluate", "evaluator"]


@torch.no_grad()
def evaluate(network: Network, loss: Loss, data: SequenceBatch, batch_size: int = 256) -> float:
    """The loss over all of ``data``, ``batch_size`` sequences at a time; the network stays in the mode that it has.

    Raises
    ------
    InputError
        For arguments of another kind.
    """
    check_kind("network", network, Network)
    check_kind("loss", loss, Loss)
    check_kind("data", data, SequenceBatch)
    total = 0.0
    for samples in torch.arange(len(data), device="cpu").split(whole_number("batch_size", batch_size, 1)):
        batch = data.select(samples)
        value = float(loss(network.respond(batch)[0], batch))
        total += value * (1.0 if loss.reduction == "sum" else len(batch) / max(len(data), 1))
    return total


def evaluator(
    network: Network, loss: Loss, batch_size: int, executor: Executor | None
) -> Callable[[SequenceBatch], float]:
    """A function from a data set to the network's loss over it, computed here or by the executor's workers."""
    if executor is None:
        return lambda data: evaluate(network, loss, data, batch_size)
    objective = NetworkObjective(network, loss)
    shared_out = MapReduceObjective(objective, executor)
    return lambda data: shared_out.value(objective.theta, data)
