"""Dot products, norms and checks of flat vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.errors import InputError

__all__ = ["check_theta", "dot", "finite", "largest"]


def dot(one: Tensor, other: Tensor) -> float:
    """Return the product one'other, summed in float64: a slope lost to rounding is a line search lost."""
    return float(torch.dot(one.double(), other.double()))


def largest(vector: Tensor) -> float:
    """Return the largest absolute entry; 0 of an empty vector."""
    return float(vector.abs().max()) if vector.numel() else 0.0


def finite(*vectors: Tensor) -> bool:
    """Return whether no entry of any vector is NaN or infinite."""
    return all(bool(torch.isfinite(vector).all()) for vector in vectors)


def check_theta(theta: Tensor) -> None:
    """Refuse what is not a flat vector of finite float32 or float64 numbers."""
    if theta.ndim != 1 or theta.dtype not in (torch.float32, torch.float64):
        raise InputError(f"theta is {tuple(theta.shape)} of {theta.dtype}; expected (W,) of float32 or float64")
    if not finite(theta):
        raise InputError("theta has an entry that is not finite; expected finite parameters to start from")
