"""What a learner takes over from a state_dict, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longlag import CellSpec, Growth, OnlineLSTM
from longlag.errors import InputError
from online.nets import same_state


def test_a_state_of_another_net_is_refused_and_changes_nothing(backend):
    net, other = OnlineLSTM(3, 2, blocks=2, backend=backend), OnlineLSTM(3, 2, blocks=3, backend=backend)
    before = net.state_dict()
    for state in (other.state_dict(), {}, before | {"more": torch.zeros(1)}):
        with pytest.raises(InputError):
            net.load_state_dict(state)
        assert same_state(before, net.state_dict())


WRONG = {
    "generator too short": (
        "generator",
        torch.zeros(5, dtype=torch.int64),
        r"generator is torch.int64 of shape \(5,\)",
    ),
    "generator of floats": ("generator", torch.zeros(6), "generator is torch.float32"),
    "generator of nothing": ("generator", None, "generator is NoneType; expected torch.int64"),
    "generator no state": ("generator", torch.full((6,), 7), "generator ends in"),
    "growth too short": ("growth", torch.zeros(2, dtype=torch.float64), r"growth has shape \(2,\); expected \(3,\)"),
    "growth below zero": ("growth", torch.tensor([0.0, -1.0, 0.0]), "growth is"),
    "growth nan": ("growth", torch.tensor([0.0, 1.0, np.nan]), "growth is"),
    "array": ("weight_ih", np.zeros((6, 3)), "weight_ih is a ndarray; expected a tensor"),
    "list": ("weight_ih", [1.0], "weight_ih is a list; expected a tensor"),
    "none": ("state.cells", None, "state.cells is a NoneType; expected a tensor"),
    "no list of weights": ("readout.weight", torch.tensor(1.0), r"readout.weight has shape \(\); expected"),
    "no tensor of weights": ("readout.weight", [1.0], "readout.weight is a list"),
    "odd width": ("readout.weight", torch.zeros(2, 3), r"readout.weight has shape \(2, 3\); expected \(2, 4\)"),
    "complex": ("weight_hh", "complex", "weight_hh is of torch.complex64; expected a type of floating point numbers"),
    "whole": ("weight_hh", "whole", "weight_hh is of torch.int64"),
    "nan": ("weight_hh", "nan", "weight_hh has a NaN or infinite value"),
    "too large": ("weight_hh", "large", "weight_hh has a NaN or infinite value; expected finite numbers of float32"),
    "waiting nan": ("waiting.weight_hh", "nan", "waiting.weight_hh has a NaN"),
    "unknown": ("weight_xx", torch.zeros(1), "the state has 'weight_xx', which this learner has not"),
}
KINDS = {
    "complex": lambda value: value.to(torch.complex64),
    "whole": lambda value: value.to(torch.int64),
    "nan": lambda value: torch.full_like(value, float("nan")),
    "large": lambda value: torch.full_like(value, 1e300, dtype=torch.float64),
}


def learner(backend, **options):
    net = OnlineLSTM(
        3,
        2,
        blocks=2,
        cell=CellSpec.hochreiter1997(cells_per_block=2),
        update="sequence",
        growth=Growth(max_blocks=3),
        backend=backend,
        **options,
    )
    net.learn_many(np.ones((4, 3)), np.ones((4, 2)))
    return net


@pytest.mark.parametrize(("name", "value", "said"), WRONG.values(), ids=WRONG)
def test_a_state_with_a_wrong_part_is_refused_and_changes_nothing(name, value, said, backend):
    net = learner(backend)
    before, state = net.state_dict(), learner(backend, seed=1).state_dict()
    state[name] = KINDS[value](state[name]) if isinstance(value, str) else value
    with pytest.raises(InputError, match=said) as refused:
        net.load_state_dict(state)
    assert "\n" not in str(refused.value)
    assert same_state(before, net.state_dict())


@pytest.mark.parametrize("name", ["state.traces", "state.output", "waiting.bias", "readout.bias"])
def test_a_state_that_misses_a_part_is_refused_and_changes_nothing(name, backend):
    net = learner(backend)
    before, state = net.state_dict(), learner(backend, seed=1).state_dict()
    del state[name]
    with pytest.raises(InputError, match=f"no {name!r}"):
        net.load_state_dict(state)
    assert same_state(before, net.state_dict())


@pytest.mark.parametrize("state", [None, [1], "state"])
def test_what_is_no_state_is_refused(state, backend):
    with pytest.raises(InputError, match=r"the state is a \w+; expected a state_dict"):
        OnlineLSTM(3, 2, backend=backend).load_state_dict(state)


def test_a_state_with_more_blocks_than_growth_allows_is_refused_and_changes_nothing(backend):
    wide = OnlineLSTM(3, 2, blocks=5, growth=Growth(max_blocks=5), backend=backend)
    net = OnlineLSTM(3, 2, blocks=1, growth=Growth(max_blocks=3), backend=backend)
    before = net.state_dict()
    with pytest.raises(InputError, match=r"the state has 5 blocks; expected at most growth\.max_blocks, 3"):
        net.load_state_dict(wide.state_dict())
    assert same_state(before, net.state_dict())


def test_weights_alone_start_a_new_sequence(backend):
    net, other = learner(backend), learner(backend, seed=1)
    other.load_state_dict(
        {name: value for name, value in net.state_dict().items() if name in net.topology.weight_shapes}
    )
    after = other.state_dict()
    assert same_state(
        {name: after[name] for name in net.topology.weight_shapes},
        {name: net.state_dict()[name] for name in net.topology.weight_shapes},
    )
    assert not any(value.any() for name, value in after.items() if name.startswith(("state.", "waiting.")))


def test_a_state_of_another_floating_type_is_taken_over(backend):
    net, other = learner(backend), learner(backend, seed=1)
    state = net.state_dict()
    state["weight_ih"] = state["weight_ih"].bfloat16().requires_grad_()
    assert torch.equal(other.load_state_dict(state).state_dict()["weight_ih"], state["weight_ih"].float().detach())
