"""The curvature of an objective at one point: a symmetric matrix that need not be written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = ["Curvature", "Linearisation", "Products", "dense_by_products"]


class Curvature(Protocol):
    """A symmetric matrix (W, W) at one theta: J'HJ, the Gauss-Newton matrix, unless said otherwise."""

    @property
    def cheap(self) -> bool:
        """Whether a product costs far less than a gradient, as it does from a stored Jacobian."""
        ...

    def times(self, v: Tensor) -> Tensor:
        """The matrix times ``v`` (W,)."""
        ...

    def diagonal(self) -> Tensor | None:
        """The diagonal or an estimate of it, (W,); None where there is none to be had at a fair price."""
        ...

    def dense(self) -> Tensor:
        """The whole matrix, (W, W)."""
        ...


class Linearisation(NamedTuple):
    """An objective at one point.

    value : f; gradient : (W,); curvature : where it came with the gradient, from one stored Jacobian; None where it
    has to be asked for.
    """

    value: float
    gradient: Tensor
    curvature: Curvature | None


def dense_by_products(times: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """The matrix whose products ``times`` gives, column by column: W products. Made symmetric to the last bit."""
    columns = [times(column) for column in torch.eye(like.numel(), dtype=like.dtype, device=like.device)]
    matrix = torch.stack(columns) if columns else like.new_zeros(0, 0)
    return (matrix + matrix.T) / 2


class Products:
    """A matrix known by its products alone."""

    cheap = False

    def __init__(self, theta: Tensor, times: Callable[[Tensor], Tensor]) -> None:
        self.theta, self.times = theta, times

    def diagonal(self) -> Tensor | None:
        return None

    def dense(self) -> Tensor:
        return dense_by_products(self.times, self.theta)
