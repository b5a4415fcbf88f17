"""LSTMForecaster.zero_shot: every form of series in, forecasts in the form of predict out, nothing fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from longlag.data import Panel, Table
from longlag.errors import InputError
from longlag.estimators import LSTMForecaster
from longlag.pretrained.zero_shot import zero_shot

MONTHS = pd.date_range("2015-01-31", periods=60, freq="ME")


def wave(scale: float = 1.0, steps: int = 60) -> np.ndarray:
    rng = np.random.default_rng(3)
    return scale * (20 + 5 * np.sin(np.arange(steps) * np.pi / 6) + 0.3 * rng.normal(size=steps))


def long_frame() -> pd.DataFrame:
    """Two series below each other, of different length."""
    parts = [(name, wave(scale)[:steps], steps) for name, scale, steps in (("a", 1.0, 60), ("b", 100.0, 48))]
    return pd.concat(
        pd.DataFrame({"shop": name, "month": MONTHS[:steps], "units": values}) for name, values, steps in parts
    )


def quantiles(values: np.ndarray, horizon: int, levels: list[float], season: tuple[int, int] = (12, 12)) -> np.ndarray:
    return zero_shot([values], horizon, season, levels)[0]


# -- arrays ------------------------------------------------------------------------------------------------------------


def test_three_lines_forecast_an_array() -> None:
    forecast = LSTMForecaster.zero_shot(wave(), 12)
    assert forecast.shape == (12,)
    assert np.array_equal(forecast, quantiles(wave(), 12, [0.5])[:, 0])
    assert np.array_equal(LSTMForecaster.zero_shot(wave().tolist()), forecast)  # a season, which was found


def test_arrays_come_out_in_the_form_in_which_they_came() -> None:
    one, other = wave(), wave(7.0)
    side_by_side = LSTMForecaster.zero_shot(np.stack([one, other], axis=1), 5, season=12)
    assert side_by_side.shape == (5, 2)
    several = LSTMForecaster.zero_shot([one, other[:40]], 5, season=12)
    assert several.shape == (2, 5)
    assert side_by_side[:, 0] == pytest.approx(several[0], rel=1e-5)
    assert several[1] == pytest.approx(quantiles(other[:40], 5, [0.5])[:, 0], rel=1e-5)
    for shape, form in (((5,), one), ((5, 2), np.stack([one, other], axis=1)), ((2, 5), [one, other])):
        ends = LSTMForecaster.zero_shot(form, 5, coverage=0.8, season=12)
        assert ends.shape == (*shape, 2)
        many = LSTMForecaster.zero_shot(form, 5, levels=[0.1, 0.5, 0.9], season=12)
        assert many.shape == (*shape, 3)
        assert np.array_equal(ends, many[..., [0, 2]])
        assert np.array_equal(LSTMForecaster.zero_shot(form, 5, season=12), many[..., 1])


def test_seasons_may_be_named() -> None:
    hours = np.sin(np.arange(400) * np.pi / 12) + 0.3 * np.sin(np.arange(400) * np.pi / 84)
    assert np.array_equal(
        LSTMForecaster.zero_shot(hours, 30, season=(24, 168)), quantiles(hours, 30, [0.5], (24, 168))[:, 0]
    )
    assert np.array_equal(LSTMForecaster.zero_shot(hours, 30, season=1), quantiles(hours, 30, [0.5], (1, 1))[:, 0])


# -- tables ------------------------------------------------------------------------------------------------------------

KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_comes_back_as_its_own_kind_with_series_and_dates(kind: str) -> None:
    frame = KINDS[kind](long_frame())
    for options, names in (
        ({}, ["units"]),
        ({"coverage": 0.9}, ["units", "lower", "upper"]),
        ({"levels": [0.1, 0.75]}, ["0.1", "0.75"]),
    ):
        forecast = LSTMForecaster.zero_shot(frame, 3, **options)
        assert type(forecast) is type(frame)
        table = forecast if kind == "pandas" else forecast.to_pandas()
        assert list(table.columns) == ["shop", "month", *names]
        assert table["shop"].tolist() == ["a"] * 3 + ["b"] * 3
        dates = [
            *pd.date_range(MONTHS[59], periods=4, freq="ME")[1:],
            *pd.date_range(MONTHS[47], periods=4, freq="ME")[1:],
        ]
        assert pd.to_datetime(table["month"]).tolist() == dates
        assert table.drop(columns=["shop", "month"]).notna().all().all()
    interval = LSTMForecaster.zero_shot(long_frame(), 3, coverage=0.9)
    assert (interval["lower"] < interval["units"]).all()
    assert (interval["units"] < interval["upper"]).all()
    for name, scale, steps in (("a", 1.0, 60), ("b", 100.0, 48)):
        expected = quantiles(wave(scale)[:steps], 3, [0.5])[:, 0]
        assert interval.loc[interval["shop"] == name, "units"].to_numpy() == pytest.approx(expected, rel=1e-5)


def test_a_series_with_dates_keeps_its_name_and_its_index() -> None:
    series = pd.Series(wave(), index=MONTHS, name="units")
    forecast = LSTMForecaster.zero_shot(series, 2)
    assert np.asarray(forecast["units"]) == pytest.approx(quantiles(wave(), 2, [0.5])[:, 0])


def test_a_dict_a_table_and_a_panel_are_forecast_too() -> None:
    columns = {"month": MONTHS.to_numpy(), "units": wave()}
    expected = quantiles(wave(), 2, [0.5])[:, 0]
    table = Table.from_arrays(columns)
    for data in (columns, table, Panel.from_table(table)):
        forecast = LSTMForecaster.zero_shot(data, 2)
        assert [*forecast] == ["month", "units"]
        assert np.array_equal(forecast["units"], expected)
    assert [*LSTMForecaster.zero_shot({**columns, "more": wave(2)}, 2, target=["units", "more"])] == [
        "series",
        "month",
        "value",
    ]


def test_the_calendar_says_the_season_and_not_the_values() -> None:
    """A wave of 9 days: the forecast is that of a series of days with a week, as ``fit`` on the command line has it."""
    days = pd.date_range("2024-01-01", periods=90)
    values = 10 + np.sin(np.arange(90) * 2 * np.pi / 9)
    frame = pd.DataFrame({"day": days, "y": values})
    assert np.array_equal(LSTMForecaster.zero_shot(frame, 5)["y"], quantiles(values, 5, [0.5], (7, 7))[:, 0])
    assert np.array_equal(LSTMForecaster.zero_shot(frame, 5, season=9)["y"], quantiles(values, 5, [0.5], (9, 9))[:, 0])
    assert np.array_equal(LSTMForecaster.zero_shot(values, 5), quantiles(values, 5, [0.5], (9, 9))[:, 0])


def test_missing_rows_and_values_are_gaps_of_the_calendar() -> None:
    values = wave()
    values[[20, 21, 40]] = np.nan
    frame = pd.DataFrame({"month": MONTHS, "units": values})
    expected = quantiles(values, 4, [0.5])[:, 0]
    assert np.array_equal(LSTMForecaster.zero_shot(frame, 4)["units"], expected)
    assert np.array_equal(LSTMForecaster.zero_shot(frame.drop(index=[20, 21]), 4)["units"], expected)


def test_columns_are_named_where_they_are_not_plain() -> None:
    frame = pd.DataFrame({"when": MONTHS, "a": wave(), "b": wave(2.0)})
    with pytest.raises(InputError, match=r"a.*b"):
        LSTMForecaster.zero_shot(frame, 2)
    assert np.array_equal(
        LSTMForecaster.zero_shot(frame, 2, target="b")["b"], LSTMForecaster.zero_shot(wave(2.0), 2, season=12)
    )


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "options", "says"),
    [
        (wave(), {"coverage": 0.9, "levels": [0.5]}, "coverage and levels were both given; expected one of them"),
        (wave(), {"coverage": 1.0}, "coverage is 1.0; expected a probability"),
        (wave(), {"levels": []}, "levels is .* expected probabilities"),
        (wave(), {"levels": [0.5, 2]}, "levels holds 2"),
        (wave(), {"season": "12"}, "season is '12'"),
        (wave(), {"horizon": 0}, "horizon is 0"),
        (wave(), {"target": "y"}, "target was given, but the series are arrays"),
        (wave(), {"gaps": "fill"}, "gaps was given, but the series are arrays"),
        ([], {}, "there are no series"),
        (np.array([1.0, np.inf]), {}, "is inf at step 1"),
        (np.array([np.nan, np.nan]), {}, "no value in 2 steps"),
        (["a", "b"], {}, "not a number"),
        (np.empty(0), {}, "0 steps"),
        ({"month": MONTHS.to_numpy(), "units": np.full(60, np.nan)}, {}, "has no value"),
        (long_frame().drop(columns="month").assign(shop=1.0).iloc[:, :0], {}, "column"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_one_sentence(y: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        LSTMForecaster.zero_shot(y, **options)
    assert "\n" not in str(refused.value)


def test_a_forecaster_is_left_as_it_was() -> None:
    forecaster = LSTMForecaster(horizon=3)
    before = dict(vars(forecaster))
    assert forecaster.zero_shot(wave(), 2).shape == (2,)
    assert vars(forecaster) == before
