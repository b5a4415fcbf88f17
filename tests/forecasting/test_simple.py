"""Simple methods: right against loops and statsmodels, finite and near for every series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.tsa.ar_model import AutoReg

from longlag.forecasting.features import Design
from longlag.forecasting.rolling import simple_forecast
from longlag.forecasting.simple import SIMPLE
from longlag.forecasting.units import Unit
from property_examples import examples

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)
SEASONAL = 50.0 + 0.3 * np.arange(60) + 8.0 * np.sin(np.arange(60) * np.pi / 6) + RNG.normal(size=60)
STATSMODELS = ["Theta", "smoothing", "autoregression"]


def test_the_last_value_goes_on() -> None:
    assert SIMPLE["last value"].forecast(np.array([3.0, 1.0, 4.0]), (1,), 3).tolist() == [4.0, 4.0, 4.0]


def test_drift_is_the_line_through_the_first_and_the_last_value() -> None:
    assert SIMPLE["drift"].forecast(np.array([1.0, 9.0, 5.0]), (1,), 3).tolist() == [7.0, 9.0, 11.0]
    assert SIMPLE["drift"].forecast(np.array([2.0]), (1,), 2).tolist() == [2.0, 2.0]


@pytest.mark.parametrize("horizon", [1, 4, 11])
@pytest.mark.parametrize(("seasons", "season"), [((4,), 4), ((4, 12), 12), ((4, 40), 4)])
def test_seasonal_naive_repeats_the_longest_season_that_the_series_has_twice(
    seasons: tuple[int, ...], season: int, horizon: int
) -> None:
    values = RNG.normal(size=30)
    forecast = SIMPLE["seasonal naive"].forecast(values, seasons, horizon)
    assert forecast.tolist() == [values[30 - season + ahead % season] for ahead in range(horizon)]


def test_theta_is_the_last_level_with_half_the_slope_of_the_line() -> None:
    # Without noise the level is the last value, and the line of theta 0 adds half its slope a step (Hyndman & Billah
    # 2003).
    forecast = SIMPLE["Theta"].forecast(10.0 + 2.0 * np.arange(30.0), (1,), 4)
    assert np.diff(forecast) == pytest.approx(1.0, abs=0.02)
    assert forecast[0] == pytest.approx(69.0, abs=1.1)


def test_smoothing_goes_on_with_a_trend_and_a_season() -> None:
    clean = -15.0 + 0.3 * np.arange(72) + 8.0 * np.sin(np.arange(72) * np.pi / 6)
    forecast = SIMPLE["smoothing"].forecast(clean[:60], (12,), 12)
    repeated = np.abs(clean[48:60] - clean[60:]).max()
    assert np.abs(forecast - clean[60:]).max() < 0.5 * repeated


def test_autoregression_is_exact_where_the_series_is_one() -> None:
    values = np.zeros(80)
    values[:2] = 1.0, 0.5
    for step in range(2, 80):
        values[step] = 1.5 * values[step - 1] - 0.9 * values[step - 2] + 1.0
    forecast = SIMPLE["autoregression"].forecast(values[:60], (1,), 20)
    assert forecast == pytest.approx(values[60:], abs=1e-6)


ODD: dict[str, Array] = {
    "constant": np.full(40, 7.5),
    "zeros": np.zeros(40),
    "one value": np.array([3.0]),
    "two values": np.array([3.0, 4.0]),
    "short": SEASONAL[:7],
    "intermittent": np.where(RNG.random(60) < 0.8, 0.0, RNG.poisson(3.0, 60)).astype(float),
    "negative": -SEASONAL,
    "one step up": np.repeat([0.0, 1.0], 30),
    "exponential": 2.0 ** np.arange(60),
    "huge": SEASONAL * 1e140,
    "tiny": SEASONAL * 1e-140,
    "holed": np.where(np.arange(60) % 7 == 3, np.nan, SEASONAL),
    "begins late": np.where(np.arange(60) < 30, np.nan, SEASONAL),
    "ends early": np.where(np.arange(60) > 40, np.nan, SEASONAL),
    "nothing": np.full(20, np.nan),
}


@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("seasons", [(1,), (6,)])
def test_every_method_is_finite_and_near_on_every_series(name: str, odd: str, seasons: tuple[int, ...]) -> None:
    values, design = ODD[odd], Design(8, seasons, 6, 1)
    unit = Unit.of(values, min(seasons))
    forecast = unit.back(simple_forecast(name, values, unit, design))
    assert forecast.shape == (8,)
    assert np.isfinite(forecast).all()
    known = values[np.isfinite(values)]
    if len(known):
        low, high = known.min(), known.max()
        reach = 2.0 * (high - low) + 1e-9 * np.abs(known).max()
        assert (forecast <= high + reach).all()
        assert (forecast >= low - reach).all()
        assert (forecast >= 0).all() or low < 0


@given(
    st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 2)), min_size=1, max_size=45),
    st.sampled_from([(1,), (4,), (12,)]),
    st.sampled_from(["last value", "drift", "seasonal naive", "Theta", "autoregression"]),
)
@examples(60)
def test_no_series_is_without_a_finite_simple_forecast(values: list[float], seasons: tuple[int], name: str) -> None:
    series = np.array(values)
    unit = Unit.of(series, seasons[0])
    assert np.isfinite(unit.back(simple_forecast(name, series, unit, Design(5, seasons, 4, 1)))).all()


@pytest.mark.parametrize("name", STATSMODELS)
def test_a_method_that_is_fitted_reads_no_more_than_the_end_of_a_long_series(name: str) -> None:
    # Otherwise a fit takes minutes: the time that exponential smoothing takes grows with the series.
    end = 50.0 + 8.0 * np.sin(np.arange(2000) * np.pi / 6) + np.random.default_rng(0).normal(size=2000)
    longer = np.concatenate([np.linspace(0.0, 500.0, 300), end])
    expected = SIMPLE[name].forecast(end, (12,), 4)
    assert np.array_equal(SIMPLE[name].forecast(longer, (12,), 4), expected)


@pytest.mark.parametrize("name", STATSMODELS)
def test_a_method_that_cannot_be_computed_is_the_last_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = Unit.of(SEASONAL, 1)

    def refuses(*arguments: object) -> Array:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setitem(SIMPLE, name, type(SIMPLE[name])(name, refuses, SIMPLE[name].needs, 1.0))
    assert unit.back(simple_forecast(name, SEASONAL, unit, Design(3, (1,), 4, 1))) == pytest.approx([SEASONAL[-1]] * 3)


def test_a_method_that_needs_more_values_is_the_last_value() -> None:
    unit = Unit.of(SEASONAL, 1)
    for name in STATSMODELS:
        few = SEASONAL[:5]
        assert unit.back(simple_forecast(name, few, unit, Design(3, (12,), 4, 1))) == pytest.approx([few[-1]] * 3)


def test_values_before_the_first_known_one_are_no_part_of_the_series() -> None:
    unit = Unit.of(SEASONAL, 1)
    late = np.concatenate([np.full(25, np.nan), SEASONAL])
    for name in SIMPLE:
        expected = simple_forecast(name, SEASONAL, unit, Design(4, (12,), 4, 1))
        assert np.array_equal(simple_forecast(name, late, unit, Design(4, (12,), 4, 1)), expected)


@pytest.mark.parametrize("steps", range(20, 40))
def test_an_autoregression_of_a_season_that_is_hardly_there_twice_is_finite(steps: int) -> None:
    values = np.random.default_rng(steps).normal(size=steps) + 10.0
    assert np.isfinite(SIMPLE["autoregression"].forecast(values, (12,), 18)).all()


def test_a_forecast_that_is_wanted_again_is_not_fitted_again_and_is_the_callers_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, fits = np.random.default_rng(17).normal(10.0, 1.0, 60), []
    fit = AutoReg.fit
    monkeypatch.setattr(AutoReg, "fit", lambda model: (fits.append(model), fit(model))[1])
    first = SIMPLE["autoregression"].forecast(values, [12], 6)
    expected = first.copy()
    first[:] = 0.0
    assert np.array_equal(SIMPLE["autoregression"].forecast(values, (12,), 6), expected)
    assert len(fits) == 1
    values[30] += 1.0
    assert not np.array_equal(SIMPLE["autoregression"].forecast(values, (12,), 6), expected)
    assert not np.array_equal(SIMPLE["autoregression"].forecast(values, (1,), 6), expected)
    assert len(fits) == 3
