"""Functions with known minima, for the optimisers' tests. Derivatives by autograd or by hand, never by the library."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


class Matrix:
    """A given matrix as a curvature."""

    def __init__(self, matrix: Tensor, *, is_stored: bool = False, diagonal: bool = True) -> None:
        self.matrix, self.is_stored, self.has_diagonal = matrix, is_stored, diagonal
        self.products = 0

    def __matmul__(self, v: Tensor) -> Tensor:
        self.products += 1
        return self.matrix @ v

    def diagonal(self) -> Tensor | None:
        return self.matrix.diagonal().clone() if self.has_diagonal else None

    def dense(self) -> Tensor:
        return self.matrix.clone()


class Smooth:
    """Any function, differentiated by autograd. Its curvature is the Hessian. Every theta asked about is kept."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.asked: list[Tensor] = []

    def value(self, theta: Tensor) -> float:
        self.asked.append(theta.clone())
        return float(self.function(theta))

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        self.asked.append(theta.clone())
        theta = theta.detach().requires_grad_()
        value = self.function(theta)
        (gradient,) = torch.autograd.grad(value, theta)
        return float(value.detach()), gradient

    def curvature(self, theta: Tensor) -> Matrix:
        return Matrix(torch.autograd.functional.hessian(self.function, theta))

    def for_scipy(self, x: Array) -> tuple[float, Array]:
        value, gradient = self.value_and_gradient(torch.from_numpy(x))
        return value, gradient.numpy()


class LeastSquares(Smooth):
    """|r(theta)|^2 / 2 with the Gauss-Newton matrix J'J from a stored Jacobian."""

    def __init__(self, residuals: Callable[[Tensor], Tensor], *, is_stored: bool = True) -> None:
        super().__init__(lambda theta: 0.5 * residuals(theta).square().sum())
        self.residuals, self.is_stored = residuals, is_stored

    def curvature(self, theta: Tensor) -> Matrix:
        jacobian = torch.autograd.functional.jacobian(self.residuals, theta)
        return Matrix(jacobian.T @ jacobian, is_stored=self.is_stored)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def positive_definite(size: int, seed: int, *, spread: float = 100.0) -> Tensor:
    """A random matrix with eigenvalues from 1 to ``spread``."""
    q, _ = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator(seed)))
    matrix = q @ torch.logspace(0, math.log10(spread), size, dtype=torch.float64).diag() @ q.T
    return (matrix + matrix.T) / 2


def vector(size: int, seed: int) -> Tensor:
    return torch.randn(size, dtype=torch.float64, generator=generator(seed))


def quadratic(matrix: Tensor, b: Tensor) -> Smooth:
    return Smooth(lambda theta: 0.5 * theta @ matrix @ theta - b @ theta)


def rosenbrock(theta: Tensor) -> Tensor:
    return (1 - theta[:-1]).square().sum() + 100 * (theta[1:] - theta[:-1].square()).square().sum()


def rosenbrock_residuals(theta: Tensor) -> Tensor:
    """Their squares add up to Rosenbrock's function; half of that is the least-squares objective."""
    return torch.cat([1 - theta[:-1], 10 * (theta[1:] - theta[:-1].square())])


def logistic_regression(seed: int, samples: int = 60, size: int = 5, penalty: float = 0.1) -> Smooth:
    inputs = torch.randn(samples, size, dtype=torch.float64, generator=generator(seed))
    signs = torch.where(inputs @ vector(size, seed + 1) + vector(samples, seed + 2) > 0, 1.0, -1.0).double()
    return Smooth(
        lambda theta: torch.nn.functional.softplus(-signs * (inputs @ theta)).sum() + penalty * theta.square().sum()
    )


def log_barrier(theta: Tensor) -> Tensor:
    """3x - 1e-3 log(x - 0.2), NaN below 0.2. Its minimum: 3 = 1e-3 / (x - 0.2)."""
    return (3 * theta - 1e-3 * torch.log(theta - 0.2)).sum()


BARRIER_MINIMUM = 0.2 + 1e-3 / 3


def lowest_at(theta: Tensor) -> Smooth:
    """Its value at theta alone is lower than all the others, and its gradient does not say so."""
    return Smooth(lambda x: torch.where((x == theta).all(), 0.0, 1.0) + 1e-3 * x.sum())


def squares_lowest_at(theta: Tensor) -> LeastSquares:
    """Rosenbrock's residuals, a hundred times as large wherever else one looks."""
    return LeastSquares(lambda x: rosenbrock_residuals(x) * torch.where((x == theta).all(), 1.0, 100.0))


def exponential_fit(seed: int) -> Callable[[Tensor], Tensor]:
    """Residuals of a exp(-b t) + c with noise: a problem whose minimum has residuals left."""
    t = torch.linspace(0, 4, 40, dtype=torch.float64)
    target = 2.5 * torch.exp(-1.3 * t) + 0.5 + 0.05 * vector(40, seed)
    return lambda theta: theta[0] * torch.exp(-theta[1] * t) + theta[2] - target
