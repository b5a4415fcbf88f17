"""LSTMForecaster: its forecasts are right where the truth is known, it never looks ahead, and it repeats."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from longlag import CellSpec
from longlag.errors import CheckpointError, DivergenceError, InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster
from longlag.estimators.autoregression import fit_linear, linear_autoregression
from longlag.estimators.backtest import Backtest
from longlag.estimators.base import load
from longlag.estimators.series import windows
from longlag.training import Schedule
from longlag.training.run import Run

# torch compiles its forward-mode rules through its own deprecated torch.jit.script; gradient="rtrl" uses them.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

Array = NDArray[np.float64]
QUICK: dict[str, Any] = {"lags": 3, "hidden_size": 4, "max_epochs": 3, "n_paths": 40, "random_state": 0}


def autoregressive(steps: int, seed: int = 1) -> Array:
    """AR(2) with coefficients 1.2 and -0.5 and unit noise."""
    noise = np.random.default_rng(seed).normal(size=steps + 100)
    values = np.zeros(steps + 100)
    for step in range(2, steps + 100):
        values[step] = 1.2 * values[step - 1] - 0.5 * values[step - 2] + noise[step]
    return values[100:]


SERIES = autoregressive(90)


def weights(model: LSTMForecaster) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.network_.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def certain(model: LSTMForecaster) -> LSTMForecaster:
    """Make the model all but sure of its answers, so that sampled futures are one future."""
    with torch.no_grad():
        model.network_.readout.weight[model.n_targets_ :] = 0.0
        model.network_.readout.bias[model.n_targets_ :] = -30.0
    return model


# -- forecasts that are known ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sine() -> tuple[Array, LSTMForecaster]:
    values = 5.0 + 3.0 * np.sin(2 * np.pi * np.arange(240) / 20)
    return values, LSTMForecaster(lags=10, hidden_size=8, max_epochs=20, random_state=0).fit(values[:200])


def test_a_noiseless_sine_goes_on(sine: tuple[Array, LSTMForecaster]) -> None:
    values, model = sine
    forecast = model.predict(40)
    assert forecast.shape == (40,)
    assert np.abs(forecast - values[200:]).max() < 0.1
    assert np.abs(model.one_step(values)[10:] - values[10:]).max() < 0.1
    interval = model.predict_interval(40)
    assert (interval[:, 1] - interval[:, 0]).max() < 0.5


def test_a_backtest_of_a_noiseless_sine_is_right_from_everywhere(sine: tuple[Array, LSTMForecaster]) -> None:
    values, model = sine
    found = model.backtest(values, 20, start=100)
    assert isinstance(found, Backtest)
    assert found.origins.tolist() == list(range(100, 221))
    assert found.truth.shape == found.mean.shape == found.lower.shape == found.upper.shape == (121, 20, 1)
    for number, origin in enumerate(found.origins):
        assert np.array_equal(found.truth[number, :, 0], values[origin : origin + 20])
    assert np.abs(found.mean - found.truth).max() < 0.1
    assert found.coverage == 0.9


def test_a_constant_series_stays_constant() -> None:
    model = LSTMForecaster(**QUICK).fit(np.full(40, 7.5))
    assert np.abs(model.predict(10) - 7.5).max() < 0.1


def test_several_series_together_learn_from_each_other() -> None:
    rng = np.random.default_rng(0)
    leader = rng.normal(size=400)
    values = np.stack([leader, 10.0 + 2.0 * np.roll(leader, 1)], axis=1)[1:]  # the second follows a step behind
    model = LSTMForecaster(lags=2, hidden_size=4, max_epochs=5, random_state=0).fit(values[:300])
    assert model.predict(4).shape == (4, 2)
    assert model.predict_interval(4).shape == (4, 2, 2)
    assert model.n_targets_ == 2
    found = model.one_step(values)
    assert found.shape == values.shape
    assert np.isnan(found[:2]).all()
    assert np.abs(found[2:, 1] - values[2:, 1]).max() < 0.3
    assert np.abs(found[2:, 0] - values[2:, 0]).mean() > 0.6  # pure noise, which nothing foretells
    assert abs(model.predict(1)[0, 1] - (10.0 + 2.0 * values[299, 0])) < 0.5
    back = model.backtest(values, 3, start=300)
    assert back.mean.shape == (97, 3, 2)
    assert np.abs(back.mean - back.truth)[:, 0, 1].max() < 0.6


def test_a_series_that_known_inputs_drive_is_forecast_well_only_with_them() -> None:
    rng = np.random.default_rng(3)
    known = rng.normal(size=(330, 2))
    values = np.zeros(330)
    for step in range(1, 330):
        values[step] = 0.5 * values[step - 1] + 3.0 * known[step, 0] - 2.0 * known[step, 1] + 0.1 * rng.normal()
    options = {"lags": 3, "hidden_size": 4, "max_epochs": 5, "random_state": 0}
    with_inputs = LSTMForecaster(**options).fit(values[:300], known[:300])
    without = LSTMForecaster(**options).fit(values[:300])
    assert (with_inputs.n_exogenous_, without.n_exogenous_) == (2, 0)
    error = np.abs(with_inputs.predict(30, known[300:]) - values[300:]).mean()
    assert error < 0.3
    assert np.abs(without.predict(30) - values[300:]).mean() > 5 * error
    back = with_inputs.backtest(values, 5, start=300, X=known)
    assert np.abs(back.mean - back.truth).mean() < 0.3
    one = with_inputs.one_step(values, known)
    assert np.abs(one[3:] - values[3:]).mean() < 0.2
    # A known value of one step moves the forecast of that step and of later ones, not of earlier ones.
    moved = known[300:].copy()
    moved[10] += 1.0
    apart = np.abs(with_inputs.predict(30, moved) - with_inputs.predict(30, known[300:]))
    assert (apart[:10] == 0).all()
    assert apart[10] > 0.5


@pytest.mark.parametrize("case", ["one is the other's past", "twice the same", "known inputs are the past"])
def test_series_that_tell_the_same_do_not_make_forecasts_grow(case: str) -> None:
    leader = np.random.default_rng(2).normal(size=200)
    past = np.roll(leader, 1)
    values, known = {
        "one is the other's past": (np.stack([leader, 5.0 - 3.0 * past], axis=1), None),
        "twice the same": (np.stack([SERIES, 2.0 * SERIES + 1.0], axis=1), None),
        "known inputs are the past": (leader, np.stack([past, np.roll(leader, 2)], axis=1)),
    }[case]
    values, known = values[2:], None if known is None else known[2:]
    model = LSTMForecaster(**QUICK).fit(values, known)
    forecast = model.predict(60, None if known is None else known[:60])
    apart = np.abs(forecast - values.mean(axis=0)) / values.std(axis=0)
    assert apart.max() < 4.0


# -- intervals ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy() -> tuple[Array, LSTMForecaster]:
    values = autoregressive(1400)
    return values, LSTMForecaster(lags=4, hidden_size=4, max_epochs=3, random_state=0).fit(values[:900])


def test_intervals_hold_as_many_values_as_they_say(noisy: tuple[Array, LSTMForecaster]) -> None:
    values, model = noisy
    for coverage in (0.5, 0.9):
        found = model.backtest(values, 5, start=900, coverage=coverage)
        inside = (found.lower <= found.truth) & (found.truth <= found.upper)
        assert inside.mean() == pytest.approx(coverage, abs=0.05)
        assert np.abs(inside.mean(axis=0) - coverage).max() < 0.08  # at every number of steps ahead


def test_intervals_grow_as_the_theory_of_autoregression_has_it(noisy: tuple[Array, LSTMForecaster]) -> None:
    _, model = noisy
    interval = model.set_params(n_paths=4000).predict_interval(6, 0.9)
    model.set_params(n_paths=200)
    responses = [1.0, 1.2]
    for _ in range(4):
        responses.append(1.2 * responses[-1] - 0.5 * responses[-2])
    deviation = np.sqrt(np.cumsum(np.square(responses)))
    assert interval[:, 1] - interval[:, 0] == pytest.approx(2 * 1.645 * deviation, rel=0.15)


def test_the_mean_of_a_forecast_is_that_of_the_process(noisy: tuple[Array, LSTMForecaster]) -> None:
    values, model = noisy
    found = model.backtest(values, 2, start=900)
    for number, origin in enumerate(found.origins):
        first = 1.2 * values[origin - 1] - 0.5 * values[origin - 2]
        second = 1.2 * first - 0.5 * values[origin - 1]
        assert np.abs(found.mean[number, :, 0] - [first, second]).max() < 1.0
    best = 1.2 * values[found.origins - 1] - 0.5 * values[found.origins - 2]
    assert np.abs(found.mean[:, 0, 0] - best).mean() < 0.25  # of a noise whose deviation is 1


def test_intervals_are_ordered_and_nested(noisy: tuple[Array, LSTMForecaster]) -> None:
    _, model = noisy
    inner, middle, outer = (model.predict_interval(8, coverage) for coverage in (0.3, 0.8, 0.99))
    for interval in (inner, middle, outer):
        assert (interval[:, 0] < interval[:, 1]).all()
    assert ((outer[:, 0] < middle[:, 0]) & (middle[:, 0] < inner[:, 0])).all()
    assert ((inner[:, 1] < middle[:, 1]) & (middle[:, 1] < outer[:, 1])).all()
    mean = model.predict(8)
    assert ((middle[:, 0] < mean) & (mean < middle[:, 1])).all()


# -- nothing looks ahead -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [3, 9, 60])
@pytest.mark.parametrize("changed", [62, 70, 85])
def test_values_after_an_origin_change_no_bit_of_its_forecast(start: int, changed: int) -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES[:60])
    before = model.backtest(SERIES, 4, start=start)
    other = SERIES.copy()
    other[changed:] = 100.0
    after = model.backtest(other, 4, start=start)
    early = before.origins <= changed
    assert early.any()
    for name in ("mean", "lower", "upper"):
        assert np.array_equal(getattr(before, name)[early], getattr(after, name)[early])
        assert not np.array_equal(getattr(before, name)[~early], getattr(after, name)[~early])


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


def test_forecasting_changes_no_weight() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES[:60])
    before = weights(model)
    model.backtest(SERIES, 4, start=60)
    model.one_step(SERIES)
    model.update(SERIES[60:])
    model.predict(5)
    model.predict_interval(5)
    assert same(before, weights(model))
    assert not model.network_.training


def test_the_values_that_decide_when_to_stop_are_not_learned_from() -> None:
    model = LSTMForecaster(**QUICK)
    seen = []
    train = model._train
    model._train = lambda network, loss, data, validation: (  # type: ignore[method-assign]
        seen.append((data, validation)) or train(network, loss, data, validation)  # type: ignore[func-returns-value]
    )
    model.fit(SERIES)  # 90 steps, of which the last 18 decide
    data, validation = seen[0]
    scaled = torch.from_numpy(model.scale_.transform(SERIES)).float()
    assert set(data.targets[data.target_mask].flatten().tolist()) == set(scaled[3:72].tolist())
    assert torch.equal(validation.targets[validation.target_mask].flatten(), scaled[72:])
    steps, columns = validation.inputs.shape[0], validation.inputs[:, 0]
    assert torch.equal(columns, scaled.unfold(0, 3, 1)[87 - steps : 87])  # each read from the three before it


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


def test_a_forecast_from_many_origins_reads_as_much_as_one_from_each() -> None:
    model = LSTMForecaster(**{**QUICK, "lags": 4, "hidden_size": 8}).fit(SERIES[:60])
    with torch.no_grad():
        model.network_.readout.weight[0, :8] *= 30.0  # what the cells remember counts
    certain(model)
    together = model.backtest(SERIES, 3, start=4)
    assert together.origins[0] == 4
    for number in (0, 1, 5, 12, 40, len(together.origins) - 1):
        origin = int(together.origins[number])
        alone = model.backtest(SERIES[: origin + 3], 3, start=origin)
        assert together.mean[number] == pytest.approx(alone.mean[0], abs=2e-3)
    short = LSTMForecaster(**{**QUICK, "lags": 4, "hidden_size": 8, "window": 1}).fit(SERIES[:60])
    short.network_ = model.network_
    assert np.abs(short.backtest(SERIES, 3, start=40).mean - together.mean[36:]).max() > 0.05  # and it did count


def test_many_origins_take_several_passes_and_are_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    model = certain(LSTMForecaster(**QUICK).fit(SERIES[:60]))
    whole = model.backtest(SERIES, 3, start=40)
    monkeypatch.setattr("longlag.estimators.forecaster._ROWS_PER_PASS", 200)
    parts = model.backtest(SERIES, 3, start=40)
    assert np.array_equal(whole.origins, parts.origins)
    assert np.array_equal(whole.truth, parts.truth)
    assert parts.mean == pytest.approx(whole.mean, abs=2e-3)


# -- the start ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"validation_fraction": 0.0}, {"lags": 1}, {"num_layers": 2}])
def test_training_starts_from_the_linear_autoregression(options: dict[str, Any]) -> None:
    options = {**QUICK, "lags": 5, **options}
    lags = options["lags"]
    model = LSTMForecaster(**{**options, "max_epochs": 1, "learning_rate": 1e-30}).fit(SERIES)
    learned = 90 - int(90 * options.get("validation_fraction", 0.2))
    origins = np.arange(lags, 90)
    linear = linear_autoregression(SERIES, origins, 1, lags, learned)[:, 0]
    network = model.network_
    with_cells = model.one_step(SERIES)[lags:]
    with torch.no_grad():
        network.readout.weight[:, : network.lstm.output_size] = 0.0
    assert model.one_step(SERIES)[lags:] == pytest.approx(linear, abs=1e-5)
    assert np.abs(with_cells - linear).max() < 0.2  # the cells begin with a small say
    residuals = SERIES[lags:learned] - linear[: learned - lags]
    _, deviation = network(torch.zeros(1, 1, lags))[0].detach()[0, 0]
    assert float(deviation.exp()) * model.scale_.scale[0] == pytest.approx(residuals.std(), rel=1e-4)


def test_training_improves_on_the_linear_autoregression_where_the_series_is_not_linear() -> None:
    rng = np.random.default_rng(0)
    values = np.zeros(600)
    for step in range(1, 600):
        values[step] = 1.5 * np.sin(2.0 * values[step - 1]) + 0.1 * rng.normal()
    model = LSTMForecaster(lags=2, hidden_size=8, max_epochs=40, learning_rate=0.01, random_state=0).fit(values[:450])
    origins = np.arange(450, 600)
    linear = linear_autoregression(values, origins, 1, 2, 450)[:, 0]
    error = np.abs(model.one_step(values)[450:] - values[450:]).mean()
    assert error < 0.6 * np.abs(linear - values[450:]).mean()
    assert model.best_epoch_ > 0


# -- windows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "length", "stride"),
    [
        (50, 10, 1),
        (10, 10, 1),
        (1000, 24, 1),
        (1001, 24, 6),
        (1007, 24, 6),
        (1500, 3, 1),
        (2000, 1, 1),
        (1200, 1100, 275),
    ],
)
def test_windows_cover_every_row_and_neighbours_are_a_stride_apart(rows: int, length: int, stride: int) -> None:
    inputs = torch.arange(rows, dtype=torch.float32)[:, None]
    batch = windows(inputs, inputs + 0.5, length)
    starts = batch.inputs[0, :, 0].long().tolist()
    assert starts[0] == 0
    assert starts[-1] == rows - length
    steps = np.diff(starts)
    assert (steps[:-1] == stride).all()
    assert (steps <= stride).all()
    assert (steps > 0).all()
    assert set(batch.inputs.flatten().long().tolist()) == set(range(rows))
    assert torch.equal(batch.inputs[:, :, 0], torch.tensor(starts) + torch.arange(length)[:, None])
    assert torch.equal(batch.targets, batch.inputs + 0.5)
    assert bool(batch.target_mask.all())


def test_a_long_series_is_fitted_in_strides() -> None:
    model = LSTMForecaster(lags=4, hidden_size=2, max_epochs=1, random_state=0).fit(autoregressive(1500))
    assert model.predict(2).shape == (2,)


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (10, {"lags": 4, "window": 50}),
        (5, {"lags": 1}),
        (6, {"lags": 1, "validation_fraction": 0.0}),
        (20, {"window": 1}),
    ],
)
def test_a_series_shorter_than_the_window_and_a_single_lag_will_do(steps: int, options: dict[str, Any]) -> None:
    model = LSTMForecaster(**{**QUICK, **options}).fit(SERIES[:steps])
    assert np.isfinite(model.predict(3)).all()
    found = model.one_step(SERIES[:steps])
    assert np.isnan(found).tolist() == [step < model.lags for step in range(steps)]


# -- the same again ----------------------------------------------------------------------------------------------------


def test_the_same_random_state_gives_the_same_bits() -> None:
    first, second = (LSTMForecaster(**QUICK).fit(SERIES) for _ in range(2))
    assert same(weights(first), weights(second))
    assert np.array_equal(first.predict(5), second.predict(5))
    assert np.array_equal(first.predict(5), first.predict(5))
    assert np.array_equal(first.predict_interval(5), second.predict_interval(5))
    one, two = (model.backtest(SERIES, 3, start=40) for model in (first, second))
    assert np.array_equal(one.lower, two.lower)
    other = LSTMForecaster(**{**QUICK, "random_state": 1}).fit(SERIES)
    assert not same(weights(first), weights(other))
    assert not np.array_equal(first.predict(5), other.predict(5))
    drawn = [LSTMForecaster(**{**QUICK, "random_state": np.random.RandomState(4)}).fit(SERIES) for _ in range(2)]
    assert same(weights(drawn[0]), weights(drawn[1]))


def test_fitting_again_forgets_the_former_fit() -> None:
    known = np.random.default_rng(0).normal(size=(90, 1))
    model = LSTMForecaster(**QUICK).fit(np.stack([SERIES, -SERIES], axis=1), known)
    model.fit(SERIES)
    fresh = LSTMForecaster(**QUICK).fit(SERIES)
    assert same(weights(model), weights(fresh))
    assert np.array_equal(model.predict(5), fresh.predict(5))
    assert (model.n_targets_, model.n_exogenous_, model.exogenous_scale_) == (1, 0, None)


def test_a_shorter_horizon_is_the_beginning_of_a_longer_one() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    assert np.array_equal(model.predict(3), model.predict(9)[:3])


@pytest.mark.parametrize("threads", [1, 2])
def test_the_callers_random_numbers_threads_and_arrays_stay_as_they_are(threads: int) -> None:
    torch.set_num_threads(threads)
    values, known = SERIES.copy(), np.arange(90.0)[:, None]
    for array in (values, known):
        array.setflags(write=False)
    states = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002
    model = LSTMForecaster(**QUICK, dropout=0.5, num_layers=2).fit(values, known)
    model.predict(3, np.zeros((3, 1)))
    model.predict_interval(3, X=np.zeros((3, 1)))
    model.backtest(values, 3, start=60, X=known)
    model.one_step(values, known)
    model.update(values[:5], known[:5])
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002
    assert states[2] == random.getstate()
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert np.array_equal(values, SERIES)


def test_the_number_of_threads_changes_no_bit() -> None:
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        model = LSTMForecaster(**QUICK).fit(SERIES)
        found.append((weights(model), model.predict(5)))
    assert same(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    "make",
    [list, pd.Series, lambda values: np.asarray(values)[:, None], lambda values: pd.DataFrame({"y": values})],
    ids=["list", "Series", "column", "DataFrame"],
)
def test_every_form_of_a_series_gives_the_same_numbers(make: Callable[[Array], Any]) -> None:
    expected = LSTMForecaster(**QUICK).fit(SERIES).predict(3)
    found = LSTMForecaster(**QUICK).fit(make(SERIES)).predict(3)
    assert np.array_equal(found.reshape(3), expected)
    assert found.ndim == np.ndim(make(SERIES))


def test_whole_numbers_are_numbers() -> None:
    counts = np.round(SERIES * 10).astype(np.int32)
    model = LSTMForecaster(**QUICK).fit(counts)
    assert np.array_equal(model.predict(3), LSTMForecaster(**QUICK).fit(counts.astype(float)).predict(3))


# -- what is refused ---------------------------------------------------------------------------------------------------


def spoiled(value: object, step: int = 17) -> Array:
    values = SERIES.copy()
    values[step] = value
    return values


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_named_by_its_step(value: float) -> None:
    says = rf"the series is {value} at step 17, column 0; expected finite numbers"
    with pytest.raises(InputError, match=says):
        LSTMForecaster(**QUICK).fit(spoiled(value))
    pair = np.stack([SERIES, spoiled(value)], axis=1)
    with pytest.raises(InputError, match=r"at step 17, column 1"):
        LSTMForecaster(**QUICK).fit(pair)
    with pytest.raises(InputError, match=r"X is .* at step 17, column 0"):
        LSTMForecaster(**QUICK).fit(SERIES, spoiled(value))
    model = LSTMForecaster(**QUICK).fit(SERIES)
    for use in (lambda: model.update(spoiled(value)), lambda: model.one_step(spoiled(value))):
        with pytest.raises(InputError, match=says):
            use()
    with pytest.raises(InputError, match=says):
        model.backtest(spoiled(value), 3, start=60)
    exogenous = LSTMForecaster(**QUICK).fit(SERIES, SERIES)
    with pytest.raises(InputError, match=r"X is .* at step 1, column 0"):
        exogenous.predict(2, [[0.0], [value]])


@pytest.mark.parametrize(
    ("series", "says"),
    [
        (["1", "2", "x"], r"the series holds something that is not a number \(dtype <U1\)"),
        (["1.5"] * 90, r"the series holds something that is not a number"),
        (np.array(["1.5"] * 90, dtype=object), r"the series holds something that is not a number"),
        ([None] * 90, r"the series (holds something that is not a number|is nan)"),
        (SERIES + 1j, r"dtype complex128"),
        ([[1.0], [2.0, 3.0]], r"the series holds something that is not a number"),
        (np.zeros((4, 3, 2)), r"the series has shape \(4, 3, 2\); expected \(steps,\) or \(steps, values\)"),
        (5.0, r"the series has shape \(\)"),
        (np.zeros((90, 0)), r"the series has shape \(90, 0\)"),
        ([], r"the series has 0 steps; expected at least 5"),
        (SERIES[:4], r"the series has 4 steps; expected at least 5 for 3 lags and 0 validation steps"),
        (SERIES[:5], r"the series has 5 steps; expected at least 6 for 3 lags and 1 validation steps"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_series_is_refused(series: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        LSTMForecaster(**QUICK).fit(series)  # type: ignore[arg-type]


def test_the_least_number_of_steps_is_enough() -> None:
    assert np.isfinite(LSTMForecaster(**QUICK).fit(SERIES[:6]).predict(2)).all()


@pytest.mark.parametrize(
    "options",
    [
        {"lags": 0},
        {"lags": -1},
        {"lags": 2.0},
        {"lags": True},
        {"lags": "3"},
        {"window": 0},
        {"window": 1.5},
        {"n_paths": 0},
        {"validation_fraction": 1.0},
        {"validation_fraction": -0.1},
        {"validation_fraction": float("nan")},
        {"optimizer": "nonsense"},
        {"gradient": "nonsense"},
        {"learning_rate": 0.0},
        {"learning_rate": -1.0},
        {"max_epochs": 0},
        {"batch_size": 0},
        {"patience": 0},
        {"clip_norm": 0.0},
        {"hidden_size": 0},
        {"num_layers": 0},
        {"dropout": 1.5},
        {"cell": CellSpec(cells_per_block=3)},
    ],
    ids=str,
)
def test_an_impossible_option_is_refused_by_name(options: dict[str, Any]) -> None:
    word = "block" if "cell" in options else next(iter(options))
    with pytest.raises(InputError, match=word):
        LSTMForecaster(**{**QUICK, **options}).fit(SERIES)


def test_a_model_that_is_not_fitted_says_so() -> None:
    model = LSTMForecaster(**QUICK)
    uses: list[Callable[[], object]] = [
        lambda: model.predict(3),
        lambda: model.predict_interval(3),
        lambda: model.update(SERIES),
        lambda: model.one_step(SERIES),
        lambda: model.backtest(SERIES, 3, start=60),
        lambda: model.save("nowhere"),
    ]
    for use in uses:
        with pytest.raises(NotFittedError):
            use()


@pytest.mark.parametrize("horizon", [0, -1, 2.0, True, "3", None])
def test_a_horizon_that_is_no_count_is_refused(horizon: Any) -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    uses: list[Callable[[], object]] = [
        lambda: model.predict(horizon),
        lambda: model.predict_interval(horizon),
        lambda: model.backtest(SERIES, horizon, start=60),
    ]
    for use in uses:
        with pytest.raises(InputError, match=f"horizon is {horizon!r}; expected a whole number of at least 1"):
            use()


def test_origins_and_horizons_that_do_not_fit_are_refused() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    for start in (2, -1, 60.0, True, None):
        with pytest.raises(InputError, match=r"start is .*; expected a whole number of at least the 3 lags"):
            model.backtest(SERIES, 3, start=start)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"a horizon of 31 steps does not fit .* step 60 .* 90 steps; .* at most 30"):
        model.backtest(SERIES, 31, start=60)
    assert model.backtest(SERIES, 30, start=60).mean.shape == (1, 30, 1)
    with pytest.raises(InputError, match=r"at most 0"):
        model.backtest(SERIES, 1, start=95)
    with pytest.raises(InputError, match=r"the series has 3 steps; expected more than the 3 lags"):
        model.one_step(SERIES[:3])


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_coverage_that_is_no_probability_is_refused(coverage: float) -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    with pytest.raises(InputError, match=r"coverage is .*; expected a probability between 0 and 1"):
        model.predict_interval(3, coverage)
    with pytest.raises(InputError, match=r"coverage is"):
        model.backtest(SERIES, 3, start=60, coverage=coverage)


def test_sizes_other_than_in_fit_are_refused() -> None:
    known = np.ones((90, 2)) * np.arange(90)[:, None]
    plain, exogenous = LSTMForecaster(**QUICK).fit(SERIES), LSTMForecaster(**QUICK).fit(SERIES, known)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: LSTMForecaster(**QUICK).fit(SERIES, known[:80]), r"X has 80 rows; expected 90"),
        (lambda: plain.predict(3, known[:3]), r"fitted without X; expected no X"),
        (lambda: exogenous.predict(3), r"fitted with X; expected X with 3 rows of 2 values"),
        (lambda: exogenous.predict(3, known[:2]), r"X has shape \(2, 2\); expected \(3, 2\)"),
        (lambda: exogenous.predict(3, known[:3, :1]), r"X has shape \(3, 1\); expected \(3, 2\)"),
        (lambda: plain.update(np.ones((5, 2))), r"the series has 2 values per step; expected 1"),
        (lambda: plain.update(SERIES, known), r"X has 2 columns; expected 0"),
        (lambda: exogenous.update(SERIES), r"X has 0 columns; expected 2"),
        (lambda: exogenous.update(SERIES[:5], known[:4]), r"X has 4 rows; expected 5"),
        (lambda: exogenous.one_step(SERIES, known[:, :1]), r"X has 1 columns; expected 2"),
        (lambda: plain.backtest(np.ones((90, 3)), 3, start=60), r"the series has 3 values per step"),
        (lambda: exogenous.backtest(SERIES, 3, start=60), r"X has 0 columns; expected 2"),
    ]
    for use, says in cases:
        with pytest.raises(InputError, match=says):
            use()


def test_a_refused_update_leaves_the_past_as_it_was() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    before = model.predict(3)
    with pytest.raises(InputError):
        model.update(spoiled(np.nan))
    assert np.array_equal(model.predict(3), before)


def test_values_too_large_for_the_network_are_named_by_their_step() -> None:
    model = LSTMForecaster(**QUICK).fit(SERIES)
    for use in (lambda: model.one_step(spoiled(1e60)), lambda: model.backtest(spoiled(1e60), 3, start=60)):
        with pytest.raises(InputError, match=r"the series is 1e\+60 at step 17, too large for torch.float32"):
            use()


def test_large_and_small_units_make_no_difference() -> None:
    expected = LSTMForecaster(**QUICK).fit(SERIES).predict(4)
    for unit in (2.0**400, 2.0**-400):
        assert np.array_equal(LSTMForecaster(**QUICK).fit(SERIES * unit).predict(4) / unit, expected)


def test_a_forecast_that_grows_without_bound_is_refused() -> None:
    values = 2.0 ** np.arange(40)
    model = LSTMForecaster(**{**QUICK, "max_epochs": 1, "learning_rate": 1e-30, "validation_fraction": 0.0}).fit(values)
    with pytest.raises(InputError, match=r"stops being finite \d+ steps ahead"):
        model.predict(400)


def test_training_that_diverges_leaves_the_model_unfitted() -> None:
    model = LSTMForecaster(**{**QUICK, "learning_rate": 1e30})
    with pytest.raises(DivergenceError, match="training diverged"):
        model.fit(SERIES)
    with pytest.raises(NotFittedError):
        model.predict(3)


# -- saving ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("with_inputs", [False, True])
def test_a_saved_model_answers_bit_for_bit(targets: int, with_inputs: bool, tmp_path: Path) -> None:
    values = SERIES if targets == 1 else np.stack([SERIES, SERIES[::-1]], axis=1)
    known = np.random.default_rng(0).normal(size=(90, 2)) if with_inputs else None
    options = {**QUICK, "cell": CellSpec(peepholes=True), "learning_rate": Schedule(0.01, 0.001, "linear")}
    model = LSTMForecaster(**options).fit(values[:70], None if known is None else known[:70])
    model.save(tmp_path / "model")
    for found in (LSTMForecaster.load(tmp_path / "model"), load(tmp_path / "model")):
        assert isinstance(found, LSTMForecaster)
        assert found.get_params() == {**model.get_params(), "run_dir": None, "resume": False}
        ahead = None if known is None else known[70:75]
        assert np.array_equal(found.predict(5, ahead), model.predict(5, ahead))
        assert np.array_equal(found.predict_interval(5, 0.7, ahead), model.predict_interval(5, 0.7, ahead))
        assert np.array_equal(found.one_step(values, known), model.one_step(values, known), equal_nan=True)
        one, two = (each.backtest(values, 3, start=70, X=known) for each in (found, model))
        assert np.array_equal(one.mean, two.mean)
        assert np.array_equal(one.upper, two.upper)
        later = values[70:80], None if known is None else known[70:80]
        ahead = None if known is None else known[80:83]
        assert np.array_equal(
            found.update(*later).predict(3, ahead), copy.deepcopy(model).update(*later).predict(3, ahead)
        )
        assert (found.seed_, found.n_epochs_, found.best_epoch_) == (model.seed_, model.n_epochs_, model.best_epoch_)


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        LSTMForecaster(**QUICK).fit(SERIES).save(tmp_path / name)
    files = sorted((tmp_path / "a").iterdir())
    assert len(files) == 3
    for file in files:
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    LSTMForecaster(**QUICK).fit(SERIES).save(tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"holds a LSTMForecaster; expected a LSTMClassifier"):
        LSTMClassifier.load(tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"does not exist"):
        LSTMForecaster.load(tmp_path / "nowhere")


@pytest.mark.parametrize(("fitted", "loaded"), [(torch.float64, torch.float32), (torch.float32, torch.float64)])
def test_a_model_keeps_its_precision_whatever_the_default_is(
    fitted: torch.dtype, loaded: torch.dtype, tmp_path: Path
) -> None:
    torch.set_default_dtype(fitted)
    model = LSTMForecaster(**QUICK).fit(SERIES)
    expected = model.predict(3), model.one_step(SERIES), model.backtest(SERIES, 3, start=60).mean
    model.save(tmp_path / "model")
    torch.set_default_dtype(loaded)
    for found in (model, LSTMForecaster.load(tmp_path / "model")):
        assert next(found.network_.parameters()).dtype == fitted
        assert np.array_equal(found.predict(3), expected[0])
        assert np.array_equal(found.one_step(SERIES), expected[1], equal_nan=True)
        assert np.array_equal(found.backtest(SERIES, 3, start=60).mean, expected[2])


# -- as a scikit-learn estimator ---------------------------------------------------------------------------------------


def test_parameters_are_read_set_and_cloned() -> None:
    model = LSTMForecaster(**QUICK, cell=CellSpec.gers2000(), window=9).fit(SERIES)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "network_")
    assert same(weights(twin.fit(SERIES)), weights(model))
    assert model.set_params(lags=5, hidden_size=3) is model
    assert (model.lags, model.hidden_size) == (5, 3)
    assert model.fit(SERIES).network_.lstm.input_size == 5
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(lag=5)
    assert "lags=5" in repr(model)


def test_numbers_of_numpy_are_taken_as_parameters(tmp_path: Path) -> None:
    plain = LSTMForecaster(**QUICK).fit(SERIES)
    options = {name: np.int64(value) for name, value in QUICK.items()}
    model = LSTMForecaster(**options, weight_decay=np.float64(0.0)).fit(SERIES)
    assert same(weights(model), weights(plain))
    model.save(tmp_path / "model")
    assert np.array_equal(LSTMForecaster.load(tmp_path / "model").predict(3), plain.predict(3))


@pytest.mark.parametrize("gradient", ["truncated", "rtrl"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_every_gradient_and_optimiser_will_do(gradient: str, optimizer: str) -> None:
    options = {**QUICK, "gradient": gradient, "optimizer": optimizer, "max_epochs": 1, "hidden_size": 2}
    model = LSTMForecaster(**options).fit(SERIES[:30])
    assert np.isfinite(model.predict(3)).all()


# -- runs --------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Ends a fit as a kill would."""


@pytest.mark.parametrize("saves", [1, 3])
@pytest.mark.parametrize("with_inputs", [False, True])
def test_a_fit_that_was_killed_goes_on_to_the_same_bits(
    saves: int, with_inputs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = np.random.default_rng(0).normal(size=(90, 1)) if with_inputs else None
    options = {**QUICK, "dropout": 0.3, "num_layers": 2, "batch_size": 20}
    expected = LSTMForecaster(**options).fit(SERIES, known)
    monkeypatch.setattr(Run, "is_due", lambda self: True)
    save, count = Run.save, []

    def save_and_die(self: Run, *content: Any) -> None:
        save(self, *content)
        count.append(1)
        if len(count) == saves:
            raise Killed

    run = str(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", save_and_die)
        with pytest.raises(Killed):
            LSTMForecaster(**options, run_dir=run).fit(SERIES, known)
    with pytest.raises(InputError, match="already holds a run; expected --resume"):
        LSTMForecaster(**options, run_dir=run).fit(SERIES, known)
    for _ in range(2):  # the second resumes a run that has ended
        found = LSTMForecaster(**options, run_dir=run, resume=True).fit(SERIES, known)
        assert same(weights(found), weights(expected))
        ahead = None if known is None else known[:4]
        assert np.array_equal(found.predict(4, ahead), expected.predict(4, ahead))
    with pytest.raises(InputError, match="other data"):
        LSTMForecaster(**options, run_dir=run, resume=True).fit(SERIES + 1.0 * (np.arange(90) == 3), known)
    with pytest.raises(InputError, match="batch_size"):
        LSTMForecaster(**{**options, "batch_size": 21}, run_dir=run, resume=True).fit(SERIES, known)


def test_coefficients_of_the_start_are_those_of_least_squares_with_inputs() -> None:
    known = np.random.default_rng(0).normal(size=(90, 2))
    options = {**QUICK, "max_epochs": 1, "learning_rate": 1e-30, "validation_fraction": 0.0}
    model = LSTMForecaster(**options).fit(SERIES, known)
    scaled, beside = model.scale_.transform(SERIES), model.exogenous_scale_.transform(known)
    rows = np.array([[*scaled[step - 3 : step], *beside[step]] for step in range(3, 90)])
    coefficients, _ = fit_linear(rows, scaled[3:, None])
    cells = model.network_.lstm.output_size
    found = model.network_.readout.weight[0, cells:].detach().double().numpy()
    assert found == pytest.approx(coefficients[:-1, 0], abs=1e-5)
    assert float(model.network_.readout.bias[0].detach()) == pytest.approx(coefficients[-1, 0], abs=1e-5)


def test_the_scales_are_measured_before_the_validation_part() -> None:
    known = np.cos(np.arange(90.0))
    model = LSTMForecaster(**QUICK, validation_fraction=0.2).fit(SERIES, known)
    assert model.exogenous_scale_ is not None
    for scale, values in ((model.scale_, SERIES), (model.exogenous_scale_, known)):
        assert scale.mean == pytest.approx([values[:72].mean()])
        assert scale.scale == pytest.approx([values[:72].std()])
