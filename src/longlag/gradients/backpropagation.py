"""Backpropagation through time over whole sequences: every path (full), or the 1997 rule's (truncated)."""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.gradients.engine import Gradient, trainable
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.ops.paths import FULL, ErrorPaths

__all__ = ["Backpropagation"]


class Backpropagation:
    """The gradient of the loss along ``paths``. Memory grows with T.

    Parameters
    ----------
    paths : ErrorPaths
        ``FULL`` (batch paper, eqs 13-18) or ``TRUNCATED`` (1997 paper, appendix A.1.2), or a choice of your own.
    """

    def __init__(self, paths: ErrorPaths = FULL) -> None:
        self.paths = paths

    def value_and_gradient(self, network: Network, loss: Loss, batch: SequenceBatch) -> tuple[Tensor, Gradient]:
        parameters = trainable(network)
        with torch.enable_grad():
            value = loss(network.respond(batch, paths=self.paths)[0], batch)
            gradient = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        return value.detach(), gradient
