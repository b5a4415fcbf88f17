"""Counts and budgets: every question counts once, and the one too many is never asked."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from longlag.errors import InputError
from longlag.nn.curvature import Linearisation
from longlag.optim import Budget, Evaluations
from longlag.optim.counting import BudgetSpent, CountingFunction, EvaluationCounter
from optim.problems import LeastSquares, Matrix, rosenbrock_residuals, vector


def test_gradient_equivalents_by_hand() -> None:
    spent = Evaluations(values=6, gradients=5, products=7, cheap_products=1000, matrices=2)
    assert spent.total == 6 + 5 + 2
    assert spent.gradient_equivalents == 5 + 4 + 7 + 2


@pytest.mark.parametrize("is_stored", [False, True])
def test_each_question_counts_once(is_stored: bool) -> None:
    counter = EvaluationCounter()
    counted = CountingFunction(LeastSquares(rosenbrock_residuals, is_stored=is_stored), counter)
    theta = vector(3, 0)
    counted.value(theta)
    counted.value_and_gradient(theta)
    counted.value_and_gradient(theta)
    curvature = counted.curvature(theta)
    assert counter.evaluations == Evaluations(values=1, gradients=2)
    for _ in range(3):
        _ = curvature @ theta
    if is_stored:  # its Jacobian was made once
        assert counter.evaluations == Evaluations(1, 2, cheap_products=3, matrices=1)
    else:
        assert counter.evaluations == Evaluations(1, 2, products=3)
    curvature.dense()
    curvature.dense()
    assert counter.evaluations.matrices == 1
    counted.curvature(theta).dense()
    assert counter.evaluations.matrices == 2


def test_a_jacobian_that_gives_the_gradient_too_counts_as_the_gradient() -> None:
    theta, counter = vector(3, 0), EvaluationCounter()
    counted = CountingFunction(_Linearised(), counter, linearise=True)
    value, gradient = counted.value_and_gradient(theta)
    assert (value, gradient.tolist()) == (7.0, [1.0, 2.0, 3.0])
    assert counted.curvature(theta).dense().tolist() == (2 * torch.eye(3)).tolist()
    _ = counted.curvature(theta) @ theta
    assert counter.evaluations == Evaluations(gradients=1, cheap_products=1)
    counted.curvature(theta + 1).dense()  # elsewhere it is another matrix
    assert counter.evaluations == Evaluations(gradients=1, cheap_products=1, matrices=1)


class _Linearised(LeastSquares):
    """What it says together differs from what it says one by one, so that a test sees which was asked."""

    def __init__(self) -> None:
        super().__init__(rosenbrock_residuals, is_stored=True)

    def linearise(self, theta: Tensor) -> Linearisation:
        matrix = Matrix(2 * torch.eye(3, dtype=torch.float64), is_stored=True)
        return Linearisation(7.0, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), matrix)


@given(
    st.lists(st.sampled_from(["value", "gradient", "times", "dense"]), max_size=30),
    st.integers(0, 10) | st.none(),
    st.integers(0, 10) | st.none(),
    st.booleans(),
)
def test_no_budget_is_ever_exceeded(
    questions: list[str], evaluations: int | None, products: int | None, is_stored: bool
) -> None:
    function = LeastSquares(rosenbrock_residuals, is_stored=is_stored)
    counter, theta = EvaluationCounter(Budget(evaluations, products)), vector(3, 0)
    counted = CountingFunction(function, counter)
    for question in questions:
        before, asked = counter.evaluations, len(function.asked)
        try:
            if question == "value":
                counted.value(theta)
            elif question == "gradient":
                counted.value_and_gradient(theta)
            elif question == "times":
                _ = counted.curvature(theta) @ theta
            else:
                counted.curvature(theta).dense()
        except BudgetSpent:
            assert len(function.asked) == asked
            if question != "times":
                assert counter.evaluations == before
        spent = counter.evaluations
        assert evaluations is None or spent.total <= evaluations
        assert products is None or spent.products + spent.cheap_products <= products
    assert len(function.asked) == counter.evaluations.values + counter.evaluations.gradients


def test_functions_that_share_a_meter_share_the_budget() -> None:
    counter = EvaluationCounter(Budget(2))
    one, other = (CountingFunction(LeastSquares(rosenbrock_residuals), counter) for _ in range(2))
    one.value(vector(3, 0))
    other.value(vector(3, 0))
    with pytest.raises(BudgetSpent, match="the budget of 2 evaluations is spent"):
        one.value(vector(3, 0))


def test_counting_changes_no_answer() -> None:
    function, theta = LeastSquares(rosenbrock_residuals), vector(3, 0)
    counted = CountingFunction(function, EvaluationCounter())
    assert counted.value(theta) == function.value(theta)
    assert torch.equal(counted.value_and_gradient(theta)[1], function.value_and_gradient(theta)[1])
    ours, theirs = counted.curvature(theta), function.curvature(theta)
    assert torch.equal(ours @ theta, theirs @ theta)
    assert torch.equal(ours.dense(), theirs.dense())
    diagonal = ours.diagonal()
    assert diagonal is not None
    assert torch.equal(diagonal, theirs.matrix.diagonal())
    assert ours.is_stored


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(InputError, match="Budget: products is -1; expected None or a whole number of at least 0"):
        Budget(products=-1)
