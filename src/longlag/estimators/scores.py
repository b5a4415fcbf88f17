"""Honest scores: a held-out part the model never saw, beside the simple methods it must beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.estimators.autoregression import last_value, linear_autoregression, seasonal_naive
from longlag.estimators.backtest import Backtest

__all__ = ["score_classes", "score_forecasts", "score_numbers"]


def score_forecasts(
    series: NDArray[np.float64], backtest: Backtest, *, training: int, lags: int, season: int | None
) -> dict[str, Any]:
    """Mean absolute and root mean squared error over all origins and steps; the intervals' coverage."""
    truth, horizon = backtest.truth[:, :, 0], backtest.truth.shape[1]
    methods = {"LSTM": backtest.mean[:, :, 0], "last value": last_value(series, backtest.origins, horizon)}
    if season is not None:
        methods[f"seasonal naive ({season})"] = seasonal_naive(series, backtest.origins, horizon, season)
    methods[f"linear autoregression ({lags} lags)"] = linear_autoregression(
        series, backtest.origins, horizon, lags, training
    )
    inside = (backtest.lower <= backtest.truth) & (backtest.truth <= backtest.upper)
    return {
        "horizon": horizon,
        "origins": len(backtest.origins),
        "methods": [{"method": name, **_errors(values - truth)} for name, values in methods.items()],
        "interval": {"asked": backtest.coverage, "found": float(inside.mean())},
    }


def _errors(errors: NDArray[np.float64]) -> dict[str, float]:
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt(np.square(errors).mean())),
        "mae_first_step": float(np.abs(errors[:, 0]).mean()),
        "mae_last_step": float(np.abs(errors[:, -1]).mean()),
    }


def score_classes(truth: NDArray[Any], answers: NDArray[Any], training: NDArray[Any]) -> dict[str, Any]:
    """Accuracy beside that of always answering the commonest training class."""
    classes, counts = np.unique(training, return_counts=True)
    common = classes[np.argmax(counts)]
    return {
        "sequences": len(truth),
        "methods": [
            {"method": "LSTM", "accuracy": float(np.mean(answers == truth))},
            {"method": f"always {common}", "accuracy": float(np.mean(truth == common))},
        ],
    }


def score_numbers(
    truth: NDArray[np.float64], answers: NDArray[np.float64], training: NDArray[np.float64]
) -> dict[str, Any]:
    """Errors beside those of always answering the training mean."""
    methods = {"LSTM": answers, "training mean": np.full_like(truth, training.mean())}
    scores = [
        {
            "method": name,
            "mae": float(np.abs(values - truth).mean()),
            "rmse": float(np.sqrt(np.square(values - truth).mean())),
        }
        for name, values in methods.items()
    ]
    return {"sequences": len(truth), "methods": scores}
