"""The Gauss-Newton matrix from a stored Jacobian: how each answer depends on each weight, sample by sample.

Worth it for nets of up to some thousand weights that answer once or a few times a sequence: one backward pass over the
CPU's kernels for each output unit, and products with the matrix then cost next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, grad_and_value, jvp

from longlag.data.sequences import SequenceBatch
from longlag.gradients.engine import trainable
from longlag.nn.curvature import OldCurvatureNames
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.ops.engine import CallOptions, Recording
from longlag.ops.paths import FULL
from longlag.ops.select import kernels_run

__all__ = ["StoredJacobian", "fits", "stored_jacobian"]

PASSES = 4  # backward passes, at most
NUMBERS = 1 << 26  # of the Jacobian, at most


@dataclass(frozen=True)
class StoredJacobian(OldCurvatureNames):
    """G = J'HJ, a ``Curvature``. J: outputs by weights, (A, K, W) for A answers; H: loss by outputs, (A, K, K).

    value : the loss; error : its derivatives by the outputs, (A, K).
    """

    jacobian: Tensor
    hessian: Tensor
    value: float
    error: Tensor
    is_stored = True

    @property
    def gradient(self) -> Tensor:
        """The gradient J'e of the loss by the weights, (W,)."""
        return torch.einsum("akw,ak->w", self.jacobian, self.error)

    @property
    def _weighted(self) -> Tensor:
        """The product H J, (A, K, W)."""
        return torch.einsum("akl,alw->akw", self.hessian, self.jacobian)

    def __matmul__(self, v: Tensor) -> Tensor:
        """Return the product G v = J'(H (J v)), (W,)."""
        moved = self.jacobian @ v
        return torch.einsum("akw,ak->w", self.jacobian, torch.einsum("akl,al->ak", self.hessian, moved))

    def diagonal(self) -> Tensor:
        """Return the diagonal of G, (W,)."""
        return (self.jacobian * self._weighted).sum((0, 1))

    def dense(self) -> Tensor:
        """Return the matrix G itself, (W, W)."""
        matrix = self.jacobian.flatten(0, 1).T @ self._weighted.flatten(0, 1)
        return (matrix + matrix.T) / 2


def fits(network: Network, batch: SequenceBatch) -> bool:
    """Return whether the kernels can give this Jacobian, and it is small enough to be worth it."""
    if not kernels_run(network.lstm.cell, batch.inputs) or not batch.target_mask.any():
        return False
    answers = int(batch.target_mask.sum())
    passes = int(batch.target_mask.sum(0).max()) * network.output_size
    return passes <= PASSES and answers * network.output_size * network.weight_count() <= NUMBERS


def stored_jacobian(network: Network, loss: Loss, batch: SequenceBatch) -> StoredJacobian:
    """Return the Jacobian at the network's parameters, along the full paths. It is computed by the CPU's kernels.

    Sequences with several answers take a pass for the first of each, a pass for the second, and so on.
    """
    mask = batch.target_mask
    order = (mask.cumsum(0) * mask).to(torch.int64)  # (T, B): 1 for the first answer of a sequence, 2 for the second
    response = _Response(network, batch)
    rows = []
    steps = []
    for place in range(1, int(order.max()) + 1):
        t, b = torch.nonzero(order == place, as_tuple=True)
        units = range(response.outputs.shape[-1])
        rows.append(torch.stack([response.row(t, b, unit) for unit in units], dim=1))
        steps.append(torch.stack([t, b]))
    t, b = torch.cat(steps, dim=1)
    value, error, hessians = _derivatives(loss, response.outputs.detach(), batch)
    return StoredJacobian(torch.cat(rows), hessians[t, b], value, error[t, b])


class _Response:
    """A network's outputs to some samples, (T, B, K), with the graph that leads to each weight sample by sample."""

    def __init__(self, network: Network, batch: SequenceBatch) -> None:
        self.network = network
        self.per_sample: list[tuple[Tensor, Tensor]] = []
        recording = Recording()
        options = CallOptions(engine="native", per_sample=self.per_sample, recording=recording)
        with torch.enable_grad():
            self.outputs = network.respond(batch, paths=FULL, options=options)[0]
        (self.net,) = recording.readout_nets
        (inputs,) = recording.readout_inputs
        self.inputs = inputs.detach()

    def row(self, t: Tensor, b: Tensor, k: int) -> Tensor:
        """Return dy_k/dw of the answers at (t, b), one in each of these sequences: (len(t), W)."""
        network, outputs = self.network, self.outputs
        pulled = torch.zeros_like(outputs)
        pulled[t, b, k] = 1.0
        weights = trainable(network)
        self.per_sample.clear()
        reached = [self.net, *trainable(network.lstm)]  # named, so that autograd goes through every layer
        d_net = torch.autograd.grad(outputs, reached, pulled, retain_graph=True, allow_unused=True)[0]
        sums = {id(weight): weight.new_zeros(outputs.shape[1], *weight.shape) for weight in weights}
        for tensor, gradient in self.per_sample:
            _add_to_parameters(tensor, gradient, weights, sums)
        d_net, inputs = d_net[t, b], self.inputs[t, b]
        readout = network.readout
        rows = {id(weight): sums[id(weight)][b].flatten(1) for weight in weights}
        rows |= {id(readout.weight): (d_net[:, :, None] * inputs[:, None, :]).flatten(1), id(readout.bias): d_net}
        return torch.cat([rows[id(weight)] for weight in weights], dim=1)


def _add_to_parameters(
    tensor: Tensor, gradient: Tensor, weights: list[torch.nn.Parameter], sums: dict[int, Tensor]
) -> None:
    """From a tensor that a layer took, such as the sum of two biases, to the parameters it was made of."""
    if id(tensor) in sums:
        sums[id(tensor)] += gradient
    elif tensor.grad_fn is not None:
        parts = torch.autograd.grad(
            tensor, weights, gradient, retain_graph=True, allow_unused=True, is_grads_batched=True
        )
        for weight, part in zip(weights, parts, strict=True):
            if part is not None:
                sums[id(weight)] += part


def _derivatives(loss: Loss, outputs: Tensor, batch: SequenceBatch) -> tuple[float, Tensor, Tensor]:
    """Return the loss, its derivatives by the outputs (T, B, K), and the second ones (T, B, K, K).

    An answer's error depends on its own outputs alone, so one direction serves all answers at once.
    """

    def error(answers: Tensor) -> Tensor:
        return loss(answers, batch)

    first, value = grad_and_value(error)(outputs)

    columns = []
    for k in range(outputs.shape[-1]):
        direction = torch.zeros_like(outputs)
        direction[..., k] = 1.0
        columns.append(jvp(grad(error), (outputs,), (direction,))[1])
    return float(value), first, torch.stack(columns, dim=-1)
