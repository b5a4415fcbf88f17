"""Torch modules: the LSTM layer, networks made of it, losses and initialisations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longlag.lazy import lazy

if TYPE_CHECKING:
    from longlag.nn import init
    from longlag.nn.losses import CrossEntropy, GaussianNLL, Loss, MeanSquaredError, QuantileLoss, SquaredError
    from longlag.nn.lstm import LSTM
    from longlag.nn.network import Network
    from longlag.nn.objective import Objective

__all__ = [
    "LSTM",
    "CrossEntropy",
    "GaussianNLL",
    "Loss",
    "MeanSquaredError",
    "Network",
    "Objective",
    "QuantileLoss",
    "SquaredError",
    "init",
]

# Sizes of layers are plain data, and can be had without PyTorch, whose import takes seconds.
__getattr__ = lazy(
    __name__,
    {
        "LSTM": "lstm",
        "CrossEntropy": "losses",
        "GaussianNLL": "losses",
        "Loss": "losses",
        "MeanSquaredError": "losses",
        "Network": "network",
        "Objective": "objective",
        "QuantileLoss": "losses",
        "SquaredError": "losses",
    },
)
