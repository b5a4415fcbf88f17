"""Which seasons series are taken to have: what was named, what the calendar has, or what is found."""

from __future__ import annotations

import numpy as np
import pytest

from longlag.errors import InputError
from longlag.panels.calendar import Frequency
from longlag.pretrained.panels import forecast_series, seasons_of
from pretrained.models import seasonal

WEEKDAYS = Frequency("B", 1, "1111100")


@pytest.mark.parametrize(
    ("frequency", "steps", "expected"),
    [
        (Frequency("Y"), 40, (1, 1)),
        (Frequency("Q"), 40, (4, 4)),
        (Frequency("M"), 40, (12, 12)),
        (Frequency("M"), 3, (12, 12)),
        (Frequency("W", 1, 0), 60, (52, 52)),
        (WEEKDAYS, 60, (5, 5)),
        (Frequency("D"), 729, (7, 7)),
        (Frequency("D"), 730, (7, 365)),
        (Frequency("D", 7), 200, (52, 52)),
        (Frequency("h"), 335, (24, 24)),
        (Frequency("h"), 336, (24, 168)),
        (Frequency("m", 30), 671, (48, 48)),
        (Frequency("m", 30), 672, (48, 336)),
        (Frequency("m", 15), 95, (1, 1)),  # a season that the network has not learned of must have been seen once
        (Frequency("m", 15), 96, (96, 96)),
        (Frequency("m", 1), 2 * 10080, (1440, 10080)),
    ],
)
def test_a_calendar_says_the_seasons_and_the_length_how_many(
    frequency: Frequency, steps: int, expected: tuple[int, int]
) -> None:
    assert seasons_of([np.zeros(steps)], frequency) == [expected]


def test_each_series_of_a_calendar_has_the_seasons_that_it_is_long_enough_for() -> None:
    series = [np.zeros(steps) for steps in (100, 400)]
    assert seasons_of(series, Frequency("h")) == [(24, 24), (24, 168)]


@pytest.mark.parametrize("size", [1.0, 1e300, 1e-300])
@pytest.mark.parametrize("season", [1, 4, 7, 12, 24])
def test_without_a_calendar_a_season_is_found_that_most_series_have(season: int, size: float) -> None:
    rng = np.random.default_rng(0)
    series = [size * rng.normal(size=60)] + [size * seasonal(200, season, seed) for seed in range(3)]
    if season == 1:
        series = series[:1]
    assert seasons_of(series, None) == [(season, season)] * len(series)
    assert seasons_of(series, Frequency(None, 1)) == [(season, season)] * len(series)


@pytest.mark.parametrize(
    ("season", "steps", "expected"),
    [(12, 20, (12, 12)), (1, 20, (1, 1)), ((168, 24), 400, (24, 168)), ([24, 168], 300, (24, 24)), ((7,), 9, (7, 7))],
)
def test_a_named_season_counts_whatever_the_calendar_says(
    season: object, steps: int, expected: tuple[int, int]
) -> None:
    assert seasons_of([seasonal(steps)], Frequency("M"), season) == [expected]  # type: ignore[arg-type]


@pytest.mark.parametrize("season", [0, 1.5, "12", (1, 2, 3), (), (12, "a")])
def test_a_season_that_is_none_is_refused(season: object) -> None:
    with pytest.raises(InputError, match="season is"):
        seasons_of([seasonal(40)], None, season)  # type: ignore[arg-type]


@pytest.mark.parametrize(("season", "expected"), [(1, 6), (4, 4), (12, 12), (52, 48), ((24, 168), 48), ((7, 365), 7)])
def test_a_forecast_reaches_over_a_season_unless_told(season: object, expected: int) -> None:
    series = [seasonal(400), seasonal(350)]
    forecast = forecast_series(series, None, season)  # type: ignore[arg-type]
    assert forecast.quantiles.shape == (2, expected, 3)
    assert forecast.horizon == expected


def test_more_answers_than_fit_into_memory_are_refused() -> None:
    with pytest.raises(InputError, match=r"horizon is 10000000; expected .*"):
        forecast_series([seasonal(40)] * 3, 10**7)
