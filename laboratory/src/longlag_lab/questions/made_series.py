"""Series of which it is known how they go on: the best forecast there is, to hold others against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MADE", "MadeSeries"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MadeSeries:
    """A kind of series.

    name : what it is
    seasons : (inner, outer) that a forecaster is told
    draw : (generator, n, steps, horizon) -> series (n, steps + horizon) and the best forecasts (n, horizon), which know
        what the series is made of but not the noise to come
    """

    name: str
    seasons: tuple[int, int]
    draw: Callable[[np.random.Generator, int, int, int], tuple[Array, Array]]


def _noise(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    return rng.normal(size=(n, steps + horizon)), np.zeros((n, horizon))


def _walk(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    series = np.cumsum(rng.normal(size=(n, steps + horizon)), axis=1)
    return series, np.repeat(series[:, steps - 1 : steps], horizon, axis=1)


def _walk_with_drift(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    series, best = _walk(rng, n, steps, horizon)
    return series + 0.3 * np.arange(steps + horizon), best + 0.3 * np.arange(steps, steps + horizon)


def _autoregression(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    shocks, factor = rng.normal(size=(n, 50 + steps + horizon)), 0.8
    series = np.zeros_like(shocks)
    for step in range(1, series.shape[1]):
        series[:, step] = factor * series[:, step - 1] + shocks[:, step]
    series = series[:, 50:]
    return series, series[:, steps - 1 : steps] * factor ** np.arange(1, horizon + 1)


def _waves(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    at, start = np.arange(steps + horizon), rng.uniform(0, 2 * np.pi, (n, 1))
    series = np.sin(2 * np.pi * at / 12 + start)
    return series, series[:, steps:]


def _waves_of_no_season(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    at, start = np.arange(steps + horizon), rng.uniform(0, 2 * np.pi, (n, 1))
    series = np.sin(2 * np.pi * at / 11.3 + start) + np.sin(2 * np.pi * at / 4.7 + 2 * start)
    return series, series[:, steps:]


def _growth(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    at, rate = np.arange(steps + horizon), rng.uniform(0.01, 0.04, (n, 1))
    best = np.exp(rate * at)
    return best * np.exp(0.02 * rng.normal(size=best.shape)), best[:, steps:]


def _line(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    best = rng.uniform(-1, 1, (n, 1)) * np.arange(steps + horizon)
    return best + 5 * rng.normal(size=best.shape), best[:, steps:]


def _counts(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    return rng.poisson(0.5, size=(n, steps + horizon)).astype(np.float64), np.zeros((n, horizon))


def _heavy(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    return rng.standard_t(1.5, size=(n, steps + horizon)), np.zeros((n, horizon))


def _outlier(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    series, best = _noise(rng, n, steps, horizon)
    series[:, 5] = 1e6
    return series, best


def _regimes(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    """Levels that change for good, the last time three steps before the end."""
    changes = rng.random((n, steps + horizon)) < 0.03
    changes[:, steps - 3 :] = False
    changes[:, steps - 3] = True
    level = np.cumsum(10 * rng.normal(size=changes.shape) * changes, axis=1)
    return level + rng.normal(size=level.shape), level[:, steps:]


def _logistic_map(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    series = np.empty((n, 100 + steps + horizon))
    series[:, 0] = rng.uniform(0.1, 0.9, n)
    for step in range(1, series.shape[1]):
        series[:, step] = 3.9 * series[:, step - 1] * (1 - series[:, step - 1])
    series = series[:, 100:]
    return series, series[:, steps:]


def _lorenz(rng: np.random.Generator, n: int, steps: int, horizon: int) -> tuple[Array, Array]:
    """The first coordinate of Lorenz 1963 at every tenth of a unit of time, by Runge and Kutta's fourth order."""
    state, inner, length = rng.normal(size=(3, n)) + np.array([[0.0], [0.0], [25.0]]), 10, 0.01

    def slope(state: Array) -> Array:
        x, y, z = state
        return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    series = np.empty((n, 100 + steps + horizon))
    for step in range(series.shape[1]):
        for _ in range(inner):
            first = slope(state)
            second = slope(state + length / 2 * first)
            third = slope(state + length / 2 * second)
            fourth = slope(state + length * third)
            state = state + length / 6 * (first + 2 * second + 2 * third + fourth)
        series[:, step] = state[0]
    series = series[:, 100:]
    return series, series[:, steps:]


MADE = (
    MadeSeries("white noise", (1, 1), _noise),
    MadeSeries("white noise, told a season of 12", (12, 12), _noise),
    MadeSeries("random walk", (1, 1), _walk),
    MadeSeries("random walk with drift", (1, 1), _walk_with_drift),
    MadeSeries("autoregression, 0.8", (1, 1), _autoregression),
    MadeSeries("line with noise", (1, 1), _line),
    MadeSeries("exponential growth", (1, 1), _growth),
    MadeSeries("wave of its season, no noise", (12, 12), _waves),
    MadeSeries("two waves of no season, no noise", (1, 1), _waves_of_no_season),
    MadeSeries("counts, 0.5 in the mean", (1, 1), _counts),
    MadeSeries("noise with tails like 1 / x^2.5", (1, 1), _heavy),
    MadeSeries("noise with one outlier long ago", (1, 1), _outlier),
    MadeSeries("levels that change for good", (1, 1), _regimes),
    MadeSeries("chaos: logistic map, 3.9", (1, 1), _logistic_map),
    MadeSeries("chaos: Lorenz, every 0.1", (1, 1), _lorenz),
)
"""What zero-shot forecasts are tried on."""
