"""Parquet files: the values pyarrow holds, with row numbers where a value is missing."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longlag.data import read_parquet, read_table
from longlag.errors import InputError


def written(folder: Path, columns: dict[str, pa.Array], name: str = "data.parquet") -> Path:
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def test_a_good_file_is_read_as_pandas_reads_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2001-01-01", periods=50, freq="37min"),
            "value": rng.standard_normal(50),
            "small": rng.integers(-5, 5, 50).astype("int8"),
            "word": rng.choice(["a", "b,c", ""], 50) + "x",
            "kind": pd.Categorical(rng.choice(["red", "green"], 50)),
        }
    )
    path = tmp_path / "data.pq"
    frame.to_parquet(path, index=False, row_group_size=7)
    oracle = pd.read_parquet(path)
    table = read_table(path)
    assert table.names == tuple(frame.columns)
    np.testing.assert_array_equal(table.dates("when"), oracle["when"].to_numpy())
    np.testing.assert_array_equal(table.numbers(["value", "small"]), oracle[["value", "small"]].to_numpy(float))
    assert table.text("word").tolist() == oracle["word"].tolist()
    assert table.text("kind").tolist() == oracle["kind"].tolist()


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        (pa.array([1, 2], pa.int64()), [1.0, 2.0]),
        (pa.array([1, 255], pa.uint8()), [1.0, 255.0]),
        (pa.array([0.5, -2], pa.float32()), [0.5, -2.0]),
        (pa.array(np.array([0.5, -2], dtype=np.float16)), [0.5, -2.0]),
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array([Decimal("1.25"), Decimal("-3.00")]), [1.25, -3.0]),
        (pa.array([5, 7, 5]).dictionary_encode(), [5.0, 7.0, 5.0]),
        (pa.array(["1.5", "2"]), [1.5, 2.0]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_kind_of_number_is_a_number(tmp_path: Path, column: pa.Array, numbers: list[float]) -> None:
    assert read_table(written(tmp_path, {"x": column})).number("x").tolist() == numbers


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pa.array([1, 2, None], pa.int64()), "empty"),
        (pa.array([2**53 + 1, 2, None], pa.int64()), "empty"),
        (pa.array([1.0, 2.0, None]), "empty"),
        (pa.array([1.0, 2.0, float("nan")]), "reads 'nan', which counts as missing"),
        (pa.array([1.0, 2.0, float("-inf")]), "reads '-inf', which is not finite"),
        (pa.array([True, False, None]), "empty"),
        (pa.array([Decimal("1.2"), Decimal("2.0"), None]), "empty"),
        (pa.array(["1", "2", None]), "empty"),
        (pa.array([1, 2, None]).dictionary_encode(), "empty"),
    ],
)
def test_a_null_or_nan_is_missing_and_named_by_its_row(tmp_path: Path, values: pa.Array, found: str) -> None:
    table = read_table(written(tmp_path, {"x": values, "y": pa.array([1, 2, 3])}))
    with pytest.raises(InputError, match=rf"data\.parquet, row 3, column 'x': the cell (is )?{found}"):
        table.number("x")
    assert table.number("y").tolist() == [1.0, 2.0, 3.0]


def test_a_column_of_nulls_is_missing_from_the_first_row(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, {"x": pa.nulls(2)}))
    with pytest.raises(InputError, match=r"row 1, column 'x': the cell is empty.*first of 2"):
        table.number("x")


def test_whole_numbers_beyond_float64_keep_their_digits(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, {"id": pa.array([2**53 + 1, 2**53, -1])}))
    assert table.text("id").tolist() == [str(2**53 + 1), str(2**53), "-1"]


def test_times_are_dates_in_utc(tmp_path: Path) -> None:
    zoned = pa.array([datetime.datetime(2001, 1, 1, 12, tzinfo=datetime.UTC)]).cast(pa.timestamp("ns", "Asia/Tokyo"))
    table = read_table(written(tmp_path, {"zoned": zoned, "day": pa.array([datetime.date(2001, 1, 1)])}))
    assert table.dates("zoned")[0] == np.datetime64("2001-01-01T12:00")
    assert table.notes == ("zoned: times of a zone, read in UTC (Asia/Tokyo)",)
    assert table.dates("day")[0] == np.datetime64("2001-01-01")
    empty = read_table(written(tmp_path, {"day": pa.array([datetime.date(2001, 1, 1), None])}))
    with pytest.raises(InputError, match="row 2, column 'day': the cell is empty; expected an ISO date"):
        empty.dates("day")


def test_a_column_of_lists_is_in_nobodys_way(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, {"x": pa.array([1.0]), "list": pa.array([[1, 2]])}))
    assert table.number("x").tolist() == [1.0]
    with pytest.raises(InputError, match=r"row 1, column 'list': the cell reads '\[1, 2\]'; expected a number"):
        table.number("list")


def test_the_names_of_directories_add_no_columns(tmp_path: Path) -> None:
    (tmp_path / "year=2020").mkdir()
    assert read_table(written(tmp_path / "year=2020", {"x": pa.array([1.0])})).names == ("x",)


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), path)
    with pytest.raises(InputError, match=r"data.parquet: columns 1 and 2 are both called 'x'"):
        read_table(path)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 1 columns and 0 rows; expected at least one each"):
        read_table(written(tmp_path, {"x": pa.array([], pa.float64())}))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    path = written(tmp_path, {"x": pa.array(np.arange(1000.0))})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(InputError, match=r"data\.parquet is damaged or no Parquet file \(.*\); expected") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


def test_a_file_overwritten_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"x": pa.array(np.random.default_rng(0).standard_normal(10000))})
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged or no Parquet file"):
        read_parquet(path)


def test_text_called_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    path.write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="is damaged or no Parquet file"):
        read_table(path)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(InputError, match=r"folder\.parquet is a directory; expected a file"):
        read_table(tmp_path / "folder.parquet")


def test_damage_that_only_a_checksum_shows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    table = pa.table({"x": pa.array(np.full(100, 1.5))})
    pq.write_table(
        table, path, write_page_checksum=True, write_statistics=False, use_dictionary=False, compression="none"
    )
    content = path.read_bytes()
    assert content.count(np.float64(1.5).tobytes()) >= 100
    path.write_bytes(content.replace(np.float64(1.5).tobytes(), np.float64(2.5).tobytes(), 1))
    with pytest.raises(InputError, match=r"damaged .*CRC"):
        read_table(path)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"name": pa.array([1.0])})
    path.write_bytes(path.read_bytes().replace(b"name", b"nam\xd3"))
    with pytest.raises(InputError, match="is damaged or no Parquet file"):
        read_table(path)
