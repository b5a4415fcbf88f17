"""Slow movements of a series: levels that wander, damped slopes, cycles, shifts, breaks and saturation."""

from __future__ import annotations

import numpy as np

from longlag.synthetic.draws import Array, chance, lognormal, recursion, uniform

__all__ = ["breaks", "cycle", "drift", "level", "saturated", "shifts"]


def level(rng: np.random.Generator, n: int, steps: int, years: Array) -> Array:
    """Return (n, T) random walks, a fifth of them with heavy tails; ``years`` (n, 1) is the length of a step."""
    size = lognormal(rng, n, 0.06, 0.6) * np.sqrt(years)
    shocks = rng.standard_normal((n, steps))
    heavy = chance(rng, n, 0.35)
    shocks = np.where(heavy, rng.standard_t(3.0, (n, steps)) / np.sqrt(3.0), shocks)
    memory = (uniform(rng, n, 0.05, 0.6) ** years) * chance(rng, n, 0.5)
    shocks = recursion(shocks * np.sqrt(1.0 - memory), memory)
    return np.cumsum(size * shocks, axis=1)


def drift(rng: np.random.Generator, n: int, steps: int, years: Array) -> Array:
    """Return (n, T) growth: a rate that stays for most, with a deviation from it that wanders and dies out.

    Most rise, as what people count does.
    """
    sign = np.where(chance(rng, n, 0.88), 1.0, -1.0)
    usual = lognormal(rng, n, 0.06, 0.7) * sign * chance(rng, n, 0.88)
    memory = uniform(rng, n, 0.1, 0.98) ** years
    size = lognormal(rng, n, 0.035, 0.8) * chance(rng, n, 0.7)
    shocks = size * np.sqrt(1.0 - memory**2) * rng.standard_normal((n, steps))
    shocks[:, :1] += size * rng.standard_normal((n, 1)) + lognormal(rng, n, 0.08, 0.7) * sign * chance(rng, n, 0.2)
    return np.cumsum((usual + recursion(shocks, memory)) * years, axis=1)


def cycle(rng: np.random.Generator, n: int, steps: int, years: Array) -> Array:
    """Return (n, T) stochastic cycles of 2 to 11 years, second-order autoregressions; half of them with sharp peaks."""
    period = np.maximum(uniform(rng, n, 2.5, 14.0, logarithmic=True) / years, 4.0)
    radius = np.exp(-1.0 / (period * uniform(rng, n, 0.5, 8.0, logarithmic=True)))
    angle = 2 * np.pi / period
    burn = min(steps, 200)
    waves = recursion(rng.standard_normal((n, burn + steps)), 2 * radius * np.cos(angle), -(radius**2))[:, burn:]
    waves /= waves.std(axis=1, keepdims=True) + 1e-9
    sharp = chance(rng, n, 0.3)
    waves = np.where(sharp, np.exp(np.clip(waves, -4.0, 4.0)) - 1.6, waves)
    return lognormal(rng, n, 0.1, 0.7) * waves


def shifts(rng: np.random.Generator, n: int, steps: int, years: Array) -> Array:
    """Return (n, T) steps up and down, a few in a series."""
    rate = uniform(rng, n, 0.5, 4.0) / steps
    jumps = lognormal(rng, n, 0.2, 0.7) * rng.standard_normal((n, steps))
    return np.cumsum(jumps * (rng.random((n, steps)) < rate), axis=1)


def breaks(rng: np.random.Generator, n: int, steps: int, years: Array) -> Array:
    """Return (n, T) lines that bend a few times."""
    rate = uniform(rng, n, 0.5, 4.0) / steps
    bends = lognormal(rng, n, 0.08, 0.8) * rng.standard_normal((n, steps)) * (rng.random((n, steps)) < rate)
    return np.cumsum(np.cumsum(bends, axis=1) * years, axis=1)


def saturated(rng: np.random.Generator, n: int, steps: int) -> Array:
    """Return (n, T) logistic curves: growth that ends."""
    middle, width = uniform(rng, n, -0.2, 1.2) * steps, uniform(rng, n, 0.05, 0.4) * steps
    curve = 1.0 / (1.0 + np.exp(-np.clip((np.arange(steps) - middle) / width, -30.0, 30.0)))
    sign = np.where(chance(rng, n, 0.7), 1.0, -1.0)
    return sign * lognormal(rng, n, 0.6, 0.7) * curve
