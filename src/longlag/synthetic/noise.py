"""Noise: white or coloured, light or heavy tails, of constant or of changing size."""

from __future__ import annotations

import numpy as np

from longlag.synthetic.draws import Array, chance, lognormal, recursion, uniform

__all__ = ["changing_size", "coloured", "white"]


def white(rng: np.random.Generator, n: int, steps: int, heavy: float) -> Array:
    """Return (n, T) independent numbers of deviation about 1; a share ``heavy`` of the series has heavy tails."""
    normal = rng.standard_normal((n, steps))
    degrees = uniform(rng, n, 2.5, 6.0)
    tails = rng.standard_t(degrees, (n, steps)) * np.sqrt((degrees - 2.0) / degrees)
    skewed = np.exp(0.6 * rng.standard_normal((n, steps)))
    skewed = (skewed - 1.1972) / 0.789
    kind = rng.random((n, 1))
    return np.where(kind < heavy, np.where(kind < 0.7 * heavy, tails, skewed), normal)


def coloured(rng: np.random.Generator, shocks: Array) -> Array:
    """Return autoregressions (n, T) of order 1, or moving averages, of these shocks, with the shocks' deviation."""
    n = len(shocks)
    factor = uniform(rng, n, -0.4, 0.95)
    auto = recursion(shocks, factor) * np.sqrt(1.0 - factor**2)
    weight = uniform(rng, n, -0.8, 0.8)
    moving = (shocks + weight * np.concatenate([np.zeros((n, 1)), shocks[:, :-1]], axis=1)) / np.sqrt(1.0 + weight**2)
    return np.where(chance(rng, n, 0.75), auto, moving)


def changing_size(rng: np.random.Generator, n: int, steps: int) -> Array:
    """Return (n, T) positive factors with a median of 1 that wander: quiet and restless times."""
    memory = 1.0 - 1.0 / uniform(rng, n, 3.0, 60.0, logarithmic=True)
    walk = recursion(rng.standard_normal((n, steps)), memory) * np.sqrt(1.0 - memory**2)
    factors: Array = np.exp(np.clip(lognormal(rng, n, 0.5, 0.5) * walk, -3.0, 3.0))
    return factors
