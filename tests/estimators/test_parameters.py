"""Parameters of a wrong kind are refused by fit in one sentence, whichever estimator; NumPy's kinds are Python's."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor
from longlag.estimators.base import NetworkEstimator

pytestmark = pytest.mark.usefixtures("cheap_methods")

TABLE = np.random.default_rng(0).normal(size=(8, 4))
SERIES = np.sin(np.arange(30.0))
QUICK: dict[str, Any] = {"n_networks": 1, "hidden_size": 2, "max_epochs": 1, "random_state": 0}
KINDS = [LSTMClassifier, LSTMRegressor, LSTMForecaster]


def fit(kind: type[NetworkEstimator], options: dict[str, Any]) -> Any:
    if kind is LSTMForecaster:
        return LSTMForecaster(**{"lags": 2, "n_networks": 1, **QUICK, **options}).fit(SERIES)
    answers = ["a", "b"] * 4 if kind is LSTMClassifier else np.arange(8.0)
    return kind(**{**QUICK, **options}).fit(TABLE, answers)  # type: ignore[attr-defined]


WRONG: list[tuple[str, Any]] = [
    *(("hidden_size", value) for value in (0, -1, 1.5, True, "4", None, [4], np.float64(4))),
    *(("num_layers", value) for value in (0, 1.0, "1", None)),
    *(("cell", value) for value in ("gers2000", CellSpec, {}, 1)),
    *(("dropout", value) for value in (-0.1, 1.1, "0.5", None, True, np.nan)),
    *(("optimizer", value) for value in ("lion", None, 3, ["adam"])),
    *(("learning_rate", value) for value in (0.0, -1.0, np.nan, np.inf, "0.1", [0.1], True)),
    *(("weight_decay", value) for value in (-1.0, "0", None, np.nan)),
    *(("max_epochs", value) for value in (0, 1.5, "9")),
    *(("batch_size", value) for value in (0, 1.5, "all", True)),
    *(("gradient", value) for value in ("exact", 1, ["full"])),
    *(("clip_norm", value) for value in (0.0, -1.0, "none", np.nan, [1.0])),
    *(("patience", value) for value in (0, 1.5, "9", True)),
    *(("validation_fraction", value) for value in (1.0, -0.1, "half", np.nan, [0.1])),
    *(("executor", value) for value in (4, "local", object())),
    *(("run_dir", value) for value in (7, ["runs"])),
    *(("resume", value) for value in (1, "yes", None)),
    *(("verbose", value) for value in ("loud", None, 0.5)),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda value: repr(value)[:30].partition(" object at")[0])
def test_a_parameter_of_a_wrong_kind_is_refused_in_one_sentence(
    name: str, value: Any, kind: type[NetworkEstimator]
) -> None:
    with pytest.raises(InputError, match="expected") as refusal:
        fit(kind, {name: value})
    sentence = str(refusal.value)
    assert sentence.startswith(f"{name} is ")
    assert "\n" not in sentence


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor])
@pytest.mark.parametrize(("name", "value"), [("bidirectional", 1), ("standardize", "no"), ("standardize", None)])
def test_a_flag_of_another_kind_is_refused(name: str, value: Any, kind: type[NetworkEstimator]) -> None:
    with pytest.raises(InputError, match=f"{name} is {value!r}; expected True or False"):
        fit(kind, {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("lags", "horizon", "season", "n_networks") for value in (0, 2.0, "9", 1e3, True)),
        ("n_networks", None),
        ("season", [4, 0]),
        ("season", []),
        ("refit", 1),
        ("calendar", 1),
    ],
)
def test_a_count_of_another_kind_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=re.escape(f"{name} is {value!r}; expected")):
        fit(LSTMForecaster, {name: value})


def test_a_random_state_of_another_kind_is_refused_in_scikit_learns_words() -> None:
    for kind in KINDS:
        with pytest.raises(ValueError, match="cannot be used to seed"):
            fit(kind, {"random_state": "x"})


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_numpy_are_those_of_python(kind: type[NetworkEstimator]) -> None:
    plain: dict[str, Any] = {"hidden_size": 3, "num_layers": 2, "dropout": 0.1, "learning_rate": 0.01, "batch_size": 4}
    numpy: dict[str, Any] = {
        "hidden_size": np.int32(3),
        "num_layers": np.uint8(2),
        "dropout": np.float64(0.1),
        "learning_rate": np.float64(0.01),
        "batch_size": np.int64(4),
        "max_epochs": np.int16(1),
        "patience": np.int64(20),
        "clip_norm": np.float64(1.0),
        "weight_decay": np.float32(0.0),
        "verbose": np.bool_(False),
        "resume": np.bool_(False),
    }
    names = [f"lstm.{name}" for name in ("weight_ih_l0", "weight_hh_l1")]
    first, second = (fit(kind, options).network_.state_dict() for options in (plain, numpy))
    assert all(np.array_equal(first[name].numpy(), second[name].numpy()) for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_the_docstring_explains_every_parameter_and_leaves_no_place_open(kind: type[NetworkEstimator]) -> None:
    text = kind.__doc__ or ""
    parameters = text.partition("Parameters")[2].partition("Attributes")[0]
    heads = [line for line in parameters.splitlines() if line.startswith("    ") and " : " in line and line[4] != " "]
    explained = [name for head in heads for name in head.partition(" : ")[0].strip().split(", ")]
    assert sorted(explained) == sorted(kind().get_params(deep=False))
    assert not [line for line in text.splitlines() if line.strip().startswith("{") and "}" in line]
    assert max(map(len, text.splitlines())) <= 120


# -- sizes whose squares overflow --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e151, 1e200, 1e307])
def test_a_series_whose_squared_errors_overflow_is_refused_by_step(size: float) -> None:
    large = np.where(np.arange(30) == 7, size, SERIES)
    says = r"the series is .* at step 7, column 0; expected at most 1e\+150 in size"
    model = fit(LSTMForecaster, {})
    for use in (
        lambda: fit(LSTMForecaster, {}).fit(large),
        lambda: model.update(large),
        lambda: model.backtest(large, 2, start=10),
    ):
        with pytest.raises(InputError, match=says):
            use()
    with pytest.raises(InputError, match=r"the series is .* at step 0"):
        fit(LSTMForecaster, {}).fit(SERIES * size + size)


def test_a_series_just_small_enough_is_forecast_in_finite_numbers() -> None:
    model = LSTMForecaster(lags=2, **{**QUICK, "n_networks": 1}).fit(SERIES * 1e149)
    assert np.isfinite(model.predict(5)).all()
    assert np.isfinite(model.predict_interval(5)).all()
    assert np.isfinite(model.backtest(SERIES * 1e149, 3, start=20).mean).all()


def test_a_forecast_that_grows_without_bound_stays_finite() -> None:
    growing = 2.0 ** np.arange(40) * 1e137
    model = fit(LSTMForecaster, {}).fit(growing)
    assert np.isfinite(model.predict(2000)).all()
    assert np.isfinite(model.predict_interval(2000)).all()


def test_a_target_whose_square_overflows_is_refused_by_sequence() -> None:
    targets = np.where(np.arange(8) == 3, 1e160, 1.0)
    with pytest.raises(InputError, match=r"y is 1e\+160 at sequence 3; expected at most 1e\+150 in size"):
        LSTMRegressor(**QUICK).fit(TABLE, targets)


def test_an_answer_that_no_float64_holds_is_refused_and_not_infinite() -> None:
    model = LSTMRegressor(**QUICK).fit(TABLE, np.arange(8.0) * 1e149)
    assert np.isfinite(model.predict(TABLE)).all()
    model.network_.double().readout.bias.data.fill_(1e200)
    with pytest.raises(InputError, match="the answer to sequence 0 is too large"):
        model.predict(TABLE)
