"""What optimisers see: objectives of the waist bound to samples, and numerical curvature."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from longlag import LSTM, Network, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import NetworkObjective
from longlag.nn import SquaredError
from longlag.optim import BoundObjective, HessianFreeMethod, LBFGSMethod, SeparateCurvature, minimise
from longlag.optim.counting import CountingFunction, EvaluationCounter
from longlag.optim.function import curvature_of
from longlag.optim.numerical import NumericalHessian
from optim.problems import LeastSquares, Matrix, Smooth, rosenbrock, rosenbrock_residuals, vector

# torch's forward mode compiles its decompositions with torch.jit on first use.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


class Fit:
    """An objective of the waist, to fit a line: samples are (x, y)."""

    def residuals(self, samples: tuple[Tensor, Tensor]) -> LeastSquares:
        x, y = samples
        return LeastSquares(lambda theta: theta[0] * x + theta[1] - y)

    def value(self, theta: Tensor, samples: tuple[Tensor, Tensor]) -> float:
        return self.residuals(samples).value(theta)

    def value_and_gradient(self, theta: Tensor, samples: tuple[Tensor, Tensor]) -> tuple[float, Tensor]:
        return self.residuals(samples).value_and_gradient(theta)

    def curvature_product(self, theta: Tensor, v: Tensor, samples: tuple[Tensor, Tensor]) -> Tensor:
        return self.residuals(samples).curvature(theta) @ v


class FitWithCurvature(Fit):
    def curvature(self, theta: Tensor, samples: tuple[Tensor, Tensor], structural: float = 0.0) -> Matrix:
        matrix = self.residuals(samples).curvature(theta).matrix
        return Matrix(matrix + structural * torch.eye(2, dtype=torch.float64), is_stored=True)


SAMPLES = (vector(7, 0), vector(7, 1))


def test_bound_asks_the_objective_about_its_samples() -> None:
    function, expected, theta = BoundObjective(Fit(), SAMPLES), Fit().residuals(SAMPLES), vector(2, 2)
    assert function.value(theta) == expected.value(theta)
    assert torch.equal(function.value_and_gradient(theta)[1], expected.value_and_gradient(theta)[1])


def test_without_a_curvature_of_its_own_the_objectives_products_are_used() -> None:
    theta, expected = vector(2, 2), Fit().residuals(SAMPLES).curvature(vector(2, 2)).matrix
    curvature = BoundObjective(Fit(), SAMPLES).curvature(theta)
    torch.testing.assert_close(curvature @ theta, expected @ theta)
    torch.testing.assert_close(curvature.dense(), expected)
    assert curvature.diagonal() is None
    assert not curvature.is_stored


def test_an_objectives_own_curvature_is_preferred() -> None:
    curvature = BoundObjective(FitWithCurvature(), SAMPLES).curvature(vector(2, 2))
    assert curvature.is_stored
    assert curvature.diagonal() is not None


def test_structural_damping_reaches_an_objective_that_offers_it() -> None:
    theta = vector(2, 2)
    function = CountingFunction(
        SeparateCurvature(BoundObjective(Fit(), SAMPLES), BoundObjective(FitWithCurvature(), SAMPLES)),
        EvaluationCounter(),
    )
    plain, damped = curvature_of(function, theta).dense(), curvature_of(function, theta, 0.5).dense()
    torch.testing.assert_close(damped - plain, 0.5 * torch.eye(2, dtype=torch.float64))


@pytest.mark.parametrize("wrapped", [False, True])
def test_structural_damping_is_refused_where_it_is_not_offered(wrapped: bool) -> None:
    function = (
        CountingFunction(BoundObjective(Fit(), SAMPLES), EvaluationCounter())
        if wrapped
        else LeastSquares(rosenbrock_residuals)
    )
    with pytest.raises(InputError, match="takes no 'structural'; expected a function that can damp"):
        curvature_of(function, vector(2, 0), 0.5)


def test_a_separate_curvature_comes_from_the_second_function() -> None:
    one, other, theta = Smooth(rosenbrock), LeastSquares(rosenbrock_residuals), vector(3, 0)
    both = SeparateCurvature(one, other)
    assert both.value(theta) == one.value(theta)
    assert torch.equal(both.value_and_gradient(theta)[1], one.value_and_gradient(theta)[1])
    assert torch.equal(both.curvature(theta).dense(), other.curvature(theta).matrix)


def test_the_numerical_hessian_is_autograds() -> None:
    function, theta = Smooth(rosenbrock), vector(5, 0)
    exact = torch.autograd.functional.hessian(rosenbrock, theta)
    numerical = NumericalHessian(function, theta)
    torch.testing.assert_close(numerical.dense(), exact, rtol=0, atol=1e-5)
    torch.testing.assert_close(numerical @ (1e-8 * vector(5, 1)), exact @ (1e-8 * vector(5, 1)), rtol=0, atol=1e-12)
    assert torch.equal(numerical @ torch.zeros_like(theta), torch.zeros_like(theta))
    assert numerical.diagonal() is None


def lstm_objective() -> tuple[NetworkObjective, SequenceBatch]:
    network = Network(LSTM(2, 2, dtype=torch.float64), 1)
    inputs = [torch.randn(steps, 2, dtype=torch.float64) for steps in (4, 6, 5)]
    targets = [sequence.cumsum(0)[:, :1] for sequence in inputs]
    return NetworkObjective(network, SquaredError()), SequenceBatch.every_step(inputs, targets)


@pytest.mark.costly
@pytest.mark.parametrize("method", [LBFGSMethod(), HessianFreeMethod(damping=0.1)])
def test_a_network_is_trained_through_the_waist(method: LBFGSMethod | HessianFreeMethod) -> None:
    objective, batch = lstm_objective()
    theta = objective.theta
    result = minimise(method, BoundObjective(objective, batch), theta, max_iterations=15)  # type: ignore[misc]
    assert result.value < 0.2 * objective.value(theta, batch)
    assert objective.value(result.theta, batch) == result.value
