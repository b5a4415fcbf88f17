"""Long tables to sequences, against pandas' groupby; what does not stand together is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longlag.data import SequenceBatch, Table, read_csv, sequences_by
from longlag.errors import InputError


def table_of(folder: Path, content: str) -> Table:
    path = folder / "long.csv"
    path.write_text(content)
    return read_csv(path)


def test_rows_of_one_identifier_in_file_order_are_one_sequence(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lengths = [3, 1, 7, 2]
    frame = pd.DataFrame(
        {
            "id": np.repeat(["s2", "s1", "10", "9"], lengths),
            "a": rng.standard_normal(13),
            "label": np.repeat(["x", "y", "x", "z"], lengths),
            "b": rng.standard_normal(13),
            "score": np.repeat([0.5, -1.0, 2.0, 0.5], lengths),
        }
    )
    path = tmp_path / "long.csv"
    frame.to_csv(path, index=False)
    table = read_csv(path)
    sequences = sequences_by(table, "id", ["b", "a"], label_column="label")
    groups = list(frame.groupby("id", sort=False))
    assert sequences.ids == ("s2", "s1", "10", "9")
    assert sequences.features == ("b", "a")
    assert len(sequences) == 4
    assert sequences.labels is not None
    assert sequences.labels.tolist() == ["x", "y", "x", "z"]
    for array, (_, group) in zip(sequences.arrays, groups, strict=True):
        np.testing.assert_array_equal(array, group[["b", "a"]].to_numpy())
    scores = sequences_by(table, "id", ["a"], label_column="score").labels
    assert scores is not None
    assert scores.dtype == np.float64
    assert scores.tolist() == [0.5, -1.0, 2.0, 0.5]
    assert SequenceBatch.last_step(sequences.arrays, scores).lengths.tolist() == lengths


def test_identifiers_may_be_numbers_and_labels_may_be_left_out(tmp_path: Path) -> None:
    sequences = sequences_by(table_of(tmp_path, "id,x\n2,1\n2,2\n1,3\n"), "id", ["x"])
    assert sequences.ids == ("2", "1")
    assert [array.tolist() for array in sequences.arrays] == [[[1.0], [2.0]], [[3.0]]]
    assert sequences.labels is None


def test_identifiers_that_differ_as_written_stay_apart(tmp_path: Path) -> None:
    table = table_of(tmp_path, "id,x\n01,1\n1,2\n9007199254740993,3\n9007199254740992,4\n")
    assert len(sequences_by(table, "id", ["x"])) == 4


def test_an_identifier_that_comes_back_is_refused_with_its_line(tmp_path: Path) -> None:
    table = table_of(tmp_path, "id,x\na,1\nb,2\nb,3\na,4\na,5\n")
    message = r"line 5, column 'id': sequence 'a', which began at line 2, comes back after other rows; expected"
    with pytest.raises(InputError, match=message):
        sequences_by(table, "id", ["x"])


def test_a_label_that_changes_within_a_sequence_is_refused_with_its_line(tmp_path: Path) -> None:
    for first, second in (("u", "v"), ("1", "2")):
        table = table_of(tmp_path, f"id,x,y\na,1,{first}\nb,2,{first}\nb,3,{second}\nc,4,{first}\n")
        message = (
            rf"line 4, column 'y': the label is '{second}' but '{first}' in the rows above .* sequence 'b'; expected"
        )
        with pytest.raises(InputError, match=message):
            sequences_by(table, "id", ["x"], label_column="y")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",2,v", "line 3, column 'id': the cell is empty"),
        ("a,,v", "line 3, column 'x': the cell is empty"),
        ("a,two,v", "line 3, column 'x': the cell reads 'two'; expected a number"),
        ("a,2,", "line 3, column 'y': the cell is empty"),
    ],
)
def test_a_missing_or_foreign_cell_is_refused_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sequences_by(table_of(tmp_path, f"id,x,y\na,1,v\n{row}\n"), "id", ["x"], label_column="y")


# -- rows in any order -------------------------------------------------------------------------------------------------


def long_frame() -> pd.DataFrame:
    """Sequences of unequal length with times of their own, and a value that no two rows share."""
    rng = np.random.default_rng(0)
    lengths = [3, 1, 7, 2]
    begins = np.repeat(["2024-01-30", "2024-03-01", "2023-12-29", "2024-01-01"], lengths)
    within = np.concatenate([np.arange(length) for length in lengths])
    return pd.DataFrame(
        {
            "id": np.repeat(["s2", "s1", "10", "9"], lengths),
            "day": (pd.to_datetime(begins) + pd.to_timedelta(within, "D")).strftime("%Y-%m-%d"),
            "a": rng.standard_normal(13),
            "b": np.arange(13.0),
            "label": np.repeat(["x", "y", "x", "z"], lengths),
            "weight": np.repeat([1.0, 2.5, 0.0, 1.0], lengths),
        }
    )


@pytest.mark.parametrize("seed", range(3))
def test_rows_in_any_order_are_the_sequences_that_their_times_make(seed: int, tmp_path: Path) -> None:
    frame = long_frame()
    path = tmp_path / "long.csv"
    frame.sample(frac=1, random_state=seed).to_csv(path, index=False)
    sequences = sequences_by(
        read_csv(path), "id", ["b", "a"], label_column="label", weight_column="weight", time_column="day"
    )
    groups = list(frame.groupby("id"))  # sorted by id
    assert sequences.ids == tuple(name for name, _ in groups)
    for array, (_, group) in zip(sequences.arrays, groups, strict=True):
        np.testing.assert_array_equal(array, group.sort_values("day")[["b", "a"]].to_numpy())
    assert sequences.labels is not None
    assert sequences.weights is not None
    assert sequences.labels.tolist() == frame.groupby("id")["label"].first().tolist()
    assert sequences.weights.tolist() == frame.groupby("id")["weight"].first().tolist()
    assert any("rows were sorted by 'day'" in note for note in sequences.notes)
    part = sequences.select(np.array([2, 0]))
    assert part.weights is not None
    assert (part.ids, part.weights.tolist()) == (("s1", "10"), [2.5, 0.0])


def test_rows_that_stand_in_order_are_the_same_with_and_without_their_times(tmp_path: Path) -> None:
    frame = long_frame().sort_values(["id", "day"])
    path = tmp_path / "long.csv"
    frame.to_csv(path, index=False)
    plain, timed = (sequences_by(read_csv(path), "id", ["a"], time_column=time) for time in (None, "day"))
    assert plain.ids == timed.ids
    assert timed.notes == ()
    for one, other in zip(plain.arrays, timed.arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_identifiers_of_numbers_come_sorted_by_size(tmp_path: Path) -> None:
    table = table_of(tmp_path, "t,id,x\n1,10,1\n2,9,2\n2,10,3\n1,9,4\n")
    sequences = sequences_by(table, "id", ["x"], time_column="t")
    assert sequences.ids == ("9", "10")
    assert [array.ravel().tolist() for array in sequences.arrays] == [[4.0, 2.0], [1.0, 3.0]]


def test_a_time_that_repeats_is_refused_by_line_or_merged(tmp_path: Path) -> None:
    content = "t,id,x,y\n2,a,5,u\n1,a,1,u\n2,b,7,v\n2,a,9,u\n1,b,3,v\n"
    table = table_of(tmp_path, content)
    message = r"line 5: 2 of series 'a' stands in line 2 already; expected one row for each time, or --duplicates mean"
    with pytest.raises(InputError, match=message):
        sequences_by(table, "id", ["x"], time_column="t")
    for way, last in (("mean", 7.0), ("last", 9.0)):
        sequences = sequences_by(table, "id", ["x"], label_column="y", time_column="t", duplicates=way)
        assert [array.ravel().tolist() for array in sequences.arrays] == [[1.0, last], [3.0, 7.0]]
        assert any("rows that repeat a time (1, first line 5)" in note for note in sequences.notes)
    with pytest.raises(InputError, match=r"line 3, column 'y': the label is 'w' but 'u' .* sequence 'a'"):
        sequences_by(
            table_of(tmp_path, content.replace("1,a,1,u", "1,a,1,w")),
            "id",
            ["x"],
            label_column="y",
            time_column="t",
            duplicates="mean",
        )


def test_a_time_without_a_row_is_refused_by_line_or_filled_or_ignored(tmp_path: Path) -> None:
    table = table_of(tmp_path, "t,id,x\n4,a,5\n1,a,1\n2,a,2\n1,b,8\n2,b,9\n")
    message = r"line 2, column 't': 4 of series 'a' comes 2 steps after 2 .*; expected every time, or --gaps fill or"
    for gaps in ("auto", "refuse"):
        with pytest.raises(InputError, match=message if gaps == "auto" else "expected every time$"):
            sequences_by(table, "id", ["x"], time_column="t", gaps=gaps)
    for gaps, expected in (("fill", [1.0, 2.0, 2.0, 5.0]), ("ignore", [1.0, 2.0, 5.0])):
        sequences = sequences_by(table, "id", ["x"], time_column="t", gaps=gaps)
        assert [array.ravel().tolist() for array in sequences.arrays] == [expected, [8.0, 9.0]]
        assert sequences.notes
    with pytest.raises(InputError, match="gaps is 'mask'"):
        sequences_by(table, "id", ["x"], time_column="t", gaps="mask")


def test_days_without_a_row_are_never_missing_values_of_a_sequence(tmp_path: Path) -> None:
    # A series to forecast would have them as missing values, which a sequence cannot have.
    days = [f"2024-01-{day:02d},a,{day}" for day in range(1, 20) if day != 7]
    with pytest.raises(InputError, match="2024-01-08 comes 2 steps after 2024-01-06"):
        sequences_by(table_of(tmp_path, "t,id,x\n" + "\n".join(days) + "\n"), "id", ["x"], time_column="t")


def test_uneven_times_order_the_rows_and_nothing_else(tmp_path: Path) -> None:
    sequences = sequences_by(
        table_of(tmp_path, "t,id,x\n0.7,a,3\n0.1,a,1\n0.25,a,2\n9.3,b,5\n1.4,b,4\n"), "id", ["x"], time_column="t"
    )
    assert [array.ravel().tolist() for array in sequences.arrays] == [[1.0, 2.0, 3.0], [4.0, 5.0]]
    assert any("times in 't' are uneven: rows are taken as steps" in note for note in sequences.notes)


def test_a_weight_that_cannot_be_one_is_refused_with_its_line(tmp_path: Path) -> None:
    table = table_of(tmp_path, "id,x,w\na,1,2\na,2,3\nb,3,-1\n")
    with pytest.raises(InputError, match=r"line 4, column 'w': the weight is -1; expected at least 0"):
        sequences_by(table, "id", ["x"], weight_column="w")
    table = table_of(tmp_path, "id,x,w\na,1,2\na,2,3\nb,3,1\n")
    with pytest.raises(InputError, match=r"line 3, column 'w': the weight is '3' but '2' in the rows above .* 'a'"):
        sequences_by(table, "id", ["x"], weight_column="w")


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    table = table_of(tmp_path, "id,x\na,1\n")
    with pytest.raises(InputError, match=r"no column 'idd'.*did you mean 'id'"):
        sequences_by(table, "idd", ["x"])
