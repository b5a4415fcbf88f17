"""Backpropagation through time over whole sequences, along every path (full) or the 1997 rule's (truncated)."""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.gradients.engine import Gradient, paths_for, trainable
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.ops.paths import GradientPaths

__all__ = ["Backpropagation"]


KEPT = 1 << 23  # bytes of net inputs; beyond what caches hold, a longer batch only waits for memory
LEAST = 512  # samples at once, so that products stay large


class Backpropagation:
    """The gradient of the loss along ``paths``. Memory grows with T.

    On the CPU a large batch is taken in parts of ``KEPT`` bytes of net inputs, and no fewer than ``LEAST`` samples:
    memory does not grow with the number of samples beyond that. The parts follow from sizes alone.

    Parameters
    ----------
    paths : GradientPaths or None
        ``FULL`` (batch paper, eqs 13-18) or ``TRUNCATED`` (1997 paper, appendix A.1.2), or a choice of your own. None:
        those of the layer, ``LSTM(gradient=...)``.

    Raises
    ------
    InputError
        When a gradient is asked for along paths that the layer itself cuts.
    """

    def __init__(self, paths: GradientPaths | None = None) -> None:
        self.paths = paths

    def value_and_gradient(self, network: Network, loss: Loss, batch: SequenceBatch) -> tuple[Tensor, Gradient]:
        parameters, size, weights = trainable(network), _samples_at_once(network, batch), loss.weights(batch)
        paths = paths_for(network, self.paths)
        total, sums = torch.zeros((), dtype=weights.dtype, device=weights.device), None
        for start in range(0, max(len(batch), 1), size):
            part = batch if len(batch) <= size else batch.slice(start, start + size)
            with torch.enable_grad():
                value = loss(network.respond(part, paths=paths)[0], part, weights[:, start : start + size])
                gradient = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
            total = total + value.detach()
            sums = gradient if sums is None else tuple(a + b for a, b in zip(sums, gradient, strict=True))
        assert sums is not None
        return total, sums


def _samples_at_once(network: Network, batch: SequenceBatch) -> int:
    """Return how many samples of the batch are taken together."""
    lstm = network.lstm
    if batch.inputs.device.type != "cpu":
        return max(len(batch), 1)
    units = lstm.cell.row_count(lstm.hidden_size) * lstm.num_layers * lstm.num_directions
    each = batch.inputs.shape[0] * units * batch.inputs.element_size()
    return max(LEAST, KEPT // max(each, 1))
