"""Whole series of one kind: Gaussian processes, random walks, autoregressions, noise, counts."""

from __future__ import annotations

import numpy as np

from longlag.synthetic.draws import Array, chance, lognormal, recursion, uniform
from longlag.synthetic.noise import white

__all__ = ["autoregression", "counts", "gaussian_process", "random_walk", "white_noise"]

_WAVES = 48
_BURN = 100  # steps after which a process has forgotten where it began


def gaussian_process(rng: np.random.Generator, n: int, steps: int) -> Array:
    """Return (n, T) Gaussian processes of deviation 1 with smooth, rational quadratic or rough kernels.

    Random waves whose frequencies have the spectral density of the kernel (Rahimi & Recht 2007): normal for the squared
    exponential, Student's for Matern's of orders 1/2, 3/2 and 5/2.
    """
    scale = uniform(rng, n, 2.0, max(float(steps), 4.0), logarithmic=True)
    degrees = rng.choice([1.0, 3.0, 5.0, 200.0], size=(n, 1), p=[0.5, 0.2, 0.15, 0.15])
    frequency = np.clip(rng.standard_t(degrees, (n, _WAVES)) / scale, -np.pi, np.pi)
    phase = rng.uniform(0.0, 2 * np.pi, (n, _WAVES))
    total = np.zeros((n, steps))
    at = np.arange(steps)
    for wave in range(_WAVES):
        total += np.cos(frequency[:, wave : wave + 1] * at + phase[:, wave : wave + 1])
    process: Array = total * np.sqrt(2.0 / _WAVES)
    return process


def random_walk(rng: np.random.Generator, n: int, steps: int) -> Array:
    """Return (n, T) random walks, half of them with a drift, some with a moving average of their steps."""
    shocks = white(rng, n, steps, 0.4)
    weight = uniform(rng, n, -0.9, 0.6) * chance(rng, n, 0.6)
    shocks[:, 1:] += weight * shocks[:, :-1]
    return np.cumsum(shocks + chance(rng, n, 0.5) * lognormal(rng, n, 0.1, 1.0), axis=1)


def autoregression(rng: np.random.Generator, n: int, steps: int) -> Array:
    """Return (n, T) stable autoregressions of up to four roots, two of them complex."""
    radius, angle = uniform(rng, n, 0.5, 0.995), uniform(rng, n, 0.02, np.pi)
    first, second = uniform(rng, n, -0.8, 0.98), uniform(rng, n, -0.6, 0.6)
    rough = recursion(recursion(white(rng, n, _BURN + steps, 0.3), first), second)
    waves = recursion(np.where(chance(rng, n, 0.5), rough, rng.standard_normal(rough.shape)), *_roots(radius, angle))
    return np.where(chance(rng, n, 0.6), waves, rough)[:, _BURN:]


def _roots(radius: Array, angle: Array) -> tuple[Array, Array]:
    """Return the feedback of a second-order recursion with two complex roots of this size and angle."""
    return 2 * radius * np.cos(angle), -(radius**2)


def white_noise(rng: np.random.Generator, n: int, steps: int) -> Array:
    """Return (n, T) independent numbers."""
    return white(rng, n, steps, 0.5)


def counts(rng: np.random.Generator, intensity: Array) -> Array:
    """Return (n, T) counts with an intensity (n, T) of median 1: small ones, over-dispersed ones, and rare ones."""
    n = len(intensity)
    mean = lognormal(rng, n, 4.0, 1.2) * np.clip(intensity, 1e-3, 50.0)
    shape = uniform(rng, n, 0.5, 20.0, logarithmic=True)
    uneven = np.where(chance(rng, n, 0.6), rng.gamma(np.broadcast_to(shape, mean.shape)) / shape, 1.0)
    numbers = rng.poisson(mean * uneven).astype(np.float64)
    rare = chance(rng, n, 0.5)
    open_days = rng.random(mean.shape) < uniform(rng, n, 0.1, 0.9)
    return np.where(rare, numbers * open_days, numbers)
