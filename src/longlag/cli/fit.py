"""longlag fit: a trained model, an honest score and a picture from a table or a built-in data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from longlag.cli import run_directory
from longlag.cli.forecasting import ForecastProblem
from longlag.cli.inputs import Request, labelled_sequences, refuse_other_options, task_of
from longlag.data import BuiltIn, Sequences, Table, open_data, random_split
from longlag.diagnostics.plots import learning_figure
from longlag.distributed import Executor, ProcessExecutor, RayExecutor
from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor
from longlag.estimators.scores import score_classes, score_numbers
from longlag.io.fingerprint import fingerprint
from longlag.io.json import write_json
from longlag.optimizers import normalised
from longlag.tables.compression import uncompressed_name

__all__ = ["executor_for", "fit", "optimizer_options"]

TEST = 0.25  # of a series or of sequences, unless asked otherwise

Model = LSTMForecaster | LSTMClassifier | LSTMRegressor
Figures = Mapping[str, Callable[[Path], None]]
"""Names of picture files, and what draws each."""


def fit(
    request: Request,
    settings: Mapping[str, Any],
    *,
    seed: int = 0,
    executor: Callable[[], AbstractContextManager[Executor | None]] = nullcontext,
    run: Path | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Read, check, train, score, save; nothing is written before the data and options have been checked.

    Parameters
    ----------
    request : what to predict from which data.
    settings : parameters of the estimator; others keep their defaults.
    seed : decides initial weights, batches, and which sequences are held out.
    executor : called and entered when all has been checked; None computes in this process.
    run : the run directory; None is runs/<name of the data>.
    resume : continue the run that is there.

    Returns
    -------
    The content of metrics.json, where the run is, and as ``notes`` what was found out about the data by itself.
    """
    data = open_data(request.data, form=request.form)
    task = task_of(data, request)
    refuse_other_options(request, task)
    share = TEST if request.test is None else request.test
    if not 0 < share < 1:
        raise InputError(f"--test is {share}; expected a share between 0 and 1")
    rate = settings.get("learning_rate")
    if rate is not None and not math.isfinite(rate):
        raise InputError(f"--learning-rate is {rate}; expected a positive number")
    if run is None:
        run = Path("runs") / (data.name if isinstance(data, BuiltIn) else uncompressed_name(request.data).stem)
    problem: _Problem
    if task == "forecast":
        problem = ForecastProblem.read(request, data, share)
    else:
        problem = _Answers.read(request, data, task == "classify", share, seed)
    # run_directory.started refuses a run that must not be continued, so the estimator may always resume.
    model = problem.estimator(**settings, random_state=seed, run_dir=str(run), resume=True)
    described = ("optimizer", "learning_rate", "hidden_size", "num_layers", "max_epochs")
    document = {**problem.document, **{name: getattr(model, name) for name in described}, "seed": seed}
    _, options = normalised(model.optimizer, model.optimizer_options)
    if options:
        document["optimizer_options"] = options
    if model.device != "cpu":  # whose runs do not say so
        document["device"] = str(model.device)
    with executor() as model.executor, run_directory.started(run, document, resume=resume):
        problem.train(model)
        score, figures = problem.evaluate(model)  # a forecaster then learns the held-out rows, shared out as before
    model.save(run / "model")
    for name, draw in figures.items():
        draw(run / name)
    learning_figure(run / "learning.png", model.history_, model.best_epoch_)
    metrics = {
        **document,
        **score,
        "epochs": model.n_epochs_,
        "best_epoch": model.best_epoch_,
        "weights": sum(network.weight_count() for network in model.networks()),
    }
    write_json(run / "metrics.json", metrics)  # last of all: where it is, the run is whole
    notes = {"notes": list(problem.notes)} if problem.notes else {}
    return {**metrics, **notes, "run": str(run)}


def optimizer_options(words: Sequence[str]) -> dict[str, Any]:
    """The options written as NAME=VALUE. A value is a number, true, false, none, or a word.

    Raises
    ------
    InputError
        For a word of another form, or a name that comes twice.
    """
    options: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            raise InputError(f"--optimizer-option is {word!r}; expected NAME=VALUE, as in history_size=5")
        if name in options:
            raise InputError(f"--optimizer-option gives {name} twice; expected it once")
        options[name] = _value(text)
    return options


def _value(text: str) -> bool | int | float | str | None:
    words: dict[str, bool | None] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def executor_for(workers: int | None, ray: str | None) -> Callable[[], AbstractContextManager[Executor | None]]:
    """What starts the executor that was asked for: processes here, actors on a Ray cluster, or none at all."""
    if ray is not None:
        return partial(RayExecutor, workers, address=ray)
    return nullcontext if workers is None else partial(ProcessExecutor, workers)


class _Problem(Protocol):
    """Data to learn from, data held out, and an estimator for them."""

    @property
    def document(self) -> dict[str, Any]:
        """What run.json says of the problem."""

    @property
    def notes(self) -> Sequence[str]:
        """What was understood or done without being told, in sentences."""

    def estimator(self, **settings: Any) -> Model:
        """The model, not yet trained."""

    def train(self, model: Any) -> None:
        """Fit the model to the training part."""

    def evaluate(self, model: Any) -> tuple[dict[str, Any], Figures]:
        """The score on the held-out part, with the size of the training part, as in metrics.json; and the pictures."""


# -- sequences with an answer each -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Answers:
    """Labelled sequences to learn from, and those that are held out."""

    training: Sequences
    test: Sequences
    classify: bool
    document: dict[str, Any]
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, request: Request, data: Table | BuiltIn, classify: bool, share: float, seed: int) -> _Answers:
        labelled = labelled_sequences(data, request, "classify" if classify else "regress")
        training, test = labelled.train, labelled.test
        labels = _labels(training)
        if classify and len(np.unique(labels)) < 2:
            raise InputError(f"the label is {str(labels[0])!r} throughout; expected at least two classes")
        if test is None:
            training, test = _split(training, share, seed, by_class=classify)
        elif request.test is not None:
            raise InputError(f"--test was given for {request.data}, which has a test part of its own; expected none")
        document = {
            "task": "classify" if classify else "regress",
            "data": request.data,
            "data_sha256": fingerprint(*_arrays(training), *_arrays(test)),
            "target": request.label if classify else request.target,
            "sequence": request.sequence,
            "time": request.time,
            "duplicates": request.duplicates,
            "gaps": request.gaps,
            "sample_weight": request.sample_weight,
            "class_weight": request.class_weight,
            "features": list(training.features),
            "test_sequences": len(test),
            "networks": (LSTMClassifier if classify else LSTMRegressor).n_networks,
        }
        notes = data.notes if isinstance(data, Table) else ()
        return cls(training, test, classify, document, (*notes, *labelled.train.notes))

    def estimator(self, **settings: Any) -> Model:
        if self.classify:
            return LSTMClassifier(**settings, class_weight=self.document["class_weight"])
        return LSTMRegressor(**settings)

    def train(self, model: LSTMClassifier | LSTMRegressor) -> None:
        model.fit(self.training.arrays, _labels(self.training), self.training.weights)

    def evaluate(self, model: LSTMClassifier | LSTMRegressor) -> tuple[dict[str, Any], Figures]:
        return {"score": self._score(model), "training_sequences": len(self.training)}, {}

    def _score(self, model: LSTMClassifier | LSTMRegressor) -> dict[str, Any]:
        truth, training = _labels(self.test), _labels(self.training)
        if isinstance(model, LSTMRegressor):
            return score_numbers(truth, model.predict(self.test.arrays), training)
        probabilities = model.predict_proba(self.test.arrays)
        answers = model.classes_[probabilities.argmax(axis=1)]
        return score_classes(truth, answers, training, classes=model.classes_, probabilities=probabilities)


def _labels(sequences: Sequences) -> NDArray[Any]:
    assert sequences.labels is not None
    return sequences.labels


def _arrays(sequences: Sequences) -> list[NDArray[Any]]:
    """All that a run depends on."""
    weights = [] if sequences.weights is None else [sequences.weights]
    return [*sequences.arrays, _labels(sequences), *weights]


def _split(sequences: Sequences, share: float, seed: int, *, by_class: bool) -> tuple[Sequences, Sequences]:
    """A training and a test part, drawn at random; ``by_class``, the same share of every class is held out."""
    count = int(len(sequences) * share)
    if count < 1 or len(sequences) - count < 2:
        raise InputError(f"{len(sequences)} sequences with --test {share} cannot be split; expected more sequences")
    labels = _labels(sequences) if by_class else None
    training, test = random_split(len(sequences), count, seed=seed, classes=labels)
    if not len(test):
        raise InputError(
            f"{len(sequences)} sequences in {len(np.unique(_labels(sequences)))} classes leave none to hold out; "
            "expected more of each class"
        )
    return sequences.select(training), sequences.select(test)
