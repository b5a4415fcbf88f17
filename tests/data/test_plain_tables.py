"""Sixteen tables as people have them: understood without another word, or answered with one precise question."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longlag.data import Panel, read_table
from longlag.errors import InputError

VALUES = [round(100 + 10 * float(np.sin(step)) + step, 2) for step in range(40)]
MONTHS = pd.date_range("1949-01-01", periods=40, freq="MS")
DAYS = pd.date_range("2012-01-25", periods=40)
WEEKDAYS = pd.date_range("2024-01-01", periods=40, freq="B")
BERLIN = pd.date_range("2012-10-27 12:00", periods=40, freq="h", tz="Europe/Berlin")


def lines(header: str, pattern: str, *columns: Iterable[object]) -> list[str]:
    return [header, *(pattern.format(*cells) for cells in zip(*columns, strict=True))]


UNDERSTOOD: dict[str, tuple[list[str], str, list[str], str]] = {
    # the lines of the file; then what is to be understood: frequency, names of the series, first time
    "months": (
        lines("Month,#Passengers", "{:%Y-%m},{}", MONTHS, VALUES),
        *("monthly", ["#Passengers"], "1949-01"),
    ),
    "what pandas writes": (
        lines(",date,sales", "{},{:%Y-%m-%d},{}", range(40), DAYS, VALUES),
        *("daily", ["sales"], "2012-01-25"),
    ),
    "what R writes": (
        lines('"","year","lynx"', '"{}",{},{}', range(1, 41), range(1821, 1861), VALUES),
        *("yearly", ["lynx"], "1821"),
    ),
    "semicolons, decimal commas and dates with points": (
        lines("Datum;Umsatz", "{:%d.%m.%Y};{}", DAYS, [str(value).replace(".", ",") for value in VALUES]),
        *("daily", ["Umsatz"], "2012-01-25"),
    ),
    "American dates": (
        lines("Date,Value", "{0.month}/{0.day}/{0:%y},{1}", DAYS, VALUES),
        *("daily", ["Value"], "2012-01-25"),
    ),
    "quarters": (
        lines("quarter,gdp", "{0.year}Q{0.quarter},{1}", pd.period_range("1990Q1", periods=40, freq="Q"), VALUES),
        *("quarterly", ["gdp"], "1990-01"),
    ),
    "a long table by the names that everybody uses": (
        lines("unique_id,ds,y", "{},{:%Y-%m-%d},{}", "b" * 40 + "a" * 40, [*DAYS, *DAYS], VALUES + VALUES),
        *("daily", ["a", "b"], "2012-01-25"),
    ),
    "two shops on each day": (
        lines("day,shop,sold", "{:%Y-%m-%d},{},{}", DAYS.repeat(2), ["north", "south"] * 40, VALUES + VALUES),
        *("daily", ["north", "south"], "2012-01-25"),
    ),
    "a year and a month": (
        lines("year,month,births", "{0.year},{0.month},{1}", MONTHS, VALUES),
        *("monthly", ["births"], "1949-01"),
    ),
    "seconds since 1970": (
        lines("timestamp,load", "{},{}", range(1_400_000_400, 1_400_072_400, 1800), VALUES),
        *("every 30 minutes", ["load"], "2014-05-13T17:00"),
    ),
    "local times with offsets through the change of the clocks": (
        lines("time,temperature", "{},{}", [time.isoformat() for time in BERLIN], VALUES),
        *("hourly", ["temperature"], "2012-10-27T10:00"),
    ),
    "values alone": (lines("flow", "{}", VALUES), *("every 1", ["flow"], "1")),
    "prices, the newest first": (
        lines("Date,Close", "{:%Y-%m-%d},{}", WEEKDAYS, VALUES)[:1]
        + lines("", "{:%Y-%m-%d},{}", WEEKDAYS[::-1], VALUES)[1:],
        *("weekdays", ["Close"], "2024-01-01"),
    ),
    "a column for each year": (
        lines(
            "Country,Code," + ",".join(map(str, range(1960, 2000))),
            "{0},{0:.2},{1}",
            ["Aruba", "Chad", "Fiji"],
            [",".join(map(str, VALUES))] * 3,
        ),
        *("yearly", ["Aruba", "Chad", "Fiji"], "1960"),
    ),
}
ASKED = {
    "the weather": (
        lines("date,temperature,rain,wind", "{:%Y-%m-%d},{},0.1,3", DAYS, VALUES),
        "3 columns of numbers, 'temperature', 'rain', 'wind': which is to be forecast? Expected --target",
    ),
    "countries below each other": (
        lines("country,gdp", "{},{}", "x" * 20 + "y" * 20, VALUES),
        "column 'country' has 2 values in blocks: do several series stand below each other? Expected --id country",
    ),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_plain_table_is_understood_without_another_word(name: str, tmp_path: Path) -> None:
    text, frequency, ids, first = UNDERSTOOD[name]
    path = tmp_path / "plain.csv"
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    panel = Panel.from_table(read_table(path))
    assert panel.frequency is not None
    assert panel.frequency.name() == frequency
    assert list(panel.ids) == ids
    assert [len(values) for values in panel.values] == [40] * len(ids)
    assert str(panel.times[0][0]).startswith(first)
    expected = VALUES if "newest" not in name else VALUES[::-1]
    if "shops" not in name:
        np.testing.assert_array_equal(panel.values[0], expected)


@pytest.mark.parametrize("name", ASKED)
def test_a_table_that_may_be_two_things_is_answered_with_one_precise_question(name: str, tmp_path: Path) -> None:
    text, question = ASKED[name]
    path = tmp_path / "plain.csv"
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        Panel.from_table(read_table(path))
    assert question in str(refused.value)
