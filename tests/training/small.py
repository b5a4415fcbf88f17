"""Small networks and data for the tests of batch methods."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from longlag import LSTM, Network, SequenceBatch
from longlag.optim import Method
from longlag.optimizers import build, names
from longlag.training import TrainingConfig

METHODS: dict[str, Method[Any]] = {name: build(name) for name in names(methods=True)}
LENGTHS = (4, 2, 6, 3, 5)


def made(outputs: int = 1, dtype: torch.dtype = torch.float64, **options: Any) -> Network:
    torch.manual_seed(0)
    return Network(LSTM(2, 3, dtype=dtype, **options), outputs)


def inputs(seed: int, dtype: torch.dtype, lengths: tuple[int, ...] = LENGTHS) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(steps, 2, dtype=dtype, generator=generator) for steps in lengths]


def samples(seed: int = 1, dtype: torch.dtype = torch.float64, lengths: tuple[int, ...] = LENGTHS) -> SequenceBatch:
    """An answer at the end of each sequence: then a dense matrix costs little."""
    targets = torch.randn(len(lengths), 1, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return SequenceBatch.last_step(inputs(seed + 1, dtype, lengths), targets)


def flat(network: Network) -> Tensor:
    """Its weights, laid end to end."""
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def config(name: Any, **options: Any) -> TrainingConfig:
    return TrainingConfig(optimizer=name, **{"max_epochs": 5, **options})
