"""Rolling origins: inside the held-out part, spread over it, with the truth that came after each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.forecasting.rolling import Origins, held_out_steps, truths

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=30)


@given(LENGTHS, st.floats(0.0, 0.99), st.integers(1, 48))
def test_the_held_out_part_leaves_enough_to_learn_from(lengths: list[int], share: float, horizon: int) -> None:
    parts = held_out_steps(lengths, share, horizon)
    for length, part in zip(lengths, parts, strict=True):
        assert 0 <= part <= max(length - 5, 0)
        assert not part or share > 0
        if share and length - 5 >= max(int(length * share), horizon):
            assert part >= int(length * share)


@pytest.mark.parametrize(
    ("length", "share", "horizon", "part"),
    [
        (100, 0.2, 6, 20),
        (100, 0.2, 30, 30),  # a whole horizon
        (30, 0.2, 12, 10),  # no more than a third
        (14, 0.2, 3, 3),
        (6, 0.2, 3, 1),
        (5, 0.2, 3, 0),
        (100, 0.0, 6, 0),
    ],
)
def test_the_held_out_part_is_a_share_or_a_horizon(length: int, share: float, horizon: int, part: int) -> None:
    assert held_out_steps([length], share, horizon) == [part]


@given(LENGTHS, st.floats(0.01, 0.9), st.integers(1, 48))
def test_origins_lie_in_the_held_out_part_of_their_series(lengths: list[int], share: float, horizon: int) -> None:
    held_out = held_out_steps(lengths, share, horizon)
    origins = Origins.before_the_end(lengths, held_out, horizon)
    assert len({*zip(origins.series.tolist(), origins.steps.tolist(), strict=True)}) == len(origins)
    for number, step in zip(origins.series, origins.steps, strict=True):
        assert lengths[number] - held_out[number] <= step < lengths[number]
    assert {*origins.series.tolist()} == {number for number, part in enumerate(held_out) if part}
    assert origins.independent <= len(origins)


def test_origins_are_spread_over_the_held_out_part_of_a_single_series() -> None:
    origins = Origins.before_the_end([200], [60], 10)
    assert origins.steps[0] == 140
    assert origins.steps[-1] == 195  # half a horizon before the end
    assert len(origins) == 12
    assert np.ptp(np.diff(origins.steps)) <= 1


def test_of_many_series_each_has_an_origin_or_more() -> None:
    origins = Origins.before_the_end([50] * 1000, [10] * 1000, 5)
    assert len(origins) == 1000
    assert Origins.before_the_end([50] * 10, [0] * 10, 5).steps.shape == (0,)


def test_truths_are_what_came_after_the_origin() -> None:
    series, known = np.arange(10.0), np.arange(10) != 7
    assert truths(series, known, 5, 3)[:2].tolist() == [5.0, 6.0]
    assert np.isnan(truths(series, known, 5, 3)[2])
    late = truths(series, known, 8, 4)
    assert late[:2].tolist() == [8.0, 9.0]
    assert np.isnan(late[2:]).all()


def test_nothing_is_true_of_a_forecast_from_before_the_first_value() -> None:
    assert np.isnan(truths(np.arange(10.0), np.arange(10) >= 6, 4, 5)).all()
