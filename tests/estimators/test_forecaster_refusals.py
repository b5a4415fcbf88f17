"""What LSTMForecaster refuses, each in one sentence that says where and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from estimators.forecasters import QUICK, SERIES, spoiled
from longlag import CellSpec
from longlag.errors import DivergenceError, InputError
from longlag.estimators import LSTMForecaster

pytestmark = pytest.mark.usefixtures("cheap_methods")


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_a_value_that_is_no_number_is_named_by_its_step(value: float) -> None:
    says = rf"the series is {value} at step 17, column 0; expected finite numbers"
    with pytest.raises(InputError, match=says):
        LSTMForecaster(**QUICK).fit(spoiled(value))
    pair = np.stack([SERIES, spoiled(value)], axis=1)
    with pytest.raises(InputError, match=r"at step 17, column 1"):
        LSTMForecaster(**QUICK).fit(pair)
    with pytest.raises(InputError, match=r"series 1 is -?inf at step 17"):
        LSTMForecaster(**QUICK).fit([SERIES, spoiled(value)])
    model = LSTMForecaster(**QUICK).fit(SERIES)
    with pytest.raises(InputError, match=says):
        model.update(spoiled(value))
    with pytest.raises(InputError, match=says):
        model.backtest(spoiled(value), 3, start=60)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_known_value_that_is_no_number_is_named_by_its_step(value: float) -> None:
    with pytest.raises(InputError, match=r"X is .* at step 17, column 0"):
        LSTMForecaster(**QUICK).fit(SERIES, spoiled(value))
    exogenous = LSTMForecaster(**QUICK).fit(SERIES, SERIES)
    with pytest.raises(InputError, match=r"X is .* at step 1, column 0"):
        exogenous.predict(2, [[0.0], [value]])


@pytest.mark.parametrize(
    ("series", "says"),
    [
        (["1", "2", "x"], r"the series holds something that is not a number \(dtype <U1\)"),
        (["1.5"] * 90, r"the series holds something that is not a number"),
        (np.array(["1.5"] * 90, dtype=object), r"the series holds something that is not a number"),
        ([None] * 90, r"the longest series has 0 values; expected at least 5"),
        (SERIES + 1j, r"dtype complex128"),
        ([[1.0], [2.0, 3.0]], r"the series holds something that is not a number"),
        (np.zeros((4, 3, 2)), r"the series has shape \(4, 3, 2\); expected \(steps,\) or \(steps, values\)"),
        (5.0, r"the series has shape \(\)"),
        (np.zeros((90, 0)), r"the series has shape \(90, 0\)"),
        ([], r"there are no series; expected at least one"),
        (np.zeros(0), r"the series has 0 steps; expected at least one"),
        (SERIES[:4], r"the longest series has 4 values; expected at least 5 to learn from"),
        (np.full(90, np.nan), r"the longest series has 0 values; expected at least 5 to learn from"),
        ([SERIES, np.zeros(0)], r"series 1 has shape \(0, 1\); expected at least one step of one value"),
        ([SERIES, np.zeros((9, 2))], r"series 1 has shape \(9, 2\); expected at least one step of one value"),
        ([SERIES, np.array(["1"])], r"series 1 holds something that is not a number"),
        ([SERIES[:3], SERIES[:4]], r"the longest series has 4 values; expected at least 5 to learn from"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_series_is_refused(series: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        LSTMForecaster(**QUICK).fit(series)


def test_the_least_number_of_values_is_enough() -> None:
    assert np.isfinite(LSTMForecaster(**QUICK).fit(SERIES[:5]).predict(2)).all()


@pytest.mark.parametrize(
    "options",
    [
        *({"lags": value} for value in (0, -1, 2.0, True, "3")),
        *({"horizon": value} for value in (0, -1, 2.0, True, "3")),
        *({"season": value} for value in (0, -1, 2.0, True, "3", [], [7, 0], [7.5])),
        *({"n_networks": value} for value in (0, -1, 2.0, True, "3", None)),
        *({"refit": value} for value in (1, "yes", None)),
        {"calendar": 3},
        {"validation_fraction": 1.0},
        {"validation_fraction": -0.1},
        {"validation_fraction": float("nan")},
        {"validation_fraction": None},
        {"optimizer": "nonsense"},
        {"gradient": "nonsense"},
        {"learning_rate": 0.0},
        {"learning_rate": -1.0},
        {"max_epochs": 0},
        {"batch_size": 0},
        {"patience": 0},
        {"clip_norm": 0.0},
        {"hidden_size": 0},
        {"num_layers": 0},
        {"dropout": 1.5},
        {"cell": CellSpec(cells_per_block=3)},
    ],
    ids=str,
)
def test_an_impossible_option_is_refused_by_name(options: dict[str, Any]) -> None:
    word = "block" if "cell" in options else next(iter(options))
    with pytest.raises(InputError, match=word):
        LSTMForecaster(**{**QUICK, **options}).fit(SERIES)


def test_a_model_that_is_not_fitted_says_so() -> None:
    model = LSTMForecaster(**QUICK)
    uses: list[Callable[[], object]] = [
        lambda: model.predict(3),
        lambda: model.predict_interval(3),
        lambda: model.predict_quantiles(3),
        lambda: model.update(SERIES),
        lambda: model.backtest(SERIES, 3, start=60),
        lambda: model.save("nowhere"),
    ]
    for use in uses:
        with pytest.raises(NotFittedError):
            use()


@pytest.mark.parametrize("horizon", [0, -1, 2.0, True, "3"])
def test_a_horizon_that_is_no_count_is_refused(horizon: Any) -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    uses: list[Callable[[], object]] = [
        lambda: model.predict(horizon),
        lambda: model.predict_interval(horizon),
        lambda: model.predict_quantiles(horizon),
        lambda: model.backtest(SERIES, horizon, start=60),
    ]
    for use in uses:
        with pytest.raises(InputError, match=f"horizon is {horizon!r}; expected a whole number of at least 1"):
            use()


def test_a_forecast_that_no_memory_holds_is_refused_before_it_is_made() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    for call in (model.predict, model.predict_interval, model.predict_quantiles):
        with pytest.raises(InputError, match="horizon is 1000000000; expected a whole number of at most 2097152"):
            call(10**9)


def test_origins_and_horizons_that_do_not_fit_are_refused() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    for start in (0, -1, 60.0, True, None):
        with pytest.raises(InputError, match=r"start is .*; expected a whole number of at least 1"):
            model.backtest(SERIES, 3, start=start)  # type: ignore[arg-type]
    for stride in (0, -1, 1.5, None):
        with pytest.raises(InputError, match=r"stride is .*; expected a whole number of at least 1"):
            model.backtest(SERIES, 3, start=60, stride=stride)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"a horizon of 31 steps does not fit .* step 60 .* 90 steps; .* at most 30"):
        model.backtest(SERIES, 31, start=60)
    assert model.backtest(SERIES, 30, start=60).mean.shape == (1, 30, 1)
    with pytest.raises(InputError, match=r"at most 0"):
        model.backtest(SERIES, 1, start=95)


def test_a_simple_method_that_nobody_knows_is_refused() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    with pytest.raises(InputError, match=r"methods is 'ARIMA'; expected one of .*drift"):
        model.backtest(SERIES, 3, start=60, methods=["ARIMA"])


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_coverage_that_is_no_probability_is_refused(coverage: float) -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    with pytest.raises(InputError, match=r"coverage is .*; expected a probability between 0 and 1"):
        model.predict_interval(3, coverage)
    with pytest.raises(InputError, match=r"coverage is"):
        model.backtest(SERIES, 3, start=60, coverage=coverage)


def test_sizes_other_than_in_fit_are_refused() -> None:
    known = np.ones((90, 2)) * np.arange(90)[:, None]
    plain, exogenous = LSTMForecaster(**QUICK).fit(SERIES), LSTMForecaster(**QUICK).fit(SERIES, known)
    panel = LSTMForecaster(**QUICK).fit([SERIES, SERIES[:40]])
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: LSTMForecaster(**QUICK).fit(SERIES, known[:80]), r"X has 80 rows; expected 90"),
        (lambda: plain.predict(3, known[:3]), r"fitted without X; expected no X"),
        (lambda: exogenous.predict(3), r"fitted with X; expected X with 3 rows of 2 values"),
        (lambda: exogenous.predict(3, known[:2]), r"X has 2 rows; expected 3"),
        (lambda: exogenous.predict(3, known[:3, :1]), r"X has shape \(3, 1\); expected \(3, 2\)"),
        (lambda: plain.update(np.ones((5, 2))), r"the series has 2 values per step; expected 1"),
        (lambda: plain.update(SERIES, known), r"X has 2 columns; expected 0"),
        (lambda: exogenous.update(SERIES), r"X has 0 columns; expected 2"),
        (lambda: exogenous.update(SERIES[:5], known[:4]), r"X has 4 rows; expected 5"),
        (lambda: plain.backtest(np.ones((90, 3)), 3, start=60), r"the series has 3 values per step"),
        (lambda: exogenous.backtest(SERIES, 3, start=60), r"X has 0 columns; expected 2"),
        (lambda: panel.update([SERIES]), r"the series has 1 series; expected 2, as in fit"),
        (lambda: LSTMForecaster(**QUICK).fit([SERIES, SERIES], [known]), r"X has columns for 1 series; expected 2"),
    ]
    for use, says in cases:
        with pytest.raises(InputError, match=says):
            use()


def test_a_refused_update_leaves_the_past_as_it_was() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    before = model.predict(3)
    with pytest.raises(InputError):
        model.update(spoiled(np.inf))
    assert np.array_equal(model.predict(3), before)


def test_training_that_diverges_leaves_the_model_unfitted() -> None:
    model = LSTMForecaster(**{**QUICK, "learning_rate": 1e37, "max_epochs": 5})
    with pytest.raises(DivergenceError, match="training diverged"):
        model.fit(SERIES)
    with pytest.raises(NotFittedError):
        model.predict(3)
