"""Tables: a column is judged when it is used, and the first cell that is not what was asked for is named."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from longlag.data import Table, TableFormat, read_csv
from longlag.errors import InputError


def column(folder: Path, *cells: str, form: TableFormat | None = None) -> Table:
    """A file with the cells, from line 2 on, in column 'x', and something beside them."""
    path = folder / "data.csv"
    path.write_text("x,other\n" + "".join(f'"{cell}",0\n' for cell in cells), encoding="utf-8")
    return read_csv(path, form=form)


def test_a_text_in_a_number_column_is_named_by_line_and_column(tmp_path: Path) -> None:
    table = column(tmp_path, "1", "2.5", "three", "4")
    with pytest.raises(InputError) as caught:
        table.number("x")
    assert str(caught.value) == (
        f"{tmp_path / 'data.csv'}, line 4, column 'x': the cell reads 'three'; expected a number"
    )


@pytest.mark.parametrize("cell", ["NA", "n/a", "NaN", "nan", "-nan", "null", "NULL", " NaN "])
def test_a_missing_value_is_named_by_line_and_column_when_it_is_used(tmp_path: Path, cell: str) -> None:
    table = column(tmp_path, "1", cell, "3", cell)
    assert table.kind("x") == "number"
    with pytest.raises(InputError, match=r"line 3, column 'x': .*expected a.* number.*the first of 2 such") as caught:
        table.number("x")
    assert repr(cell) in str(caught.value)
    with pytest.raises(InputError, match="line 3, column 'x'"):
        table.numbers(["other", "x"])


@pytest.mark.parametrize("cell", ["NA", "n/a", "NaN", "nan", "-nan", "null", "", "  "])
@pytest.mark.parametrize("others", [("1", "3"), ("007", "3")], ids=["numbers", "digits kept as text"])
def test_a_missing_value_is_nan_where_the_caller_asks_for_that(
    tmp_path: Path, cell: str, others: tuple[str, str]
) -> None:
    table = column(tmp_path, others[0], cell, others[1])
    np.testing.assert_array_equal(table.number("x", missing="nan"), [float(others[0]), np.nan, float(others[1])])
    with pytest.raises(InputError, match="line 3, column 'x'"):
        table.number("x")


@pytest.mark.parametrize("cell", ["word", "inf", "1e999"])
def test_what_is_neither_a_number_nor_missing_is_refused_also_where_missing_values_are_nan(
    tmp_path: Path, cell: str
) -> None:
    with pytest.raises(
        InputError, match=rf"line 4, column 'x': the cell reads '{cell}'.*; expected a (finite )?number"
    ):
        column(tmp_path, "1", "NA", cell).number("x", missing="nan")
    with pytest.raises(InputError, match="missing is 'zero'; expected one of refuse, nan"):
        column(tmp_path, "1").number("x", missing="zero")  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", ["", "   "])
def test_an_empty_cell_is_missing_and_never_filled_in(tmp_path: Path, cell: str) -> None:
    for cells in (("1", cell), ("word", cell), ("2001-02-03", cell)):
        table = column(tmp_path, *cells)
        uses = {"number": table.number, "text": table.text, "date": table.dates}
        use = uses[table.kind("x")]
        with pytest.raises(InputError, match="line 3, column 'x': the cell is empty; expected"):
            use("x")
        with pytest.raises(InputError, match="line 3, column 'x': the cell is empty; expected"):
            table.text("x")


def test_a_column_with_nothing_in_it_is_refused_at_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2, column 'x': the cell is empty.*first of 2"):
        column(tmp_path, "", "").number("x")


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity", "1e999", "-1e400"])
def test_a_number_that_is_not_finite_is_refused_as_written(tmp_path: Path, cell: str) -> None:
    message = rf"line 3, column 'x': the cell reads '{cell}', which is not finite; expected a finite number"
    with pytest.raises(InputError, match=message):
        column(tmp_path, "1", cell).number("x")
    with pytest.raises(InputError, match=message):
        column(tmp_path, "1", cell, "word").number("x")


@pytest.mark.parametrize(
    ("cell", "decimal"), [("1,5", "."), ("-0,25", "."), ("1.234,5", "."), ("1,234", None), ("1.5,25", None)]
)
def test_a_decimal_comma_is_refused_with_a_hint(tmp_path: Path, cell: str, decimal: Literal["."] | None) -> None:
    message = rf"line 3, column 'x': .*'{cell}', with a decimal comma .*expected a number with a decimal point"
    with pytest.raises(InputError, match=message):
        column(tmp_path, "1", cell, form=TableFormat(decimal=decimal)).number("x")


def test_a_word_among_numbers_with_decimal_commas_is_the_better_complaint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 4, column 'x': the cell reads 'word'; expected a number$"):
        column(tmp_path, "1,5", "2,5", "word").number("x")


@pytest.mark.parametrize("cell", ["1_000", "٣", "0x10", "1e", "--1", "1 2", "True"])
def test_what_only_python_would_read_as_a_number_is_text(tmp_path: Path, cell: str) -> None:
    table = column(tmp_path, "1", cell)
    assert table.kind("x") == "text"
    with pytest.raises(InputError, match=r"line 3, column 'x': the cell reads .*; expected a number$"):
        table.number("x")


@pytest.mark.parametrize("cell", ["1", " 1 ", "+1", "1.", "1e0", "1E+0", "0.1e1", "10e-1"])
def test_every_way_to_write_one_is_one(tmp_path: Path, cell: str) -> None:
    assert column(tmp_path, cell).number("x").tolist() == [1.0]


def test_a_long_text_is_cut_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        column(tmp_path, "y" * 1000).number("x")
    assert len(str(caught.value)) < 300


def test_an_unknown_column_is_answered_with_the_names_and_the_closest(tmp_path: Path) -> None:
    table = Table.from_arrays({"year": [1.0], "Sunspots": [2.0]}, "spots.csv")
    message = r"spots.csv has no column 'sunspot'; its columns are 'year', 'Sunspots'; did you mean 'Sunspots'\?"
    for use in (table.number, table.text, table.dates, table.kind):
        with pytest.raises(InputError, match=message):
            use("sunspot")
    with pytest.raises(InputError, match=r"'year', 'Sunspots'$"):
        table.number("q")
    wide = Table.from_arrays({f"c{number}": [0.0] for number in range(500)})
    with pytest.raises(InputError, match=r"'c11' and 488 more$"):
        wide.number("q")


def test_columns_stand_side_by_side_in_the_order_asked_for() -> None:
    table = Table.from_arrays({"a": [1, 2, 3], "b": [4.0, 5.0, 6.0]})
    np.testing.assert_array_equal(table.numbers(["b", "a", "b"]), [[4, 1, 4], [5, 2, 5], [6, 3, 6]])
    np.testing.assert_array_equal(table.numbers("a"), [[1], [2], [3]])
    with pytest.raises(InputError, match="no columns were chosen"):
        table.numbers([])


def test_what_a_user_does_to_a_column_does_not_reach_the_table() -> None:
    values = np.array([1.0, 2.0])
    table = Table.from_arrays({"a": values})
    values[0] = 7.0
    table.number("a")[1] = 8.0
    table.numbers(["a"])[1] = 9.0
    assert table.number("a").tolist() == [1.0, 2.0]


def test_dates_are_days_or_moments(tmp_path: Path) -> None:
    days = column(tmp_path, "2001-02-03", "1600-01-01", "2001-02")
    np.testing.assert_array_equal(
        days.dates("x"), np.array(["2001-02-03", "1600-01-01", "2001-02-01"], dtype="datetime64[D]")
    )
    moments = column(tmp_path, "2001-02-03", "2001-02-03 04:05", "2001-02-03T04:05:06.000007")
    np.testing.assert_array_equal(
        moments.dates("x"),
        np.array(["2001-02-03", "2001-02-03T04:05", "2001-02-03T04:05:06.000007"], dtype="datetime64[us]"),
    )


def test_times_with_an_offset_become_utc(tmp_path: Path) -> None:
    table = column(tmp_path, "2001-02-03T04:05:06Z", "2001-02-03 04:05:06+05:30")
    np.testing.assert_array_equal(
        table.dates("x"), np.array(["2001-02-03T04:05:06", "2001-02-02T22:35:06"], dtype="datetime64[us]")
    )


def test_what_is_no_date_is_named_when_dates_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 3, column 'x': the cell reads '2001-02-30'; expected an ISO date"):
        column(tmp_path, "2001-02-03", "2001-02-30").dates("x")
    with pytest.raises(InputError, match=r"line 2, column 'other': the cell reads '0'; expected an ISO date"):
        column(tmp_path, "2001-02-03").dates("other")
    with pytest.raises(InputError, match="some times of this column have an offset and some do not"):
        column(tmp_path, "2001-02-03T04:05", "2001-02-03T04:05Z").dates("x")
    with pytest.raises(InputError, match=r"line 2, column 'x': the cell holds the date 2001-02-03; expected a number"):
        column(tmp_path, "2001-02-03").number("x")


def test_any_column_can_be_read_as_text(tmp_path: Path) -> None:
    assert column(tmp_path, "1", "2.50", "1e3").text("x").tolist() == ["1", "2.5", "1000"]
    assert column(tmp_path, "a", "1", " b ").text("x").tolist() == ["a", "1", " b "]
    assert column(tmp_path, "2001-02-03").text("x").tolist() == ["2001-02-03"]
    with pytest.raises(InputError, match="line 3, column 'x': the cell reads 'NA', which counts as missing"):
        column(tmp_path, "a", "NA").text("x")


def test_arrays_of_every_kind_make_a_table() -> None:
    table = Table.from_arrays(
        {
            "flag": [True, False],
            "big": np.array([2**53 + 1, 0], dtype=np.uint64),
            "word": ["a", "b"],
            "when": np.array(["2001-01-01", "NaT"], dtype="datetime64[D]"),
            "gap": [1.0, np.nan],
        }
    )
    assert [table.kind(name) for name in table.names] == ["number", "text", "text", "date", "number"]
    assert table.number("flag").tolist() == [1.0, 0.0]
    assert table.text("big").tolist() == [str(2**53 + 1), "0"]
    with pytest.raises(InputError, match="arrays, row 2, column 'when': the cell is empty; expected an ISO date"):
        table.dates("when")
    with pytest.raises(InputError, match="arrays, row 2, column 'gap': the cell reads 'nan', which counts as"):
        table.number("gap")


def test_a_table_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="no columns"):
        Table.from_arrays({})
    with pytest.raises(InputError, match="no rows"):
        Table.from_arrays({"a": []})
    with pytest.raises(InputError, match=r"column 'b': shape \(3,\); expected \(2,\)"):
        Table.from_arrays({"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match="its type is int64; expected float64, datetime64 or object"):
        Table({"a": np.arange(2)}, "here", np.arange(2))
