"""CSV files: what is read is what pandas reads and what csv.writer wrote; everything else gets one clear sentence."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.data import TableFormat, read_csv, read_table
from longlag.errors import InputError


def written(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def complaint(folder: Path, content: str | bytes, name: str = "data.csv") -> str:
    path = written(folder, content, name)
    with pytest.raises(InputError) as caught:
        read_table(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


# -- good files ----------------------------------------------------------------------------------------------


def test_a_good_file_is_read_as_pandas_reads_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2001-01-01", periods=500, freq="37min"),
            "value": rng.standard_normal(500) * 10.0 ** rng.integers(-300, 300, 500),
            "count": rng.integers(-5, 5, 500),
            "word": rng.choice(["a b", 'say "x"', "comma,", "line\nbreak", "über"], 500),
        }
    )
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False)
    oracle = pd.read_csv(path, parse_dates=["when"], float_precision="round_trip")
    table = read_table(path)
    assert table.names == tuple(frame.columns)
    assert [table.kind(name) for name in table.names] == ["date", "number", "number", "text"]
    np.testing.assert_array_equal(table.dates("when"), oracle["when"].to_numpy())
    np.testing.assert_array_equal(table.number("value"), oracle["value"].to_numpy())
    np.testing.assert_array_equal(table.number("count"), oracle["count"].to_numpy())
    assert table.text("word").tolist() == oracle["word"].tolist()


names = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1).map(str.strip)
names = names.map("n{}".format)  # never blank, never a number
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    header=st.lists(names, min_size=2, max_size=5, unique=True),
    rows=st.integers(1, 6),
    data=st.data(),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    mark=st.booleans(),
)
def test_numbers_and_texts_survive_the_standard_librarys_writer(
    tmp_path_factory: pytest.TempPathFactory,
    header: list[str],
    rows: int,
    data: st.DataObject,
    ending: str,
    quoting: int,
    mark: bool,
) -> None:
    numbers = data.draw(st.lists(finite, min_size=rows, max_size=rows))
    # Before Python 3.13 csv.writer leaves line ends other than its own without quotes, unless told to quote all.
    kept_out = "\0\r\n" if quoting == csv.QUOTE_MINIMAL else "\0"
    texts = st.text(st.characters(codec="utf-8", exclude_characters=kept_out), max_size=8).map("t{}".format)
    words = [data.draw(st.lists(texts, min_size=rows, max_size=rows)) for _ in header[1:]]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator=ending, quoting=quoting)
    writer.writerows([header, *zip(map(repr, numbers), *words, strict=True)])
    path = tmp_path_factory.getbasetemp() / "survives.csv"
    path.write_bytes(b"\xef\xbb\xbf" * mark + buffer.getvalue().encode())
    table = read_csv(path)
    assert table.names == tuple(header)
    assert table.number(header[0]).tolist() == numbers
    for name, cells in zip(header[1:], words, strict=True):
        assert table.text(name).tolist() == cells


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_byte_order_mark_and_every_line_end_are_accepted(tmp_path: Path, start: bytes, end: bytes) -> None:
    table = read_table(written(tmp_path, start + end.join([b"x, y ", b"1,2", b"3,4", b""])))
    assert table.names == ("x", "y")
    np.testing.assert_array_equal(table.numbers(["y", "x"]), [[2, 1], [4, 3]])
    assert table.lines.tolist() == [2, 3]


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'x,t\n1,"two\nlines"\n2,"a\r\n\nb"\nz,c\n'))
    assert table.lines.tolist() == [2, 4, 7]
    with pytest.raises(InputError, match=r"line 7, column 'x'.*'z'"):
        table.number("x")


def test_tabs_separate_the_fields_of_a_tsv_file(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "x\ty\na,5\t2\n", "data.TSV"))
    assert table.text("x").tolist() == ["a,5"]
    assert table.number("y").tolist() == [2.0]


def test_another_delimiter_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "x;y\n1;2\n")
    assert read_csv(path, delimiter=";").numbers(["x", "y"]).tolist() == [[1, 2]]
    with pytest.raises(InputError, match="expected one character"):
        read_csv(path, delimiter=";;")


def test_blank_lines_at_the_end_are_skipped(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "x,y\n1,2\n\n\r\n\n")).number("x").tolist() == [1.0]


def test_the_names_pandas_gives_to_nameless_columns_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    pd.DataFrame([[1.5, 2.5]]).to_csv(path, index=False)
    assert read_table(path).numbers(["0", "1"]).tolist() == [[1.5, 2.5]]


def test_digits_that_float64_would_change_stay_as_written(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "id,code,n\n9007199254740993,007,1\n9007199254740992,7,2\n"))
    assert [table.kind(name) for name in table.names] == ["text", "text", "number"]
    assert table.text("id").tolist() == ["9007199254740993", "9007199254740992"]
    assert table.text("code").tolist() == ["007", "7"]
    assert table.number("code").tolist() == [7.0, 7.0]


def test_reading_does_not_judge_columns_that_are_not_used(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "x,broken\n1,NA\n2,word\n3,inf\n"))
    assert table.number("x").tolist() == [1.0, 2.0, 3.0]


# -- refused files -------------------------------------------------------------------------------------------


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet", "none.xyz"):
        with pytest.raises(InputError, match=rf"there is no file '.*{name}'; expected an existing one"):
            read_table(tmp_path / name)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder\.csv is a directory; expected a file"):
        read_table(tmp_path / "folder.csv")


def test_a_file_without_read_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "x\n1\n")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"data\.csv cannot be read: permission denied; expected a file this"):
        read_table(path)


def test_a_name_with_a_nul_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        read_table("a\0b.csv")


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    message = complaint(tmp_path, "x\n1\n", "data.docx")
    assert message.startswith(" has the suffix '.docx'; expected one of .csv, .tsv, .parquet, .pq")


@pytest.mark.parametrize("content", ["", "\n", "\n\r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str | bytes) -> None:
    assert complaint(tmp_path, content) == (
        " is empty; expected a header line with the names of the columns, then rows"
    )


@pytest.mark.parametrize("content", ["x,y\n", "x,y", "x,y\n\n\n"])
def test_a_header_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    assert "has a header but no rows; expected at least one row" in complaint(tmp_path, content)


@pytest.mark.parametrize(
    ("row", "fields"), [("3", "1 field;"), ("3,4,5", "3 fields;"), ("3,4,", "3 fields;"), (" ", "1 field;")]
)
def test_a_row_of_another_length_is_refused(tmp_path: Path, row: str, fields: str) -> None:
    message = complaint(tmp_path, f'x,y\n"1\n",2\n{row}\n5,6\n')
    assert message.startswith(f", line 4: the row has {fields} expected 2")


def test_a_blank_line_between_rows_is_refused(tmp_path: Path) -> None:
    message = complaint(tmp_path, "x\n1\n\n\n2\n")
    assert message == ", line 3: the line is blank; expected a row, or the end of the file"
    assert complaint(tmp_path, "\nx\n1\n").startswith(", line 1: the line is blank")


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    message = complaint(tmp_path, "x,y, x\n1,2,3\n")
    assert message == ", line 1: columns 1 and 3 are both called 'x'; expected different names"


@pytest.mark.parametrize(("header", "number"), [("x,", 2), ("x,  ", 2), (" ,", 1)])
def test_a_column_without_a_name_is_refused(tmp_path: Path, header: str, number: int) -> None:
    message = complaint(tmp_path, f"{header}\n1,2\n")
    assert message.startswith(f", line 1: column {number} has no name; expected a name for every column")


def test_a_first_line_of_data_is_not_taken_for_names(tmp_path: Path) -> None:
    message = complaint(tmp_path, "1700,5.0\n1701,11\n")
    assert message.startswith(", line 1: every name is a number, so it looks like data; expected a header")


def test_fields_separated_by_something_else_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "year;value\n1700;1,5\n")
    with pytest.raises(InputError, match=r"line 1: the header is one field, 'year;value', with ';' in it; expected"):
        read_csv(path, delimiter=",")
    with pytest.raises(InputError, match="',' in it"):
        read_csv(written(tmp_path, "year,value\n1700,5\n", "data.tsv"), delimiter="\t")


def test_a_quote_that_never_closes_is_refused_where_it_opens(tmp_path: Path) -> None:
    message = complaint(tmp_path, 'x,y\n1,2\n3,"four\n5,6\n7,8\n')
    assert message.startswith(", line 3: a quoted field begins in this row and never ends; expected a closing")


def test_text_after_a_closing_quote_is_refused(tmp_path: Path) -> None:
    message = complaint(tmp_path, 'x,y\n1,"two" three\n')
    assert message.startswith(', line 2: text follows a closing " directly; expected')


def test_a_huge_field_is_refused(tmp_path: Path) -> None:
    message = complaint(tmp_path, "x,y\n1,2\n3," + "z" * 200_000 + "\n")
    assert message.startswith(", line 3: a field of this row is longer than 131072 characters; expected")


def test_a_nul_byte_is_refused(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfx,y\r\n1,2\r\n3,\x004\n"
    message = complaint(tmp_path, content)
    assert message == f", line 3: byte {content.index(0)} is NUL; expected UTF-8 text"


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    content = "x,y\nüber,2\n3,".encode() + "ü".encode("latin-1") + b"\n"
    message = complaint(tmp_path, content)
    assert message.startswith(f", line 3: byte {len(content) - 2} (0xfc) is not UTF-8; expected a text file")
    with pytest.raises(InputError, match=r"line 1: byte 0 \(0xff\) is not UTF-8"):
        read_csv(written(tmp_path, "x\n1\n".encode("utf-16")), form=TableFormat(encoding="utf-8"))


@given(st.lists(st.sampled_from([b"x", b"1", b",", b'"', b"\n", b"\r", b"\0", b"\xff", b" ", b"-", b";", b"\xc3\xbc"])))
def test_whatever_the_bytes_are_there_is_a_table_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"".join(pieces))
    try:
        table = read_csv(path)
    except InputError as error:
        said = str(error)
    else:
        said = "expected"
        assert (np.diff(table.lines) > 0).all()
    assert "expected" in said
    assert "\n" not in said
