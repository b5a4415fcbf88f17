"""The network: quantiles in order for any weights, any cell, and any step ahead."""

import numpy as np
import pytest
import torch

from longlag.cell import CellSpec
from longlag.pretrained.features import past_of, queries
from longlag.pretrained.network import LEVELS, ZeroShotNetwork


def answers(network, horizon=6, seasons=(4, 4)):
    past = past_of(np.cumsum(np.random.default_rng(0).standard_normal((5, 40)), axis=1), seasons)
    rows, steps = np.arange(5), np.full(5, 39)
    questions, bases = (torch.from_numpy(one) for one in queries(past, rows, steps, horizon))
    states = network.read(torch.from_numpy(past.inputs.transpose(1, 0, 2).copy()))[steps, rows]
    return network(states, questions, bases)


@pytest.mark.parametrize("cell", [None, CellSpec(coupled_gates=True), CellSpec(peepholes=True)])
def test_quantiles_do_not_cross_whatever_the_weights(cell):
    torch.manual_seed(0)
    network = ZeroShotNetwork(6, 2, 5, cell=cell).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=2.0)
    quantiles = answers(network)
    assert quantiles.shape == (5, 6, len(LEVELS))
    assert (quantiles.diff(dim=-1) >= 0).all()


def test_what_is_answered_for_a_step_does_not_depend_on_how_many_are_asked_for():
    torch.manual_seed(0)
    network = ZeroShotNetwork(6, 2, 5).double()
    torch.testing.assert_close(answers(network, 3), answers(network, 30)[:, :3], rtol=1e-12, atol=1e-12)


def test_every_weight_has_a_part_in_the_answers():
    torch.manual_seed(0)
    network = ZeroShotNetwork(6, 2, 5).double()
    answers(network).sin().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
