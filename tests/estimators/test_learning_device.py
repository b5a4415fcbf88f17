"""Estimators learn where they are told to, and answer and are saved on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longlag.distributed import SerialExecutor
from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor, load
from longlag.training import BatchEnd, Callback, TrainingInfo
from training.pretended_gpu import CUDA, pretended_gpu

pytestmark = pytest.mark.usefixtures("cheap_methods")

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(steps, 1)) for steps in (3, 5, 2, 4)]
SERIES = np.sin(np.arange(40.0)) + 0.1 * RNG.normal(size=40)
QUICK: dict[str, Any] = {"n_networks": 2, "hidden_size": 2, "max_epochs": 2, "random_state": 0}


class Where(Callback):
    def __init__(self) -> None:
        self.seen: set[torch.device] = set()

    def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
        self.seen |= {parameter.device for parameter in training.network.parameters()}


def classifier(**options: Any) -> tuple[Any, Any]:
    model = LSTMClassifier(**QUICK, **options).fit(X, ["a", "b", "a", "b"])
    return model, lambda model: model.predict_proba(X)


def regressor(**options: Any) -> tuple[Any, Any]:
    model = LSTMRegressor(**QUICK, bidirectional=True, **options).fit(X, np.arange(4.0))
    return model, lambda model: model.predict(X)


def forecaster(**options: Any) -> tuple[Any, Any]:
    model = LSTMForecaster(horizon=2, lags=2, **QUICK, **options).fit(SERIES).update(SERIES[:3], learn=True)
    return model, lambda model: model.predict()


@pytest.mark.costly
@pytest.mark.parametrize("fitted", [classifier, regressor, forecaster])
def test_networks_learn_on_the_device_and_come_back(fitted: Any, tmp_path: Path) -> None:
    expected, answer = fitted()
    where = Where()
    with pretended_gpu():
        model, _ = fitted(device="auto", callbacks=[where], run_dir=str(tmp_path / "run"))
    assert where.seen == {CUDA}
    for network, other in zip(model.networks(), expected.networks(), strict=True):
        for parameter, wanted in zip(network.parameters(), other.parameters(), strict=True):
            assert type(parameter.data) is torch.Tensor
            torch.testing.assert_close(parameter, wanted, rtol=1e-4, atol=1e-5)  # float32, by another engine
    np.testing.assert_allclose(answer(model), answer(expected), rtol=1e-3)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.device == "cpu"  # where it learned is no part of what it is
    np.testing.assert_array_equal(answer(again), answer(model))


@pytest.mark.parametrize("device", ["gpu", "meta", 0])
def test_a_device_that_is_none_is_refused_before_anything_is_learned(device: Any) -> None:
    with pytest.raises(InputError, match=rf"^device is '{device}'; expected 'cpu', 'cuda', 'cuda:1' and so on, or 'a"):
        regressor(device=device)


@pytest.mark.costly
def test_a_network_comes_back_when_training_breaks_off() -> None:
    class Breaking(Callback):
        def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
            raise LookupError

    model, answer = forecaster()
    before = answer(model)
    model.set_params(device="cuda", callbacks=[Breaking()])
    with pretended_gpu(), pytest.raises(LookupError):
        model.update(SERIES[:3], learn=True)
    np.testing.assert_array_equal(answer(model), before)


def test_workers_compute_on_the_cpu() -> None:
    with pretended_gpu(), SerialExecutor() as executor, pytest.raises(InputError, match="workers compute on the CPU"):
        regressor(device="cuda", executor=executor)
