"""The hand-derived backward pass against autograd on the reference: outputs, states, every gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equivalence.compare import EXACT, answers_and_gradients, distance
from equivalence.specs import PATHS, LayerCase, layer_calls
from longlag import CellSpec
from longlag.ops import bptt, reference
from longlag.ops.paths import FULL, TRUNCATED, GradientPaths
from ops.examples import of_a_thousand_steps
from property_examples import examples


@pytest.mark.parametrize("paths", PATHS, ids=str)
@examples(200)
@given(call=layer_calls())
def test_outputs_states_and_gradients_are_the_references(call: LayerCase, paths: GradientPaths) -> None:
    expected, found = (answers_and_gradients(engine, call, paths) for engine in (reference.layer, bptt.layer))
    assert distance(found[0], expected[0]) <= EXACT
    assert distance(found[1], expected[1]) <= EXACT


@examples(50)
@given(layer_calls(), st.sampled_from(PATHS), st.integers(0, 2**12 - 1))
def test_a_gradient_does_not_depend_on_which_others_are_asked_for(
    call: LayerCase, paths: GradientPaths, wanted: int
) -> None:
    _, everything = answers_and_gradients(bptt.layer, call, paths)
    leaves = call.leaves()
    asked = [leaf.requires_grad_() for number, leaf in enumerate(leaves) if wanted >> number & 1]
    if not asked:
        return
    outputs, final = bptt.layer(call.along(paths))
    pulled = zip((outputs, *final), (call.d_outputs, *call.d_state), strict=True)
    total = sum((value * cotangent).sum() for value, cotangent in pulled)
    gradients = torch.autograd.grad(total, asked, allow_unused=True, materialize_grads=True)
    chosen = [everything[number] for number in range(len(leaves)) if wanted >> number & 1]
    assert all(torch.equal(one, other) for one, other in zip(gradients, chosen, strict=True))


@pytest.mark.costly
@pytest.mark.parametrize("spec", [CellSpec(), CellSpec.batch2013()], ids=["plain", "2013"])
@pytest.mark.parametrize("paths", [FULL, TRUNCATED], ids=["full", "truncated"])
def test_a_thousand_steps_stay_finite_and_right(spec: CellSpec, paths: GradientPaths) -> None:
    call, expected = of_a_thousand_steps(spec, paths)
    found = answers_and_gradients(bptt.layer, call, paths)
    assert all(bool(torch.isfinite(part).all()) for part in [*found[0], *found[1]])
    assert distance(found[0], expected[0]) <= EXACT
    assert distance(found[1], expected[1]) <= EXACT
