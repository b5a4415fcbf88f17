"""The first-order optimisers, by name, and their state as tensors and plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from longlag.errors import CheckpointError
from longlag.training.config import TrainingConfig

__all__ = ["make", "pack", "unpack"]


def make(config: TrainingConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """torch.optim's optimiser of that name. Its learning rate is set by the loop at every epoch."""
    decay = config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=1.0, weight_decay=decay)
    if config.optimizer == "momentum":
        return torch.optim.SGD(parameters, lr=1.0, momentum=config.momentum, weight_decay=decay)
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, weight_decay=decay)
    return torch.optim.AdamW(parameters, weight_decay=decay)


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
