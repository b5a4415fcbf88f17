"""Initialisations: the interval, the spread, and that a gate's bias opens or shuts that gate and no other."""

from __future__ import annotations

import math

import pytest
import torch

import longlag
from longlag import CellSpec
from longlag.errors import InputError
from longlag.nn import init

BIASES = ("single", "gates", "double")


def layer(cell: CellSpec | None = None, hidden_size: int = 6, **options) -> longlag.LSTM:
    return longlag.LSTM(3, hidden_size, cell=cell, **({"dtype": torch.float64} | options))


def gates_after_one_step(lstm: longlag.LSTM) -> torch.Tensor:
    """(layers * directions, gate units): activations i, f, o when nothing but biases speaks."""
    with torch.no_grad():
        for name, weight in lstm.named_parameters():
            if name.startswith("weight"):
                weight.zero_()
    _, (_, _, gates) = lstm(torch.randn(1, 1, 3, dtype=torch.float64))
    return gates[:, 0]


def logistic(values) -> torch.Tensor:
    return torch.sigmoid(torch.tensor(values, dtype=torch.float64))


# -- uniform -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [CellSpec(), CellSpec(peepholes=True), CellSpec.hochreiter1997()])
def test_uniform_fills_the_interval_of_torch_and_nothing_beyond(cell):
    lstm = layer(cell, hidden_size=64)
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.fill_(9.0)
    init.uniform_(lstm)
    for weight in lstm.parameters():
        assert weight.abs().max() <= 1 / math.sqrt(64)
    everything = torch.cat([weight.detach().flatten() for weight in lstm.parameters()])
    assert everything.abs().max() > 0.99 / math.sqrt(64)
    assert everything.std().item() == pytest.approx(
        1 / math.sqrt(3 * 64), rel=0.03
    )  # U(-a, a) has deviation a / sqrt 3


# -- 1997 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", [0.1, 0.2])
@pytest.mark.parametrize("biases", BIASES)
def test_the_1997_weights_and_biases_fill_their_interval(biases, interval):
    lstm = layer(CellSpec.hochreiter1997(cells_per_block=2, biases=biases), hidden_size=40, num_layers=2)
    init.hochreiter1997_(lstm, interval)
    everything = torch.cat([weight.detach().flatten() for weight in lstm.parameters()])
    assert -interval <= everything.min() < -0.99 * interval
    assert 0.99 * interval < everything.max() <= interval
    for weight in lstm.parameters():
        assert weight.std().item() == pytest.approx(interval / math.sqrt(3), rel=0.2)


def test_the_1997_interval_is_a_tenth_unless_said_otherwise():
    lstm = layer(CellSpec.hochreiter1997(), hidden_size=40)
    init.hochreiter1997_(lstm)
    assert 0.095 < torch.cat([weight.flatten() for weight in lstm.parameters()]).abs().max() <= 0.1


@pytest.mark.parametrize("conventional_units", [0, 2])
@pytest.mark.parametrize("biases", BIASES)
def test_the_1997_gate_biases_open_their_own_gate_block_by_block(biases, conventional_units):
    cell = CellSpec.hochreiter1997(cells_per_block=2, biases=biases, conventional_units=conventional_units)
    lstm = layer(cell, num_layers=2, bidirectional=True)
    init.hochreiter1997_(lstm, 0.0, output_gate_bias=(-2, -4, -6), input_gate_bias=(-1, -3, -5))
    expected = logistic([-1.0, -3.0, -5.0, -2.0, -4.0, -6.0])
    for gates in gates_after_one_step(lstm):
        torch.testing.assert_close(gates, expected, rtol=0, atol=1e-12)
    for name, bias in lstm.named_parameters():
        if name.startswith("bias"):  # nothing else was given a bias
            assert bias.count_nonzero() == (0 if "_hh_" in name else 6)


@pytest.mark.parametrize("biases", BIASES)
def test_a_gate_bias_that_is_not_given_stays_random(biases):
    lstm = layer(CellSpec.hochreiter1997(cells_per_block=2, biases=biases))
    init.hochreiter1997_(lstm, 0.1, output_gate_bias=(-2, -4, -6))
    gates = gates_after_one_step(lstm)[0]
    torch.testing.assert_close(gates[3:], logistic([-2.0, -4.0, -6.0]), rtol=0, atol=1e-12)
    widest = 0.2 if biases == "double" else 0.1  # two biases add up
    assert (gates[:3] >= logistic(-widest)).all()
    assert (gates[:3] <= logistic(widest)).all()
    assert len(gates[:3].unique()) == 3


def test_input_gate_biases_stand_right_beside_forget_gates_too():
    lstm = layer(CellSpec(cells_per_block=3, gate_recurrence=True, biases="gates"))
    init.hochreiter1997_(lstm, 0.0, output_gate_bias=(1, 2), input_gate_bias=(3, 4))
    expected = logistic([3.0, 4.0, 0.0, 0.0, 1.0, 2.0])
    torch.testing.assert_close(gates_after_one_step(lstm)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("cell", "given", "words"),
    [
        (CellSpec(), {"output_gate_bias": (1, 2)}, "2 output gate biases for 6 blocks; expected one per block"),
        (CellSpec(), {"input_gate_bias": [0.0] * 7}, "7 input gate biases for 6 blocks"),
        (CellSpec(cells_per_block=2), {"input_gate_bias": [0.0] * 6}, "6 input gate biases for 3 blocks"),
        (CellSpec(output_gate=False), {"output_gate_bias": [0.0] * 6}, "no output gate of its own"),
        (CellSpec(input_gate=False), {"input_gate_bias": [0.0] * 6}, "no input gate of its own"),
    ],
)
def test_gate_biases_that_do_not_fit_are_refused(cell, given, words):
    with pytest.raises(InputError, match=words):
        init.hochreiter1997_(layer(cell), **given)


def test_gate_biases_of_a_layer_without_biases_are_refused():
    lstm = layer(bias=False)
    with pytest.raises(InputError, match="has no biases"):
        init.hochreiter1997_(lstm, output_gate_bias=[0.0] * 6)
    with pytest.raises(InputError, match="has no biases"):
        init.forget_bias_(lstm)


# -- forget bias ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1.0, -2.5])
@pytest.mark.parametrize("biases", BIASES)
@pytest.mark.parametrize("cells_per_block", [1, 3])
def test_the_forget_bias_is_the_whole_bias_of_every_forget_gate_and_of_nothing_else(cells_per_block, biases, value):
    cell = CellSpec(cells_per_block=cells_per_block, biases=biases, gate_recurrence=True)
    lstm = layer(cell, num_layers=2, bidirectional=True)
    before = {name: weight.detach().clone() for name, weight in lstm.named_parameters()}
    init.forget_bias_(lstm, value)
    blocks = 6 // cells_per_block
    for name, weight in lstm.named_parameters():
        changed = (weight != before[name]).nonzero().flatten().tolist()
        assert changed == ([] if name.startswith("weight") else list(range(blocks, 2 * blocks))), name
    gates = gates_after_one_step(lstm)
    assert gates.shape[0] == 4  # two layers, two directions
    torch.testing.assert_close(gates[:, blocks : 2 * blocks], logistic([[value] * blocks] * 4), rtol=0, atol=1e-12)


def test_a_state_of_torchs_cell_survives_by_the_forget_bias():
    lstm = layer()
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.zero_()
    init.forget_bias_(lstm)  # 1 is the usual choice
    one = torch.ones(1, 1, 6, dtype=torch.float64)
    _, (_, cells) = lstm(torch.randn(4, 1, 3, dtype=torch.float64), (one, one))
    torch.testing.assert_close(cells, one * logistic(1.0) ** 4, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", [CellSpec.hochreiter1997(), CellSpec.coupled()])
def test_a_cell_without_forget_gates_of_its_own_has_no_forget_bias(cell):
    with pytest.raises(InputError, match="no forget gate of its own"):
        init.forget_bias_(layer(cell))


# -- shut input gates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharpness", [1.0, 2.0, 3.75])
@pytest.mark.parametrize("biases", BIASES)
@pytest.mark.parametrize("forget_gate", [True, False])
def test_shut_input_gates_let_in_sigma_of_the_net_input_whatever_their_slope(forget_gate, biases, sharpness):
    cell = CellSpec(
        forget_gate=forget_gate, cells_per_block=2, biases=biases, gate_recurrence=True, sharpness=sharpness
    )
    lstm = layer(cell, num_layers=2, bidirectional=True)
    before = {name: weight.detach().clone() for name, weight in lstm.named_parameters()}
    init.shut_(lstm)
    for name, weight in lstm.named_parameters():
        changed = (weight != before[name]).nonzero().flatten().tolist()
        assert changed == ([] if name.startswith("weight") else [0, 1, 2]), name
    gates = gates_after_one_step(lstm)
    torch.testing.assert_close(gates[:, :3], logistic([[-4.0] * 3] * 4), rtol=0, atol=1e-12)


def test_a_cell_without_input_gates_has_none_to_shut():
    with pytest.raises(InputError, match="no input gate of its own"):
        init.shut_(layer(CellSpec(input_gate=False)))


# -- sparse --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [CellSpec(), CellSpec.batch2013(), CellSpec.hochreiter1997(conventional_units=2)])
@pytest.mark.parametrize("connections", [1, 7, 15])
def test_each_unit_gets_that_many_connections_from_inputs_and_recurrence_together(connections, cell):
    lstm = layer(cell, hidden_size=20, num_layers=2, bidirectional=True)
    init.sparse_(lstm, connections)
    for weights in lstm.layer_parameters():
        joined = torch.cat([weights["weight_ih"], weights["weight_hh"]], dim=1)
        assert joined.count_nonzero(dim=1).tolist() == [connections] * len(joined)
        for name, weight in weights.items():
            if name.startswith("bias"):
                assert weight.count_nonzero() == 0
            if name == "weight_peephole":
                assert weight.count_nonzero(dim=1).tolist() == [connections] * len(weight)


def test_a_unit_with_fewer_sources_than_connections_uses_them_all():
    lstm = layer(CellSpec(recurrence=False), hidden_size=5, num_layers=2, proj_size=2)
    init.sparse_(lstm, 15)
    for weights in lstm.layer_parameters():
        assert weights["weight_hh"].numel() == 0
        assert weights["weight_ih"].count_nonzero() == weights["weight_ih"].numel()
        assert weights["weight_hr"].count_nonzero() == weights["weight_hr"].numel()


@pytest.mark.parametrize("std", [1.0, 0.25])
def test_sparse_weights_are_normal_and_the_choice_prefers_no_source(std):
    lstm = layer(hidden_size=60)  # 240 units choose 21 of 63 sources each: 5040 weights
    init.sparse_(lstm, 21, std)
    joined = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], dim=1)
    values = joined[joined != 0]
    # four standard deviations of each estimate
    assert values.mean().abs().item() < 4 * std / math.sqrt(5040)
    assert values.std().item() == pytest.approx(std, rel=4 / math.sqrt(2 * 5040))
    assert values.pow(4).mean().item() / std**4 == pytest.approx(3.0, abs=4 * math.sqrt(96 / 5040))
    used = joined.count_nonzero(dim=0).double()  # of each source, by 240 units with chance 1/3
    assert (used - 80).abs().max() < 4 * math.sqrt(240 * (1 / 3) * (2 / 3))
    chosen = (joined != 0).long()
    assert len(chosen.unique(dim=0)) == 240  # every unit chooses for itself


def test_sparse_weights_repeat_with_the_seed():
    lstm = layer(hidden_size=20)
    torch.manual_seed(1)
    init.sparse_(lstm)
    first = [weight.clone() for weight in lstm.parameters()]
    assert first[0].count_nonzero() + first[1].count_nonzero() == 15 * 80
    init.sparse_(lstm)
    assert not torch.equal(lstm.weight_hh_l0, first[1])
    torch.manual_seed(1)
    init.sparse_(lstm)
    assert all(torch.equal(weight, before) for weight, before in zip(lstm.parameters(), first, strict=True))


@pytest.mark.parametrize("connections", [0, -1])
def test_no_connections_at_all_are_refused(connections):
    with pytest.raises(InputError, match=f"connections is {connections}; expected a whole number of at least 1"):
        init.sparse_(layer(), connections)


@pytest.mark.parametrize("start", [init.uniform_, init.hochreiter1997_, init.forget_bias_, init.sparse_])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_initialising_keeps_parameters_trainable_in_their_own_type(start, dtype):
    lstm = layer(dtype=dtype)
    held = list(lstm.parameters())
    start(lstm)
    assert all(one is other for one, other in zip(lstm.parameters(), held, strict=True))
    assert all(weight.requires_grad and weight.is_leaf and weight.dtype == dtype for weight in held)
    lstm(torch.randn(2, 2, 3, dtype=dtype))[0].sum().backward()
    assert lstm.weight_ih_l0.grad is not None
