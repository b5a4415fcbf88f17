"""Intervals: quantiles and their inverse, and widths that hold as many truths as they say."""

from __future__ import annotations

from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from longlag.forecasting.intervals import QUANTILES, normal_scores, quantile_at, widening
from property_examples import examples

Array = NDArray[np.float64]
SCORES = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])
ANY_QUANTILES = arrays(np.float64, (3, len(QUANTILES)), elements=st.floats(-50, 50))


@given(ANY_QUANTILES, st.floats(-6, 6))
@examples(50)
def test_a_score_comes_back_from_its_quantile(quantiles: Array, score: float) -> None:
    scores = normal_scores(quantile_at(quantiles, score), quantiles)
    assert scores == pytest.approx(np.full(3, score), abs=1e-6)


@given(ANY_QUANTILES, st.lists(st.floats(-6, 6), min_size=2, max_size=5))
@examples(50)
def test_quantiles_grow_with_the_score(quantiles: Array, scores: list[float]) -> None:
    ends = np.stack([quantile_at(quantiles, score) for score in sorted(scores)])
    assert (np.diff(ends, axis=0) >= -1e-12).all()


def test_quantiles_are_met_at_their_own_levels_and_straight_between() -> None:
    quantiles = np.array([-2.0, -0.5, 0.0, 1.0, 4.0])
    for score, expected in zip(SCORES, quantiles, strict=True):
        assert float(quantile_at(quantiles, score)) == pytest.approx(expected)
    between = (SCORES[3] + SCORES[4]) / 2
    assert float(quantile_at(quantiles, between)) == pytest.approx(2.5)
    beyond = SCORES[4] + (SCORES[4] - SCORES[3])
    assert float(quantile_at(quantiles, beyond)) == pytest.approx(7.0)


@pytest.mark.parametrize("middle", [0.0, 3.0])
def test_the_median_stays_whatever_the_other_quantiles_are(middle: float) -> None:
    for quantiles in ([middle] * 5, [middle - 1, middle, middle, middle, middle + 1]):
        assert float(quantile_at(np.array(quantiles), 0.0)) == middle


def normal_quantiles(deviation: float, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(deviation * SCORES, (*shape, len(QUANTILES)))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("said", [0.3, 1.0, 4.0])
def test_spreads_that_are_wrong_by_a_factor_are_put_right(said: float, level: float) -> None:
    rng = np.random.default_rng(0)
    growing = np.sqrt(1.0 + np.arange(6))  # the truth spreads more from step to step, which the quantiles do not say
    past, fresh = (rng.normal(size=(rows, 6)) * growing for rows in (400, 4000))
    low, high = widening(normal_scores(past, normal_quantiles(said, (400, 6))), level)
    lower, upper = (quantile_at(normal_quantiles(said, (6,)), ends) for ends in (low, high))
    inside = (lower <= fresh) & (fresh <= upper)
    assert inside.mean() == pytest.approx(level, abs=0.03)
    assert np.abs(inside.mean(axis=0) - level).max() < 0.1  # neighbouring steps count together


def test_many_forecasts_tell_the_two_sides_apart() -> None:
    rng = np.random.default_rng(1)
    past, fresh = (rng.exponential(size=(rows, 3)) for rows in (2000, 4000))
    low, high = widening(normal_scores(past, normal_quantiles(1.0, (2000, 3))), 0.9)
    lower, upper = (quantile_at(normal_quantiles(1.0, (3,)), ends) for ends in (low, high))
    assert (fresh > upper).mean() == pytest.approx(0.05, abs=0.015)
    assert (fresh < lower).mean() == pytest.approx(0.05, abs=0.05)
    assert ((lower <= fresh) & (fresh <= upper)).mean() >= 0.88


@pytest.mark.parametrize("rows", [1, 5, 50, 1000])
def test_an_interval_of_a_higher_level_holds_that_of_a_lower_one(rows: int) -> None:
    scores = 2.0 * np.random.default_rng(2).normal(size=(rows, 4))
    ends = [widening(scores, level) for level in (0.1, 0.5, 0.8, 0.9, 0.99)]
    for (low, high), (lower, higher) in pairwise(ends):
        assert (lower <= low).all()
        assert (high <= higher).all()
    assert all((low < 0).all() and (high > 0).all() for low, high in ends)


def test_without_scores_the_networks_own_word_stands() -> None:
    nominal = NormalDist().inv_cdf(0.95)
    for scores in (np.empty((0, 3)), np.full((4, 3), np.nan)):
        low, high = widening(scores, 0.9)
        assert high == pytest.approx(nominal)
        assert low == pytest.approx(-nominal)


def test_few_scores_lean_on_the_networks_own_word() -> None:
    nominal = NormalDist().inv_cdf(0.95)
    widths = [float(widening(np.full((rows, 1), 9.0), 0.9)[1][0]) for rows in (1, 4, 20, 500)]
    assert nominal < widths[0] < (nominal + 9.0) / 2
    assert widths == sorted(widths)
    assert widths[-1] == pytest.approx(9.0, rel=0.02)


def test_a_step_without_truth_takes_its_neighbours_scores() -> None:
    scores = np.full((30, 5), 3.0)
    scores[:, 2] = np.nan
    _, high = widening(scores, 0.9)
    assert high == pytest.approx(np.full(5, high[0]))


def test_few_normal_scores_give_intervals_as_wide_as_a_normal_distribution_has_them() -> None:
    scores = np.random.default_rng(3).normal(size=(300, 12, 1))
    widths = np.array([widening(one, 0.9)[1][0] for one in scores])
    assert widths.mean() == pytest.approx(NormalDist().inv_cdf(0.95), rel=0.08)
    assert widths.std() < 0.25
