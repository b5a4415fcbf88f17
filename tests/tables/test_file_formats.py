"""Workbooks, JSON lines and Feather: the values that their own libraries hold, and one sentence for what is broken."""

from __future__ import annotations

import datetime
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from longlag.data import Table, TableFormat, read_table
from longlag.errors import InputError


def frame() -> pd.DataFrame:
    """Columns of every kind, with a gap in each but the first."""
    return pd.DataFrame(
        {
            "when": pd.date_range("2012-01-31 06:30", periods=5, freq="7h"),
            "day": [datetime.datetime(2012, 1, day) if day != 2 else None for day in range(1, 6)],  # noqa: DTZ001
            "value": [0.1, None, -2.5, 1e-300, 4.0],
            "count": pd.array([1, 2, None, 2**40, -5], dtype="Int64"),
            "word": ["a", "ü, 'x'", None, "1,5", "two\nlines"],
        }
    )


def to_json_lines(data: pd.DataFrame, path: Path) -> None:
    data.to_json(path, orient="records", lines=True, date_format="iso", double_precision=15)


def to_json(data: pd.DataFrame, path: Path) -> None:
    data.to_json(path, orient="records", date_format="iso", double_precision=15)


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "data.xlsx": lambda data, path: data.to_excel(path, index=False),
    "data.feather": lambda data, path: data.to_feather(path),
    "data.arrow": lambda data, path: data.to_feather(path, compression="uncompressed"),
    "data.jsonl": to_json_lines,
    "data.ndjson.gz": to_json_lines,
    "data.json": to_json,
    "data.parquet": lambda data, path: data.to_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_pandas_writes_has_the_same_values(tmp_path: Path, name: str) -> None:
    expected = frame()
    if name.endswith("json") or "json" in name:
        expected["value"] = expected["value"].where(expected["value"] != 1e-300, 0.0)  # beyond pandas' 15 digits
    WRITERS[name](expected, tmp_path / name)
    table = read_table(tmp_path / name)
    assert table.names == tuple(expected.columns)
    assert [table.kind(column) for column in table.names] == ["date", "date", "number", "number", "text"]
    np.testing.assert_array_equal(table.dates("when"), expected["when"].to_numpy())
    np.testing.assert_array_equal(table.columns["day"], expected["day"].to_numpy())
    for column in ("value", "count"):
        numbers = expected[column].to_numpy(dtype=float, na_value=np.nan)
        np.testing.assert_array_equal(table.number(column, missing="nan"), numbers)
    assert table.columns["word"].tolist() == ["a", "ü, 'x'", "", "1,5", "two\nlines"]
    assert table.notes == ()


@pytest.mark.parametrize("name", [name for name in WRITERS if "feather" not in name and "arrow" not in name])
def test_a_missing_cell_is_named_by_its_place(tmp_path: Path, name: str) -> None:
    frame().to_csv(tmp_path / "data.csv", index=False)
    WRITERS[name](frame(), tmp_path / name)
    place = {".xlsx": "row 3", ".json": "row 2", ".parquet": "row 2"}.get(Path(name).suffix, "line 2")
    with pytest.raises(InputError, match=rf"{name}, {place}, column 'value': the cell is empty; expected a number"):
        read_table(tmp_path / name).number("value")


def test_an_index_of_dates_is_a_column(tmp_path: Path) -> None:
    data = frame().set_index("when").rename_axis(None)[["value"]]
    data.to_parquet(tmp_path / "data.parquet")
    data.to_excel(tmp_path / "data.xlsx")
    for name in ("data.parquet", "data.xlsx"):
        np.testing.assert_array_equal(read_table(tmp_path / name).dates("index"), frame()["when"].to_numpy())
    data.reset_index(drop=True).to_excel(tmp_path / "data.xlsx")
    assert read_table(tmp_path / "data.xlsx").names == ("value",)


@pytest.mark.parametrize("name", [name for name in WRITERS if "gz" not in name])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_file_cut_short_or_of_another_kind_is_refused_in_one_sentence(tmp_path: Path, name: str, keep: float) -> None:
    path = tmp_path / name
    WRITERS[name](pd.concat([frame()] * 50), path) if "arrow" not in name else frame().to_feather(path)
    content = path.read_bytes()
    path.write_bytes(content[: max(0, int(len(content) * keep) - 3)])
    for damaged in (True, False):
        if not damaged:
            path.write_text("x,y\n1,2\n", encoding="utf-8")
        with pytest.raises(InputError) as caught:
            read_table(path)
        assert "expected" in str(caught.value)
        assert "\n" not in str(caught.value)


# -- workbooks -----------------------------------------------------------------------------------------------


def workbook(path: Path, *sheets: Sequence[Sequence[Any]]) -> Table:
    """A table from a workbook with these sheets of rows."""
    book = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.active if number == 0 else book.create_sheet()
        assert sheet is not None
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return read_table(path)


def test_titles_and_empty_rows_and_columns_around_a_sheets_table_are_left_out(tmp_path: Path) -> None:
    rows = [["day", "units"], [datetime.date(2012, 1, 31), 5], [datetime.date(2012, 2, 1), 6.5]]
    titles: list[list[Any]] = [[], [None, "Sales of 2012"], []]
    table = workbook(tmp_path / "data.xlsx", [], [*titles, *([None, *row] for row in rows), [], [None, None]])
    assert table.names == ("day", "units")
    np.testing.assert_array_equal(table.dates("day"), np.array(["2012-01-31", "2012-02-01"], dtype="datetime64[D]"))
    assert table.dates("day").dtype == "datetime64[D]"
    assert table.number("units").tolist() == [5.0, 6.5]
    assert table.lines.tolist() == [5, 6]
    assert table.notes == ("the sheet is 'Sheet1', the first of 2", "the header is in row 4")


def test_text_in_a_sheet_is_read_as_in_a_csv_file_and_its_numbers_as_they_are(tmp_path: Path) -> None:
    rows = [["id", "x", "y", "when", "flag"]]
    rows += [["007", 1.234, "1,5", "31.01.2012", True], ["008", 2, "-", "01.02.2012", False]]
    table = workbook(tmp_path / "data.xlsx", rows)
    assert table.text("id").tolist() == ["007", "008"]
    assert table.number("x").tolist() == [1.234, 2.0]
    np.testing.assert_array_equal(table.number("y", missing="nan"), [1.5, np.nan])
    np.testing.assert_array_equal(table.dates("when"), np.array(["2012-01-31", "2012-02-01"], dtype="datetime64[D]"))
    assert table.number("flag").tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], " is empty; expected a header"),
        ([["x", "y"]], " has a header but no rows; expected at least one row below row 1"),
        ([["x"], [1], [], [2]], ", row 3: the row is blank; expected a row, or the end of the file"),
        ([["x", "x"], [1, 2]], ", row 1: columns 1 and 2 are both called 'x'"),
        ([["x", None, "y"], [1, 2, 3]], ", row 1: column 2 has no name"),
    ],
)
def test_a_sheet_without_a_table_is_refused(tmp_path: Path, rows: list[list[Any]], says: str) -> None:
    with pytest.raises(InputError) as caught:
        workbook(tmp_path / "data.xlsx", rows)
    assert str(caught.value).startswith(f"{tmp_path / 'data.xlsx'}{says}")


def test_a_bad_cell_of_a_sheet_is_named_by_excels_row(tmp_path: Path) -> None:
    table = workbook(tmp_path / "data.xlsx", [["x"], [1], ["#N/A"], ["two"]])
    with pytest.raises(InputError, match=r"row 3, column 'x': the cell reads '#N/A', which counts as missing"):
        table.number("x")
    with pytest.raises(InputError, match=r"row 4, column 'x': the cell reads 'two'; expected a number"):
        table.number("x", missing="nan")


def test_without_openpyxl_the_sentence_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("importlib.import_module", absent)
    with pytest.raises(InputError, match=r'package \'openpyxl\' is not installed .*: pip install "longlag\[tables\]"'):
        read_table(tmp_path / "data.xlsx")


# -- JSON lines ----------------------------------------------------------------------------------------------


def test_objects_may_lack_names_and_bring_new_ones(tmp_path: Path) -> None:
    lines = ['{"b": 1, "a": "x"}', "", '{"a": "y", "c": [1, {"d": 2}]}', '{"b": true, "c": null}', ""]
    (tmp_path / "data.jsonl").write_text("\r\n".join(lines), encoding="utf-8")
    table = read_table(tmp_path / "data.jsonl")
    assert table.names == ("b", "a", "c")
    assert table.lines.tolist() == [1, 3, 4]
    np.testing.assert_array_equal(table.number("b", missing="nan"), [1.0, np.nan, 1.0])
    assert table.columns["a"].tolist() == ["x", "y", ""]
    assert table.columns["c"].tolist() == ["", '[1, {"d": 2}]', ""]


def test_whole_numbers_of_json_beyond_float64_keep_their_digits(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"id": 9007199254740993}\n{"id": 1}\n{}\n', encoding="utf-8")
    assert read_table(tmp_path / "data.jsonl").columns["id"].tolist() == ["9007199254740993", "1", ""]


def test_text_in_json_is_read_as_in_a_csv_file(tmp_path: Path) -> None:
    content = [{"t": "31/1/12", "y": "1.5", "id": "01"}, {"t": "1/2/12", "y": "NA", "id": "02"}]
    (tmp_path / "data.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, content)).encode("utf-16")))
    table = read_table(tmp_path / "data.jsonl.gz")
    np.testing.assert_array_equal(table.dates("t"), np.array(["2012-01-31", "2012-02-01"], dtype="datetime64[D]"))
    np.testing.assert_array_equal(table.number("y", missing="nan"), [1.5, np.nan])
    assert table.text("id").tolist() == ["01", "02"]
    assert table.notes == ("t: the day comes first, two-digit years are 1930 to 2029",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", " is empty; expected an object of names and values in each line"),
        ("{}\n", " is empty; expected an object"),
        ('{"a": 1}\n{"a": }\n', ", line 2: Expecting value at character 7; expected an object"),
        ('{"a": 1}\n[1]\n', ", line 2: a JSON list; expected an object of names and values"),
        ('[{"a": 1}, 2]', ", row 2: a JSON int; expected an object of names and values"),
        ('[{"a": 1},\n2', ", line 2: Expecting ',' delimiter at character 2"),
        ('{"": 1}', ": column 1 has no name"),
        ('{"a": 1, "a ": 2}', ": columns 1 and 2 are both called 'a'"),
        ("[" * 100_000, ", line 1: the line is too deep or long"),
        ('{"a": ' + "1" * 5000 + "}", ", line 1: the line is too deep or long"),
    ],
)
def test_what_is_no_json_is_named_by_its_line(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "data.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "data.jsonl")
    assert str(caught.value).startswith(f"{tmp_path / 'data.jsonl'}{says}")


@pytest.mark.parametrize(
    ("name", "form", "says"),
    [
        ("data.xlsx", {"separator": ";"}, "the separator ';' was given for .*data.xlsx, which has none"),
        ("data.xlsx", {"encoding": "utf-8"}, "the encoding 'utf-8' was given for .*data.xlsx, which has none"),
        ("data.jsonl", {"separator": "tab"}, "the separator .* was given for .*data.jsonl, which has none"),
    ],
)
def test_what_a_kind_of_file_does_not_have_is_refused(
    tmp_path: Path, name: str, form: dict[str, Any], says: str
) -> None:
    WRITERS[name](frame(), tmp_path / name)
    with pytest.raises(InputError, match=says):
        read_table(tmp_path / name, form=TableFormat(**form))
    known = TableFormat(decimal=".", date_format="%Y-%m-%dT%H:%M:%S.%f", missing=("a",))
    assert read_table(tmp_path / name, form=known).columns["word"][0] == ""


@pytest.mark.parametrize("name", ["data.parquet", "data.feather"])
def test_the_form_of_text_is_refused_where_there_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"the form of text was given for .*, whose columns have their types"):
        read_table(tmp_path / name, form=TableFormat(decimal=","))
