"""Sixteen tables in the forms people have: what is in them is understood without a word, or one question is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from longlag.data import Panel, TableFormat, read_table
from longlag.errors import InputError
from plain_tables import PLAIN_TABLES, PlainTable

ASKED = {
    "prices.csv": r"which is to be forecast\? Expected --target",
    "regions.tsv": r"which is to be forecast\? Expected --target",
    "visits.csv": r"with a decimal comma or a thousands separator; expected .* --decimal",
}
"""The tables that leave something open, and the question."""


@pytest.mark.parametrize("table", PLAIN_TABLES, ids=lambda table: table.name)
def test_a_plain_table_has_its_series_times_and_values(table: PlainTable, tmp_path: Path) -> None:
    path = tmp_path / table.name
    series = table.write(path)
    content = read_table(path)
    target = None
    if table.name in ASKED:
        with pytest.raises(InputError, match=ASKED[table.name]):
            Panel.from_table(content)
        content, target = read_table(path, form=TableFormat(decimal=".")), table.target
    panel = Panel.from_table(content, target=target)
    names = [table.target] if isinstance(table.target, str) else list(table.target)
    assert list(panel.roles.target) == names
    assert panel.roles.time == table.time
    assert len(panel) == len(series)
    for expected, values in zip(series.values(), panel.values, strict=True):
        np.testing.assert_array_equal(values, expected)
    if table.first is not None:
        for expected, times in zip((table.first, table.last), (panel.times[0][0], panel.times[-1][-1]), strict=True):
            assert times.astype("datetime64[s]") == np.datetime64(expected, "s")


def test_most_plain_tables_need_no_word() -> None:
    assert len(PLAIN_TABLES) == 16
    assert len(PLAIN_TABLES) - len(ASKED) >= 12


def test_dates_that_can_be_read_in_two_ways_are_asked_for_and_never_taken_for_something_else(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("when,y\n1/2/12,5\n2/3/12,6\n3/5/12,7\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2, column 'when': .*day/month or month/day, .*--date-format"):
        Panel.from_table(read_table(path))
    panel = Panel.from_table(read_table(path, form=TableFormat(date_format="%d/%m/%y")))
    assert panel.times[0].astype("datetime64[D]").astype(str).tolist() == ["2012-02-01", "2012-03-02", "2012-05-03"]


# -- questions that name the cell --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form", "says"),
    [
        (
            "date,temp\n2024-01-01,1.5\n2024-01-02,warm\n2024-01-03,2\n",
            {},
            "line 3, column 'temp': the cell reads 'warm'; expected a number",
        ),
        (
            "US jobs, thousands of persons\nmonth,retail\n2024-01,1\n2024-02,2\n2024-03,4\n",
            {},
            "line 2, column 'thousands of persons': the cell reads 'retail'; expected a number",
        ),
        (
            "day;sold\n2024-01-01;1.234,5\n2024-01-02;2.000,5\n",
            {"decimal": "."},
            "line 2, column 'sold': the cell reads '1.234,5', with a decimal comma or a thousands separator",
        ),
        (
            "shop,day,sold\na,13/01/2024,1\na,14/01/2024,2\nb,13/01/2024,3\nb,14/01/2024,1\n",
            {"date_format": "%m/%d/%Y"},
            "line 2, column 'day': the cell reads '13/01/2024'; expected a date of the form %m/%d/%Y (--date-format)",
        ),
        (
            "length,width,kind\n" + "5.1,3.5,setosa\n" * 4 + "6.1,2.5,virginica\n" * 4,
            {},
            "or --label kind to tell these values apart",
        ),
    ],
    ids=["a word", "a title with a comma", "another decimal", "another form of dates", "classes"],
)
def test_a_table_that_is_nearly_plain_is_refused_by_what_is_not(
    text: str, form: dict[str, str], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        Panel.from_table(read_table(path, form=TableFormat(**form)))
    assert says in str(caught.value)
