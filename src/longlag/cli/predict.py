"""longlag predict and longlag forecast: answers of a model that longlag fit trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from longlag.cli import run_directory
from longlag.cli.inputs import series_of, unlabelled_sequences
from longlag.data import BuiltIn, EvenTimes, Table, TableFormat, open_data
from longlag.errors import CheckpointError, InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor

__all__ = ["forecast", "predict"]

Rows = tuple[list[str], list[list[Any]]]


def predict(run: Path, data: str, form: TableFormat) -> tuple[Rows, tuple[str, ...]]:
    """The answers for data that are written in this form, and what was found out about the file by itself.

    The answers are columns and rows: one for each sequence, or for each row of a series from the rows before it.
    """
    model, request = run_directory.load_run(run)
    content = open_data(data, form=form)
    return _answers(model, request, content), content.notes if isinstance(content, Table) else ()


def _answers(
    model: LSTMForecaster | LSTMClassifier | LSTMRegressor, request: dict[str, Any], content: Table | BuiltIn
) -> Rows:
    if isinstance(model, LSTMForecaster):
        series = series_of(content, request["target"], None)
        values = model.one_step(series.values)
        return ["row", request["target"], "predicted"], [
            [number + 1, float(series.values[number]), float(values[number])]
            for number in range(model.lags, len(values))
        ]
    sequences = unlabelled_sequences(content, request["features"], request["sequence"])
    answers = model.predict(sequences.arrays)
    if isinstance(model, LSTMClassifier):
        probabilities = model.predict_proba(sequences.arrays).max(axis=1)
        return ["sequence", "predicted", "probability"], [
            [name, _plain(answer), float(probability)]
            for name, answer, probability in zip(sequences.ids, answers, probabilities, strict=True)
        ]
    return ["sequence", "predicted"], [
        [name, _plain(answer)] for name, answer in zip(sequences.ids, answers, strict=True)
    ]


def forecast(run: Path, steps: int, coverage: float) -> Rows:
    """Columns and rows: time, mean and interval of each of the next ``steps`` values after the run's data."""
    model, request = run_directory.load_run(run)
    if not isinstance(model, LSTMForecaster):
        raise InputError(f"{run} holds a model that does not forecast ({request['task']}); expected longlag predict")
    mean = model.predict(steps)
    interval = model.predict_interval(steps, coverage)
    times = _times_ahead(run, request["next_times"], steps)
    return [request["time"] if request["next_times"] else "step", request["target"], "lower", "upper"], [
        [time, float(value), float(low), float(high)]
        for time, value, (low, high) in zip(times, mean, interval, strict=True)
    ]


def _times_ahead(run: Path, even: Any, steps: int) -> list[Any]:
    """The times of the next ``steps`` values; 1, 2, ... where the times of the data were not evenly spaced."""
    if even is None:
        return list(range(1, steps + 1))
    try:
        return EvenTimes(**even).after(steps)
    except (InputError, TypeError) as error:
        raise CheckpointError(
            f"{run / 'run.json'}: next_times is damaged ({error}); expected what longlag fit writes"
        ) from error


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
