"""The stored Jacobian's matrix is the dense Gauss-Newton matrix, for any network, loss and batch that it takes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given

from equivalence.compare import distance
from equivalence.engines import needs_kernels
from equivalence.specs import Problem, problems
from equivalence.test_objective import gauss_newton
from longlag.gradients import Backpropagation, NetworkObjective, jacobian
from longlag.gradients.jacobian import StoredJacobian
from longlag.nn import CrossEntropy, GaussianNLL, SquaredError
from longlag.ops.paths import TRUNCATED
from property_examples import examples

pytestmark = [
    needs_kernels,
    # torch's own, when forward-mode differentiation is first used
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def many_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jacobian, "PASSES", 1000)


@examples(150)
@given(problems(kinds=(SquaredError, CrossEntropy, GaussianNLL), bidirectional=True))
def test_the_stored_matrix_is_the_dense_one(problem: Problem) -> None:
    assume(bool(problem.batch.target_mask.any()))
    objective, matrix = NetworkObjective(problem.network, problem.loss), gauss_newton(problem)
    theta = objective.theta
    found = objective.curvature(theta, problem.batch)
    assert isinstance(found, StoredJacobian)
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0), dtype=theta.dtype)
    assert distance([found.dense()], [matrix]) <= 1e-10
    assert distance([found @ v], [matrix @ v]) <= 1e-10
    assert distance([found.diagonal()], [matrix.diagonal()]) <= 1e-10


@examples(50)
@given(problems(kinds=(SquaredError, CrossEntropy, GaussianNLL), bidirectional=True))
def test_value_and_gradient_come_with_it(problem: Problem) -> None:
    assume(bool(problem.batch.target_mask.any()))
    objective = NetworkObjective(problem.network, problem.loss)
    value, gradient = objective.value_and_gradient(objective.theta, problem.batch)
    found = objective.linearise(objective.theta, problem.batch)
    assert isinstance(found.curvature, StoredJacobian)
    assert found.value == pytest.approx(value, rel=1e-12)
    assert distance([found.gradient], [gradient]) <= 1e-10


@examples(20)
@given(problems(kinds=(SquaredError,)))
def test_a_cut_gradient_stays_the_engines_own(problem: Problem) -> None:
    objective = NetworkObjective(problem.network, problem.loss, Backpropagation(TRUNCATED))
    value, gradient = objective.value_and_gradient(objective.theta, problem.batch)
    found = objective.linearise(objective.theta, problem.batch)
    assert found.curvature is None
    assert found.value == value
    assert torch.equal(found.gradient, gradient)


@examples(20)
@given(problems(kinds=(SquaredError,)))
def test_frozen_parameters_have_no_columns(problem: Problem) -> None:
    assume(bool(problem.batch.target_mask.any()))
    whole, network = gauss_newton(problem), problem.network
    free = torch.cat([torch.full((weight.numel(),), "hh" not in name) for name, weight in network.named_parameters()])
    for name, weight in network.named_parameters():
        weight.requires_grad_("hh" not in name)
    objective = NetworkObjective(network, problem.loss)
    found = objective.curvature(objective.theta, problem.batch)
    assert distance([found.dense()], [whole[free][:, free]]) <= 1e-10
