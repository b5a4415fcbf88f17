"""What a learner may be told, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longlag import Growth, OnlineLSTM
from longlag.errors import InputError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"blocks": -1}, "blocks is -1"),
        ({"blocks": 0}, "no hidden unit"),
        ({"blocks": 2**40}, "hidden_size is 1099511627776 with .* expected at most 1099511627776 weights"),
        ({"blocks": 2**2000}, "expected at most 1099511627776 weights"),
        ({"networks": 0}, "networks is 0"),
        ({"update": "epoch"}, "update is 'epoch'"),
        ({"dtype": torch.float16}, "float16"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"loss": "cross_entropy", "output_activation": "tanh"}, "cross_entropy"),
        ({"output_activation": "relu"}, "output_activation"),
        ({"input_gate_bias": [1.0, 2.0]}, "2 values; expected one for each of 1"),
        ({"forget_gate_bias": [1.0]}, "no forget gate"),
        ({"growth": Growth(max_blocks=2), "networks": 2}, "growth needs"),
        ({"growth": 3}, "growth is 3; expected Growth"),
        ({"interval": -0.1}, "interval"),
        ({"interval": "a"}, "interval is 'a'; expected a number of at least 0"),
        ({"interval": None}, "interval is None"),
        ({"learning_rate": "a"}, "learning_rate is 'a'; expected a number of at least 0"),
        ({"learning_rate": None}, "learning_rate is None"),
        ({"learning_rate": [0.1]}, r"learning_rate is \[0.1\]"),
        ({"seed": -1}, "seed is -1; expected a whole number of at least 0"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"input_gate_bias": 1.0}, "input_gate_bias is 1.0; expected finite numbers, one for each of 1 blocks"),
        ({"input_gate_bias": ["a"]}, "input_gate_bias is"),
        ({"output_gate_bias": [float("nan")]}, "output_gate_bias is"),
        ({"input_gate_bias": [[1.0], [1.0, 2.0]]}, "input_gate_bias is"),
        ({"cell": "lstm"}, "cell is 'lstm'; expected a CellSpec"),
        ({"bias": None}, "bias is None; expected True or False"),
        ({"output_bias": 1}, "output_bias is 1; expected True or False"),
        ({"symbols": "no"}, "symbols is 'no'; expected True or False"),
        ({"blocks": 0, "reads": "cells+inputs"}, "blocks is 0 without growth"),
        ({"blocks": 1.0}, "blocks is 1.0; expected a whole number"),
        ({"backend": "cuda"}, "backend is 'cuda'"),
    ],
)
def test_an_option_that_means_nothing_is_refused(options, said):
    with pytest.raises(InputError, match=said) as refused:
        OnlineLSTM(3, 2, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"), [("learning_rate", "a"), ("learning_rate", -1.0), ("update", "nonsense"), ("interval", None)]
)
def test_an_option_that_may_be_set_again_is_refused_where_it_is_set(name, value):
    net = OnlineLSTM(3, 2)
    before = getattr(net, name)
    with pytest.raises(InputError, match=f"{name} is {value!r}"):
        setattr(net, name, value)
    assert getattr(net, name) == before


def test_sizes_may_be_numbers_of_numpy():
    two = np.int64(2)
    net = OnlineLSTM(two, two, blocks=two, networks=two, seed=two, learning_rate=np.float32(0.5))
    same = OnlineLSTM(2, 2, blocks=2, networks=2, seed=2, learning_rate=0.5)
    assert torch.equal(net.state_dict()["weight_hh"], same.state_dict()["weight_hh"])
    assert [type(size) for size in (net.topology.input_size, net.topology.hidden_size, net.networks)] == [int] * 3
    assert OnlineLSTM(2, 2, growth=Growth(max_blocks=two, window=two)).add_block().blocks == 2


def test_gate_biases_are_where_they_were_put():
    net = OnlineLSTM(1, 1, blocks=3, input_gate_bias=[-1, -3, -5], output_gate_bias=[-2, -4, -6])
    bias = net.state_dict()["bias"]
    rows = net.cell.rows(3)
    assert bias[rows["i"]].tolist() == [-1, -3, -5]
    assert bias[rows["o"]].tolist() == [-2, -4, -6]
    assert net.weight_count() == 103  # Table 10, row 3a, and a bias of the output unit
