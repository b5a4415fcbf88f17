"""What the tests of several methods do alike: where they start, when they end, and how they go on from a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from longlag.optim import Tolerances
from longlag.optim.minimise import M, Method
from optim.problems import Smooth, log_barrier

# Below that, values near 20 no longer tell two points apart.
CLOSE = Tolerances(gradient=1e-6, change=0.0)


def start(size: int = 4) -> Tensor:
    return torch.full((size,), -1.2, dtype=torch.float64)


def through_a_file(document: dict[str, Any]) -> Any:
    """What comes back of it, loaded as nothing but tensors and plain values."""
    with io.BytesIO() as file:
        torch.save(document, file)
        file.seek(0)
        return torch.load(file, weights_only=True)


def with_and_without_a_file(method: Method[M], function: Smooth, theta: Tensor, steps: int) -> tuple[M, M]:
    """The states after ``steps`` iterations and as many again: of one run, and of one loaded half way."""
    state = method.start(function, theta)
    for _ in range(steps):
        method.step(function, state)
    again = type(state)(**through_a_file(vars(state)))
    for each in (state, again):
        for _ in range(steps):
            method.step(function, each)
    return state, again


def five_steps_into_the_barrier(made: Callable[[list[Tensor]], Any]) -> Tensor:
    """Where one of PyTorch's kind gets to from 4."""
    theta = torch.tensor([4.0], dtype=torch.float64, requires_grad=True)
    optimizer = made([theta])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = log_barrier(theta)
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    return theta.detach()
