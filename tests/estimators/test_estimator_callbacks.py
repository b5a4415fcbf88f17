"""Estimators tell their callbacks of every network and stage that they train, and a broken one leaves no mixture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from longlag.errors import InputTypeError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor, load
from longlag.training import Callback, OptunaPruning, TrainingInfo, TrainingResult

pytestmark = pytest.mark.usefixtures("cheap_methods")

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(steps, 1)) for steps in (3, 5, 2, 4)]
SERIES = np.sin(np.arange(40.0)) + 0.1 * RNG.normal(size=40)
QUICK: dict[str, Any] = {"n_networks": 2, "hidden_size": 2, "max_epochs": 2, "random_state": 0}

MODELS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "classifier": (lambda **more: LSTMClassifier(**QUICK, **more), (X, ["a", "b", "a", "b"])),
    "regressor": (lambda **more: LSTMRegressor(**QUICK, **more), (X, np.arange(4.0))),
    "forecaster": (lambda **more: LSTMForecaster(horizon=2, lags=2, **QUICK, **more), (SERIES,)),
}
FITS = [("fit", 0), ("fit", 1)]
STAGES = {"classifier": FITS, "regressor": FITS, "forecaster": [*FITS, ("refit", 0), ("refit", 1)]}


class Counting(Callback):
    """Counts what it hears; fails at the start of one stage."""

    def __init__(self, fails_at: tuple[str, int] | None = None) -> None:
        self.fails_at = fails_at
        self.stages: list[tuple[str, int]] = []
        self.epochs = self.ends = 0

    def on_train_start(self, training: TrainingInfo) -> None:
        stage = training.stage.name, training.stage.network
        if stage == self.fails_at:
            raise LookupError
        assert training.stage.networks == 2
        self.stages.append(stage)

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        self.epochs += 1

    def on_train_end(self, training: TrainingInfo, result: TrainingResult | None) -> None:
        self.ends += result is not None


@pytest.mark.parametrize("kind", MODELS)
def test_every_network_and_stage_is_told_and_no_bit_changes(kind: str, tmp_path: Path) -> None:
    make, data = MODELS[kind]
    counting = Counting()
    watched, plain = make(callbacks=[counting]).fit(*data), make().fit(*data)
    assert counting.stages == STAGES[kind]
    assert counting.ends == len(STAGES[kind])
    assert counting.epochs >= 2 * 2
    answers = [model.predict() if kind == "forecaster" else model.predict(X) for model in (watched, plain)]
    np.testing.assert_array_equal(*answers)
    watched.save(tmp_path / "watched")
    plain.save(tmp_path / "plain")
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("watched", "plain")]
    assert files[0] == files[1]  # callbacks are no part of a model
    assert load(tmp_path / "watched").callbacks is None


def test_an_update_is_a_stage_of_its_own() -> None:
    counting = Counting()
    model = MODELS["forecaster"][0](callbacks=[counting]).fit(SERIES)
    model.update(SERIES[:5], learn=True)
    assert counting.stages[4:] == [("update", 0), ("update", 1)]


def test_a_clone_tells_the_same_callbacks() -> None:
    counting = Counting()
    clone(LSTMRegressor(**QUICK, callbacks=[counting])).fit(X, np.arange(4.0))
    assert counting.epochs == 4


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_no_callback_is_refused_before_anything_is_learned(kind: str) -> None:
    make, data = MODELS[kind]
    with pytest.raises(InputTypeError, match=r"^a callback is a str; expected a Callback$"):
        make(callbacks=["progress"]).fit(*data)


@pytest.mark.parametrize("fails_at", STAGES["forecaster"])
def test_a_forecaster_whose_new_fit_breaks_off_has_forgotten_the_former_one(fails_at: tuple[str, int]) -> None:
    model = MODELS["forecaster"][0]().fit(SERIES)
    model.set_params(callbacks=[Counting(fails_at)])
    with pytest.raises(LookupError):
        model.fit(SERIES[::-1].copy())
    with pytest.raises(NotFittedError):
        model.predict()


@pytest.mark.costly
@pytest.mark.parametrize("form", ["array", "table"])
def test_an_update_that_breaks_off_at_the_second_network_leaves_all_as_it_was(form: str) -> None:
    def some(first: int, last: int) -> Any:
        values = SERIES[first:last]
        return values if form == "array" else {"time": np.arange(first, last), "y": values}

    model = MODELS["forecaster"][0]().fit(some(0, 34))
    before = model.predict_interval(4)
    model.set_params(callbacks=[Counting(("update", 1))])
    with pytest.raises(LookupError):
        model.update(some(34, 40), learn=True)
    model.set_params(callbacks=None)
    after = model.predict_interval(4)
    assert len(model.series()) == 34
    if form == "array":
        np.testing.assert_array_equal(after, before)
    else:
        assert all(np.array_equal(after[name], before[name]) for name in before)
    model.update(some(34, 40), learn=True)  # and then it can be done
    undisturbed = MODELS["forecaster"][0]().fit(some(0, 34)).update(some(34, 40), learn=True)
    np.testing.assert_array_equal(model.series(), undisturbed.series())
    for one, other in zip(model.networks(), undisturbed.networks(), strict=True):
        assert all((a == b).all() for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_optuna_prunes_a_search_over_an_estimator() -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.0, n_warmup_steps=2))

    def objective(trial: Any) -> float:
        LSTMRegressor(**QUICK, callbacks=[OptunaPruning(trial)]).fit(X, np.arange(4.0))
        raise AssertionError("it was pruned")

    study.optimize(objective, n_trials=1)
    assert study.trials[0].state.name == "PRUNED"
    assert len(study.trials[0].intermediate_values) == 2
