"""A large batch is taken in parts: the sum of their gradients is the gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given

from equivalence.compare import distance
from equivalence.specs import Problem, problems
from longlag.data.sequences import SequenceBatch
from longlag.gradients import Backpropagation, backpropagation
from longlag.nn import LSTM, CrossEntropy, SquaredError
from longlag.nn.network import Network
from property_examples import examples


@examples(60)
@given(problems(kinds=(SquaredError, CrossEntropy), bidirectional=True))
def test_parts_add_up_to_the_whole(problem: Problem) -> None:
    engine = Backpropagation()
    value, gradient = engine.value_and_gradient(problem.network, problem.loss, problem.batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backpropagation, "LEAST", 2)
        patch.setattr(backpropagation, "KEPT", 0)
        parts = _sizes_seen(patch)
        found, sums = engine.value_and_gradient(problem.network, problem.loss, problem.batch)
    assert sum(parts) == len(problem.batch)
    assert max(parts, default=0) <= 2
    assert float(found) == pytest.approx(float(value), rel=1e-12, abs=1e-300)
    assert distance(sums, gradient) <= 1e-10


def _sizes_seen(patch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    respond = Network.respond

    def watched(network: Network, batch: SequenceBatch, *rest: object, **options: object) -> object:
        sizes.append(len(batch))
        return respond(network, batch, *rest, **options)  # type: ignore[arg-type]

    patch.setattr(Network, "respond", watched)
    return sizes


def test_a_slice_is_the_chosen_sequences_at_full_length() -> None:
    batch = SequenceBatch.last_step([torch.randn(n, 2) for n in (3, 5, 1, 4)], torch.randn(4, 1))
    part = batch.slice(1, 3)
    assert part.inputs.shape == (5, 2, 2)
    assert part.lengths.tolist() == [5, 1]
    assert torch.equal(part.inputs, batch.inputs[:, 1:3])
    assert part.inputs.data_ptr() == batch.inputs[:, 1:3].data_ptr()
    assert torch.equal(part.targets, batch.targets[:, 1:3])
    assert torch.equal(part.target_mask, batch.target_mask[:, 1:3])


def test_small_batches_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:

    network = Network(LSTM(2, 3), 1)
    batch = SequenceBatch.last_step([torch.randn(4, 2) for _ in range(backpropagation.LEAST)], torch.randn(512, 1))
    sizes = _sizes_seen(monkeypatch)
    Backpropagation().value_and_gradient(network, SquaredError(), batch)
    assert sizes == [512]
