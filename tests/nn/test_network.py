"""Network: what the output units read, what they do with it, and the forms that pass through unchanged."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.errors import InputError
from longlag.ops.paths import TRUNCATED

LENGTHS = torch.tensor([3, 5, 0, 2])
SQUASHES = {
    "identity": lambda x: x,
    "logistic": lambda x: 1 / (1 + torch.exp(-x)),
    "tanh": torch.tanh,
    "logistic_pm1": lambda x: 2 / (1 + torch.exp(-x)) - 1,
    "logistic_pm2": lambda x: 4 / (1 + torch.exp(-x)) - 2,
}


def network(output_size: int = 2, *, cell: CellSpec | None = None, reads="cells", lstm=None, **options) -> Network:
    torch.manual_seed(5)
    inner = LSTM(3, 4, cell=cell, **({"dtype": torch.float64} | (lstm or {})))
    return Network(inner, output_size, reads=reads, **options)


def sequences() -> Tensor:
    return torch.randn(5, 4, 3, dtype=torch.float64)


def batch(values: Tensor, lengths: Tensor = LENGTHS) -> SequenceBatch:
    mask = torch.arange(values.shape[0])[:, None] < lengths
    return SequenceBatch(values, lengths, torch.zeros(*values.shape[:2], 2, dtype=values.dtype), mask)


# -- what outputs read and do --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("reads", ["cells", "cells+inputs"])
@pytest.mark.parametrize("activation", SQUASHES)
@pytest.mark.parametrize("cell", [CellSpec(), CellSpec.hochreiter1997(conventional_units=2)], ids=["plain", "1997"])
def test_outputs_are_the_squashed_weighted_sum_of_what_they_read(cell, activation, reads, bias):
    net = network(cell=cell, reads=reads, output_activation=activation, bias=bias, lstm={"bidirectional": True})
    values = sequences()
    hidden, state = net.lstm(values)
    seen = torch.cat([hidden, values], dim=-1) if reads == "cells+inputs" else hidden
    sums = torch.einsum("tbi,oi->tbo", seen, net.readout.weight)
    expected = SQUASHES[activation](sums + net.readout.bias if bias else sums)
    outputs, found = net(values)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, state, strict=True))
    assert ("readout.bias" in net.state_dict()) == bias


def test_outputs_read_the_projection_where_there_is_one():
    net = network(lstm={"proj_size": 2, "bidirectional": True, "num_layers": 2})
    assert net.readout.weight.shape == (2, 4)
    assert net(sequences())[0].shape == (5, 4, 2)


@pytest.mark.parametrize("reads", ["cells", "cells+inputs"])
def test_inputs_reach_the_outputs_directly_only_where_they_are_read(reads):
    net, values = network(reads=reads), sequences().requires_grad_()
    with torch.no_grad():
        for weight in net.lstm.parameters():
            weight.zero_()  # nothing comes through the cells
    (gradient,) = torch.autograd.grad(net(values)[0].sum(), values)
    assert (gradient.count_nonzero() == values.numel()) == (reads == "cells+inputs")


def test_the_readout_takes_the_type_and_device_of_the_layer():
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        net = network(lstm={"dtype": dtype})
        assert {weight.dtype for weight in net.parameters()} == {dtype}
        assert net(sequences().to(dtype))[0].dtype == dtype
    assert network(lstm={"device": "meta"}).readout.weight.is_meta


def test_weight_count_is_that_of_layer_and_readout():
    net = network(reads="cells+inputs")
    assert net.weight_count() == 4 * 4 * (3 + 4 + 2) + 2 * (4 + 3 + 1)


# -- forms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reads", ["cells", "cells+inputs"])
def test_every_form_of_input_gives_the_same_outputs(reads):
    net, values = network(reads=reads), sequences()
    lengths = torch.tensor([3, 5, 1, 2])
    expected, state = net(values, lengths=lengths)
    first = copy.deepcopy(net)
    first.lstm.batch_first = True
    turned, turned_state = first(values.transpose(0, 1), lengths=lengths)
    assert torch.equal(turned.transpose(0, 1), expected)
    packed, packed_state = net(pack_padded_sequence(values, lengths, enforce_sorted=False))
    padded, found = pad_packed_sequence(packed)
    assert torch.equal(found, lengths)
    for sample, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(padded[:length, sample], expected[:length, sample], rtol=0, atol=1e-12)
        alone, last = net(values[:length, sample])
        torch.testing.assert_close(alone, expected[:length, sample], rtol=0, atol=1e-12)
        torch.testing.assert_close(last[1], state[1][:, sample], rtol=0, atol=1e-12)
    for other in (turned_state, packed_state):
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(other, state, strict=True))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("reads", ["cells", "cells+inputs"])
def test_respond_answers_time_first_whatever_the_layer_s_order(reads, batch_first):
    net, values = network(reads=reads, lstm={"batch_first": batch_first}), sequences()
    outputs, state = net.respond(batch(values))
    assert outputs.shape == (5, 4, 2)
    for sample, length in enumerate(LENGTHS.tolist()):
        alone, last = net(values[:length, sample])
        torch.testing.assert_close(outputs[:length, sample], alone, rtol=0, atol=1e-12)
        for ours, theirs in zip(state, last, strict=True):
            torch.testing.assert_close(ours[:, sample], theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", [CellSpec(), CellSpec.hochreiter1997()], ids=["plain", "1997"])
def test_the_state_carries_from_window_to_window(cell):
    net, whole = network(cell=cell), batch(sequences())
    expected, last = net.respond(whole)
    pieces, state = [], net.lstm.initial_state(4)
    for start, stop in ((0, 1), (1, 4), (4, 5)):
        piece, state = net.respond(whole.window(start, stop), state)
        pieces.append(piece)
    real = whole.step_mask
    torch.testing.assert_close(torch.cat(pieces)[real], expected[real], rtol=0, atol=1e-12)
    for ours, theirs in zip(state, last, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("reads", ["cells", "cells+inputs"])
def test_padding_changes_no_bit_of_a_real_output_or_gradient(reads):
    net, values = network(reads=reads, lstm={"bidirectional": True}), sequences()
    found = []
    for filler, more in ((0.0, 0), (float("nan"), 0), (1e30, 3)):
        given = values.masked_fill(~batch(values).step_mask[:, :, None], filler)
        whole = batch(torch.cat([given, torch.full((more, 4, 3), filler, dtype=torch.float64)]))
        outputs, state = net.respond(whole)
        total = outputs[whole.step_mask].square().sum() + state[0].sum()
        found.append([outputs[whole.step_mask], *state, *torch.autograd.grad(total, list(net.parameters()))])
    for other in found[1:]:
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(other, found[0], strict=True))


@pytest.mark.parametrize("reads", ["cells", "cells+inputs"])
@pytest.mark.parametrize("steps", [0, 5])
def test_sequences_without_a_step_get_an_answer_of_the_right_size(steps, reads):
    net = network(reads=reads)
    outputs, state = net.respond(batch(sequences()[:steps], torch.zeros(4, dtype=torch.int64)))
    assert outputs.shape == (steps, 4, 2)
    assert all(part.count_nonzero() == 0 for part in state)
    assert net(sequences()[:, :0])[0].shape == (5, 0, 2)


def test_the_error_s_paths_can_be_chosen_for_a_call():
    net, whole = network(), batch(sequences())
    truncated = network(lstm={"gradient": "truncated"})
    expected = torch.autograd.grad(truncated.respond(whole)[0].sum(), list(truncated.parameters()))
    full = torch.autograd.grad(net.respond(whole)[0].sum(), list(net.parameters()))
    for outputs, _ in (net.respond(whole, paths=TRUNCATED), net(whole.inputs, lengths=LENGTHS, paths=TRUNCATED)):
        found = torch.autograd.grad(outputs.sum(), list(net.parameters()))
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert not torch.allclose(full[1], expected[1])  # of weight_hh: the cut is felt there


def test_a_network_copies_and_loads_like_any_module():
    net, values = network(reads="cells+inputs", output_activation="tanh"), sequences()
    other = copy.deepcopy(net)
    assert torch.equal(other(values)[0], net(values)[0])
    fresh = Network(LSTM(3, 4, dtype=torch.float64), 2, reads="cells+inputs", output_activation="tanh")
    fresh.load_state_dict(net.state_dict(), strict=True)
    assert torch.equal(fresh(values)[0], net(values)[0])
    assert list(net.state_dict()) == [
        *(f"lstm.{name}" for name in net.lstm.state_dict()), "readout.weight", "readout.bias",
    ]  # fmt: skip


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output_size": 0}, "output_size is 0; expected a whole number of at least 1"),
        ({"output_size": -1}, "output_size is -1; expected a whole number of at least 1"),
        ({"output_activation": "relu"}, "output_activation is 'relu'; expected one of tanh, logistic"),
        ({"reads": "inputs"}, r"reads is 'inputs'; expected one of cells, cells\+inputs"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        network(**options)


def test_options_are_by_keyword_alone():
    with pytest.raises(TypeError):
        Network(LSTM(3, 4), 2, "tanh")


def test_the_weights_of_a_layer_are_counted_as_those_of_a_network():
    lstm = LSTM(3, 4, num_layers=2, bidirectional=True, cell=CellSpec(peepholes=True))
    network = Network(lstm, 2)
    assert lstm.weight_count() == lstm.sizes.weight_count() == sum(weight.numel() for weight in lstm.parameters())
    assert network.weight_count() == lstm.weight_count() + 2 * (8 + 1)
    lstm.weight_hh_l0.requires_grad_(False)
    assert lstm.weight_count() == lstm.sizes.weight_count() - 16 * 4
