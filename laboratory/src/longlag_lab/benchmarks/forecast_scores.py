"""Scores of forecasts as the competitions define them: sMAPE, MAPE, MASE, and how many values an interval holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Forecasts", "Terms", "joined", "naive_scale", "score", "summary"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Forecasts:
    """A method's forecasts; (n, horizon) each.

    lower, upper : its intervals; None for a method without any.
    seconds : that fitting and forecasting took.
    replaced : how many of the n are the last value, because the method cannot be computed there.
    """

    values: Array
    lower: Array | None
    upper: Array | None
    seconds: float
    replaced: int = 0


@dataclass(frozen=True, eq=False)
class Terms:
    """What means are taken over.

    smape, mape : of each forecast value; ``mape`` without values whose truth is 0.
    mase : of each series, or of each origin, whose scale is not 0.
    held : whether an interval holds the value; None without intervals.
    unscaled : series, or origins, without a scale. infinite : those without a finite forecast; neither has terms.
    """

    smape: Array
    mape: Array
    mase: Array
    held: NDArray[np.bool_] | None
    unscaled: int
    infinite: int
    seconds: float
    replaced: int


def naive_scale(values: Array, season: int) -> float:
    """Return the mean absolute error of the seasonal naive method in a series: MASE divides by it (Hyndman 2006).

    Missing values have no part; 0 where the series is no longer than a season.
    """
    changes = np.abs(values[season:] - values[:-season])
    changes = changes[np.isfinite(changes)]
    return float(changes.mean()) if len(changes) else 0.0


def score(truth: Array, scales: Array, forecasts: Forecasts) -> Terms:
    """Hold forecasts (n, horizon) against ``truth`` (n, horizon), NaN where it is missing; ``scales`` (n,) of MASE."""
    finite = _finite_rows(forecasts.values)
    if forecasts.lower is not None and forecasts.upper is not None:
        finite &= _finite_rows(forecasts.lower) & _finite_rows(forecasts.upper)
    known = np.isfinite(truth) & finite[:, None]
    y: Array = truth[known]
    f: Array = forecasts.values[known]
    error, size = np.abs(y - f), np.abs(y) + np.abs(f)
    smape = np.divide(200.0 * error, size, out=np.zeros_like(error), where=size > 0)
    other = np.flatnonzero(y)  # than 0
    mape = 100.0 * error[other] / np.abs(y[other])
    counted = known.any(axis=1)
    scaled = counted & (scales > 0)
    distance = np.where(known, np.abs(np.where(known, truth, 0.0) - forecasts.values), 0.0)
    mase = distance[scaled].sum(axis=1) / known[scaled].sum(axis=1) / scales[scaled]
    held = None
    if forecasts.lower is not None and forecasts.upper is not None:
        held = (forecasts.lower[known] <= y) & (y <= forecasts.upper[known])
    unscaled, infinite = int((counted & ~scaled).sum()), int((~finite).sum())
    return Terms(smape, mape, mase, held, unscaled, infinite, forecasts.seconds, forecasts.replaced)


def joined(parts: Sequence[Terms]) -> Terms:
    """Return the terms of several groups of series as those of one: a mean over them weighs each forecast alike."""
    held = [part.held for part in parts if part.held is not None]
    return Terms(
        np.concatenate([part.smape for part in parts]),
        np.concatenate([part.mape for part in parts]),
        np.concatenate([part.mase for part in parts]),
        np.concatenate(held) if len(held) == len(parts) else None,
        sum(part.unscaled for part in parts),
        sum(part.infinite for part in parts),
        sum(part.seconds for part in parts),
        sum(part.replaced for part in parts),
    )


def summary(terms: Terms) -> dict[str, Any]:
    """Return the means as JSON; None where there is nothing to take one over."""
    return {
        "forecasts": len(terms.smape),
        "smape": _mean(terms.smape),
        "mape": _mean(terms.mape),
        "mase": _mean(terms.mase),
        "coverage": None if terms.held is None else _mean(terms.held),
        "without_scale": terms.unscaled,
        "not_finite": terms.infinite,
        "replaced": terms.replaced,
        "seconds": round(terms.seconds, 3),
    }


def _finite_rows(values: Array) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(values).all(axis=1))


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
