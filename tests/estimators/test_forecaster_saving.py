"""LSTMForecaster: saved and read again, killed and resumed, to the same bits; and as a scikit-learn estimator."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from estimators.forecasters import QUICK, SERIES, autoregressive, same, weights
from longlag import CellSpec
from longlag.errors import CheckpointError, InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster
from longlag.estimators.base import load
from longlag.training import Schedule
from longlag.training.run import Run

pytestmark = [
    pytest.mark.usefixtures("cheap_methods"),
    # torch compiles its forward-mode rules through its own deprecated torch.jit.script; gradient="rtrl" uses them.
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]

TWO = np.stack([SERIES, SERIES[::-1]], axis=1)
PANEL = [autoregressive(length, seed=length) for length in (90, 33, 70)]


# -- saving ------------------------------------------------------------------------------------------------------------


@pytest.mark.costly
@pytest.mark.parametrize("form", ["one", "columns", "list"])
@pytest.mark.parametrize("with_inputs", [False, True])
def test_a_saved_model_answers_bit_for_bit(form: str, with_inputs: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    series = {"one": SERIES[:70], "columns": TWO[:70], "list": PANEL}[form]
    more = {"one": SERIES[70:], "columns": TWO[70:], "list": [rng.normal(size=6) for _ in PANEL]}[form]

    def known(steps: Any) -> Any:
        if not with_inputs:
            return None
        return [rng.normal(size=(len(one), 2)) for one in steps] if form == "list" else rng.normal(size=(len(steps), 2))

    options = {**QUICK, "n_networks": 2, "cell": CellSpec(peepholes=True)}
    model = LSTMForecaster(**options, learning_rate=Schedule(0.01, 0.001, "linear")).fit(series, known(series))
    model.save(tmp_path / "model")
    ahead = known([np.empty(5)] * 3 if form == "list" else np.empty(5))
    later, beyond = known(more), known([np.empty(4)] * 3 if form == "list" else np.empty(4))
    expected = copy.deepcopy(model).update(more, later).predict(4, beyond)
    for again in (LSTMForecaster.load(tmp_path / "model"), load(tmp_path / "model")):
        assert isinstance(again, LSTMForecaster)
        assert again.get_params() == {**model.get_params(), "run_dir": None, "resume": False}
        assert len(again.networks_) == 2
        assert same(weights(again), weights(model))
        assert np.array_equal(again.predict(5, ahead), model.predict(5, ahead))
        assert np.array_equal(again.predict_interval(5, 0.7, ahead), model.predict_interval(5, 0.7, ahead))
        if form != "list":
            one, two = (
                each.backtest(series, 3, start=60, X=known_again)
                for each, known_again in ((again, known_of(70, with_inputs)), (model, known_of(70, with_inputs)))
            )
            assert np.array_equal(one.mean, two.mean)
            assert np.array_equal(one.upper, two.upper)
        assert np.array_equal(again.update(more, later).predict(4, beyond), expected)
        for name in ("seed_", "n_epochs_", "best_epoch_", "weights_", "errors_", "seasons_", "horizon_", "n_series_"):
            assert getattr(again, name) == getattr(model, name)


def known_of(steps: int, with_inputs: bool) -> Any:
    return np.random.default_rng(5).normal(size=(steps, 2)) if with_inputs else None


@pytest.mark.costly
def test_a_loaded_model_goes_on_to_learn_as_the_saved_one_would(tmp_path: Path) -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES[:70])
    model.save(tmp_path / "model")
    again = LSTMForecaster.load(tmp_path / "model").update(SERIES[70:], learn=True)
    model.update(SERIES[70:], learn=True)
    assert same(weights(again), weights(model))
    assert np.array_equal(again.predict(4), model.predict(4))


def test_what_forecasts_have_told_since_is_saved_too(tmp_path: Path) -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES[:60]).update(SERIES[60:75], learn=True)
    model.save(tmp_path / "model")
    again = LSTMForecaster.load(tmp_path / "model")
    assert again._calibration.measured.weights == model._calibration.measured.weights != model.weights_
    for one in (model, again):
        one.update(SERIES[75:])
    assert np.array_equal(again.predict_interval(4), model.predict_interval(4))
    assert len(again._calibration.past) == len(model._calibration.past) > 0


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        LSTMForecaster(**{**QUICK, "n_networks": 2}).fit(SERIES).save(tmp_path / name)
    LSTMForecaster.load(tmp_path / "a").save(tmp_path / "c")
    files = sorted((tmp_path / "a").iterdir())
    assert len(files) == 4  # the manifest, the arrays, two networks
    for file in files:
        for name in ("b", "c"):
            assert file.read_bytes() == (tmp_path / name / file.name).read_bytes()


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    LSTMForecaster(**QUICK).fit(SERIES).save(tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"holds a LSTMForecaster; expected a LSTMClassifier"):
        LSTMClassifier.load(tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"does not exist"):
        LSTMForecaster.load(tmp_path / "nowhere")


@pytest.mark.costly
@pytest.mark.parametrize(("fitted", "loaded"), [(torch.float64, torch.float32), (torch.float32, torch.float64)])
def test_a_model_keeps_its_precision_whatever_the_default_is(
    fitted: torch.dtype, loaded: torch.dtype, tmp_path: Path
) -> None:
    torch.set_default_dtype(fitted)
    model = LSTMForecaster(**QUICK).fit(SERIES)
    expected = model.predict(3), model.predict_interval(3), model.backtest(SERIES, 3, start=60).mean
    model.save(tmp_path / "model")
    torch.set_default_dtype(loaded)
    for again in (model, LSTMForecaster.load(tmp_path / "model")):
        assert next(again.network_.parameters()).dtype == fitted
        assert np.array_equal(again.predict(3), expected[0])
        assert np.array_equal(again.predict_interval(3), expected[1])
        assert np.array_equal(again.backtest(SERIES, 3, start=60).mean, expected[2])


# -- as a scikit-learn estimator ---------------------------------------------------------------------------------------


def test_parameters_are_read_set_and_cloned() -> None:
    model = LSTMForecaster(**QUICK, cell=CellSpec.gers2000(), refit=False).fit(SERIES)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "network_")
    assert same(weights(twin.fit(SERIES)), weights(model))
    size = model.network_.lstm.input_size
    assert model.set_params(lags=5, hidden_size=3) is model
    assert (model.lags, model.hidden_size) == (5, 3)
    assert model.fit(SERIES).network_.lstm.input_size == size + 2
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(lag=5)
    assert "lags=5" in repr(model)


def test_numbers_of_numpy_are_taken_as_parameters(tmp_path: Path) -> None:
    plain = LSTMForecaster(**QUICK).fit(SERIES)
    options = {name: np.int64(value) for name, value in QUICK.items()}
    model = LSTMForecaster(**options, weight_decay=np.float64(0.0), refit=np.bool_(True)).fit(SERIES)
    assert same(weights(model), weights(plain))
    model.save(tmp_path / "model")
    assert np.array_equal(LSTMForecaster.load(tmp_path / "model").predict(3), plain.predict(3))


@pytest.mark.costly
@pytest.mark.parametrize("gradient", ["truncated", "rtrl"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_every_gradient_and_optimiser_will_do(gradient: str, optimizer: str) -> None:
    options = {**QUICK, "gradient": gradient, "optimizer": optimizer, "max_epochs": 1, "hidden_size": 2}
    model = LSTMForecaster(**options).fit(SERIES[:18])
    assert np.isfinite(model.predict(3)).all()


# -- runs --------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Ends a fit as a kill would."""


@pytest.mark.costly
@pytest.mark.parametrize(
    ("form", "saves"),  # of each network's two epochs, then of one more of each
    [*(("one", saves) for saves in (1, 3, 5, 6)), ("with known inputs", 3), ("panel", 2), ("panel", 6)],
)
def test_a_fit_that_was_killed_goes_on_to_the_same_bits(
    saves: int, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = np.random.default_rng(0).normal(size=(90, 1)) if form == "with known inputs" else None
    series: Any = PANEL if form == "panel" else SERIES
    ahead = None if known is None else known[:4]
    options = {**QUICK, "n_networks": 2, "dropout": 0.3, "num_layers": 2}
    expected = LSTMForecaster(**options).fit(series, known)
    monkeypatch.setattr(Run, "is_due", lambda self: True)
    save, count = Run.save, []

    def save_and_die(self: Run, *content: Any) -> None:
        save(self, *content)
        count.append(1)
        if len(count) == saves:
            raise Killed

    run = str(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", save_and_die)
        with pytest.raises(Killed):
            LSTMForecaster(**options, run_dir=run).fit(series, known)
    with pytest.raises(InputError, match="already holds a run; expected --resume"):
        LSTMForecaster(**options, run_dir=run).fit(series, known)
    for _ in range(2):  # the second resumes a run that has ended
        again = LSTMForecaster(**options, run_dir=run, resume=True).fit(series, known)
        assert same(weights(again), weights(expected))
        assert again.weights_ == expected.weights_
        assert np.array_equal(again.predict(4, ahead), expected.predict(4, ahead))
    other = [SERIES[:40], *PANEL[1:]] if form == "panel" else SERIES + 1.0 * (np.arange(90) == 3)
    with pytest.raises(InputError, match="other data"):
        LSTMForecaster(**options, run_dir=run, resume=True).fit(other, known)
    with pytest.raises(InputError, match="batch_size"):
        LSTMForecaster(**{**options, "batch_size": 1}, run_dir=run, resume=True).fit(series, known)


@pytest.mark.costly
def test_without_a_kill_a_run_is_the_fit_without_one(tmp_path: Path) -> None:
    options = {**QUICK, "n_networks": 2}
    run = tmp_path / "run"
    kept = LSTMForecaster(**options, run_dir=str(run)).fit(SERIES)
    assert same(weights(kept), weights(LSTMForecaster(**options).fit(SERIES)))
    assert sorted(path.name for path in run.iterdir() if path.name.startswith("network")) == [
        "network-0-1",
        "network-1",
        "network-1-1",
    ]
