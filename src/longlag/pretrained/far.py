"""Forecasts further ahead than the network has learned: the last season that it answers goes on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longlag.pretrained.levels import MIDDLE

__all__ = ["extended", "reach"]

Array = NDArray[np.float64]
Seasons = tuple[int, int]

_ROUNDS = 24  # of the inner season, that the network is asked for at most
_TWICE = 52  # the longest season of which it answers for two
_LASTING = 2.0  # times the reach: how far a trend goes on in all
_POWER = 0.5  # by which distances grow where nothing says by which


def reach(seasons: Seasons) -> int:
    """How many steps ahead the network is asked at most, for a series of these seasons.

    A whole outer season, unless that is very long; two inner ones, unless those are; 24 steps at least.
    """
    inner, outer = seasons
    return max(_ROUNDS, 2 * inner if inner <= _TWICE else inner, min(outer, _ROUNDS * inner))


def extended(quantiles: Array, seasons: Seasons, horizon: int) -> Array:
    """Quantiles (n, horizon, Q) from those (n, H, Q) of a ``reach``; those themselves where that is enough.

    A median further ahead is that of the same step of the last season that was answered: of the outer one if all of it
    was, else of the inner one. Then it moves on by the trend between two inner seasons, which fades. Distances from the
    median are those of the last inner season, and grow as a power of the steps ahead: the one by which they grew
    between two inner seasons, between 0 and 1. Of white noise it is near to 0, of a random walk to a half.
    """
    steps = quantiles.shape[1]
    if horizon <= steps:
        return quantiles[:, :horizon]
    inner, outer = seasons
    season = outer if outer <= steps else inner
    ahead = np.arange(steps + 1, horizon + 1)
    source, near = (ahead - length * -(-(ahead - steps) // length) for length in (season, inner))
    medians = quantiles[..., MIDDLE]
    distances = quantiles - medians[..., None]
    trend, power = np.zeros(len(quantiles)), np.full(len(quantiles), _POWER)
    between = inner * max(1, steps // (2 * inner))
    last = np.arange(steps - inner, steps)
    if last[0] >= between:
        before = last - between
        if season == inner:
            trend = (medians[:, last] - medians[:, before]).mean(axis=1) / between
        width = (distances[..., -1] - distances[..., 0]).clip(min=np.finfo(np.float64).tiny)
        growth = np.log(width[:, last].mean(axis=1) / width[:, before].mean(axis=1))
        power = np.clip(growth / np.log((last + 1.0).mean() / (before + 1.0).mean()), 0.0, 1.0)
    lasting = _LASTING * steps
    moved = trend[:, None] * lasting * (1.0 - np.exp(-(ahead - source) / lasting))
    factors = (ahead / near) ** power[:, None]
    beyond = (medians[:, source - 1] + moved)[..., None] + distances[:, near - 1] * factors[..., None]
    return np.concatenate([quantiles, beyond], axis=1)
