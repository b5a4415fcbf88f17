"""Preconditioned CG: exact solves, Martens' rule by hand, saved iterates, and what is no positive definite matrix."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from longlag.errors import InputError
from longlag.optim import Budget, LinearCG
from longlag.optim.counting import CountingFunction, EvaluationCounter
from longlag.optim.linear_cg import too_little_progress
from optim.problems import Matrix, Smooth, positive_definite, vector

ENDLESS = LinearCG(tolerance=0.0)


@given(st.integers(1, 12), st.integers(0, 100), st.sampled_from([1.0, 3.0, 30.0]))
def test_it_solves_in_as_many_iterations_as_dimensions(size: int, seed: int, spread: float) -> None:
    matrix, b = positive_definite(size, seed, spread=spread), vector(size, seed + 1)
    solution = LinearCG(tolerance=0.0, residual=1e-7).solve(lambda v: matrix @ v, b)
    assert solution.status == "exact"
    assert solution.iterations <= size
    torch.testing.assert_close(solution.x, torch.linalg.solve(matrix, b), rtol=0, atol=1e-6)


def test_its_iterates_are_scipys() -> None:
    matrix, b = positive_definite(20, 0), vector(20, 1)
    theirs: list[np.ndarray] = []
    scipy.sparse.linalg.cg(matrix.numpy(), b.numpy(), rtol=1e-12, maxiter=9, callback=lambda x: theirs.append(x.copy()))
    ours = LinearCG(tolerance=0.0, max_iterations=9).solve(lambda v: matrix @ v, b)
    assert ours.status == "iterations"
    for iterate in ours.iterates[1:]:
        np.testing.assert_allclose(iterate.x.numpy(), theirs[iterate.iteration - 1], rtol=1e-10)


@pytest.mark.parametrize("start", [None, vector(30, 7)])
def test_an_exact_preconditioner_takes_one_iteration(start: torch.Tensor | None) -> None:
    matrix, b = positive_definite(30, 0, spread=1e6), vector(30, 1)
    factor = torch.linalg.cholesky(matrix)
    product = Matrix(matrix)
    solution = LinearCG().solve(
        product.__matmul__, b, start=start, inverse=lambda v: torch.cholesky_solve(v[:, None], factor)[:, 0]
    )
    assert solution.status == "exact"
    assert solution.iterations == 1
    assert product.products == (1 if start is None else 2)
    torch.testing.assert_close(matrix @ solution.x, b, rtol=0, atol=1e-9)


def test_a_diagonal_preconditioner_solves_a_diagonal_system_at_once_and_a_scaled_one_sooner() -> None:
    scales = torch.logspace(-3, 3, 40, dtype=torch.float64)
    matrix = scales[:, None].sqrt() * positive_definite(40, 2, spread=4) * scales.sqrt()
    b = vector(40, 3)
    plain = ENDLESS.solve(lambda v: matrix @ v, b)
    scaled = ENDLESS.solve(lambda v: matrix @ v, b, inverse=lambda v: v / matrix.diagonal())
    assert scaled.status == "exact"
    assert 3 * scaled.iterations < plain.iterations


def test_the_start_is_where_it_starts_from() -> None:
    matrix, b = positive_definite(10, 0), vector(10, 1)
    exact = torch.linalg.solve(matrix, b)
    solution = LinearCG().solve(lambda v: matrix @ v, b, start=exact)
    assert solution.iterations == 0
    assert torch.equal(solution.x, exact)
    nearby = LinearCG().solve(lambda v: matrix @ v, b, start=0.9 * exact)
    assert torch.equal(nearby.iterates[0].x, 0.9 * exact)
    assert nearby.values[0] == pytest.approx(float((0.9**2 / 2 - 0.9) * b @ exact))


def test_the_recorded_values_are_the_quadratics() -> None:
    matrix, b = positive_definite(15, 3), vector(15, 4)
    solution = ENDLESS.solve(lambda v: matrix @ v, b, start=vector(15, 5))
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(solution.values))
    for iterate in solution.iterates:
        x = iterate.x
        assert iterate.q == solution.values[iterate.iteration]
        assert iterate.q == pytest.approx(float(0.5 * x @ matrix @ x - b @ x), abs=1e-10)


def test_martens_rule_on_a_case_worked_by_hand() -> None:
    # q_i = -(1 - 2^-i), k = 10: (q_i - q_{i-10}) / q_i is about 2^(10-i), below 10 * 5e-4 = 1 / 200 from 2^-8 on.
    values = [-(1 - 2.0**-i) for i in range(19)]
    assert 2.0**-8 < 1 / 200 < 2.0**-7
    assert not too_little_progress(values[:18], 5e-4)  # i = 17
    assert too_little_progress(values, 5e-4)  # i = 18


def test_martens_rule_waits_for_more_than_k_iterations_and_a_negative_value() -> None:
    assert not too_little_progress([-1.0] * 11, 5e-4)  # i = 10 = k
    assert too_little_progress([-1.0] * 12, 5e-4)
    assert not too_little_progress([1.0] * 12, 5e-4)


def test_martens_rule_looks_a_tenth_of_the_iterations_back() -> None:
    # i = 200, k = 20: a fall by a share of 20 * 5e-4 = 1 % within twenty iterations is enough to go on.
    assert not too_little_progress([-1.0] * 185 + [-1.011] * 16, 5e-4)
    assert too_little_progress([-1.0] * 185 + [-1.009] * 16, 5e-4)
    assert too_little_progress([-1.0] * 180 + [-1.011] * 21, 5e-4)  # it fell 21 iterations ago


def test_the_solver_stops_where_the_rule_first_holds() -> None:
    matrix, b = positive_definite(100, 0, spread=1e3), vector(100, 1)
    stopped, endless = LinearCG().solve(lambda v: matrix @ v, b), ENDLESS.solve(lambda v: matrix @ v, b)
    assert stopped.status == "progress"
    assert "hardly fell" in stopped.reason
    first = next(i for i in range(1, 250) if too_little_progress(endless.values[: i + 1], 5e-4))
    assert stopped.iterations == first
    assert torch.equal(stopped.iterates[5].x, endless.iterates[5].x)


def test_iterates_are_saved_at_powers_of_the_growth() -> None:
    matrix, b = positive_definite(60, 0, spread=1e5), vector(60, 1)
    solution = LinearCG(tolerance=0.0, max_iterations=33).solve(lambda v: matrix @ v, b)
    powers = {math.ceil(1.3**j) for j in range(14)}
    assert [iterate.iteration for iterate in solution.iterates] == [0, *sorted(p for p in powers if p <= 33), 33]


def test_a_matrix_that_is_not_positive_definite_is_reported() -> None:
    matrix = torch.diag(torch.tensor([3.0, 2.0, -1.0], dtype=torch.float64))
    b = torch.ones(3, dtype=torch.float64)
    solution = LinearCG().solve(lambda v: matrix @ v, b)
    assert solution.status == "indefinite"
    assert "the matrix is not positive definite" in solution.reason
    assert solution.x.isfinite().all()
    assert solution.iterates[-1].q <= 0


def test_a_singular_system_without_a_solution_is_not_said_to_be_solved() -> None:
    matrix = torch.diag(torch.tensor([3.0, 2.0, 0.0], dtype=torch.float64))
    solution = LinearCG().solve(lambda v: matrix @ v, torch.ones(3, dtype=torch.float64))
    assert solution.status in ("indefinite", "not finite")
    assert solution.x.isfinite().all()


def test_a_preconditioner_that_is_not_positive_definite_is_reported() -> None:
    solution = LinearCG().solve(lambda v: v, vector(3, 0), inverse=lambda v: -v)
    assert solution.status == "indefinite"
    assert "the preconditioner is not positive definite" in solution.reason


@pytest.mark.parametrize("after", range(4))
def test_a_product_that_is_not_finite_ends_it_with_the_last_good_iterate(after: int) -> None:
    product = Matrix(positive_definite(10, 0))

    def times(v: torch.Tensor) -> torch.Tensor:
        return product @ v * (math.nan if product.products > after else 1.0)

    solution = LinearCG().solve(times, vector(10, 1))
    assert solution.status == "not finite"
    assert solution.iterations == after
    assert torch.equal(solution.x, LinearCG().solve(lambda v: product.matrix @ v, vector(10, 1)).iterates[after].x)


@pytest.mark.parametrize("limit", range(6))
def test_a_budget_of_products_is_kept(limit: int) -> None:
    function = Smooth(lambda x: x @ positive_definite(10, 0) @ x)
    counted = CountingFunction(function, EvaluationCounter(Budget(products=limit)))
    solution = LinearCG().solve(counted.curvature(vector(10, 2)).__matmul__, vector(10, 1), start=vector(10, 3))
    assert solution.status == "budget"
    assert solution.reason == f"the budget of {limit} products is spent"
    assert counted.counter.evaluations.products == limit
    assert solution.iterations == max(0, limit - 1)


def test_nothing_asked_is_solved_by_nothing() -> None:
    solution = LinearCG().solve(lambda v: v, torch.zeros(3))
    assert solution.status == "exact"
    assert torch.equal(solution.x, torch.zeros(3))


def test_pairs_are_conjugate_few_and_spread_over_the_iterations() -> None:
    matrix, b = positive_definite(40, 0, spread=30), vector(40, 1)
    solution = LinearCG(tolerance=0.0, residual=0.0, max_iterations=20).solve(lambda v: matrix @ v, b, pairs=8)
    assert 4 <= len(solution.pairs) <= 8
    assert ENDLESS.solve(lambda v: matrix @ v, b).pairs == ()
    for p, ap in solution.pairs:
        torch.testing.assert_close(ap, matrix @ p)
        assert float(p @ ap) > 0
    first, last = solution.pairs[0][0], solution.pairs[-1][0]
    assert torch.equal(first, b)
    assert abs(float(first @ matrix @ last)) < 1e-6 * float(first @ matrix @ first)


def test_float32_works() -> None:
    matrix, b = positive_definite(10, 0).float(), vector(10, 1).float()
    solution = LinearCG(residual=1e-5).solve(lambda v: matrix @ v, b)
    assert solution.status == "exact"
    torch.testing.assert_close(solution.x, torch.linalg.solve(matrix, b), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "options", [{"max_iterations": 0}, {"tolerance": -1.0}, {"residual": math.nan}, {"growth": 1.0}]
)
def test_bad_options_are_refused_in_one_sentence(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"^LinearCG: \w+ is .*; expected "):
        LinearCG(**options)  # type: ignore[arg-type]
