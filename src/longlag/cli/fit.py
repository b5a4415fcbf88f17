"""longlag fit: a trained model, an honest score and a picture from a table or a built-in data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from longlag.cli import run_directory
from longlag.cli.question import Series, labelled_sequences, series_of, task_of
from longlag.cli.score import score_classes, score_forecasts, score_numbers
from longlag.data import BuiltIn, Sequences, Table, open_data
from longlag.diagnostics.plots import forecast_figure, learning_figure
from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor
from longlag.training.record import write_json

__all__ = ["FitOptions", "fit"]

COVERAGE = 0.9


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The command's options; see ``longlag fit --help``."""

    data: str
    target: str | None
    label: str | None
    sequence: str | None
    time: str | None
    horizon: int | None
    season: int | None
    lags: int | None
    test: float
    optimizer: str | None
    learning_rate: float | None
    hidden_size: int | None
    num_layers: int
    max_epochs: int | None
    seed: int
    out: Path | None
    resume: bool
    verbose: bool

    def shared(self, run: Path) -> dict[str, Any]:
        """Estimator parameters that do not depend on the task; what was not given keeps the estimator's default."""
        given = {
            "optimizer": self.optimizer,
            "learning_rate": self.learning_rate,
            "hidden_size": self.hidden_size,
            "max_epochs": self.max_epochs,
        }
        return {
            **{name: value for name, value in given.items() if value is not None},
            "num_layers": self.num_layers,
            "random_state": self.seed,
            "run_dir": str(run),
            "resume": True,  # begin() has refused a run that must not be continued
            "verbose": self.verbose,
        }


def fit(options: FitOptions) -> dict[str, Any]:
    """Read, check, train, score, save. Nothing is written before the data and options have been checked."""
    data = open_data(options.data)
    task = task_of(data, options.target, options.label, options.sequence)
    if not 0 < options.test < 1:
        raise InputError(f"--test is {options.test}; expected a share between 0 and 1")
    name = data.name if isinstance(data, BuiltIn) else Path(options.data).stem
    run = options.out or Path("runs") / name
    if task == "forecast":
        return _forecast(options, data, run)
    return _sequences(options, data, run, classify=task == "classify")


# -- forecasting -------------------------------------------------------------------------------------------------------


def _forecast(options: FitOptions, data: Table | BuiltIn, run: Path) -> dict[str, Any]:
    series = series_of(data, options.target, options.time)
    values = series.values
    horizon = options.horizon or series.horizon or 1
    season = options.season or series.season
    lags = options.lags or season or 12
    if horizon >= len(values):
        raise InputError(f"--horizon {horizon} is longer than the series of {len(values)} rows; expected less")
    held_out = max(int(len(values) * options.test), horizon)
    start = len(values) - held_out
    if start < 2 * lags + 2:
        raise InputError(
            f"{len(values)} rows leave {start} to learn from after {held_out} are held out; expected at least "
            f"{2 * lags + 2} for {lags} lags: give more data, or a smaller --lags, --horizon or --test"
        )
    if season is not None and season > start:
        raise InputError(f"--season {season} is longer than the {start} rows to learn from; expected less")
    model = LSTMForecaster(lags=lags, **options.shared(run))
    question = {
        "task": "forecast", "data": options.data, "target": series.name, "time": series.time_name,
        "horizon": horizon, "season": season, "lags": lags, "test_rows": held_out, "seed": options.seed,
        "next_times": _next_times(series),
    }
    model.check()
    run_directory.begin(run, question, resume=options.resume)
    model.fit(values[:start])
    found = model.backtest(values, horizon, start=start, coverage=COVERAGE)
    score = score_forecasts(values, found, training=start, lags=lags, season=season)
    model.update(values[start:])
    model.save(run / "model")
    times = series.times if series.times is not None else np.arange(1, len(values) + 1)
    chosen = range(0, len(found.origins), horizon)
    forecast_figure(
        run / "forecast.png",
        times[max(0, start - 2 * held_out) :],
        values[max(0, start - 2 * held_out) :],
        [
            {
                "times": times[found.origins[i] : found.origins[i] + horizon],
                "mean": found.mean[i, :, 0], "lower": found.lower[i, :, 0], "upper": found.upper[i, :, 0],
            }
            for i in chosen
        ],
        name=series.name,
        coverage=COVERAGE,
        time_name=series.time_name,
    )
    return _finish(run, model, {**question, "score": score, "training_rows": start})


def _next_times(series: Series) -> dict[str, Any] | None:
    """How to go on counting: the last time and the step, where times are evenly spaced numbers or dates."""
    if series.times is None:
        return {"last": len(series.values), "step": 1, "unit": None}
    steps = np.diff(series.times)
    if not len(steps) or not (steps == steps[0]).all():
        return None
    if series.times.dtype.kind == "M":
        seconds = int(steps[0] / np.timedelta64(1, "s"))
        return {"last": str(series.times[-1].astype("datetime64[s]")), "step": seconds, "unit": "s"}
    return {"last": float(series.times[-1]), "step": float(steps[0]), "unit": None}


# -- sequences with an answer each -----------------------------------------------------------------------------------------


def _sequences(options: FitOptions, data: Table | BuiltIn, run: Path, *, classify: bool) -> dict[str, Any]:
    for option, value in (("--horizon", options.horizon), ("--season", options.season), ("--lags", options.lags),
                          ("--time", options.time)):
        if value is not None:
            raise InputError(f"{option} belongs to forecasting; expected it with --target alone")
    found = labelled_sequences(data, options.label if classify else options.target, options.sequence)
    train, test = found.train, found.test
    assert train.labels is not None
    if not classify and train.labels.dtype.kind not in "fi":
        raise InputError(f"--target {options.target} holds text; expected numbers, or --label to classify")
    if classify and len(np.unique(train.labels)) < 2:
        raise InputError(f"the label is {train.labels[0]!r} throughout; expected at least two classes")
    if test is None:
        train, test = _split(train, options.test, options.seed, stratify=classify)
    assert train.labels is not None and test.labels is not None
    kind = LSTMClassifier if classify else LSTMRegressor
    model = kind(**options.shared(run))
    question = {
        "task": "classify" if classify else "regress", "data": options.data,
        "target": options.label if classify else options.target, "sequence": options.sequence,
        "features": list(train.features), "test_sequences": len(test), "seed": options.seed,
    }
    run_directory.begin(run, question, resume=options.resume)
    model.fit(train.arrays, train.labels)
    answers = model.predict(test.arrays)
    score = (score_classes if classify else score_numbers)(test.labels, answers, train.labels)
    model.save(run / "model")
    return _finish(run, model, {**question, "score": score, "training_sequences": len(train)})


def _split(data: Sequences, share: float, seed: int, *, stratify: bool) -> tuple[Sequences, Sequences]:
    """A random test part, the same share of every class where that is possible."""
    assert data.labels is not None
    numbers = np.arange(len(data))
    count = int(len(data) * share)
    if count < 1 or len(data) - count < 2:
        raise InputError(f"{len(data)} sequences with --test {share} cannot be split; expected more sequences")
    classes, counts = np.unique(data.labels, return_counts=True)
    balanced = stratify and counts.min() >= 2 and count >= len(classes) and len(data) - count >= len(classes)
    train, test = train_test_split(
        numbers, test_size=count, random_state=seed, stratify=data.labels if balanced else None
    )
    return _chosen(data, np.sort(train)), _chosen(data, np.sort(test))


def _chosen(data: Sequences, numbers: NDArray[np.int64]) -> Sequences:
    assert data.labels is not None
    return Sequences(
        [data.arrays[n] for n in numbers], tuple(data.ids[n] for n in numbers), data.features, data.labels[numbers]
    )


def _finish(
    run: Path, model: LSTMForecaster | LSTMClassifier | LSTMRegressor, document: dict[str, Any]
) -> dict[str, Any]:
    """The learning curve, and last of all metrics.json: where it is, the run is whole."""
    learning_figure(run / "learning.png", model.history_, model.best_epoch_)
    metrics = {
        **document,
        "epochs": model.n_epochs_,
        "best_epoch": model.best_epoch_,
        "weights": model.network_.weight_count(),
    }
    write_json(run / "metrics.json", metrics)
    return {**metrics, "run": str(run)}
