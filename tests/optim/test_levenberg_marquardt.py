"""Levenberg-Marquardt: minima against scipy, the damped step by hand, matrices that are none."""

from __future__ import annotations

import math

import pytest
import scipy.optimize
import torch
from torch import Tensor

from longlag.errors import InputError
from longlag.optim import Budget, LevenbergMarquardtMethod, Tolerances, minimise
from longlag.optim.levenberg_marquardt import LevenbergMarquardtState
from optim.problems import LeastSquares, Matrix, exponential_fit, rosenbrock_residuals, squares_lowest_at, vector
from optim.runs import start, with_and_without_a_file

CLOSE = Tolerances(gradient=1e-8, change=0.0)
START = torch.tensor([1.0, 0.3, 0.0], dtype=torch.float64)
each_scaling = pytest.mark.parametrize("scaling", ["diagonal", "identity"])
each_update = pytest.mark.parametrize("update", ["nielsen", "marquardt"])


def method_of(scaling: str = "diagonal", update: str = "nielsen", damping: float = 1e-3) -> LevenbergMarquardtMethod:
    return LevenbergMarquardtMethod(damping, scaling, update)  # type: ignore[arg-type]


@each_scaling
@each_update
@pytest.mark.parametrize("seed", range(3))
def test_it_finds_scipys_least_squares(scaling: str, update: str, seed: int) -> None:
    residuals = exponential_fit(seed)
    expected = scipy.optimize.least_squares(
        lambda x: residuals(torch.from_numpy(x)).numpy(), START.numpy(), method="lm", xtol=1e-15, ftol=1e-15
    )
    result = minimise(method_of(scaling, update), LeastSquares(residuals), START, tolerances=CLOSE)
    assert result.status == "converged"
    assert result.evaluations.matrices == len(result.history)
    assert result.evaluations.values == 0
    torch.testing.assert_close(result.theta, torch.from_numpy(expected.x), rtol=0, atol=1e-7)


@each_scaling
@each_update
def test_it_finds_rosenbrocks_minimum(scaling: str, update: str) -> None:
    result = minimise(method_of(scaling, update), LeastSquares(rosenbrock_residuals), start(), tolerances=CLOSE)
    assert result.status == "converged"
    torch.testing.assert_close(result.theta, torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-7)


@each_scaling
def test_the_step_solves_the_damped_system(scaling: str) -> None:
    function, method = LeastSquares(exponential_fit(0)), method_of(scaling, damping=0.3)
    state = method.start(function, START)
    matrix, gradient = function.curvature(START).matrix, state.gradient
    d = matrix.diagonal().diag() if scaling == "diagonal" else matrix.diagonal().max() * torch.eye(3).double()
    outcome = method.step(function, state)
    assert outcome.inner == 1
    torch.testing.assert_close(state.theta, START - torch.linalg.solve(matrix + 0.3 * d, gradient))


def test_with_diagonal_scaling_the_units_of_a_weight_do_not_matter() -> None:
    units = torch.tensor([1e3, 1.0, 1e-3], dtype=torch.float64)
    residuals = exponential_fit(0)
    plain = minimise(method_of(), LeastSquares(residuals), START, max_iterations=3, tolerances=CLOSE)
    scaled = minimise(
        method_of(), LeastSquares(lambda x: residuals(x / units)), START * units, max_iterations=3, tolerances=CLOSE
    )
    torch.testing.assert_close(scaled.theta / units, plain.theta, rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    ("gain", "factor"), [(1.0, 1 / 3), (1e200, 1 / 3), (0.5, 1.0), (0.0, 2.0), (0.25, 1 + 0.5**3), (0.75, 1 - 0.5**3)]
)
def test_nielsens_factor_by_hand(gain: float, factor: float) -> None:
    assert method_of()._less(7.0, gain) == pytest.approx(7 * factor)


def test_failed_trials_raise_the_damping_ever_faster() -> None:
    state = LevenbergMarquardtState(START, 0.0, START, damping=1.0, factor=2.0)
    found = []
    for _ in range(4):
        state.damping, state.factor = method_of()._more(state)
        found.append(state.damping)
    assert found == [2, 8, 64, 1024]
    assert method_of(update="marquardt")._more(LevenbergMarquardtState(START, 0.0, START, 3.0, 2.0)) == (30.0, 2.0)


def test_a_failed_step_restores_theta_bitwise_and_says_why() -> None:
    function = squares_lowest_at(START)
    method = LevenbergMarquardtMethod(max_trials=5)
    state = method.start(function, START)
    outcome = method.step(function, state)
    assert not outcome.moved
    assert outcome.stop is not None
    assert outcome.stop.status == "stalled"
    assert outcome.stop.reason.startswith("no lower point in 5 trials")
    assert torch.equal(state.theta, START)


def test_trials_that_are_not_finite_are_rejected() -> None:
    walled = LeastSquares(lambda x: exponential_fit(0)(x) + torch.where((x - START).norm() > 0.1, math.nan, 0.0))
    method = method_of()
    state = method.start(walled, START)
    outcome = method.step(walled, state)
    assert outcome.moved
    assert outcome.inner > 1
    assert state.theta.isfinite().all()
    assert state.value < walled.value(START)


class Given(LeastSquares):
    """Least squares with a curvature that is not its own."""

    matrix: Tensor

    def curvature(self, theta: Tensor) -> Matrix:
        return Matrix(self.matrix)


def test_an_indefinite_matrix_is_reported_and_outdamped() -> None:
    function = Given(exponential_fit(0))
    function.matrix = torch.diag(torch.tensor([1.0, 1.0, -3.0], dtype=torch.float64))
    method = method_of("identity")
    state = method.start(function, START)
    outcome = method.step(function, state)
    assert "was not positive definite in" in outcome.note
    assert outcome.moved
    assert outcome.damping is not None
    assert outcome.damping > 3


def test_a_matrix_that_is_not_finite_stops_it() -> None:
    function = Given(exponential_fit(0))
    function.matrix = torch.full((3, 3), math.nan, dtype=torch.float64)
    result = minimise(method_of(), function, START)
    assert (result.status, result.reason) == ("stalled", "the curvature is not finite")
    assert torch.equal(result.theta, START)


def test_a_weight_without_influence_stays_where_it_is() -> None:
    residuals = exponential_fit(0)
    theta = torch.cat([START, torch.tensor([5.0], dtype=torch.float64)])
    result = minimise(method_of(), LeastSquares(lambda x: residuals(x[:3])), theta, tolerances=CLOSE)
    assert result.status == "converged"
    assert float(result.theta[3]) == 5.0


@pytest.mark.parametrize("limit", range(1, 9))
def test_a_budget_is_kept(limit: int) -> None:
    function = LeastSquares(exponential_fit(0))
    result = minimise(method_of(), function, START, budget=Budget(limit), tolerances=CLOSE)
    assert result.evaluations.total == limit
    assert result.evaluations.gradients == len(function.asked)
    assert result.status == "budget"


def test_a_state_that_was_saved_goes_on_bit_by_bit() -> None:
    state, again = with_and_without_a_file(method_of(), LeastSquares(rosenbrock_residuals), vector(4, 0), 4)
    assert torch.equal(again.theta, state.theta)
    assert again.damping == state.damping


@pytest.mark.parametrize("options", [{"damping": 0.0}, {"scaling": "trace"}, {"update": "lm"}, {"max_trials": 0}])
def test_bad_options_are_refused_in_one_sentence(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"^LevenbergMarquardt: \w+ is .*; expected "):
        LevenbergMarquardtMethod(**options)  # type: ignore[arg-type]
