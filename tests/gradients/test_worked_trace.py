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

from equivalence.engines import BACKENDS
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


def printed(value: Tensor | float, digits: int) -> str:
    return f"{torch.as_tensor(value).detach().item():.{digits}f}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_forward_figures_of_the_third_day_are_the_texts(backend: str) -> None:
    lstm, prices = one_cell(), normalised()
    lstm.backend = backend
    with torch.no_grad():
        _, (h_before, c_before) = lstm(prices[:DAY, None])
        output, (_, c) = lstm(prices[DAY].view(1, 1), (h_before, c_before))
    assert printed(prices[DAY], 4) == "-0.5253"  # "x_2"
    assert printed(prices[DAY + 1], 4) == "-0.9455"  # y
    assert printed(h_before, 4) == "0.0098"  # "h_2": what enters the step
    assert printed(c_before, 4) == "0.0204"  # C_{t-1}
    assert printed(c, 4) == printed(c.tanh(), 4) == "0.0161"
    assert printed(output, 4) == "0.0079"  # pred


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_chain_rule_gives_the_texts_figures_and_one_that_it_misprints(backend: str) -> None:
    lstm, prices = one_cell(), normalised()
    lstm.backend = backend
    with torch.no_grad():
        _, (h_before, c_before) = lstm(prices[:DAY, None])
    c_before.requires_grad_()
    output, _ = lstm(prices[DAY].view(1, 1), (h_before, c_before))
    loss = (output - prices[DAY + 1]).square().sum()
    wanted = [output, c_before, lstm.weight_hh_l0, lstm.weight_ih_l0, lstm.bias_ih_l0]
    d_output, d_c_before, d_recurrent, d_input, d_net = torch.autograd.grad(loss, wanted)

    rows = lstm.cell.rows(1)
    net = lstm.weight_ih_l0 * prices[DAY] + lstm.weight_hh_l0 * h_before
    gates = torch.sigmoid(net).detach().squeeze()
    f, o = gates[rows["f"]], gates[rows["o"]]
    assert printed(f, 4) == "0.5019"
    assert printed(o, 4) == "0.4903"
    assert printed(d_output, 4) == "1.9068"  # 2 (pred - y)
    d_c = d_c_before / f  # no peepholes: C_{t-1} acts through f C_{t-1} alone
    assert printed(d_c / d_output, 4) == "0.4902"  # the text: 0.4900, see above
    assert printed(d_c, 4) == "0.9347"
    assert printed(d_net[rows["f"]] / (f * (1 - f)), 4) == "0.0191"  # dL/df
    assert printed(f * (1 - f), 4) == "0.2500"
    assert printed(d_net[rows["f"]], 4) == "0.0048"  # dL/dz_f
    d_h, d_x = d_recurrent[rows["f"]], d_input[rows["f"]]
    assert printed(d_h, 7) == "0.0000467"
    assert printed(d_x, 6) == "-0.002510"
    assert printed(lstm.weight_hh_l0[rows["f"]], 6) == "0.049671"
    assert printed(lstm.weight_ih_l0[rows["f"]], 6) == "-0.013826"
    assert printed(lstm.weight_hh_l0[rows["f"]] - 0.01 * d_h, 6) == "0.049671"
    assert printed(lstm.weight_ih_l0[rows["f"]] - 0.01 * d_x, 6) == "-0.013801"


def text_network() -> tuple[Network, SequenceBatch]:
    """The text's prediction is h itself: an output unit of weight 1. Nine steps, each with the next price as target."""
    network, prices = Network(one_cell(), 1, bias=False), normalised()
    torch.nn.init.ones_(network.readout.weight)
    return network, SequenceBatch.every_step([prices[:-1, None]], [prices[1:, None]])


def test_the_trace_is_the_third_window_of_truncated_bptt_one_step_at_a_time() -> None:
    network, batch = text_network()
    names = [name for name, _ in network.named_parameters()]
    _, gradient = list(TruncatedBPTT(1, 1).windows(network, MeanSquaredError("sum"), batch))[DAY]
    found, forget = dict(zip(names, gradient, strict=True)), network.lstm.cell.rows(1)["f"]
    assert printed(found["lstm.weight_hh_l0"][forget], 7) == "0.0000467"
    assert printed(found["lstm.weight_ih_l0"][forget], 6) == "-0.002510"


def test_through_the_steps_before_as_well_the_derivative_is_another() -> None:
    """The text's figures are the share of one step, as it says itself; the whole derivative is larger."""
    lstm, prices = one_cell(), normalised()
    output, _ = lstm(prices[: DAY + 1, None])
    loss = (output[DAY] - prices[DAY + 1]).square().sum()
    forget = lstm.cell.rows(1)["f"]
    d_h, d_x = (part[forget] for part in torch.autograd.grad(loss, [lstm.weight_hh_l0, lstm.weight_ih_l0]))
    assert printed(d_h, 7) == "0.0000611"
    assert printed(d_x, 6) == "-0.004691"


def test_the_texts_loop_has_its_mean_squared_error() -> None:
    network, batch = text_network()
    outputs, _ = network.respond(batch)
    assert printed(MeanSquaredError()(outputs, batch), 4) == "0.8451"


def test_the_texts_two_decays_over_five_steps() -> None:
    """The cell-state path at f = 0.9 against a factor of 0.7: a layer whose forget gate stands at 0.9 for good."""
    lstm = one_cell()
    torch.nn.init.zeros_(lstm.weight_hh_l0)
    torch.nn.init.zeros_(lstm.weight_ih_l0)
    for factor, after_five in ((0.9, "0.5905"), (0.7, "0.1681")):
        with torch.no_grad():
            lstm.bias_ih_l0[lstm.cell.rows(1)["f"]] = np.log(factor / (1 - factor))
        start = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
        _, (_, c) = lstm(torch.zeros(5, 1, dtype=torch.float64), start)
        assert printed(torch.autograd.grad(c.sum(), start[1])[0], 4) == after_five
