"""What a batch holds besides a sequence, padding or other sequences, changes nothing for that sequence."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from equivalence.compare import distance
from equivalence.specs import Problem, problems
from longlag import LSTM, Network, SequenceBatch
from longlag.gradients import RTRL, Backpropagation, GradientEngine, NetworkObjective, TruncatedBPTT
from longlag.nn import CrossEntropy, GaussianNLL, SquaredError
from longlag.ops.paths import TRUNCATED
from property_examples import examples

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

ENGINES: list[GradientEngine] = [
    Backpropagation(),
    Backpropagation(TRUNCATED),
    TruncatedBPTT(2, 2),
    TruncatedBPTT(1, 3),
    TruncatedBPTT(3, 1),
]
PADDING = st.sampled_from([float("nan"), float("inf"), -1e300, 7.0])


def padded_otherwise(batch: SequenceBatch, value: float, steps: int) -> SequenceBatch:
    """The same sequences with ``value`` in all padding and ``steps`` more of it; targets nobody asks for as well."""
    lengths, more = batch.lengths, torch.zeros(steps, len(batch), dtype=torch.bool)
    mask = torch.cat([batch.target_mask, more])
    inside = torch.arange(len(mask))[:, None] < lengths

    def stretch(values: Tensor, kept: Tensor) -> Tensor:
        filler = value if values.is_floating_point() else -1
        longer = torch.cat([values, values.new_zeros(steps, *values.shape[1:])])
        return torch.where(kept.view(*kept.shape, *[1] * (values.dim() - 2)), longer, filler)

    return SequenceBatch(stretch(batch.inputs, inside), lengths, stretch(batch.targets, mask), mask)


@examples(200)
@given(problems(bidirectional=True), PADDING, st.integers(0, 3))
def test_padding_changes_no_bit_of_a_value_or_gradient(problem: Problem, value: float, steps: int) -> None:
    network, loss, batch = problem.network, problem.loss, problem.batch
    other = padded_otherwise(batch, value, steps)
    for engine in ENGINES[:1] if network.lstm.bidirectional else ENGINES:
        expected, found = (engine.value_and_gradient(network, loss, each) for each in (batch, other))
        assert torch.equal(found[0], expected[0])
        assert all(torch.equal(one, another) for one, another in zip(found[1], expected[1], strict=True))


@pytest.mark.costly
@examples(50)
@given(problems(kinds=(CrossEntropy, GaussianNLL)), PADDING, st.integers(0, 3))
def test_padding_changes_no_bit_in_forward_mode_or_of_a_curvature_product(
    problem: Problem, value: float, steps: int
) -> None:
    network, loss, batch = problem.network, problem.loss, problem.batch
    other = padded_otherwise(batch, value, steps)
    expected, found = (RTRL().value_and_gradient(network, loss, each) for each in (batch, other))
    assert torch.equal(found[0], expected[0])
    assert all(torch.equal(one, another) for one, another in zip(found[1], expected[1], strict=True))
    objective = NetworkObjective(network, loss)
    theta = objective.theta
    one, another = (objective.curvature_product(theta, torch.ones_like(theta), each) for each in (batch, other))
    assert torch.equal(one, another)


@examples(200)
@given(problems(), st.sampled_from([*ENGINES, RTRL()]))
def test_a_batch_is_the_mean_of_its_sequences(problem: Problem, engine: GradientEngine) -> None:
    network, loss, batch = problem.network, problem.loss, problem.batch
    share = 1.0 if loss.reduction == "sum" else 1.0 / len(batch)
    whole = engine.value_and_gradient(network, loss, batch)
    each = [batch.select(torch.tensor([sample])) for sample in range(len(batch))]
    alone = [engine.value_and_gradient(network, loss, one) for one in each]
    assert distance([whole[0]], [share * sum(value for value, _ in alone)]) <= 1e-12
    gradients = zip(*(gradient for _, gradient in alone), strict=True)
    assert distance(whole[1], [share * sum(parts) for parts in gradients]) <= 1e-12


def test_other_inputs_do_change_the_answer() -> None:
    """The comparisons above would not notice an engine that reads nothing."""
    sequences, targets = [torch.randn(4, 1), torch.randn(2, 1)], torch.randn(2, 1)
    batch = SequenceBatch.last_step(sequences, targets, dtype=torch.float64)
    network = Network(LSTM(1, 2, dtype=torch.float64), 1)
    other = dataclasses.replace(batch, inputs=batch.inputs + 1e-3)
    for engine in ENGINES:
        one, another = (engine.value_and_gradient(network, SquaredError(), each) for each in (batch, other))
        assert not torch.equal(one[0], another[0])
