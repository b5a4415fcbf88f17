"""What the network reads: nothing of the future, nothing that depends on the unit, and simple forecasts as they are."""

import numpy as np
import pandas as pd
import pytest

from longlag.forecasting.simple import drift, last_value, seasonal_naive
from longlag.pretrained.features import BASES, INPUTS, QUERY, past_of, queries

SEASONS = [(1, 1), (4, 4), (12, 12), (7, 35)]


def series(n=3, steps=60, seed=0):
    return np.cumsum(np.random.default_rng(seed).standard_normal((n, steps)), axis=1) + 50.0


@pytest.mark.parametrize("seasons", SEASONS)
def test_inputs_and_questions_have_their_widths(seasons):
    past = past_of(series(), seasons)
    questions, bases = queries(past, np.array([0, 2]), np.array([9, 59]), 5)
    assert past.inputs.shape == (3, 60, INPUTS)
    assert questions.shape == (2, 5, QUERY)
    assert bases.shape == (2, 5, BASES)
    assert np.isfinite(past.inputs).all()
    assert np.isfinite(questions).all()


@pytest.mark.parametrize("seasons", SEASONS)
def test_nothing_that_is_read_at_a_step_depends_on_later_values(seasons):
    values = series()
    changed = values.copy()
    changed[:, 40:] = 1e3 * np.random.default_rng(5).standard_normal((3, 20))
    before, after = past_of(values, seasons), past_of(changed, seasons)
    np.testing.assert_array_equal(before.inputs[:, :40], after.inputs[:, :40])
    asked = np.arange(3), np.full(3, 39), 18
    for one, other in zip(queries(before, *asked), queries(after, *asked), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seasons", SEASONS)
@pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (1e6, -3e6), (7.0, 1e3)])
def test_nothing_that_is_read_depends_on_the_unit(seasons, factor, offset):
    values = series()
    one, other = past_of(values, seasons), past_of(values * factor + offset, seasons)
    np.testing.assert_allclose(other.inputs, one.inputs, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(other.scale[:, 1:], one.scale[:, 1:] * factor, rtol=1e-7)  # the first has none
    np.testing.assert_allclose(other.level, one.level * factor + offset, rtol=1e-9)


def test_the_level_is_the_mean_of_the_last_season():
    values = series()
    expected = pd.DataFrame(values.T).rolling(12, min_periods=1).mean().to_numpy().T
    np.testing.assert_allclose(past_of(values, (12, 12)).level, expected, rtol=1e-12)


def test_the_scale_is_a_fading_mean_of_changes_within_a_season():
    values, keep = series(), 0.5 ** (1 / 36.0)
    past = past_of(values, (12, 12))
    step = 59
    ages = step - np.arange(60)
    weights = keep**ages
    changes = np.abs(values[:, 12:] - values[:, :-12])
    first = np.abs(np.diff(values, axis=1))
    usual_first = (first * weights[1:]).sum(axis=1) / weights[1:].sum()
    expected = ((changes * weights[12:]).sum(axis=1) + usual_first) / (weights[12:].sum() + 1.0)
    np.testing.assert_allclose(past.scale[:, step], expected, rtol=1e-10)


@pytest.mark.parametrize("season", [1, 4, 12])
def test_the_simple_forecasts_that_an_answer_is_mixed_of_are_those_of_the_methods(season):
    values = series(steps=50)
    past = past_of(values, (season, season))
    step, horizon = 49, 18
    _, bases = queries(past, np.arange(3), np.full(3, step), horizon)
    paths = bases * past.scale[:, step, None, None] + past.level[:, step, None, None]
    for row, one in enumerate(values):
        np.testing.assert_allclose(paths[row, :, 0], last_value(one, (season,), horizon), rtol=1e-10)
        np.testing.assert_allclose(paths[row, :, 1], seasonal_naive(one, (season,), horizon), rtol=1e-10)
        np.testing.assert_allclose(paths[row, :, 4], drift(one, (season,), horizon), rtol=1e-10)


def test_a_pattern_that_comes_again_is_found():
    pattern = np.random.default_rng(3).standard_normal(12)
    values = np.tile(pattern, 40)[None]  # the level of the first one is that of fewer values: it is forgotten
    past = past_of(values, (12, 12))
    _, bases = queries(past, np.array([0]), np.array([479]), 12)
    paths = bases[0] * past.scale[0, 479] + past.level[0, 479]
    np.testing.assert_allclose(paths[:, 2], pattern, atol=1e-5)


def test_a_gap_is_the_last_known_value_and_said_to_be_one():
    values = series()
    values[0, 20:23], values[1, :2] = np.nan, np.nan
    past = past_of(values, (4, 4))
    np.testing.assert_array_equal(past.values[0, 20:23], values[0, 19])
    np.testing.assert_array_equal(past.values[1, :2], values[1, 2])
    np.testing.assert_array_equal(past.known, np.isfinite(values))


@pytest.mark.parametrize("value", [0.0, 5.0, -1e300, 1e-300])
def test_a_constant_is_read_without_a_warning(value):
    past = past_of(np.full((1, 30), value), (12, 12))
    questions, bases = queries(past, np.array([0]), np.array([29]), 4)
    assert np.isfinite(past.inputs).all()
    assert np.isfinite(questions).all()
    np.testing.assert_array_equal(bases, 0.0)
