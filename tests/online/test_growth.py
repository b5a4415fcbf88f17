"""Learners that grow block by block."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from longlag import CellSpec, Growth, OnlineLSTM
from longlag.errors import InputError
from online.nets import same_state


def test_a_block_is_added_when_the_error_stops_decreasing(backend):
    growth = Growth(max_blocks=2, window=20, least_gain=0.1)
    net = OnlineLSTM(1, 1, blocks=0, reads="cells+inputs", growth=growth, learning_rate=0.05, backend=backend)
    rng = np.random.default_rng(0)
    for _ in range(300):  # noise around 0.5, which nothing can learn to predict
        net.predict_one([1.0])
        net.learn_one([1.0], [rng.choice([0.4, 0.6])])
    assert net.blocks == 2
    assert abs(float(net.predict_one([1.0])[0]) - 0.5) < 0.1
    other = OnlineLSTM(1, 1, blocks=0, reads="cells+inputs", growth=growth, learning_rate=0.05, backend=backend)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.predict_one([0.3]), net.predict_one([0.3]))


def grows(backend, **options):
    """One that stops learning soon, and so grows soon."""
    growth = Growth(max_blocks=3, window=20, least_gain=0.5)
    return OnlineLSTM(2, 1, blocks=1, growth=growth, learning_rate=0.01, backend=backend, **options)


@pytest.mark.parametrize("update", ["step", "sequence"])
def test_many_steps_in_one_call_grow_where_single_steps_do(update, backend):
    rng = np.random.default_rng(7)
    x, y = rng.uniform(-1, 1, (130, 2)), rng.uniform(-1, 1, (130, 1))
    one, many = (grows(backend, update=update, dtype=torch.float64) for _ in range(2))
    sizes = []
    for row, goal in zip(x, y, strict=True):
        one.predict_one(row)
        one.learn_one(row, goal)
        sizes.append(one.blocks)
    many.learn_many(x[:7], y[:7]), many.learn_many(x[7:30], y[7:30]), many.learn_many(x[30:], y[30:])
    assert sizes[0] == 1
    assert one.blocks == many.blocks == 3
    for name, value in one.state_dict().items():
        torch.testing.assert_close(many.state_dict()[name], value, rtol=1e-9, atol=1e-11)


def test_reading_on_never_grows(backend):
    net = grows(backend)
    net.learn_many(np.ones((200, 2)))
    assert net.blocks == 1
    assert net.state_dict()["growth"].tolist() == [0.0, 0.0, np.inf]


def test_no_block_is_added_beyond_the_largest_number_even_by_hand(backend):
    net = grows(backend).add_block().add_block()
    before = net.state_dict()
    with pytest.raises(InputError, match="there are 3 blocks"):
        net.add_block()
    assert same_state(before, net.state_dict())


def test_the_forget_gate_of_an_added_block_starts_at_one(backend):
    net = OnlineLSTM(3, 2, blocks=2, cell=CellSpec.gers2000(), forget_gate_bias=[2.0, 3.0], backend=backend).add_block()
    assert net.state_dict()["bias"][net.cell.rows(3)["f"]].tolist() == [2.0, 3.0, 1.0]


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
def test_a_copy_draws_and_counts_for_itself(twin, backend):
    net = grows(backend)
    net.learn_many(np.ones((5, 2)), np.ones(5))
    before, other = net.state_dict(), twin(net)
    other.add_block()
    other.learn_many(np.ones((5, 2)), np.ones(5))
    assert same_state(before, net.state_dict())
    assert other.state_dict()["growth"][1] == 10


@pytest.mark.parametrize(
    "options",
    [
        {"max_blocks": 0},
        {"max_blocks": 2.0},
        {"window": "a"},
        {"least_gain": "a"},
        {"least_gain": None},
        {"least_gain": 1},
    ],
)
def test_a_growth_that_means_nothing_is_refused(options):
    with pytest.raises(InputError, match=f"{next(iter(options))} is .*; expected"):
        Growth(**{"max_blocks": 2} | options)
