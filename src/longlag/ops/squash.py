"""The squashing functions g and h, and their derivatives written in terms of their own value."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from longlag.cell import Squash

__all__ = ["SLOPE", "SQUASH"]


def _identity(x: Tensor) -> Tensor:
    return x


def _logistic_pm1(x: Tensor) -> Tensor:
    """Return 2 sigma(x) - 1 (eq. A.2), written as tanh(x / 2), which keeps small values exact."""
    return torch.tanh(0.5 * x)


def _logistic_pm2(x: Tensor) -> Tensor:
    """Return 4 sigma(x) - 2 (eq. A.3)."""
    return 2.0 * torch.tanh(0.5 * x)


SQUASH: dict[Squash, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "logistic_pm1": _logistic_pm1,
    "logistic_pm2": _logistic_pm2,
    "identity": _identity,
}

# y = squash(x)  ->  dy/dx as a function of y
SLOPE: dict[Squash, Callable[[Tensor], Tensor]] = {
    "tanh": lambda y: 1.0 - y * y,
    "logistic": lambda y: y * (1.0 - y),
    "logistic_pm1": lambda y: 0.5 * (1.0 - y * y),
    "logistic_pm2": lambda y: 1.0 - 0.25 * y * y,
    "identity": torch.ones_like,
}
