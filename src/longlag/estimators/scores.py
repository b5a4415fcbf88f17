"""Honest scores: a held-out part the model never saw, beside the simple methods it must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.estimators.backtest import Backtest

__all__ = ["scaled_errors", "score_classes", "score_forecasts", "score_numbers"]


Array = NDArray[np.float64]

TITLES = {"": "LSTM", "LSTM": "networks alone"}
"""The answer goes by the network's name, and the networks' own part of it by this."""


def score_forecasts(
    backtest: Backtest, series: Sequence[Array], training: Sequence[int], seasons: Sequence[int]
) -> dict[str, Any]:
    """Errors over all origins and steps beside those of simple methods; the intervals' coverage.

    Parameters
    ----------
    series : (T_i,) the whole series
    training : how many values of each were learned from
    seasons : in steps, shortest first

    Returns
    -------
    "methods": for each its mean absolute and root mean squared error, and the mean absolute scaled error (Hyndman &
    Koehler 2006): in units of the change within a season of the training part, averaged over series; the first is the
    model's answer. "horizon", "origins", "interval".
    """
    truth = backtest.truth
    known = np.isfinite(truth)
    scaled = scaled_errors(backtest, series, training, seasons)
    inside = ((backtest.lower <= truth) & (truth <= backtest.upper))[known]
    return {
        "horizon": truth.shape[1],
        "origins": len(truth),
        "methods": [
            {"method": TITLES.get(name, name), **_errors(values - truth), "mase": _mean(scaled[name])}
            for name, values in {"": backtest.mean, **backtest.methods}.items()
        ],
        "interval": {"asked": backtest.coverage, "found": float(inside.mean()) if len(inside) else None},
    }


def scaled_errors(
    backtest: Backtest, series: Sequence[Array], training: Sequence[int], seasons: Sequence[int]
) -> dict[str, dict[int, float]]:
    """The mean absolute scaled error of each method, "" for the answer, on each series that has one."""
    numbers = np.zeros(len(backtest.origins), dtype=np.int64) if backtest.series is None else backtest.series
    result: dict[str, dict[int, float]] = {name: {} for name in ("", *backtest.methods)}
    for number in np.unique(numbers).tolist():
        rows = numbers == number
        scale = _scale(series[number][: training[number]], min(seasons))
        for name, paths in {"": backtest.mean, **backtest.methods}.items():
            errors = np.abs(paths[rows] - backtest.truth[rows])
            if scale is not None and np.isfinite(errors).any():
                result[name][number] = float(np.nanmean(errors)) / scale
    return result


def _scale(values: Array, season: int) -> float | None:
    """The mean change within a season, else from step to step; None where a series does not change."""
    for lag in (season, 1):
        changes = np.abs(values[lag:] - values[:-lag]) if len(values) > lag else values[:0]
        changes = changes[np.isfinite(changes)]
        if len(changes) and float(changes.mean()) > 0:
            return float(changes.mean())
    return None


def _mean(errors: Mapping[int, float]) -> float | None:
    return float(np.mean(list(errors.values()))) if errors else None


def _errors(errors: Array) -> dict[str, float | None]:
    """Over all forecasts, and those of the first and the last step; errors (n, H, K), NaN where there is no truth.

    None where nothing is known.
    """
    sizes = np.abs(errors)
    square = _known_mean(np.square(errors))
    return {
        "mae": _known_mean(sizes),
        "rmse": None if square is None else float(np.sqrt(square)),
        "mae_first_step": _known_mean(sizes[:, 0]),
        "mae_last_step": _known_mean(sizes[:, -1]),
    }


def _known_mean(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def score_classes(
    truth: NDArray[Any],
    answers: NDArray[Any],
    training: NDArray[Any],
    *,
    classes: NDArray[Any] | None = None,
    probabilities: Array | None = None,
) -> dict[str, Any]:
    """Scores of the answers beside those of always answering the commonest training class.

    Parameters
    ----------
    truth, answers : (n,) labels
    training : (N,) the labels that were learned from
    classes, probabilities : (K,) and (n, K), or None
        What the answers were chosen by; without them they have no log loss. The simple method's probabilities are the
        shares of the classes in the training part.

    Returns
    -------
    "methods": for each its accuracy; its balanced accuracy, the mean over classes of the share that is recognised; and
    its log loss, the mean of -log(probability of the true class). "classes": for each class how many sequences have it
    and the share of them that is recognised, None where there is no sequence. "confusion": how many sequences of each
    class (rows) are answered with each class (columns), both in the order of "classes".
    """
    from sklearn.metrics import confusion_matrix  # here, as it takes a while that forecasts need not wait

    known, counts = np.unique(training, return_counts=True)
    common = known[np.argmax(counts)]
    labels = np.unique(np.concatenate([known, truth, answers]))
    methods = [_class_scores("LSTM", truth, answers, labels, classes, probabilities)]
    always, shares = np.full(len(truth), common), np.tile(counts / counts.sum(), (len(truth), 1))
    methods.append(_class_scores(f"always {common}", truth, always, labels, known, shares))
    table = confusion_matrix(truth, answers, labels=labels).tolist()
    recalls = [
        {"class": label, "sequences": sum(row), "recall": row[place] / sum(row) if sum(row) else None}
        for place, (label, row) in enumerate(zip(labels.tolist(), table, strict=True))
    ]
    return {"sequences": len(truth), "methods": methods, "classes": recalls, "confusion": table}


def _class_scores(
    method: str,
    truth: NDArray[Any],
    answers: NDArray[Any],
    labels: NDArray[Any],
    classes: NDArray[Any] | None,
    probabilities: Array | None,
) -> dict[str, Any]:
    from sklearn.metrics import accuracy_score, log_loss, recall_score

    scores: dict[str, Any] = {
        "method": method,
        "accuracy": float(accuracy_score(truth, answers)),
        "balanced_accuracy": float(
            recall_score(truth, answers, labels=np.unique(truth), average="macro", zero_division=0)
        ),
    }
    if classes is not None and probabilities is not None:
        columns = np.zeros((len(truth), len(labels)))  # a class that was not learned has probability 0
        columns[:, np.searchsorted(labels, classes)] = probabilities
        scores["log_loss"] = float(log_loss(truth, columns, labels=labels)) if len(labels) > 1 else 0.0
    return scores


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
