"""The simple forecasts a network must beat: last value, seasonal naive, linear autoregression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError

__all__ = ["fit_linear", "last_value", "linear_autoregression", "seasonal_naive"]

Array = NDArray[np.float64]


def fit_linear(inputs: Array, answers: Array, *, least: float | None = None) -> tuple[Array, Array]:
    """Least squares with an intercept: (N, F) and (N, K) -> coefficients (F + 1, K), residual deviation (K,).

    Directions of the inputs in which they vary less than ``least`` times as much as in their largest are left out;
    without it, those that rounding alone could explain.
    """
    design = np.hstack([inputs, np.ones((len(inputs), 1))])
    coefficients = np.linalg.lstsq(design, answers, rcond=least)[0].astype(np.float64)
    deviation: Array = np.std(answers - design @ coefficients, axis=0)
    return coefficients, deviation


def last_value(series: Array, origins: NDArray[np.int64], horizon: int) -> Array:
    """(origins, horizon): the last value before each origin, again and again."""
    return np.repeat(series[origins - 1][:, None], horizon, axis=1)


def seasonal_naive(series: Array, origins: NDArray[np.int64], horizon: int, season: int) -> Array:
    """(origins, horizon): the value of the same phase of the last whole season before each origin."""
    if season < 1 or origins.min() < season:
        raise InputError(f"a season of {season} steps; expected 1 to {origins.min()}, the steps before the hold-out")
    return series[origins[:, None] - season + np.arange(horizon)[None, :] % season]


def linear_autoregression(series: Array, origins: NDArray[np.int64], horizon: int, lags: int, training: int) -> Array:
    """(origins, horizon): a linear function of the last ``lags`` values, fitted to the first ``training``, iterated."""
    if training < lags + 1:
        raise InputError(f"{training} training values for {lags} lags; expected at least {lags + 1}")
    rows = np.lib.stride_tricks.sliding_window_view(series[:training], lags + 1)
    coefficients, _ = fit_linear(rows[:, :-1], rows[:, -1:])
    recent = np.stack([series[origin - lags : origin] for origin in origins])
    steps = []
    for _ in range(horizon):
        value = recent @ coefficients[:-1, 0] + coefficients[-1, 0]
        steps.append(value)
        recent = np.hstack([recent[:, 1:], value[:, None]])
    return np.stack(steps, axis=1)
