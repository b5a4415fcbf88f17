"""Torch modules: the LSTM layer, networks made of it, losses and initialisations."""

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
