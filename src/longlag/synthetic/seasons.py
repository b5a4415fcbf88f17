"""Seasons: patterns that come again every so many steps, and change slowly."""

from __future__ import annotations

import numpy as np

from longlag.synthetic.draws import Array, chance, lognormal, uniform

__all__ = ["nested", "patterns", "season", "waves_of_a_year"]

_HARMONICS = 8


def season(rng: np.random.Generator, n: int, steps: int, length: int) -> Array:
    """Return (n, T) seasonal parts with a deviation near 1, whose pattern and size wander for some."""
    rounds = -(-steps // length) + 1
    shape = patterns(rng, n, length)
    wander = lognormal(rng, n, 0.06, 1.0) * chance(rng, n, 0.6)
    walk = np.cumsum(rng.standard_normal((n, rounds, length)), axis=1)
    grown = shape[:, None, :] + wander[:, :, None] * walk
    # Some go over into another pattern.
    other = patterns(rng, n, length)
    share = (
        np.linspace(0.0, 1.0, rounds)[None, :, None] * (chance(rng, n, 0.15) * uniform(rng, n, 0.2, 1.0))[:, :, None]
    )
    grown = (1.0 - share) * grown + share * other[:, None, :]
    growth = lognormal(rng, n, 0.05, 0.8) * chance(rng, n, 0.3)
    size = np.exp(np.clip(np.cumsum(growth * rng.standard_normal((n, rounds)), axis=1), -1.5, 1.5))
    start = int(rng.integers(length))
    parts: Array = (grown * size[:, :, None]).reshape(n, -1)[:, start : start + steps]
    return parts


def patterns(rng: np.random.Generator, n: int, length: int) -> Array:
    """Return (n, length) patterns with mean 0 and deviation 1: waves, single peaks, or both."""
    count = max(1, min(_HARMONICS, length // 2))
    phase = 2 * np.pi * np.arange(1, count + 1)[:, None] * np.arange(length)[None, :] / length
    fall = uniform(rng, n, 0.0, 2.0)
    weights = rng.standard_normal((2, n, count)) * np.arange(1, count + 1) ** -fall
    waves = weights[0] @ np.cos(phase) + weights[1] @ np.sin(phase)
    peaks = rng.standard_normal((n, length)) * (rng.random((n, length)) < uniform(rng, n, 0.0, 0.4))
    peaks += 3.0 * np.eye(length)[rng.integers(length, size=n)]
    flat = np.where(rng.random((n, length)) < uniform(rng, n, 0.2, 0.8), 1.0, -1.0)  # two levels, as of open and closed
    kind = rng.random((n, 1))
    shape = np.where(kind < 0.6, waves, np.where(kind < 0.75, peaks, np.where(kind < 0.92, waves + peaks, flat)))
    shape -= shape.mean(axis=1, keepdims=True)
    shape /= shape.std(axis=1, keepdims=True) + 1e-6
    return shape


def nested(rng: np.random.Generator, n: int, steps: int, inner: int, outer: int) -> Array:
    """Return (n, T) hours of the day within days of the week, or the like: a pattern for each of two kinds of days."""
    days = outer // inner
    patterns_of = np.stack([patterns(rng, n, inner), patterns(rng, n, inner)], axis=1)
    mixed = uniform(rng, n, 0.0, 1.0)[:, :, None] * chance(rng, n, 0.7)[:, :, None]
    patterns_of[:, 1:] = (1 - mixed) * patterns_of[:, :1] + mixed * patterns_of[:, 1:]
    free = np.zeros((n, days))
    free[:, -2:] = 1.0
    free = np.where(chance(rng, n, 0.75), free, rng.random((n, days)) < 0.3)
    height = uniform(rng, n, 0.0, 1.5) * patterns(rng, n, days)
    week = (1 - free)[:, :, None] * patterns_of[:, :1] + free[:, :, None] * patterns_of[:, 1:] + height[:, :, None]
    start = int(rng.integers(outer))
    return np.tile(week.reshape(n, outer), (1, -(-steps // outer) + 1))[:, start : start + steps]


def waves_of_a_year(rng: np.random.Generator, n: int, steps: int, length: int) -> Array:
    """Return (n, T) smooth waves of the days of a year; ``length`` is how many days it may begin after New Year."""
    at = 2 * np.pi * (np.arange(steps) + int(rng.integers(length))) / 365.25
    total = np.zeros((n, steps))
    for harmonic, weight in ((1, 1.0), (2, 0.4), (3, 0.2)):
        total += weight * lognormal(rng, n, 1.0, 0.5) * np.cos(harmonic * at + uniform(rng, n, 0.0, 2 * np.pi))
    return total
