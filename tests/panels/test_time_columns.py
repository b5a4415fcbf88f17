"""Columns of years, months, days and hours that together are the time of a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from longlag.data import Frequency, Panel, Table
from longlag.errors import InputError
from longlag.panels.time_columns import parts_of_times, read_times

MONTHS = pd.date_range("2001-03-01", periods=30, freq="MS")
QUARTERS = pd.date_range("2001-04-01", periods=30, freq="QS")
DAYS = pd.date_range("2023-12-20", periods=30)
HOURS = pd.date_range("2023-12-30", periods=72, freq="h")


def understood(columns: dict[str, Any]) -> Panel:
    rows = len(next(iter(columns.values())))
    return Panel.from_table(Table.from_arrays({**columns, "sold": np.arange(float(rows))}))


@pytest.mark.parametrize(
    ("columns", "time", "frequency", "times"),
    [
        ({"year": MONTHS.year, "month": MONTHS.month}, "year+month", Frequency("M"), MONTHS),
        ({"Month": MONTHS.month, "Year": MONTHS.year}, "Year+Month", Frequency("M"), MONTHS),
        ({"year": QUARTERS.year, "quarter": QUARTERS.quarter}, "year+quarter", Frequency("Q"), QUARTERS),
        ({"yr": DAYS.year, "year": DAYS.year, "month": DAYS.month, "day": DAYS.day}, "year+month+day", None, DAYS),
        ({"date": HOURS.normalize().to_numpy(), "hr": HOURS.hour}, "date+hr", Frequency("h"), HOURS),
        ({"date": HOURS.normalize().to_numpy(), "hour": HOURS.hour + 1}, "date+hour", Frequency("h"), None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parts_of_dates_in_columns_of_their_own_are_one_time(
    columns: dict[str, Any], time: str, frequency: Frequency | None, times: Any
) -> None:
    columns = {name: np.asarray(column) for name, column in columns.items() if name != "yr"}
    panel = understood(columns)
    assert panel.roles.time == time
    assert panel.roles.target == ("sold",)
    assert panel.frequency == (frequency or Frequency("D"))
    expected = times if times is not None else HOURS + pd.Timedelta(hours=1)
    np.testing.assert_array_equal(panel.times[0].astype("datetime64[us]"), expected.to_numpy())
    assert any("are taken for the time together" in note for note in panel.notes)


def test_parts_of_dates_are_told_from_the_id_of_a_panel() -> None:
    columns = {
        "year": np.tile(MONTHS.year, 2),
        "month": np.tile(MONTHS.month, 2),
        "shop": np.repeat(["a", "b"], 30),
    }
    panel = understood(columns)
    assert (panel.roles.time, panel.roles.id) == ("year+month", "shop")
    assert [len(values) for values in panel.values] == [30, 30]


def test_years_that_do_not_repeat_need_no_month() -> None:
    panel = understood({"year": np.arange(1990, 2010), "month": np.full(20, 7)})
    assert panel.roles.time == "year"


def test_a_year_comes_before_what_only_counts() -> None:
    panel = understood({"TIME": np.arange(1, 26), "YEAR": np.arange(1951, 1976)})
    assert (panel.roles.time, panel.roles.target) == ("YEAR", ("sold",))


@pytest.mark.parametrize(
    ("columns", "time", "words"),
    [
        ({"year": [2001, 2001], "month": [12, 13]}, "year+month", "row 2, column 'month': 13 is no month of 2001"),
        ({"year": [2001, 2001], "quarter": [1.5, 2]}, "year+quarter", "row 1, column 'quarter': 1.5 is no quarter"),
        (
            {"year": [2001, 2001], "month": [1, 2], "day": [31, 29]},
            "year+month+day",
            "row 2, column 'day': 29 is no day of 2001-02",
        ),
        ({"year": [2001, 2001], "day": [1, 2]}, "year+day", "make no time together; expected columns such as"),
        ({"year": [2001, 2001], "day": [1, 2]}, "year+month", "has no column 'year+month'"),
    ],
)
def test_columns_that_make_no_time_together_are_refused(columns: dict[str, Any], time: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        read_times(Table.from_arrays(columns), time)
    assert words in str(refused.value)


def test_two_columns_that_name_the_series_together_make_one_question() -> None:
    days = np.tile(DAYS[:10].to_numpy(), 4)
    columns = {"date": days, "store": np.repeat(["n", "n", "s", "s"], 10), "item": np.repeat(["x", "y", "x", "y"], 10)}
    with pytest.raises(
        InputError, match=r"is 'store\+item', both columns together, the id .* Expected --id store\+item"
    ):
        understood(columns)
    panel = Panel.from_table(Table.from_arrays({**columns, "sold": np.arange(40.0)}), id="store+item")
    assert panel.ids == ("n+x", "n+y", "s+x", "s+y")
    np.testing.assert_array_equal(panel.values[2], np.arange(20.0, 30.0))


@pytest.mark.parametrize(
    ("times", "name", "cells"),
    [
        (QUARTERS[:5], "year+quarter", {"year": [2001] * 3 + [2002] * 2, "quarter": [2, 3, 4, 1, 2]}),
        (MONTHS[9:12], "Year+Month", {"Year": [2001, 2002, 2002], "Month": [12, 1, 2]}),
        (DAYS[11:13], "year+month+day", {"year": [2023, 2024], "month": [12, 1], "day": [31, 1]}),
        (HOURS[47:49], "date+hr", {"date": ["2023-12-31", "2024-01-01"], "hr": [23, 0]}),
    ],
)
def test_the_times_of_a_forecast_stand_in_the_columns_that_the_data_had(
    times: pd.DatetimeIndex, name: str, cells: dict[str, list[Any]]
) -> None:
    moments = times.to_numpy().astype("datetime64[us]")
    assert parts_of_times(moments, name) == cells
    whole = Table.from_arrays(cells)  # and are read again as what they were
    assert (read_times(whole, name) == moments).all()


def test_a_single_column_of_times_has_no_parts_whatever_its_name() -> None:
    moments = DAYS.to_numpy().astype("datetime64[us]")
    assert parts_of_times(moments, "day") == {}
    assert parts_of_times(moments, "sun+moon") == {}
    assert parts_of_times(np.arange(3.0), "year+month") == {}
