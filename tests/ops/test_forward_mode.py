"""The kernels' forward mode: how outputs and final states move is what the reference says, whatever moves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import forward_ad

from equivalence.compare import EXACT, Layer, distance
from equivalence.engines import instructions, kernels
from equivalence.specs import LayerCase, layer_calls
from longlag import LSTM
from longlag.errors import InputError
from longlag.ops import reference
from longlag.ops.engine import LayerCall
from longlag.ops.layer import State, Weights
from longlag.ops.paths import FULL
from property_examples import examples

pytest.importorskip("longlag.ops.native_layer", reason="the compiled module was not built", exc_type=ImportError)
_native = pytest.importorskip("longlag._native", exc_type=ImportError)

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

LANES = ("samples", "units")
AWKWARD = layer_calls(
    blocks=st.sampled_from([7, 17, 1]),
    features=st.sampled_from([5, 1, 20]),
    samples=st.sampled_from([9, 70, 8, 1, 0]),
    steps=st.sampled_from([9, 9, 1, 0]),
    size=0.12,
)


def moved(engine: Layer, call: LayerCase, which: int, seed: int) -> list[Tensor]:
    """How the results move when those leaves whose bit is set in ``which`` move at random."""
    random = torch.Generator().manual_seed(seed)
    leaves = iter(enumerate(call.leaves()))

    def dual(leaf: Tensor | None) -> Tensor | None:
        if leaf is None:
            return None
        number, leaf = next(leaves)
        direction = torch.randn(leaf.shape, generator=random, dtype=leaf.dtype)
        leaf = leaf.detach().requires_grad_()
        return forward_ad.make_dual(leaf, direction) if which >> number & 1 else leaf

    with forward_ad.dual_level():
        inputs = dual(call.inputs)
        state = State(*(dual(part) for part in call.state))
        weights = Weights(*(dual(part) for part in call.weights))
        outputs, final = engine(LayerCall(call.spec, weights, inputs, state, call.lengths, FULL))
        found = [forward_ad.unpack_dual(part) for part in (outputs, *final)]
    return [torch.zeros_like(pair.primal) if pair.tangent is None else pair.tangent.detach() for pair in found]


def assert_the_references(call: LayerCase, which: int, every: int, seed: int) -> None:
    expected = moved(reference.layer, call, which, seed)
    for lanes in LANES:
        found = moved(kernels(lanes, every), call, which, seed)
        for one, other in zip(found, expected, strict=True):
            assert distance([one], [other]) <= EXACT, lanes


@examples(150)
@given(layer_calls(), st.integers(1, 2**9 - 1), st.sampled_from([0, 1, 2, 5]), st.integers(0, 2**31 - 1))
def test_results_move_as_the_references_do(call: LayerCase, which: int, every: int, seed: int) -> None:
    assert_the_references(call, which, every, seed)


@pytest.mark.parametrize("name", _native.instruction_sets())
@examples(60)
@given(AWKWARD, st.sampled_from([2**9 - 1, 2**9 - 2]), st.sampled_from([0, 4]), st.integers(0, 2**31 - 1))
def test_they_do_for_awkward_shapes_and_on_every_instruction_set(
    name: str, call: LayerCase, which: int, every: int, seed: int
) -> None:
    with instructions(name):
        assert_the_references(call, which, every, seed)


def dual_outputs(lstm: LSTM, *, trained: bool = True) -> Tensor:
    weights = {
        name: forward_ad.make_dual(weight.detach().requires_grad_(trained), torch.ones_like(weight))
        for name, weight in lstm.named_parameters()
    }
    return torch.func.functional_call(lstm, weights, (torch.ones(3, 2, 1, dtype=torch.float64),))[0]


def test_what_the_kernels_cannot_follow_is_refused() -> None:
    torch.manual_seed(0)
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(dual_outputs(LSTM(1, 2, dtype=torch.float64, backend="native")))
        with pytest.raises(InputError, match="no derivatives of its own"):
            found.tangent.sum().backward()
        with pytest.raises(InputError, match="follows every path; expected gradient='full'"):
            dual_outputs(LSTM(1, 2, dtype=torch.float64, backend="native", gradient="truncated"))
        with pytest.raises(InputError, match="runs on a tape"):
            dual_outputs(LSTM(1, 2, dtype=torch.float64, backend="native"), trained=False)
