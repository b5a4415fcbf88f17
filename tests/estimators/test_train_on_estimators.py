"""Estimators whose run is given more epochs: the model of a fit that had them from the start, refits included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor
from longlag.training import Callback, TrainingInfo

pytestmark = [pytest.mark.costly, pytest.mark.usefixtures("cheap_methods")]

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(steps, 1)) for steps in (3, 5, 2, 4)]
SERIES = np.sin(np.arange(40.0)) + 0.1 * RNG.normal(size=40)
QUICK: dict[str, Any] = {"n_networks": 2, "hidden_size": 2, "random_state": 0, "learning_rate": 0.01, "resume": True}
MODELS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "classifier": (LSTMClassifier, (X, ["a", "b", "a", "b"])),
    "regressor": (LSTMRegressor, (X, np.arange(4.0))),
    "forecaster": (LSTMForecaster, (SERIES,)),
}


class Breaking(Callback):
    """Breaks off at the start of one stage of one network."""

    def __init__(self, stage: str, network: int) -> None:
        self.place = stage, network

    def on_train_start(self, training: TrainingInfo) -> None:
        if (training.stage.name, training.stage.network) == self.place:
            raise LookupError


def fitted(kind: str, epochs: int | None, run: Path, callbacks: Any = None) -> Any:
    make, data = MODELS[kind]
    return make(**QUICK, max_epochs=epochs, run_dir=str(run), callbacks=callbacks).fit(*data)


def contents(model: Any, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        ("classifier", None),
        ("regressor", ("fit", 1)),
        ("forecaster", None),
        ("forecaster", ("fit", 1)),
        ("forecaster", ("refit", 1)),
    ],
)
def test_more_epochs_make_the_model_that_had_them_from_the_start(kind: str, broken: Any, tmp_path: Path) -> None:
    expected = contents(fitted(kind, 9, tmp_path / "whole"), tmp_path / "expected")
    fitted(kind, 2, tmp_path / "run")
    if broken is not None:
        with pytest.raises(LookupError):
            fitted(kind, 9, tmp_path / "run", [Breaking(*broken)])
    assert contents(fitted(kind, 9, tmp_path / "run"), tmp_path / "found") == expected
    assert contents(fitted(kind, 9, tmp_path / "run"), tmp_path / "again") == expected  # there is nothing left to do


def test_fewer_epochs_than_the_usual_ones_that_the_run_has_are_refused(tmp_path: Path) -> None:
    fitted("forecaster", None, tmp_path / "run")
    with pytest.raises(InputError, match=r"holds a run with config\.max_epochs = 120, not 3; expected the same"):
        fitted("forecaster", 3, tmp_path / "run")
