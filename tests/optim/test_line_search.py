"""The line search: what it says holds, NaN is a wall, budgets end it with the best point so far."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from longlag.errors import InputError
from longlag.optim.counting import Budget, CountingFunction, EvaluationCounter
from longlag.optim.line_search import Point, SearchResult, StrongWolfe, between, cubic_minimum
from optim.problems import BARRIER_MINIMUM, Smooth, log_barrier, rosenbrock, vector

small = st.floats(-3, 3)


def search(function: Smooth, theta: Tensor, *, first: float = 1.0, options: StrongWolfe | None = None) -> SearchResult:
    """From theta along the steepest descent."""
    value, gradient = function.value_and_gradient(theta)
    return (options or StrongWolfe()).search(function, theta, value, gradient, -gradient, first)


def wavy(coefficients: list[float]) -> Smooth:
    """A function with many minima along every line, bounded below."""
    a, b, c, d = coefficients
    return Smooth(lambda x: (torch.sin(a * x) + b * torch.cos(3 * x + c) + 0.1 * (x - d).square()).sum())


def walled(function: Smooth, where: float, width: float, kind: str) -> Smooth:
    """The function with a stretch in which its value, or its slope alone, is not finite."""

    def spoiled(x: Tensor) -> Tensor:
        inside = (x > where) & (x < where + width)
        if kind == "slope":  # sqrt(0) adds 0 to the value and 0 * inf to the slope
            return function.function(x) + torch.where(inside, 0 * x, torch.ones_like(x)).sqrt().sum() * 0
        return function.function(x) + torch.where(inside, math.nan if kind == "nan" else math.inf, 0.0).sum()

    return Smooth(spoiled)


def check(found: SearchResult, function: Smooth, theta: Tensor, options: StrongWolfe) -> None:
    """What the status says, from the definition and fresh evaluations."""
    value, gradient = function.value_and_gradient(theta)
    slope = -float(gradient @ gradient)
    new, new_gradient = function.value_and_gradient(theta - found.point.step * gradient)
    assert math.isfinite(found.point.value)
    assert new == found.point.value
    if found.status == "failed":
        assert found.point.step == 0
        return
    assert found.point.step > 0
    assert new <= value + options.sufficient * found.point.step * slope
    if found.status == "wolfe":
        assert abs(float(new_gradient @ gradient)) <= options.curvature * abs(slope) * (1 + 1e-12)


@given(st.lists(small, min_size=4, max_size=4), small, st.floats(-6, 6), st.sampled_from([0.1, 0.5, 0.9]))
def test_both_conditions_hold_whenever_it_says_so(
    coefficients: list[float], x: float, magnitude: float, curvature: float
) -> None:
    function, theta, options = wavy(coefficients), torch.tensor([x], dtype=torch.float64), StrongWolfe(1e-4, curvature)
    check(search(function, theta, first=10**magnitude, options=options), function, theta, options)


@given(small, st.floats(-4, 4))
def test_on_a_convex_function_it_finds_a_wolfe_point(x: float, magnitude: float) -> None:
    function = Smooth(lambda theta: torch.cosh(theta - 0.3).sum())
    found = search(function, torch.tensor([x], dtype=torch.float64), first=10**magnitude)
    assert found.status == ("wolfe" if x != 0.3 else "failed")


@given(
    st.lists(small, min_size=4, max_size=4),
    small,
    small,
    st.floats(0.01, 3),
    st.sampled_from(["nan", "inf", "slope"]),
    st.floats(-2, 4),
)
def test_walls_at_random_places_never_lead_to_a_point_that_is_not_finite(
    coefficients: list[float], x: float, where: float, width: float, kind: str, magnitude: float
) -> None:
    function, theta = walled(wavy(coefficients), where, width, kind), torch.tensor([x], dtype=torch.float64)
    found = search(function, theta, first=10**magnitude)
    assert math.isfinite(found.point.step)
    if math.isfinite(function.value_and_gradient(theta)[0]) and function.value_and_gradient(theta)[1].isfinite():
        assert found.point.finite
        check(found, function, theta, StrongWolfe())
    else:
        assert found.status == "failed"


def test_a_wall_hides_no_minimum_before_it() -> None:
    found = search(Smooth(log_barrier), torch.tensor([4.0], dtype=torch.float64), options=StrongWolfe(1e-4, 1e-3))
    assert found.status == "wolfe"
    # |3 - 1e-3 / (x - 0.2)| <= 3e-3 to first order
    assert float(found.point.theta) == pytest.approx(BARRIER_MINIMUM, abs=4e-7)


def test_a_function_that_falls_up_to_the_wall_ends_with_a_finite_lower_point() -> None:
    function = Smooth(lambda x: torch.where(x < 1, -x, math.nan).sum())
    found = search(function, torch.zeros(1, dtype=torch.float64), first=3.0)
    assert found.status == "decrease"
    assert 0.5 < float(found.point.theta) < 1
    assert "resolution" in found.reason or "trials" in found.reason


def test_a_function_without_a_lower_bound_ends_too() -> None:
    found = search(Smooth(lambda x: -x.sum()), torch.zeros(1, dtype=torch.float64))
    assert found.status == "decrease"
    assert "all 50 trials" in found.reason


def test_the_wolfe_points_step_lies_where_scipys_conditions_put_it() -> None:
    function, theta = Smooth(rosenbrock), torch.tensor([-1.2, 1.0, 0.7], dtype=torch.float64)
    _, gradient = function.value_and_gradient(theta)
    found = search(function, theta, first=1e-3)
    expected = scipy.optimize.line_search(
        lambda x: function.for_scipy(x)[0], lambda x: function.for_scipy(x)[1], theta.numpy(), -gradient.numpy()
    )
    assert found.status == "wolfe"
    # Both are in the first valley along the line, whose Wolfe points lie close together.
    assert found.point.step == pytest.approx(expected[0], rel=0.5)


@given(st.integers(1, 12), st.floats(-4, 4))
def test_a_budget_is_never_exceeded_and_ends_it_with_the_best_point(budget: int, magnitude: float) -> None:
    function, theta = Smooth(rosenbrock), torch.tensor([-1.2, 1.0, 0.7], dtype=torch.float64)
    value, gradient = function.value_and_gradient(theta)
    function.asked.clear()
    options = StrongWolfe(1e-4, 1e-3)
    counted = CountingFunction(function, EvaluationCounter(Budget(budget)))
    found = options.search(counted, theta, value, gradient, -gradient, 10**magnitude)
    assert len(function.asked) == found.evaluations <= budget
    assert found.spent == (found.status != "wolfe")
    values = [function.value(asked) for asked in list(function.asked)]
    if found.spent:
        assert found.evaluations == budget
        steps = [float((theta - asked)[0] / gradient[0]) for asked in function.asked[:budget]]
        slope = float(gradient @ gradient)
        good = [v for v, step in zip(values, steps, strict=False) if v <= value - 1e-4 * step * slope]
        assert found.point.value == (min(good) if good else value)


def test_it_is_exact_on_a_quadratic_after_one_interpolation() -> None:
    function = Smooth(lambda x: 2 * x.square().sum())
    found = search(function, vector(4, 0), first=1.0, options=StrongWolfe(1e-4, 1e-3))
    assert found.point.step == pytest.approx(0.25, rel=1e-12)
    assert found.evaluations == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_cubics_minimum_is_that_of_the_polynomial_through_both_points(seed: int) -> None:
    c = vector(4, seed).tolist()
    nothing = torch.empty(0)

    def at(x: float) -> Point:
        value, slope = c[0] + x * (c[1] + x * (c[2] + x * c[3])), c[1] + x * (2 * c[2] + 3 * x * c[3])
        return Point(x, value, slope, nothing, nothing)

    roots = np.roots([3 * c[3], 2 * c[2], c[1]])
    minima = [r.real for r in roots if r.imag == 0 and 2 * c[2] + 6 * c[3] * r.real > 0]
    found = cubic_minimum(at(-0.4), at(1.7))
    assert (found is None) == (not minima)
    if found is not None:
        assert found == pytest.approx(minima[0], rel=1e-9)


def test_a_bracket_whose_end_is_a_wall_is_halved_even_where_its_value_is_finite() -> None:
    nothing, nan = torch.zeros(1), torch.full((1,), math.nan)
    low = Point(1.0, 2.0, -1.0, nothing, nothing)
    assert between(low, Point(3.0, 5.0, 9.0, nothing, nan), halve=False) == 2.0
    assert between(low, Point(3.0, 5.0, 9.0, nothing, nothing), halve=False) != 2.0
    assert between(low, Point(3.0, 5.0, 9.0, nothing, nothing), halve=True) == 2.0
    # The cubic's minimum is next to an end: no nearer than a tenth.
    assert between(low, Point(3.0, 5e9, 5e9, nothing, nothing), halve=False) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("direction", "first", "reason"),
    [
        ([1.0, 0.0], 1.0, "not a direction of descent"),
        ([0.0, 0.0], 1.0, "not a direction of descent"),
        ([math.nan, 0.0], 1.0, "not finite"),
        ([-1.0, 0.0], 0.0, "first step"),
        ([-1.0, 0.0], math.inf, "first step"),
    ],
)
def test_what_cannot_be_searched_fails_with_a_reason(direction: list[float], first: float, reason: str) -> None:
    function, theta = Smooth(lambda x: x.square().sum()), torch.ones(2, dtype=torch.float64)
    value, gradient = function.value_and_gradient(theta)
    found = StrongWolfe().search(function, theta, value, gradient, torch.tensor(direction, dtype=torch.float64), first)
    assert found.status == "failed"
    assert reason in found.reason
    assert found.evaluations == 0


@pytest.mark.parametrize(
    "options",
    [
        {"sufficient": 0.0},
        {"sufficient": math.nan},
        {"curvature": 1.0},
        {"sufficient": 0.3, "curvature": 0.2},
        {"max_trials": 0},
        {"growth": 1.0},
    ],
)
def test_bad_options_are_refused_in_one_sentence(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"^StrongWolfe: \w+ is .*; expected "):
        StrongWolfe(**options)  # type: ignore[arg-type]
