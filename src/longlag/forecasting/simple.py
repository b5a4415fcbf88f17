"""Simple methods of forecasting: what a network is held against, and leans on where they are better.

Theta, exponential smoothing and autoregression are those of statsmodels, imported when the first of them is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps

import numpy as np
from numpy.typing import NDArray

from longlag.forecasting.features import forward_paths
from longlag.forecasting.units import Unit
from longlag.loading import collector_paused

__all__ = ["SIMPLE", "SimpleMethod"]

Array = NDArray[np.float64]
_LARGEST_LOGARITHM = 600.0
_LONG = 2000  # values at the end of a series that a fitted method sees
_REMEMBERED = 512  # forecasts of each fitted method


Method = Callable[[Array, Sequence[int], int], Array]
"""(T,) values without gaps, seasons, horizon -> (H,)."""


@dataclass(frozen=True)
class SimpleMethod:
    """A method by name.

    forecast : see ``Method``.
    needs : seasons and values beyond which it can be asked: ``needs(steps, seasons)``.
    cost : roughly milliseconds of a forecast.
    """

    name: str
    forecast: Method
    needs: Callable[[int, Sequence[int]], bool]
    cost: float


def last_value(values: Array, seasons: Sequence[int], horizon: int) -> Array:
    """The last value again and again."""
    return np.repeat(values[-1:], horizon)


def drift(values: Array, seasons: Sequence[int], horizon: int) -> Array:
    """The straight line through the first and the last value."""
    slope = (values[-1] - values[0]) / max(len(values) - 1, 1)
    line: Array = values[-1] + slope * np.arange(1, horizon + 1)
    return line


def seasonal_naive(values: Array, seasons: Sequence[int], horizon: int) -> Array:
    """The values of the last whole season, the longest that the series has twice."""
    season = max((s for s in seasons if len(values) >= 2 * s), default=min(seasons))
    path: Array = forward_paths(values[-season:], season, horizon)[-1]
    return path


def _remembering(method: Method) -> Method:
    """Make a fitted method see the end of a series, and remember its last forecasts.

    A backtest, the weights that follow it, and ``update`` want some of them again; each costs milliseconds.
    """

    @lru_cache(maxsize=_REMEMBERED)
    def forecast(content: bytes, seasons: tuple[int, ...], horizon: int) -> Array:
        return method(np.frombuffer(content).copy(), seasons, horizon)

    @wraps(method)
    def remembered(values: Array, seasons: Sequence[int], horizon: int) -> Array:
        return forecast(np.asarray(values[-_LONG:], dtype=np.float64).tobytes(), tuple(seasons), horizon).copy()

    return remembered


@_remembering
def theta(values: Array, seasons: Sequence[int], horizon: int) -> Array:
    """Theta (Assimakopoulos & Nikolopoulos 2000), deseasonalised where a test finds a season."""
    with collector_paused():
        from statsmodels.tsa.forecasting.theta import ThetaModel

    season = _season(values, seasons)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ThetaModel(values, period=max(season, 2), deseasonalize=season > 1)
        return np.asarray(model.fit().forecast(horizon), dtype=np.float64)


@_remembering
def smoothing(values: Array, seasons: Sequence[int], horizon: int) -> Array:
    """Exponential smoothing with a damped trend and a season (Holt 1957, Winters 1960), of logarithms if they exist."""
    with collector_paused():
        from statsmodels.tsa.holtwinters import ExponentialSmoothing

    season, logarithm = _season(values, seasons), Unit.of(values, 1).logarithm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ExponentialSmoothing(
            np.log(values) if logarithm else values,
            trend="add",
            damped_trend=True,
            seasonal="add" if season > 1 else None,
            seasonal_periods=season if season > 1 else None,
            initialization_method="heuristic",
        )
        answer = np.asarray(model.fit(use_brute=False).forecast(horizon), dtype=np.float64)
    return np.exp(np.minimum(answer, _LARGEST_LOGARITHM)) if logarithm else answer


@_remembering
def autoregression(values: Array, seasons: Sequence[int], horizon: int) -> Array:
    """A linear function of the last values and those a season ago, by least squares, iterated."""
    with collector_paused():
        from statsmodels.tsa.ar_model import AutoReg

    season = _season(values, seasons)
    recent = min(max(season, 4), 24, len(values) // 5)
    most = (len(values) - 2) // 2  # statsmodels forecasts from no fewer values than its longest lag
    lags = sorted(lag for lag in {*range(1, recent + 1), *({season, season + 1} if season > 1 else ())} if lag <= most)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = AutoReg(values, lags=lags, trend="c").fit()
        return np.asarray(fitted.forecast(horizon), dtype=np.float64)


def _season(values: Array, seasons: Sequence[int]) -> int:
    """The shortest season, if the series has it twice; else 1."""
    return min(seasons) if len(values) >= 2 * min(seasons) + 1 else 1


SIMPLE: dict[str, SimpleMethod] = {
    method.name: method
    for method in (
        SimpleMethod("last value", last_value, lambda steps, seasons: steps >= 1, 0.0),
        SimpleMethod("drift", drift, lambda steps, seasons: steps >= 2, 0.0),
        SimpleMethod("seasonal naive", seasonal_naive, lambda steps, seasons: max(seasons) > 1, 0.0),
        SimpleMethod("Theta", theta, lambda steps, seasons: steps >= 6, 20.0),
        SimpleMethod("autoregression", autoregression, lambda steps, seasons: steps >= 20, 5.0),
        SimpleMethod("smoothing", smoothing, lambda steps, seasons: steps >= 10 and min(seasons) <= 24, 40.0),
    )
}
"""The simple methods by name."""
