"""Past forecasts: which of them count, how they weigh the methods, and that nothing after a step has a part in it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from longlag.forecasting.calibration import Calibration, Measured
from longlag.forecasting.combination import weights_of
from longlag.forecasting.intervals import QUANTILES
from longlag.forecasting.past_forecasts import LATEST, PastForecasts

Array = NDArray[np.float64]
NAMES = ("LSTM", "Theta", "last value")
HORIZON = 4


def past(series: list[int], steps: list[int], seed: int = 0, independent: float = 1.0) -> PastForecasts:
    """Forecasts of which the second method's are the best."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(len(series), HORIZON))
    deviations = np.array([2.0, 0.5, 2.0])[:, None]
    forecasts = truth[:, None] + deviations * rng.normal(size=(len(series), 3, HORIZON))
    quantiles = forecasts[:, 0, :, None] + np.linspace(-2.0, 2.0, len(QUANTILES))
    own = np.full(len(series), independent)
    return PastForecasts(
        NAMES, np.array(series, dtype=np.int64), np.array(steps, dtype=np.int64), truth, forecasts, quantiles, own
    )


def test_the_latest_forecasts_of_a_series_take_the_place_of_its_first_and_of_no_other_series() -> None:
    before, later = past([0] * 10 + [1] * 3, [*range(10), 0, 1, 2]), past([0] * 5, [20, 21, 22, 23, 24], seed=1)
    both = before.followed_by(later)
    assert both.steps[both.series == 0].tolist() == [3, 4, 5, 6, 7, 8, 9, 20, 21, 22, 23, 24]
    assert both.steps[both.series == 1].tolist() == [0, 1, 2]
    assert np.array_equal(both.truth[both.steps >= 20], later.truth)
    assert np.array_equal(both.forecasts[both.steps >= 20], later.forecasts)
    assert both.since(np.array([20, 2])).steps.tolist() == [2, 20, 21, 22, 23, 24]
    many = before.followed_by(past([0] * 30, [*range(20, 50)]))
    assert many.steps[many.series == 0].tolist() == [*range(50 - LATEST, 50)]


def test_of_the_truth_only_what_came_before_a_step_is_known() -> None:
    known = past([0, 0], [10, 12]).until(13)
    assert np.isfinite(known.truth).tolist() == [[True, True, True, False], [True, False, False, False]]


def test_forecasts_weigh_the_methods_as_their_errors_say() -> None:
    forecasts = past([0] * 6, [*range(6)], independent=0.5)
    methods = {name: forecasts.forecasts[:, column] for column, name in enumerate(NAMES)}
    weights = forecasts.weights()
    assert weights == weights_of(forecasts.truth, methods, 3.0)
    answer = sum(weights[name] * methods[name] for name in weights)
    assert forecasts.answer(weights) == pytest.approx(answer)
    some = forecasts.by(["LSTM", "last value"])
    assert np.array_equal(some.methods()["last value"], methods["last value"])


def test_many_series_tell_no_more_than_five_since_they_had_the_same_years() -> None:
    def independent(forecasts: PastForecasts, number: float) -> bool:
        return forecasts.weights() == weights_of(forecasts.truth, forecasts.methods(), number)

    assert independent(past([*range(40)], [9] * 40), 5.0)
    assert independent(past([0, 1, 2], [9] * 3), 3.0)
    assert independent(past([0] * 12, [*range(12)]), 12.0)  # one series at twelve times
    assert independent(past([], []), 0.0)


def test_scores_are_zero_where_the_answer_was_right() -> None:
    forecasts = past([0] * 3, [0, 1, 2])
    right = dataclasses.replace(forecasts, truth=forecasts.answer({"Theta": 1.0}))
    assert right.scores({"Theta": 1.0}) == pytest.approx(0.0, abs=1e-12)
    assert np.abs(forecasts.scores({"Theta": 1.0})).min() > 0


def calibration(first: PastForecasts, learned: int = 30) -> Calibration:
    weights = first.weights()
    return Calibration.of(first, Measured(weights, first.scores(weights)), NAMES, [learned] * 200)


def test_later_forecasts_count_from_half_a_horizon_after_what_was_learned() -> None:
    first, made = past([0] * 5, [*range(20, 25)]), []

    def forecast(number: int, step: int) -> PastForecasts:
        made.append(step)
        return past([number], [step], seed=step)

    known = calibration(first)
    assert known.before(0, 31, forecast, {}) is known.past
    assert known.measure(known.past) is known.measured
    later: dict[tuple[int, int], PastForecasts] = {}
    now = known.before(0, 35, forecast, later)
    assert (made, now.steps.tolist()) == ([30, 32], [*range(20, 25), 30, 32])
    # Until step 34, the last of these steps: the two that come next decide nothing.
    assert np.isfinite(now.truth[-2:]).tolist() == [[True] * 4, [True, True, False, False]]
    assert known.measure(now).weights == now.weights()
    known.before(0, 36, forecast, later)
    assert made == [30, 32, 34]  # none is made twice
    assert len(known.before(0, 200, forecast, later)) == LATEST


def test_where_fit_has_made_many_forecasts_later_ones_are_not_asked() -> None:
    known = calibration(past([*range(101)], [9] * 101))
    assert (known.count(0, 60), known.count(100, 60)) == (0, 0)
    assert known.before(0, 60, lambda number, step: pytest.fail("a forecast was made"), {}) is known.past


def test_what_was_forecast_before_the_networks_learn_it_stays() -> None:
    known = calibration(past([0] * 5, [*range(20, 25)]))
    after = known.learning([40] * 200, lambda number, step: past([number], [step], seed=step))
    assert after.learned.tolist() == [40] * 200
    assert after.past.steps[after.past.series == 0].tolist() == [20, 21, 22, 23, 24, 30, 32, 34, 36, 38]
    assert after.measured.weights == after.past.weights()
    assert after.count(0, 41) == 0
    same = known.learning([31] * 200, lambda number, step: past([number], [step]))
    assert same.measured is known.measured
