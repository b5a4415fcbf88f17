"""Random numbers in columns: one for each of n series, to be broadcast along time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "chance", "lognormal", "recursion", "uniform"]

Array = NDArray[np.float64]


def chance(rng: np.random.Generator, n: int, probability: float) -> NDArray[np.bool_]:
    """Return (n, 1): whether each series has what it has with this probability."""
    return rng.random((n, 1)) < probability


def lognormal(rng: np.random.Generator, n: int, median: float, spread: float) -> Array:
    """Return (n, 1) positive numbers with this median, whose logarithms have this deviation."""
    numbers: Array = median * np.exp(spread * rng.standard_normal((n, 1)))
    return numbers


def uniform(rng: np.random.Generator, n: int, low: float, high: float, *, logarithmic: bool = False) -> Array:
    """Return (n, 1) numbers between two bounds, even in size or in their logarithms."""
    if logarithmic:
        return np.exp(rng.uniform(np.log(low), np.log(high), (n, 1)))
    return rng.uniform(low, high, (n, 1))


def recursion(shocks: Array, *feedback: Array) -> Array:
    """Return y (n, T) with y_t = shocks_t + feedback_1 y_{t-1} + feedback_2 y_{t-2} + ...; feedback (n, 1) each."""
    values = np.zeros_like(shocks)
    columns = [factor[:, 0] for factor in feedback]
    for step in range(shocks.shape[1]):
        total = shocks[:, step].copy()
        for lag, factor in enumerate(columns, start=1):
            if step >= lag:
                total += factor * values[:, step - lag]
        values[:, step] = total
    return values
