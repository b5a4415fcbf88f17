"""Hessian-free: minima against scipy, damping and backtracking as published, what is not finite, saved states."""

from __future__ import annotations

import math

import pytest
import scipy.optimize
import torch
from torch import Tensor

from longlag.errors import InputError
from longlag.optim import Budget, HessianFreeMethod, LinearCG, SeparateCurvature, Tolerances, minimise
from longlag.optim.hessian_free import HessianFreeState, _Step
from longlag.optim.linear_cg import Iterate, Solution
from optim.problems import (
    LeastSquares,
    Matrix,
    Smooth,
    exponential_fit,
    positive_definite,
    quadratic,
    rosenbrock,
    rosenbrock_residuals,
    squares_lowest_at,
    vector,
)
from optim.runs import start, with_and_without_a_file

CLOSE = Tolerances(gradient=1e-7, change=0.0)


def step_of(method: HessianFreeMethod, function: Smooth, state: HessianFreeState) -> _Step:
    assert state.gradient is not None
    return _Step(method, function, state, state.gradient, last=False)


@pytest.mark.parametrize("preconditioner", ["auto", "diagonal", "lbfgs", "none"])
def test_it_finds_scipys_least_squares(preconditioner: str) -> None:
    residuals = exponential_fit(0)
    theta = torch.tensor([1.0, 0.3, 0.0], dtype=torch.float64)
    expected = scipy.optimize.least_squares(
        lambda x: residuals(torch.from_numpy(x)).numpy(), theta.numpy(), xtol=1e-15, ftol=1e-15, gtol=1e-12
    )
    method = HessianFreeMethod(preconditioner=preconditioner)  # type: ignore[arg-type]
    result = minimise(method, LeastSquares(residuals), theta, max_iterations=300, tolerances=CLOSE)
    assert result.status == "converged"
    torch.testing.assert_close(result.theta, torch.from_numpy(expected.x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("curvature", ["gauss_newton", "numerical"])
def test_it_finds_rosenbrocks_minimum(curvature: str) -> None:
    method = HessianFreeMethod(curvature=curvature)  # type: ignore[arg-type]
    result = minimise(method, LeastSquares(rosenbrock_residuals), start(), max_iterations=500, tolerances=CLOSE)
    assert result.status == "converged"
    torch.testing.assert_close(result.theta, torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-5)


def test_without_damping_one_step_solves_a_quadratic() -> None:
    matrix, b = positive_definite(8, 0), vector(8, 1)
    method = HessianFreeMethod(damping=1e-12, solver=LinearCG(tolerance=0.0), preconditioner="none")
    result = minimise(method, quadratic(matrix, b), vector(8, 2), max_iterations=1, tolerances=CLOSE)
    torch.testing.assert_close(result.theta, torch.linalg.solve(matrix, b), rtol=0, atol=1e-8)


def test_the_step_solves_the_damped_system() -> None:
    matrix, b, theta = positive_definite(8, 0), vector(8, 1), vector(8, 2)
    method = HessianFreeMethod(damping=50.0, solver=LinearCG(tolerance=0.0))
    function = quadratic(matrix, b)
    state = method.start(function, theta)
    method.step(function, state)
    expected = theta + torch.linalg.solve(matrix + 50 * torch.eye(8, dtype=torch.float64), b - matrix @ theta)
    torch.testing.assert_close(state.theta, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("ratio", "expected"), [(0.2, 3.0), (0.25, 2.0), (0.5, 2.0), (0.75, 2.0), (0.8, 4 / 3)])
def test_damping_follows_the_reduction_ratio(ratio: float, expected: float) -> None:
    method, function = HessianFreeMethod(damping=2.0), LeastSquares(rosenbrock_residuals)
    state = method.start(function, start())
    step_of(method, function, state).adapt(ratio)
    assert state.damping == pytest.approx(expected)


def test_the_factor_of_the_damping_may_be_chosen() -> None:
    method, function = HessianFreeMethod(damping=2.0, factor=4.0), LeastSquares(rosenbrock_residuals)
    state = method.start(function, start())
    step_of(method, function, state).adapt(0.8)
    assert state.damping == 0.5
    step_of(method, function, state).adapt(0.2)
    assert state.damping == 2.0


def test_damping_stays_within_its_bounds() -> None:
    method, function = HessianFreeMethod(2.0, min_damping=1.9, max_damping=2.1), LeastSquares(rosenbrock_residuals)
    state = method.start(function, start())
    step_of(method, function, state).adapt(1.0)
    assert state.damping == 1.9
    step_of(method, function, state).adapt(-math.inf)
    assert state.damping == pytest.approx(2.1)


def test_the_reduction_ratio_is_that_of_the_model_without_damping() -> None:
    matrix, b, theta = positive_definite(5, 0), vector(5, 1), vector(5, 2)
    method, function = HessianFreeMethod(damping=3.0), quadratic(matrix, b)
    state = method.start(function, theta)
    damped = matrix + 3 * torch.eye(5, dtype=torch.float64)
    p = vector(5, 3)
    p = p if p @ (matrix @ theta - b) < 0 else -p
    p = 0.01 * p
    q = float(0.5 * p @ damped @ p - (b - matrix @ theta) @ p)
    ratio, promised = step_of(method, function, state).reduction(Iterate(1, p, q), function.value(theta + p))
    assert ratio == pytest.approx(1.0)  # the model is the function
    assert promised == pytest.approx(function.value(theta + p) - state.value)


def test_backtracking_takes_the_iterate_from_which_f_only_rises() -> None:
    method, values = HessianFreeMethod(backtracking="always"), [5.0, 3.0, 1.0, 2.0, 0.5, math.nan]
    function = Smooth(lambda theta: torch.tensor(values, dtype=torch.float64)[int(theta.sum())])
    state = HessianFreeState(torch.zeros(1, dtype=torch.float64), 5.0, torch.ones(1), 1.0, torch.zeros(1))
    step = step_of(method, function, state)

    def iterates(last: int) -> list[Iterate]:
        return [Iterate(i, torch.full((1,), float(i), dtype=torch.float64), -1.0) for i in range(last, 0, -1)]

    assert step.backtrack(iterates(3))[0].iteration == 2  # type: ignore[union-attr]
    chosen, value = step.backtrack(iterates(5))  # past the NaN, and no further than 0.5, though 1 would be next but one
    assert chosen is not None
    assert (chosen.iteration, value) == (4, 0.5)


@pytest.mark.parametrize(("promised", "taken"), [(-4.0, 3), (-7.9, 3), (-8.1, 2)])
def test_backtracking_where_needed_keeps_an_iterate_that_does_a_quarter_of_what_it_promised(
    promised: float, taken: int
) -> None:
    method, values = HessianFreeMethod(damping=1e-15, backtracking="needed"), [5.0, 4.0, 1.0, 3.0]
    function = Smooth(lambda theta: torch.tensor(values, dtype=torch.float64)[int(theta.sum())])
    state = HessianFreeState(torch.zeros(1, dtype=torch.float64), 5.0, torch.ones(1), 1e-15, torch.zeros(1))
    iterates = [Iterate(i, torch.full((1,), float(i), dtype=torch.float64), promised) for i in (3, 2, 1)]
    chosen, value = step_of(method, function, state).backtrack(iterates)
    assert chosen is not None
    assert (chosen.iteration, value) == (taken, values[taken])


def test_where_f_is_no_number_at_any_iterate_the_shortest_is_shortened() -> None:
    theta = torch.ones(2, dtype=torch.float64)

    def fenced(x: Tensor) -> Tensor:
        return torch.where((x - theta).norm() < 1e-3, x.square().sum(), math.nan)

    function = Smooth(fenced)
    state = HessianFreeMethod().start(function, theta)
    outcome = HessianFreeMethod().step(function, state)
    assert outcome.moved
    assert 0.8e-3 <= outcome.step < 1e-3
    assert state.value < 2.0


def test_a_step_too_long_is_shortened_until_f_falls_enough() -> None:
    function = Smooth(lambda x: x.square().sum())
    method, state = HessianFreeMethod(), HessianFreeMethod().start(function, torch.ones(1, dtype=torch.float64))
    p = torch.full((1,), -5.0, dtype=torch.float64)
    step, value = step_of(method, function, state).shorten(Iterate(1, p, -1.0), function.value(state.theta + p))
    assert step is not None
    # (1 - 5a)^2 <= 1 - 0.01 * 2 * 5a holds from a = 0.396 down; 0.8^5 = 0.328 is the first below.
    assert float(step) == pytest.approx(-5 * 0.8**5)
    assert value == pytest.approx((1 - 5 * 0.8**5) ** 2)


def test_cg_starts_from_the_decayed_last_solution() -> None:
    function = LeastSquares(rosenbrock_residuals)
    method = HessianFreeMethod(solver=LinearCG(max_iterations=1))
    state = method.start(function, start())
    method.step(function, state)
    warm = state.warm.clone()
    starts: list[Tensor] = []

    class Spy(LinearCG):
        def solve(self, *arguments: object, start: Tensor | None = None, **options: object) -> Solution:
            assert start is not None
            starts.append(start)
            return super().solve(*arguments, start=start, **options)  # type: ignore[arg-type]

    HessianFreeMethod(solver=Spy()).step(function, state)
    assert torch.equal(starts[0], 0.95 * warm)


def test_the_diagonal_preconditioner_is_martens() -> None:
    matrix = positive_definite(4, 0)
    method, function = HessianFreeMethod(damping=0.5, preconditioner="diagonal"), quadratic(matrix, vector(4, 1))
    step = step_of(method, function, method.start(function, start()))
    inverse = step.inverse(Matrix(matrix))
    assert inverse is not None
    torch.testing.assert_close(inverse(vector(4, 2)), vector(4, 2) / (matrix.diagonal() + 0.5) ** 0.75)
    with pytest.raises(InputError, match="the curvature has no diagonal; expected 'auto' or 'none'"):
        step.inverse(Matrix(matrix, diagonal=False))
    auto = HessianFreeMethod(preconditioner="auto")
    assert step_of(auto, function, auto.start(function, start())).inverse(Matrix(matrix, diagonal=False)) is None


def test_the_lbfgs_preconditioner_saves_cg_iterations() -> None:
    matrix, b = positive_definite(60, 0, spread=1e4), vector(60, 1)
    function, solver = quadratic(matrix, b), LinearCG(tolerance=0.0, residual=1e-6)

    def iterations_of_a_second_system(method: HessianFreeMethod) -> int:
        state = method.start(function, torch.linalg.solve(matrix, b + vector(60, 2)))
        method.step(function, state)
        state.theta = torch.linalg.solve(matrix, b + vector(60, 3))  # so that the gradient favours no eigenvector
        return method.step(function, method.restart(function, state)).inner

    plain = HessianFreeMethod(1e-3, decay=0.0, solver=solver, preconditioner="none")
    primed = HessianFreeMethod(1e-3, decay=0.0, solver=solver, preconditioner="lbfgs")
    assert iterations_of_a_second_system(primed) < 0.9 * iterations_of_a_second_system(plain)


def test_negative_curvature_ends_cg_and_is_reported() -> None:
    function = Smooth(lambda x: torch.cos(x).sum() + 0.05 * x.square().sum())  # concave around 0
    method = HessianFreeMethod(damping=1e-3, curvature="numerical")
    theta = torch.tensor([0.3, -0.2], dtype=torch.float64)
    result = minimise(method, function, theta, max_iterations=100, tolerances=CLOSE)
    assert "is not positive definite" in result.history[0].note
    assert result.history[0].value < function.value(theta)  # by the steepest descent
    assert result.status == "converged"
    # sin x = x / 10
    assert all(math.sin(x) == pytest.approx(x / 10, abs=1e-6) for x in result.theta.tolist())


def test_a_gauss_newton_matrix_that_is_none_stops_it_loudly() -> None:
    class Negative(LeastSquares):
        def curvature(self, theta: Tensor) -> Matrix:
            return Matrix(-100 * torch.eye(4, dtype=torch.float64), diagonal=False)

    result = minimise(HessianFreeMethod(), Negative(rosenbrock_residuals), start())
    assert result.status == "stalled"
    assert "the curvature is no Gauss-Newton matrix: p'Ap is -" in result.reason
    assert torch.equal(result.theta, start())


@pytest.mark.parametrize("curvature", ["gauss_newton", "numerical"])
def test_a_failed_step_restores_theta_bitwise_and_raises_the_damping(curvature: str) -> None:
    theta = vector(4, 0)
    function = squares_lowest_at(theta)
    method = HessianFreeMethod(damping=1.0, curvature=curvature)  # type: ignore[arg-type]
    state = method.start(function, theta)
    gradient = state.gradient
    outcome = method.step(function, state)
    assert not outcome.moved
    assert torch.equal(state.theta, theta)
    assert state.gradient is gradient
    assert state.damping == 1.5


def test_a_gradient_that_is_not_finite_after_the_step_undoes_it() -> None:
    class Treacherous(LeastSquares):
        def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
            value, gradient = super().value_and_gradient(theta)
            return value, gradient if torch.equal(theta, start()) else gradient * math.nan

    method, function = HessianFreeMethod(damping=1.0), Treacherous(rosenbrock_residuals)
    state = method.start(function, start())
    outcome = method.step(function, state)
    assert not outcome.moved
    assert "not finite after the step" in outcome.note
    assert torch.equal(state.theta, start())
    assert state.damping == 1.5


def test_a_curvature_that_is_not_finite_is_reported_and_moves_nothing() -> None:
    class Broken(LeastSquares):
        def curvature(self, theta: Tensor) -> Matrix:
            return Matrix(torch.full((4, 4), math.nan, dtype=torch.float64), diagonal=False)

    method, function = HessianFreeMethod(), Broken(rosenbrock_residuals)
    state = method.start(function, start())
    outcome = method.step(function, state)
    assert not outcome.moved
    assert "p'Ap is nan" in outcome.note
    assert torch.equal(state.theta, start())


def test_without_hope_it_stalls() -> None:
    theta = vector(4, 0)
    result = minimise(HessianFreeMethod(max_damping=100.0), squares_lowest_at(theta), theta)
    assert (result.status, result.reason) == ("stalled", "no lower point with the damping at its limit, 100")
    assert torch.equal(result.theta, theta)


def test_curvature_may_come_from_another_function() -> None:
    function, other = LeastSquares(rosenbrock_residuals), quadratic(7 * torch.eye(4, dtype=torch.float64), vector(4, 0))
    method = HessianFreeMethod(preconditioner="none")
    state = method.start(function, start())
    method.step(SeparateCurvature(function, other), state)
    # (7 + lambda) p = -g, and p is shortened at most
    direction = state.theta - start()
    gradient = function.value_and_gradient(start())[1]
    torch.testing.assert_close(direction / direction.norm(), -gradient / gradient.norm())


class Structured(LeastSquares):
    """Structural damping by a known matrix."""

    weights: list[float]

    def curvature(self, theta: Tensor, *, structural: float = 0.0) -> Matrix:  # type: ignore[override]
        self.weights.append(structural)
        return Matrix(super().curvature(theta).matrix + structural * 10 * torch.eye(4, dtype=torch.float64))


def test_structural_damping_is_weighted_by_the_damping_and_left_out_of_the_ratio() -> None:
    function = Structured(rosenbrock_residuals)
    function.weights = []
    method = HessianFreeMethod(damping=2.0, structural=0.25, solver=LinearCG(tolerance=0.0))
    theta = torch.full((4,), 1.01, dtype=torch.float64)  # where the model holds and nothing is backtracked
    state = method.start(function, theta)
    method.step(function, state)
    assert function.weights == [0.5, 0.0]
    plain = LeastSquares(rosenbrock_residuals)
    matrix, gradient = plain.curvature(theta).matrix, plain.value_and_gradient(theta)[1]
    p = -torch.linalg.solve(matrix + (2.0 + 0.25 * 2.0 * 10) * torch.eye(4, dtype=torch.float64), gradient)
    torch.testing.assert_close(state.theta, theta + p)
    with pytest.raises(InputError, match="takes no 'structural'"):
        method.step(plain, method.start(plain, start()))


@pytest.mark.parametrize("limit", range(1, 12))
def test_a_budget_of_products_is_kept_and_what_was_found_is_used(limit: int) -> None:
    function = LeastSquares(rosenbrock_residuals, is_stored=False)
    method = HessianFreeMethod(preconditioner="none")
    result = minimise(method, function, start(), budget=Budget(products=limit), tolerances=CLOSE)
    assert result.evaluations.products == limit
    assert result.reason == f"the budget of {limit} products is spent"
    assert result.value < function.value(start())


@pytest.mark.parametrize("preconditioner", ["auto", "lbfgs"])
def test_a_state_that_was_saved_goes_on_bit_by_bit(preconditioner: str) -> None:
    method, function = HessianFreeMethod(preconditioner=preconditioner), LeastSquares(rosenbrock_residuals)  # type: ignore[arg-type]
    state, again = with_and_without_a_file(method, function, start(), 4)
    assert torch.equal(again.theta, state.theta)
    assert again.damping == state.damping
    assert torch.equal(again.warm, state.warm)


def test_a_budget_that_ends_before_the_gradient_is_made_up_for() -> None:
    function = LeastSquares(rosenbrock_residuals, is_stored=False)
    method = HessianFreeMethod(preconditioner="none")
    full = minimise(method, function, start(), max_iterations=1)
    short = minimise(method, function, start(), budget=Budget(full.evaluations.total - 1))
    assert torch.equal(short.theta, full.theta)
    assert math.isnan(short.history[-1].gradient_norm)
    state = HessianFreeState(short.theta, short.value, None, 1.0, torch.zeros(4, dtype=torch.float64))
    assert method.step(function, state).moved
    assert state.gradient is not None


def test_it_needs_fewer_iterations_than_the_steepest_descent_would() -> None:
    result = minimise(HessianFreeMethod(), LeastSquares(rosenbrock_residuals), start(), max_iterations=100)
    steepest = minimise(
        HessianFreeMethod(solver=LinearCG(max_iterations=1), preconditioner="none", decay=0.0),
        Smooth(lambda theta: 0.5 * rosenbrock(theta)),
        start(),
        max_iterations=100,
    )
    assert result.status == "converged"
    assert result.value < 1e-3 * steepest.value


@pytest.mark.parametrize(
    "options",
    [
        {"damping": 0.0},
        {"min_damping": 2.0},
        {"max_damping": math.inf},
        {"decay": 1.1},
        {"structural": -1.0},
        {"preconditioner": "ilu"},
        {"curvature": "hessian"},
        {"curvature": "numerical", "structural": 0.1},
    ],
)
def test_bad_options_are_refused_in_one_sentence(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"^HessianFree: .* (expected|goes with) "):
        HessianFreeMethod(**options)  # type: ignore[arg-type]
