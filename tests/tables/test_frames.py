"""Frames of the caller's own kind: read as a table, and made again for the forecast."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from longlag.data import Continuation, Panel, Table
from longlag.errors import InputError
from longlag.tables.frames import FrameKind, is_frame, table_of_frame

Y = np.arange(40.0)
DAYS = pd.date_range("2023-03-01", periods=40)


def forecast(data: Any, steps: int = 2, **options: Any) -> Any:
    """The frame of a forecast, by way of the JSON of a run; its numbers are 0, 1, ..."""
    panel = Panel.from_frame(data, **options)
    saved = Continuation.from_state(json.loads(json.dumps(panel.continuation().state())))
    return saved.frame(steps, {"mean": np.arange(len(panel) * steps, dtype=float).reshape(len(panel), steps)})


# -- pandas ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        DAYS,
        pd.date_range("2020-01-31", periods=40, freq="ME", name="month"),
        pd.date_range("2023-03-25", periods=40, freq="h", tz="Europe/Berlin"),
        pd.date_range("2023-02-25", periods=40, freq="D", tz="Europe/Berlin"),
        pd.date_range("2023-10-01", periods=40, freq="D", tz="America/New_York", name="day"),
        pd.date_range("2024-01-01", periods=40, freq="B"),
        pd.period_range("2020-01", periods=40, freq="M"),
        pd.period_range("2010Q2", periods=40, freq="Q", name="quarter"),
    ],
    ids=lambda index: str(index.dtype) + " " + str(index.freqstr),
)
def test_a_pandas_series_goes_on_with_its_own_kind_of_index(index: Any) -> None:
    answer = forecast(pd.Series(Y[:-2], index=index[:-2], name="sold"))
    assert type(answer.index) is type(index)
    assert list(answer.index) == list(index[-2:])
    assert answer.index.name == (index.name or "time")
    assert list(answer.columns) == ["mean"]
    assert answer["mean"].tolist() == [0.0, 1.0]


def test_an_index_out_of_order_and_with_gaps_is_put_in_order() -> None:
    index = pd.date_range("2024-01-01", periods=40, freq="B")
    some = pd.Series(Y, index=index).drop(index[[5, 6, 20]])[::-1]
    panel = Panel.from_frame(some)
    np.testing.assert_array_equal(panel.times[0].astype("datetime64[us]"), index.to_numpy())
    assert np.flatnonzero(np.isnan(panel.values[0])).tolist() == [5, 6, 20]
    assert list(forecast(some).index) == list(pd.date_range("2024-02-26", periods=2, freq="B"))
    with pytest.raises(InputError, match="2024-01-01 stands in row"):
        Panel.from_frame(pd.concat([some, some[-1:]]))


def test_a_pandas_index_that_only_counts_is_no_time() -> None:
    answer = forecast(pd.Series(Y, name="sold"))
    assert list(answer.columns) == ["step", "mean"]
    assert Panel.from_frame(pd.DataFrame({"sold": Y[::2]}, index=range(0, 40, 2))).roles.time is None


def test_a_long_frame_of_pandas_is_answered_by_id_and_time() -> None:
    frame = pd.DataFrame({"unique_id": np.repeat([7, 9], 20), "ds": [*DAYS[:20]] * 2, "y": Y})
    answer = forecast(frame.sample(frac=1, random_state=0))
    assert answer["unique_id"].dtype == frame["unique_id"].dtype
    assert sorted(set(answer["unique_id"])) == [7, 9]
    assert list(answer["ds"]) == [*DAYS[20:22]] * 2
    indexed = forecast(frame.set_index(["unique_id", "ds"]))
    assert indexed.index.names == ["unique_id", "ds"]
    assert indexed.loc[(9, DAYS[21]), "mean"] == 3.0


def test_years_as_whole_numbers_are_answered_as_such() -> None:
    answer = forecast(pd.DataFrame({"year": range(1950, 1990), "catch": Y}))
    assert answer["year"].tolist() == [1990, 1991]
    assert answer["year"].dtype.kind == "i"


def test_nulls_and_categories_of_pandas_are_missing_values_and_words() -> None:
    frame = pd.DataFrame(
        {
            "ds": DAYS[:6],
            "y": pd.array([1, None, 3, 4, 5, 6], dtype="Int64"),
            "weather": pd.Categorical(["sun", "rain", None, "sun", "sun", "rain"]),
            "open": [True, False, True, True, True, False],
        }
    )
    panel = Panel.from_frame(frame, target="y", known=["weather", "open"])
    np.testing.assert_array_equal(panel.values[0], [1, np.nan, 3, 4, 5, 6])
    np.testing.assert_array_equal(panel.known[0][:, 0], [1, 0, np.nan, 1, 1, 0])
    np.testing.assert_array_equal(panel.known[0][:, 1], [1, 0, 1, 1, 1, 0])


# -- Polars and Arrow --------------------------------------------------------------------------------------------------


def test_frames_of_polars_are_answered_in_polars() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"shop": ["a"] * 20 + ["b"] * 20, "day": [*DAYS[:20].date] * 2, "sold": Y})
    answer = forecast(frame)
    assert isinstance(answer, polars.DataFrame)
    assert answer["day"].dtype == polars.Date
    assert answer["day"].to_list() == [*DAYS[20:22].date] * 2
    assert answer["shop"].to_list() == ["a", "a", "b", "b"]
    assert forecast(frame.lazy())["mean"].to_list() == [0, 1, 2, 3]
    assert forecast(polars.Series("sold", Y)).columns == ["step", "mean"]
    zoned = polars.DataFrame({"ds": DAYS, "y": Y}).with_columns(polars.col("ds").dt.replace_time_zone("Asia/Tokyo"))
    assert forecast(zoned)["ds"].dtype == polars.Datetime("us", "Asia/Tokyo")


def test_tables_of_arrow_are_answered_in_arrow() -> None:
    answer = forecast(pa.table({"ds": pa.array(DAYS.to_numpy()), "y": Y}))
    assert isinstance(answer, pa.Table)
    assert answer["ds"].to_pylist() == [DAYS[-1] + pd.Timedelta(days=1), DAYS[-1] + pd.Timedelta(days=2)]


# -- what is no frame --------------------------------------------------------------------------------------------------


def test_mappings_and_arrays_are_answered_with_a_mapping() -> None:
    answer = forecast({"date": DAYS.to_numpy(), "y": Y})
    np.testing.assert_array_equal(answer["date"], (DAYS[-2:] + pd.Timedelta(days=2)).to_numpy())
    assert list(forecast(Y)) == ["step", "mean"]
    assert forecast([Y, Y[:3]])["series"].tolist() == ["0", "0", "1", "1"]


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (pd.DataFrame({"y": Y}).iloc[:0], {}, "has no rows"),
        (pd.DataFrame(), {}, "has no columns"),
        (pd.DataFrame({"y": Y}, index=pd.Index(DAYS, name="y")), {}, "the name 'y' twice"),
        (pd.DataFrame({"y": [1.0, {2}]}), {}, "expected one type in a column"),
        (Y, {"time": "ds"}, "time was given, but the data have no columns"),
        (None, {}, "expected (T,)"),
        ("sales.csv", {}, "expected (T,)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_read_is_refused_in_a_sentence(data: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as refused:
        Panel.from_frame(data, **options)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_frames_are_told_from_what_is_none() -> None:
    assert is_frame(pd.Series(Y))
    assert is_frame(pa.table({"y": Y}))
    assert not is_frame(Y)
    assert not is_frame([1.0])
    assert not is_frame({"y": Y})
    with pytest.raises(InputError, match="a list; expected a frame of pandas, Polars or Arrow"):
        table_of_frame([1.0])


def test_a_kind_of_frame_is_plain_data_and_a_library_that_is_not_there_is_missed_in_a_sentence() -> None:
    table, kind = table_of_frame(pd.Series(Y, index=DAYS))
    assert isinstance(table, Table)
    assert json.loads(json.dumps(dataclasses.asdict(kind)))["backend"] == "pandas"
    for backend in ("spreadsheet", 3, None):
        with pytest.raises(InputError, match="expected"):
            FrameKind(backend).frame({"y": Y})  # type: ignore[arg-type]
