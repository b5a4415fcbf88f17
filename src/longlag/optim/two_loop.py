"""The inverse Hessian of L-BFGS, a positive definite matrix that pairs of changes define."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from longlag.optim.vectors import dot

__all__ = ["InverseBFGS"]


class InverseBFGS:
    """H of Nocedal 1980, applied by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4).

    With rho = 1 / s'y and V = I - rho y s', each pair makes H <- V'HV + rho s s', from H = gamma I on.

    Parameters
    ----------
    steps, changes : sequence of Tensor (W,)
        s and y, oldest first, each with s'y > 0.
    scale : float, optional
        gamma. Default: s'y / y'y of the newest pair (7.20), 1 without pairs.
    """

    def __init__(self, steps: Sequence[Tensor], changes: Sequence[Tensor], scale: float | None = None) -> None:
        self.pairs = [(s, y, 1.0 / torch.dot(s, y)) for s, y in zip(steps, changes, strict=True)]
        if scale is None:
            scale = dot(steps[-1], changes[-1]) / dot(changes[-1], changes[-1]) if steps else 1.0
        self.scale = scale

    def __matmul__(self, v: Tensor) -> Tensor:
        """Return the product H v, without moving anything to the host."""
        shares = []
        for s, y, rho in reversed(self.pairs):
            share = rho * torch.dot(s, v)
            v = v - share * y
            shares.append(share)
        v = self.scale * v
        for (s, y, rho), share in zip(self.pairs, reversed(shares), strict=True):
            v = v + (share - rho * torch.dot(y, v)) * s
        return v
