"""NetworkObjective: a network, a loss and a gradient engine as one function of a flat parameter vector."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call, grad, jvp, vjp

from longlag.data.sequences import SequenceBatch
from longlag.gradients.backpropagation import Backpropagation
from longlag.gradients.engine import GradientEngine, trainable
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.ops.paths import FULL

__all__ = ["NetworkObjective"]


class NetworkObjective:
    """The ``Objective`` of a network: see ``longlag.nn.Objective``. ``theta`` holds the trainable parameters in order.

    Parameters
    ----------
    network : Network
        Its parameters are set to the ``theta`` of the last call to ``value`` or ``value_and_gradient``.
    loss : Loss
    engine : GradientEngine, optional
        Default: full BPTT.
    """

    def __init__(self, network: Network, loss: Loss, engine: GradientEngine | None = None) -> None:
        self.network, self.loss = network, loss
        self.engine: GradientEngine = Backpropagation() if engine is None else engine

    @property
    def theta(self) -> Tensor:
        """A copy of the network's trainable parameters, (W,)."""
        return torch.cat([parameter.detach().flatten() for parameter in trainable(self.network)])

    def assign(self, theta: Tensor) -> None:
        """Set the network's trainable parameters to ``theta`` (W,)."""
        parameters = trainable(self.network)
        parts = theta.split([parameter.numel() for parameter in parameters])
        with torch.no_grad():
            for parameter, part in zip(parameters, parts, strict=True):
                parameter.copy_(part.view_as(parameter))

    def value(self, theta: Tensor, samples: SequenceBatch) -> float:
        """The loss at ``theta``."""
        self.assign(theta)
        with torch.no_grad():
            return float(self.loss(self.network.respond(samples)[0], samples))

    def value_and_gradient(self, theta: Tensor, samples: SequenceBatch) -> tuple[float, Tensor]:
        """The loss at ``theta`` and the engine's gradient of it, (W,)."""
        self.assign(theta)
        value, gradient = self.engine.value_and_gradient(self.network, self.loss, samples)
        return float(value), torch.cat([part.flatten() for part in gradient])

    def curvature_product(self, theta: Tensor, v: Tensor, samples: SequenceBatch) -> Tensor:
        """The Gauss-Newton matrix ``J' H J`` at ``theta`` times ``v``; J: outputs by weights, H: loss by outputs.

        Exact: forward mode for J v, reverse mode for J'. Always along the full paths, by the reference engine.
        """
        named = {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}
        sizes = [weight.numel() for weight in named.values()]

        def outputs(values: Tensor) -> Tensor:
            parts = {
                name: part.view(weight.shape)
                for (name, weight), part in zip(named.items(), values.split(sizes), strict=True)
            }
            found: Tensor = functional_call(
                _Respond(self.network), {f"network.{k}": p for k, p in parts.items()}, samples
            )
            return found

        def error(answers: Tensor) -> Tensor:
            return self.loss(answers, samples)

        answers, moved = jvp(outputs, (theta,), (v,))[:2]
        pulled = jvp(grad(error), (answers,), (moved,))[1]
        product: Tensor = vjp(outputs, theta)[1](pulled)[0]
        return product


class _Respond(torch.nn.Module):
    """Network.respond as a module, which is what functional_call takes, by the engine that transforms see through."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: SequenceBatch) -> Tensor:
        lstm = self.network.lstm
        chosen, lstm.backend = lstm.backend, "reference"
        try:
            return self.network.respond(batch, paths=FULL)[0]
        finally:
            lstm.backend = chosen
