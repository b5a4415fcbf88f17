"""Callbacks for other people's programs: TensorBoard, MLflow and Optuna, each imported when it is first used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from longlag.errors import InputTypeError
from longlag.io.files import path_of, writing
from longlag.tables.packages import require
from longlag.training.callbacks import Callback, Stage, TrainingInfo
from longlag.training.result import TrainingResult

__all__ = ["MLflow", "OptunaPruning", "TensorBoard"]

_CURVES = {
    "loss": "loss/training",
    "validation": "loss/validation",
    "gradient_norm": "gradient_norm",
    "learning_rate": "learning_rate",
    "sharpness": "sharpness",
}
"""What an epoch's entry has, and the name of its curve."""


class TensorBoard(Callback):
    """Writes the curves of each epoch for ``tensorboard --logdir DIRECTORY``.

    A network of an ensemble has a folder ``network-N`` of its own, a later stage of its training one ``refit`` or
    ``update``.

    Parameters
    ----------
    directory : where the event files go; made if missing.

    Raises
    ------
    InputError
        If the package "tensorboard" is missing, or, when training starts, the directory cannot be written.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = path_of("directory", directory)
        require("tensorboard", "write curves for TensorBoard", extra="tensorboard")
        self._writer: Any = None

    def on_train_start(self, training: TrainingInfo) -> None:
        """Open an event file; epochs that a continued run makes again replace those that were written before."""
        from torch.utils.tensorboard import SummaryWriter  # takes a second

        folder = self.directory.joinpath(*_place(training.stage))
        with writing(folder):
            self._writer = SummaryWriter(str(folder), purge_step=training.epochs_done + 1)

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        """Write a point of each curve."""
        for name, curve in _CURVES.items():
            if entry[name] is not None:
                self._writer.add_scalar(curve, entry[name], entry["epoch"])
        self._writer.flush()

    def on_train_end(self, training: TrainingInfo, result: TrainingResult | None) -> None:
        """Close the event file."""
        self._writer.close()
        self._writer = None


class MLflow(Callback):
    """Logs the configuration, and the numbers of each epoch, to the active MLflow run.

    Where no run is active, each training has one of its own. Numbers of a second network begin with ``network-1/``,
    those of a later stage with ``refit/`` or ``update/``.

    Raises
    ------
    InputError
        If neither "mlflow" nor "mlflow-skinny" is installed.
    """

    def __init__(self) -> None:
        require("mlflow", "log a training to MLflow", extra="mlflow")
        self._owns_run = False

    def on_train_start(self, training: TrainingInfo) -> None:
        """Log the configuration of the first network, into a new run where none is active."""
        mlflow = _mlflow()
        self._owns_run = mlflow.active_run() is None
        if self._owns_run:
            mlflow.start_run()
        if training.stage.name == "fit" and training.stage.network == 0:
            mlflow.log_params(training.config.document())

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        """Log the numbers of an epoch."""
        place = "".join(f"{part}/" for part in _place(training.stage))
        numbers = {place + name: entry[name] for name in _CURVES if entry[name] is not None}
        _mlflow().log_metrics(numbers, step=entry["epoch"])

    def on_train_end(self, training: TrainingInfo, result: TrainingResult | None) -> None:
        """End the run that was started here."""
        if self._owns_run:
            _mlflow().end_run("FAILED" if result is None else "FINISHED")


class OptunaPruning(Callback):
    """Reports the score of each epoch to an Optuna trial, and ends the training that Optuna prunes.

    The score is the validation loss, or the training loss where there is none; a study that maximises is told minus
    that. Of an ensemble the first network's fit is reported: what it does the others would do too.

    Parameters
    ----------
    trial : optuna.trial.Trial of the objective that trains.

    Raises
    ------
    InputError
        If the package "optuna" is missing.
    InputTypeError
        If ``trial`` is none.
    optuna.TrialPruned
        Out of training, where Optuna's pruner decides so.
    """

    def __init__(self, trial: Any) -> None:
        optuna = require("optuna", "prune trials", extra="optuna")
        if not isinstance(trial, optuna.trial.BaseTrial):
            raise InputTypeError(f"trial is a {type(trial).__name__}; expected a trial of Optuna")
        self.trial = trial

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        """Report, and raise TrialPruned if the trial is not worth more epochs."""
        if training.stage.name != "fit" or training.stage.network > 0:
            return
        optuna = require("optuna", "prune trials", extra="optuna")
        score = entry["loss"] if entry["validation"] is None else entry["validation"]
        study = getattr(self.trial, "study", None)  # a FixedTrial has none
        maximised = study is not None and study.direction == optuna.study.StudyDirection.MAXIMIZE
        self.trial.report(-score if maximised else score, entry["epoch"])
        if self.trial.should_prune():
            raise optuna.TrialPruned(f"pruned after epoch {entry['epoch']}")


def _mlflow() -> Any:
    return require("mlflow", "log a training to MLflow", extra="mlflow")


def _place(stage: Stage) -> list[str]:
    """The names of folders, or parts of a name, that tell one training of an estimator from another."""
    network = [f"network-{stage.network}"] if stage.networks > 1 else []
    return network if stage.name == "fit" else [*network, stage.name]
