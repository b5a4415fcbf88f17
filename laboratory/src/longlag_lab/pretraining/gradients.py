"""The loss of a batch, and its gradient: a function of the weights and the batch alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from longlag.pretrained.network import LEVELS, ZeroShotNetwork
from longlag_lab.pretraining.batches import Batch

__all__ = ["Gradient", "batch_gradient", "batch_loss", "pinball", "sum_of"]


@dataclass(frozen=True, eq=False)
class Gradient:
    """A loss, and its derivatives by the network's parameters in their order."""

    loss: float
    parts: tuple[Tensor, ...]


def pinball(quantiles: Tensor, targets: Tensor) -> Tensor:
    """Return the loss (n, H) of quantiles (n, H, Q): the mean over LEVELS."""
    levels = quantiles.new_tensor(LEVELS)
    rest = targets[..., None] - quantiles
    return torch.maximum(levels * rest, (levels - 1.0) * rest).mean(-1)


def answers(network: ZeroShotNetwork, batch: Batch) -> Tensor:
    """Return the network's quantiles (n, H, Q) for a batch."""
    states = network.read(batch.inputs)[batch.steps, batch.rows]
    quantiles: Tensor = network(states, batch.questions, batch.bases)
    return quantiles


def batch_loss(quantiles: Tensor, batch: Batch) -> Tensor:
    """Return the weighted mean of the loss over the targets that there are."""
    return (pinball(quantiles, batch.targets) * batch.weights).sum() / batch.weights.sum().clamp(min=1.0)


def batch_gradient(network: ZeroShotNetwork, batch: Batch, share: float) -> Gradient:
    """Return ``share`` of the loss of a batch, with its gradient."""
    loss = share * batch_loss(answers(network, batch), batch)
    parts = torch.autograd.grad(loss, list(network.parameters()))
    return Gradient(float(loss.detach()), parts)


def sum_of(gradients: list[Gradient]) -> Gradient:
    """Return the sum in the order of the list, on which the last bits depend."""
    parts = [part.clone() for part in gradients[0].parts]
    for gradient in gradients[1:]:
        for part, more in zip(parts, gradient.parts, strict=True):
            part += more
    return Gradient(sum(gradient.loss for gradient in gradients), tuple(parts))
