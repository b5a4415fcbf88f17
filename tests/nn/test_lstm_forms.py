"""The forms a batch may come in: ragged, empty, awkward sizes, in pieces. Padding changes no bit of anything."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import longlag
from equivalence.engines import BACKENDS, on_every_backend
from longlag import CellSpec
from longlag.errors import InputError
from nn.layers import PLAIN, RICH

CELLS = {"plain": PLAIN, "rich": RICH, "1997": CellSpec.hochreiter1997()}
ENGINES = on_every_backend(CELLS, PLAIN)
LENGTHS = torch.tensor([3, 0, 5, 1])
STEPS, SAMPLES, FEATURES, HIDDEN = 5, 4, 3, 4


def layer(cell: CellSpec = PLAIN, backend: str = "auto", **options) -> longlag.LSTM:
    torch.manual_seed(9)
    options = {"dtype": torch.float64, "num_layers": 2} | options
    return longlag.LSTM(FEATURES, options.pop("hidden_size", HIDDEN), cell=cell, backend=backend, **options)


def sequences(steps: int = STEPS, samples: int = SAMPLES) -> Tensor:
    return torch.randn(steps, samples, FEATURES, dtype=torch.float64)


def first_state(lstm: longlag.LSTM, samples: int = SAMPLES) -> tuple[Tensor, ...]:
    return tuple(torch.rand_like(part) - 0.5 for part in lstm.initial_state(samples))


def everything(lstm, values: Tensor, hx=None, *, lengths=None) -> dict[str, Tensor]:
    """Outputs, states, and the gradients of a fixed random scalar of them."""
    values = values.detach().requires_grad_()
    hx = tuple(part.detach().requires_grad_() for part in (hx or lstm.initial_state(values.shape[1])))
    output, state = lstm(values, hx, lengths=lengths)
    draw = torch.Generator().manual_seed(1)
    total = torch.zeros((), dtype=values.dtype)
    for part in (output, *state):  # always 16 steps' worth: the same numbers however many steps there are
        numbers = torch.randn(16, *part.shape[1:], dtype=part.dtype, generator=draw)
        total = total + (part * numbers[: len(part)]).sum()
    wanted = {"input": values, **dict(lstm.named_parameters())}
    wanted |= {f"state {number}": part for number, part in enumerate(hx)}
    # at T = 0 nothing reaches the weights: no gradient and a gradient of zero are the same answer
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True, materialize_grads=True)
    answers = {f"gradient of {name}": gradient for name, gradient in zip(wanted, found, strict=True)}
    finals = {f"final state {number}": part for number, part in enumerate(state)}
    return {"output": output.detach(), **finals, **answers}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-11, msg=lambda text, at=name: f"{at}: {text}")


# -- padding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_neither_the_values_nor_the_number_of_padding_steps_change_a_bit(cell, backend, bidirectional):
    lstm = layer(cell, backend, bidirectional=bidirectional)
    values, hx = sequences(), first_state(lstm)
    padding = torch.arange(STEPS)[:, None] >= LENGTHS
    expected = everything(lstm, values.masked_fill(padding[:, :, None], 0.0), hx, lengths=LENGTHS)
    assert expected["output"][padding].count_nonzero() == 0
    assert expected["gradient of input"][padding].count_nonzero() == 0
    for filler in (1.0, 1e30, float("inf"), float("nan")):
        found = everything(lstm, values.masked_fill(padding[:, :, None], filler), hx, lengths=LENGTHS)
        assert all(torch.equal(found[name], value) for name, value in expected.items()), filler
    longer = torch.cat([values.masked_fill(padding[:, :, None], 7.0), torch.full((3, SAMPLES, FEATURES), 1e9)])
    found = everything(lstm, longer, hx, lengths=LENGTHS)
    for name in ("output", "gradient of input"):
        assert found[name].shape[0] == STEPS + 3
        assert found[name][STEPS:].count_nonzero() == 0
        found[name] = found[name][:STEPS]
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_padding_does_not_change_which_units_are_dropped():
    lstm = layer(num_layers=3, dropout=0.5)
    values = sequences()
    torch.manual_seed(3)
    expected = lstm(values, lengths=LENGTHS)[0]
    torch.manual_seed(3)
    found = lstm(torch.cat([values, values]), lengths=LENGTHS)[0]
    assert torch.equal(found[:STEPS], expected)
    assert not torch.allclose(lstm(values, lengths=LENGTHS)[0], expected)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_a_ragged_batch_is_each_of_its_sequences_alone(cell, backend, bidirectional, batch_first):
    lstm = layer(cell, backend, bidirectional=bidirectional, batch_first=batch_first)
    values, hx = sequences(), first_state(lstm)
    given = values.transpose(0, 1) if batch_first else values
    output, state = lstm(given, hx, lengths=LENGTHS)
    output = output.transpose(0, 1) if batch_first else output
    for sample, length in enumerate(LENGTHS.tolist()):
        alone, last = lstm(values[:length, sample], tuple(part[:, sample] for part in hx))
        torch.testing.assert_close(output[:length, sample], alone, rtol=0, atol=1e-12)
        assert output[length:, sample].count_nonzero() == 0
        for part, ours in zip(last, state, strict=True):
            torch.testing.assert_close(ours[:, sample], part, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_gradients_of_a_ragged_batch_are_the_sum_over_its_sequences(cell, backend):
    lstm, values = layer(cell, backend, bidirectional=True), sequences()
    output, state = lstm(values, lengths=LENGTHS)
    numbers = torch.randn_like(output)
    total = (output * numbers).sum() + sum(part.square().sum() for part in state)
    expected = torch.autograd.grad(total, lstm.parameters())
    alone = torch.zeros((), dtype=torch.float64)
    for sample, length in enumerate(LENGTHS.tolist()):
        output, state = lstm(values[:length, sample])
        alone = alone + (output * numbers[:length, sample]).sum() + sum(part.square().sum() for part in state)
    for found, value in zip(torch.autograd.grad(alone, lstm.parameters()), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=0, atol=1e-11)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_lengths_and_a_packed_sequence_say_the_same(cell, backend, bidirectional):
    lstm = layer(cell, backend, bidirectional=bidirectional)
    values, lengths = sequences(), torch.tensor([3, 2, 5, 1])  # a PackedSequence has no empty sequences
    hx = first_state(lstm)
    output, state = lstm(values, hx, lengths=lengths)
    packed, packed_state = lstm(pack_padded_sequence(values, lengths, enforce_sorted=False), hx)
    assert torch.equal(pad_packed_sequence(packed)[0], output)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(packed_state, state, strict=True))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_lengths_may_be_any_whole_numbers(dtype):
    lstm, values = layer(), sequences()
    assert torch.equal(lstm(values, lengths=LENGTHS.to(dtype))[0], lstm(values, lengths=LENGTHS)[0])


def test_one_unbatched_sequence_may_have_a_length_too():
    lstm, values = layer(bidirectional=True), sequences()[:, 0]
    expected, state = lstm(values[:2])
    for length in (torch.tensor(2), torch.tensor([2])):
        output, found = lstm(values, lengths=length)
        assert output.shape == (STEPS, 2 * HIDDEN)
        assert torch.equal(output[:2], expected)
        assert output[2:].count_nonzero() == 0
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, state, strict=True))


@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_full_lengths_are_no_lengths(cell, backend):
    lstm, values = layer(cell, backend, bidirectional=True), sequences()
    found, expected = everything(lstm, values, lengths=torch.full((SAMPLES,), STEPS)), everything(lstm, values)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


# -- empty and awkward sizes ---------------------------------------------------------------------------------------


@functools.cache
def of_the_reference(cell, steps, samples, ragged, **options):
    """Values, a state, lengths, and what the definition answers to them."""
    definition = layer(cell, "reference", **options)
    values, hx = sequences(steps, samples), first_state(definition, samples)
    lengths = torch.arange(samples).clamp(max=steps) if ragged else None
    return values, hx, lengths, everything(definition, values, hx, lengths=lengths)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize(
    ("steps", "samples", "hidden"),
    [(0, 2, 4), (4, 0, 4), (0, 0, 4), (1, 1, 2), (1, 3, 4), (6, 1, 62), (3, 2, 2)],
    ids=str,
)
@pytest.mark.parametrize(("cell", "backend"), [engine for engine in ENGINES if engine.values[1] != "reference"])
def test_awkward_sizes_get_the_reference_s_answers(cell, backend, steps, samples, hidden, ragged, bidirectional):
    options = {"hidden_size": hidden, "bidirectional": bidirectional}
    lstm = layer(cell, backend, **options)
    values, hx, lengths, expected = of_the_reference(cell, steps, samples, ragged, **options)
    found = everything(lstm, values, hx, lengths=lengths)
    assert_close(found, expected)
    assert found["output"].shape == (steps, samples, lstm.output_size)
    assert [found[f"final state {number}"].shape for number in range(len(hx))] == [part.shape for part in hx]
    assert all(value.isfinite().all() for value in found.values())


@pytest.mark.parametrize("hidden", [1, 63])
@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "reference"])
def test_odd_numbers_of_cells_get_the_reference_s_answers(backend, hidden):
    options = {"hidden_size": hidden, "bidirectional": True}
    lstm, definition, values = layer(PLAIN, backend, **options), layer(PLAIN, "reference", **options), sequences()
    assert_close(everything(lstm, values, lengths=LENGTHS), everything(definition, values, lengths=LENGTHS))


@pytest.mark.parametrize("steps", [0, STEPS])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_sequences_without_a_step_leave_the_state_as_it_was(cell, backend, steps):
    lstm = layer(cell, backend, bidirectional=True)
    hx = first_state(lstm)
    found = everything(lstm, sequences(steps), hx, lengths=torch.zeros(SAMPLES, dtype=torch.int64))
    assert found["output"].shape == (steps, SAMPLES, lstm.output_size)
    assert found["output"].count_nonzero() == 0
    for number, part in enumerate(hx):
        assert torch.equal(found[f"final state {number}"], part)
        assert found[f"gradient of state {number}"].count_nonzero() == part.numel()
    for name, _ in lstm.named_parameters():
        assert found[f"gradient of {name}"].count_nonzero() == 0


# -- in pieces -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_the_state_carried_from_call_to_call_is_that_of_one_long_call(cell, backend, ragged):
    lstm = layer(cell, backend)
    values, hx = sequences(), first_state(lstm)
    lengths = LENGTHS if ragged else torch.full((SAMPLES,), STEPS)
    whole, last = lstm(values, hx, lengths=lengths)
    pieces, state = [], hx
    for start, stop in ((0, 2), (2, 3), (3, 5)):
        piece, state = lstm(values[start:stop], state, lengths=(lengths - start).clamp(0, stop - start))
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=0, atol=1e-12)
    for found, expected in zip(state, last, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    wanted = [*lstm.parameters()]
    found = torch.autograd.grad(torch.cat(pieces).square().sum() + state[1].sum(), wanted)
    for ours, theirs in zip(found, torch.autograd.grad(whole.square().sum() + last[1].sum(), wanted), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "torch"])
def test_with_gate_recurrence_the_state_ends_with_the_gate_activations(backend):
    cell = CellSpec.hochreiter1997(cells_per_block=2)
    lstm = layer(cell, backend, num_layers=1)
    values = sequences()
    _, before = lstm(values[:-1])
    _, (_, _, gates) = lstm(values)
    source = torch.cat([before[0][0], before[2][0]], dim=-1)  # cells' outputs, then gates i and o
    net = values[-1] @ lstm.weight_ih_l0.T + source @ lstm.weight_hh_l0.T + lstm.bias_ih_l0
    by_hand = torch.sigmoid(torch.cat([net[:, :2], net[:, -2:]], dim=-1))  # rows: 2 i, 4 g, 2 o
    assert gates.shape == (1, SAMPLES, 4)
    torch.testing.assert_close(gates[0], by_hand, rtol=0, atol=1e-12)


def test_a_state_of_two_tensors_is_refused_where_three_are_carried():
    lstm = layer(CellSpec.hochreiter1997())
    with pytest.raises(InputError, match="hx has 2 tensors; expected 3: outputs, cells, gate activations"):
        lstm(sequences(), first_state(lstm)[:2])
    outputs, cells, gates = first_state(lstm)
    with pytest.raises(InputError, match=r"Expected hidden\[2\] size \(2, 4, 8\), got \[2, 4, 3\]"):
        lstm(sequences(), (outputs, cells, gates[..., :3]))


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        (torch.tensor([3, -1, 5, 1]), r"lengths must lie in 0\.\.5; got \[3, -1, 5, 1\]"),
        (torch.tensor([3, 0, 6, 1]), r"lengths must lie in 0\.\.5; got \[3, 0, 6, 1\]"),
        (torch.full((4,), 6), r"lengths must lie in 0\.\.5"),
        (torch.tensor([3.0, 0.0, 5.0, 1.0]), r"type torch.float32; expected \(4,\) whole numbers"),
        (torch.tensor([True, False, True, True]), r"type torch.bool; expected \(4,\) whole numbers"),
        (torch.tensor([3, 0, 5]), r"lengths has shape \(3,\)"),
        (torch.tensor([[3, 0, 5, 1]]), r"lengths has shape \(1, 4\)"),
        (torch.tensor(3), r"lengths has shape \(\)"),
    ],
    ids=["negative", "too long", "all too long", "float", "bool", "too few", "2-D", "0-D"],
)
@pytest.mark.parametrize("batch_first", [False, True])
def test_wrong_lengths_are_refused_in_one_sentence(lengths, words, batch_first):
    lstm = layer(batch_first=batch_first)
    values = sequences().transpose(0, 1) if batch_first else sequences()
    with pytest.raises(InputError, match=words) as refusal:
        lstm(values, lengths=lengths)
    assert isinstance(refusal.value, RuntimeError)
    assert "\n" not in str(refusal.value)


def test_lengths_beside_a_packed_sequence_are_refused():
    packed = pack_padded_sequence(sequences(), torch.tensor([5, 3, 2, 1]))
    with pytest.raises(InputError, match="expected one of the two"):
        layer()(packed, lengths=LENGTHS)


def test_lengths_may_be_a_list() -> None:
    lstm, inputs = longlag.LSTM(2, 3), torch.randn(4, 2, 2)
    listed, given = lstm(inputs, lengths=[4, 1]), lstm(inputs, lengths=torch.tensor([4, 1]))
    assert torch.equal(listed[0], given[0])
    assert torch.equal(listed[1][1], given[1][1])
