"""``longlag bench forecast``: our forecaster beside simple methods, on competitions and tables of known difficulty."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from longlag.estimators import LSTMForecaster
from longlag.forecasting.features import filled
from longlag.forecasting.simple import SIMPLE
from longlag.pretrained.zero_shot import zero_shot
from longlag_lab.benchmarks.forecast_competitions import Group
from longlag_lab.benchmarks.forecast_scores import Forecasts, Terms, joined, naive_scale, score, summary
from longlag_lab.benchmarks.forecast_tables import TableSeries

__all__ = [
    "COVERAGE",
    "OF_COMPETITIONS",
    "OF_TABLES",
    "OURS",
    "ZERO_SHOT",
    "measure_competition",
    "measure_table",
    "simple_forecasts",
    "zero_shot_forecasts",
]

Array = NDArray[np.float64]
Step = Callable[[str], object]

OURS = "LSTMForecaster"
ZERO_SHOT = "zero-shot"
OF_COMPETITIONS = ("seasonal naive", "Theta", "smoothing")
OF_TABLES = ("last value", "seasonal naive", "Theta", "autoregression")
COVERAGE = 0.9  # of the intervals
QUANTILES = (0.05, 0.5, 0.95)  # the ends of those of the zero-shot forecasts, and their medians
SEED = 0  # of the competitions, which are run once


def measure_competition(
    groups: Sequence[Group], step: Step, methods: Sequence[str] = (OURS, ZERO_SHOT, *OF_COMPETITIONS)
) -> list[dict[str, Any]]:
    """Return the scores of methods for each frequency of a competition, and last over all its forecasts."""
    measured: list[dict[str, Any]] = []
    terms: dict[str, list[Terms]] = {name: [] for name in methods}
    for group in groups:
        scales = np.array([naive_scale(series, group.season) for series in group.training])
        scores = {}
        for name in terms:
            step(f"{group.competition} {group.frequency}, {len(group.training)} series: {name}")
            more: dict[str, Any] = {}
            if name == OURS:
                forecasts, more = _ours(group)
            elif name == ZERO_SHOT:
                forecasts = zero_shot_forecasts(group.training, (group.season,), group.horizon)
            else:
                forecasts = simple_forecasts(name, group.training, (group.season,), group.horizon)
            terms[name].append(score(group.test, scales, forecasts))
            scores[name] = {**summary(terms[name][-1]), **more}
        measured.append(
            {
                "competition": group.competition,
                "frequency": group.frequency,
                "season": group.season,
                "horizon": group.horizon,
                "series": len(group.training),
                "methods": scores,
            }
        )
    whole = {name: summary(joined(parts)) for name, parts in terms.items()}
    series = sum(len(group.training) for group in groups)
    measured.append({"competition": groups[0].competition, "frequency": "all", "series": series, "methods": whole})
    return measured


def measure_table(table: TableSeries, seeds: Sequence[int], step: Step) -> dict[str, Any]:
    """Return the scores of all methods at the same rolling origins of a table, ours for each seed.

    Nothing is fitted to the rows from the first origin on, except by the simple methods, which are fitted anew at each
    origin to all rows before it.
    """
    origins = [table.origins(number) for number in range(len(table.series))]
    numbers = [number for number, some in enumerate(origins) for _ in some]
    places = [place for some in origins for place in some]
    cut = [series[: first[0]] for series, first in zip(table.series, origins, strict=True)]
    truth = np.stack([table.series[k][at : at + table.horizon] for k, at in zip(numbers, places, strict=True)])
    scales = np.array([naive_scale(series, table.seasons[0]) for series in cut])[numbers]
    methods = {}
    for name in OF_TABLES:
        step(f"{table.name}: {name}")
        pasts = [table.series[k][:at] for k, at in zip(numbers, places, strict=True)]
        methods[name] = summary(score(truth, scales, simple_forecasts(name, pasts, table.seasons, table.horizon)))
    step(f"{table.name}: {ZERO_SHOT}")
    pasts = [table.series[k][:at] for k, at in zip(numbers, places, strict=True)]
    methods[ZERO_SHOT] = summary(score(truth, scales, zero_shot_forecasts(pasts, table.seasons, table.horizon)))
    runs = []
    for seed in seeds:
        step(f"{table.name}: {OURS}, seed {seed}")
        began = time.perf_counter()
        forecaster = LSTMForecaster(horizon=table.horizon, season=table.seasons, random_state=seed).fit(cut)
        fitted = time.perf_counter() - began
        starts = [some[0] for some in origins]
        back = forecaster.backtest(list(table.series), start=starts, stride=table.stride, coverage=COVERAGE)
        seconds = time.perf_counter() - began
        forecasts = Forecasts(back.mean[..., 0], back.lower[..., 0], back.upper[..., 0], seconds)
        runs.append({"seed": seed, **summary(score(truth, scales, forecasts)), **_told(forecaster, fitted)})
    return {
        "name": table.name,
        "source": table.source,
        "series": len(table.series),
        "rows": max(map(len, table.series)),
        "missing": sum(int(np.isnan(series).sum()) for series in table.series),
        "seasons": list(table.seasons),
        "horizon": table.horizon,
        "held_out": table.held_out,
        "origins": len(origins[0]),
        "methods": methods,
        "runs": runs,
    }


def simple_forecasts(name: str, pasts: Sequence[Array], seasons: Sequence[int], horizon: int) -> Forecasts:
    """Return a simple method's forecasts after each of ``pasts``; the last value where it cannot be computed."""
    began = time.perf_counter()
    with threadpool_limits(1, user_api="blas"):  # small matrices: threads would only wait for each other
        paths = list(_paths(name, pasts, seasons, horizon))
    values = np.stack([path for path, _ in paths])
    return Forecasts(values, None, None, time.perf_counter() - began, sum(not computed for _, computed in paths))


def zero_shot_forecasts(pasts: Sequence[Array], seasons: Sequence[int], horizon: int) -> Forecasts:
    """Return the forecasts of the network that comes with the package, which no series of ``pasts`` has taught."""
    began = time.perf_counter()
    quantiles = zero_shot(pasts, horizon, (seasons[0], seasons[-1]), QUANTILES)
    lower, middle, upper = np.moveaxis(quantiles, -1, 0)
    return Forecasts(middle, lower, upper, time.perf_counter() - began)


def _paths(name: str, pasts: Sequence[Array], seasons: Sequence[int], horizon: int) -> Iterator[tuple[Array, bool]]:
    """Return each forecast, and whether the method itself computed it."""
    method = SIMPLE[name]
    for past in pasts:
        past = filled(past)[0]
        # Without a season the seasonal naive method is the last value, as the competitions have it.
        if name == "seasonal naive" or method.needs(len(past), seasons):
            try:
                path = method.forecast(past, seasons, horizon)
            except (ValueError, np.linalg.LinAlgError, ZeroDivisionError, FloatingPointError):
                path = np.full(horizon, np.nan)  # statsmodels' own way of saying that there is nothing to fit
            if np.isfinite(path).all():
                yield path, True
                continue
        yield np.repeat(past[-1:], horizon), False


def _ours(group: Group) -> tuple[Forecasts, dict[str, Any]]:
    """Fit once to all series of a frequency; return the fit, and the forecasts of what follows them."""
    began = time.perf_counter()
    forecaster = LSTMForecaster(horizon=group.horizon, season=group.season, random_state=SEED)
    forecaster.fit(list(group.training))
    fitted = time.perf_counter() - began
    values = forecaster.predict(group.horizon)
    interval = forecaster.predict_interval(group.horizon, COVERAGE)
    seconds = time.perf_counter() - began
    return Forecasts(values, interval[..., 0], interval[..., 1], seconds), _told(forecaster, fitted)


def _told(forecaster: LSTMForecaster, fitted: float) -> dict[str, Any]:
    """Return what a fit tells of itself: its seconds, and what its answer is made of."""
    return {"fit_seconds": round(fitted, 3), "weights": dict(forecaster.weights_)}
