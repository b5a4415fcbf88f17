"""What PyTorch does with modules, done with ours: copies, files, memory, and what callers of nn.LSTM use."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import weakref

import pytest
import torch
from torch import nn

import longlag
from longlag import CellSpec
from nn.layers import CELLS, ENGINES, LENGTHS, OPAQUE, assert_same, flat, layer, sequences

# -- copies and files ----------------------------------------------------------------------------------------------


def pickled(lstm):
    return pickle.loads(pickle.dumps(lstm))  # noqa: S301  (our own bytes)


def saved(lstm):
    with io.BytesIO() as file:
        torch.save(lstm, file)
        file.seek(0)
        return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled, saved])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_a_copy_answers_the_same_bits_before_and_after_use(cell, backend, copied):
    lstm, values = layer(cell, backend, num_layers=2, bidirectional=True), sequences()
    expected = flat(lstm(values, lengths=LENGTHS))
    expected[0].sum().backward()  # a used module copies like a fresh one
    other = copied(lstm)
    assert_same(flat(other(values, lengths=LENGTHS)), expected)
    assert (other.cell, other.backend, other.gradient) == (lstm.cell, lstm.backend, lstm.gradient)
    assert repr(other) == repr(lstm)
    with torch.no_grad():
        other.weight_hh_l0.zero_()
    assert lstm.weight_hh_l0.count_nonzero() > 0


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_state_dict_needs_nothing_but_tensors_and_is_checked_when_loaded(cell):
    lstm, values = layer(cell), sequences()
    with io.BytesIO() as file:
        torch.save(lstm.state_dict(), file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
    assert ("weight_peephole_l0" in state) == cell.peepholes
    other = longlag.LSTM(3, 4, dtype=torch.float64, cell=cell)
    assert not torch.allclose(other(values)[0], lstm(values)[0])
    other.load_state_dict(state)
    assert_same(flat(other(values)), flat(lstm(values)))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({name: state[name] for name in list(state)[1:]})
    with pytest.raises(RuntimeError, match="size mismatch"):
        longlag.LSTM(3, 6, dtype=torch.float64, cell=cell).load_state_dict(state)


# -- memory --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backward", [False, True], ids=["forward only", "after backward"])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_an_answer_that_nobody_holds_is_gone_without_the_garbage_collector(cell, backend, backward):
    lstm, values = layer(cell, backend, num_layers=2), sequences()
    gc.disable()
    try:
        output, state = lstm(values, lengths=LENGTHS)
        if backward:
            output.sum().backward()
        watched = [weakref.ref(part) for part in (output, *state)]
        del output, state
        assert all(reference() is None for reference in watched)
    finally:
        gc.enable()


@pytest.mark.parametrize(("cell", "backend"), [engine for engine in ENGINES if engine.values[1] in OPAQUE])
def test_a_hand_written_backward_pass_lets_go_of_its_tape_while_the_loss_lives_on(cell, backend):
    lstm, values = layer(cell, backend), sequences()
    packed = []

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor
            packed.append(weakref.ref(self))

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        loss = lstm(values)[0].sum()
    assert len([kept for kept in packed if kept() is not None]) > 4
    loss.backward()
    assert [kept for kept in packed if kept() is not None] == []
    assert loss.isfinite()


# -- small things that callers of torch.nn.LSTM use ----------------------------------------------------------------


def test_its_text_names_every_option_that_is_not_the_default():
    assert repr(longlag.LSTM(3, 4)) == "LSTM(3, 4)"
    text = repr(
        longlag.LSTM(
            3, 4, 2, False, True, 0.5, True, 2, cell=CellSpec.graves2005(), gradient="truncated", backend="bptt"
        )
    )
    assert text == (
        "LSTM(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True, proj_size=2, "
        f"cell={CellSpec.graves2005()!r}, gradient=truncated, backend=bptt)"
    )


def test_all_weights_are_the_parameters_by_layer_and_direction_and_flattening_changes_none():
    ours = longlag.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    theirs = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    assert [[weight.shape for weight in weights] for weights in ours.all_weights] == [
        [weight.shape for weight in weights] for weights in theirs.all_weights
    ]
    assert ours.all_weights[1][0] is ours.weight_ih_l0_reverse
    before = [weight.clone() for weight in ours.parameters()]
    assert ours.flatten_parameters() is None
    assert_same(list(ours.parameters()), before)


def test_positional_arguments_stand_in_torchs_order():
    given = (3, 4, 2, False, True, 0.5, True, 2, "cpu", torch.float64)
    ours, theirs = longlag.LSTM(*given), nn.LSTM(*given)
    for name in ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.proj_size == theirs.proj_size
    assert {name: (w.shape, w.dtype) for name, w in ours.named_parameters()} == {
        name: (w.shape, w.dtype) for name, w in theirs.named_parameters()
    }
    with pytest.raises(TypeError):
        longlag.LSTM(*given, CellSpec())  # what is ours is keyword only
