"""Calendar features: where in its cycles a time stands. The oracle is the standard library's and pandas' calendar."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from longlag.data import Frequency, calendar_features, calendar_names
from longlag.errors import InputError

FREQUENCIES = {"h": "h", "30min": "m", "D": "D", "B": "B", "W": "W", "ME": "M", "QE": "Q", "s": "s", "YE": "Y"}


@pytest.mark.parametrize("name", FREQUENCIES)
def test_sine_and_cosine_are_the_angle_of_each_cycle(name: str) -> None:
    times = pd.date_range("2023-11-28 05:30", periods=200, freq=name)
    frequency = Frequency.of(times.to_numpy())
    assert frequency is not None
    assert frequency.unit == FREQUENCIES[name]
    columns = dict(zip(calendar_names(frequency), calendar_features(times.to_numpy(), frequency).T, strict=True))
    midnight = times.normalize()
    day = (times - midnight) / pd.Timedelta(days=1)
    gone = {
        "hour": (times - times.floor("h")) / pd.Timedelta(hours=1),
        "day": day,
        "week": (times.weekday + day) / 7,
        "month": (times.day - 1 + day) / times.days_in_month,
        "year": (times.dayofyear - 1 + day) / np.where(times.is_leap_year, 366, 365),
    }
    for cycle, share in gone.items():
        if f"{cycle} sine" in columns:
            np.testing.assert_allclose(columns[f"{cycle} sine"], np.sin(2 * np.pi * share), atol=1e-12)
            np.testing.assert_allclose(columns[f"{cycle} cosine"], np.cos(2 * np.pi * share), atol=1e-12)
    if "weekend" in columns:
        np.testing.assert_array_equal(columns["weekend"], times.weekday >= 5)


@pytest.mark.parametrize(
    ("frequency", "names"),
    [
        (Frequency("Y", 1, 1), ()),
        (Frequency("M", 1, 31), ("year sine", "year cosine")),
        (Frequency("B", 1, "1111100"), ("week", "month", "year")),
        (Frequency("h"), ("day", "week", "month", "year", "weekend")),
        (Frequency("m", 15), ("hour", "day", "week", "month", "year", "weekend")),
    ],
    ids=str,
)
def test_a_step_has_the_cycles_that_it_is_a_part_of(frequency: Frequency, names: tuple[str, ...]) -> None:
    cycles = dict.fromkeys(name.removesuffix(" sine").removesuffix(" cosine") for name in calendar_names(frequency))
    assert tuple(cycles) == tuple(dict.fromkeys(name.partition(" ")[0] for name in names))


def test_public_holidays_are_those_of_the_country_and_its_part() -> None:
    pytest.importorskip("holidays")
    times = np.arange("2024-01-01", "2025-01-01", dtype="datetime64[D]")

    def holidays(country: str) -> list[dt.date]:
        return times[calendar_features(times, Frequency("D"), country)[:, -1] == 1].tolist()

    germany = holidays("DE")
    assert dt.date(2024, 10, 3) in germany
    assert dt.date(2024, 1, 6) not in germany
    assert len(germany) == 9
    assert dt.date(2024, 1, 6) in holidays("DE-BY")
    assert calendar_names(Frequency("D"), "DE")[-1] == "holiday"
    hours = np.arange("2024-12-24T22", "2024-12-25T02", dtype="datetime64[h]").astype("datetime64[us]")
    assert calendar_features(hours, Frequency("h"), "US")[:, -1].tolist() == [0, 0, 1, 1]


def test_what_has_no_calendar_is_refused() -> None:
    days = np.arange("2024-01-01", "2024-01-05", dtype="datetime64[D]")
    with pytest.raises(InputError, match="expected dates"):
        calendar_features(np.arange(3.0), Frequency("D"))
    with pytest.raises(InputError, match="times of the series are numbers; expected dates"):
        calendar_names(Frequency(None, 1))
    with pytest.raises(InputError, match="expected steps of a day or less for holidays"):
        calendar_features(days, Frequency("M", 1, 1), "DE")


@pytest.mark.parametrize("country", ["Atlantis", "US-Atlantis", ""])
def test_a_country_that_the_package_does_not_know_is_refused_in_a_sentence(country: str) -> None:
    pytest.importorskip("holidays")
    days = np.arange("2024-01-01", "2024-01-05", dtype="datetime64[D]")
    with pytest.raises(InputError, match="no country that the package knows"):
        calendar_features(days, Frequency("D"), country)
