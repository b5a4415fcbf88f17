"""The chain-rule trace of the training-loop text (reference 002), number by number, through the public LSTM.

One cell, one feature, no biases; gate weights ``RandomState(42).randn(4, 2) * 0.1``, rows f, i, candidate, o, columns
[h, x]; ten prices, normalised with their population deviation. The trace is that of the third day: x is price 3, the
target price 4, and the state of the day before counts as a constant.

All figures of the text are right to the digits it prints, but one: for dh/dC it prints "0.4903 x (1 - 0.0161^2),
about 0.4900". That is 0.4902, and only with 0.4902 does the text's own next line come out: 1.9068 x 0.4902 = 0.9347.
Its figures are those of unrounded intermediate values: 0.0048 x (-0.5253) would be -0.00252, not -0.00251.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from longlag import LSTM, Network, SequenceBatch
from longlag.gradients import TruncatedBPTT
from longlag.nn import MeanSquaredError

PRICES = np.array([100, 102, 105, 103, 108, 110, 107, 112, 115, 113], dtype=float)
DAY = 2  # t = 2: the third day


def normalised() -> Tensor:
    return torch.from_numpy((PRICES - PRICES.mean()) / PRICES.std())


def one_cell() -> LSTM:
    """The text's rows f, i, C, o in torch's order i, f, g, o; its columns h, x in two matrices."""
    rows = torch.from_numpy(np.random.RandomState(42).randn(4, 2) * 0.1)[[1, 0, 2, 3]]
    lstm = LSTM(1, 1, dtype=torch.float64)
    with torch.no_grad():
        lstm.weight_hh_l0.copy_(rows[:, :1])
        lstm.weight_ih_l0.copy_(rows[:, 1:])
        lstm.bias_ih_l0.zero_()
        lstm.bias_hh_l0.zero_()
    return lstm


class Trace:
    """The third day: its input, the state it starts from, its gates by the layer's own weights, and what comes out."""

    def __init__(self) -> None:
        self.lstm, prices = one_cell(), normalised()
        self.x, self.y = prices[DAY], prices[DAY + 1]
        with torch.no_grad():
            _, (h, c) = self.lstm(prices[:DAY, None])
        self.h_before, self.c_before = h.requires_grad_(), c.requires_grad_()
        net = self.lstm.weight_ih_l0 * self.x + self.lstm.weight_hh_l0 * h
        self.i, self.f, _, self.o = torch.sigmoid(net.detach()).flatten()
        output, (_, self.c) = self.lstm(self.x.view(1, 1), (h, c))
        self.prediction = output.squeeze()
        loss = (self.prediction - self.y) ** 2
        wanted = (self.prediction, self.c, self.lstm.weight_hh_l0, self.lstm.weight_ih_l0, self.c_before, self.lstm.bias_ih_l0)
        found = torch.autograd.grad(loss, wanted)
        self.d_prediction, _, d_hh, d_ih, self.d_c_before, d_bias = found
        self.d_forget_weights = torch.stack([d_hh[1, 0], d_ih[1, 0]])
        self.d_forget_net = d_bias[1]


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace()


def printed(value: Tensor | float, digits: int) -> str:
    return f"{float(value):.{digits}f}"
