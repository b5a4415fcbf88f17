"""Unit: there and back, free of the scale of a series, and never below zero where a series never was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from longlag.forecasting.units import Unit, usual_change

Array = NDArray[np.float64]
NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
SERIES = arrays(np.float64, st.integers(1, 40), elements=NUMBERS)
GROWING = np.exp(np.cumsum(0.1 * np.random.default_rng(0).normal(size=60))) * 30.0


@given(SERIES, st.integers(1, 13))
def test_values_come_back_from_the_unit(values: Array, season: int) -> None:
    unit = Unit.of(values, season)
    assert unit.scale > 0
    assert unit.back(unit.to(values)) == pytest.approx(values, rel=1e-9, abs=1e-9)


@given(SERIES, st.integers(1, 13), st.sampled_from([2.0**-400, 0.5, 2.0**400]))
def test_a_series_in_another_unit_of_measure_looks_the_same(values: Array, season: int, factor: float) -> None:
    one, other = Unit.of(values, season), Unit.of(values * factor, season)
    assert one.logarithm == other.logarithm
    seen, again = one.to(values), other.to(values * factor)
    assert again - again[0] == pytest.approx(seen - seen[0], rel=1e-6, abs=1e-6)


def test_a_shifted_series_has_the_same_changes() -> None:
    values = np.random.default_rng(1).normal(size=50)
    one, other = Unit.of(values, 1), Unit.of(values - 1000.0, 1)
    assert not one.logarithm
    assert not other.logarithm
    assert np.diff(other.to(values - 1000.0)) == pytest.approx(np.diff(one.to(values)), abs=1e-9)


@pytest.mark.parametrize("season", [1, 4, 12])
@pytest.mark.parametrize("values", [GROWING, np.random.default_rng(2).normal(size=60)], ids=["positive", "signed"])
def test_the_usual_change_within_a_season_is_one(values: Array, season: int) -> None:
    seen = Unit.of(values, season).to(values)
    assert np.abs(seen[season:] - seen[:-season]).mean() == pytest.approx(1.0)


def test_forecasts_of_a_series_that_was_never_negative_are_not_negative() -> None:
    low = np.linspace(-1e4, 1e4, 101)
    for values in (GROWING, np.array([0.0, 0.0, 3.0, 0.0, 1.0]), np.zeros(4)):
        unit = Unit.of(values, 1)
        assert (unit.back(low) >= 0).all()
        assert np.isfinite(unit.back(low)).all()
    assert Unit.of(np.array([-1.0, 1.0, 2.0]), 1).back(low).min() < 0


def test_logarithms_are_taken_of_positive_series_that_keep_away_from_zero() -> None:
    assert Unit.of(GROWING, 1).logarithm
    for values in (np.append(GROWING, 0.0), np.append(GROWING, 1e-9), -GROWING, np.zeros(5)):
        assert not Unit.of(values, 1).logarithm


def test_a_missing_value_stays_missing_and_changes_no_scale() -> None:
    holed = np.insert(GROWING, 30, np.nan)
    unit = Unit.of(holed, 1)
    seen = unit.to(holed)
    assert np.isnan(seen[30])
    assert np.isfinite(np.delete(seen, 30)).all()
    changes = np.delete(np.diff(np.log(GROWING)), 29)  # the one across the gap is not measured
    assert unit.scale == pytest.approx(np.abs(changes).mean())


def test_a_later_value_that_has_no_logarithm_is_the_least_one_and_comes_back_as_zero() -> None:
    unit = Unit.of(GROWING, 1)
    seen = unit.to(np.array([0.0, -5.0, 1e-300]))
    assert np.isfinite(seen).all()
    assert seen[0] == seen[1]
    assert unit.back(seen[:1]) == pytest.approx(0.0, abs=1e-200)


@pytest.mark.parametrize("values", [np.full(9, 7.5), np.zeros(9), np.full(9, -3.0), np.array([4.0])])
def test_a_series_that_never_changes_has_the_size_of_its_rounding(values: Array) -> None:
    assert 0 < usual_change(values, 4) <= 1e-8
    unit = Unit.of(values, 4)
    assert unit.back(unit.to(values) + 3.0) == pytest.approx(values, abs=1e-6)


def test_a_series_of_which_nothing_is_known_is_taken_as_it_is() -> None:
    assert Unit.of(np.full(3, np.nan), 4) == Unit(False, 1.0, -np.inf)


def test_a_series_that_only_repeats_its_season_is_measured_from_step_to_step() -> None:
    assert usual_change(np.tile([0.0, 1.0, 3.0, 2.0], 6), 4) == pytest.approx(np.mean([*[1, 2, 1, 2] * 5, 1, 2, 1]))


def test_rounding_is_no_change() -> None:
    constant, rounded = np.full(20, 1e6), 1e6 + np.tile([0.0, 1e-10], 10)
    assert usual_change(rounded, 1) == pytest.approx(usual_change(constant, 1))
