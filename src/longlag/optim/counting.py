"""What an optimisation cost, and budgets that are never exceeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from longlag.nn.curvature import Curvature, Linearisation
from longlag.optim.checks import require, whole
from longlag.optim.function import Function, curvature_of

__all__ = ["Budget", "BudgetSpent", "CountingFunction", "EvaluationCounter", "Evaluations"]


@dataclass(frozen=True)
class Evaluations:
    """How often a function was evaluated.

    values : values without a gradient.
    gradients : gradients with their values, and with the stored Jacobian where one gives them all.
    products : products of a curvature with a vector, each as dear as a gradient.
    cheap_products : products with a stored Jacobian.
    matrices : stored Jacobians and dense matrices made for their own sake.
    """

    values: int = 0
    gradients: int = 0
    products: int = 0
    cheap_products: int = 0
    matrices: int = 0

    @property
    def total(self) -> int:
        """What a budget of evaluations limits: values, gradients and matrices."""
        return self.values + self.gradients + self.matrices

    @property
    def gradient_equivalents(self) -> float:
        """gradients + 2/3 values + products + matrices; products that are cheap are free."""
        return self.gradients + 2 / 3 * self.values + self.products + self.matrices


@dataclass(frozen=True)
class Budget:
    """Limits that are never exceeded; None is no limit.

    evaluations : at most so many, see ``Evaluations.total``. products : at most so many, cheap ones included.
    """

    evaluations: int | None = None
    products: int | None = None

    def __post_init__(self) -> None:
        for name, limit in (("evaluations", self.evaluations), ("products", self.products)):
            require("Budget", name, limit, limit is None or whole(limit) >= 0, "None or a whole number of at least 0")


class BudgetSpent(Exception):
    """The next evaluation would exceed the budget, and was not made. A signal to the optimiser, no user's error."""


class EvaluationCounter:
    """Counts evaluations under a budget. Functions that share a counter share the budget."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = Budget() if budget is None else budget
        self.evaluations = Evaluations()

    def charge(self, quantity: str) -> None:
        """Count one more of ``quantity`` (a field of Evaluations) before it is paid for, or raise BudgetSpent."""
        after = replace(self.evaluations, **{quantity: getattr(self.evaluations, quantity) + 1})
        products = after.products + after.cheap_products
        for spent, limit, name in (
            (after.total, self.budget.evaluations, "evaluations"),
            (products, self.budget.products, "products"),
        ):
            if limit is not None and spent > limit:
                raise BudgetSpent(f"the budget of {limit} {name} is spent")
        self.evaluations = after


class CountingFunction:
    """A function whose evaluations are counted.

    Parameters
    ----------
    function : Function
    counter : EvaluationCounter
    linearise : bool
        Take gradients from the stored Jacobian where the function has one; the curvature at the same point is then that
        Jacobian's, at no further cost.
    """

    def __init__(self, function: Function, counter: EvaluationCounter, *, linearise: bool = False) -> None:
        self.function, self.counter = function, counter
        self._linearise: Callable[[Tensor], Linearisation] | None = (
            getattr(function, "linearise", None) if linearise else None
        )
        # The last gradient's point, and the matrix of its Jacobian.
        self._latest: tuple[Tensor, Curvature] | None = None

    def value(self, theta: Tensor) -> float:
        """Return the function's value, counted."""
        self.counter.charge("values")
        return self.function.value(theta)

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Return the function's value and gradient, counted as one gradient."""
        self.counter.charge("gradients")
        if self._linearise is None:
            return self.function.value_and_gradient(theta)
        line = self._linearise(theta)
        self._latest = None if line.curvature is None else (theta.clone(), line.curvature)
        return line.value, line.gradient

    def curvature(self, theta: Tensor, *, structural: float = 0.0) -> Curvature:
        """Return the function's curvature, whose products and matrices are counted."""
        if self._latest is not None and structural == 0.0 and torch.equal(self._latest[0], theta):
            return _CountingCurvature(self._latest[1], self.counter, stored=True)
        return _CountingCurvature(curvature_of(self.function, theta, structural), self.counter)


class _CountingCurvature:
    def __init__(self, curvature: Curvature, counter: EvaluationCounter, *, stored: bool = False) -> None:
        self.curvature, self.counter = curvature, counter
        self.stored = stored

    @property
    def is_stored(self) -> bool:
        return self.curvature.is_stored

    def __matmul__(self, v: Tensor) -> Tensor:
        if self.is_stored:
            self._store()
        self.counter.charge("cheap_products" if self.is_stored else "products")
        return self.curvature @ v

    def diagonal(self) -> Tensor | None:
        if self.is_stored:
            self._store()
        return self.curvature.diagonal()

    def dense(self) -> Tensor:
        self._store()
        return self.curvature.dense()

    def _store(self) -> None:
        """Count one matrix, once: the Jacobian behind cheap products is the one behind the dense matrix."""
        if not self.stored:
            self.counter.charge("matrices")
            self.stored = True
