"""NetworkObjective: a network's loss as a function of one flat vector, its gradient and its Gauss-Newton matrix."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.func import functional_call, hessian, jacrev

from equivalence.compare import distance
from equivalence.specs import Problem, problems
from longlag.gradients import Backpropagation, NetworkObjective
from longlag.nn import CrossEntropy, GaussianNLL, SquaredError
from longlag.ops.paths import FULL, TRUNCATED
from property_examples import examples

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def gauss_newton(problem: Problem) -> Tensor:
    """J' H J with both factors written out in full: J outputs by weights, H the loss's Hessian by outputs."""
    network, loss, batch = copy.deepcopy(problem.network), problem.loss, problem.batch
    network.lstm.batch_first, network.lstm.backend = False, "reference"
    named = dict(network.named_parameters())
    sizes = [weight.numel() for weight in named.values()]

    def outputs(theta: Tensor) -> Tensor:
        parts = zip(named.items(), theta.split(sizes), strict=True)
        weights = {name: part.view(weight.shape) for (name, weight), part in parts}
        return functional_call(network, weights, (batch.inputs,), {"lengths": batch.lengths, "paths": FULL})[0]

    theta = torch.cat([weight.detach().flatten() for weight in named.values()])
    answers = outputs(theta)
    if not answers.numel():
        return theta.new_zeros(len(theta), len(theta))
    jacobian = jacrev(outputs)(theta).flatten(0, -2)
    curvature = hessian(lambda flat: loss(flat.view_as(answers), batch))(answers.flatten())
    return jacobian.T @ curvature @ jacobian


@examples(200)
@given(problems(kinds=(SquaredError, CrossEntropy, GaussianNLL), bidirectional=True))
def test_the_curvature_product_is_that_of_the_dense_gauss_newton_matrix(problem: Problem) -> None:
    objective, matrix = NetworkObjective(problem.network, problem.loss), gauss_newton(problem)
    theta, random = objective.theta, torch.Generator().manual_seed(0)
    v, w = torch.randn(2, len(theta), generator=random, dtype=theta.dtype)
    at_v, at_w = (objective.curvature_product(theta, each, problem.batch) for each in (v, w))
    assert distance([at_v, at_w], [matrix @ v, matrix @ w]) <= 1e-10
    assert distance([w @ at_v], [v @ at_w]) <= 1e-10  # symmetric
    if not isinstance(problem.loss, GaussianNLL):  # convex in the outputs
        assert float(v @ at_v) >= 0.0
        assert float(torch.linalg.eigvalsh(matrix)[0]) >= -1e-12 * max(1.0, float(matrix.abs().max()))


@examples(200)
@given(problems())
def test_theta_value_and_gradient_are_the_networks_laid_end_to_end(problem: Problem) -> None:
    network, loss, batch = problem.network, problem.loss, problem.batch
    engine = Backpropagation(TRUNCATED)
    objective = NetworkObjective(copy.deepcopy(network), loss, engine)
    theta = objective.theta
    assert torch.equal(theta, torch.cat([weight.detach().flatten() for weight in network.parameters()]))
    objective.assign(torch.zeros_like(theta))
    assert not any(bool(weight.any()) for weight in objective.network.parameters())
    value, gradient = objective.value_and_gradient(theta, batch)
    assert torch.equal(objective.theta, theta)
    expected = engine.value_and_gradient(network, loss, batch)
    assert value == float(expected[0])
    assert torch.equal(gradient, torch.cat([part.flatten() for part in expected[1]]))
    objective.assign(torch.zeros_like(theta))
    assert objective.value(theta, batch) == pytest.approx(value, rel=1e-12, abs=1e-12)


@examples(20)
@given(problems(kinds=(SquaredError,)))
def test_frozen_parameters_are_no_part_of_theta(problem: Problem) -> None:
    network, loss, batch = problem.network, problem.loss, problem.batch
    whole = gauss_newton(problem)
    free = torch.cat([torch.full((weight.numel(),), "hh" not in name) for name, weight in network.named_parameters()])
    for name, weight in network.named_parameters():
        weight.requires_grad_("hh" not in name)
    objective = NetworkObjective(network, loss)
    theta = objective.theta
    assert len(theta) == network.weight_count() == int(free.sum())
    product = objective.curvature_product(theta, torch.ones_like(theta), batch)
    assert distance([product], [whole[free][:, free].sum(1)]) <= 1e-10
    assert objective.value_and_gradient(theta, batch)[1].shape == theta.shape
