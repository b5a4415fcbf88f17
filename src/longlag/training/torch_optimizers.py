"""torch.optim's optimisers in training: one checked step, and their state as tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from longlag.errors import CheckpointError, DivergenceError
from longlag.gradients import Gradient
from longlag.optim.first_order import FirstOrder
from longlag.training.config import TrainingConfig

__all__ = ["ADVICE", "diverged", "make", "pack", "step", "unpack"]

ADVICE = "; a smaller learning rate or clip_norm may help"
"""What may help against divergence."""


def make(config: TrainingConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Make the optimiser that ``config`` names. Its learning rate is set at every epoch."""
    options: FirstOrder = config.options()
    return options.make(parameters, config.weight_decay)


def step(
    optimizer: torch.optim.Optimizer, value: Tensor, gradient: Gradient, config: TrainingConfig, place: str
) -> float:
    """Check and clip the gradient, and make one update. Returns the gradient's norm, from before it was clipped.

    Whatever is not finite is never committed to the parameters.

    Raises
    ------
    DivergenceError
        If the loss, the gradient or the update is not finite.
    """
    parameters: list[nn.Parameter] = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm_of_all = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part) for part in gradient]))
    norm = float(norm_of_all)
    if not math.isfinite(float(value)) or not math.isfinite(norm):
        raise diverged("gradient" if math.isfinite(float(value)) else "loss", place)
    for parameter, part in zip(parameters, gradient, strict=True):
        parameter.grad = (
            part.clone() if config.clip_value is None else part.clamp(-config.clip_value, config.clip_value)
        )
    if config.clip_norm is not None:
        if config.clip_value is None:  # what is clipped has the norm that is known
            torch.nn.utils.clip_grads_with_norm_(parameters, config.clip_norm, norm_of_all)
        else:
            torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
    before = _one_vector(parameters)
    fits = True
    try:
        optimizer.step()
    except RuntimeError as error:
        if "overflow" not in str(error):  # torch's word for a factor that the parameters' type cannot hold
            raise
        fits = False
    for parameter in parameters:
        parameter.grad = None
    if not fits or not bool(torch.isfinite(_one_vector(parameters)).all()):
        with torch.no_grad():
            for parameter, old in zip(parameters, before.split([each.numel() for each in parameters]), strict=True):
                parameter.copy_(old.view_as(parameter))
        raise diverged("update", place)
    return norm


def _one_vector(parameters: list[nn.Parameter]) -> Tensor:
    """A copy of all numbers of the parameters: one pass over small tensors instead of one for each of them."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in parameters])


def diverged(what: str, place: str, advice: str = ADVICE) -> DivergenceError:
    """The error for ``what`` (loss, gradient or update), which stopped being finite at ``place``, in one sentence."""
    return DivergenceError(
        f"training diverged: the {what} stopped being finite at {place}; the parameters are those before it{advice}"
    )


def pack(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's memory as named tensors, ``<parameter number>.<quantity>``. None leaves no entry."""
    packed = {}
    for number, quantities in optimizer.state_dict()["state"].items():
        for name, value in quantities.items():
            if value is not None:
                packed[f"{number}.{name}"] = value if isinstance(value, Tensor) else torch.tensor(value, device="cpu")
    return packed


def unpack(optimizer: torch.optim.Optimizer, packed: Mapping[str, Tensor]) -> None:
    """Give a fresh optimiser the memory that ``pack`` took. CheckpointError if a name has another form."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in packed.items():
        number, _, name = key.partition(".")
        if not number.isdigit() or not name:
            raise CheckpointError(f"the optimiser's state has an entry {key!r}; expected <number>.<quantity>")
        state.setdefault(int(number), {})[name] = value
    document = optimizer.state_dict()
    document["state"] = state
    optimizer.load_state_dict(document)
