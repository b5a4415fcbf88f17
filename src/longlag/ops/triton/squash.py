"""The squashing functions on the device, finite for every input, and their slopes in terms of their own value."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["sigmoid", "slope", "squash", "tanh"]


@triton.jit
def sigmoid(x: tl.tensor) -> tl.tensor:
    """Return 1 / (1 + e^-x) for x >= 0, e^x / (1 + e^x) below: the exponential of a positive number is never taken."""
    shrunk = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, shrunk) / (1.0 + shrunk)


@triton.jit
def tanh(x: tl.tensor) -> tl.tensor:
    """Return sign(x) (1 - e^-2|x|) / (1 + e^-2|x|).

    Written with e^-2x the usual formula is inf / inf for large negative x. Near zero the difference would lose its
    digits; there the continued fraction x / (1 + x^2 / (3 + ... x^2 / 11)) is exact to a float64's last place.
    """
    size = tl.abs(x)
    shrunk = tl.exp(-2.0 * size)
    square = tl.where(size < 0.25, x * x, 0.0)
    above = size * (10395.0 + square * (1260.0 + square * 21.0))
    below = 10395.0 + square * (4725.0 + square * (210.0 + square))
    value = tl.where(size < 0.25, above, 1.0 - shrunk) / tl.where(size < 0.25, below, 1.0 + shrunk)
    return tl.where(x < 0, -value, value)


@triton.jit
def squash(x: tl.tensor, KIND: tl.constexpr) -> tl.tensor:
    """Return the function of that name, see ``ops.squash``."""
    if KIND == "tanh":
        return tanh(x)
    elif KIND == "logistic":
        return sigmoid(x)
    elif KIND == "logistic_pm1":
        return tanh(0.5 * x)
    elif KIND == "logistic_pm2":
        return 2.0 * tanh(0.5 * x)
    else:
        tl.static_assert(KIND == "identity")
        return x


@triton.jit
def slope(y: tl.tensor, KIND: tl.constexpr) -> tl.tensor:
    """Return dy/dx where y = squash(x)."""
    if KIND == "tanh":
        return 1.0 - y * y
    elif KIND == "logistic":
        return y * (1.0 - y)
    elif KIND == "logistic_pm1":
        return 0.5 * (1.0 - y * y)
    elif KIND == "logistic_pm2":
        return 1.0 - 0.25 * y * y
    else:
        tl.static_assert(KIND == "identity")
        return tl.full(y.shape, 1.0, y.dtype)
