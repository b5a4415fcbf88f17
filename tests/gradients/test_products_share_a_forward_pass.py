"""Products with one curvature share its forward pass, and are the same bits as products that do not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from torch import Tensor

from equivalence.engines import needs_kernels
from equivalence.specs import Problem, problems
from longlag.data.sequences import SequenceBatch
from longlag.gradients import NetworkObjective, jacobian
from longlag.nn import LSTM, Network, SquaredError
from longlag.ops import native
from property_examples import examples

pytestmark = [
    needs_kernels,
    # torch's own, when forward-mode differentiation is first used
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def no_stored_jacobian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jacobian, "PASSES", 0)


def directions(theta: Tensor, count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(len(theta), generator=generator, dtype=theta.dtype) for _ in range(count)]


@pytest.mark.costly
@examples(60)
@given(problems(kinds=(SquaredError,), bidirectional=True))
def test_they_are_the_same_bits(problem: Problem) -> None:
    objective = NetworkObjective(problem.network, problem.loss)
    theta = objective.theta
    for structural in (0.0, 0.5):
        curvature = objective.curvature(theta, problem.batch, structural=structural)
        for v in directions(theta, 3):
            alone = objective.curvature_product(theta, v, problem.batch, structural=structural)
            assert torch.equal(curvature @ v, alone)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    forward = native.forward

    def watched(*arguments: object) -> object:
        calls.append(1)
        return forward(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(native, "forward", watched)
    return calls


def small(**options: float) -> tuple[NetworkObjective, SequenceBatch]:
    torch.manual_seed(0)
    network = Network(LSTM(2, 3, 2, dtype=torch.float64, **options), 1).double()  # type: ignore[arg-type]
    batch = SequenceBatch.last_step(
        [torch.randn(5, 2, dtype=torch.float64)] * 3, torch.zeros(3, 1, dtype=torch.float64)
    )
    return NetworkObjective(network, SquaredError()), batch


def test_the_forward_pass_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    objective, batch = small()
    calls = counted(monkeypatch)
    curvature = objective.curvature(objective.theta, batch)
    for v in directions(objective.theta, 4):
        _ = curvature @ v
    assert len(calls) == 2  # one for each layer


def test_where_units_are_dropped_it_is_computed_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    objective, batch = small(dropout=0.5)
    calls = counted(monkeypatch)
    curvature = objective.curvature(objective.theta, batch)
    for v in directions(objective.theta, 4):
        _ = curvature @ v
    assert len(calls) == 8
    objective.network.eval()
    curvature = objective.curvature(objective.theta, batch)
    for v in directions(objective.theta, 4):
        _ = curvature @ v
    assert len(calls) == 10


def test_another_point_has_another_forward_pass() -> None:
    objective, batch = small()
    theta = objective.theta
    one, two = objective.curvature(theta, batch), objective.curvature(theta + 0.1, batch)
    (v,) = directions(theta, 1)
    first = one @ v
    _ = two @ v
    assert torch.equal(one @ v, first)
    assert torch.equal(two @ v, objective.curvature_product(theta + 0.1, v, batch))
