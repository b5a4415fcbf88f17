"""Full gradient: by hand = autograd = forward mode = finite differences. Truncated: by hand = cut graph = forward."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call, vmap

from equivalence.compare import distance
from equivalence.specs import Problem, problems
from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.gradients import RTRL, Backpropagation, Gradient, GradientEngine
from longlag.nn import CrossEntropy, GaussianNLL, MeanSquaredError, SquaredError
from longlag.ops.paths import FULL, TRUNCATED, GradientPaths
from property_examples import examples

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

EXACT = 1e-10
PLAIN = [CellSpec(biases="double"), CellSpec(biases="single"), CellSpec(biases="gates")]


def answer(problem: Problem, engine: GradientEngine, backend: str | None = None) -> tuple[Tensor, Gradient]:
    network = copy.deepcopy(problem.network)
    network.lstm.backend = network.lstm.backend if backend is None else backend
    return engine.value_and_gradient(network, problem.loss, problem.batch)


def assert_same(found: tuple[Tensor, Gradient], expected: tuple[Tensor, Gradient]) -> None:
    assert distance([found[0]], [expected[0]]) <= EXACT
    assert distance(found[1], expected[1]) <= EXACT


# ---------------------------------------------------------------- every path


@examples(200)
@given(problems(bidirectional=True))
def test_backward_by_hand_is_what_autograd_finds(problem: Problem) -> None:
    assert_same(answer(problem, Backpropagation(), "bptt"), answer(problem, Backpropagation(), "reference"))


@examples(200)
@given(problems(specs=st.sampled_from(PLAIN), bidirectional=True))
def test_the_plain_cell_on_pytorchs_kernels_has_the_same_gradient(problem: Problem) -> None:
    assert_same(answer(problem, Backpropagation(), "torch"), answer(problem, Backpropagation(), "reference"))


@examples(200)
@given(problems())
def test_forward_mode_finds_what_the_backward_pass_finds(problem: Problem) -> None:
    assert_same(answer(problem, RTRL()), answer(problem, Backpropagation()))


def slopes(problem: Problem, step: float = 1e-3) -> list[Tensor]:
    """Differences of fourth order, for all weights at once: [8 (L(h) - L(-h)) - (L(2h) - L(-2h))] / 12 h."""
    network, batch = copy.deepcopy(problem.network), problem.batch
    network.lstm.batch_first, network.lstm.backend = False, "reference"
    named = dict(network.named_parameters())
    sizes = [weight.numel() for weight in named.values()]
    theta = torch.cat([weight.detach().flatten() for weight in named.values()])

    def value(at: Tensor) -> Tensor:
        parts = zip(named.items(), at.split(sizes), strict=True)
        weights = {name: part.view(weight.shape) for (name, weight), part in parts}
        outputs, _ = functional_call(network, weights, (batch.inputs,), {"lengths": batch.lengths})
        return problem.loss(outputs, batch)

    each = step * torch.eye(len(theta), dtype=theta.dtype)
    with torch.no_grad():
        near, far = (vmap(value)(theta + n * each) - vmap(value)(theta - n * each) for n in (1, 2))
    found = (8 * near - far) / (12 * step)
    return [part.view(weight.shape) for part, weight in zip(found.split(sizes), named.values(), strict=True)]


@examples(200)
@given(problems(kinds=(SquaredError, MeanSquaredError, CrossEntropy, GaussianNLL), bidirectional=True))
def test_the_full_gradient_is_the_slope_of_the_loss(problem: Problem) -> None:
    # Rounding leaves eps |L| / h = 2e-13 |L|; the stencil h^4 / 30 = 3e-14 of the fifth derivative, which is large
    # where gates are sharp and the Gaussian narrow: hence 1e-6. The quantile loss has kinks, so no slope there.
    assert distance(answer(problem, Backpropagation())[1], slopes(problem)) <= 1e-6


# ---------------------------------------------------------------- the 1997 rule


@examples(200)
@given(problems())
def test_the_truncated_gradient_is_one_by_hand_on_the_cut_graph_and_in_forward_mode(problem: Problem) -> None:
    expected = answer(problem, Backpropagation(TRUNCATED), "reference")
    assert_same(answer(problem, Backpropagation(TRUNCATED), "bptt"), expected)
    assert_same(answer(problem, RTRL(TRUNCATED)), expected)


def cut_between_steps(problem: Problem) -> tuple[Tensor, Gradient]:
    """An oracle that knows no GradientPaths: one step per call, and only the cells' states keep their history."""
    network, batch = copy.deepcopy(problem.network), problem.batch
    network.lstm.backend = "reference"
    state, outputs = network.lstm.initial_state(len(batch)), []
    for t in range(batch.inputs.shape[0]):
        now, state = network.respond(batch.window(t, t + 1), state, paths=FULL)
        state = (state[0].detach(), state[1], *(gates.detach() for gates in state[2:]))
        outputs.append(now)
    value = problem.loss(torch.cat(outputs) if outputs else network.respond(batch)[0], batch)
    wanted = list(network.parameters())
    return value, torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)


@examples(200)
@given(problems())
def test_cutting_the_recurrent_path_is_detaching_outputs_and_gates_between_steps(problem: Problem) -> None:
    expected = cut_between_steps(problem)
    assert_same(answer(problem, Backpropagation(GradientPaths(recurrent=False)), "bptt"), expected)
    if not problem.network.lstm.cell.peepholes:
        assert_same(answer(problem, Backpropagation(TRUNCATED)), expected)


def test_each_cut_changes_the_gradient() -> None:
    """Where nothing were ever cut, or everything always, the other tests here would pass all the same."""
    network = Network(LSTM(2, 4, cell=CellSpec(peepholes=True, gate_recurrence=True), dtype=torch.float64), 1)
    sequence, target = torch.randn(5, 2, dtype=torch.float64), torch.randn(1, 1, dtype=torch.float64)
    problem = Problem(network, SquaredError(), SequenceBatch.last_step([sequence], target))
    paths = [FULL, TRUNCATED, dataclasses.replace(FULL, recurrent=False), dataclasses.replace(FULL, peepholes=False)]
    gradients = [answer(problem, Backpropagation(each))[1] for each in paths]
    for number, one in enumerate(gradients):
        for other in gradients[:number]:
            assert distance(one, other) > 1e-5
