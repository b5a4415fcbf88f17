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


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    table = table_of(tmp_path, "id,x\na,1\n")
    with pytest.raises(InputError, match=r"no column 'idd'.*did you mean 'id'"):
        sequences_by(table, "idd", ["x"])
