"""Times that come after the last one, as they are written."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from longlag.data import Frequency, Panel, Table
from longlag.errors import InputError
from longlag.panels.times import written_times


def ahead(times: object, steps: int = 3) -> list[object]:
    """The next times, by way of the run's JSON."""
    known = np.asarray(times)
    frequency = Frequency.of(known)
    assert frequency is not None
    again = Frequency(**json.loads(json.dumps(dataclasses.asdict(frequency))))
    last = known[-1] if known.dtype.kind == "M" else known[-1].item()
    return written_times(again.after(last, steps), again)


@pytest.mark.parametrize(
    "frequency", ["D", "3D", "W", "MS", "2MS", "QS", "YS", "ME", "QE", "YE", "h", "15min", "s", "ms"]
)
@pytest.mark.parametrize("start", ["2019-01-31", "2023-11-30", "2024-02-28"])
def test_dates_go_on_as_pandas_has_them(frequency: str, start: str) -> None:
    dates = pd.date_range(start, periods=40, freq=frequency)
    written = [pd.Timestamp(str(time)) for time in ahead(dates[:-3].to_numpy().astype("datetime64[us]"))]
    assert written == list(dates[-3:])


@pytest.mark.parametrize("frequency", ["D", "W", "MS", "ME", "YE"])
def test_dates_without_a_time_of_day_go_on_without(frequency: str) -> None:
    dates = pd.date_range("2019-05-31", periods=30, freq=frequency)
    assert ahead(dates[:-3].to_numpy().astype("datetime64[D]")) == [str(date.date()) for date in dates[-3:]]


def test_the_middle_of_each_month_goes_on_to_the_next() -> None:
    days = [f"{2001 + month // 12}-{month % 12 + 1:02d}-15" for month in range(14)]
    assert ahead(np.array(days, dtype="datetime64[D]"), 2) == ["2002-03-15", "2002-04-15"]


def test_a_day_that_a_month_does_not_have_is_its_last() -> None:
    days = np.array(["2001-10-30", "2001-11-30", "2001-12-30"], dtype="datetime64[D]")
    assert ahead(days, 3) == ["2002-01-30", "2002-02-28", "2002-03-30"]


def test_months_go_on_as_months() -> None:
    assert ahead(np.arange("1999-10", "2001-12", dtype="datetime64[M]"), 2) == ["2001-12", "2002-01"]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1.0, 2.0, 3.0], [4, 5, 6]),
        ([0.0, 0.1, 0.2, 0.30000000000000004], [0.4, 0.5, 0.6]),
        ([10.0, 12.5, 15.0], [17.5, 20, 22.5]),
        ([1700.0, 1701.0], [1702, 1703, 1704]),
    ],
)
def test_numbers_go_on_by_their_step(times: list[float], expected: list[float]) -> None:
    assert ahead(times) == expected


@pytest.mark.parametrize(
    "times",
    [
        np.array([1.0, 2.0, 4.0]),
        np.array([1.0]),
        np.array(["2001-01-01", "2001-01-02", "2001-01-04"], dtype="datetime64[D]"),
        np.array(["2001-01-01T00:00", "2001-01-01T01:00", "2001-01-01T03:00"], dtype="datetime64[us]"),
        np.array(["2001-01", "2001-02", "2001-04"], dtype="datetime64[M]"),
        np.array(["2001-01-31", "2001-02-28", "2001-04-30"], dtype="datetime64[D]"),
        np.array(["2001-01-05", "2001-01-06", "2001-01-08", "2001-01-09"], dtype="datetime64[D]"),
    ],
    ids=str,
)
def test_uneven_times_do_not_go_on_unasked(times: np.ndarray) -> None:
    if len(times) < 2:
        assert Frequency.of(times) is None
        return
    with pytest.raises(InputError, match="expected"):
        Panel.from_arrays(np.arange(float(len(times))), times, gaps="refuse")


@pytest.mark.parametrize(
    "parts",
    [
        ("x", 1, "D"),
        ("2001-01-01", 1, "parsec"),
        ("2001-01-01", 1, ["D"]),
        ("2001-01-01", 1.5, "D"),
        ("2001-01-01", None, "D"),
        ("2001-01-01", 2**70, "D"),
        ("2001-01-01", 1, None),
        (1.0, "1", None),
        (float("nan"), 1.0, None),
        (True, 1, None),
        (7, 1, "M"),
        (None, 1, "M"),
        ([2001], 1, "M"),
    ],
    ids=str,
)
def test_parts_that_are_no_times_are_refused(parts: Any) -> None:
    last, step, unit = parts
    with pytest.raises(InputError, match="expected"):
        Frequency(unit, step).after(last, 1)


def test_times_are_numbers_or_dates_as_the_column_has_them() -> None:
    days = np.array(["2001-01-01", "2001-01-02"], dtype="datetime64[D]")
    table = Table.from_arrays({"number": [1, 2], "day": days})
    assert table.times("number").tolist() == [1.0, 2.0]
    assert table.times("day").dtype == days.dtype


@pytest.mark.parametrize(
    ("times", "frequency", "written"),
    [
        (["2001-01-31T00:00", "2001-02-28T00:00"], Frequency("M", 1, 31), ["2001-01-31", "2001-02-28"]),
        (["2001-01-31T00:00"], Frequency("h"), ["2001-01-31T00:00:00"]),
        (["2001-01-31T00:00", "2001-01-31T12:30"], None, ["2001-01-31T00:00:00", "2001-01-31T12:30:00"]),
        (["2001-01-31T00:00:00.5"], Frequency("ms", 500), ["2001-01-31T00:00:00.500000"]),
    ],
    ids=str,
)
def test_times_are_written_without_what_they_do_not_have(times: Any, frequency: Any, written: list[str]) -> None:
    assert written_times(np.array(times, dtype="datetime64[us]"), frequency) == written


def test_months_years_and_numbers_are_written_as_such() -> None:
    assert written_times(np.array(["2001-01"], dtype="datetime64[M]"), Frequency("M")) == ["2001-01"]
    assert written_times(np.array(["2001"], dtype="datetime64[Y]")) == ["2001"]
    assert written_times(np.array([0.1 + 0.2, 4.0])) == [0.3, 4]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_whole_seconds_are_written_as_such_whatever_the_unit_they_came_in(unit: str) -> None:
    hours = np.array(["2010-05-06T01:00", "2010-05-06T02:00"], dtype=f"datetime64[{unit}]")
    assert written_times(hours, Frequency("h")) == ["2010-05-06T01:00:00", "2010-05-06T02:00:00"]
