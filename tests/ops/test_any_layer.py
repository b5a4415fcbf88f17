"""The operator of any layer: checked by PyTorch, one node of a graph, with the answers and gradients of eager calls."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from equivalence.compare import EXACT, distance
from equivalence.engines import automatic
from equivalence.specs import PATHS
from longlag import LSTM, CellSpec
from longlag.errors import InputError
from longlag.ops import reference, select
from longlag.ops.engine import CallOptions, LayerCall, Request
from longlag.ops.layer import State
from longlag.ops.paths import FULL, GradientPaths
from ops.examples import CELLS, example

# torch's own forward-mode rules use them
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning")

LAYERS = {
    "plain": {},
    "projected": {"proj_size": 2},
    "peepholes": {"cell": CellSpec(peepholes=True), "checkpoint_every": 3},
    "gate recurrence, both directions": {
        "cell": CellSpec.batch2013(),
        "bidirectional": True,
        "num_layers": 2,
    },
}


def through_the_operator(call: LayerCall) -> tuple[Tensor, State]:
    return select.ANY_LAYER.run(call)


def short_floats(name: str) -> LSTM:
    torch.manual_seed(3)
    return LSTM(3, 4, **LAYERS[name], dtype=torch.bfloat16)


# -- the operator ----------------------------------------------------------------------------------------------------


@pytest.mark.costly
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["plain", "1997", "2013"])
def test_torchs_own_check_passes_both_ways(name: str, dtype: torch.dtype) -> None:
    call = example(CELLS[name], dtype)
    tensors = [None if t is None else t.requires_grad_() for t in (call.inputs, *call.state, *call.weights)]
    for lengths, every in ((call.lengths, 0), (None, 2)):
        settings = (call.spec.text, True, True, every)
        # bfloat16 has no numerical gradient to compare with
        checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
        found = torch.library.opcheck(
            torch.ops.longlag.any_layer.default, (*tensors, lengths, *settings), test_utils=checks
        )
        assert set(found.values()) == {"SUCCESS"}
        for errors, wanted in (
            ([call.d_outputs, *call.d_state], [tensor is not None for tensor in tensors]),
            ([None, None, call.d_state.cells, None], [False, True] * 4 + [False]),
        ):
            plain = [None if tensor is None else tensor.detach() for tensor in tensors]
            arguments = (errors, [bool(w) and t is not None for w, t in zip(wanted, plain, strict=True)], *plain)
            found = torch.library.opcheck(
                torch.ops.longlag.any_layer_backward.default, (*arguments, lengths, *settings), test_utils=checks[:3]
            )
            assert set(found.values()) == {"SUCCESS"}


@pytest.mark.parametrize("paths", PATHS, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_its_gradients_are_the_reference_s(name: str, paths: GradientPaths) -> None:
    results = []
    for engine in (reference.layer, through_the_operator):
        call = example(CELLS[name])
        leaves = [leaf.requires_grad_() for leaf in call.leaves()]
        outputs, final = engine(call.along(paths))
        total = (outputs * call.d_outputs).sum() + (final.cells * call.d_state.cells.detach()).sum()
        plain = torch.autograd.grad(total, leaves, retain_graph=True, materialize_grads=True)
        gradients = torch.autograd.grad(total, leaves, create_graph=True, materialize_grads=True)
        again = torch.autograd.grad(sum(g.square().sum() for g in gradients), leaves, materialize_grads=True)
        results.append([outputs, *final, *plain, *gradients, *again])
    assert distance(results[1], results[0]) <= EXACT


def test_no_steps_and_a_state_that_stands_still_share_no_memory_with_the_arguments() -> None:
    call = example(CELLS["2013"])
    for inputs, lengths in ((call.inputs[:0], None), (call.inputs, torch.tensor([0, 0]))):
        arguments = (inputs, *call.state, *call.weights)
        results = torch.ops.longlag.any_layer(*arguments, lengths, call.spec.text, True, True, 0)
        addresses = [t.data_ptr() for t in (*arguments, *results) if t is not None and t.numel()]
        assert len(set(addresses)) == len(addresses)
        assert all(torch.equal(one, other) for one, other in zip(results[1:], call.state, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": torch.tensor([3, 200_000])}, "lengths is"),
        ({"lengths": torch.tensor([3])}, "lengths is"),
        ({"inputs": torch.zeros(3, 2, 2)}, "output is"),  # float32 beside float64
        ({"inputs": torch.zeros(3, 2, 5, dtype=torch.float64)}, "weight_input is"),
        ({"inputs": torch.zeros(2, 2, dtype=torch.float64)}, "inputs is"),
        ({"inputs": torch.zeros(3, 2, 2, dtype=torch.complex64)}, "inputs is"),
        ({"every": -1}, "every -1"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(change, message) -> None:
    call = example(CellSpec())
    arguments = {"inputs": call.inputs, "lengths": call.lengths, "every": 0} | change
    rest = (*call.state, *call.weights, arguments["lengths"], call.spec.text, True, True, arguments["every"])
    with pytest.raises(InputError, match=message):
        torch.ops.longlag.any_layer(arguments["inputs"], *rest)
    errors = [call.d_outputs, *call.d_state]
    with pytest.raises(InputError, match=message):
        torch.ops.longlag.any_layer_backward(errors, [True] * 7 + [False] * 2, arguments["inputs"], *rest)
    with pytest.raises(InputError, match="expected 4 and 9"):
        torch.ops.longlag.any_layer_backward(errors[:3], [True] * 9, arguments["inputs"], *rest)


# -- "auto" ----------------------------------------------------------------------------------------------------------


@pytest.mark.costly
@automatic
@pytest.mark.parametrize("name", LAYERS)
def test_a_compiled_layer_in_bfloat16_is_a_few_nodes_however_long_the_sequences(name: str) -> None:
    # Unrolled, T = 256 steps were 5,139 nodes.
    torch._dynamo.reset()
    nodes = []

    def count(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        nodes.append(len(graph.graph.nodes))
        return graph

    lstm, values = short_floats(name), torch.randn(256, 2, 3, dtype=torch.bfloat16)
    with torch.no_grad():
        torch.compile(lstm, backend=count, fullgraph=True)(values)
    assert len(nodes) == 1
    assert nodes[0] < 60


@pytest.mark.costly
@automatic
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("name", LAYERS)
def test_compiled_answers_and_gradients_in_bfloat16_are_those_of_the_eager_call(name: str, ragged: bool) -> None:
    torch._dynamo.reset()
    lstm, values = short_floats(name), torch.randn(7, 3, 3, dtype=torch.bfloat16, requires_grad=True)
    hx = tuple(torch.rand_like(part).requires_grad_() for part in lstm.initial_state(3))
    results = []
    for run in (lstm, torch.compile(lstm, backend="aot_eager", fullgraph=True)):
        outputs, state = run(values, hx, lengths=torch.tensor([7, 0, 2]) if ragged else None)
        total = outputs.square().sum() + sum(part.square().sum() for part in state)
        results.append([outputs, *state, *torch.autograd.grad(total, [values, *hx, *lstm.parameters()])])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*results, strict=True))


@automatic
def test_an_exported_layer_in_bfloat16_holds_the_operator_and_answers_the_same() -> None:
    lstm, values = short_floats("peepholes"), torch.randn(5, 2, 3, dtype=torch.bfloat16)
    exported = torch.export.export(lstm, (values,))
    assert "longlag.any_layer" in str(exported.graph)
    with torch.no_grad():
        assert torch.equal(exported.module()(values)[0], lstm(values)[0])


@pytest.mark.costly
@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_an_engine_that_somebody_named_is_compiled_as_it_is(backend: str) -> None:
    torch._dynamo.reset()
    lstm, values = LSTM(3, 4, backend=backend, dtype=torch.bfloat16), torch.randn(4, 2, 3, dtype=torch.bfloat16)
    targets: list[str] = []

    def note(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        targets.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    outputs = torch.compile(lstm, backend=note)(values)[0]
    assert targets
    assert not any("longlag" in target for target in targets)
    torch.testing.assert_close(outputs, lstm(values)[0], rtol=0, atol=0.01)


def test_gradients_sample_by_sample_are_no_operator_s() -> None:
    call = example(CellSpec(), torch.bfloat16)
    request = Request(call.spec, FULL, call.inputs, 2, (), CallOptions(per_sample=[]))
    assert select.ANY_LAYER.refuses(request) == "gives no gradients sample by sample"
