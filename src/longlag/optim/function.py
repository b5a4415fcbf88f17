"""What an optimiser sees: a function of one flat vector on fixed samples, and its curvature at one point."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from longlag.errors import InputError
from longlag.nn.curvature import Curvature, Linearisation, MatrixFreeCurvature

__all__ = [
    "Bound",
    "Function",
    "SampleObjective",
    "SeparateCurvature",
    "StructuralFunction",
    "curvature_of",
]

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class Function(Protocol):
    """An objective on samples that stay the same: the same theta gives the same answer. Every tensor is a fresh one."""

    def value(self, theta: Tensor) -> float:
        """f(theta)."""
        ...

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """f(theta) and its gradient, (W,)."""
        ...

    def curvature(self, theta: Tensor) -> Curvature:
        """The curvature at ``theta``."""
        ...


class StructuralFunction(Function, Protocol):
    """A function that can add structural damping (Martens & Sutskever 2011, section 3.2) to its curvature."""

    def curvature(self, theta: Tensor, *, structural: float = 0.0) -> Curvature:
        """The curvature at ``theta``, plus ``structural`` times the Gauss-Newton matrix of the hidden states."""
        ...


class SampleObjective(Protocol[S_contra]):
    """``longlag.nn.Objective`` with opaque samples. It may also offer ``curvature`` and ``linearise``."""

    def value(self, theta: Tensor, samples: S_contra) -> float:
        """The loss."""
        ...

    def value_and_gradient(self, theta: Tensor, samples: S_contra) -> tuple[float, Tensor]:
        """The loss and its gradient, (W,)."""
        ...

    def curvature_product(self, theta: Tensor, v: Tensor, samples: S_contra) -> Tensor:
        """The Gauss-Newton matrix at theta times ``v`` (W,)."""
        ...


def curvature_of(function: Function, theta: Tensor, structural: float = 0.0) -> Curvature:
    """The function's curvature, structurally damped by ``structural`` where that is not 0.

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


class Bound(Generic[S]):
    """An objective of the waist and the samples it is asked about, as one ``Function``."""

    def __init__(self, objective: SampleObjective[S], samples: S) -> None:
        self.objective, self.samples = objective, samples

    def value(self, theta: Tensor) -> float:
        """The loss on the samples."""
        return self.objective.value(theta, self.samples)

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """The loss on the samples and its gradient."""
        return self.objective.value_and_gradient(theta, self.samples)

    def curvature(self, theta: Tensor, *, structural: float = 0.0) -> Curvature:
        """The objective's own ``curvature(theta, samples)`` where it has one, otherwise its products."""
        own: Callable[..., Curvature] | None = getattr(self.objective, "curvature", None)
        if structural != 0.0:
            return _structural(own or self._by_products)(theta, self.samples, structural=structural)
        return (own or self._by_products)(theta, self.samples)

    def linearise(self, theta: Tensor) -> Linearisation:
        """Value, gradient and, where the objective's ``linearise(theta, samples)`` gives it along, curvature."""
        own: Callable[..., Linearisation] | None = getattr(self.objective, "linearise", None)
        if own is None:
            return Linearisation(*self.value_and_gradient(theta), None)
        return own(theta, self.samples)

    def _by_products(self, theta: Tensor, samples: S) -> Curvature:
        return MatrixFreeCurvature(theta, lambda v: self.objective.curvature_product(theta, v, samples))


class SeparateCurvature:
    """Values and gradients of one function, curvature of another: on fewer samples, as Hessian-free can afford."""

    def __init__(self, function: Function, curvature_function: Function) -> None:
        self.function, self.curvature_function = function, curvature_function

    def value(self, theta: Tensor) -> float:
        """The first function's."""
        return self.function.value(theta)

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """The first function's."""
        return self.function.value_and_gradient(theta)

    def curvature(self, theta: Tensor, *, structural: float = 0.0) -> Curvature:
        """The second function's."""
        return curvature_of(self.curvature_function, theta, structural)
