"""Bad data: one sentence that says what, where and what was expected; exit code 2; nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from commands import QUICK, SHORT, done, refused, rows_to_classify, sequences, series, table, tree, wave
from pyarrow import parquet

from longlag.errors import InputError
from longlag.estimators import LSTMClassifier

Finished = Callable[[str], Path]

LINES = ["step,y", *(f"{number},{value}" for number, value in enumerate(wave(30), start=1))]
"""A series as lines of a file: the first row stands in line 2."""


def with_line(number: int, text: str) -> str:
    lines = LINES.copy()
    lines[number - 1] = text
    return "\n".join(lines) + "\n"


BAD_FILES = {
    "an empty file": ("", ["data.csv is empty", "expected a header line"]),
    "a header only": ("step,y\n", ["data.csv has a header but no rows", "expected at least one row"]),
    "a ragged row, too long": (with_line(7, "6,1.0,2.0"), ["line 7", "3 fields", "expected 2"]),
    "a ragged row, too short": (with_line(9, "8"), ["line 9", "1 field;", "expected 2"]),
    "text in a number column": (with_line(5, "4,abc"), ["line 5", "'y'", "'abc'", "expected a number"]),
    "Inf": (with_line(31, "30,inf"), ["line 31", "'y'", "'inf'", "not finite", "expected a finite number"]),
    "minus infinity": (with_line(2, "1,-Infinity"), ["line 2", "'y'", "not finite", "expected a finite number"]),
    "a number that overflows": (with_line(4, "3,1e999"), ["line 4", "'y'", "'1e999'", "not finite"]),
    "a number whose square overflows": (with_line(4, "3,1e200"), ["line 4", "'y'", "1e+200", "expected at most"]),
    "a decimal comma": (with_line(4, '3,"1,5"'), ["line 4", "'y'", "'1,5'", "decimal comma"]),
    "a blank line between rows": (with_line(8, ""), ["line 8"]),
    "another encoding": (None, ["line 3", "UTF-8"]),
    "a letter of cp1252": (b"step,y\n1,2\n2,\xe4\n", ["line 3", "'y'", "'ä'", "expected a number"]),
    "two columns of one name": ("y,y\n1,2\n", ["line 1", "both called 'y'"]),
}


@pytest.mark.parametrize(("content", "says"), BAD_FILES.values(), ids=BAD_FILES)
@pytest.mark.parametrize("use", ["fit", "predict"])
def test_a_bad_file_is_refused_by_line_and_column(
    use: str, content: str | bytes | None, says: Sequence[str], finished: Finished
) -> None:
    if content is None:
        Path("data.csv").write_bytes("step,ü\n1,2\n2,".encode() + b"\xe4\n")
    elif isinstance(content, bytes):
        Path("data.csv").write_bytes(content)
    else:
        Path("data.csv").write_text(content, encoding="utf-8")
    if use == "fit":
        refused("fit", "data.csv", "--target", "y", "--lags", 3, "--out", "new", says=["data.csv", *says])
    else:
        refused("predict", finished("forecast"), "data.csv", says=["data.csv", *says])


@pytest.mark.parametrize("value", ["1.5x", "nan", "inf", ""])
@pytest.mark.parametrize("task", ["--label", "--target"])
def test_a_bad_cell_in_a_long_table_is_refused_by_line_and_column(task: str, value: str) -> None:
    answer = "kind" if task == "--label" else "score"
    header, *rows = [line.split(",") for line in Path(sequences(answer)).read_text(encoding="utf-8").splitlines()]
    rows[9][2] = value
    words = ("fit", table("data.csv", header, rows), task, answer, "--sequence", "id", "--out", "new")
    refused(*words, says=["data.csv, line 11, column 'b'", "expected a", "every column but"])


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pa.array([None] * 9, pa.float64()), ["column 'y' has no value in 9 steps", "expected at least one number"]),
        (pa.array([float("nan")] * 9), ["column 'y' has no value in 9 steps", "expected at least one number"]),
        (pa.array([float("-inf"), *range(29)], pa.float64()), ["row 1", "'y'", "not finite"]),
        (pa.array(["1", "two", *map(str, range(28))]), ["row 2", "'y'", "'two'"]),
        (pa.array([], pa.float64()), ["0 rows", "expected at least one"]),
    ],
    ids=["null everywhere", "NaN everywhere", "infinity", "text", "no rows"],
)
def test_a_bad_parquet_file_is_refused_by_row_and_column(column: pa.Array, says: Sequence[str]) -> None:
    parquet.write_table(pa.table({"y": column}), "data.parquet")
    refused("fit", "data.parquet", "--target", "y", "--lags", 3, "--out", "new", says=["data.parquet", *says])


@pytest.mark.costly
@pytest.mark.parametrize("missing", ["NaN", "", "NA"])
def test_a_missing_value_is_a_step_of_which_nothing_is_known(missing: str, finished: Finished, undrawn: None) -> None:
    """Refused before forecasting knew masked steps."""
    for number in (2, 6, 28, 31):  # the first, inside, held out, the last
        Path("data.csv").write_text(with_line(number, f"{number - 1},{missing}"), encoding="utf-8")
        done("fit", "data.csv", "--target", "y", *QUICK, "--horizon", 3, "--out", f"run{number}")
        metrics = json.loads(Path(f"run{number}/metrics.json").read_text(encoding="utf-8"), parse_constant=not_json)
        assert metrics["training_rows"] + metrics["test_rows"] == 30
        assert all(np.isfinite(row["mae"]) for row in metrics["score"]["methods"])
    run = finished("forecast")
    _, *rows = done("predict", run, "data.csv").splitlines()
    step, value, predicted = rows[-1].split(",")
    assert (step, value) == ("30", "")
    assert np.isfinite(float(predicted))


def not_json(constant: str) -> None:
    """What ``json`` calls for NaN and the infinities."""
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.costly
def test_missing_values_where_the_score_has_its_only_last_step_leave_its_error_out() -> None:
    rows = [*enumerate(wave(29), start=1), (30, "")]
    words = ("--target", "y", *QUICK, "--horizon", 5, "--test", 0.17)
    answer = done("fit", table("data.csv", ("step", "y"), rows), *words, "--json", "--out", "run")
    methods = json.loads(answer, parse_constant=not_json)["score"]["methods"]
    assert all(row["mae_last_step"] is None and np.isfinite(row["mae_first_step"]) for row in methods)
    for row in range(25, 30):
        rows[row] = (row + 1, "")
    table("data.csv", ("step", "y"), rows)
    refused("fit", "data.csv", *words, "--out", "new", says=["no value in the", "held out"])


def test_a_damaged_parquet_file_is_refused() -> None:
    Path("data.parquet").write_bytes(b"PAR1 and then nothing of the kind PAR1")
    refused("fit", "data.parquet", "--target", "y", "--out", "new", says=["data.parquet is damaged or no Parquet file"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--target", "z"), ["no column 'z'", "its columns are 'step', 'y'"]),
        (("--target", "steps"), ["no column 'steps'", "did you mean 'step'?"]),
        (("--target", "y", "--time", "when"), ["no column 'when'"]),
        (("--target", "y", "--sequence", "id"), ["no column 'id'"]),
        (("--label", "kind"), ["no column 'kind'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_unknown_column_is_refused_with_those_there_are(options: Sequence[str], says: Sequence[str]) -> None:
    refused("fit", series(), *options, "--out", "new", says=["series.csv", *says])


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("sunspotz", ["'sunspotz' is neither a file nor a built-in", "did you mean 'sunspots'?"]),
        ("", ["neither a file nor a built-in", "sunspots, co2, elnino, JapaneseVowels"]),
        ("nowhere.csv", ["no file 'nowhere.csv'"]),
        ("notes.doc", ["suffix '.doc'", "expected one of .csv, .tsv, .parquet, .pq"]),
        ("folder", ["folder is a directory; expected a file"]),
        ("folder.csv", ["folder.csv is a directory; expected a file"]),
    ],
)
def test_what_is_no_table_is_refused(what: str, says: Sequence[str]) -> None:
    Path("notes.doc").touch()
    Path("folder").mkdir()
    Path("folder.csv").mkdir()
    refused("fit", what, "--target", "y", "--out", "new", says=says)


def test_a_file_name_with_a_line_break_still_makes_one_line() -> None:
    Path("two\nlines.csv").touch()
    refused("fit", "two\nlines.csv", "--target", "y", "--out", "new", says=["two lines.csv is empty"])


def test_a_series_shorter_than_the_horizon_is_refused() -> None:
    says = ["--horizon 30", "30 rows", "expected less"]
    refused("fit", series(steps=30), "--target", "y", "--horizon", 30, "--out", "new", says=says)
    refused("fit", series(steps=30), "--target", "y", "--horizon", 900, "--out", "new", says=["--horizon 900"])


@pytest.mark.parametrize("options", [("--horizon", 26, "--lags", 3), ("--test", 0.9, "--lags", 3)])
def test_a_series_too_short_to_learn_from_is_refused(options: Sequence[object]) -> None:
    says = ["30 rows leave", "expected at least", "give more data, or a smaller --horizon or --test"]
    refused("fit", series(steps=30), "--target", "y", *options, "--out", "new", says=says)


@pytest.mark.costly
@pytest.mark.parametrize("options", [("--lags", 12), ("--horizon", 20, "--lags", 5)])
def test_a_series_is_taken_that_is_short_for_its_lags_or_horizon(options: Sequence[object], undrawn: None) -> None:
    done("fit", series(steps=30), "--target", "y", *QUICK, *options, "--out", "new")


@pytest.mark.costly
def test_the_shortest_series_that_is_taken_is_enough(undrawn: None) -> None:
    says = ["expected at least 5 to learn from and one to score"]
    said = refused("fit", series(steps=5), "--target", "y", "--out", "new", says=says)
    assert said.startswith("series.csv has 5 rows in its longest series;")
    for steps, options in ((6, ()), (7, ("--horizon", 2)), (14, ())):  # as many rows as the message asks for
        words = ("--target", "y", *SHORT, "--networks", 1, *options, "--out", f"run{steps}")
        done("fit", series(f"{steps}.csv", steps), *words)
        assert len(done("forecast", f"run{steps}", "--steps", 3).splitlines()) == 4


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ([1, 2, 3, 3, *range(5, 61)], ["line 5", "3 stands in line 4 already", "--duplicates mean or last"]),
        (
            [f"2001-01-{1 + day % 28:02d}" for day in range(60)],
            ["line 30", "2001-01-01 stands in line 2 already"],
        ),
        (["monday"] * 60, ["line 2", "'step'", "'monday'"]),
        (["", *range(59)], ["line 2", "'step'", "empty"]),
    ],
    ids=["twice", "dates go back", "words", "missing"],
)
def test_times_that_do_not_go_on_are_refused_by_line(times: Sequence[object], says: Sequence[str]) -> None:
    name = table("data.csv", ("step", "y"), zip(times, wave(), strict=True))
    refused("fit", name, "--target", "y", "--time", "step", "--lags", 3, "--out", "new", says=says)


@pytest.mark.costly
def test_rows_in_another_order_are_sorted_and_that_is_said(undrawn: None) -> None:
    rows = list(enumerate(wave(), start=1))
    for name, order in (("forwards", rows), ("backwards", rows[::-1])):
        out = done("fit", table(f"{name}.csv", ("step", "y"), order), "--time", "step", *QUICK, "--out", name)
        assert ("rows were sorted by 'step': line 3 holds 59, after a later time in line 2" in out) == (order != rows)
    assert tree(Path("forwards/model")) == tree(Path("backwards/model"))


@pytest.mark.costly
def test_rows_of_one_time_count_once_where_that_is_asked(undrawn: None) -> None:
    rows = list(enumerate(wave(59), start=1))
    table("data.csv", ("step", "y"), [*rows, (60, 1.0), (60, 3.0)])
    table("mean.csv", ("step", "y"), [*rows, (60, 2.0)])
    table("last.csv", ("step", "y"), [*rows, (60, 3.0)])
    for way in ("mean", "last"):
        out = done("fit", "data.csv", "--time", "step", "--duplicates", way, *QUICK, "--out", f"of-{way}")
        assert "data.csv as read: " in out
        done("fit", f"{way}.csv", "--time", "step", *QUICK, "--out", way)
        assert tree(Path(f"of-{way}/model")) == tree(Path(way, "model"))


def test_a_label_that_never_changes_is_refused() -> None:
    rows = [(number, number % 3, "same") for number in range(20)]
    name = table("data.csv", ("a", "b", "kind"), rows)
    refused("fit", name, "--label", "kind", "--out", "new", says=["'same' throughout", "at least two classes"])


def test_a_label_that_is_a_measurement_is_refused() -> None:
    name = table("data.csv", ("a", "b"), [(number, number / 4) for number in range(20)])
    refused("fit", name, "--label", "b", "--out", "new", says=["'b' holds 0.25", "expected classes", "--target"])


def test_a_label_that_is_missing_is_refused() -> None:
    name = table("data.csv", ("a", "kind"), [(number, "u" if number != 4 else "") for number in range(20)])
    refused("fit", name, "--label", "kind", "--out", "new", says=["line 6", "'kind'", "empty"])


def test_a_class_for_every_row_leaves_none_to_hold_out() -> None:
    name = table("data.csv", ("a", "kind"), [(number, f"k{number}") for number in range(20)])
    refused(
        "fit", name, "--label", "kind", "--out", "new", says=["20 sequences in 20 classes", "expected more of each"]
    )


def test_a_label_that_changes_within_a_sequence_is_refused_by_line() -> None:
    rows = [(number // 4, number, "u" if number != 6 else "v") for number in range(20)]
    name = table("data.csv", ("id", "a", "kind"), rows)
    says = ["line 8", "'kind'", "'v' but 'u'", "expected one label per sequence"]
    refused("fit", name, "--label", "kind", "--sequence", "id", "--out", "new", says=says)


def test_a_sequence_that_comes_back_is_refused_by_line() -> None:
    rows = [(number % 2, number, "uv"[number % 2]) for number in range(20)]
    name = table("data.csv", ("id", "a", "kind"), rows)
    refused("fit", name, "--label", "kind", "--sequence", "id", "--out", "new", says=["line 4", "comes back"])


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_too_few_sequences_are_refused(rows: int) -> None:
    name = table("data.csv", ("a", "kind"), [(number, "uv"[number % 2]) for number in range(rows)])
    refused("fit", name, "--label", "kind", "--out", "new", says=["expected"])


def test_a_target_of_words_is_refused_by_line() -> None:
    rows = [(number // 4, number, "high") for number in range(40)]
    name = table("data.csv", ("id", "a", "score"), rows)
    says = ["line 2", "'score'", "'high'", "expected a number"]
    refused("fit", name, "--target", "score", "--sequence", "id", "--out", "new", says=says)


def test_a_table_without_a_column_to_read_is_refused() -> None:
    name = table("data.csv", ("id", "kind"), [(number // 4, "uv"[number // 4 % 2]) for number in range(40)])
    refused("fit", name, "--label", "kind", "--sequence", "id", "--out", "new", says=["no columns were chosen"])


@pytest.mark.parametrize("out", ["new", "runs/deep/new", "there/new", "empty"])
def test_what_training_refuses_leaves_no_folder_behind(out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: LSTMClassifier, X: object, y: object, sample_weight: object) -> None:
        assert Path(out, "run.json").exists()
        Path(out, "checkpoints").mkdir()  # as far as a run gets before its data have been looked at
        raise InputError("sequence 3 is 1e+300 at step 0, which is too large")

    monkeypatch.setattr(LSTMClassifier, "fit", refuse)
    Path("there").mkdir()
    Path("there/other.txt").touch()
    Path("empty").mkdir()
    refused("fit", rows_to_classify(), "--label", "label", "--out", out, says=["sequence 3 is 1e+300"])
