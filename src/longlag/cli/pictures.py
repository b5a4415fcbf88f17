"""Which past forecasts a picture shows: a few of them, of one series or three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from longlag.data import Panel
from longlag.diagnostics.plots import ForecastPath, SeriesPicture
from longlag.estimators.backtest import Backtest
from longlag.estimators.scores import scaled_errors

__all__ = ["backtest_pictures"]

_PATHS, _FORECAST_STEPS = 6, 144  # forecasts in a picture at most, and steps of all of them together
_SEASONS = 3  # before the first of them, and at least so many horizons
_LEAST_HISTORY = 40  # values before a forecast


def backtest_pictures(
    backtest: Backtest, panel: Panel, starts: Sequence[int], seasons: Sequence[int]
) -> list[SeriesPicture]:
    """Pictures of the series of a backtest: of one, or of the best, the median and the worst by their scaled error."""
    assert backtest.series is not None
    scaled = scaled_errors(backtest, panel.values, starts, seasons)
    errors = scaled[""]
    numbers = sorted(errors, key=lambda number: errors[number]) or np.unique(backtest.series).tolist()
    chosen = numbers if len(numbers) < 4 else [numbers[0], numbers[len(numbers) // 2], numbers[-1]]
    words = ["best", "median", "worst"] if len(numbers) > 3 else [""] * len(chosen)
    simple = _best_simple(backtest, scaled)
    pictures = []
    for number, word in zip(chosen, words, strict=True):
        rows = np.flatnonzero(backtest.series == number)
        title = panel.ids[number] + (f" ({word}, scaled error {errors[number]:.2f})" if word else "")
        pictures.append(_picture(backtest, rows, panel, number, title, simple, max(seasons)))
    return pictures


def _picture(
    backtest: Backtest,
    rows: NDArray[np.int64],
    panel: Panel,
    number: int,
    title: str,
    simple: str | None,
    season: int,
) -> SeriesPicture:
    times, values, horizon = panel.times[number], panel.values[number], backtest.mean.shape[1]
    origins = backtest.origins[rows]
    if horizon == 1:  # one after the other they are one line
        steps = list(range(len(rows)))
        paths = [_joined(backtest, rows, times, simple)]
    else:
        steps = _apart(origins, horizon)
        paths = [_joined(backtest, rows[[step]], times, simple) for step in steps]
    first = int(origins[steps[0]])
    begin = max(0, first - max(_LEAST_HISTORY, _SEASONS * max(season, horizon)))
    end = min(len(values), int(origins[steps[-1]]) + horizon)
    return SeriesPicture(title, times[begin:end], values[begin:end], paths, simple)


def _joined(
    backtest: Backtest, rows: NDArray[np.int64], times: NDArray[np.generic], simple: str | None
) -> ForecastPath:
    """The forecasts of some origins, one behind the other."""
    horizon = backtest.mean.shape[1]
    at = (backtest.origins[rows][:, None] + np.arange(horizon)).reshape(-1)

    def line(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[rows, :, 0].reshape(-1)

    other = None if simple is None else line(backtest.methods[simple])
    return ForecastPath(times[at], line(backtest.mean), line(backtest.lower), line(backtest.upper), other)


def _apart(origins: NDArray[np.int64], horizon: int) -> list[int]:
    """Places of origins whose forecasts do not overlap, the last ones, few enough to tell apart."""
    most = max(2, min(_PATHS, _FORECAST_STEPS // horizon))
    chosen: list[int] = []
    for place in range(len(origins) - 1, -1, -1):
        if len(chosen) < most and (not chosen or origins[chosen[-1]] - origins[place] >= horizon):
            chosen.append(place)
    return chosen[::-1]


def _best_simple(backtest: Backtest, scaled: Mapping[str, Mapping[int, float]]) -> str | None:
    """The simple method with the least mean scaled error, or error where series do not change; None without any."""
    known = np.isfinite(backtest.truth)
    if not known.any():
        return None
    errors = {
        name: float(
            np.mean(list(scaled[name].values())) if scaled[name] else np.abs(paths - backtest.truth)[known].mean()
        )
        for name, paths in backtest.methods.items()
        if name != "LSTM"
    }
    return min(errors, key=lambda name: errors[name]) if errors else None
