"""Dates are written as the column before them wrote them, or not in its form at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from longlag.tables.date_formats import dates_in
from longlag.tables.date_writing import form_of_numbers, write_dates
from longlag.tables.numeric_times import times_in

TEXTS: dict[str, tuple[list[str], str, str]] = {
    # cells, a later date, and how the column would write it
    "ISO": (["2012-01-30", "2012-01-31"], "2012-02-01", "2012-02-01"),
    "ISO with a time": (["2012-01-30 22:00", "2012-01-30 23:00"], "2012-01-31T00", "2012-01-31 00:00"),
    "ISO with a T": (["2012-01-30T22:00:00", "2012-01-30T23:00:00"], "2012-01-31T00", "2012-01-31T00:00:00"),
    "ISO in UTC": (["2012-01-30T22:00Z", "2012-01-30T23:00Z"], "2012-01-31T00", "2012-01-31T00:00Z"),
    "months": (["2006-11", "2006-12"], "2007-01", "2007-01"),
    "months with a slash": (["2006/9", "2006/10"], "2007-01", "2007/1"),
    "months first": (["11/2006", "12/2006"], "2007-01", "01/2007"),
    "names of months": (["Jan 2006", "Feb 2006"], "2006-03", "Mar 2006"),
    "whole names of months": (["May 2006", "June 2006"], "2006-09", "September 2006"),
    "names in capitals": (["01-JAN-2012", "02-JAN-2012"], "2012-02-03", "03-FEB-2012"),
    "names in small letters": (["jan-12", "feb-12"], "2012-03", "mar-12"),
    "quarters": (["1985Q1", "1985Q2"], "1996-01", "1996Q1"),
    "quarters first": (["Q3 1985", "Q4 1985"], "1986-04", "Q2 1986"),
    "German days": (["01.01.2012", "02.01.2012"], "2012-02-03", "03.02.2012"),
    "German days without zeros": (["1.1.2012", "12.1.2012"], "2012-02-03", "3.2.2012"),
    "American days": (["1/31/12", "2/1/12"], "2012-02-03", "2/3/12"),
    "American days with zeros": (["01/31/2012", "02/01/2012"], "2012-02-03", "02/03/2012"),
    "British days": (["31/1/12", "1/2/12"], "2012-02-03", "3/2/12"),
    "days of the week": (["Mon, 02 Jan 2012", "Tue, 03 Jan 2012"], "2012-01-04", "Wed, 04 Jan 2012"),
    "whole days of the week": (["Monday 2 January 2012", "Tuesday 3 January 2012"], "2012-01-14",
                               "Saturday 14 January 2012"),
    "noon and midnight": (["1/31/2012 11:00 PM", "2/1/2012 12:00 AM"], "2012-02-01T12", "2/1/2012 12:00 PM"),
    "small halves of a day": (["1/31/2012 9:30 am", "1/31/2012 10:30 am"], "2012-02-01T13:30", "2/1/2012 1:30 pm"),
    "without marks": (["20120131 2200", "20120131 2300"], "2012-02-01T00", "20120201 0000"),
    "milliseconds": (["2012-01-30 22:00:00.000", "2012-01-30 22:00:00.250"], "2012-01-30T22:00:00.500",
                     "2012-01-30 22:00:00.500"),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "later", "expected"), TEXTS.values(), ids=TEXTS)
def test_a_later_date_is_written_as_the_column_is(cells: list[str], later: str, expected: str) -> None:
    read = dates_in(pa.array(cells))
    assert read.values is not None
    assert read.form is not None
    assert write_dates(read.values, read.form) == cells
    assert write_dates(np.array([later], dtype="datetime64"), read.form) == [expected]
    again = dates_in(pa.array([*cells, expected])).values
    assert again is not None
    assert again[-1] == np.datetime64(later)


@pytest.mark.parametrize(
    "cells",
    [
        ["2012-01-31T22:00:00+01:00", "2012-01-31T23:00:00+01:00"],  # read in UTC, of which they are an hour ahead
        ["2012-01-31", "2012-01-31 06:00"],  # as R writes midnights
        ["1st Jan 2012", "2nd Jan 2012"],
        ["01/02/2012", "1/13/2012"],
    ],
    ids=["a zone", "two lengths", "ordinals", "some leading zeros"],
)
def test_a_column_that_no_form_gives_back_has_none(cells: list[str]) -> None:
    read = dates_in(pa.array(cells))
    assert read.values is not None
    assert read.form is None


def test_the_form_that_a_user_gives_is_the_one_that_is_written() -> None:
    read = dates_in(pa.array(["12|31|2011 at 23", "01|01|2012 at 00"]), "%m|%d|%Y at %H")
    assert read.form is not None
    assert write_dates(np.array(["2012-02-03T04"], dtype="datetime64[h]"), read.form) == ["02|03|2012 at 04"]


def test_a_year_of_two_digits_is_written_whole_where_it_would_be_read_in_another_century() -> None:
    form = dates_in(pa.array(["Nov-29", "Dec-29"])).form
    assert form is not None
    assert write_dates(np.array(["2029-12", "2030-01"], dtype="datetime64[M]"), form) == ["Dec-29", "Jan-2030"]


@pytest.mark.parametrize(
    ("values", "later", "expected"),
    [
        ([20120130, 20120131], "2012-02-01", 20120201),
        ([201211, 201212], "2013-01", 201301),
        ([201201302200, 201201302300], "2012-01-31T00", 201201310000),
        ([20120130220000, 20120130230000], "2012-01-31T00", 20120131000000),
        ([1.3279608e9, 1.3279644e9], "2012-01-31T00", 1327968000),
        ([1327960800000, 1327964400000], "2012-01-31T00", 1327968000000),
        ([1949.0, 1949.083, 1949.167], "1949-04", 1949.25),
        ([1949.0, 1949.08, 1949.17], "1949-05", 1949.33),
        ([1959.0, 1959.25, 1959.5], "1959-10", 1959.75),
    ],
)
def test_a_later_date_is_the_number_that_the_column_would_have(values: list[float], later: str, expected: Any) -> None:
    numbers = np.array(values)
    dates = times_in(numbers)
    assert dates is not None
    form = form_of_numbers(numbers, dates)
    assert form is not None
    assert write_dates(dates, form) == values
    assert write_dates(np.array([later], dtype="datetime64"), form) == [expected]


def test_seconds_with_a_fraction_have_no_form_and_years_need_none() -> None:
    for values in ([1.5e9 + 0.5, 1.5e9 + 1.0], [1949.0, 1950.0]):
        dates = times_in(np.array(values))
        assert dates is not None
        assert form_of_numbers(np.array(values), dates) is None
