"""The CPU kernels against the reference: any cell and shape, every instruction set, both ways to fill vectors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equivalence.compare import EXACT, answers_and_gradients, distance
from equivalence.engines import instructions, kernels
from equivalence.specs import PATHS, LayerCase, layer_calls
from longlag import CellSpec
from longlag.ops import reference
from longlag.ops.layer import State
from longlag.ops.paths import FULL, TRUNCATED, GradientPaths
from ops.examples import CELLS, example, of_a_thousand_steps
from property_examples import examples

pytest.importorskip("longlag.ops.native_layer", reason="the compiled module was not built", exc_type=ImportError)
_native = pytest.importorskip("longlag._native", exc_type=ImportError)

LANES = ("samples", "units")
# Vectors and tiles full, not full, and empty in every direction: they hold 2 to 16 numbers and 8 to 64 samples.
AWKWARD = layer_calls(
    blocks=st.sampled_from([7, 17, 1, 40]),
    features=st.sampled_from([5, 1, 20]),
    samples=st.sampled_from([9, 70, 33, 70, 8, 1, 0]),
    steps=st.sampled_from([9, 9, 9, 1, 0]),
    size=0.12,
)


def assert_the_reference_s(call: LayerCase, paths: GradientPaths, spacings: tuple[int, ...]) -> None:
    expected = answers_and_gradients(reference.layer, call, paths)
    for lanes in LANES:
        for every in spacings:
            found = answers_and_gradients(kernels(lanes, every), call, paths)
            for kind, expectation in zip(found, expected, strict=True):
                for one, other in zip(kind, expectation, strict=True):  # each held to its own size
                    assert distance([one], [other]) <= EXACT, (lanes, every)


@pytest.mark.parametrize("paths", PATHS, ids=str)
@examples(150)
@given(call=layer_calls())
def test_answers_and_gradients_are_the_references(call: LayerCase, paths: GradientPaths) -> None:
    assert_the_reference_s(call, paths, (0, 1, 2, 3, len(call.inputs) + 1))


@pytest.mark.parametrize("name", _native.instruction_sets())
@examples(120)
@given(call=AWKWARD, paths=st.sampled_from(PATHS), every=st.sampled_from([4, 1, 2, 20]))
def test_they_are_for_awkward_shapes_and_on_every_instruction_set(
    name: str, call: LayerCase, paths: GradientPaths, every: int
) -> None:
    with instructions(name):
        assert_the_reference_s(call, paths, (0, every))


@examples(50)
@given(AWKWARD, st.sampled_from(PATHS), st.sampled_from(LANES), st.sampled_from([0, 4]), st.integers(0, 2**9 - 1))
def test_a_gradient_does_not_depend_on_which_others_are_asked_for(
    call: LayerCase, paths: GradientPaths, lanes: str, every: int, wanted: int
) -> None:
    answers, everything = answers_and_gradients(kernels(lanes, every), call, paths)
    leaves = call.leaves()
    asked = [leaf.requires_grad_() for number, leaf in enumerate(leaves) if wanted >> number & 1]
    outputs, final = kernels(lanes, every)(call.along(paths))
    assert all(torch.equal(one, other) for one, other in zip((outputs, *final), answers, strict=True))
    if not asked:  # then no tape was kept either
        return
    pulled = zip((outputs, *final), (call.d_outputs, *call.d_state), strict=True)
    total = sum((value * cotangent).sum() for value, cotangent in pulled)
    gradients = torch.autograd.grad(total, asked, allow_unused=True, materialize_grads=True)
    chosen = [everything[number] for number in range(len(leaves)) if wanted >> number & 1]
    assert all(torch.equal(one, other) for one, other in zip(gradients, chosen, strict=True))


@examples(50)
@given(AWKWARD, st.sampled_from(LANES), st.sampled_from([0, 4]), st.integers(0, 2**4 - 1))
def test_an_error_that_arrives_at_some_results_only_is_one_of_zeros_at_the_others(
    call: LayerCase, lanes: str, every: int, pulled: int
) -> None:
    d_outputs, *d_state = [
        cotangent if pulled >> number & 1 else torch.zeros_like(cotangent)
        for number, cotangent in enumerate((call.d_outputs, *call.d_state))
    ]
    call.d_outputs, call.d_state = d_outputs, State(*d_state)
    _, expected = answers_and_gradients(kernels(lanes, every), call, FULL)
    leaves = [leaf.requires_grad_() for leaf in call.leaves()]
    outputs, final = kernels(lanes, every)(call.along(FULL))
    results = [
        (value * cotangent).sum()
        for number, (value, cotangent) in enumerate(zip((outputs, *final), (d_outputs, *d_state), strict=True))
        if pulled >> number & 1
    ]
    if results:
        found = torch.autograd.grad(sum(results), leaves, allow_unused=True, materialize_grads=True)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.costly
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("spec", [CellSpec(), CellSpec.batch2013()], ids=["plain", "2013"])
@pytest.mark.parametrize("paths", [FULL, TRUNCATED], ids=["full", "truncated"])
def test_a_thousand_steps_stay_finite_and_right(spec: CellSpec, paths: GradientPaths, lanes: str) -> None:
    call, expected = of_a_thousand_steps(spec, paths)
    for every in (0, 32):
        found = answers_and_gradients(kernels(lanes, every), call, paths)
        assert all(bool(torch.isfinite(part).all()) for part in [*found[0], *found[1]])
        assert max(distance(*pair) for pair in zip(found, expected, strict=True)) <= EXACT


@examples(60)
@given(
    call=AWKWARD, before=AWKWARD, lanes=st.sampled_from(LANES), every=st.sampled_from([0, 4]),
    name=st.sampled_from(_native.instruction_sets()),
)  # fmt: skip
def test_what_a_call_before_has_left_in_the_kernels_memory_changes_no_bit(
    call: LayerCase, before: LayerCase, lanes: str, every: int, name: str
) -> None:
    run = kernels(lanes, every)
    with instructions(name):
        expected = answers_and_gradients(run, call, FULL)
        answers_and_gradients(run, call.of_nan(), FULL)
        answers_and_gradients(run, before.of_nan(), FULL)
        found = answers_and_gradients(run, call, FULL)
    for kind, expectation in zip(found, expected, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(kind, expectation, strict=True))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", CELLS)
def test_two_backward_passes_over_one_tape_give_the_same(name: str, lanes: str) -> None:
    call = example(CELLS[name])
    leaves = [leaf.requires_grad_() for leaf in call.leaves()]
    for every in (0, 2):
        outputs, _ = kernels(lanes, every)(call.along(FULL))
        both = [
            torch.autograd.grad(outputs.sum(), leaves, retain_graph=True, allow_unused=True, materialize_grads=True)
            for _ in range(2)
        ]
        assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))
