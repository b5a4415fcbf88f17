"""Choices that follow from the series: their season, how far forecasts reach, which simple forecast is corrected."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import whole_number
from longlag.errors import InputError
from longlag.forecasting.features import Design, filled, forward_paths
from longlag.forecasting.rolling import held_out_steps
from longlag.forecasting.units import Unit

__all__ = ["design_of", "longest_horizon", "read_design", "season_in"]

Array = NDArray[np.float64]

_HORIZON_WITHOUT_SEASON, _LONGEST_HORIZON = 6, 48  # where nobody says how far
_WINDOW_WITHOUT_SEASON, _LONGEST_WINDOW = 6, 33
_SERIES_LOOKED_AT, _VALUES_LOOKED_AT = 200, 5000
_CLEARLY = 1.25  # a last value must be so much better, since a network adds a level more easily than a season
_LEAST_CORRELATION = 0.3  # of a season that nobody has named
_DEVIATIONS = 2.5  # that it is beyond chance, too


def design_of(
    series: Sequence[Array],
    seasons: Sequence[int] | None,
    horizon: int | None,
    window: int | None,
    static: int = 0,
    *,
    share: float = 0.0,
) -> Design:
    """What to do with series (T_i,); None for what is not told.

    Seasons that no series has twice are left out, unless none is left. Of values at the ends that ``held_out_steps``
    holds out with this ``share`` nothing but their number is read.
    """
    lengths = [len(values) for values in series]
    if seasons is None:
        longest = int(np.argmax(lengths))
        # The horizon follows from the season, and what is held out from the horizon: the longest of them holds most.
        [held_out] = held_out_steps([lengths[longest]], share, horizon or longest_horizon(lengths))
        seasons = (season_in(series[longest][: lengths[longest] - held_out]),)
    long_enough = tuple(sorted({season for season in seasons if 2 * season <= max(lengths)})) or (1,)
    if horizon is None:
        usual = max(long_enough) if max(long_enough) > 1 else _HORIZON_WITHOUT_SEASON
        horizon = min(usual, longest_horizon(lengths))
    if window is None:
        shortest = min(long_enough)
        window = _WINDOW_WITHOUT_SEASON if shortest == 1 else min(shortest + 1, _LONGEST_WINDOW)
    horizon, window = int(horizon), int(window)  # NumPy's whole numbers are no plain data
    parts = held_out_steps(lengths, share, horizon)
    before = [values[: len(values) - part] for values, part in zip(series, parts, strict=True)]
    return Design(horizon, long_enough, window, _base(before, long_enough, horizon), static)


def longest_horizon(lengths: Sequence[int]) -> int:
    """How far forecasts of series of these lengths reach at most, where nobody says how far."""
    return max(1, min(_LONGEST_HORIZON, int(np.median(lengths)) // 4))


def read_design(document: Any) -> Design:
    """The design that a saved model names. InputError if it cannot be one."""
    names = {field.name for field in dataclasses.fields(Design)}
    if not isinstance(document, Mapping) or document.keys() != names:
        raise InputError(f"the design is {document!r}; expected {', '.join(sorted(names))}")
    seasons = document["seasons"]
    if not isinstance(seasons, (list, tuple)) or not seasons:
        raise InputError(f"seasons is {seasons!r}; expected whole numbers")
    return Design(
        whole_number("horizon", document["horizon"], 1),
        tuple(whole_number("season", season, 1) for season in seasons),
        whole_number("window", document["window"], 1),
        whole_number("base", document["base"], 1),
        whole_number("static", document["static"], 0),
    )


def season_in(values: Array) -> int:
    """The lag after which a series (T,) is most like itself; 1 where there is none.

    The first peak of the autocorrelation of the series less its straight line, nearly as high as the highest, if that
    is at least 0.3, more than chance, and the series holds it three times.
    """
    seen, known = filled(values)
    steps = len(seen)
    if steps < 12 or known.sum() < 12:
        return 1
    at = np.arange(steps)
    rest = seen - np.polynomial.Polynomial.fit(at, seen, 1)(at)
    size = int(2 ** np.ceil(np.log2(2 * steps)))
    power = np.abs(np.fft.rfft(rest, size)) ** 2
    correlation = np.fft.irfft(power, size)[: steps // 3 + 1]
    if not correlation[0] > 1e-12 * steps * max(float(np.abs(seen).max()) ** 2, 1e-300):
        return 1
    correlation = correlation / correlation[0] * steps / (steps - np.arange(len(correlation)))
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:])) + 1
    # The correlation of so many pairs of values that have nothing to do with each other has this deviation.
    least = np.maximum(_LEAST_CORRELATION, _DEVIATIONS / np.sqrt(steps - peaks))
    peaks = peaks[(peaks > 1) & (correlation[peaks] >= least)]
    if not len(peaks):
        return 1
    return int(peaks[correlation[peaks] >= 0.85 * correlation[peaks].max()][0])


def _base(series: Sequence[Array], seasons: Sequence[int], horizon: int) -> int:
    """The lag whose repetition is the best simple forecast over ``horizon`` steps, in the mean over series."""
    lags = sorted({1, *seasons})
    totals = np.zeros(len(lags))
    for values in series[:: max(1, len(series) // _SERIES_LOOKED_AT)]:
        seen, known = filled(Unit.of(values, min(seasons)).to(values[-_VALUES_LOOKED_AT:]))
        steps = len(seen)
        first = min(max(lags), max(steps - horizon - 1, 0))
        if steps - first < 2 or not known.any():
            continue
        at = np.arange(steps)[:, None] + np.arange(1, horizon + 1)
        there = (at < steps) & known[np.minimum(at, steps - 1)]
        there[:first] = False
        if not there.any():
            continue
        truth = seen[np.minimum(at, steps - 1)]
        errors = [float(np.abs(forward_paths(seen, lag, horizon) - truth)[there].mean()) for lag in lags]
        totals += np.asarray(errors) / max(np.mean(errors), 1e-12)
    best = int(np.argmin(totals))
    seasonal = [number for number, lag in enumerate(lags) if lag > 1]
    if lags[best] == 1 and seasonal:
        nearest = min(seasonal, key=lambda number: totals[number])
        best = nearest if totals[nearest] < _CLEARLY * totals[best] else best
    return lags[best]
