"""What the pictures of forecasts show: which series, which origins, and which simple method."""

from __future__ import annotations

import numpy as np
import pytest

from longlag.cli.future_pictures import future_pictures
from longlag.cli.pictures import backtest_pictures
from longlag.data import Panel, Table
from longlag.estimators import LSTMForecaster
from longlag.estimators.backtest import Backtest


def panel_of(series: dict[str, np.ndarray]) -> Panel:
    names = np.repeat(np.array(list(series), dtype=object), [len(values) for values in series.values()])
    columns = {"id": names, "y": np.concatenate(list(series.values()))}
    return Panel.from_table(Table.from_arrays(columns), id="id", target="y")


def scored(panel: Panel, start: int, horizon: int, **errors: list[float]) -> Backtest:
    """Forecasts from every step of ``start`` on; each method is off by its error of each series, "answer" the mean."""
    places = [
        (number, origin)
        for number, values in enumerate(panel.values)
        for origin in range(start, len(values) - horizon + 1)
    ]
    series, origins = (np.array(part) for part in zip(*places, strict=True))
    truth = np.stack([panel.values[number][origin : origin + horizon] for number, origin in places])[..., None]
    made = {name: truth + np.array(error)[series][:, None, None] for name, error in errors.items()}
    mean = made.pop("answer")
    return Backtest(origins, truth, mean, mean - 1, mean + 1, 0.9, made, series)


@pytest.mark.parametrize(("horizon", "most"), [(2, 6), (12, 6), (24, 6), (48, 3), (168, 2)])
def test_so_many_forecasts_are_shown_that_they_can_be_told_apart(horizon: int, most: int) -> None:
    panel = panel_of({"a": np.arange(2000.0)})
    (picture,) = backtest_pictures(scored(panel, 100, horizon, answer=[1.0]), panel, [100], (1,))
    assert len(picture.paths) == most
    assert picture.times[-1] == 2000


def test_the_simple_method_beside_the_forecast_is_the_best_whatever_the_scales_of_the_series() -> None:
    rng = np.random.default_rng(0)
    panel = panel_of({name: scale * rng.normal(size=60) for name, scale in (("big", 1e4), ("p", 1.0), ("q", 1.0))})
    # In the unit of each series Theta is far better; one error in big units would hide it.
    errors = {"answer": [0.0] * 3, "Theta": [3e3, 0.1, 0.1], "drift": [2e3, 2.0, 2.0], "LSTM": [0.0] * 3}
    pictures = backtest_pictures(scored(panel, 40, 3, **errors), panel, [40] * 3, (1,))
    assert {picture.simple for picture in pictures} == {"Theta"}


def test_the_future_of_many_series_says_how_many_there_are() -> None:
    rng = np.random.default_rng(0)
    model = LSTMForecaster(hidden_size=4, max_epochs=1, n_networks=1, horizon=2, random_state=0)
    model.fit(panel_of({name: rng.normal(size=20) for name in "abcde"}))
    series, ahead = [model.series(number) for number in range(5)], model.predict_interval(2)
    bands = np.stack([np.reshape(ahead[name], (5, 2)) for name in ("lower", "y", "upper")], axis=-1)
    assert model.continuation_ is not None
    pictures = future_pictures(model.continuation_, series, model.seasons_, bands)
    assert [picture.title for picture in pictures] == [f"{name} ({n} of 5 series)" for n, name in enumerate("abc", 1)]
    for number, picture in enumerate(pictures):
        assert picture.values.tolist() == model.series(number)[-len(picture.values) :].tolist()
        assert picture.paths[0].median == pytest.approx(model.predict_interval(2)["y"].reshape(5, 2)[number])
