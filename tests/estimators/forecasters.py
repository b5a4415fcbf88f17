"""Series and options of the forecaster's tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from longlag.estimators import LSTMForecaster
from longlag.forecasting import combination
from longlag.forecasting.simple import SIMPLE

Array = NDArray[np.float64]

COSTLY = ("Theta", "smoothing", "autoregression")
"""Simple methods that take most of a small fit."""

_ROUNDS = 50
"""Of the search for the weights of the methods, which a backtest does at every origin; there are 400."""

QUICK: dict[str, Any] = {
    "horizon": 4,
    "season": 1,
    "lags": 3,
    "n_networks": 1,
    "hidden_size": 4,
    "max_epochs": 2,
    "random_state": 0,
}


def make_cheap(patch: pytest.MonkeyPatch, left_out: Sequence[str] = COSTLY) -> None:
    """Leave out costly methods, and most rounds of the search for weights."""
    for name in left_out:
        patch.delitem(SIMPLE, name)
    patch.setattr(combination, "_ROUNDS", _ROUNDS)


def autoregressive(steps: int, seed: int = 1) -> Array:
    """AR(2) with coefficients 1.2 and -0.5 and unit noise."""
    noise = np.random.default_rng(seed).normal(size=steps + 100)
    values = np.zeros(steps + 100)
    for step in range(2, steps + 100):
        values[step] = 1.2 * values[step - 1] - 0.5 * values[step - 2] + noise[step]
    return values[100:]


SERIES = autoregressive(90)


def spoiled(value: object, step: int = 17) -> Array:
    """The series with another value at a step."""
    values = SERIES.copy()
    values[step] = value
    return values


def weights(model: LSTMForecaster) -> dict[str, torch.Tensor]:
    """Weights of all networks by name."""
    return {
        f"{number}.{name}": value.clone()
        for number, network in enumerate(model.networks_)
        for name, value in network.state_dict().items()
    }


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two dicts of weights have the same names and bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
