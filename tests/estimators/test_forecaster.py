"""LSTMForecaster: its forecasts are right where the truth is known, and its intervals hold what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from estimators.forecasters import QUICK, SERIES, autoregressive, make_cheap
from longlag.errors import InputError
from longlag.estimators import LSTMForecaster
from longlag.estimators.backtest import Backtest

Array = NDArray[np.float64]

LEARNING: dict[str, Any] = {"hidden_size": 16, "max_epochs": 80, "learning_rate": 0.02}
"""Where a network has to learn something."""


# -- forecasts that are known ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sine() -> tuple[Array, LSTMForecaster]:
    values = 5.0 + 3.0 * np.sin(2 * np.pi * np.arange(240) / 20)
    return values, LSTMForecaster(hidden_size=4, n_networks=1, max_epochs=60, random_state=0).fit(values[:200])


@pytest.mark.costly
def test_a_noiseless_sine_goes_on(sine: tuple[Array, LSTMForecaster]) -> None:
    values, model = sine
    assert model.seasons_ == (20,)
    assert model.horizon_ == 20
    forecast = model.predict(40)
    assert forecast.shape == (40,)
    assert np.abs(forecast - values[200:]).max() < 0.1
    assert np.array_equal(model.predict(), forecast[:20])
    interval = model.predict_interval(40)
    assert (interval[:, 1] - interval[:, 0]).max() < 0.5


@pytest.mark.costly
@pytest.mark.usefixtures("cheap_methods")
def test_a_backtest_of_a_noiseless_sine_is_right_from_everywhere() -> None:
    values = 5.0 + 3.0 * np.sin(2 * np.pi * np.arange(240) / 20)
    model = LSTMForecaster(hidden_size=4, n_networks=1, max_epochs=60, random_state=0).fit(values[:200])
    back = model.backtest(values, 20, start=100)
    assert isinstance(back, Backtest)
    assert back.origins.tolist() == list(range(100, 221))
    assert back.truth.shape == back.mean.shape == back.lower.shape == back.upper.shape == (121, 20, 1)
    for number, origin in enumerate(back.origins):
        assert np.array_equal(back.truth[number, :, 0], values[origin : origin + 20])
    assert np.abs(back.mean - back.truth).max() < 0.1
    assert back.coverage == 0.9


@pytest.mark.parametrize("value", [7.5, 0.0, -3.0, 1e9])
def test_a_constant_series_stays_constant(value: float) -> None:
    model = LSTMForecaster(**QUICK).fit(np.full(40, value))
    assert model.predict(10) == pytest.approx(value, rel=1e-4, abs=1e-6)
    assert model.predict_interval(10) == pytest.approx(value, rel=1e-4, abs=1e-6)


@pytest.mark.costly
@pytest.mark.usefixtures("cheap_methods")
def test_several_series_together_learn_from_each_other() -> None:
    rng = np.random.default_rng(0)
    leader = rng.normal(size=400)
    values = np.stack([leader, 10.0 + 2.0 * np.roll(leader, 1)], axis=1)[1:]  # the second follows a step behind
    options = {**QUICK, **LEARNING, "horizon": 3, "lags": 1}
    model = LSTMForecaster(**options).fit(values[:300])
    assert model.predict(4).shape == (4, 2)
    assert model.predict_interval(4).shape == (4, 2, 2)
    assert model.n_series_ == 2
    back = model.backtest(values, 3, start=300)
    assert back.mean.shape == (97, 3, 2)
    errors = np.abs(back.mean - back.truth)
    assert errors[:, 0, 1].mean() < 0.6
    assert errors[:, 0, 0].mean() > 0.6  # pure noise, which nothing foretells
    assert errors[:, 1, 1].mean() > 1.2  # two steps ahead the second is noise too


@pytest.mark.costly
def test_a_panel_of_series_of_different_length_and_scale_has_a_forecast_for_each() -> None:
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(84) / 12)
    scales = np.array([1e-3, 1.0, 50.0, 1e6])
    series = [
        scale * (10.0 + 2.0 * wave[-length:] + 0.1 * rng.normal(size=length))
        for scale, length in zip(scales, (72, 40, 30, 65), strict=True)
    ]
    model = LSTMForecaster(**{**QUICK, "season": 12, "horizon": 12}).fit(series)
    forecast = model.predict()
    assert forecast.shape == (4, 12)
    assert model.predict_interval(5, 0.8).shape == (4, 5, 2)
    assert model.predict_quantiles(5, [0.1, 0.5, 0.9]).shape == (4, 5, 3)
    expected = 10.0 + 2.0 * np.sin(2 * np.pi * np.arange(84, 96) / 12)
    assert np.abs(forecast / scales[:, None] - expected).max() < 0.8


@pytest.mark.costly
@pytest.mark.usefixtures("cheap_methods")
def test_a_series_that_known_inputs_drive_is_forecast_well_only_with_them() -> None:
    rng = np.random.default_rng(3)
    known = rng.normal(size=(330, 2))
    values = np.zeros(330)
    for step in range(1, 330):
        values[step] = 0.5 * values[step - 1] + 3.0 * known[step, 0] - 2.0 * known[step, 1] + 0.1 * rng.normal()
    options = {**QUICK, **LEARNING, "horizon": 5}
    with_inputs = LSTMForecaster(**options).fit(values[:300], known[:300])
    without = LSTMForecaster(**{**options, "max_epochs": 5}).fit(values[:300])
    assert (with_inputs.n_exogenous_, without.n_exogenous_) == (2, 0)
    errors = [
        np.abs(back.mean - back.truth).mean()
        for back in (with_inputs.backtest(values, 5, start=300, X=known), without.backtest(values, 5, start=300))
    ]
    assert errors[0] < 1.0
    assert errors[1] > 3 * errors[0]
    # A known value of one step moves the forecast of that step.
    moved = known[300:305].copy()
    moved[3] += 1.0
    apart = np.abs(with_inputs.predict(5, moved) - with_inputs.predict(5, known[300:305]))
    assert apart[3] > 0.5


@pytest.mark.usefixtures("cheap_methods")
@pytest.mark.parametrize("case", ["one is the other's past", "twice the same", "known inputs are the past"])
def test_series_that_tell_the_same_do_not_make_forecasts_grow(case: str) -> None:
    leader = np.random.default_rng(2).normal(size=200)
    past = np.roll(leader, 1)
    values, known = {
        "one is the other's past": (np.stack([leader, 5.0 - 3.0 * past], axis=1), None),
        "twice the same": (np.stack([SERIES, 2.0 * SERIES + 1.0], axis=1), None),
        "known inputs are the past": (leader, np.stack([past, np.roll(leader, 2)], axis=1)),
    }[case]
    values, known = values[2:], None if known is None else known[2:]
    model = LSTMForecaster(**QUICK).fit(values, known)
    forecast = model.predict(60, None if known is None else known[:60])
    apart = np.abs(forecast - values.mean(axis=0)) / values.std(axis=0)
    assert apart.max() < 4.0


@pytest.mark.costly
@pytest.mark.usefixtures("cheap_methods")
def test_training_improves_on_the_linear_autoregression_where_the_series_is_not_linear() -> None:
    rng = np.random.default_rng(0)
    values = np.zeros(450)
    for step in range(1, 450):
        values[step] = 1.5 * np.sin(2.0 * values[step - 1]) + 0.1 * rng.normal()
    options = {**QUICK, **LEARNING, "horizon": 1, "lags": 2}
    model = LSTMForecaster(**options).fit(values[:350])
    back = model.backtest(values, 1, start=350, stride=2)
    rows = np.column_stack([values[1:-1], values[:-2], np.ones(448)])  # row r answers for value r + 2
    coefficients = np.linalg.lstsq(rows[:348], values[2:350], rcond=None)[0]
    linear = (rows @ coefficients)[back.origins - 2]
    error = np.abs(back.mean - back.truth).mean()
    assert error < 0.6 * np.abs(linear - back.truth[:, 0, 0]).mean()
    assert model.best_epoch_ > 0
    assert model.weights_["LSTM"] > 0.5


def test_the_answer_leans_on_a_simple_method_that_clearly_wins() -> None:
    season = np.random.default_rng(0).normal(size=12)
    model = LSTMForecaster(**{**QUICK, "season": 12, "horizon": 12, "learning_rate": 1e-12}).fit(np.tile(season, 8))
    assert model.predict() == pytest.approx(season, abs=1e-6)
    assert set(model.errors_) >= {"LSTM", "seasonal naive", "last value", "Theta", "answer"}
    assert min(model.errors_, key=model.errors_.__getitem__) in ("LSTM", "seasonal naive", "answer", "smoothing")
    assert sum(model.weights_.values()) == pytest.approx(1.0)


# -- intervals ---------------------------------------------------------------------------------------------------------


@pytest.mark.costly
def test_networks_go_on_with_the_last_part_for_a_share_of_the_epochs_that_helped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    epochs = []
    run = LSTMForecaster._run

    def counted(self: LSTMForecaster, *arguments: Any) -> Any:
        result = run(self, *arguments)
        epochs.append((result.epochs, result.best_epoch))
        return result

    monkeypatch.setattr(LSTMForecaster, "_run", counted)
    noise = np.random.default_rng(0).normal(size=60)  # of which nothing can be learned
    LSTMForecaster(**{**QUICK, "max_epochs": 200, "learning_rate": 0.05, "patience": 20}).fit(noise)
    (learned, best), (again, _) = epochs
    assert learned < 100
    assert again == max(1, round(0.25 * best))


Noisy = tuple[Array, LSTMForecaster, dict[float, Backtest]]


@pytest.fixture(scope="module")
def noisy() -> Noisy:
    """AR(2), a forecaster of its first 900 values, and its backtests on the others by their coverage."""
    values = autoregressive(1220)
    options: dict[str, Any] = {**QUICK, **LEARNING, "horizon": 6, "lags": 4, "learning_rate": 0.01}
    with pytest.MonkeyPatch.context() as patch:
        make_cheap(patch, ("Theta", "smoothing"))
        model = LSTMForecaster(**options).fit(values[:900])
        backtests = {
            coverage: model.backtest(values, horizon, start=900, coverage=coverage, stride=4)
            for coverage, horizon in ((0.5, 5), (0.9, 6))
        }
        return values, model, backtests


@pytest.mark.costly
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_hold_as_many_values_as_they_say(noisy: Noisy, coverage: float) -> None:
    back = noisy[2][coverage]
    inside = (back.lower <= back.truth) & (back.truth <= back.upper)
    assert inside.mean() == pytest.approx(coverage, abs=0.06)
    assert np.abs(inside.mean(axis=0) - coverage).max() < 0.13  # at every number of steps ahead


@pytest.mark.costly
def test_intervals_grow_as_the_theory_of_autoregression_has_it(noisy: Noisy) -> None:
    back = noisy[2][0.9]
    responses = [1.0, 1.2]
    for _ in range(4):
        responses.append(1.2 * responses[-1] - 0.5 * responses[-2])
    deviation = np.sqrt(np.cumsum(np.square(responses)))
    widths = (back.upper - back.lower)[:, :, 0].mean(axis=0)
    assert widths == pytest.approx(2 * 1.645 * deviation, rel=0.25)


@pytest.mark.costly
def test_the_median_of_a_forecast_is_that_of_the_process(noisy: Noisy) -> None:
    values, back = noisy[0], noisy[2][0.9]
    first = 1.2 * values[back.origins - 1] - 0.5 * values[back.origins - 2]
    second = 1.2 * first - 0.5 * values[back.origins - 1]
    for step, (best, deviation) in enumerate(((first, 1.0), (second, np.hypot(1.0, 1.2)))):
        assert np.abs(back.mean[:, step, 0] - best).mean() < 0.3 * deviation  # of the noise that nobody foretells


@pytest.mark.costly
def test_intervals_are_ordered_and_nested(noisy: Noisy) -> None:
    _, model, _ = noisy
    inner, middle, outer = (model.predict_interval(8, coverage) for coverage in (0.3, 0.8, 0.99))
    for interval in (inner, middle, outer):
        assert (interval[:, 0] < interval[:, 1]).all()
    assert ((outer[:, 0] < middle[:, 0]) & (middle[:, 0] < inner[:, 0])).all()
    assert ((inner[:, 1] < middle[:, 1]) & (middle[:, 1] < outer[:, 1])).all()
    median = model.predict(8)
    assert ((middle[:, 0] < median) & (median < middle[:, 1])).all()


@pytest.mark.costly
def test_quantiles_are_the_ends_of_intervals_and_the_median(noisy: Noisy) -> None:
    _, model, _ = noisy
    quantiles = model.predict_quantiles(8, [0.05, 0.25, 0.5, 0.75, 0.95])
    assert (np.diff(quantiles, axis=-1) > 0).all()
    assert np.array_equal(quantiles[:, 2], model.predict(8))
    assert quantiles[:, [0, 4]] == pytest.approx(model.predict_interval(8, 0.9), rel=1e-9)
    assert quantiles[:, [1, 3]] == pytest.approx(model.predict_interval(8, 0.5), rel=1e-9)


@pytest.mark.costly
@pytest.mark.parametrize("levels", [[], [0.0], [1.0], [0.5, 2.0], ["x"], 0.5, [True]])
def test_levels_that_are_no_probabilities_are_refused(noisy: Noisy, levels: Any) -> None:
    with pytest.raises(InputError, match=r"levels .*; expected probabilities between 0 and 1"):
        noisy[1].predict_quantiles(3, levels)
