"""Effects of known columns: exact where the relation is, ridge regression of scikit-learn's where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from longlag.forecasting.effects import known_effects

RNG = np.random.default_rng(0)
COLUMNS = RNG.normal(size=(80, 3))
TRUE = np.array([2.0, -0.5, 0.0])


@pytest.mark.parametrize("season", [1, 7])
def test_an_exact_relation_is_recovered_whatever_level_trend_and_season_are(season: int) -> None:
    at = np.arange(80)
    waves = np.sin(2 * np.pi * at / season) if season > 1 else 0.0
    values = 100.0 + 0.0 * at + waves + COLUMNS @ TRUE
    assert known_effects(values, COLUMNS, season) == pytest.approx(TRUE, abs=1e-9)


@pytest.mark.parametrize("season", [1, 5])
def test_a_noisy_relation_is_shrunk_as_ridge_regression_has_it(season: int) -> None:
    values = COLUMNS @ TRUE + RNG.normal(size=80)
    answers, design = values[season:] - values[:-season], COLUMNS[season:] - COLUMNS[:-season]
    spread = np.sqrt(np.square(design).mean(axis=0))
    unit = design / spread
    plain = LinearRegression(fit_intercept=False).fit(unit, answers)
    variance = np.square(answers - plain.predict(unit)).sum() / (len(answers) - 3)
    strength = 3 * variance / np.square(plain.coef_).sum()
    expected = Ridge(alpha=strength, fit_intercept=False).fit(unit, answers).coef_ / spread
    assert known_effects(values, COLUMNS, season) == pytest.approx(expected, rel=1e-6)


def test_missing_values_are_left_out() -> None:
    values = COLUMNS @ TRUE
    values[[5, 30, 31]] = np.nan
    assert known_effects(values, COLUMNS, 1) == pytest.approx(TRUE, abs=1e-9)


def test_columns_that_say_nothing_have_no_effect() -> None:
    constant = np.column_stack([COLUMNS[:, 0], np.full(80, 4.0)])
    effects = known_effects(3.0 * COLUMNS[:, 0], constant, 1)
    assert effects == pytest.approx([3.0, 0.0], abs=1e-9)
    assert known_effects(RNG.normal(size=80), np.full((80, 2), 4.0), 1).tolist() == [0.0, 0.0]


def test_twice_the_same_column_shares_the_effect() -> None:
    twice = np.repeat(COLUMNS[:, :1], 2, axis=1)
    assert known_effects(4.0 * COLUMNS[:, 0], twice, 1) == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 10, 13])
def test_too_few_rows_say_nothing(steps: int) -> None:
    assert known_effects(RNG.normal(size=steps), COLUMNS[:steps], 1).tolist() == [0.0, 0.0, 0.0]


def test_a_series_of_which_nothing_is_known_has_no_effects() -> None:
    assert known_effects(np.full(80, np.nan), COLUMNS, 1).tolist() == [0.0, 0.0, 0.0]


def test_a_column_with_the_season_of_the_series_has_the_effect_of_its_steps() -> None:
    weekday = (np.arange(80) % 7 == 5).astype(float)[:, None]
    assert known_effects(10.0 + 3.0 * weekday[:, 0], weekday, 7) == pytest.approx([3.0])
