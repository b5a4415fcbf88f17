"""L-BFGS: the recursion against dense BFGS, minima against scipy, and what happens where f is not finite."""

from __future__ import annotations

import itertools

import pytest
import scipy.optimize
import torch

from longlag.errors import DivergenceError, InputError
from longlag.optim import Budget, LBFGSMethod, StrongWolfe, Tolerances, minimise
from longlag.optim.lbfgs import damp
from longlag.optim.two_loop import InverseBFGS
from optim.problems import (
    BARRIER_MINIMUM,
    Smooth,
    log_barrier,
    logistic_regression,
    lowest_at,
    positive_definite,
    quadratic,
    rosenbrock,
    vector,
)
from optim.runs import CLOSE, five_steps_into_the_barrier, start, with_and_without_a_file


@pytest.mark.parametrize("scale", [None, 0.3])
def test_the_two_loops_are_the_dense_bfgs_update(scale: float | None) -> None:
    matrix = positive_definite(6, 0)
    steps = [vector(6, seed) for seed in (1, 2, 3)]
    changes = [matrix @ s for s in steps]
    gamma = float(steps[-1] @ changes[-1] / (changes[-1] @ changes[-1])) if scale is None else scale
    inverse, eye = gamma * torch.eye(6, dtype=torch.float64), torch.eye(6, dtype=torch.float64)
    for s, y in zip(steps, changes, strict=True):  # Nocedal & Wright (6.17)
        rho = 1 / (s @ y)
        inverse = (eye - rho * s.outer(y)) @ inverse @ (eye - rho * y.outer(s)) + rho * s.outer(s)
    v = vector(6, 9)
    torch.testing.assert_close(InverseBFGS(steps, changes, scale) @ v, inverse @ v, rtol=1e-12, atol=1e-12)


def test_without_pairs_the_inverse_is_the_identity() -> None:
    assert torch.equal(InverseBFGS([], []) @ vector(3, 0), vector(3, 0))


def test_with_exact_searches_it_ends_on_a_quadratic_in_as_many_steps_as_dimensions() -> None:
    matrix, b = positive_definite(8, 1), vector(8, 2)
    exact = LBFGSMethod(line_search=StrongWolfe(1e-10, 1e-8))
    result = minimise(exact, quadratic(matrix, b), vector(8, 3), max_iterations=9, tolerances=Tolerances(1e-9, 0))
    assert result.status == "converged"
    assert len(result.history) <= 8
    torch.testing.assert_close(result.theta, torch.linalg.solve(matrix, b), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("damped", [False, True])
@pytest.mark.parametrize("history", [1, 5, 100])
def test_it_finds_rosenbrocks_minimum(history: int, damped: bool) -> None:
    function = Smooth(rosenbrock)
    result = minimise(
        LBFGSMethod(history_size=history, damped=damped), function, start(), max_iterations=500, tolerances=CLOSE
    )
    assert result.status == "converged"
    torch.testing.assert_close(result.theta, torch.ones(4, dtype=torch.float64), rtol=0, atol=5e-6)
    assert result.evaluations.gradients == len(function.asked)


def test_it_finds_scipys_minimum_of_a_logistic_regression() -> None:
    function = logistic_regression(0)
    expected = scipy.optimize.minimize(function.for_scipy, start(5).numpy(), jac=True, method="BFGS", tol=1e-9)
    result = minimise(LBFGSMethod(), function, start(5), tolerances=CLOSE)
    assert result.status == "converged"
    torch.testing.assert_close(result.theta, torch.from_numpy(expected.x), rtol=0, atol=1e-6)


def test_it_needs_about_as_many_evaluations_as_scipys() -> None:
    function = Smooth(rosenbrock)
    result = minimise(LBFGSMethod(history_size=10), function, start(10), max_iterations=500, tolerances=CLOSE)
    theirs = scipy.optimize.minimize(
        function.for_scipy, start(10).numpy(), jac=True, method="L-BFGS-B", options={"gtol": 1e-6, "ftol": 0}
    )
    assert result.status == "converged"
    assert result.evaluations.gradients <= 1.5 * theirs.nfev


def test_every_iteration_lowers_the_value() -> None:
    values = [record.value for record in minimise(LBFGSMethod(), Smooth(rosenbrock), start()).history]
    assert all(later < earlier for earlier, later in itertools.pairwise(values))


def test_neither_scale_of_the_value_nor_of_theta_drops_a_pair() -> None:
    # torch.optim.LBFGS keeps a pair if s'y > 1e-10, which here it never is.
    tiny = minimise(
        LBFGSMethod(), Smooth(lambda x: 1e-12 * rosenbrock(x)), start(), max_iterations=200, tolerances=Tolerances(0, 0)
    )
    torch.testing.assert_close(tiny.theta, torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-5)


def test_torchs_own_lbfgs_leaves_a_log_barrier_for_nan() -> None:
    theta = five_steps_into_the_barrier(lambda params: torch.optim.LBFGS(params, line_search_fn="strong_wolfe"))
    assert log_barrier(theta).isnan()


def test_it_ends_at_the_minimum_of_that_log_barrier() -> None:
    theta = torch.tensor([4.0], dtype=torch.float64)
    result = minimise(LBFGSMethod(), Smooth(log_barrier), theta, tolerances=Tolerances(1e-8, 0))
    assert result.status == "converged"
    assert float(result.theta) == pytest.approx(BARRIER_MINIMUM, abs=1e-12)


def test_where_nothing_is_lower_it_stalls_and_theta_keeps_its_bits() -> None:
    theta = vector(3, 0)
    result = minimise(LBFGSMethod(), lowest_at(theta), theta)
    assert result.status == "stalled"
    assert "no lower point along the steepest descent" in result.reason
    assert torch.equal(result.theta, theta)


def test_a_failed_search_with_pairs_forgets_them_and_tries_the_steepest_descent() -> None:
    method, function = LBFGSMethod(), Smooth(rosenbrock)
    state = method.start(function, start())
    method.step(function, state)
    # A pair that points along the valley's wall: nothing there is lower within one trial.
    narrow = LBFGSMethod(line_search=StrongWolfe(max_trials=1))
    state.steps, state.changes = [1e3 * state.gradient], [1e-3 * state.gradient]
    before = state.theta.clone()
    outcome = narrow.step(function, state)
    assert not outcome.moved
    assert outcome.stop is None
    assert "steepest descent is next" in outcome.note
    assert torch.equal(state.theta, before)
    assert state.steps == []
    assert method.step(function, state).moved


def test_pairs_that_give_no_descent_are_forgotten_at_once() -> None:
    method, function = LBFGSMethod(), Smooth(rosenbrock)
    state = method.start(function, start())
    state.steps, state.changes = [vector(4, 0)], [-vector(4, 0)]
    outcome = method.step(function, state)
    assert outcome.moved
    assert "no direction of descent" in outcome.note


def test_a_pair_of_negative_curvature_is_not_kept() -> None:
    function = Smooth(lambda x: torch.cos(x).sum())  # concave around 0: the slope grows along the way down
    method = LBFGSMethod(line_search=StrongWolfe(1e-4, 0.9999), learning_rate=0.1)
    state = method.start(function, torch.full((1,), 0.1, dtype=torch.float64))
    found = method.line_search.search(function, state.theta, state.value, state.gradient, -state.gradient, 0.5)
    assert float((found.point.theta - state.theta) @ (found.point.gradient - state.gradient)) > 0  # Wolfe's gift
    weak = LBFGSMethod(line_search=StrongWolfe(1e-4, 0.9, max_trials=1), learning_rate=0.1)
    outcome = weak.step(function, state)
    assert outcome.moved
    assert "no Wolfe point" in outcome.note
    assert state.steps == []


def test_a_damped_pair_has_a_fifth_of_the_expected_curvature() -> None:
    s, b = vector(5, 0), positive_definite(5, 1)
    bs = b @ s
    y = damp(s, -bs, bs)
    assert float(s @ y) == pytest.approx(0.2 * float(s @ bs), rel=1e-12)
    assert torch.equal(damp(s, 0.5 * bs, bs), 0.5 * bs)


def test_damping_is_measured_with_the_matrix_itself() -> None:
    method, function = LBFGSMethod(damped=True, line_search=StrongWolfe(curvature=0.99)), Smooth(rosenbrock)
    state, shares = method.start(function, start(2)), []
    for _ in range(25):
        columns = torch.eye(2, dtype=torch.float64)
        inverse = InverseBFGS(state.steps, state.changes)
        b = torch.linalg.inv(torch.stack([inverse @ column for column in columns]))
        method.step(function, state)
        s, y = state.steps[-1], state.changes[-1]
        shares.append(float(s @ y) / float(s @ b @ s))
    assert min(shares[1:]) == pytest.approx(0.2, rel=1e-6)  # damped at least once, and never too little


@pytest.mark.parametrize("lr", [1.0, 0.1])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_the_first_trial_is_as_long_as_the_gradient_at_most_and_no_longer_than_one(scale: float, lr: float) -> None:
    function = Smooth(lambda x: scale * rosenbrock(x))
    gradient = function.value_and_gradient(start())[1]
    function.asked.clear()
    minimise(LBFGSMethod(learning_rate=lr), function, start(), max_iterations=1, tolerances=Tolerances(0, 0))
    first = start() - lr * min(1.0, 1 / float(gradient.abs().sum())) * gradient
    torch.testing.assert_close(function.asked[1], first)


def test_a_state_that_was_saved_goes_on_bit_by_bit() -> None:
    state, again = with_and_without_a_file(LBFGSMethod(history_size=3), Smooth(rosenbrock), start(), 6)
    assert torch.equal(again.theta, state.theta)
    assert again.value == state.value


def test_float32_works() -> None:
    result = minimise(LBFGSMethod(), Smooth(rosenbrock), start().float(), max_iterations=200)
    assert result.theta.dtype == torch.float32
    torch.testing.assert_close(result.theta, torch.ones(4), rtol=0, atol=1e-3)


def test_a_start_that_is_not_finite_is_refused() -> None:
    with pytest.raises(DivergenceError, match="the loss is not finite at the parameters to start from"):
        minimise(LBFGSMethod(), Smooth(log_barrier), torch.zeros(1, dtype=torch.float64))
    with pytest.raises(InputError, match="theta has an entry that is not finite"):
        minimise(LBFGSMethod(), Smooth(log_barrier), torch.full((1,), torch.nan))
    with pytest.raises(InputError, match=r"theta is \(2, 2\) of torch.float32; expected \(W,\)"):
        minimise(LBFGSMethod(), Smooth(rosenbrock), torch.zeros(2, 2))


def test_a_budget_is_kept_and_its_best_point_returned() -> None:
    for limit in range(12):
        function = Smooth(rosenbrock)
        result = minimise(LBFGSMethod(), function, start(), budget=Budget(limit), tolerances=CLOSE)
        assert len(function.asked) == limit == result.evaluations.total
        assert result.status == "budget"
        assert result.reason == f"the budget of {limit} evaluations is spent"
        if limit:
            assert result.value == function.value(result.theta) <= function.value(start())


@pytest.mark.parametrize(
    "options",
    [
        {"history_size": 0},
        {"history_size": 2.5},
        {"history_size": "5"},
        {"history_size": None},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": torch.ones(2)},
        {"curvature_test": 1.0},
        {"curvature_test": "small"},
        {"damped": 1},
        {"line_search": "wolfe"},
    ],
)
def test_bad_options_are_refused_in_one_sentence(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"^LBFGS: \w+ is .*; expected "):
        LBFGSMethod(**options)  # type: ignore[arg-type]
