"""Functions of one flat vector, which is all that an optimiser knows: value, gradient, curvature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from longlag.errors import InputError
from longlag.nn.curvature import Curvature, Linearisation, MatrixFreeCurvature
from longlag.renamed import renamed_arguments

__all__ = [
    "BoundObjective",
    "Function",
    "SampleObjective",
    "SeparateCurvature",
    "StructuralFunction",
    "curvature_of",
]

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class Function(Protocol):
    """An objective on a batch that stays the same: the same theta gives the same value. Every tensor is a fresh one."""

    def value(self, theta: Tensor) -> float:
        """Return the value f(theta)."""
        ...

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Return the value f(theta) and its gradient, (W,)."""
        ...

    def curvature(self, theta: Tensor) -> Curvature:
        """Return the curvature at ``theta``."""
        ...


class StructuralFunction(Function, Protocol):
    """A function that can add structural damping (Martens & Sutskever 2011, section 3.2) to its curvature."""

    def curvature(self, theta: Tensor, *, structural: float = 0.0) -> Curvature:
        """Return the curvature at ``theta``, plus ``structural`` times the Gauss-Newton matrix of the hidden states."""
        ...


class SampleObjective(Protocol[S_contra]):
    """``longlag.nn.Objective`` with opaque batches. It may also offer ``curvature`` and ``linearise``."""

    def value(self, theta: Tensor, batch: S_contra) -> float:
        """Return the loss of a batch."""
        ...

    def value_and_gradient(self, theta: Tensor, batch: S_contra) -> tuple[float, Tensor]:
        """Return the loss of a batch and its gradient, (W,)."""
        ...

    def curvature_product(self, theta: Tensor, v: Tensor, batch: S_contra) -> Tensor:
        """Return the Gauss-Newton matrix at theta times ``v`` (W,)."""
        ...


def curvature_of(function: Function, theta: Tensor, structural: float = 0.0) -> Curvature:
    """Return the function's curvature, structurally damped by ``structural`` where that is not 0.

    Raises
    ------
    InputError
        If structural damping is asked of a function that does not offer it.
    """
    if structural == 0.0:
        return function.curvature(theta)
    return _structural(function.curvature)(theta, structural=structural)


def _structural(curvature: Callable[..., Curvature]) -> Callable[..., Curvature]:
    if "structural" not in inspect.signature(curvature).parameters:
        raise InputError(
            f"structural damping was asked for, and {getattr(curvature, '__qualname__', curvature)} takes no "
            "'structural'; expected a function that can damp the change of its hidden states"
        )
    return curvature


@renamed_arguments(samples="batch")
class BoundObjective(Generic[S]):
    """An objective on one batch, as a ``Function``."""

    def __init__(self, objective: SampleObjective[S], batch: S) -> None:
        self.objective, self.batch = objective, batch

    def value(self, theta: Tensor) -> float:
        """Return the loss of the batch."""
        return self.objective.value(theta, self.batch)

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Return the loss of the batch and its gradient."""
        return self.objective.value_and_gradient(theta, self.batch)

    def curvature(self, theta: Tensor, *, structural: float = 0.0) -> Curvature:
        """Return the objective's own ``curvature(theta, batch)`` where it has one, otherwise its products."""
        own: Callable[..., Curvature] | None = getattr(self.objective, "curvature", None)
        if structural != 0.0:
            return _structural(own or self._by_products)(theta, self.batch, structural=structural)
        return (own or self._by_products)(theta, self.batch)

    def linearise(self, theta: Tensor) -> Linearisation:
        """Value, gradient and, where the objective's ``linearise(theta, batch)`` gives it along, curvature."""
        own: Callable[..., Linearisation] | None = getattr(self.objective, "linearise", None)
        if own is None:
            return Linearisation(*self.value_and_gradient(theta), None)
        return own(theta, self.batch)

    def _by_products(self, theta: Tensor, batch: S) -> Curvature:
        return MatrixFreeCurvature(theta, lambda v: self.objective.curvature_product(theta, v, batch))


class SeparateCurvature:
    """Values and gradients of one function, curvature of another: on fewer samples, as Hessian-free can afford."""

    def __init__(self, function: Function, curvature_function: Function) -> None:
        self.function, self.curvature_function = function, curvature_function

    def value(self, theta: Tensor) -> float:
        """Return the value of the first function."""
        return self.function.value(theta)

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Return the value and gradient of the first function."""
        return self.function.value_and_gradient(theta)

    def curvature(self, theta: Tensor, *, structural: float = 0.0) -> Curvature:
        """Return the curvature of the second function."""
        return curvature_of(self.curvature_function, theta, structural)
