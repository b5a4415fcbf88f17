"""Truncated BPTT (k1, k2) against a graph cut by hand, one step per call."""

from __future__ import annotations

import copy

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from equivalence.compare import distance
from equivalence.specs import Problem, problems
from longlag import LSTM, Network, SequenceBatch
from longlag.gradients import Backpropagation, Gradient, TruncatedBPTT
from longlag.nn import Loss, SquaredError
from longlag.ops.paths import FULL
from property_examples import examples

EXACT = 1e-10
WINDOW = st.integers(1, 7)


def cut_by_hand(network: Network, loss: Loss, batch: SequenceBatch, k1: int, k2: int) -> tuple[Tensor, Gradient]:
    """One sequence at a time, one step per call: every answer comes from a graph that begins k2 steps before the
    end of its window, which is the next multiple of k1, or the sequence's end where that comes first.
    """
    network = copy.deepcopy(network)
    network.lstm.backend, network.lstm.batch_first = "reference", False
    columns = []
    for sample, length in enumerate(batch.lengths.tolist()):
        answers = list(network(batch.inputs[:, sample : sample + 1].detach().nan_to_num())[0].detach())
        for end in sorted({*range(k1, length, k1), length}):
            state = network.lstm.initial_state(1)
            for t in range(end):
                if t == end - k2:
                    state = tuple(part.detach() for part in state)
                output, state = network(batch.inputs[t : t + 1, sample : sample + 1], state, paths=FULL)
                if t >= (end - 1) // k1 * k1:  # an answer of this window
                    answers[t] = output[0] if t >= end - k2 else output[0].detach()
        columns.append(torch.stack(answers) if answers else network(batch.inputs[:, :1])[0])
    value = loss(torch.cat(columns, dim=1), batch)
    wanted = list(network.parameters())
    if not value.requires_grad:
        return value, tuple(torch.zeros_like(weight) for weight in wanted)
    return value, torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)


def assert_same(found: tuple[Tensor, Gradient], expected: tuple[Tensor, Gradient]) -> None:
    assert distance([found[0]], [expected[0]]) <= EXACT
    assert distance(found[1], expected[1]) <= EXACT


@examples(200)
@given(problems(), WINDOW, WINDOW)
def test_windows_are_those_of_a_graph_cut_by_hand(problem: Problem, k1: int, k2: int) -> None:
    network, loss, batch = problem.network, problem.loss, problem.batch
    found = TruncatedBPTT(k1, k2).value_and_gradient(network, loss, batch)
    assert_same(found, cut_by_hand(network, loss, batch, k1, k2))


@examples(200)
@given(problems(), WINDOW)
def test_looking_back_over_the_whole_sequence_is_the_full_gradient(problem: Problem, k1: int) -> None:
    network, loss, batch = problem.network, problem.loss, problem.batch
    engine = TruncatedBPTT(k1, max(1, batch.inputs.shape[0]))
    expected = Backpropagation().value_and_gradient(network, loss, batch)
    assert_same(engine.value_and_gradient(network, loss, batch), expected)


def test_every_kind_of_window_differs_from_the_full_gradient() -> None:
    """The cuts must be seen in the numbers, or the tests above would pass without any."""
    network = Network(LSTM(2, 3, dtype=torch.float64), 1)
    sequence, targets = torch.randn(7, 2, dtype=torch.float64), torch.randn(7, 1, dtype=torch.float64)
    batch = SequenceBatch.every_step([sequence], [targets])
    kinds = [(7, 7), (2, 3), (3, 3), (3, 2), (4, 1)]  # the whole; k1 < k2, k1 = k2, k1 > k2, with a last one shorter
    gradients = [TruncatedBPTT(*kind).value_and_gradient(network, SquaredError(), batch)[1] for kind in kinds]
    for number, one in enumerate(gradients):
        for other in gradients[:number]:
            assert distance(one, other) > 1e-4
