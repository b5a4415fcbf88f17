"""LSTMForecaster: a forecast follows from the past alone, reading on is a backtest, and each fit repeats."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from estimators.forecasters import QUICK, SERIES, autoregressive, same, weights
from longlag.errors import InputError
from longlag.estimators import LSTMForecaster
from longlag.estimators.backtest import Backtest
from longlag.forecasting import answers
from longlag.forecasting.simple import SIMPLE
from longlag.training import Schedule

pytestmark = pytest.mark.usefixtures("cheap_methods")

Array = NDArray[np.float64]


# -- nothing looks ahead -----------------------------------------------------------------------------------------------


@cache
def quick_model() -> LSTMForecaster:
    """A forecaster of 60 values that several tests read; nobody may change it."""
    return LSTMForecaster(**QUICK).fit(SERIES[:60])


@cache
def backtest_from(start: int) -> Backtest:
    """The backtest of the series as it is."""
    return quick_model().backtest(SERIES, 4, start=start)


@pytest.mark.costly
@pytest.mark.parametrize("start", [1, 9, 60])
@pytest.mark.parametrize("changed", [62, 70, 85])
def test_values_after_an_origin_change_no_bit_of_its_forecast(start: int, changed: int) -> None:
    before = backtest_from(start)
    other = SERIES.copy()
    other[changed:] = 100.0
    after = quick_model().backtest(other, 4, start=start)
    early = before.origins <= changed
    assert early.any()
    for name in ("mean", "lower", "upper"):
        assert np.array_equal(getattr(before, name)[early], getattr(after, name)[early])
        assert not np.array_equal(getattr(before, name)[~early], getattr(after, name)[~early])


@pytest.mark.costly
def test_known_values_after_the_forecast_change_no_bit_of_it() -> None:
    known = np.random.default_rng(0).normal(size=(90, 1))
    model = LSTMForecaster(**QUICK).fit(SERIES[:60], known[:60])
    before = model.backtest(SERIES, 4, start=60, X=known)
    other = known.copy()
    other[74:] = 100.0
    after = model.backtest(SERIES, 4, start=60, X=other)
    early = before.origins + 4 <= 74
    assert np.array_equal(before.mean[early], after.mean[early])
    assert not np.array_equal(before.mean[~early], after.mean[~early])


def test_season_horizon_and_base_do_not_depend_on_the_held_out_part() -> None:
    options = {**QUICK, "season": None, "horizon": None}
    start = np.random.default_rng(3).normal(size=60)
    designs = [
        LSTMForecaster(**options).fit(np.concatenate([start, end]))._design
        for end in (np.zeros(20), 50.0 * np.sin(np.arange(20) * np.pi / 2))
    ]
    assert designs[0] == designs[1]


@pytest.mark.costly
def test_other_series_past_their_origin_change_no_bit_of_a_forecast() -> None:
    table = np.stack([SERIES, autoregressive(90, seed=2)], axis=1)
    model = LSTMForecaster(**QUICK).fit(table[:60])
    other = table.copy()
    other[70:, 1] = 100.0
    before, after = (model.backtest(each, 4, start=60) for each in (table, other))
    early = before.origins <= 70
    assert np.array_equal(before.mean[early], after.mean[early])
    assert not np.array_equal(before.mean[~early][..., 0], after.mean[~early][..., 0])


@pytest.mark.costly
def test_forecasting_changes_no_weight() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES[:60])
    before = weights(model)
    model.backtest(SERIES, 4, start=60)
    model.update(SERIES[60:])
    model.predict(5)
    model.predict_interval(5)
    model.predict_quantiles(5)
    assert same(before, weights(model))
    assert not any(network.training for network in model.networks_)


class Batches:
    """What each training of a fit was given: (data, validation)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[Any, Any]] = []
        run = LSTMForecaster._run

        def noted(model: Any, network: Any, loss: Any, data: Any, validation: Any, *others: Any) -> Any:
            self.seen.append((data, validation))
            return run(model, network, loss, data, validation, *others)

        monkeypatch.setattr(LSTMForecaster, "_run", noted)


def alike(one: Any, other: Any) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("inputs", "targets", "target_mask"))


def test_the_values_that_decide_when_to_stop_are_not_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(monkeypatch)
    other = SERIES.copy()
    other[72:] = 100.0  # of 90 steps the last 18 decide
    for values in (SERIES, other):
        LSTMForecaster(**QUICK, refit=False).fit(values)
    (data, validation), (same_data, other_validation) = batches.seen
    assert alike(data, same_data)
    assert data.inputs.shape[0] == 72
    assert not alike(validation, other_validation)
    # Forecasts that decide begin with the last step that is learned from.
    assert not validation.target_mask[:71].any()
    assert validation.target_mask[71:89].all()


def test_a_refitted_model_has_learned_from_all_values(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(monkeypatch)
    kept, refitted = (LSTMForecaster(**QUICK, refit=refit).fit(SERIES) for refit in (False, True))
    assert [data.inputs.shape[0] for data, _ in batches.seen] == [72, 72, 90]
    assert batches.seen[2][1] is None
    assert not same(weights(kept), weights(refitted))
    assert kept.weights_ == refitted.weights_  # what the answer is made of was decided before


def test_without_a_validation_part_all_values_are_learned_from_once(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(monkeypatch)
    model = LSTMForecaster(**QUICK, validation_fraction=0.0).fit(SERIES)
    assert [(data.inputs.shape[0], validation) for data, validation in batches.seen] == [(90, None)]
    assert model.errors_ == {}
    assert np.isfinite(model.predict_interval(4)).all()


def test_units_are_measured_before_the_held_out_part() -> None:
    known, later = np.cos(np.arange(90.0)), SERIES.copy()
    later[72:] *= 100.0
    for values in (SERIES, later):
        (view,) = LSTMForecaster(**QUICK, validation_fraction=0.2).fit(values, known)._views
        assert view.known_mean == pytest.approx([known[:72].mean()])
        assert view.known_scale == pytest.approx([known[:72].std()])
    scales = [LSTMForecaster(**QUICK).fit(values)._views[0].unit.scale for values in (SERIES, later)]
    assert scales == pytest.approx([np.abs(np.diff(SERIES[:72])).mean()] * 2)


# -- reading on --------------------------------------------------------------------------------------------------------


@pytest.mark.costly
@pytest.mark.parametrize("origin", [61, 66, 80])
@pytest.mark.parametrize("with_inputs", [False, True])
def test_updating_and_predicting_is_the_backtest_from_there(origin: int, with_inputs: bool) -> None:
    known = np.random.default_rng(0).normal(size=(90, 2)) if with_inputs else None
    model = LSTMForecaster(**QUICK).fit(SERIES[:60], None if known is None else known[:60])
    X = None if known is None else known[: origin + 4]
    back = model.backtest(SERIES[: origin + 4], 4, start=origin, X=X, coverage=0.8)
    for pieces in ([60, origin], [60, 61, origin], [*range(60, origin + 1)]):  # at once or value by value
        live = copy.deepcopy(model)
        for begin, end in pairwise(pieces):
            if begin < end:
                live.update(SERIES[begin:end], None if known is None else known[begin:end])
        ahead = None if known is None else known[origin : origin + 4]
        assert np.array_equal(live.predict(4, ahead), back.mean[0, :, 0])
        interval = live.predict_interval(4, 0.8, ahead)
        assert np.array_equal(interval, np.stack([back.lower[0, :, 0], back.upper[0, :, 0]], axis=1))


def test_each_series_of_a_panel_reads_on() -> None:
    series = [autoregressive(length, seed=length) for length in (50, 31, 70)]
    live = LSTMForecaster(**QUICK).fit([one[:-5] for one in series]).update([one[-5:] for one in series])
    assert [len(one) for one in live._data] == [50, 31, 70]
    assert all(np.array_equal(one.values, values) for one, values in zip(live._data, series, strict=True))
    assert live.predict(4).shape == (3, 4)


def test_reading_on_may_go_on_to_learn() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES[:60])
    read, learned = copy.deepcopy(model).update(SERIES[60:]), copy.deepcopy(model).update(SERIES[60:], learn=True)
    assert same(weights(read), weights(model))
    assert not same(weights(learned), weights(model))
    assert read.weights_ == learned.weights_ == model.weights_
    assert np.isfinite(learned.predict(4)).all()
    again = copy.deepcopy(model).update(SERIES[60:], learn=True)
    assert same(weights(learned), weights(again))


def regime(steps: int) -> Array:
    """A random walk, then after 60 steps a season of 4 without noise."""
    walk = np.cumsum(np.random.default_rng(1).normal(size=60))
    return np.concatenate([walk, walk[-1] + np.resize([0.0, 3.0, -2.0, 5.0], steps - 60)])


@pytest.mark.costly
def test_the_answer_follows_the_method_that_is_the_best_of_late() -> None:
    values = regime(120)
    model = LSTMForecaster(**{**QUICK, "season": 4}).fit(values[:60])
    back = model.backtest(values, 4, start=61, methods=["LSTM", *(name for name in model.weights_ if name != "LSTM")])
    errors = np.abs(back.mean - back.truth)[..., 0].mean(axis=1)
    by_weights_of_fit = sum(share * back.methods[name] for name, share in model.weights_.items())
    unmoved = np.abs(by_weights_of_fit - back.truth)[..., 0].mean(axis=1)
    assert errors[0] == pytest.approx(unmoved[0], rel=1e-6)
    assert errors[-20:].mean() < 0.2 * unmoved[-20:].mean()


@pytest.mark.costly
def test_intervals_follow_the_errors_of_late() -> None:
    noise = np.random.default_rng(0).normal(size=200)
    noise[100:] *= 10.0
    model = LSTMForecaster(**{**QUICK, "max_epochs": 20}).fit(noise[:100])
    back = model.backtest(noise, 4, start=100)
    widths = (back.upper - back.lower)[..., 0].mean(axis=1)
    assert widths[-20:].mean() > 4 * widths[0]
    held = ((back.lower <= back.truth) & (back.truth <= back.upper))[-50:]
    assert held.mean() > 0.75


@pytest.mark.costly
def test_a_model_that_learns_what_it_has_read_keeps_what_its_forecasts_have_told() -> None:
    values = regime(120)
    model = LSTMForecaster(**{**QUICK, "season": 4}).fit(values[:60])
    learned = copy.deepcopy(model).update(values[60:100], learn=True)
    assert learned._calibration.measured.weights["seasonal naive"] > 0.8
    back = learned.backtest(values, 4, start=100)
    assert np.abs(back.mean - back.truth).mean() < 0.5


@pytest.mark.costly
def test_a_forecast_from_many_origins_reads_as_much_as_one_from_each() -> None:
    torch.set_default_dtype(torch.float64)
    model = LSTMForecaster(**{**QUICK, "lags": 1, "n_networks": 2}).fit(SERIES[:60])
    for network in model.networks_:
        with torch.no_grad():
            network.readout.weight[:, :4] *= 30.0  # what the cells remember counts
    together = model.backtest(SERIES, 3, start=4)
    for number in (0, 1, 5, 12, 40, len(together.origins) - 1):
        origin = int(together.origins[number])
        alone = model.backtest(SERIES[: origin + 3], 3, start=origin)
        assert together.mean[number] == pytest.approx(alone.mean[0], rel=1e-9)
        assert together.upper[number] == pytest.approx(alone.upper[0], rel=1e-9)


@pytest.mark.costly
def test_many_origins_take_several_passes_and_are_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_default_dtype(torch.float64)
    model = LSTMForecaster(**QUICK).fit(SERIES[:60])
    whole = model.backtest(SERIES, 3, start=40)
    monkeypatch.setattr(answers, "_STEPS_AT_ONCE", 200)
    parts = model.backtest(SERIES, 3, start=40)
    assert np.array_equal(whole.origins, parts.origins)
    assert np.array_equal(whole.truth, parts.truth)
    assert parts.mean == pytest.approx(whole.mean, rel=1e-9)


@pytest.mark.costly
def test_a_stride_leaves_origins_out_and_changes_none() -> None:
    torch.set_default_dtype(torch.float64)
    model = LSTMForecaster(**QUICK).fit(SERIES[:60])
    every, third = (model.backtest(SERIES, 4, start=60, stride=stride) for stride in (1, 3))
    assert third.origins.tolist() == list(range(60, 87, 3))
    assert third.mean == pytest.approx(every.mean[::3], rel=1e-9)
    assert np.array_equal(third.truth, every.truth[::3])


def assert_same(one: Backtest, other: Backtest) -> None:
    """Two backtests have the same origins and bits."""
    for name in ("origins", "truth", "mean", "lower", "upper", "series"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_a_backtest_begins_after_what_was_read_where_nobody_says_another_start() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES[:60])
    assert_same(model.backtest(SERIES, 3), model.backtest(SERIES, 3, start=60))
    model.update(SERIES[60:70])
    assert model.backtest(SERIES, 3).origins.tolist() == list(range(70, 88))
    with pytest.raises(InputError, match="series 0 does not begin with the 70 values that were read; expected the who"):
        model.backtest(SERIES[70:], 3)
    with pytest.raises(InputError, match="does not fit between step 70 and the end of a series of 70 steps"):
        model.backtest(SERIES[:70], 3)


@pytest.mark.parametrize("dated", [True, False])
def test_a_backtest_of_a_table_goes_on_from_what_was_read_whole_or_from_later_rows(dated: bool) -> None:
    columns = {"y": SERIES} | ({"day": pd.date_range("2024-01-01", periods=90)} if dated else {})
    table = pd.DataFrame(columns)
    model = LSTMForecaster(**QUICK).fit(table[:60])
    expected = model.backtest(table, 3, start=60)
    for rows in (table, table[60:]):
        assert_same(model.backtest(rows, 3), expected)


@pytest.mark.costly
def test_a_backtest_holds_the_forecasts_of_simple_methods_too() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES[:60])
    back = model.backtest(SERIES, 6, start=70, methods=["last value", "drift"])
    assert set(back.methods) == {"last value", "drift"}
    for number, origin in enumerate(back.origins):
        past = SERIES[:origin]
        assert back.methods["last value"][number, :, 0] == pytest.approx(np.repeat(past[-1], 6))
        line = SIMPLE["drift"].forecast(past, (1,), 4)
        assert back.methods["drift"][number, :4, 0] == pytest.approx(line)
    assert model.backtest(SERIES, 6, start=70).methods == {}


# -- the same again ----------------------------------------------------------------------------------------------------


@pytest.mark.costly
def test_the_same_random_state_gives_the_same_bits() -> None:
    options = {**QUICK, "n_networks": 2}
    first, second = (LSTMForecaster(**options).fit(SERIES) for _ in range(2))
    assert same(weights(first), weights(second))
    assert np.array_equal(first.predict(5), second.predict(5))
    assert np.array_equal(first.predict(5), first.predict(5))
    assert np.array_equal(first.predict_interval(5), second.predict_interval(5))
    one, two = (model.backtest(SERIES, 3, start=40) for model in (first, second))
    assert np.array_equal(one.lower, two.lower)
    other = LSTMForecaster(**{**options, "random_state": 1}).fit(SERIES)
    assert not same(weights(first), weights(other))
    assert not np.array_equal(first.predict(5), other.predict(5))
    drawn = [LSTMForecaster(**{**options, "random_state": np.random.RandomState(4)}).fit(SERIES) for _ in range(2)]
    assert same(weights(drawn[0]), weights(drawn[1]))


@pytest.mark.costly
def test_networks_differ_from_each_other_and_the_first_is_that_of_a_smaller_number() -> None:
    one, three = (LSTMForecaster(**{**QUICK, "n_networks": count}).fit(SERIES) for count in (1, 3))
    assert len(three.networks_) == 3
    assert three.network_ is three.networks_[0]
    first, second, third = (network.state_dict() for network in three.networks_)
    assert not same(first, second)
    assert not same(second, third)
    assert same(first, one.network_.state_dict())


def test_fitting_again_forgets_the_former_fit() -> None:
    known = np.random.default_rng(0).normal(size=(90, 1))
    model = LSTMForecaster(**QUICK).fit(np.stack([SERIES, -SERIES], axis=1), known)
    model.fit(SERIES)
    fresh = LSTMForecaster(**QUICK).fit(SERIES)
    assert same(weights(model), weights(fresh))
    assert np.array_equal(model.predict(5), fresh.predict(5))
    assert (model.n_series_, model.n_exogenous_) == (1, 0)


def test_a_shorter_horizon_is_the_beginning_of_a_longer_one() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    assert np.array_equal(model.predict(3), model.predict(9)[:3])
    assert np.array_equal(model.predict_interval(3), model.predict_interval(9)[:3])


@pytest.mark.parametrize("threads", [1, 2])
def test_the_callers_random_numbers_threads_and_arrays_stay_as_they_are(threads: int) -> None:
    torch.set_num_threads(threads)
    values, known = SERIES.copy(), np.arange(90.0)[:, None]
    for array in (values, known):
        array.setflags(write=False)
    states = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002
    model = LSTMForecaster(**QUICK, dropout=0.5, num_layers=2).fit(values, known)
    model.predict(4, np.zeros((4, 1)))
    model.predict_interval(4, X=np.zeros((4, 1)))
    model.backtest(values, 4, start=60, X=known)
    model.update(values[:5], known[:5])
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002
    assert states[2] == random.getstate()
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert np.array_equal(values, SERIES)


def test_the_number_of_threads_changes_no_bit() -> None:
    answers_of = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        model = LSTMForecaster(**QUICK).fit(SERIES)
        answers_of.append((weights(model), model.predict(5), model.backtest(SERIES, 3, start=60).upper))
    assert same(answers_of[0][0], answers_of[1][0])
    for one, other in zip(answers_of[0][1:], answers_of[1][1:], strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("make", [list, lambda values: np.asarray(values)[:, None], np.ndarray.tolist])
def test_every_form_of_a_series_gives_the_same_numbers(make: Callable[[Array], Any]) -> None:
    expected = LSTMForecaster(**QUICK).fit(SERIES).predict(3)
    forecast = LSTMForecaster(**QUICK).fit(make(SERIES)).predict(3)
    assert np.array_equal(forecast.reshape(3), expected)
    assert forecast.ndim == np.ndim(make(SERIES))


@pytest.mark.parametrize("make", [pd.Series, lambda values: pd.DataFrame({"y": values})], ids=["Series", "DataFrame"])
def test_a_series_of_pandas_gives_the_same_numbers(make: Callable[[Array], Any]) -> None:
    expected = LSTMForecaster(**QUICK).fit(SERIES).predict(3)
    forecast = LSTMForecaster(**QUICK).fit(make(SERIES)).predict(3)
    assert np.array_equal(np.asarray(forecast, dtype=np.float64).reshape(3, -1)[:, -1], expected)


def test_whole_numbers_are_numbers() -> None:
    counts = np.round(SERIES * 10).astype(np.int32)
    model = LSTMForecaster(**QUICK).fit(counts)
    assert np.array_equal(model.predict(3), LSTMForecaster(**QUICK).fit(counts.astype(float)).predict(3))


def test_large_and_small_units_make_no_difference() -> None:
    expected = LSTMForecaster(**QUICK).fit(SERIES).predict(4)
    for unit in (2.0**400, 2.0**-400):
        assert np.array_equal(LSTMForecaster(**QUICK).fit(SERIES * unit).predict(4) / unit, expected)


def test_the_usual_learning_rate_is_what_the_documentation_says() -> None:
    for series, rate in (
        (SERIES, Schedule(0.015, 0.0003, "cosine")),  # alone
        ([SERIES, SERIES[:20]], Schedule(0.005, 0.0001, "cosine")),
    ):
        one = LSTMForecaster(**QUICK, validation_fraction=0.0).fit(series)
        other = LSTMForecaster(**QUICK, validation_fraction=0.0, learning_rate=rate).fit(series)
        assert same(weights(one), weights(other))
