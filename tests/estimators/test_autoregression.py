"""The simple forecasts, against loops written out, NumPy's least squares and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.estimators.autoregression import fit_linear, last_value, linear_autoregression, seasonal_naive

Array = NDArray[np.float64]


@pytest.fixture
def series() -> Array:
    rng = np.random.default_rng(4)
    return np.cumsum(rng.normal(size=80)) * 0.3 + 20.0 + rng.normal(size=80)


ORIGINS = np.array([50, 51, 60, 73])


def test_the_last_value_is_repeated(series: Array) -> None:
    found = last_value(series, ORIGINS, 7)
    assert found.tolist() == [[series[origin - 1]] * 7 for origin in ORIGINS]


@pytest.mark.parametrize("season", [1, 2, 5, 11, 50])
def test_the_season_before_is_repeated(season: int, series: Array) -> None:
    found = seasonal_naive(series, ORIGINS, 7, season)
    for row, origin in enumerate(ORIGINS):
        for ahead in range(7):
            time = origin + ahead
            while time >= origin:  # back by whole seasons, into what is known
                time -= season
            assert found[row, ahead] == series[time]


def test_a_season_longer_than_what_is_known_is_refused(series: Array) -> None:
    with pytest.raises(InputError, match=r"a season of 51 steps; expected 1 to 50"):
        seasonal_naive(series, ORIGINS, 7, 51)
    with pytest.raises(InputError, match=r"a season of 0 steps"):
        seasonal_naive(series, ORIGINS, 7, 0)


@pytest.mark.parametrize("targets", [1, 3])
def test_least_squares_solves_the_normal_equations(targets: int) -> None:
    rng = np.random.default_rng(0)
    inputs, answers = rng.normal(size=(40, 5)), rng.normal(size=(40, targets)) + 3.0
    coefficients, deviation = fit_linear(inputs, answers)
    design = np.column_stack([inputs, np.ones(40)])
    assert coefficients == pytest.approx(np.linalg.solve(design.T @ design, design.T @ answers), abs=1e-10)
    residuals = answers - design @ coefficients
    assert deviation == pytest.approx(np.sqrt((residuals**2).mean(axis=0)), rel=1e-10)
    assert np.abs(design.T @ residuals).max() < 1e-10
    exact = design @ np.arange(6.0)[:, None]
    assert fit_linear(inputs, exact)[0] == pytest.approx(np.arange(6.0)[:, None], abs=1e-10)
    assert fit_linear(inputs, exact)[1] == pytest.approx(0.0, abs=1e-10)


def test_of_inputs_that_tell_the_same_the_shortest_solution_is_taken() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=(60, 1))
    one -= one.mean()
    coefficients, _ = fit_linear(np.hstack([one, one]), 4.0 * one)
    assert coefficients[:, 0] == pytest.approx([2.0, 2.0, 0.0], abs=1e-10)
    rounded = np.hstack([one, one.astype(np.float32)]).astype(np.float64)
    huge, _ = fit_linear(rounded, rng.normal(size=(60, 1)))
    small, _ = fit_linear(rounded, rng.normal(size=(60, 1)), least=1e-3)
    assert np.abs(huge).max() > 1e4  # what rounding tells apart, magnified
    assert np.abs(small).max() < 1.0


@pytest.mark.parametrize("lags", [1, 2, 5, 12])
def test_a_linear_autoregression_is_least_squares_iterated(lags: int, series: Array) -> None:
    training, horizon = 50, 6
    rows = np.array([[*series[time - lags : time], 1.0] for time in range(lags, training)])
    weights = np.linalg.lstsq(rows, series[lags:training], rcond=None)[0]
    found = linear_autoregression(series, ORIGINS, horizon, lags, training)
    assert found.shape == (4, horizon)
    for row, origin in enumerate(ORIGINS):
        recent = series[origin - lags : origin].tolist()
        for ahead in range(horizon):
            value = sum(weight * known for weight, known in zip(weights, [*recent, 1.0], strict=True))
            assert found[row, ahead] == pytest.approx(value, rel=1e-9)
            recent = [*recent[1:], value]


@pytest.mark.parametrize("lags", [1, 3, 11])
def test_a_linear_autoregression_is_that_of_statsmodels(lags: int, series: Array) -> None:
    models = pytest.importorskip("statsmodels.tsa.ar_model")
    expected = models.AutoReg(series[:60], lags).fit().forecast(8)
    found = linear_autoregression(series, np.array([60]), 8, lags, 60)
    assert found[0] == pytest.approx(expected, rel=1e-8)


def test_values_that_are_held_out_change_no_coefficient(series: Array) -> None:
    before = linear_autoregression(series, np.array([50]), 5, 3, 50)
    other = series.copy()
    other[50:] = 1000.0
    assert np.array_equal(before, linear_autoregression(other, np.array([50]), 5, 3, 50))


def test_too_few_values_for_the_lags_are_refused(series: Array) -> None:
    with pytest.raises(InputError, match=r"5 training values for 5 lags; expected at least 6"):
        linear_autoregression(series, ORIGINS, 2, 5, 5)
    assert np.isfinite(linear_autoregression(series, ORIGINS, 2, 5, 6)).all()
