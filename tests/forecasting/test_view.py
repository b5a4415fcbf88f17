"""How a series is seen with the columns beside it: known ones are taken out and put back, past ones stay past."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from longlag.estimators import LSTMForecaster
from longlag.forecasting.features import Design
from longlag.forecasting.packing import pack_series, pack_views, unpack_series, unpack_views
from longlag.forecasting.view import SeriesData, View, input_width, known_steps

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)
DESIGN = Design(3, (1,), 2, 1)


def data(steps: int = 60, known: int = 2, past: int = 1, static: int = 0) -> SeriesData:
    rng = np.random.default_rng(steps)
    columns = rng.normal(size=(steps, known))
    values = 50.0 + columns.sum(axis=1) + 0.1 * rng.normal(size=steps)
    return SeriesData.of(values, columns, rng.normal(size=(steps, past)), rng.normal(size=static))


def test_a_series_that_is_a_multiple_of_a_known_column_is_forecast_exactly() -> None:
    known = (RNG.random(40) < 0.4).astype(float)
    model = LSTMForecaster(horizon=4, lags=2, hidden_size=4, n_networks=1, max_epochs=2, random_state=0)
    model.fit(10.0 * known, known)
    future = np.array([0.0, 1.0, 1.0, 0.0])
    assert model.predict(4, future) == pytest.approx(10.0 * future, abs=1e-3)
    interval = model.predict_interval(4, X=future)
    assert interval == pytest.approx(np.stack([10.0 * future] * 2, axis=1), abs=1e-3)


def test_what_known_columns_explain_is_taken_out_and_put_back() -> None:
    one = data(past=0)
    view = View.of(one, 1)
    rest = view.adjusted(one)
    assert np.abs(np.diff(rest)).mean() < 0.3 * np.abs(np.diff(one.values)).mean()
    again = view.unit.back(view.unit.to(rest) + view.explained(one, 0, len(one)))
    assert again == pytest.approx(one.values)


def test_beyond_what_is_known_the_last_row_stands() -> None:
    one = data(known=1, past=0)
    view = View.of(one, 1)
    explained = view.explained(one, len(one), 3)
    assert np.array_equal(explained, np.repeat(view.known_part(one)[-1:], 3))
    assert np.array_equal(
        view.explained(one.knowing(np.array([[5.0]])), 60, 2)[:1], view.known_part(one.knowing(np.array([[5.0]])))[-1:]
    )


@pytest.mark.parametrize("known", [0, 1, 2])
@pytest.mark.parametrize("past", [0, 2])
@pytest.mark.parametrize("static", [0, 3])
def test_inputs_have_the_width_that_is_said(known: int, past: int, static: int) -> None:
    design = Design(3, (4,), 2, 1, static)
    one = data(known=known, past=past, static=static)
    seen = View.of(one, 4).seen(one, design)
    assert seen.inputs.shape == (60, input_width(design, known, past))
    assert np.isfinite(seen.inputs).all()


def test_many_known_columns_are_seen_fewer_steps_ahead() -> None:
    assert known_steps(Design(48, (1,), 2, 1), 1) == 48
    assert known_steps(Design(48, (1,), 2, 1), 40) == 3
    assert known_steps(Design(48, (1,), 2, 1), 500) == 1


def test_known_columns_are_seen_ahead_and_past_ones_are_not() -> None:
    one = data()
    view = View.of(one, 1)
    before = view.seen(one, DESIGN).inputs
    past, known = one.past.copy(), one.known.copy()
    past[41:], known[44:] = 9.0, 9.0
    after = view.seen(SeriesData.of(one.values, known, past), DESIGN).inputs
    assert np.array_equal(before[:41], after[:41])
    assert not np.array_equal(before[41], after[41])
    known[43] = 9.0
    assert not np.array_equal(view.seen(SeriesData.of(one.values, known, past), DESIGN).inputs[40], after[40])


def test_a_missing_past_value_is_the_last_known_one() -> None:
    one = data(known=0)
    view = View.of(one, 1)
    holed, filled = one.past.copy(), one.past.copy()
    holed[[20, 21, 50]] = np.nan
    filled[[20, 21]], filled[50] = filled[19], filled[49]
    seen = [view.seen(SeriesData.of(one.values, None, past), DESIGN).inputs for past in (holed, filled)]
    assert np.array_equal(*seen)
    nothing = SeriesData.of(one.values, None, np.full((60, 1), np.nan))
    assert np.isfinite(View.of(nothing, 1).seen(nothing, DESIGN).inputs).all()


def test_series_go_on_are_cut_and_begin_after_a_gap() -> None:
    whole, first = data(), data().until(25)
    assert len(first) == 25
    assert len(first.known) == 60  # what is known of the future stays
    rest = SeriesData.of(whole.values[25:], whole.known[25:], whole.past[25:])
    again = first.followed_by(rest)
    for name in ("values", "known", "past"):
        assert np.array_equal(getattr(again, name), getattr(whole, name))
    late = rest.after_gap(4)
    assert np.isnan(late.values[:4]).all()
    assert np.isnan(late.past[:4]).all()
    assert np.array_equal(late.values[4:], rest.values)
    assert len(late.known) == len(late) == 39
    assert rest.after_gap(0) is rest


@pytest.mark.parametrize("known", [0, 2])
@pytest.mark.parametrize("past", [0, 1])
@pytest.mark.parametrize("static", [0, 2])
def test_series_and_views_come_back_from_their_arrays(known: int, past: int, static: int) -> None:
    series = [data(steps, known, past, static) for steps in (60, 1, 13)]
    series[0].values[3] = np.nan
    views = [View.of(one, 1) for one in series]
    again, seen = unpack_series(**pack_series(series)), unpack_views(**pack_views(views))
    for one, other in zip(series, again, strict=True):
        for name in ("values", "known", "past", "static"):
            np.testing.assert_array_equal(getattr(other, name), getattr(one, name), strict=True)
    for view, copy in zip(views, seen, strict=True):
        assert view.unit == copy.unit
        for name in ("effects", "known_mean", "known_scale", "past_mean", "past_scale"):
            np.testing.assert_array_equal(getattr(copy, name), getattr(view, name), strict=True)


def test_only_the_values_that_are_seen_so_far_are_packed() -> None:
    one = data().knowing(RNG.normal(size=(5, 2)))
    assert pack_series([one])["known"].shape == (60, 2)


@pytest.mark.parametrize("lengths", [[10.0, 51.0], [60.5, 0.5], [61.0, -1.0], [60.0, 0.0], []])
def test_lengths_that_are_not_those_of_the_values_are_refused(lengths: list[float]) -> None:
    arrays = pack_series([data()])
    with pytest.raises(ValueError, match="expected whole numbers that sum to it"):
        unpack_series(**{**arrays, "lengths": np.array(lengths), "static": np.empty((len(lengths), 0))})


@pytest.mark.parametrize("name", ["units", "known_scale", "past_scale"])
def test_a_scale_that_is_not_positive_is_refused(name: str) -> None:
    arrays = pack_views([View.of(data(), 1)])
    for value in (0.0, -1.0):
        arrays[name] = np.full_like(arrays[name], value)
        with pytest.raises(ValueError, match="a scale is not positive"):
            unpack_views(**arrays)
