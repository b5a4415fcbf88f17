"""torch.optim's optimisers, by name: one checked step, and their state as tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from longlag.errors import CheckpointError, DivergenceError
from longlag.gradients import Gradient
from longlag.training.config import TrainingConfig

__all__ = ["ADVICE", "diverged", "make", "pack", "step", "unpack"]

ADVICE = "; a smaller learning rate or clip_norm may help"
"""Against divergence."""


def make(config: TrainingConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """torch.optim's optimiser of that name, ``config`` resolved. Its learning rate is set at every epoch."""
    decay = config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=1.0, weight_decay=decay)
    if config.optimizer == "momentum":
        assert config.momentum is not None
        return torch.optim.SGD(parameters, lr=1.0, momentum=config.momentum, weight_decay=decay)
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, weight_decay=decay)
    return torch.optim.AdamW(parameters, weight_decay=decay)


def step(
    optimizer: torch.optim.Optimizer, value: Tensor, gradient: Gradient, config: TrainingConfig, place: str
) -> float:
    """Clip, check, update. Whatever is not finite is never committed to the parameters. Returns the gradient's norm."""
    parameters: list[nn.Parameter] = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part) for part in gradient])))
    if not math.isfinite(float(value)) or not math.isfinite(norm):
        raise diverged("gradient" if math.isfinite(float(value)) else "loss", place)
    for parameter, part in zip(parameters, gradient, strict=True):
        parameter.grad = (
            part.clone() if config.clip_value is None else part.clamp(-config.clip_value, config.clip_value)
        )
    if config.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if not all(bool(torch.isfinite(parameter).all()) for parameter in parameters):
        with torch.no_grad():
            for parameter, kept in zip(parameters, before, strict=True):
                parameter.copy_(kept)
        raise diverged("update", place)
    return norm


def diverged(what: str, place: str, advice: str = ADVICE) -> DivergenceError:
    """The error for ``what`` is not finite at ``place``, in one sentence."""
    return DivergenceError(
        f"training diverged: the {what} stopped being finite at {place}; the parameters are those before it{advice}"
    )


def pack(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's memory as named tensors, ``<parameter number>.<quantity>``; None stays away."""
    packed = {}
    for number, quantities in optimizer.state_dict()["state"].items():
        for name, value in quantities.items():
            if value is not None:
                packed[f"{number}.{name}"] = value if isinstance(value, Tensor) else torch.tensor(value)
    return packed


def unpack(optimizer: torch.optim.Optimizer, packed: Mapping[str, Tensor]) -> None:
    """Give a fresh optimiser the memory that ``pack`` took."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in packed.items():
        number, _, name = key.partition(".")
        if not number.isdigit() or not name:
            raise CheckpointError(f"the optimiser's state has an entry {key!r}; expected <number>.<quantity>")
        state.setdefault(int(number), {})[name] = value
    document = optimizer.state_dict()
    document["state"] = state
    optimizer.load_state_dict(document)
