"""The constant error carousel (1997 paper, section 3.2): along s_t -> s_{t-1} the error neither fades nor grows."""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from equivalence.compare import Layer, distance
from equivalence.specs import LayerCase, cell_specs, layer_calls
from longlag import CellSpec
from longlag.ops import bptt, reference
from longlag.ops.engine import LayerCall
from longlag.ops.paths import FULL, TRUNCATED, GradientPaths
from ops.examples import example
from property_examples import examples

ENGINES = st.sampled_from([reference.layer, bptt.layer])
WITHOUT_FORGETTING = cell_specs().map(
    lambda spec: dataclasses.replace(spec, forget_gate=False, coupled_gates=False, output_gate=True)
)


def error_at_the_first_state(
    engine: Layer, call: LayerCase, paths: GradientPaths, d_outputs: Tensor, d_cells: Tensor
) -> Tensor:
    """dE/ds_0 for E = sum d_outputs * outputs + sum d_cells * s_T."""
    state = call.state._replace(cells=call.state.cells.detach().requires_grad_())
    outputs, final = engine(LayerCall(call.spec, call.weights, call.inputs, state, call.lengths, paths))
    total = (outputs * d_outputs).sum() + (final.cells * d_cells).sum()
    return torch.autograd.grad(total, state.cells)[0]


@examples(200)
@given(layer_calls(WITHOUT_FORGETTING), ENGINES)
def test_without_a_forget_gate_the_truncated_error_of_the_last_state_reaches_the_first_bit_for_bit(
    call: LayerCase, engine: Layer
) -> None:
    arrived = error_at_the_first_state(engine, call, TRUNCATED, torch.zeros_like(call.d_outputs), call.d_state.cells)
    assert torch.equal(arrived, call.d_state.cells)


@examples(50)
@given(layer_calls(WITHOUT_FORGETTING), ENGINES)
def test_errors_enter_through_the_output_gate_and_the_slope_of_h_and_add_up_unchanged(
    call: LayerCase, engine: Layer
) -> None:
    """dE/ds_0 = sum over t of o_t h'(s_t) e_t: eq. A.21 at every step, and nothing between the steps.

    o and h' are read off the cell itself, by a push of the state at one step alone.
    """
    expected, state = torch.zeros_like(call.state.cells), call.state
    for t in range(call.inputs.shape[0]):
        running = None if call.lengths is None else (call.lengths > t).long()
        one_step = dataclasses.replace(call, inputs=call.inputs[t : t + 1], state=state, lengths=running)
        zero = torch.zeros_like(expected)
        expected += error_at_the_first_state(reference.layer, one_step, TRUNCATED, call.d_outputs[t : t + 1], zero)
        _, state = reference.layer(LayerCall(call.spec, call.weights, call.inputs[t : t + 1], state, running, FULL))
    arrived = error_at_the_first_state(engine, call, TRUNCATED, call.d_outputs, torch.zeros_like(expected))
    assert distance([arrived], [expected]) <= 1e-12


def test_with_h_the_identity_and_no_gates_every_cell_is_the_carousel_alone() -> None:
    spec = CellSpec(input_gate=False, forget_gate=False, output_gate=False, output_squash="identity")
    call = example(spec)
    d_outputs = torch.arange(12.0, dtype=torch.float64).reshape(3, 2, 2)
    inside = (torch.arange(3)[:, None] < call.lengths)[:, :, None]
    for engine in (reference.layer, bptt.layer):
        arrived = error_at_the_first_state(engine, call, TRUNCATED, d_outputs, torch.zeros(2, 2))
        assert torch.equal(arrived, torch.where(inside, d_outputs, 0.0).sum(0))
        assert distance([error_at_the_first_state(engine, call, FULL, d_outputs, torch.zeros(2, 2))], [arrived]) > 1e-3


def test_a_forget_gate_weighs_the_error_by_the_product_of_its_activations() -> None:
    call = example(CellSpec())
    call.lengths, kept, state = None, torch.ones(2, 2, dtype=torch.float64), call.state
    for t in range(3):
        net = call.inputs[t] @ call.weights.input.T + state.output @ call.weights.recurrent.T + call.weights.bias
        kept *= torch.sigmoid(net[:, 2:4])  # rows i i f f g g o o
        _, state = reference.layer(LayerCall(call.spec, call.weights, call.inputs[t : t + 1], state, None, FULL))
    for engine in (reference.layer, bptt.layer):
        zero = torch.zeros_like(call.d_outputs)
        arrived = error_at_the_first_state(engine, call, TRUNCATED, zero, call.d_state.cells)
        torch.testing.assert_close(arrived, kept * call.d_state.cells, rtol=1e-12, atol=1e-14)
