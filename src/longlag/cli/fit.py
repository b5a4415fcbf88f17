"""longlag fit: a trained model, an honest score and a picture from a table or a built-in data set."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.cli import run_directory
from longlag.cli.question import labelled_sequences, series_of, task_of
from longlag.cli.score import score_classes, score_forecasts, score_numbers
from longlag.cli.times import counting_on
from longlag.data import BuiltIn, Sequences, Table, open_data
from longlag.diagnostics.plots import forecast_figure, learning_figure
from longlag.distributed import Executor, ProcessExecutor, RayExecutor
from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor
from longlag.io.json import write_json

__all__ = ["FitOptions", "fit"]

COVERAGE = 0.9
TEST = 0.25  # of a series or of sequences, unless asked otherwise

Model = LSTMForecaster | LSTMClassifier | LSTMRegressor


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
    test: float | None
    optimizer: str | None
    learning_rate: float | None
    hidden_size: int | None
    num_layers: int
    max_epochs: int | None
    workers: int | None
    ray: str | None
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
            "resume": True,  # begun() has refused a run that must not be continued
            "verbose": self.verbose,
        }

    def executor(self) -> AbstractContextManager[Executor | None]:
        """Who computes: processes here, actors on a Ray cluster, or (None) this process."""
        if self.ray is not None:
            return RayExecutor(self.workers, address=self.ray)
        return nullcontext() if self.workers is None else ProcessExecutor(self.workers)

    @property
    def test_share(self) -> float:
        """Of the data that is held out."""
        return TEST if self.test is None else self.test


def fit(options: FitOptions) -> dict[str, Any]:
    """Read, check, train, score, save. Nothing is written before the data and options have been checked."""
    data = open_data(options.data)
    task = task_of(data, options.target, options.label, options.sequence)
    if not 0 < options.test_share < 1:
        raise InputError(f"--test is {options.test}; expected a share between 0 and 1")
    if options.learning_rate is not None and not math.isfinite(options.learning_rate):
        raise InputError(f"--learning-rate is {options.learning_rate}; expected a positive number")
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
        raise InputError(f"--horizon {horizon} leaves nothing of a series of {len(values)} rows; expected less")
    held_out = max(int(len(values) * options.test_share), horizon)
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
        "task": "forecast",
        "data": options.data,
        "data_sha256": _fingerprint([values]),
        "target": series.name,
        "time": series.time_name,
        "horizon": horizon,
        "season": season,
        "lags": lags,
        "test_rows": held_out,
        "next_times": counting_on(series.times, len(values)),
        **_settings(model, options),
    }
    with options.executor() as model.executor, run_directory.begun(run, question, resume=options.resume):
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
                "mean": found.mean[i, :, 0],
                "lower": found.lower[i, :, 0],
                "upper": found.upper[i, :, 0],
            }
            for i in chosen
        ],
        name=series.name,
        coverage=COVERAGE,
        time_name=series.time_name,
    )
    return _finish(run, model, {**question, "score": score, "training_rows": start})


# -- sequences with an answer each -------------------------------------------------------------------------------------


def _sequences(options: FitOptions, data: Table | BuiltIn, run: Path, *, classify: bool) -> dict[str, Any]:
    for option, value in (
        ("--horizon", options.horizon),
        ("--season", options.season),
        ("--lags", options.lags),
        ("--time", options.time),
    ):
        if value is not None:
            raise InputError(f"{option} belongs to forecasting; expected it with --target alone")
    name = options.label if classify else options.target
    found = labelled_sequences(data, name, options.sequence, classify=classify)
    train, test = found.train, found.test
    assert train.labels is not None
    if classify and len(np.unique(train.labels)) < 2:
        raise InputError(f"the label is {str(train.labels[0])!r} throughout; expected at least two classes")
    if test is None:
        train, test = _split(train, options.test_share, options.seed, by_class=classify)
    elif options.test is not None:
        raise InputError(f"--test was given for {options.data}, which has a test part of its own; expected none")
    assert train.labels is not None and test.labels is not None
    kind = LSTMClassifier if classify else LSTMRegressor
    model = kind(**options.shared(run))
    question = {
        "task": "classify" if classify else "regress",
        "data": options.data,
        "data_sha256": _fingerprint([*train.arrays, train.labels, *test.arrays, test.labels]),
        "target": name,
        "sequence": options.sequence,
        "features": list(train.features),
        "test_sequences": len(test),
        **_settings(model, options),
    }
    with options.executor() as model.executor, run_directory.begun(run, question, resume=options.resume):
        model.fit(train.arrays, train.labels)
    answers = model.predict(test.arrays)
    score = (score_classes if classify else score_numbers)(test.labels, answers, train.labels)
    model.save(run / "model")
    return _finish(run, model, {**question, "score": score, "training_sequences": len(train)})


def _split(data: Sequences, share: float, seed: int, *, by_class: bool) -> tuple[Sequences, Sequences]:
    """A random test part; ``by_class``, the same share of every class, of which one sequence stays for training."""
    assert data.labels is not None
    count = int(len(data) * share)
    if count < 1 or len(data) - count < 2:
        raise InputError(f"{len(data)} sequences with --test {share} cannot be split; expected more sequences")
    order = np.random.default_rng(seed).permutation(len(data))
    test = order[:count]
    if by_class:
        classes, kinds = np.unique(data.labels, return_inverse=True)
        order = order[np.argsort(kinds[order], kind="stable")]
        test = order[((np.arange(count) + 0.5) * len(data) / count).astype(np.int64)]  # evenly through all classes
        whole, held_out = (np.bincount(part, minlength=len(classes)) for part in (kinds, kinds[test]))
        first = [int(np.argmax(kinds[test] == kind)) for kind in np.flatnonzero(whole == held_out)]
        test = np.delete(test, first)
        if not len(test):
            raise InputError(
                f"{len(data)} sequences in {len(classes)} classes leave none to hold out; expected more of each class"
            )
    return _chosen(data, np.setdiff1d(order, test)), _chosen(data, np.sort(test))


def _chosen(data: Sequences, numbers: NDArray[np.int64]) -> Sequences:
    assert data.labels is not None
    return Sequences(
        [data.arrays[n] for n in numbers], tuple(data.ids[n] for n in numbers), data.features, data.labels[numbers]
    )


# -- what both share ---------------------------------------------------------------------------------------------------


def _settings(model: Model, options: FitOptions) -> dict[str, Any]:
    """How the model is trained, as far as options decide it."""
    names = ("optimizer", "learning_rate", "hidden_size", "num_layers", "max_epochs")
    return {**{name: getattr(model, name) for name in names}, "seed": options.seed}


def _fingerprint(arrays: Iterable[NDArray[Any]]) -> str:
    """SHA-256 of numbers and text in their order and shapes."""
    digest = hashlib.sha256()
    for array in arrays:
        content = "\0".join(array.tolist()).encode() if array.dtype == object else array.tobytes()
        digest.update(f"{array.shape} {array.dtype} ".encode() + content)
    return digest.hexdigest()


def _finish(run: Path, model: Model, document: dict[str, Any]) -> dict[str, Any]:
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
