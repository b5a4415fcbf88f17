"""What the network reads of series: nothing that changes when a series is scaled or shifted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BASES", "INPUTS", "QUERY", "Past", "past_of", "queries"]

Array = NDArray[np.float64]

WINDOW = 12
"""Past values that the network reads at each step."""
INPUTS = WINDOW + 24
"""Values of one input."""
BASES = 7
"""Simple forecasts that an answer is mixed of."""
QUERY = BASES + 13
"""Values of one question: what is asked of a step ahead."""
_FORGETTING = 3.0  # seasons after which a change counts half
_LEAST_MEMORY = 16.0  # steps
_NOTHING = 1e-18  # of a value: it changes no digit of a sum
_NEW = 0.3  # weight of the newest season in the usual pattern


@dataclass(frozen=True, eq=False)
class Past:
    """Series (B, T) with what is known at each step; all of it from values up to that step.

    seasons : (inner, outer), equal where there is one season. values : without gaps. known : where there was a value.
    level : the mean of the last season. scale : the usual change from season to season. pattern : the usual distance of
    this step of the season from the level. slope : the usual change of a step.
    inputs : (B, T, INPUTS).
    """

    seasons: tuple[int, int]
    values: Array
    known: NDArray[np.bool_]
    level: Array
    scale: Array
    pattern: Array
    slope: Array
    inputs: Array


def past_of(values: Array, seasons: tuple[int, int]) -> Past:
    """Return what is known at each step of series (B, T) with these seasons; NaN where a value is missing."""
    inner, outer = seasons
    n, steps = values.shape
    known = np.isfinite(values)
    y = _filled(values, known)
    at = np.arange(steps)
    level = _level(y, inner)
    first = np.abs(np.diff(y, axis=1, prepend=y[:, :1]))
    ago = _before(y, inner)
    change = y - ago
    memory = max(_FORGETTING * inner, _LEAST_MEMORY)
    keep = 0.5 ** (1.0 / memory)
    counted = (at >= inner).astype(np.float64)
    usual_first = _fading(first, keep) / np.maximum(_fading((at >= 1) * np.ones((n, 1)), keep), 1e-9)
    sum_changes, sum_counts = _fading(np.abs(change) * counted, keep), _fading(counted * np.ones((n, 1)), keep)
    scale = (sum_changes + usual_first) / (sum_counts + 1.0)
    largest = np.maximum.accumulate(np.abs(y - y[:, :1]), axis=1)
    scale = np.maximum(scale, 1e-6 * largest)
    has_changed = scale > 0
    scale = np.where(has_changed, scale, 1.0)
    scale_change = np.diff(np.log(scale), axis=1, prepend=0.0)
    scale_change[~_before(has_changed, 1).astype(np.bool_)] = (
        0.0  # from no scale to the first one: a number that depends on the unit
    )
    lately = _fading(first, 0.75) / np.maximum(_fading((at >= 1) * np.ones((n, 1)), 0.75), 1e-9)
    pattern = _pattern(y - level, inner)
    expected = level + _before(pattern, inner)
    slope = (y - y[:, :1]) / np.maximum(at, 1)
    same = _fading((np.diff(y, axis=1, prepend=y[:, :1]) == 0).astype(np.float64), keep) * (1 - keep)

    def size(x: Array) -> Array:
        sizes: Array = np.arcsinh(x / scale)
        return sizes

    def ratio(x: Array) -> Array:
        ratios: Array = np.log((x + 1e-3 * scale) / scale) / 3.0
        return ratios

    columns = [size(_before(y, lag) - level) for lag in range(WINDOW)]
    columns += [size(_before(y, inner - ahead) - level) if ahead < inner else 0.0 * y for ahead in (1, 2, 3)]
    a_step, a_season = np.diff(level, axis=1, prepend=level[:, :1]), level - _before(level, inner)
    columns += [
        size(change),
        size(_before(change, 1)),
        size(_before(change, inner)),
        size(y - _before(y, outer)),
        size(a_step),
        size(a_season),
        size(_before(a_season, inner)),
        size(y - expected),
        ratio(usual_first),
        ratio(lately),
        np.clip(scale_change, -2, 2),
        size(y - np.minimum.accumulate(y, axis=1)) / 2.0,
        size(np.maximum.accumulate(y, axis=1) - y) / 2.0,
        np.broadcast_to(np.log1p(at) / 5.0, y.shape),
        np.broadcast_to(np.minimum(at / inner, 6.0) / 3.0, y.shape),
        known.astype(np.float64),
        same,
        np.full(y.shape, np.log(inner) / 3.0),
        np.full(y.shape, 1.0 / inner),
        np.full(y.shape, float(outer > inner)),
        size(slope * inner),
    ]
    return Past(seasons, y, known, level, scale, pattern, slope, np.stack(columns, axis=-1))


def queries(past: Past, rows: NDArray[np.int64], steps: NDArray[np.int64], horizon: int) -> tuple[Array, Array]:
    """Return what is asked after some steps of some series.

    Returns
    -------
    questions : (n, H, QUERY)
    bases : (n, H, BASES)
        Simple forecasts less the level, in the unit of the step.
    """
    inner, outer = past.seasons
    y = past.values
    ahead = np.arange(1, horizon + 1)[None, :]
    r, t = rows[:, None], steps[:, None]
    level, scale = past.level[r, t], past.scale[r, t]
    last = y[r, t]
    rounds = -(-ahead // inner)

    def back(lag: int, values: Array, times: int = 1) -> Array:
        source = t + ahead - lag * (-(-ahead // lag) + times - 1)
        return np.where(source >= 0, values[r, np.maximum(source, 0)], np.nan)

    naive = back(inner, y)
    naive = np.where(np.isnan(naive), last, naive)
    older = back(inner, y, 2)
    older = np.where(np.isnan(older), naive, older)
    far = back(outer, y)
    far = np.where(np.isnan(far), naive, far)
    pattern = level + np.nan_to_num(back(inner, past.pattern))
    drift = level - past.level[r, np.maximum(t - inner, 0)]
    slope = past.slope[r, t]
    bases = np.stack(
        [
            np.broadcast_to(last, naive.shape),
            naive,
            pattern,
            naive + drift * rounds,
            last + slope * ahead,
            far,
            (naive + older) / 2,
        ],
        axis=-1,
    )
    bases = (bases - level[..., None]) / scale[..., None]
    shape = naive.shape
    distance = np.log(ahead) * np.ones(shape)
    lengths = [
        distance / 3.0,
        np.log1p(ahead / inner) * np.ones(shape),
        1.0 / ahead * np.ones(shape),
        (rounds - 1) / 3.0 * np.ones(shape),
        np.full(shape, np.log(inner) / 3.0),
        np.minimum((t + 1) / inner, 6.0) / 3.0 * np.ones(shape),
        np.full(shape, float(outer > inner)),
        np.full(shape, 1.0 / inner),
    ]
    sizes = [
        older - naive,
        naive - pattern,
        drift * rounds,
        _mean_of_last(y, r, t, 3) - last + 0 * naive,
        slope * ahead * 1.0,
    ]
    questions = np.concatenate(
        [np.arcsinh(bases), np.arcsinh(np.stack(sizes, axis=-1) / scale[..., None]), np.stack(lengths, axis=-1)],
        axis=-1,
    )
    return questions, bases


def _mean_of_last(y: Array, r: NDArray[np.int64], t: NDArray[np.int64], count: int) -> Array:
    """Return the mean of the last ``count`` values before and at each step."""
    means: Array = np.mean([y[r, np.maximum(t - lag, 0)] for lag in range(count)], axis=0)
    return means


def _before(y: Array, lag: int) -> Array:
    """Return the values of ``lag`` steps ago; before the first one, the first."""
    if lag <= 0:
        return y
    lag = min(lag, y.shape[1])
    return np.concatenate([np.repeat(y[:, :1], lag, axis=1), y[:, :-lag]], axis=1)[:, : y.shape[1]]


def _fading(x: Array, keep: float) -> Array:
    """Return sums of (B, T) along time in which a value counts ``keep`` times less with every step.

    Sums over twice as many steps follow from two sums, so that no loop goes over the steps.
    """
    sums = np.array(x, dtype=np.float64)
    steps = 1
    while steps < sums.shape[1] and keep > _NOTHING:
        sums[:, steps:] += keep * sums[:, :-steps]
        steps, keep = 2 * steps, keep * keep
    return sums


def _level(y: Array, season: int) -> Array:
    """Return the mean of the last season at each step; of fewer values at the beginning."""
    if season == 1:
        return y
    start = y[:, :1]
    sums = np.cumsum(y - start, axis=1)
    n = np.minimum(np.arange(y.shape[1]) + 1, season)
    earlier = np.concatenate([np.zeros((len(y), min(season, y.shape[1]))), sums[:, :-season]], axis=1)[:, : y.shape[1]]
    level: Array = (sums - earlier) / n + start
    return level


def _pattern(rest: Array, season: int) -> Array:
    """Return the usual distance from the level at each step of the season: means that forget older seasons."""
    if season == 1:
        return np.zeros_like(rest)
    n, steps = rest.shape
    rounds = -(-steps // season)
    padded = np.zeros((n, rounds * season))
    padded[:, :steps] = rest
    table = padded.reshape(n, rounds, season)
    usual = np.empty_like(table)
    usual[:, 0] = table[:, 0]
    for k in range(1, rounds):
        usual[:, k] = usual[:, k - 1] + max(_NEW, 1.0 / k if k > 1 else 0.7) * (table[:, k] - usual[:, k - 1])
    return usual.reshape(n, -1)[:, :steps]


def _filled(values: Array, known: NDArray[np.bool_]) -> Array:
    """Return series without gaps: a missing value is the last known, before all the first; of nothing, 0."""
    if known.all():
        return values
    at = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(known, at, -1), axis=1)
    first = np.argmax(known, axis=1)[:, None]
    rows = np.arange(len(values))[:, None]
    filled = values[rows, np.where(last < 0, first, last)]
    return np.where(known.any(axis=1, keepdims=True), filled, 0.0)
