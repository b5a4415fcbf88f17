"""Nonlinear conjugate gradients: exact on quadratics, minima against scipy, restarts when they are due."""

from __future__ import annotations

from typing import get_args

import pytest
import scipy.optimize
import torch
from torch import Tensor

from longlag.errors import InputError
from longlag.optim import Budget, CGMethod, StrongWolfe, Tolerances, minimise
from longlag.optim.cg import CGState, Update
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
from optim.runs import CLOSE, start, with_and_without_a_file

UPDATES: tuple[Update, ...] = get_args(Update)
each_update = pytest.mark.parametrize("update", UPDATES)
EXACT = StrongWolfe(1e-10, 1e-9)


@each_update
def test_with_exact_searches_it_ends_on_a_quadratic_in_as_many_steps_as_dimensions(update: Update) -> None:
    matrix, b = positive_definite(8, 1, spread=30), vector(8, 2)
    method = CGMethod(update, line_search=EXACT)
    result = minimise(method, quadratic(matrix, b), vector(8, 3), max_iterations=8, tolerances=Tolerances(1e-7, 0))
    assert result.status == "converged"
    torch.testing.assert_close(result.theta, torch.linalg.solve(matrix, b), rtol=0, atol=1e-7)


@each_update
def test_its_iterates_on_a_quadratic_are_those_of_linear_cg(update: Update) -> None:
    matrix, b = positive_definite(6, 4, spread=30), vector(6, 5)
    function, method = quadratic(matrix, b), CGMethod(update, line_search=EXACT)
    state = method.start(function, vector(6, 6))
    x, r = vector(6, 6), b - matrix @ vector(6, 6)
    p = r
    for _ in range(5):  # Hestenes & Stiefel's recurrence, by hand
        a = (r @ r) / (p @ matrix @ p)
        x, after = x + a * p, r - a * (matrix @ p)
        p, r = after + (after @ after) / (r @ r) * p, after
        method.step(function, state)
        torch.testing.assert_close(state.theta, x, rtol=0, atol=1e-7)


@each_update
def test_it_finds_rosenbrocks_minimum(update: Update) -> None:
    result = minimise(CGMethod(update), Smooth(rosenbrock), start(), max_iterations=1000, tolerances=CLOSE)
    assert result.status == "converged"
    torch.testing.assert_close(result.theta, torch.ones(4, dtype=torch.float64), rtol=0, atol=5e-6)


@each_update
def test_it_finds_scipys_minimum_of_a_logistic_regression(update: Update) -> None:
    function = logistic_regression(0)
    expected = scipy.optimize.minimize(function.for_scipy, start(5).numpy(), jac=True, method="CG", tol=1e-9)
    result = minimise(CGMethod(update), function, start(5), max_iterations=300, tolerances=CLOSE)
    assert result.status == "converged"
    torch.testing.assert_close(result.theta, torch.from_numpy(expected.x), rtol=0, atol=1e-6)


@each_update
def test_it_ends_at_the_minimum_of_a_log_barrier(update: Update) -> None:
    theta = torch.tensor([4.0], dtype=torch.float64)
    result = minimise(CGMethod(update), Smooth(log_barrier), theta, tolerances=Tolerances(1e-6, 0))
    assert result.status == "converged"
    assert float(result.theta) == pytest.approx(BARRIER_MINIMUM, abs=1e-9)


@pytest.mark.parametrize(
    ("update", "expected"),
    [("hestenes-stiefel", 2.0), ("polak-ribiere+", 4.0), ("fletcher-reeves", 5.0)],
)
def test_beta_is_the_textbooks(update: Update, expected: float) -> None:
    # g = (1, 2), before = (1, 0), direction = (-1, 1): y = (0, 2), g'y = 4, d'y = 2, g'g = 5, before'before = 1
    def tensor(*entries: float) -> Tensor:
        return torch.tensor(entries, dtype=torch.float64)

    beta = CGMethod(update)._beta(tensor(1, 2), tensor(1, 0), tensor(-1, 1))
    assert beta == expected


def test_polak_ribiere_never_goes_back() -> None:
    g, before = torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.0])
    assert CGMethod("polak-ribiere+")._beta(g, before, -before) == 0


def state_after(before: Tensor, direction: Tensor, since: int) -> tuple[Smooth, CGState]:
    function = Smooth(rosenbrock)
    state = CGMethod().start(function, start())
    state.before, state.direction, state.since, state.length, state.fall = before, direction, since, 1.0, 1.0
    return function, state


def test_it_restarts_every_w_iterations() -> None:
    _, state = state_after(vector(4, 0), vector(4, 1), 4)
    assert torch.equal(CGMethod(orthogonality=None)._direction(state)[0], -state.gradient)
    _, state = state_after(10 * state.gradient, -10 * state.gradient, 3)
    direction = CGMethod("fletcher-reeves", orthogonality=None)._direction(state)[0]
    torch.testing.assert_close(direction, -1.1 * state.gradient)  # beta = 1 / 100


def test_it_restarts_when_gradients_are_not_orthogonal() -> None:
    gradient = Smooth(rosenbrock).value_and_gradient(start())[1]
    _, state = state_after(0.3 * gradient, -gradient, 1)
    direction, _, note = CGMethod()._direction(state)
    assert "far from orthogonal" in note
    assert torch.equal(direction, -gradient)


def test_it_restarts_when_the_direction_does_not_point_down() -> None:
    gradient = Smooth(rosenbrock).value_and_gradient(start())[1]
    across = torch.tensor([gradient[1], -gradient[0], 0, 0], dtype=torch.float64)
    _, state = state_after(across, 2 * gradient, 1)
    direction, _, note = CGMethod("fletcher-reeves")._direction(state)
    assert "no direction of descent" in note
    assert torch.equal(direction, -gradient)


def test_where_nothing_is_lower_it_stalls_and_theta_keeps_its_bits() -> None:
    theta = vector(3, 0)
    result = minimise(CGMethod(), lowest_at(theta), theta)
    assert result.status == "stalled"
    assert "no lower point along the steepest descent" in result.reason
    assert torch.equal(result.theta, theta)


def test_a_state_that_was_saved_goes_on_bit_by_bit() -> None:
    state, again = with_and_without_a_file(CGMethod(), Smooth(rosenbrock), start(), 6)
    assert torch.equal(again.theta, state.theta)


def test_float32_works() -> None:
    result = minimise(CGMethod(), Smooth(rosenbrock), start().float(), max_iterations=500)
    assert result.theta.dtype == torch.float32
    torch.testing.assert_close(result.theta, torch.ones(4), rtol=0, atol=1e-2)


def test_a_budget_is_kept() -> None:
    for limit in range(12):
        function = Smooth(rosenbrock)
        result = minimise(CGMethod(), function, start(), budget=Budget(limit), tolerances=CLOSE)
        assert len(function.asked) == limit
        assert result.status == "budget"


@pytest.mark.parametrize(
    "options",
    [
        {"update": "dai-yuan"},
        {"update": 3},
        {"learning_rate": -1.0},
        {"learning_rate": "1"},
        {"orthogonality": 0.0},
        {"orthogonality": True},
        {"line_search": 0.2},
    ],
)
def test_bad_options_are_refused_in_one_sentence(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"^NonlinearCG: \w+ is .*; expected "):
        CGMethod(**options)  # type: ignore[arg-type]
