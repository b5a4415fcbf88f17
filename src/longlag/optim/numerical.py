"""The Hessian by differences of gradients, as the batch paper's Hessian-free took it (section 5.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.nn.curvature import dense_by_products
from longlag.optim.function import Function
from longlag.optim.vectors import dot

__all__ = ["NumericalHessian"]


class NumericalHessian:
    """H v = (g(theta + e v) - g(theta - e v)) / 2e, with e |v| = cbrt(eps) (1 + |theta|).

    That step balances the rounding of the gradient with the third derivatives. Two gradients a product, and the
    matrix may be indefinite: unlike Gauss-Newton's, it knows the curvature of the network itself.
    """

    is_stored = False

    def __init__(self, function: Function, theta: Tensor) -> None:
        self.function, self.theta = function, theta
        self.reach: float = torch.finfo(theta.dtype).eps ** (1 / 3) * (1 + dot(theta, theta) ** 0.5)

    def __matmul__(self, v: Tensor) -> Tensor:
        """Return the product H v, by two gradients."""
        length = dot(v, v) ** 0.5
        if length == 0:
            return torch.zeros_like(v)
        shift = self.reach / length * v
        ahead = self.function.value_and_gradient(self.theta + shift)[1]
        behind = self.function.value_and_gradient(self.theta - shift)[1]
        product: Tensor = (ahead - behind) * (length / (2 * self.reach))
        return product

    def diagonal(self) -> Tensor | None:
        """Return None, because it would cost as much as the matrix."""
        return None

    def dense(self) -> Tensor:
        """Return the matrix (W, W), by 2 W gradients."""
        return dense_by_products(self, self.theta)
