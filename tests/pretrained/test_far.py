"""Forecasts further ahead than the network has learned stay sensible."""

from __future__ import annotations

import numpy as np
import pytest

from longlag.pretrained.far import extended, reach
from longlag.pretrained.levels import LEVELS, MIDDLE
from longlag.pretrained.zero_shot import zero_shot
from pretrained.models import kinds, seasonal

SEASONS = [(1, 1), (4, 4), (7, 7), (12, 12), (52, 52), (7, 365), (24, 168), (48, 336), (96, 672), (1440, 10080)]


def answers(medians: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Quantiles (1, H, Q) about medians (H,)."""
    sides = np.arange(len(LEVELS)) - MIDDLE
    return (medians[:, None] + widths[:, None] * sides / MIDDLE)[None]


@pytest.mark.parametrize("seasons", SEASONS)
def test_what_was_answered_stays_and_what_is_beyond_is_there_in_order(seasons: tuple[int, int]) -> None:
    steps, rng = reach(seasons), np.random.default_rng(0)
    learned = answers(rng.normal(size=steps), rng.exponential(size=steps))
    assert extended(learned, seasons, steps // 2).shape[1] == steps // 2
    far = extended(learned, seasons, 3 * steps)
    assert np.array_equal(far[:, :steps], learned)
    assert far.shape[1] == 3 * steps
    assert (np.diff(far, axis=-1) > 0).all()


def test_a_season_goes_on_with_its_trend_which_fades() -> None:
    at = np.arange(1, 25)
    far = extended(answers(2.0 * at + 5 * np.sin(at * np.pi / 6), np.ones(24)), (12, 12), 1200)[0, :, MIDDLE]
    assert far[24] - far[12] == pytest.approx(24.0, rel=0.15)  # 2 a step
    assert far[-1] == pytest.approx(far[-13], abs=1e-3)  # in a hundred years
    assert far[24:36] - far[24:36].mean() == pytest.approx(far[12:24] - far[12:24].mean(), abs=2.0)


@pytest.mark.parametrize(("power", "expected"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (3.0, 1.0), (-2.0, 0.0)])
def test_intervals_widen_by_the_power_by_which_they_did(power: float, expected: float) -> None:
    at = np.arange(1, 25)
    far = extended(answers(np.zeros(24), at**power), (1, 1), 240)[0]
    width = far[:, -1] - far[:, 0]
    # Seasons of one step: the power is measured from step 12 to step 24 exactly.
    assert width[239] == pytest.approx(width[23] * 10**expected, rel=1e-9)


def test_a_week_of_hours_is_repeated_hour_by_hour() -> None:
    week = np.random.default_rng(0).normal(size=168)
    far = extended(answers(week, np.ones(168)), (24, 168), 504)[0, :, MIDDLE]
    assert np.array_equal(far, np.tile(week, 3))


@pytest.mark.parametrize("season", [(1, 1), (12, 12), (4, 12)])
def test_at_ten_times_the_learned_horizon_forecasts_stay_near_what_was_seen(season: tuple[int, int]) -> None:
    """And no interval narrows from one season to the next."""
    horizon = 10 * reach(season)
    names = ("plain", "negative", "noise", "random walk", "counts", "gaps", "high")
    series = [kinds(96)[name] for name in names]
    for values, quantiles in zip(series, zero_shot(series, horizon, season), strict=True):
        low, high = np.nanmin(values), np.nanmax(values)
        assert (np.abs(quantiles[:, MIDDLE] - (low + high) / 2) < 6 * (high - low)).all()
        width = quantiles[:, -1] - quantiles[:, 0]
        beyond = width[reach(season) :]
        assert (beyond[season[0] :] >= 0.999 * beyond[: -season[0]]).all() or np.nanmin(values) >= 0


def test_a_season_is_still_there_after_ten_years() -> None:
    (quantiles,) = zero_shot([seasonal(144, noise=0.5)], 120, (12, 12))
    last = quantiles[-12:, MIDDLE]
    shape = 15 * np.sin(2 * np.pi * np.arange(144 + 108, 144 + 120) / 12)
    assert np.corrcoef(last, shape)[0, 1] > 0.9
