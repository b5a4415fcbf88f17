"""Estimators compute on the CPU, with the same bits, whatever torch's default device is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor, load

pytestmark = [pytest.mark.costly, pytest.mark.usefixtures("cheap_methods")]

RNG = np.random.default_rng(0)
RAGGED = [RNG.normal(size=(length, 2)) for length in (5, 1, 7, 3, 4, 6, 2, 5)]
SERIES = np.sin(np.arange(40.0)) + 0.1 * RNG.normal(size=40)
QUICK: dict[str, Any] = {"n_networks": 2, "hidden_size": 3, "max_epochs": 2, "random_state": 0}


def classified(folder: Path) -> list[Any]:
    model = LSTMClassifier(bidirectional=True, validation_fraction=0.3, **QUICK).fit(RAGGED, ["a", "b"] * 4)
    model.save(folder / "model")
    return [model.predict_proba(RAGGED), load(folder / "model").predict_proba(RAGGED)]  # type: ignore[attr-defined]


def regressed(folder: Path) -> list[Any]:
    model = LSTMRegressor(optimizer="lbfgs", **QUICK).fit(RAGGED, np.arange(8.0))
    model.save(folder / "model")
    return [model.predict(RAGGED), load(folder / "model").predict(RAGGED)]  # type: ignore[attr-defined]


def forecast(folder: Path) -> list[Any]:
    known = np.arange(45.0)[:, None] % 3
    model = LSTMForecaster(horizon=5, lags=3, **{**QUICK, "n_networks": 2}).fit(SERIES, known[:40])
    model.save(folder / "model")
    again = LSTMForecaster.load(folder / "model").update(SERIES, known[:40])
    return [
        model.predict(5, known[40:]),
        model.predict_interval(5, X=known[40:]),
        model.predict_quantiles(5, X=known[40:]),
        model.backtest(SERIES, 3, start=30, X=known[:40]).mean,
        again.predict(2, known[:2]),
    ]


@pytest.mark.parametrize("answers", [classified, regressed, forecast])
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own
def test_torchs_default_device_changes_no_bit(answers: Callable[[Path], list[Any]], tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    expected = answers(tmp_path / "here")
    with torch.device("meta"):
        found = answers(tmp_path / "there")
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
