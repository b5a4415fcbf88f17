"""The curvature of an objective at one point: a symmetric matrix that need not be written down."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from longlag.renamed import renamed

__all__ = ["Curvature", "Linearisation", "MatrixFreeCurvature", "OldCurvatureNames", "dense_by_products"]

__getattr__ = renamed(__name__, {"Products": "MatrixFreeCurvature"})


class _Multiplies(Protocol):
    """A matrix of which products with vectors are known."""

    def __matmul__(self, v: Tensor) -> Tensor:
        """Return the matrix times ``v`` (W,)."""
        ...


class Curvature(_Multiplies, Protocol):
    """A symmetric matrix (W, W) at one theta: J'HJ, the Gauss-Newton matrix, unless its maker says otherwise."""

    @property
    def is_stored(self) -> bool:
        """Whether the matrix, or the Jacobian it is made of, is in memory: a product costs far less than a gradient."""
        ...

    def diagonal(self) -> Tensor | None:
        """Return the diagonal or an estimate of it, (W,); None where it costs about as much as the whole matrix."""
        ...

    def dense(self) -> Tensor:
        """Return the whole matrix, (W, W)."""
        ...


class Linearisation(NamedTuple):
    """An objective at one point.

    value : f; gradient : (W,); curvature : where it came with the gradient, from one stored Jacobian; None where it
    has to be computed by itself.
    """

    value: float
    gradient: Tensor
    curvature: Curvature | None


def dense_by_products(matrix: _Multiplies, like: Tensor) -> Tensor:
    """Return the matrix as a tensor, (W, W), by one product for each column; symmetric to the last bit."""
    columns = [matrix @ column for column in torch.eye(like.numel(), dtype=like.dtype, device=like.device)]
    dense = torch.stack(columns) if columns else like.new_zeros(0, 0)
    return (dense + dense.T) / 2


class OldCurvatureNames(_Multiplies):
    """Former names of two members: ``times(v)`` is now ``@ v``, and ``cheap`` is ``is_stored``."""

    is_stored: bool

    def times(self, v: Tensor) -> Tensor:
        """Return the matrix times ``v`` (W,)."""
        warnings.warn("curvature.times(v) is now curvature @ v", DeprecationWarning, stacklevel=2)
        return self @ v

    @property
    def cheap(self) -> bool:
        """Whether the matrix is in memory, as ``is_stored`` says."""
        warnings.warn("curvature.cheap is now curvature.is_stored", DeprecationWarning, stacklevel=2)
        return self.is_stored


class MatrixFreeCurvature(OldCurvatureNames):
    """A matrix that is known by its products with vectors: ``matvec`` maps v (W,) to the product (W,)."""

    is_stored = False

    def __init__(self, theta: Tensor, matvec: Callable[[Tensor], Tensor]) -> None:
        self.theta, self.matvec = theta, matvec

    def __matmul__(self, v: Tensor) -> Tensor:
        return self.matvec(v)

    def diagonal(self) -> None:
        """Return None: the diagonal does not follow from a few products."""
        return None

    def dense(self) -> Tensor:
        """Return the whole matrix, (W, W), by W products."""
        return dense_by_products(self, self.theta)
