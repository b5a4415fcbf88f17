"""Tables whose rows are series or years are read as what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longlag.data import Frequency, Panel, Table
from longlag.errors import InputError


def panel(columns: dict[str, Any], **options: Any) -> Panel:
    return Panel.from_table(Table.from_arrays(columns), **options)


def test_a_column_for_each_month_beside_years_is_a_monthly_series() -> None:
    names = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
    values = np.arange(36.0).reshape(3, 12)
    values[2, 10:] = np.nan  # the last year is not over
    order = [1, 0, 2]
    understood = panel(
        {"YEAR": np.array([1950, 1951, 1952])[order], **{name: values[order, at] for at, name in enumerate(names)}}
    )
    assert understood.frequency == Frequency("M")
    np.testing.assert_array_equal(understood.values[0], np.arange(34.0))
    assert str(understood.times[0][0]) == "1950-01"
    assert str(understood.after(1)[0][0]) == "1952-11"
    assert "columns 'JAN' to 'DEC' are taken for the months of column 'YEAR'" in understood.notes


def test_a_column_for_each_year_beside_names_is_a_yearly_series_for_each_row() -> None:
    values = np.arange(24.0).reshape(3, 8)
    values[0, :2], values[1, 3], values[2, :] = np.nan, np.nan, np.nan
    understood = panel(
        {"country": ["x", "y", "z"], "code": ["c", "c", "c"], **{str(1990 + at): values[:, at] for at in range(8)}}
    )
    assert understood.ids == ("x", "y")
    np.testing.assert_array_equal(understood.values[0], np.arange(2.0, 8.0))
    np.testing.assert_array_equal(understood.values[1], [8, 9, 10, np.nan, 12, 13, 14, 15])
    assert [str(times[0]) for times in understood.times] == ["1992", "1990"]
    assert any("1 rows without any value are left out; column 'code' not used" in note for note in understood.notes)


def test_numbered_columns_beside_names_are_the_steps_of_a_series_for_each_row() -> None:
    values = np.arange(20.0).reshape(2, 10)
    values[1, 7:] = np.nan
    understood = panel({"V1": ["M1", "M2"], **{f"V{at + 2}": values[:, at] for at in range(10)}})
    assert understood.ids == ("M1", "M2")
    assert [len(series) for series in understood.values] == [10, 7]
    np.testing.assert_array_equal(understood.values[0], np.arange(10.0))
    # With a column of times they are a series each.
    wide = panel({"date": [2001, 2002], **{f"V{at + 2}": values[:, at] for at in range(7)}})
    assert wide.ids == tuple(f"V{at + 2}" for at in range(7))


def test_a_target_that_the_table_has_is_taken_as_it_stands() -> None:
    columns = {"country": ["x", "y"], **{str(1990 + at): [1.0, 2.0] for at in range(8)}}
    assert panel(columns, target="1993").values[0].tolist() == [1.0, 2.0]
    # A saved forecaster reads its new rows as it has read the first ones.
    assert panel(columns, target="value", id="country", time="year").ids == ("x", "y")
    with pytest.raises(InputError, match="has no column 'size'"):
        panel(columns, target="size")
