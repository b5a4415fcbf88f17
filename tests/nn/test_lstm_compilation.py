"""Compiled, a layer is one graph with the same answers and gradients."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from equivalence.engines import needs_kernels
from longlag import CellSpec, Network
from nn.layers import CELLS, PLAIN, assert_same, flat, layer, sequences

# inductor still uses them
pytestmark = [
    pytest.mark.costly,
    pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning"),
]


def assert_compiles(cell: CellSpec, ragged: bool, compiler: str) -> None:
    torch._dynamo.reset()
    lstm, values = layer(cell, num_layers=2), sequences()[:2].requires_grad_()
    hx = tuple(torch.rand_like(part).requires_grad_() for part in lstm.initial_state(3))
    given = {"lengths": torch.tensor([2, 0, 1]) if ragged else None}
    answers = []
    for run in (torch.compile(lstm, fullgraph=True, backend=compiler), lstm):
        parts = flat(run(values, hx, **given))
        wanted = [values, *hx, *lstm.parameters()]
        answers.append([*parts, *torch.autograd.grad(sum(part.square().sum() for part in parts), wanted)])
    assert_same(*answers, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("cell", [PLAIN, CELLS["peephole blocks"]], ids=["plain", "peephole blocks"])
def test_it_compiles_into_one_graph_with_the_same_answers_and_gradients(cell, ragged):
    assert_compiles(cell, ragged, "aot_eager")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.parametrize("cell", [PLAIN, CELLS["peephole blocks"]], ids=["plain", "peephole blocks"])
def test_inductor_compiles_it_with_the_same_answers_and_gradients(cell):
    assert_compiles(cell, True, "inductor")


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_a_model_compiled_without_fullgraph_has_no_break_at_a_layer(dynamic):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    lstm = layer(CELLS["peephole blocks"])
    model = torch.nn.Sequential(torch.nn.Linear(3, 3, dtype=torch.float64), lstm)
    compiled = torch.compile(model, backend="aot_eager", dynamic=dynamic)
    for samples in (3, 5):
        values = torch.randn(4, samples, 3, dtype=torch.float64)
        assert_same(flat(compiled(values)), flat(model(values)), rtol=0, atol=1e-12)
        compiled(values)[0].sum().backward()
    assert not torch._dynamo.utils.counters["graph_break"]


@needs_kernels
def test_a_layer_that_was_called_before_is_compiled_once_for_any_number_of_samples():
    torch._dynamo.reset()
    lstm, graphs = layer(CELLS["plain"]), []

    def backend(graph, _):
        graphs.append(graph)
        return graph

    compiled = torch.compile(lstm, backend=backend, dynamic=True)
    lstm(torch.randn(4, 5, 3, dtype=torch.float64))
    for samples in (6, 5, 7):
        values = torch.randn(4, samples, 3, dtype=torch.float64)
        assert_same(flat(compiled(values)), flat(lstm(values)), rtol=0, atol=1e-12)
    assert len(graphs) == 1


# where torch goes on after a break, it looks at the gradient of every tensor
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("network", [False, True], ids=["layer", "network"])
def test_a_compiled_model_takes_a_packed_sequence_with_the_same_answers_and_gradients(network: bool):
    torch._dynamo.reset()
    lstm = layer(CELLS["peephole blocks"], num_layers=1 if network else 2, bidirectional=True)
    model = Network(lstm, 2) if network else lstm
    packed = pack_sequence([torch.randn(steps, 3, dtype=torch.float64) for steps in (2, 4, 1)], enforce_sorted=False)
    full = pack_sequence([torch.randn(4, 3, dtype=torch.float64) for _ in range(2)])
    for batch in (packed, full):
        results = []
        for run in (model, torch.compile(model, backend="aot_eager")):
            values = batch.data.clone().requires_grad_()
            outputs, state = run(PackedSequence(values, *batch[1:]))
            assert torch.equal(outputs.batch_sizes, batch.batch_sizes)
            parts = [outputs.data, *state]
            total = sum(part.square().sum() for part in parts)
            results.append([*parts, *torch.autograd.grad(total, [values, *model.parameters()])])
        assert_same(*results, rtol=0, atol=1e-12)
