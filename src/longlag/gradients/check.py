"""Is this gradient right? Central differences in float64 against any engine, on the user's own network."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.gradients.backpropagation import Backpropagation
from longlag.gradients.engine import GradientEngine
from longlag.nn.losses import Loss
from longlag.nn.network import Network

__all__ = ["GradientCheck", "check_gradient", "finite_differences"]


@dataclass(frozen=True)
class GradientCheck:
    """What a check found.

    error : largest difference, relative to the larger of 1 and the largest derivative; parameter, index : where;
    expected : the central difference there; found : the engine's derivative there; weights : how many were compared.
    """

    error: float
    parameter: str
    index: tuple[int, ...]
    expected: float
    found: float
    weights: int

    def __str__(self) -> str:
        place = f"{self.parameter}[{', '.join(map(str, self.index))}]"
        return (
            f"{self.weights} weights compared; largest relative difference {self.error:.2e} at {place}: "
            f"{self.found:.9g}, finite differences give {self.expected:.9g}"
        )


def finite_differences(network: Network, loss: Loss, batch: SequenceBatch, *, step: float = 1e-5) -> list[Tensor]:
    """Return central differences of the loss for each trainable parameter: 2 W forward passes, an error of step^2."""
    gradient = []
    with torch.no_grad():
        for parameter in (p for p in network.parameters() if p.requires_grad):
            slopes = torch.zeros_like(parameter)
            for index in range(parameter.numel()):
                weight = parameter.view(-1)
                weight_value = weight[index].item()
                sides = []
                for shifted in (weight_value + step, weight_value - step):
                    weight[index] = shifted
                    sides.append(loss(network.respond(batch)[0], batch))
                weight[index] = weight_value
                slopes.view(-1)[index] = (sides[0] - sides[1]) / (2 * step)
            gradient.append(slopes)
    return gradient


def check_gradient(
    network: Network,
    loss: Loss,
    batch: SequenceBatch,
    engine: GradientEngine | None = None,
    *,
    step: float = 1e-5,
) -> GradientCheck:
    """Compare an engine's gradient with central differences, on a float64 copy of the network.

    The engine is backpropagation along the layer's own paths, unless another is given.

    A right gradient shows a relative difference of about 1e-9. A truncated one differs by what it cuts.

    Raises
    ------
    InputError
        If the network has dropout switched on (its loss is not a function of the weights), or nothing to train.
    """
    twin = copy.deepcopy(network).double()
    if twin.training and twin.lstm.dropout:
        raise InputError("the network drops units at random; expected network.eval() before a gradient check")
    names = [name for name, parameter in twin.named_parameters() if parameter.requires_grad]
    if not names:
        raise InputError("the network has no trainable parameter; expected requires_grad=True on at least one")
    samples = batch.to(dtype=torch.float64)
    _, gradient = (engine or Backpropagation()).value_and_gradient(twin, loss, samples)
    expected = finite_differences(twin, loss, samples, step=step)
    scale = max(1.0, *(float(part.abs().max()) for part in expected if part.numel()))
    worst: GradientCheck | None = None
    count = sum(part.numel() for part in expected)
    for name, one, other in zip(names, gradient, expected, strict=True):
        if not one.numel():
            continue
        difference = (one - other).abs().nan_to_num(nan=torch.inf)  # nothing is worse than NaN, anywhere
        error = float(difference.max()) / scale
        if worst is None or error > worst.error:
            index = tuple(int(part) for part in torch.unravel_index(difference.argmax(), one.shape))
            worst = GradientCheck(error, name, index, float(other[index]), float(one[index]), count)
    assert worst is not None
    return worst
