"""Choices that follow from the series: a season where there is one, a horizon and a window that the series allow."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.forecasting.design import design_of, read_design, season_in
from longlag.forecasting.features import Design
from longlag.forecasting.rolling import held_out_steps

Array = NDArray[np.float64]


def seasonal(season: int, steps: int, noise: float = 0.3, seed: int = 0) -> Array:
    """A trend, a season with two harmonics, and noise."""
    at = np.arange(steps)
    turns = 2 * np.pi * at / season
    waves = np.sin(turns) + 0.4 * np.cos(2 * turns)
    return 20.0 + 0.02 * at + waves + noise * np.random.default_rng(seed).normal(size=steps)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("season", "steps"), [(4, 60), (7, 100), (11, 114), (12, 144), (24, 240)])
def test_a_season_is_found_in_a_noisy_series_with_a_trend(season: int, steps: int, seed: int) -> None:
    assert season_in(seasonal(season, steps, seed=seed)) == season


def test_a_season_is_found_in_a_series_with_gaps() -> None:
    values = seasonal(12, 144)
    values[np.random.default_rng(0).random(144) < 0.1] = np.nan
    assert season_in(values) == 12


@pytest.mark.parametrize("steps", [40, 100, 1000])
def test_white_noise_and_random_walks_have_no_season(steps: int) -> None:
    rng = np.random.default_rng(0)
    noise = [season_in(rng.normal(size=steps)) for _ in range(50)]
    assert np.mean([season > 1 for season in noise]) <= 0.1
    walks = [season_in(np.cumsum(rng.normal(size=steps))) for _ in range(50)]
    assert np.mean([season > 1 for season in walks]) <= 0.15


@pytest.mark.parametrize(
    "values",
    [
        np.full(50, 3.0),
        np.zeros(50),
        1.0 + 0.1 * np.arange(50),
        np.full(50, np.nan),
        np.arange(5.0),
        np.full(50, 1e140),
    ],
    ids=["constant", "zeros", "a line", "nothing", "short", "huge"],
)
def test_a_series_without_any_wave_has_no_season(values: Array) -> None:
    assert season_in(values) == 1


def test_a_unit_of_measure_changes_no_season() -> None:
    values = seasonal(12, 144)
    assert [season_in(values * factor) for factor in (1e-120, 1e9, 1e120)] == [12, 12, 12]


@pytest.mark.parametrize(
    ("steps", "seasons", "expected"),
    [
        (144, (12,), Design(12, (12,), 13, 12)),
        (144, (1,), Design(6, (1,), 6, 1)),
        (30, (12,), Design(7, (12,), 13, 12)),  # a quarter of the series
        (23, (12,), Design(5, (1,), 6, 1)),  # the season does not fit twice
        (14, (1,), Design(3, (1,), 6, 1)),
        (3, (1,), Design(1, (1,), 6, 1)),
        (700, (24, 168), Design(48, (24, 168), 25, 24)),
        (2000, (365,), Design(48, (365,), 33, 365)),
    ],
)
def test_what_nobody_says_follows_from_length_and_season(
    steps: int, seasons: tuple[int, ...], expected: Design
) -> None:
    wave = seasonal(min(seasons), steps, noise=0.1) if min(seasons) > 1 else np.cumsum(np.ones(steps))
    design = design_of([wave], seasons, None, None)
    assert dataclasses.replace(design, base=expected.base) == expected
    assert design.base in (1, *design.seasons)


def test_what_is_said_is_taken() -> None:
    design = design_of([seasonal(12, 100)], (6,), 20, 3)
    assert (design.horizon, design.seasons, design.window) == (20, (6,), 3)


def test_a_season_that_nobody_names_is_looked_for_in_the_longest_series() -> None:
    assert design_of([seasonal(7, 30), seasonal(12, 144)], None, None, None).seasons == (12,)


def test_the_base_is_the_last_season_of_a_seasonal_series_and_the_last_value_of_a_walk() -> None:
    rng = np.random.default_rng(0)
    assert design_of([seasonal(12, 144)] * 3, (12,), None, None).base == 12
    assert design_of([np.cumsum(rng.normal(size=300)) for _ in range(5)], (12,), 3, None).base == 1
    assert design_of([seasonal(12, 144), np.full(40, np.nan)], (12,), None, None).base == 12


@pytest.mark.parametrize("horizon", [None, 3, 30])
@pytest.mark.parametrize("season", [None, (12,)])
def test_the_design_does_not_depend_on_what_is_held_out(season: tuple[int, ...] | None, horizon: int | None) -> None:
    rng = np.random.default_rng(0)
    for start in (seasonal(12, 120), np.cumsum(rng.normal(size=120))):
        designs = []
        for end in (np.zeros(30), seasonal(12, 150)[120:], 50.0 * np.sin(np.arange(30) * np.pi / 2)):
            values = np.concatenate([start, end])
            designs.append(design_of([values, start[:100]], season, horizon, None, share=0.2))
            parts = held_out_steps([150, 100], 0.2, designs[-1].horizon)
            assert parts[0] >= 30
            # With what is held out cut off it is the same, but for a horizon that follows from the length.
            cut = [values[: 150 - parts[0]], start[: 100 - parts[1]]]
            assert design_of(cut, designs[-1].seasons, designs[-1].horizon, None) == designs[-1]
        assert designs[0] == designs[1] == designs[2]


def test_a_saved_design_is_read_again_and_others_are_refused() -> None:
    design = Design(5, (7, 30), 8, 7, 2)
    document = {**dataclasses.asdict(design), "seasons": [7, 30]}
    assert read_design(document) == design
    for name, value in {
        "horizon": 0,
        "seasons": [],
        "window": 1.5,
        "base": "7",
        "static": -1,
    }.items():
        with pytest.raises(InputError, match="expected"):
            read_design({**document, name: value})
    with pytest.raises(InputError, match="seasons is 7; expected whole numbers"):
        read_design({**document, "seasons": 7})
    with pytest.raises(InputError, match="the design is"):
        read_design({"horizon": 5})
