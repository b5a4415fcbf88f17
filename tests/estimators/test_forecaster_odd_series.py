"""LSTMForecaster answers every series it accepts with finite numbers: short, constant, holed, growing, intermittent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from estimators.forecasters import QUICK, SERIES, autoregressive
from longlag.estimators import LSTMForecaster
from longlag.forecasting.simple import SIMPLE

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)
AT = np.arange(60)
MONTHS = 30.0 + 8.0 * np.sin(AT * np.pi / 6) + RNG.normal(size=60)


def finite(model: LSTMForecaster, horizon: int = 7) -> Array:
    """Medians, after checking that all that is answered is finite and in order."""
    median, interval = model.predict(horizon), model.predict_interval(horizon)
    assert np.isfinite(median).all()
    assert np.isfinite(interval).all()
    assert (interval[..., 0] <= median).all()
    assert (median <= interval[..., 1]).all()
    return np.asarray(median)


ODD: dict[str, Array] = {
    "14 values": SERIES[:14],
    "5 values": SERIES[:5],
    "zeros": np.zeros(30),
    "zeros and one value": np.where(AT == 40, 5.0, 0.0),
    "intermittent": np.where(RNG.random(60) < 0.8, 0.0, RNG.poisson(3.0, 60)).astype(float),
    "negative": -MONTHS,
    "exponential growth": np.exp(0.2 * AT),
    "a step": np.repeat([1.0, 1000.0], 30),
    "one outlier": np.where(AT == 50, 1e12, MONTHS),
    "the largest": SERIES * 1e149,
    "the smallest": SERIES * 1e-300,
    "almost constant": 1e6 + 1e-4 * SERIES,
    "whole numbers": np.round(MONTHS),
    "alternating": (-1.0) ** AT,
}


@pytest.mark.costly
@pytest.mark.parametrize("odd", ODD)
def test_every_odd_series_has_a_finite_forecast(odd: str) -> None:
    values = ODD[odd]
    median = finite(LSTMForecaster(**{**QUICK, "season": None, "horizon": None, "lags": None}).fit(values))
    reach = 3.0 * np.ptp(values) + 1e-6 * np.abs(values).max()
    assert (median >= values.min() - reach).all()
    assert (median <= values.max() + reach).all() or odd == "exponential growth"
    assert (median >= 0).all() or values.min() < 0


@pytest.mark.usefixtures("cheap_methods")
def test_a_forecast_of_a_series_without_negative_values_has_none() -> None:
    falling = np.maximum(50.0 - AT + RNG.normal(size=60), 0.0)
    model = LSTMForecaster(**QUICK).fit(falling)
    assert (model.predict_interval(12, 0.99) >= 0).all()


@pytest.mark.costly
def test_a_trend_goes_on_beyond_what_was_seen() -> None:
    for slope in (2.0, -2.0):
        line = 200.0 + slope * np.arange(80) + 0.5 * RNG.normal(size=80)
        median = finite(LSTMForecaster(**{**QUICK, "horizon": 8, "max_epochs": 60}).fit(line[:72]), 8)
        assert np.abs(median - line[72:]).max() < 8.0
        assert slope * (median[-1] - line[71]) > 0


@pytest.mark.costly
def test_growth_by_a_factor_goes_on_beyond_what_was_seen() -> None:
    growing = 10.0 * 1.08 ** np.arange(68)
    median = finite(LSTMForecaster(**{**QUICK, "horizon": 8, "max_epochs": 60}).fit(growing[:60]), 8)
    assert median == pytest.approx(growing[60:], rel=0.25)
    assert median[-1] > 1.2 * growing[59]


# -- missing values ----------------------------------------------------------------------------------------------------


@pytest.mark.costly
@pytest.mark.parametrize("where", ["inside", "at the beginning", "at the end", "everywhere"])
def test_missing_values_are_left_out_and_forecasts_are_as_good(where: str) -> None:
    missing = {
        "inside": slice(20, 25),
        "at the beginning": slice(0, 12),
        "at the end": slice(57, 60),
        "everywhere": slice(3, 60, 5),
    }[where]
    values = MONTHS.copy()
    values[missing] = np.nan
    median = finite(LSTMForecaster(**{**QUICK, "season": 12, "horizon": 12}).fit(values), 12)
    truth = 30.0 + 8.0 * np.sin(np.arange(60, 72) * np.pi / 6)
    assert np.abs(median - truth).mean() < 3.0  # a wave of 8, noise of 1


@pytest.mark.usefixtures("cheap_methods")
def test_a_missing_value_is_neither_learned_nor_invented() -> None:
    values = SERIES.copy()
    values[[30, 31, 88]] = np.nan
    model = LSTMForecaster(**QUICK).fit(values)
    back = model.backtest(values, 4, start=80)
    assert np.array_equal(
        np.isnan(back.truth), np.isnan(np.stack([values[o : o + 4] for o in back.origins])[..., None])
    )
    assert np.isfinite(back.mean).all()


@pytest.mark.usefixtures("cheap_methods")
def test_a_missing_value_may_come_with_an_update() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES[:60]).update(np.array([np.nan, 1.0, np.nan]))
    finite(model)


@pytest.mark.usefixtures("cheap_methods")
def test_a_series_that_begins_late_in_a_table_is_forecast_from_its_own_values() -> None:
    late = np.where(AT < 40, np.nan, 500.0 + RNG.normal(size=60))
    median = finite(LSTMForecaster(**QUICK).fit(np.stack([MONTHS, late], axis=1)))
    assert np.abs(median[:, 1] - 500.0).max() < 20.0


@pytest.mark.usefixtures("cheap_methods")
def test_there_is_no_forecast_of_a_series_before_its_first_value() -> None:
    late = np.where(AT < 40, np.nan, 500.0 + RNG.normal(size=60))
    table = np.stack([MONTHS, late], axis=1)
    back = LSTMForecaster(**QUICK).fit(table).backtest(table, 4, start=36, methods=["drift"])
    blind = back.origins <= 40
    assert blind.any()
    for paths in (back.mean, back.lower, back.upper, back.methods["drift"]):
        assert np.isnan(paths[blind][..., 1]).all()
        assert np.isfinite(paths[~blind]).all()
        assert np.isfinite(paths[..., 0]).all()
    assert np.isnan(back.truth[blind][..., 1]).all()


# -- panels ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cheap_methods")
def test_one_value_in_a_panel_is_its_forecast() -> None:
    series = [autoregressive(50) + 20.0, np.array([7.0]), np.array([3.0, 3.5])]
    median = finite(LSTMForecaster(**QUICK).fit(series))
    assert median[1] == pytest.approx(7.0, rel=1e-3)
    assert np.abs(median[2] - 3.5).max() < 2.0


@pytest.mark.usefixtures("cheap_methods")
def test_a_series_of_which_nothing_is_known_does_not_spoil_the_others() -> None:
    model = LSTMForecaster(**QUICK).fit([SERIES, np.full(50, np.nan)])
    median = finite(model)
    assert median.shape == (2, 7)
    assert median[0] == pytest.approx(LSTMForecaster(**QUICK).fit([SERIES]).predict(7)[0], abs=1.0)


@pytest.mark.usefixtures("cheap_methods")
def test_series_of_a_panel_in_another_unit_or_order_have_the_same_forecasts() -> None:
    series = [np.exp(0.1 * autoregressive(length, seed=length)) for length in (60, 41, 30)]
    scales = np.array([1.0, 1e-6, 1e9])
    options = {**QUICK, "season": 1}
    plain = LSTMForecaster(**options).fit(series).predict()
    scaled = LSTMForecaster(**options).fit([scale * one for scale, one in zip(scales, series, strict=True)]).predict()
    assert scaled / scales[:, None] == pytest.approx(plain, rel=1e-3)


@pytest.mark.usefixtures("cheap_methods")
def test_many_series_side_by_side_are_forecast_each_from_its_own_past() -> None:
    table = np.stack([autoregressive(40, seed=k) for k in range(12)], axis=1)
    model = LSTMForecaster(**QUICK).fit(table)
    assert finite(model).shape == (7, 12)
    assert model._data[0].past.shape[1] == 0  # so many would drown each in the others


@pytest.mark.costly
def test_every_finite_series_has_a_finite_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SIMPLE, "smoothing")  # the slowest

    @settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.one_of(
                st.floats(-1e3, 1e3).map(lambda value: round(value, 2)), st.sampled_from([0.0, 1.0, 1e12, np.nan])
            ),
            min_size=5,
            max_size=60,
        ).filter(lambda values: np.isfinite(values).sum() >= 5),
        st.sampled_from([None, 1, 4, (4, 12)]),
    )
    def check(values: list[float], season: Any) -> None:
        options = {**QUICK, "season": season, "horizon": None, "lags": None, "max_epochs": 1}
        finite(LSTMForecaster(**options).fit(np.array(values)), 9)

    check()


@pytest.mark.costly
@pytest.mark.usefixtures("cheap_methods")
def test_intervals_in_logarithms_end_within_ten_ranges_of_what_has_been() -> None:
    sizes = np.random.default_rng(4).normal(size=160) * np.where(np.arange(160) < 60, 0.001, 5.0)
    values = np.exp(np.cumsum(sizes) / 5)  # quiet, then wild
    back = LSTMForecaster(**QUICK).fit(values[:60]).backtest(values, 4, start=64, coverage=0.98)
    assert np.isfinite(back.upper).all()
    for number, origin in enumerate(back.origins):
        past = values[:origin]
        assert back.upper[number].max() <= (past.max() + 10 * np.ptp(past)) * (1 + 1e-9)
