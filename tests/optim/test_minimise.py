"""The driver: every end has its reason, and the history says what happened."""

from __future__ import annotations

import math

import pytest
import torch

from longlag.errors import InputError
from longlag.optim import Budget, CGMethod, LBFGSMethod, Record, Tolerances
from longlag.optim import minimise as minimise_with
from longlag.optim.minimise import Method, State
from longlag.optimizers import build, names
from optim.problems import LeastSquares, Smooth, rosenbrock, rosenbrock_residuals, vector

METHODS = [build(name) for name in names(methods=True)]
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
START = torch.tensor([-1.2, 1.0], dtype=torch.float64)


def function() -> LeastSquares:
    return LeastSquares(rosenbrock_residuals)


@each_method
def test_a_flat_start_is_converged_before_any_iteration(method: Method[State]) -> None:
    result = minimise_with(method, function(), torch.ones(2, dtype=torch.float64))
    assert result.status == "converged"
    assert result.reason == "no derivative is larger than 1e-05"
    assert result.history == ()
    assert result.evaluations.total == 1


@each_method
def test_iterations_are_limited(method: Method[State]) -> None:
    result = minimise_with(method, function(), START, max_iterations=2)
    assert (result.status, result.reason) == ("budget", "all 2 iterations were used")
    assert len(result.history) == 2
    none = minimise_with(method, function(), START, max_iterations=0)
    assert torch.equal(none.theta, START)


@each_method
def test_the_callback_may_stop_it(method: Method[State]) -> None:
    seen = []

    def callback(record: Record, state: State) -> bool:
        seen.append(state.value)
        return record.iteration == 3

    result = minimise_with(method, function(), START, callback=callback)
    assert (result.status, result.reason) == ("stopped", "the callback stopped it after iteration 3")
    assert seen == [record.value for record in result.history]


@each_method
def test_too_little_progress_is_a_stall(method: Method[State]) -> None:
    result = minimise_with(method, function(), START, max_iterations=500, tolerances=Tolerances(0.0, 1e-2))
    assert result.status == "stalled"
    before, after = result.history[-2].value, result.history[-1].value
    assert 0 < before - after <= 1e-2 * max(1, before)


@each_method
def test_the_history_is_what_happened(method: Method[State]) -> None:
    thetas = [START]
    result = minimise_with(
        method, function(), START, max_iterations=6, callback=lambda _, state: thetas.append(state.theta) is not None
    )
    oracle = Smooth(lambda theta: 0.5 * rosenbrock(theta))
    for number, (before, after, record) in enumerate(zip(thetas, thetas[1:], result.history, strict=False), 1):
        assert record.iteration == number
        assert record.value == pytest.approx(oracle.value(after), rel=1e-12)
        assert record.gradient_norm == pytest.approx(float(oracle.value_and_gradient(after)[1].abs().max()), rel=1e-9)
        assert record.step == pytest.approx(float((after - before).norm()), rel=1e-9)
        assert record.inner >= 1
    totals = [record.evaluations.total for record in result.history]
    assert totals == sorted(totals)
    assert totals[-1] == result.evaluations.total
    assert (result.history[0].damping is None) == isinstance(method, (LBFGSMethod, CGMethod))


@each_method
def test_the_users_theta_is_not_changed(method: Method[State]) -> None:
    theta = START.clone()
    minimise_with(method, function(), theta, max_iterations=3)
    assert torch.equal(theta, START)
    state = method.start(function(), theta)
    theta.zero_()  # what the user does with it later is no business of the state
    assert torch.equal(state.theta, START)


@each_method
@pytest.mark.parametrize("limit", range(14))
def test_no_method_exceeds_a_budget_and_each_returns_a_point_no_worse(method: Method[State], limit: int) -> None:
    counting = function()
    result = minimise_with(method, counting, START, budget=Budget(limit))
    assert result.evaluations.total <= limit
    assert len(counting.asked) == result.evaluations.values + result.evaluations.gradients
    assert result.status == "budget"
    if limit:
        assert result.value == pytest.approx(function().value(result.theta), rel=1e-12)
        assert result.value <= function().value(START)
    else:
        assert math.isnan(result.value)
        assert torch.equal(result.theta, START)


@each_method
def test_walls_around_the_start_never_lead_to_nan(method: Method[State]) -> None:
    walled = LeastSquares(lambda theta: rosenbrock_residuals(theta) + torch.where(theta.abs() > 1.3, math.nan, 0.0)[:2])
    result = minimise_with(method, walled, START, max_iterations=200, tolerances=Tolerances(1e-8, 0))
    assert result.status == "converged"
    torch.testing.assert_close(result.theta, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-6)


@each_method
def test_float32_stays_float32(method: Method[State]) -> None:
    result = minimise_with(method, function(), START.float(), max_iterations=100, tolerances=Tolerances(1e-3, 0))
    assert result.theta.dtype == torch.float32
    torch.testing.assert_close(result.theta, torch.ones(2), rtol=0, atol=1e-2)


def test_a_gradient_of_another_shape_is_refused() -> None:
    class Wrong(Smooth):
        def value_and_gradient(self, theta: torch.Tensor) -> tuple[float, torch.Tensor]:
            return 0.0, theta[:1]

    with pytest.raises(InputError, match=r"the gradient is \(1,\); expected theta's \(3,\)"):
        minimise_with(LBFGSMethod(), Wrong(rosenbrock), vector(3, 0))


def test_bad_limits_are_refused() -> None:
    with pytest.raises(InputError, match="Tolerances: gradient is -1; expected at least 0"):
        Tolerances(gradient=-1)
    with pytest.raises(InputError, match="minimise: max_iterations is -1; expected a whole number of at least 0"):
        minimise_with(LBFGSMethod(), function(), START, max_iterations=-1)
