"""The prior: every ingredient does what its name says, and the same seed draws the same series."""

import dataclasses

import numpy as np
import pytest
from scipy.signal import lfilter

from longlag.synthetic.draws import recursion
from longlag.synthetic.prior import FREQUENCIES, Prior
from longlag.synthetic.processes import counts, gaussian_process
from longlag.synthetic.seasons import nested, patterns
from longlag.synthetic.trends import drift, level, saturated, shifts

NOTHING = Prior(**{field.name: 0.0 for field in dataclasses.fields(Prior)})
MONTHLY = FREQUENCIES["monthly"]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", FREQUENCIES)
def test_series_of_every_frequency_are_finite_where_they_have_values(name):
    frequency = FREQUENCIES[name]
    steps = frequency.steps[0]
    series = Prior().draw(rng(), 300, steps, frequency, frequency.seasons or (9,))
    assert series.shape == (300, steps)
    assert not np.isinf(series).any()
    assert np.isfinite(series[:, :2]).all()
    assert 0 < np.isnan(series).mean() < 0.05


def test_the_same_seed_draws_the_same_series_and_another_one_others():
    first, again, other = (Prior().draw(rng(seed), 5, 60, MONTHLY, (12,)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_leaves_an_ingredient_out_and_refuses_one_that_is_none():
    assert not np.isnan(Prior().without("gaps").draw(rng(), 300, 60, MONTHLY, (12,))).any()
    with pytest.raises(TypeError, match="salt"):
        Prior().without("salt")


def test_a_prior_of_nothing_draws_seasons_and_white_noise():
    series = NOTHING.draw(rng(), 400, 120, dataclasses.replace(MONTHLY, seasonal=0.0), (12,))
    changes = np.diff(series, axis=1)
    correlation = np.mean(
        [np.corrcoef(change[1:], change[:-1])[0, 1] for change in changes]
    )  # of the changes of white noise: -1/2
    assert correlation == pytest.approx(-0.5, abs=0.03)


def test_multiplicative_series_are_positive_and_grow_their_season_with_their_level():
    prior = dataclasses.replace(NOTHING, multiplicative=1.0)
    assert (prior.draw(rng(), 200, 60, MONTHLY, (12,)) > 0).all()


def test_counted_series_are_whole_numbers_that_are_never_negative():
    series = counts(rng(), np.ones((200, 50)))
    np.testing.assert_array_equal(series, np.round(series))
    assert series.min() == 0


def test_series_cut_at_zero_touch_it_and_never_go_below():
    prior = dataclasses.replace(NOTHING, zeros=1.0, level=1.0)
    series = prior.draw(rng(), 100, 80, MONTHLY, (12,))
    np.testing.assert_array_equal(series.min(axis=1), 0.0)


def test_rounded_series_have_few_values():
    prior = dataclasses.replace(NOTHING, rounding=1.0)
    series = prior.draw(rng(), 100, 120, MONTHLY, (12,))
    assert np.median([len(np.unique(np.round(one, 9))) for one in series]) < 60


def test_gaps_are_in_all_series_when_their_share_is_one():
    series = dataclasses.replace(NOTHING, gaps=1.0).draw(rng(), 200, 100, MONTHLY, (12,))
    assert np.isnan(series).any(axis=1).mean() > 0.8


def test_most_series_rise():
    risen = drift(rng(), 2000, 30, np.ones((2000, 1)))[:, -1]
    assert 0.75 < (risen > 0).mean() < 0.95


def test_the_deviation_of_a_walk_grows_as_the_root_of_its_steps():
    walk = level(rng(), 4000, 400, np.ones((4000, 1)))
    unit = walk / np.abs(np.diff(walk, axis=1)).mean(axis=1, keepdims=True)
    assert unit[:, 399].std() / unit[:, 99].std() == pytest.approx(2.0, rel=0.1)


def test_shifts_change_a_level_a_few_times():
    moves = (np.diff(shifts(rng(), 500, 100, np.ones((500, 1))), axis=1) != 0).sum(axis=1)
    assert 1.0 < moves.mean() < 5.0


def test_growth_that_ends_only_goes_one_way():
    moves = np.sign(np.diff(saturated(rng(), 200, 50), axis=1))
    assert (np.abs(moves.sum(axis=1)) == np.abs(moves).sum(axis=1)).all()


def test_a_pattern_of_a_season_has_no_level_and_a_deviation_of_one():
    shape = patterns(rng(), 500, 12)
    np.testing.assert_allclose(shape.mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(shape.std(axis=1), 1.0, rtol=1e-3)


def test_hours_within_days_of_a_week_come_again_after_a_week():
    series = nested(rng(), 20, 500, 24, 168)
    np.testing.assert_allclose(series[:, 168:], series[:, :-168], atol=1e-12)


def test_gaussian_processes_have_the_variance_of_their_kernel():
    assert gaussian_process(rng(), 4000, 3).var() == pytest.approx(1.0, rel=0.05)


def test_a_recursion_is_the_linear_filter_of_scipy():
    shocks = rng().standard_normal((3, 40))
    factors = [rng(1).uniform(-0.5, 0.5, (3, 1)) for _ in range(2)]
    ours = recursion(shocks, *factors)
    for row in range(3):
        feedback = [1.0, *(-float(factor[row, 0]) for factor in factors)]
        np.testing.assert_allclose(ours[row], lfilter([1.0], feedback, shocks[row]), rtol=1e-12, atol=1e-14)
