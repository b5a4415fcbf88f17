"""What an optimisation cost, and budgets that are never exceeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from longlag.nn.curvature import Curvature, Linearisation
from longlag.optim.function import Function, curvature_of
from longlag.optim.vectors import require

__all__ = ["Budget", "BudgetSpent", "Counted", "Evaluations", "Meter"]


@dataclass(frozen=True)
class Evaluations:
    """How often a function was asked.

    values : without a gradient; gradients : with their values, and with the stored Jacobian where one gives them all;
    products : of a curvature with a vector, each as dear as a gradient; cheap_products : from a stored Jacobian;
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
    """Limits, either of them None for none: evaluations (see ``Evaluations.total``) and products, cheap ones too."""

    evaluations: int | None = None
    products: int | None = None

    def __post_init__(self) -> None:
        for name, limit in (("evaluations", self.evaluations), ("products", self.products)):
            require("Budget", name, limit, limit is None or limit >= 0, "None or at least 0")


class BudgetSpent(Exception):
    """The next question would exceed the budget, and was not asked. A signal to the optimiser, no user's error."""


class Meter:
    """Evaluations so far under a budget. Functions that share a meter share the budget."""

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


class Counted:
    """A function under a meter.

    ``linearise``: gradients come from the stored Jacobian where the function has one, and the curvature asked for at
    the same point is that Jacobian's.
    """

    def __init__(self, function: Function, meter: Meter, *, linearise: bool = False) -> None:
        self.function, self.meter = function, meter
        self._linearise: Callable[[Tensor], Linearisation] | None = (
            getattr(function, "linearise", None) if linearise else None
        )
        self._found: tuple[Tensor, Curvature] | None = None

    def value(self, theta: Tensor) -> float:
        """Counts one value."""
        self.meter.charge("values")
        return self.function.value(theta)

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Counts one gradient."""
        self.meter.charge("gradients")
        if self._linearise is None:
            return self.function.value_and_gradient(theta)
        found = self._linearise(theta)
        self._found = None if found.curvature is None else (theta.clone(), found.curvature)
        return found.value, found.gradient

    def curvature(self, theta: Tensor, *, structural: float = 0.0) -> Curvature:
        """Counts what is asked of it: a cheap one counts one matrix at once, for that is when its Jacobian is made."""
        if self._found is not None and structural == 0.0 and torch.equal(self._found[0], theta):
            return _CountedCurvature(self._found[1], self.meter, stored=True)
        return _CountedCurvature(curvature_of(self.function, theta, structural), self.meter)


class _CountedCurvature:
    def __init__(self, curvature: Curvature, meter: Meter, *, stored: bool = False) -> None:
        self.curvature, self.meter = curvature, meter
        self.stored = stored

    @property
    def is_stored(self) -> bool:
        return self.curvature.is_stored

    def __matmul__(self, v: Tensor) -> Tensor:
        if self.is_stored:
            self._store()
        self.meter.charge("cheap_products" if self.is_stored else "products")
        return self.curvature @ v

    def diagonal(self) -> Tensor | None:
        if self.is_stored:
            self._store()
        return self.curvature.diagonal()

    def dense(self) -> Tensor:
        self._store()
        return self.curvature.dense()

    def _store(self) -> None:
        """One matrix, once: the Jacobian behind cheap products is the one behind the dense matrix."""
        if not self.stored:
            self.meter.charge("matrices")
            self.stored = True
