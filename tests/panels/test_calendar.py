"""Frequency: how times follow each other, and which come next. The oracle is pandas' calendar."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.data import Frequency
from longlag.errors import InputError

NAMES = {
    "D": "daily",
    "3D": "every 3 days",
    "W": "weekly (Sundays)",
    "W-WED": "weekly (Wednesdays)",
    "2W": "every 2 weeks (Sundays)",
    "MS": "monthly (month starts)",
    "ME": "monthly (month ends)",
    "2MS": "every 2 months (month starts)",
    "BME": "monthly (last weekday of the month)",
    "BMS": "monthly (first weekday of the month)",
    "QS": "quarterly (month starts)",
    "QE-FEB": "quarterly (month ends)",
    "BQE": "quarterly (last weekday of the month)",
    "YS": "yearly (month starts)",
    "YE": "yearly (month ends)",
    "B": "weekdays",
    "h": "hourly",
    "3h": "every 3 hours",
    "30min": "every 30 minutes",
    "15min": "every 15 minutes",
    "min": "every minute",
    "10s": "every 10 seconds",
    "s": "every second",
    "ms": "every millisecond",
}


def through_json(frequency: Frequency | None) -> Frequency:
    assert frequency is not None
    return Frequency(**json.loads(json.dumps(dataclasses.asdict(frequency))))


def days(*dates: str) -> np.ndarray:
    return np.array(dates, dtype="datetime64[D]")


@pytest.mark.parametrize("frequency", NAMES)
@pytest.mark.parametrize("start", ["2019-01-31", "2023-11-30", "2024-02-28 07:15"])
def test_times_go_on_as_pandas_has_them(frequency: str, start: str) -> None:
    times = pd.date_range(start, periods=60, freq=frequency)
    understood = through_json(Frequency.of(times[:-12].to_numpy()))
    assert understood.name() == NAMES[frequency]
    assert list(pd.DatetimeIndex(understood.after(times[-13].to_datetime64(), 12))) == list(times[-12:])


@given(
    frequency=st.sampled_from(sorted(NAMES)),
    start=st.datetimes(min_value=pd.Timestamp("1950-01-01"), max_value=pd.Timestamp("2060-01-01")).map(
        lambda time: time.replace(microsecond=0)
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_missing_times_and_disorder_hide_no_frequency(frequency: str, start: Any, seed: int) -> None:
    times = pd.date_range(start, periods=90, freq=frequency).to_numpy()
    rng = np.random.default_rng(seed)
    some = rng.permutation(np.concatenate([[0], rng.choice(np.arange(1, 79), 64, replace=False), [79]]))
    understood = through_json(Frequency.of(times[some]))
    np.testing.assert_array_equal(understood.after(times[79], 10), times[80:])
    position = understood.positions(times, np.full(90, times[0]))
    np.testing.assert_array_equal(position, np.arange(90))
    np.testing.assert_array_equal(understood.at(times[0], position), times)


@pytest.mark.parametrize(
    ("times", "name", "following"),
    [
        (days("2001-01-30", "2001-02-28", "2001-03-30"), "monthly (day 30)", ["2001-04-30", "2001-05-30"]),
        (days("2001-01-15", "2001-02-15"), "monthly (day 15)", ["2001-03-15", "2001-04-15"]),
        (days("2020-02-29", "2021-02-28", "2022-02-28"), "yearly (month ends)", ["2023-02-28", "2024-02-29"]),
        # Days of a month that vary: reports of about the fourth.
        (
            days("2001-01-03", "2001-02-05", "2001-03-02", "2001-04-04", "2001-05-04"),
            "monthly (day 4)",
            ["2001-06-04", "2001-07-04"],
        ),
        # Every 28 days, which a step in months would fit for a while.
        (days("2001-01-01", "2001-01-29", "2001-02-26", "2001-03-26"), "every 4 weeks (Mondays)", ["2001-04-23"]),
        (days("2001-01-15", "2001-02-14", "2001-03-16", "2001-04-15"), "every 30 days", ["2001-05-15", "2001-06-14"]),
        (days("2001-01-04", "2001-01-05", "2001-01-08"), "weekdays", ["2001-01-09"]),
        (days("2001-01-04", "2001-01-05", "2001-01-06"), "daily", ["2001-01-07"]),
        (np.array(["2001-10", "2001-11", "2002-02"], dtype="datetime64[M]"), "monthly", ["2002-03", "2002-04"]),
        (np.array(["2001", "2003", "2005"], dtype="datetime64[Y]"), "every 2 years", ["2007", "2009"]),
    ],
    ids=str,
)
def test_dates_near_each_other_are_told_apart(times: np.ndarray, name: str, following: list[str]) -> None:
    understood = through_json(Frequency.of(times))
    assert understood.name() == name
    assert [str(time) for time in understood.after(times[-1], len(following))] == following
    assert [str(time) for time in understood.after(str(times[-1]), len(following))] == following


def test_the_first_weekday_after_a_weekend_is_a_monday() -> None:
    weekdays = Frequency("B", 1, "1111100")
    for last in ("2024-01-05", "2024-01-06", "2024-01-07"):
        assert [str(time) for time in weekdays.after(last, 2)] == ["2024-01-08", "2024-01-09"]


def test_shops_that_close_on_sundays_are_open_on_the_next_monday() -> None:
    times = np.arange("2024-01-01", "2024-03-03", dtype="datetime64[D]")
    times = times[(times.astype(np.int64) + 3) % 7 != 6]
    understood = through_json(Frequency.of(times))
    assert understood.name() == "daily (Mondays, Tuesdays, Wednesdays, Thursdays, Fridays, Saturdays)"
    assert understood.seasons() == (6,)
    assert [str(time) for time in understood.after(times[-1], 2)] == ["2024-03-04", "2024-03-05"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Europe/London"])
def test_local_midnights_in_utc_are_daily_through_both_changes_of_the_clocks(zone: str) -> None:
    times = pd.date_range("2023-01-01", "2023-12-31", freq="D", tz=zone).tz_convert("UTC").tz_localize(None)
    assert through_json(Frequency.of(times.to_numpy())).name() == "daily"


def test_a_clock_that_is_seconds_off_is_read_to_the_half_hour() -> None:
    times = np.datetime64("2024-01-01T00:00:00") + np.arange(48) * np.timedelta64(30, "m")
    late = times + np.random.default_rng(0).integers(0, 40, 48).astype("timedelta64[s]")
    assert through_json(Frequency.of(late)).name() == "every 30 minutes"


@pytest.mark.parametrize(
    ("times", "name", "following"),
    [
        ([1.0, 2.0, 3.0], "every 1", [4, 5]),
        ([0.0, 0.1, 0.2, 0.30000000000000004, 0.5], "every 0.1", [0.6, 0.7]),
        ([1960.0, 1960.25, 1960.5, 1960.75], "every 0.25", [1961.0, 1961.25]),
        ([10.0, 12.5, 15.0], "every 2.5", [17.5, 20.0]),
        ([0, 3600, 7200, 14400], "every 3600", [18000, 21600]),
        (np.arange(100) / 3, "every 0.333333333333", [33.333333333333, 33.666666666667]),
    ],
    ids=str,
)
def test_numbers_go_on_by_their_step(times: Any, name: str, following: list[float]) -> None:
    understood = through_json(Frequency.of(np.asarray(times)))
    assert understood.name() == name
    assert understood.after(times[-1], 2).tolist() == pytest.approx(following, abs=1e-9)


@pytest.mark.parametrize(
    "times",
    [
        np.array([1.0, 2.7, 9.1]),
        np.array([1.0]),
        np.array([], dtype="datetime64[D]"),
        np.array([1.0, np.nan, 3.0]),
        days("2001-01-01", "2001-01-03", "2001-03-18", "2001-07-09", "2003-01-02"),
        np.array(["2001-01-01T00:00", "2001-01-01T01:07", "2001-01-01T09:12"], dtype="datetime64[m]"),
    ],
    ids=str,
)
def test_uneven_times_have_no_frequency(times: np.ndarray) -> None:
    assert Frequency.of(times) is None


@pytest.mark.parametrize(
    ("frequency", "seasons"),
    [
        (Frequency("Y"), (1,)),
        (Frequency("Q", 1, 31), (4,)),
        (Frequency("M", 1, 1), (12,)),
        (Frequency("M", 2, 1), (6,)),
        (Frequency("W", 1, 0), (52,)),
        (Frequency("W", 2, 0), (26,)),
        (Frequency("D"), (7,)),
        (Frequency("D", 2), ()),
        (Frequency("B", 1, "1111100"), (5,)),
        (Frequency("h"), (24, 168)),
        (Frequency("h", 6), (4, 28)),
        (Frequency("m", 30), (48, 336)),
        (Frequency("m", 1), (1440, 10080)),
        (Frequency("m", 7), (1440,)),
        (Frequency("s"), (60, 3600)),
        (Frequency(None, 1), ()),
    ],
    ids=str,
)
def test_seasons_are_those_of_the_calendar_in_steps(frequency: Frequency, seasons: tuple[int, ...]) -> None:
    assert frequency.seasons() == seasons
    assert frequency.season() == (seasons[0] if seasons else None)


@pytest.mark.parametrize(
    "parts",
    [
        ("parsec", 1, None),
        (["D"], 1, None),
        ("D", 1.5, None),
        ("D", 0, None),
        ("D", 2**70, None),
        ("D", None, None),
        ("D", True, None),
        ("D", 1, 3),
        ("M", 1, 0),
        ("M", 1, 32),
        ("M", 1, "middle"),
        ("W", 1, None),
        ("W", 1, 7),
        ("B", 1, "0000000"),
        ("B", 1, "11111"),
        (None, float("nan"), None),
        (None, -1, None),
        (None, "1", None),
    ],
    ids=str,
)
def test_parts_that_are_no_frequency_are_refused(parts: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        Frequency(*parts)


@pytest.mark.parametrize("last", ["now", "NaT", "x", None, np.datetime64("NaT"), float("nan"), 3, [2001]], ids=str)
def test_what_is_no_date_has_no_next_one(last: Any) -> None:
    with pytest.raises(InputError, match=r"the last time is .*; expected a"):
        Frequency("M", 1, 31).after(last, 1)


def test_times_beyond_the_calendar_are_refused_instead_of_wrapping_around() -> None:
    for frequency in (Frequency("Y"), Frequency("D", 10_000), Frequency("B", 1, "1111100")):
        with pytest.raises(InputError, match="beyond the year 9999"):
            frequency.after("2001-01-01", 10**7)
