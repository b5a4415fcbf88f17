"""Text tables as people have them: each form has its values, and what was found out by itself is said."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.data import Table, TableFormat, read_csv, read_table
from longlag.errors import InputError
from longlag.tables import delimited

Columns = dict[str, list[Any]]


def opened(folder: Path, content: str | bytes, name: str = "data.csv", **form: Any) -> Table:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, form=TableFormat(**form))


def values_of(table: Table) -> Columns:
    """The columns as lists, dates in ISO form, None for what is missing."""
    columns: Columns = {}
    for name in table.names:
        if table.kind(name) == "number":
            columns[name] = [None if np.isnan(value) else value for value in table.number(name, missing="nan").tolist()]
        elif table.kind(name) == "date":
            columns[name] = [None if cell == "NaT" else cell for cell in table.columns[name].astype(str).tolist()]
        else:
            columns[name] = [cell or None for cell in table.columns[name].tolist()]
    return columns


XY: Columns = {"x": [1.0, 3.0], "y": [2.5, 4.5]}

FORMS: dict[str, tuple[str | bytes, Columns, list[str]]] = {
    "commas": ("x,y\n1,2.5\n3,4.5\n", XY, []),
    "semicolons": ("x;y\n1;2.5\n3;4.5\n", XY, ["the separator is semicolon"]),
    "tabs": ("x\ty\n1\t2.5\n3\t4.5\n", XY, ["the separator is tab"]),
    "bars": ("x|y\n1|2.5\n3|4.5\n", XY, ["the separator is |"]),
    "blanks": ("  x     y\n  1   2.5\n  3   4.5\n", XY, ["the separator is blanks"]),
    "blanks and tabs": ("x \t y\n1\t \t2.5\n3 4.5 \n", XY, ["the separator is blanks"]),
    "a comma inside of quotes": ('"x,";y\n"1";2.5\n"3";4.5\n', {"x,": XY["x"], "y": XY["y"]}, ["semicolon"]),
    "blanks inside of fields": ("a b,c\n1 2,2.5\n3 4,4.5\n", {"a b": ["1 2", "3 4"], "c": XY["y"]}, []),
    "a comma in a name": ("x, m;y\n1,5;2,5\n3,5;4,5\n", {"x, m": [1.5, 3.5], "y": XY["y"]}, ["semicolon", "comma"]),
    "decimal commas": ("x;y\n1;2,5\n3;4,5\n", XY, ["semicolon", "numbers have a decimal comma"]),
    "quoted decimal commas": ('x,y\n1,"2,5"\n3,"4,5"\n', XY, ["numbers have a decimal comma"]),
    "points between thousands": ("x\n1.234,5\n-12.345.678,25\n7,0\n", {"x": [1234.5, -12345678.25, 7.0]}, ["comma"]),
    "commas between thousands": ('x\n"1,234.5"\n"12,345,678"\n7\n', {"x": [1234.5, 12345678.0, 7.0]}, []),
    "blanks between thousands": (
        "x\n1 234,5\n12\u00a0345,25\n1\u202f000,5\n", {"x": [1234.5, 12345.25, 1000.5]}, ["semicolon", "comma"],
    ),
    "apostrophes between thousands": ("x\n1'234.5\n12\u2019345\n", {"x": [1234.5, 12345.0]}, []),
    "thousands that another column explains": (
        "x;y\n1.234;2,5\n12.000;4,5\n", {"x": [1234.0, 12000.0], "y": XY["y"]}, ["semicolon", "decimal comma"],
    ),
    "thousands that a price explains": (
        'x,y\n"1,234",2.5\n"12,000",4.5\n', {"x": [1234.0, 12000.0], "y": XY["y"]}, ["x: the comma separates"],
    ),
    "a byte order mark": (b"\xef\xbb\xbfx,y\n1,2.5\n3,4.5\n", XY, []),
    "CRLF": ("x,y\r\n1,2.5\r\n3,4.5\r\n", XY, []),
    "latin-1": ("größe,y\n1,ä\n3,ß\n".encode("latin-1"), {"größe": XY["x"], "y": ["ä", "ß"]}, ["encoding is cp1252"]),
    "cp1252": ("x,y\n1,2 €\n3,“4”\n".encode("cp1252"), {"x": XY["x"], "y": ["2 €", "“4”"]}, ["encoding is cp1252"]),
    "UTF-16": ("x\ty\r\n1\tä\r\n3\tß\r\n".encode("utf-16"), {"x": XY["x"], "y": ["ä", "ß"]}, ["utf-16", "tab"]),
    "UTF-16 without a mark": ("x,y\n1,2.5\n3,4.5\n".encode("utf-16-be"), XY, ["the encoding is utf-16-be"]),
    "numbers of rows, as pandas writes them": (",x,y\n0,1,2.5\n1,3,4.5\n", XY, ["numbers the rows, is left out"]),
    "numbers of rows, as R writes them": ('"","x","y"\n"1",1,2.5\n"2",3,4.5\n', XY, ["numbers the rows, is left out"]),
    "numbers of rows twice": (",Unnamed: 0,x\n0,0,1\n1,1,3\n", {"Unnamed: 0": [0, 1], "x": [1, 3]}, ["left out"]),
    "numbers of rows, shuffled": (",x,y\n1,1,2.5\n0,3,4.5\n", XY, ["numbers the rows, is left out"]),
    "R's header, shorter than its rows": ('"x" "y"\n"1" 1 2.5\n"2" 3 4.5\n', XY, ["blanks", "is left out"]),
    "R's names of rows": (
        '"x" "y"\n"Fiat" 1 2.5\n"Volvo" 3 4.5\n', {"index": ["Fiat", "Volvo"], **XY}, ["blanks", "is called 'index'"],
    ),
    "an index of dates without a name": (
        ",x\n2001-01-01,1\n2001-01-02,3\n", {"index": ["2001-01-01", "2001-01-02"], "x": XY["x"]}, ["called 'index'"],
    ),
    "an index that counts from elsewhere": (",x\n1949,1\n1950,3\n", {"index": [1949, 1950], "x": XY["x"]}, ["'index'"]),
    "an index with pandas' name for none": ("Unnamed: 0,x\n5,1\n9,3\n", {"Unnamed: 0": [5, 9], "x": XY["x"]}, []),
    "a title": ("Sales of 2001\nx,y\n1,2.5\n3,4.5\n", XY, ["the header is in line 2"]),
    "a title and a blank line": (
        "Sales, all\n\nx;y;z\n1;2,5;a\n3;4,5;b\n", {**XY, "z": ["a", "b"]}, ["semicolon", "line 3", "decimal"],
    ),
    "titles with separators behind them": (
        "Sales,,\nin EUR,,\nx,y,z\n1,2.5,a\n3,4.5,b\n", {**XY, "z": ["a", "b"]}, ["line 3"],
    ),
    "comments above the header": ("# x, in m\n# y, in s, of the clock\nx,y\n1,2.5\n3,4.5\n", XY, ["line 3"]),
    "separators at the end of every line": ("x,y,\n1,2.5,\n3,4.5,\n", XY, []),
    "separators at the end of rows": ("x,y\n1,2.5,\n3,4.5,\n", XY, ["one separator more than the header"]),
    "missing values": (
        "x,y,z\nNA,n/a,\n1,NaN,b\n,null,NA\n#N/A,2.5,c\n<NA>,4.5,d\n",
        {"x": [None, 1, None, None, None], "y": [None, None, None, 2.5, 4.5], "z": [None, "b", None, "c", "d"]},
        [],
    ),
    "a point for what is missing": ("x,y\n1,.\n3,4.5\n", {"x": XY["x"], "y": [None, 4.5]}, ["y: '.' counts"]),
    "dashes for what is missing": ("x;y\n1;-\n3;4,5\n", {"x": XY["x"], "y": [None, 4.5]}, ["semicolon", "'-'"]),
    "a question mark among dates": (
        "x,y\n?,2.5\n2001-02-03,4.5\n", {"x": [None, "2001-02-03"], "y": XY["y"]}, ["x: '?' counts"],
    ),
    "words that only look missing": ("x,y\nnone,-\nsome,no\n", {"x": ["none", "some"], "y": ["-", "no"]}, []),
}  # fmt: skip


@pytest.mark.parametrize(("content", "columns", "notes"), FORMS.values(), ids=FORMS)
def test_each_form_has_its_values_and_what_was_found_out_is_said(
    tmp_path: Path, content: str | bytes, columns: Columns, notes: list[str]
) -> None:
    table = opened(tmp_path, content)
    assert values_of(table) == columns
    joined = "; ".join(table.notes)
    for words in notes:
        assert words in joined
    assert bool(notes) == bool(table.notes)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", lambda raw: pa.compress(raw, codec="zstd", asbytes=True)),
    ],
)
def test_a_compressed_file_is_read_and_a_damaged_one_refused(tmp_path: Path, suffix: str, compress: Any) -> None:
    raw = compress(b"x\ty\n1\t2.5\n3\t4.5\n")
    assert values_of(opened(tmp_path, raw, f"data.tsv{suffix}")) == XY
    assert values_of(opened(tmp_path, raw, "data.tsv")) == XY  # whatever its suffix says
    with pytest.raises(
        InputError, match=rf"data\.tsv\{suffix} is damaged \(.*\); expected a whole {suffix} file"
    ) as caught:
        opened(tmp_path, raw[:-9], f"data.tsv{suffix}")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=rf"has the suffix \{suffix} and is not compressed so"):
        opened(tmp_path, "x\n1\n", f"data.csv{suffix}")


@pytest.mark.parametrize("name", ["data.txt", "data.dat", "data.tab", "DATA.TXT", "data.csv"])
def test_text_is_read_under_all_its_suffixes(tmp_path: Path, name: str) -> None:
    assert values_of(opened(tmp_path, "x\ty\n1\t2.5\n3\t4.5\n", name)) == XY


# -- options instead of finding out --------------------------------------------------------------------------


@pytest.mark.parametrize("word", [";", "semicolon", "Semicolon"])
def test_a_separator_can_be_named(tmp_path: Path, word: str) -> None:
    assert values_of(opened(tmp_path, "x,m;y\n1;2.5\n3;4.5\n", separator=word)) == {"x,m": XY["x"], "y": XY["y"]}
    for tab in ("tab", "\\t", "\t"):
        assert values_of(opened(tmp_path, "x\ty\n1\t2.5\n3\t4.5\n", separator=tab)) == XY


def test_a_decimal_character_can_be_named(tmp_path: Path) -> None:
    content = 'x\n"1,234"\n"12,500"\n'
    assert opened(tmp_path, content, decimal=",").number("x").tolist() == [1.234, 12.5]
    assert opened(tmp_path, content, decimal=".").number("x").tolist() == [1234.0, 12500.0]
    assert opened(tmp_path, "x\n1.234\n12.500\n", decimal=",").number("x").tolist() == [1234.0, 12500.0]
    with pytest.raises(InputError, match=r"line 3, column 'x': the cell reads '0.5'"):
        opened(tmp_path, "x\n1\n0.5\n", decimal=",").number("x")


def test_an_encoding_can_be_named(tmp_path: Path) -> None:
    assert opened(tmp_path, "имя\n1\n".encode("cp1251"), encoding="cp1251").names == ("имя",)
    with pytest.raises(InputError, match=r"line 2: byte 2 \(0xff\) is not ascii; expected a text file saved as ascii"):
        opened(tmp_path, b"x\n\xff\n", encoding="ascii")


def test_cells_that_count_as_missing_can_be_named(tmp_path: Path) -> None:
    table = opened(tmp_path, "x,y\n-999,a\n2,gone\n", missing=("-999", "GONE"))
    assert values_of(table) == {"x": [None, 2.0], "y": ["a", None]}
    with pytest.raises(InputError, match=r"line 2, column 'x': the cell reads '-999', which counts as missing"):
        table.number("x")
    with pytest.raises(InputError, match=r"line 3, column 'y': the cell reads 'gone', which counts as missing"):
        table.text("y")


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"separator": ";;"}, "the separator is ';;'; expected one character"),
        ({"decimal": ";"}, "the decimal character is ';'; expected '.' or ','"),
        ({"encoding": "utf-9"}, "the encoding is 'utf-9'; expected one that Python knows"),
        ({"encoding": "base64"}, "the encoding is 'base64'; expected one that Python knows"),
        ({"date_format": "dd/mm"}, "the date format is 'dd/mm'; expected codes of strptime"),
    ],
)
def test_an_option_that_says_nothing_is_refused(form: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        TableFormat(**form)


# -- what cannot be decided ----------------------------------------------------------------------------------


def test_a_number_that_can_be_read_in_two_ways_is_refused_with_the_option(tmp_path: Path) -> None:
    table = opened(tmp_path, 'x,y\n"1,234",a\n"12,500",b\n')
    with pytest.raises(InputError, match=r"line 2, column 'x': .*decimal comma or a thousands separator; .*--decimal"):
        table.number("x")


def test_columns_that_disagree_about_the_comma_are_read_each_by_itself(tmp_path: Path) -> None:
    table = opened(tmp_path, 'x,y,z\n"1,5",0.5,"1,234"\n"2,25",0.75,"2,500"\n')
    assert values_of(table) == {"x": [1.5, 2.25], "y": [0.5, 0.75], "z": ["1,234", "2,500"]}


@pytest.mark.parametrize(
    "content",
    [
        "x,y\n3,4,5\n6,7,8\n",  # numbers are no names of rows
        "x\n1,5\na\n",
        "x,y\n1,2\n3,4,\n",
        "a title, with a comma\nx,y\n1,2\n3\n",
    ],
)
def test_rows_of_another_length_stay_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match=r"line \d: the row has \d fields?; expected \d, as in the header"):
        opened(tmp_path, content)


def test_bytes_that_are_partly_utf8_are_damage_and_no_other_encoding(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2: byte 7 \(0xe4\) is not UTF-8; .*--encoding"):
        opened(tmp_path, "ü,y\n1,".encode() + b"\xe4\n")
    with pytest.raises(InputError, match=r"line 2: byte 2 \(0x81\) is not UTF-8"):  # nor is it a letter of cp1252
        opened(tmp_path, b"y\n\x81\n")
    marked = b"\xef\xbb\xbfy\n\xe4\n"
    for form in ({}, {"encoding": "utf-8"}):
        with pytest.raises(InputError, match=r"line 2: byte 5 \(0xe4\) is not UTF-8"):
            opened(tmp_path, marked, **form)
    assert opened(tmp_path, marked[:5] + b"1\n", encoding="utf-8").names == ("y",)


# -- many rows -----------------------------------------------------------------------------------------------

BROKEN = ['"a"b', '"', 'x"', '""', ' "a"']
CELLS = st.sampled_from(BROKEN) | st.sampled_from(
    ["1", "2.5", "", "NA", "a", "b c", "ü", "1/2/12", "31.01.2012", '"q"', '"a,b"', '"a""b"', 'x"y', '"two\nlines"']
)


@given(
    rows=st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=8)
    ),
    ragged=st.integers(0, 20),
    ends=st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n\r\n"]).flatmap(
        lambda end: st.sampled_from(["\n", "\r\n", "\r", end]).map(lambda other: [end, end, other])
    ),
    separator=st.sampled_from([",", ";"]),
)
def test_arrow_reads_a_large_file_exactly_as_csv_does_or_leaves_it_alone(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], ragged: int, ends: list[str], separator: str
) -> None:
    lines = [separator.join(row) for row in rows]
    if ragged < len(lines):
        lines[ragged] += separator
    path = tmp_path_factory.getbasetemp() / "large.csv"
    records = [separator.join("pqr"[: len(rows[0])]), *lines]
    path.write_bytes("".join(record + end for record, end in zip(records, cycle(ends), strict=False)).encode())

    def outcome() -> tuple[Columns, list[int], tuple[str, ...]] | str:
        try:
            table = read_csv(path)
        except InputError as error:
            return str(error)
        return values_of(table), table.lines.tolist(), table.notes

    expected = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_LARGE", 0)
        assert outcome() == expected


@pytest.mark.parametrize("rows", [198, 199, 200, 201, 400])
def test_a_row_of_several_lines_at_the_end_of_what_is_looked_at_does_no_harm(tmp_path: Path, rows: int) -> None:
    table = opened(tmp_path, '"word";"x"\n' + "".join(f'"two\nlines";{row}\n' for row in range(rows)))
    assert table.number("x").tolist() == list(range(rows))
    r_writes = opened(tmp_path, '"word" "x"\n' + "".join(f'"{row}" "two\nlines" {row}\n' for row in range(1, rows)))
    assert r_writes.number("x").tolist() == list(range(1, rows))


@pytest.mark.parametrize("large", [0, 2**18])
def test_lines_may_end_in_different_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    monkeypatch.setattr(delimited, "_LARGE", large)
    table = opened(tmp_path, "x,y\r1,2\r3,4\n5,6\r\n7,8\n")
    assert table.number("x").tolist() == [1.0, 3.0, 5.0, 7.0]
    assert table.lines.tolist() == [2, 3, 4, 5]


def test_a_separator_beyond_ascii_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_LARGE", 0)
    assert values_of(opened(tmp_path, "x§y\n1§2.5\n3§4.5\n", separator="§")) == XY


def test_arrow_is_asked_for_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_LARGE", 0)
    monkeypatch.setattr(delimited, "columns_of", None)
    table = opened(tmp_path, '"x";"y"\r\n1;"2,5"\r\n3;4,5\r\n')
    assert values_of(table) == XY
    assert table.lines.tolist() == [2, 3]


# -- whatever pandas writes ----------------------------------------------------------------------------------

WORDS = st.text(st.sampled_from("abc üß;,|'\""), min_size=1, max_size=6).map("w{}".format)


@given(
    numbers=st.lists(st.floats(-1e12, 1e12, allow_subnormal=False), min_size=3, max_size=8),
    data=st.data(),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    missing=st.sampled_from(["", "NA", "NaN", "-", "."]),
    end=st.sampled_from(["\n", "\r\n"]),
    index=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC, csv.QUOTE_ALL]),
    date_format=st.sampled_from([None, "%Y/%m/%d", "%d.%m.%Y", "%d-%b-%Y", "%Y-%m-%d %H:%M"]),
)
def test_what_pandas_writes_in_any_dialect_has_the_same_values(
    tmp_path_factory: pytest.TempPathFactory,
    numbers: list[float],
    data: st.DataObject,
    separator: str,
    decimal: Literal[".", ","],
    encoding: str,
    missing: str,
    end: str,
    index: bool,
    quoting: Any,
    date_format: str | None,
) -> None:
    count = len(numbers)
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2011-12-30", periods=count, freq="D"),
            "number": [value + 0.5 if value == round(value) else value for value in numbers],
            "gap": [None if row == 1 else row / 4 for row in range(count)],
            "word": data.draw(st.lists(WORDS, min_size=count, max_size=count)),
        }
    )
    path = tmp_path_factory.getbasetemp() / "dialect.csv"
    buffer = io.BytesIO()
    frame.to_csv(
        buffer, sep=separator, decimal=decimal, encoding=encoding, na_rep=missing, lineterminator=end, index=index,
        quoting=quoting, date_format=date_format,
    )  # fmt: skip
    path.write_bytes(buffer.getvalue())
    table = read_csv(path)
    assert table.names == tuple(frame.columns)
    np.testing.assert_array_equal(table.dates("day"), frame["day"].to_numpy())
    np.testing.assert_array_equal(table.number("number"), frame["number"].to_numpy())
    np.testing.assert_array_equal(table.number("gap", missing="nan"), frame["gap"].to_numpy())
    assert table.text("word").tolist() == frame["word"].tolist()
