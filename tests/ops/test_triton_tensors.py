"""What the GPU kernels may be handed, since they read memory and not tensors; and what is kept for the way back."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from equivalence.compare import EXACT, answers_and_gradients, distance
from equivalence.specs import LayerCase
from longlag import CellSpec
from longlag.errors import InputError
from longlag.ops import reference, select
from longlag.ops.engine import Request
from longlag.ops.layer import State, Weights
from longlag.ops.paths import FULL

pytest.importorskip("triton", minversion="3.4")
import ops.fast_interpreter  # noqa: F401
from longlag.ops.triton import dummy_inputs, layer
from longlag.ops.triton.geometry import geometry
from longlag.ops.triton.launch import INTERPRETED
from ops.gpu_calls import a_call

pytestmark = [
    pytest.mark.interpreter,
    pytest.mark.skipif(not INTERPRETED, reason="for the interpreter, which takes the CPU's tensors"),
]
both_ways = pytest.mark.parametrize("resident", [True, False], ids=["one launch", "step by step"])
RICH = CellSpec.batch2013()

# -- tensors that are not what stands in their memory -----------------------------------------------------------------


def with_a_pending_sign(tensor: Tensor) -> Tensor:
    """The same numbers; in memory stand their negatives."""
    pending = torch._neg_view(-tensor)  # as of conj().imag, which would not be contiguous, and so be copied anyway
    assert pending.is_neg()
    assert torch.equal(pending, tensor)
    return pending


def handed_over(call: LayerCase, form: Callable[[Tensor], Tensor]) -> LayerCase:
    weights = Weights._make(None if weight is None else form(weight) for weight in call.weights)
    state, d_state = State._make(map(form, call.state)), State._make(map(form, call.d_state))
    inputs, d_outputs = form(call.inputs), form(call.d_outputs)
    return dataclasses.replace(call, weights=weights, inputs=inputs, state=state, d_outputs=d_outputs, d_state=d_state)


@both_ways
def test_tensors_with_a_pending_sign_are_read_with_it(resident: bool) -> None:
    call = a_call(RICH, samples=3, hidden=6, projection=4, lengths=[3, 0, 2])
    expected = answers_and_gradients(reference.layer, call, FULL)
    found = answers_and_gradients(
        functools.partial(layer.layer, resident=resident), handed_over(call, with_a_pending_sign), FULL
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert distance(ours, theirs) <= EXACT


def test_zeros_without_memory_are_zeros() -> None:
    call = a_call(RICH, samples=2, hidden=4)
    zeros = State._make(torch._efficientzerotensor(part.shape, dtype=part.dtype) for part in call.state)
    plain = State._make(map(torch.zeros_like, call.state))
    outputs, _ = layer.layer(call.along(FULL)._replace(state=zeros))
    expected, _ = reference.layer(call.along(FULL)._replace(state=plain))
    assert distance([outputs], [expected]) <= EXACT


class Named(Tensor):
    """Some class of tensors that is not PyTorch's own."""


def test_other_classes_of_tensors_are_refused_in_a_sentence() -> None:
    call = a_call(RICH).along(FULL)
    weights = call.weights._replace(recurrent=call.weights.recurrent.as_subclass(Named))
    with pytest.raises(
        InputError, match=r"^backend 'triton' has no operator to record; expected 'auto' or 'reference'"
    ):
        layer.layer(call._replace(weights=weights))


@pytest.mark.parametrize("record", [make_fx, lambda run: lambda values: torch.jit.trace(run, values)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_whoever_records_operators_is_refused_in_a_sentence(record) -> None:
    call = a_call(RICH).along(FULL)

    def run(values: Tensor) -> Tensor:
        return layer.layer(call._replace(inputs=values))[0]

    with pytest.raises(InputError, match=r"^backend 'triton' has no operator to record"):
        record(run)(call.inputs)


@pytest.mark.skipif(select.DEFAULT != "auto", reason='LONGLAG_BACKEND says what "auto" stands for')
def test_whoever_records_operators_gets_another_engine_from_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select.crossover, "suits", lambda inputs: True)
    values, chosen = torch.zeros(3, 2, 2, dtype=torch.bfloat16), []

    def choose(values: Tensor, weight: Tensor) -> Tensor:
        chosen.append(select.backend_for("auto", Request(RICH, FULL, values, 4, [weight])))
        return values + weight

    choose(values, values)
    make_fx(choose)(values, values)
    choose(values, values.as_subclass(Named))
    assert chosen[0] == "triton"
    assert set(chosen[1:]) <= {"bptt", "reference"}


# -- what is kept for the way back -----------------------------------------------------------------------------------


def test_lengths_that_are_written_over_before_the_way_back_are_noticed() -> None:
    call = a_call(RICH, samples=3, lengths=[3, 1, 2])
    call.inputs.requires_grad_()
    outputs, _ = layer.layer(call.along(FULL))
    call.lengths.fill_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_where_no_gradient_is_wanted_no_tape_is_written(without, monkeypatch: pytest.MonkeyPatch) -> None:
    call, kept, forward = a_call(RICH), [], layer.forward
    call.weights.recurrent.requires_grad_()

    def seen(plan, keep: bool, *tensors):
        kept.append(keep)
        return forward(plan, keep, *tensors)

    monkeypatch.setattr(layer, "forward", seen)
    with without():
        outputs, _ = layer.layer(call.along(FULL))
    again, _ = layer.layer(call.along(FULL))
    assert kept == [False, True]
    assert distance([outputs], [again]) <= EXACT


# -- other people's defaults -----------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("lengths", [None, [3, 0, 2]], ids=["full", "ragged"])
def test_memory_is_taken_on_the_device_of_the_input_whatever_the_default_is(lengths, resident: bool) -> None:
    call = a_call(RICH, samples=3, hidden=6, projection=4, lengths=lengths)
    expected = answers_and_gradients(reference.layer, call, FULL)
    with torch.device("meta"):
        found = answers_and_gradients(functools.partial(layer.layer, resident=resident), call, FULL)
        dummies = dummy_inputs.dummy_inputs("backward", geometry(RICH, 4, 0), call.inputs)
    for ours, theirs in zip(found, expected, strict=True):
        assert distance(ours, theirs) <= EXACT
    assert {str(dummy.device) for dummy in dummies if dummy is not None} == {"cpu"}
