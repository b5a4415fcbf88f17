"""Dates as people write them: each form has its values, the whole column decides, and what stays open is refused."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.data import Table, TableFormat, read_csv
from longlag.errors import InputError


def column(folder: Path, cells: Sequence[str], **form: Any) -> Table:
    """A file with the cells, from line 2 on, in column 'when', and numbers beside them."""
    path = folder / "data.csv"
    path.write_text("when,y\n" + "".join(f'"{cell}",{row}\n' for row, cell in enumerate(cells)), encoding="utf-8")
    return read_csv(path, form=TableFormat(**form))


def months(year: int, count: int) -> list[str]:
    """The first days of months."""
    return [f"{year + month // 12}-{1 + month % 12:02d}-01" for month in range(count)]


FORMS: dict[str, tuple[list[str], list[str], str]] = {
    "ISO days": (["2012-01-31", "2012-02-29"], ["2012-01-31", "2012-02-29"], ""),
    "ISO times": (["2012-01-31T23:59:58", "2012-02-29T00:00:00"], ["2012-01-31T23:59:58", "2012-02-29"], ""),
    "ISO without seconds": (["2012-01-31 23:59", "2012-02-29 00:00"], ["2012-01-31T23:59", "2012-02-29"], ""),
    "ISO fractions": (
        ["2012-01-31 00:00:00.25", "2012-02-29 00:00:01,5"], ["2012-01-31T00:00:00.250", "2012-02-29T00:00:01.500"], "",
    ),
    "nanoseconds": (["2012-01-31 00:00:00.000000001"], ["2012-01-31T00:00:00.000000001"], ""),
    "ISO without zeros": (["2012-1-31", "2012-2-9"], ["2012-01-31", "2012-02-09"], ""),
    "basic ISO": (["20120131T235958Z", "20120229T000000Z"], ["2012-01-31T23:59:58", "2012-02-29"], ""),
    "year/month/day": (["2012/01/31", "2012/2/9"], ["2012-01-31", "2012-02-09"], ""),
    "year.month.day": (["2012.01.31", "2012.02.29"], ["2012-01-31", "2012-02-29"], ""),
    "day.month.year": (["01.02.2012", "3.4.2012"], ["2012-02-01", "2012-04-03"], ""),
    "day.month.year and a time": (["31.01.2012 14:05", "01.02.2012 24:00"], ["2012-01-31T14:05", "2012-02-02"], ""),
    "day.month.short year": (["31.1.49", "1.2.12"], ["1949-01-31", "2012-02-01"], "two-digit years are 1930 to 2029"),
    "month/day/year": (["1/31/12", "2/1/12"], ["2012-01-31", "2012-02-01"], "the month comes first"),
    "day/month/year": (["31/1/12", "1/2/12"], ["2012-01-31", "2012-02-01"], "the day comes first"),
    "month-day-year": (["01-31-2012", "02-01-2012"], ["2012-01-31", "2012-02-01"], "the month comes first"),
    "month/day/year and a time": (
        ["1/31/2012 2:05 PM", "2/1/2012 12:00:30 am"], ["2012-01-31T14:05", "2012-02-01T00:00:30"], "the month",
    ),
    "first days of 13 months": (
        [f"{month}/1/2012" for month in range(1, 13)] + ["1/1/2013"], months(2012, 13), "the month comes first",
    ),
    "the same either way": (["1/1/2012", "2/2/2012"], ["2012-01-01", "2012-02-02"], ""),
    "day-name-year": (["01-Jan-2012", "29-feb-2012"], ["2012-01-01", "2012-02-29"], ""),
    "day name year": (["1 January 2012", "29 Sept 2012"], ["2012-01-01", "2012-09-29"], ""),
    "SAS": (["01JAN2012", "29FEB2012"], ["2012-01-01", "2012-02-29"], ""),
    "day-name-short year": (["01-Jan-70", "29-Feb-12"], ["1970-01-01", "2012-02-29"], "two-digit years"),
    "name day, year": (["Jan 1, 2012", "February 29, 2012"], ["2012-01-01", "2012-02-29"], ""),
    "mail": (
        ["Sun, 01 Jan 2012 10:00:00 +0100", "Wed, 29 Feb 2012 00:00:00 GMT"], ["2012-01-01T09:00", "2012-02-29"],
        "read in UTC",
    ),
    "year-name-day": (["2012-Jan-01", "2012-Feb-29"], ["2012-01-01", "2012-02-29"], ""),
    "months": (["2006-01", "2006-12"], ["2006-01", "2006-12"], ""),
    "name year": (["Jan 2006", "December 2006"], ["2006-01", "2006-12"], ""),
    "name-short year": (["Jan-49", "Dec-60"], ["1949-01", "1960-12"], "two-digit years are 1930 to 2029"),
    "year name": (["2006 Jan", "2006 Dec"], ["2006-01", "2006-12"], ""),
    "year/month": (["2006/1", "2006/12"], ["2006-01", "2006-12"], ""),
    "month/year": (["1/2006", "12/2006"], ["2006-01", "2006-12"], ""),
    "Eurostat's months": (["2006M01", "2006M12"], ["2006-01", "2006-12"], ""),
    "quarters": (["2006Q1", "2006Q4"], ["2006-01", "2006-10"], ""),
    "quarters of Eurostat": (["2006-Q1", "2006-Q4"], ["2006-01", "2006-10"], ""),
    "quarters first": (["Q1 2006", "Q4/2006"], ["2006-01", "2006-10"], ""),
    "quarters of a short year": (["1Q06", "4Q06"], ["2006-01", "2006-10"], "two-digit years"),
    "UTC": (["2012-03-25T01:30:00Z", "2012-03-25 02:30 UTC"], ["2012-03-25T01:30", "2012-03-25T02:30"], ""),
    "offsets that change with daylight saving": (
        ["2012-03-25T01:30:00+01:00", "2012-03-25T03:30:00+0200", "2012-10-28 02:30+02", "2012-10-28 02:30:00+01:00"],
        ["2012-03-25T00:30", "2012-03-25T01:30", "2012-10-28T00:30", "2012-10-28T01:30"], "read in UTC",
    ),
    "midnights of a zone": (
        ["2012-03-24T00:00:00+01:00", "2012-03-26T00:00:00+02:00"], ["2012-03-24", "2012-03-26"], "read as its days",
    ),
    "a missing one": (["2012-01-31", "NA"], ["2012-01-31", "NaT"], ""),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "dates", "note"), FORMS.values(), ids=FORMS)
def test_each_form_of_dates_has_its_values(tmp_path: Path, cells: list[str], dates: list[str], note: str) -> None:
    table = column(tmp_path, cells)
    assert table.kind("when") == "date"
    np.testing.assert_array_equal(table.columns["when"], np.array(dates, dtype="datetime64[ns]"))
    joined = "; ".join(table.notes)
    assert note in joined
    assert bool(note) == bool(table.notes)


@pytest.mark.parametrize(
    ("cells", "unit"),
    [(["2012-01"], "M"), (["2012Q1"], "M"), (["2012-01-01"], "D"), (["1.1.2012"], "D"), (["2012-01-01 00:00"], "us")],
)
def test_months_are_months_days_are_days_and_times_are_times(tmp_path: Path, cells: list[str], unit: str) -> None:
    assert column(tmp_path, cells).dates("when").dtype == f"datetime64[{unit}]"


STRFTIME = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d-%b-%Y", "%B %d, %Y", "%d %b %Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
            "%m/%d/%Y %I:%M %p", "%Y%m%dT%H%M%S", "%Y-%m-%d %H:%M:%S.%f", "%a, %d %b %Y %H:%M:%S"]  # fmt: skip


@given(
    moments=st.lists(st.datetimes(*map(datetime.datetime.fromisoformat, ("1000-01-01", "2999-12-31"))), max_size=9),
    form=st.sampled_from(STRFTIME),
)
def test_dates_are_those_that_pandas_reads(
    tmp_path_factory: pytest.TempPathFactory, moments: list[datetime.datetime], form: str
) -> None:
    # With the 31st nothing is left open.
    cells = [moment.strftime(form) for moment in [datetime.datetime.fromisoformat("2012-01-31"), *moments]]
    expected = pd.to_datetime(pd.Series(cells), format=form).to_numpy()
    np.testing.assert_array_equal(column(tmp_path_factory.getbasetemp(), cells).dates("when"), expected)


# -- what stays open, and what is none -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "row", "options"),
    [
        (["1/2/12", "3/4/12"], 2, ("'%d/%m/%y'", "'%m/%d/%y'")),
        (["2-2-2012", "3-4-2012"], 3, ("'%d-%m-%Y'", "'%m-%d-%Y'")),
        (["1/2/2012 10:00", "3/4/2012 11:00"], 2, ("'%d/%m/%Y %H:%M'", "'%m/%d/%Y %H:%M'")),
        (["2/1/12", "3/2/12", "4/1/12", "5/1/12"], 2, ("'%d/%m/%y'", "'%m/%d/%y'")),  # each 30 days, by chance
        ([f"{month}/1/2012" for month in range(1, 13)], 3, ("'%d/%m/%Y'", "'%m/%d/%Y'")),
    ],
)
def test_a_column_that_does_not_decide_is_refused_with_the_options(
    tmp_path: Path, cells: list[str], row: int, options: tuple[str, ...]
) -> None:
    table = column(tmp_path, cells)
    assert table.kind("when") == "text"
    with pytest.raises(InputError) as caught:
        table.dates("when")
    message = str(caught.value)
    assert f"line {row}, column 'when': the cell reads {cells[row - 2]!r}" in message
    assert "which may be day/month or month/day, and the column does not decide" in message
    assert message.endswith(f"; expected --date-format {options[0]} or --date-format {options[1]}")
    by_day, by_month = (column(tmp_path, cells, date_format=option.strip("'")) for option in options)
    assert [by_day.kind("when"), by_month.kind("when")] == ["date", "date"]
    assert (by_day.dates("when") != by_month.dates("when")).any()


@pytest.mark.parametrize(
    ("cells", "row", "expected"),
    [
        (["2001-02-03", "2001-02-30"], 3, "an ISO date, or one such as 2012/01/31, 31.01.2012, 1/31/12"),
        (["2001-02-03", "soon"], 3, "an ISO date, or one such as"),
        (["soon", "2001-02-03"], 2, "an ISO date, or one such as"),
        (["2001-02-03", "2001/02/04"], 3, "a date in the form of '2001-02-03' before it"),
        (["31/1/12", "1/31/12"], 3, "an ISO date, or one such as"),
        (["31/1/12", "1-2-12", "1/2-12"], 4, "a date in the form of '31/1/12' before it"),
        (["1/2/12", "1/2-12"], 3, "a date in the form of '1/2/12' before it"),
        (["2001-02-03 25:00", "2001-02-03 24:00"], 2, "an ISO date, or one such as"),
        (["2001-02-03 12:60"], 2, "an ISO date, or one such as"),
        (["1/31/12 13:00 PM"], 2, "an ISO date, or one such as"),
        (["2001-02-00"], 2, "an ISO date, or one such as"),
        (["2001-13"], 2, "an ISO date, or one such as"),
    ],
)
def test_what_is_no_date_is_named_with_what_can_be_read(
    tmp_path: Path, cells: list[str], row: int, expected: str
) -> None:
    table = column(tmp_path, cells)
    assert table.kind("when") == "text"
    with pytest.raises(InputError) as caught:
        table.dates("when")
    assert f"line {row}, column 'when': the cell reads {cells[row - 2]!r}; expected {expected}" in str(caught.value)


def test_a_date_format_is_read_and_nothing_else(tmp_path: Path) -> None:
    table = column(tmp_path, ["12h30 on 2012|02|01", "NA"], date_format="%Hh%M on %Y|%d|%m")
    np.testing.assert_array_equal(table.columns["when"], np.array(["2012-01-02T12:30", "NaT"], dtype="datetime64[us]"))
    days = column(tmp_path, ["01022012", "02022012"], date_format="%d%m%Y")
    np.testing.assert_array_equal(days.times("when"), np.array(["2012-02-01", "2012-02-02"], dtype="datetime64[D]"))
    zoned = column(tmp_path, ["01.02.2012 12 +0100"], date_format="%d.%m.%Y %H %z")
    np.testing.assert_array_equal(zoned.dates("when"), np.array(["2012-02-01T11:00"], dtype="datetime64[us]"))
    table = column(tmp_path, ["2012-02-01", "2012-02-02"], date_format="%d.%m.%Y")
    with pytest.raises(InputError, match=r"line 2, .*'2012-02-01'; expected a date of the form %d\.%m\.%Y"):
        table.dates("when")


def test_numbers_that_merely_count_are_no_dates(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2, column 'y': the cell reads '0'; expected an ISO date, or one such"):
        column(tmp_path, ["a"]).dates("y")


# -- numbers that are times ----------------------------------------------------------------------------------

NUMBERS: dict[str, tuple[list[str], list[str], str]] = {
    "years": (["1949", "1950"], ["1949", "1950"], "Y"),
    "decimal years by months": ([f"{1949 + month / 12:.3f}" for month in range(24)], months(1949, 24), "M"),
    "decimal years by months, two digits": ([f"{1949 + month / 12:.2f}" for month in range(24)], months(1949, 24), "M"),
    "decimal years by quarters": (["1960.00", "1960.25", "1960.50", "1960.75"], months(1960, 12)[::3], "M"),
    "yyyymm": (["200612", "200701"], ["2006-12", "2007-01"], "M"),
    "yyyymmdd": (["20120131", "20120229"], ["2012-01-31", "2012-02-29"], "D"),
    "yyyymmddhhmm": (["201201312359", "201202290000"], ["2012-01-31T23:59", "2012-02-29"], "s"),
    "yyyymmddhhmm at the end of a day": (["201201312400", "201202010010"], ["2012-02-01", "2012-02-01T00:10"], "s"),
    "yyyymmddhhmmss": (["20120131235958", "20120229000000"], ["2012-01-31T23:59:58", "2012-02-29"], "s"),
    "seconds": (["1328054399", "1328054400"], ["2012-01-31T23:59:59", "2012-02-01"], "s"),
    "fractions of seconds": (["1328054399.25", "1328054400"], ["2012-01-31T23:59:59.25", "2012-02-01"], "us"),
    "milliseconds": (["1328054399250", "1328054400000"], ["2012-01-31T23:59:59.250", "2012-02-01"], "ms"),
    "microseconds": (["1328054399250000", "1328054400000000"], ["2012-01-31T23:59:59.250", "2012-02-01"], "us"),
    "nanoseconds": (["1328054399250000001", "1328054400000000000"], ["2012-01-31T23:59:59.250000001", "2012-02"], "ns"),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "times", "unit"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_that_are_times_become_dates_when_they_are_used_as_times(
    tmp_path: Path, cells: list[str], times: list[str], unit: str
) -> None:
    table = column(tmp_path, cells)
    assert table.kind("when") != "date"
    np.testing.assert_allclose(table.number("when"), list(map(float, cells)), rtol=1e-15)
    np.testing.assert_array_equal(table.times("when"), np.array(times, dtype="datetime64[ns]"))
    assert table.times("when").dtype == f"datetime64[{unit}]"


@pytest.mark.parametrize(
    "cells", [["1", "2"], ["0.5", "1.5"], ["20120101", "20120132"], ["200612", "200613"], ["1960.1", "1960.2"],
              ["999", "1000"], ["2999", "3000"], ["5000000000", "1328054400000"], ["-1", "1999"], ["2012", "20120101"],
              ["201201312401", "201202010000"], ["9" * 25, "1"], ["-1e300", "1e300"]]
)  # fmt: skip
def test_numbers_that_are_no_times_stay_numbers(tmp_path: Path, cells: list[str]) -> None:
    table = column(tmp_path, cells)
    times = table.times("when")
    assert times.dtype == np.float64
    assert times.tolist() == list(map(float, cells))


def test_times_are_dates_where_the_column_holds_them_and_refused_where_a_cell_is_missing(tmp_path: Path) -> None:
    assert column(tmp_path, ["2012-01-31"]).times("when").tolist() == [datetime.date(2012, 1, 31)]
    for cells in (["2012-01-31", ""], ["1949", ""], ["a", ""], ["0012", ""]):
        with pytest.raises(InputError, match=r"line 3, column 'when': the cell is empty; expected"):
            column(tmp_path, cells).times("when")
    with pytest.raises(InputError, match=r"line 2, column 'when': the cell reads 'a'; expected an ISO date"):
        column(tmp_path, ["a", "2012-01-31"]).times("when")
