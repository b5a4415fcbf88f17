"""LayerSizes says what every layer's parameters, states and outputs look like, and follows the cell."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from equivalence.engines import needs_kernels
from equivalence.specs import cell_specs
from longlag import LSTM, CellSpec
from longlag.errors import InputError, ShapeError
from longlag.nn import layout


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("proj_size", [0, 2])
def test_the_shapes_of_the_default_cell_are_those_of_torchs_layers(bias, bidirectional, proj_size):
    options = {"bias": bias, "bidirectional": bidirectional, "proj_size": proj_size}
    theirs = nn.LSTM(3, 4, 2, **options)
    expected = {name: tuple(weight.shape) for name, weight in theirs.named_parameters()}
    sizes = LSTM(3, 4, 2, **options).sizes
    assert list(sizes.all_shapes().items()) == list(expected.items())
    output, state = theirs(torch.zeros(5, 1, 3))
    assert output.shape[-1] == sizes.output_size
    assert [(part.shape[0], part.shape[2]) for part in state] == [(sizes.stack_size, n) for n in sizes.state_widths]


@given(cell=cell_specs(), layers=st.integers(1, 2), bidirectional=st.booleans())
def test_the_sizes_of_any_cell_are_those_of_what_its_layer_answers(cell, layers, bidirectional):
    lstm = LSTM(2, 2 * cell.cells_per_block, layers, bidirectional=bidirectional, cell=cell)
    sizes = lstm.sizes
    assert sizes.all_shapes() == {name: tuple(weight.shape) for name, weight in lstm.named_parameters()}
    with torch.no_grad():
        output, state = lstm(torch.zeros(3, 2, 2))
    assert output.shape == (3, 2, sizes.output_size)
    assert [part.shape for part in state] == [(sizes.stack_size, 2, width) for width in sizes.state_widths]


def test_a_cell_of_other_shapes_is_refused_and_changes_nothing():
    lstm = LSTM(2, 4)
    for other in (CellSpec(peepholes=True), CellSpec(conventional_units=1), CellSpec(biases="single")):
        with pytest.raises(InputError, match="the cell has weights or states of other shapes than this layer"):
            lstm.cell = other
    assert lstm.cell == CellSpec()


def test_steps_after_a_change_of_the_cell_are_those_of_the_new_one():
    torch.manual_seed(0)
    lstm = LSTM(2, 4, dtype=torch.float64)
    inputs = torch.randn(2, 3, 2, dtype=torch.float64)
    with torch.no_grad():
        _, state = lstm.step(inputs[0], lstm.initial_state(3))
        lstm.cell = dataclasses.replace(lstm.cell, sharpness=3.0)
        expected, _ = lstm(inputs[1:], state)
        torch.testing.assert_close(lstm.step(inputs[1], state)[0], expected[0], rtol=1e-12, atol=1e-14)


@needs_kernels
def test_a_backend_that_is_set_later_reaches_single_steps_too():
    torch.manual_seed(0)
    lstm = LSTM(2, 4)
    x_t = torch.randn(3, 2)
    with torch.no_grad():
        _, state = lstm.step(x_t, lstm.initial_state(3))
        lstm.backend = "reference"
        output, _ = lstm.step(x_t, state)
        assert torch.equal(output, lstm(x_t[None], state)[0][0])
        assert lstm._stepper is None or not lstm._stepper.layers  # no kernel was made for it


def test_a_backend_that_is_not_there_is_refused_when_it_is_set():
    lstm = LSTM(2, 4)
    with pytest.raises(InputError, match="backend is 'cudnn'; expected one of auto"):
        lstm.backend = "cudnn"
    assert lstm.backend == "auto"


def test_the_error_of_shapes_is_still_found_where_it_was():
    assert layout.ShapeError is ShapeError
