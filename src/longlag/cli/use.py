"""longlag predict, forecast and info: using what fit made."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longlag.cli import run_directory
from longlag.cli.question import series_of, unlabelled_sequences
from longlag.cli.times import times_ahead
from longlag.data import open_data
from longlag.errors import CheckpointError, InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster
from longlag.io.environment import environment
from longlag.ops.select import ENGINES, native, native_status

__all__ = ["about_installation", "about_run", "forecast", "predict"]

Rows = tuple[list[str], list[list[Any]]]


def predict(run: Path, data: str) -> Rows:
    """Columns and rows: an answer for each sequence, or for each row of a series from the rows before it."""
    model, question = run_directory.load_run(run)
    found = open_data(data)
    if isinstance(model, LSTMForecaster):
        series = series_of(found, question["target"], None)
        values = model.one_step(series.values)
        return ["row", question["target"], "predicted"], [
            [number + 1, float(series.values[number]), float(values[number])]
            for number in range(model.lags, len(values))
        ]
    sequences = unlabelled_sequences(found, question["features"], question["sequence"])
    answers = model.predict(sequences.arrays)
    if isinstance(model, LSTMClassifier):
        sure = model.predict_proba(sequences.arrays).max(axis=1)
        return ["sequence", "predicted", "probability"], [
            [name, _plain(answer), float(p)] for name, answer, p in zip(sequences.ids, answers, sure, strict=True)
        ]
    return ["sequence", "predicted"], [
        [name, _plain(answer)] for name, answer in zip(sequences.ids, answers, strict=True)
    ]


def forecast(run: Path, steps: int, coverage: float) -> Rows:
    """Columns and rows: time, mean and interval of each of the next ``steps`` values after the run's data."""
    model, question = run_directory.load_run(run)
    if not isinstance(model, LSTMForecaster):
        raise InputError(f"{run} holds a model that does not forecast ({question['task']}); expected longlag predict")
    mean = model.predict(steps)
    interval = model.predict_interval(steps, coverage)
    times = times_ahead(question["next_times"], steps)
    return [question["time"] if question["next_times"] else "step", question["target"], "lower", "upper"], [
        [time, float(value), float(low), float(high)]
        for time, value, (low, high) in zip(times, mean, interval, strict=True)
    ]


def about_installation() -> dict[str, Any]:
    """Versions, engines, the compiled extension, the machine."""
    found = environment()
    return {
        **found,
        "backends": ["auto", *(["native"] if native is not None else []), *ENGINES],
        "extension": native_status(),
        "cuda_device": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python_implementation": platform.python_implementation(),
    }


def about_run(run: Path) -> dict[str, Any]:
    """What a run was asked, and how it did."""
    model, _ = run_directory.load_run(run)
    if not (run / "metrics.json").exists():
        raise CheckpointError(
            f"{run} has no metrics.json yet; expected a finished run: longlag fit ... --resume ends it"
        )
    return {
        "run": str(run),
        "estimator": type(model).__name__,
        "cell": str(model.network_.lstm.cell),
        "backend": model.network_.lstm.backend_for(next(model.network_.lstm.parameters())),
        **run_directory.read_json(run / "metrics.json"),
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
