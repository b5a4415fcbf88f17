"""Options that contradict themselves, the data or the run that is there; places that cannot be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from commands import (
    QUICK,
    SHORT,
    done,
    longlag,
    refused,
    rows_to_classify,
    sentence,
    sequences,
    series,
    table,
    tree,
    wave,
)
from safetensors.torch import load_file

from longlag.errors import DivergenceError
from longlag.estimators import LSTMForecaster
from longlag.training.run import Run

Finished = Callable[[str], Path]


def test_a_target_and_a_label_together_are_refused() -> None:
    says = ["--target and --label were both given", "expected one"]
    refused("fit", series(), "--target", "y", "--label", "y", "--out", "new", says=says)


def test_a_table_that_leaves_open_what_to_forecast_is_asked_about_with_its_columns() -> None:
    says = ["rows.csv has 4 columns of numbers, 'a', 'b', 'c', 'label': which is to be forecast?", "--target"]
    refused("fit", rows_to_classify(), "--out", "new", says=says)
    words = table("words.csv", ("name", "kind"), [("a", "b")] * 9)
    refused("fit", words, "--out", "new", says=["words.csv has no column of numbers to forecast", "'name', 'kind'"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sunspots", "--sequence", "year"), ["--sequence was given without"]),
        (("sunspots", "--target", "moons"), ["no column 'moons'"]),
        (("sunspots", "--label", "sunspots"), ["'sunspots' holds", "expected classes"]),
        (
            ("series.csv", "--target", "y", "--optimizer", "nonsense"),
            ["'nonsense'", "sgd, momentum, adam, adamw, lbfgs, cg, hessian_free"],
        ),
        (
            ("rows.csv", "--label", "label", "--optimizer", "nonsense"),
            ["'nonsense'", "sgd, momentum, adam, adamw, lbfgs, cg, hessian_free"],
        ),
        (("series.csv", "--target", "y", "--learning-rate", "-1"), ["-1", "expected positive"]),
        (("rows.csv", "--label", "label", "--learning-rate", "-1"), ["-1", "expected positive"]),
        (("series.csv", "--target", "y", "--learning-rate", "0"), ["expected positive"]),
        (("series.csv", "--target", "y", "--learning-rate", "nan"), ["nan", "expected a positive"]),
        (("series.csv", "--target", "y", "--learning-rate", "inf"), ["inf", "expected a positive"]),
        (("series.csv", "--target", "y", "--test", "2"), ["--test is 2.0", "between 0 and 1"]),
        (("series.csv", "--target", "y", "--test", "0"), ["--test is 0.0", "between 0 and 1"]),
        (("series.csv", "--target", "y", "--test", "nan"), ["--test is nan", "between 0 and 1"]),
        (("rows.csv", "--label", "label", "--test", "1"), ["--test is 1.0", "between 0 and 1"]),
        (("rows.csv", "--label", "label", "--test", "0.001"), ["40 sequences", "cannot be split"]),
        (("series.csv", "--target", "y", "--lags", "500"), ["--lags 500 is no less than the 45 rows"]),
        (
            ("series.csv", "--target", "y", "--season", "46", "--lags", "3"),
            ["--season 46 does not fit twice into the 45 rows"],
        ),
        (("rows.csv", "--label", "label", "--horizon", "2"), ["--horizon belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--season", "2"), ["--season belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--lags", "2"), ["--lags belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--time", "a"), ["--time belongs to forecasting"]),
        (("long.csv", "--target", "score", "--sequence", "id", "--lags", "2"), ["--lags belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--id", "a"), ["--id belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--known", "a"), ["--known belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--inputs", "a"), ["--inputs belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--static", "a"), ["--static belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--calendar"), ["--calendar belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--gaps", "mask"), ["--gaps belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--duplicates", "mean"), ["--duplicates belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--networks", "2"), ["--networks belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--no-refit"), ["--no-refit belongs to forecasting"]),
        (("rows.csv", "--label", "label", "--class-weight", "even"), ["--class-weight is 'even'", "expected balanced"]),
        (("rows.csv", "--label", "label", "--sample-weight", "w"), ["no column 'w'"]),
        (("rows.csv", "--label", "label", "--sample-weight", "a"), ["column 'a'", "the weight is -", "at least 0"]),
        (("series.csv", "--target", "y", "--sample-weight", "y"), ["--sample-weight belongs to sequences"]),
        (("series.csv", "--target", "y", "--class-weight", "balanced"), ["--class-weight belongs to sequences"]),
        (
            ("long.csv", "--target", "score", "--sequence", "id", "--class-weight", "balanced"),
            ["--class-weight belongs to classes"],
        ),
        (("long.csv", "--target", "score", "--sequence", "id", "--gaps", "fill"), ["--gaps needs the times"]),
        (("long.csv", "--target", "score", "--sequence", "id", "--duplicates", "last"), ["--duplicates needs the"]),
        (
            ("long.csv", "--target", "score", "--sequence", "id", "--time", "a", "--gaps", "mask"),
            ["--gaps is mask, but a sequence has no missing values"],
        ),
        (("JapaneseVowels", "--sample-weight", "w"), ["--sample-weight was given for JapaneseVowels"]),
        (("rows.csv", "--target", "a", "--gaps", "mask"), ["--gaps is mask, but no column", "expected --time too"]),
        (("rows.csv", "--target", "a", "--duplicates", "last"), ["--duplicates is last, but no column"]),
        (("series.csv", "--gaps", "leave"), ["--gaps is 'leave'", "fill or mask or refuse or ignore"]),
        (("series.csv", "--duplicates", "first"), ["--duplicates is 'first'", "refuse or mean or last"]),
        (("series.csv", "--target", "y", "--known", "z"), ["no column 'z'"]),
        (("rows.csv", "--target", "a,b"), ["--target is 'a,b'", "expected --target a --target b for a series each"]),
        (("series.csv", "--target", "y", "--id", "z"), ["no column 'z'"]),
        (("series.csv", "--target", "y", "--time", "y"), ["'y' is both target and time"]),
        (("series.csv", "--target", "y", "--calendar"), ["no dates", "or no calendar"]),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, tuple) else None,
)
def test_an_impossible_option_is_refused(words: Sequence[str], says: Sequence[str]) -> None:
    series()
    rows_to_classify()
    sequences("score")
    refused("fit", *words, "--out", "new", says=says)


@pytest.mark.parametrize("words", [("--label", "kin"), ("--label", "kind", "--sequence", "kin")])
def test_a_mistyped_column_of_classes_is_named_and_not_a_cell_of_another(words: Sequence[str]) -> None:
    name = table("plants.csv", ("width", "kind"), [(number, "ab"[number % 2]) for number in range(20)])
    refused("fit", name, *words, "--out", "new", says=["plants.csv has no column 'kin'", "did you mean 'kind'?"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("fit", "sunspots", "--nope"), "No such option"),
        (("fit", "sunspots", "--lags", "0"), "'--lags'"),
        (("fit", "sunspots", "--lags", "many"), "'--lags'"),
        (("fit", "sunspots", "--horizon", "0"), "'--horizon'"),
        (("fit", "sunspots", "--max-epochs", "0"), "'--max-epochs'"),
        (("fit", "sunspots", "--hidden-size", "0"), "'--hidden-size'"),
        (("fit", "sunspots", "--num-layers", "0"), "'--num-layers'"),
        (("fit", "sunspots", "--seed", "-1"), "'--seed'"),
        (("fit", "sunspots", "--seed", str(2**32)), "'--seed'"),
        (("fit",), "DATA"),
        (("fit", "sunspots", "more"), "more"),
        (("forecast", "run", "--steps", "0"), "'--steps'"),
        (("forecast", "run", "--steps", "x"), "'--steps'"),
        (("fit", "sunspots", "--networks", "0"), "'--networks'"),
        (("forecast",), "RUN"),
        (("backtest", "run"), "DATA"),
        (("backtest", "run", "series.csv", "--stride", "0"), "'--stride'"),
        (("backtest", "run", "series.csv", "--horizon", "0"), "'--horizon'"),
        (("predict", "run"), "DATA"),
        (("profit",), "profit"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistyped_command_is_told_how_to_get_help(words: Sequence[str], says: str) -> None:
    before = tree(Path())
    answer = longlag(*words)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert "--help" in answer.err
    assert "Traceback" not in answer.err
    assert answer.err.startswith("longlag: ")
    assert answer.err.count("\n") == 1
    assert tree(Path()) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("fit", "sunspots", "--horizn", "3"), "No such option: --horizn, did you mean --horizon? (longlag fit --help"),
        (("fit", "sunspots", "--epochs=3"), "No such option: --epochs, did you mean --max-epochs?"),
        (("forecast", "run", "--stepz", "3"), "did you mean --steps? (longlag forecast --help says what is expected)"),
        (("--versoin",), "No such option: --versoin, did you mean --version? (longlag --help"),
        (("fit", "sunspots", "--zzzz"), "No such option: --zzzz (longlag fit --help"),
        (("fit", "sunspots", "--lags"), "'--lags' requires an argument (longlag fit --help"),
        (("fitt", "sunspots"), "'fitt'. Did you mean 'fit'? (longlag --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistyped_word_is_answered_in_one_sentence_with_the_one_that_is_like_it(
    words: Sequence[str], says: str
) -> None:
    refused(*words, says=[says])


def test_no_words_at_all_show_the_help() -> None:
    answer = longlag()
    assert (answer.out + answer.err).startswith("Usage: longlag [OPTIONS] COMMAND")


# -- places that cannot be written -------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["series.csv", "rows.csv"])
@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("series.csv/run", ["series.csv/run cannot be written", "Not a directory", "expected an existing, writable"]),
        ("series.csv/a/b/run", ["cannot be written", "Not a directory"]),
        ("series.csv", ["series.csv exists and is not a run", "expected a new or empty directory"]),
        ("full", ["full exists and is not a run", "expected a new or empty directory"]),
        (".", [". exists and is not a run"]),
        ("n" * 300, ["cannot be written", "File name too long"]),
    ],
    ids=["below a file", "deep below a file", "a file", "a full folder", "this folder", "a long name"],
)
def test_a_run_directory_that_cannot_be_made_is_refused(data: str, out: str, says: Sequence[str]) -> None:
    series()
    rows_to_classify()
    Path("full").mkdir()
    Path("full/letter.txt").touch()
    question = ("--target", "y", *QUICK) if data == "series.csv" else ("--label", "label", *SHORT)
    refused("fit", data, *question, "--out", out, says=says)


@pytest.mark.costly
@pytest.mark.parametrize("json", [(), ("--json",)], ids=["CSV", "JSON"])
@pytest.mark.parametrize("command", [("forecast", "run", "--steps", 3), ("predict", "run", "series.csv")])
@pytest.mark.parametrize("out", ["series.csv/out.csv", "nowhere/out.csv", "run", ".", "device"])
def test_an_answer_that_cannot_be_written_is_refused(
    out: str, command: Sequence[object], json: Sequence[str], finished: Finished
) -> None:
    finished("forecast")
    os.mkfifo("device")
    says = ["cannot be written", "expected"]
    before, shown = tree(Path("run")), sorted(os.listdir())
    assert says[0] in sentence(longlag(*command, *json, "--out", out))
    assert tree(Path("run")) == before
    assert sorted(os.listdir()) == shown


def test_an_answer_on_a_full_disk_leaves_what_was_there(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    run = finished("forecast")
    Path("there.csv").write_text("an older answer", encoding="utf-8")
    monkeypatch.setattr(os, "rename", full)
    for name in ("there.csv", "new.csv"):
        says = [f"{name} cannot be written: No space left on device"]
        refused("forecast", run, "--steps", 2, "--out", name, says=says)


@pytest.mark.costly
def test_a_figure_that_cannot_be_written_is_one_sentence() -> None:
    done("fit", series(), "--target", "y", *QUICK, "--out", "run")
    Path("run/forecast.png").unlink()
    Path("run/forecast.png").mkdir()
    says = sentence(longlag("fit", "series.csv", "--target", "y", *QUICK, "--out", "run", "--resume"))
    assert says.startswith("run/forecast.png cannot be written")
    assert not [name for name in os.listdir("run") if name.startswith(".")]


# -- another run, another answer ---------------------------------------------------------------------------------------


@pytest.mark.costly
def test_an_empty_folder_is_taken(undrawn: None) -> None:
    Path("empty").mkdir()
    done("fit", series(), "--target", "y", *QUICK, "--out", "empty")
    assert Path("empty/model/manifest.json").exists()


@pytest.mark.costly
@pytest.mark.parametrize("task", ["forecast", "classify"])
def test_a_run_that_is_there_is_refused_without_resume(task: str, finished: Finished) -> None:
    finished(task)
    says = ["run already holds a run", "--resume to continue it, or another --out"]
    refused(*AGAIN[task], says=says)


AGAIN = {
    "forecast": ("fit", "series.csv", "--target", "y", "--time", "step", "--season", 6, *QUICK, "--out", "run"),
    "classify": ("fit", "long.csv", "--label", "kind", "--sequence", "id", *SHORT, "--out", "run"),
}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--optimizer", "sgd"), "optimizer = 'adam', not 'sgd'"),
        (("--learning-rate", "0.5"), "learning_rate = None, not 0.5"),
        (("--hidden-size", "5"), "hidden_size = 4, not 5"),
        (("--num-layers", "2"), "num_layers = 1, not 2"),
        (("--max-epochs", "1"), "max_epochs = 2, not 1"),
        (("--seed", "1"), "seed = 0, not 1"),
        (("--lags", "4"), "lags = 3, not 4"),
        (("--horizon", "2"), "horizon = 6, not 2"),
        (("--season", "7"), "horizon = 6, not 7"),
        (("--season", "7", "--horizon", "6"), "season = 6, not 7"),
        (("--networks", "2"), "networks = 1, not 2"),
        (("--no-refit",), "refit = True, not False"),
        (("--test", "0.5"), "test_rows = 15, not 30"),
        (("--max-epochs", "3", "--hidden-size", "5"), "hidden_size = 4, not 5"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_resuming_with_other_settings_names_the_first_that_differs(
    options: Sequence[str], says: str, finished: Finished
) -> None:
    finished("forecast")
    said = refused(*AGAIN["forecast"], *options, "--resume", says=["run holds a run", says])
    assert "expected the " in said


@pytest.mark.costly
def test_resuming_on_other_data_is_refused_wherever_they_differ(finished: Finished) -> None:
    finished("forecast")
    for row in (0, 30, 50, 59):  # learned from, held out, the last
        values = wave()
        values[row] += 0.5
        table("series.csv", ("step", "y"), enumerate(values, start=1))
        refused(*AGAIN["forecast"], "--resume", says=["run holds a run on other data", "the data it began with"])
    values = wave()
    words = [word for word in AGAIN["forecast"] if word not in ("--time", "step")]
    table("series.csv", ("step", "y"), enumerate(values, start=2))  # the same values a step later
    refused(*AGAIN["forecast"], "--resume", says=["run holds a run on other data"])
    table("series.csv", ("step", "y", "z"), [(step, value, -value) for step, value in enumerate(values, start=1)])
    refused(*words, "--target", "z", "--resume", says=["run holds a run on other data"])
    sequences()
    done(*AGAIN["classify"][:-1], "other")
    long = Path("long.csv").read_text(encoding="utf-8").splitlines()
    for line in (1, len(long) // 2, len(long) - 1):
        changed = long[line].split(",")
        changed[1] = "9.25"
        Path("long.csv").write_text("\n".join([*long[:line], ",".join(changed), *long[line + 1 :]]), encoding="utf-8")
        refused(*AGAIN["classify"][:-1], "other", "--resume", says=["other holds a run on other data"])


def test_resuming_another_task_is_refused(finished: Finished) -> None:
    finished("classify")
    series()
    refused("fit", "series.csv", "--target", "y", *QUICK, "--out", "run", "--resume", says=["run holds a run"])


@pytest.mark.parametrize("coverage", ["0", "1", "-0.5", "nan"])
def test_a_coverage_that_is_no_probability_is_refused(coverage: str, finished: Finished) -> None:
    run = finished("forecast")
    refused("forecast", run, "--steps", 2, "--coverage", coverage, says=["coverage is", "between 0 and 1"])


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_a_forecast_from_a_run_that_does_not_forecast_is_refused(task: str, finished: Finished) -> None:
    says = ["does not forecast", task, "expected longlag predict"]
    refused("forecast", finished(task), "--steps", 2, says=says)


@pytest.mark.parametrize("task", ["classify", "regress", "forecast"])
def test_predicting_without_a_column_is_refused_by_name(task: str, finished: Finished) -> None:
    run = finished(task)
    missing = {"classify": "b", "regress": "id", "forecast": "y"}[task]
    header = [name for name in ("id", "a", "b", "y") if name != missing]
    refused("predict", run, table("data.csv", header, [(1, 2, 3)] * 5), says=["data.csv", f"no column {missing!r}"])


def test_predicting_for_the_wrong_kind_of_data_is_refused(finished: Finished) -> None:
    vowels = pytest.importorskip("aeon.datasets")
    assert vowels
    says = ["JapaneseVowels has sequences and no columns", "expected a table with column 'y'"]
    refused("predict", finished("forecast"), "JapaneseVowels", says=says)
    refused("predict", finished("classify") / "..", "sunspots", says=["not a run"])


def test_predicting_for_a_series_with_nothing_before_its_last_row_is_refused(finished: Finished) -> None:
    run = finished("forecast")
    refused("predict", run, series("short.csv", 1), says=["does not fit", "a series of 1 steps", "expected"])


@pytest.mark.costly
def test_a_test_share_for_data_with_a_test_part_is_refused() -> None:
    pytest.importorskip("aeon.datasets")
    says = ["--test was given for JapaneseVowels", "test part of its own"]
    refused("fit", "JapaneseVowels", "--test", 0.5, "--out", "new", says=says)
    for option in ("--target", "--label", "--sequence"):
        refused("fit", "JapaneseVowels", option, "a", "--out", "new", says=[option, "no columns", "expected none"])


# -- what goes wrong later ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["1e37", "3e37"])
def test_training_that_diverges_ends_with_code_1_and_parameters_that_are_numbers(
    rate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "is_due", lambda self: True)
    answer = longlag("fit", series(), "--target", "y", *QUICK, "--learning-rate", rate, "--out", "run")
    assert sentence(answer, code=1).startswith("training diverged: ")
    assert not Path("run/model").exists()
    assert not Path("run/metrics.json").exists()
    for path in Path("run/checkpoints").rglob("parameters.safetensors"):
        assert all(bool(torch.isfinite(tensor).all()) for tensor in load_file(path).values())
    assert "no model yet" in refused("forecast", "run", "--steps", 1, says=["expected a finished run"])


def test_the_parameters_are_those_before_the_step_that_diverged() -> None:
    model = LSTMForecaster(lags=3, n_networks=1, max_epochs=3, hidden_size=4, learning_rate=3e37, random_state=0)
    networks = []
    build = model._build
    model._build = lambda *sizes: networks.append(build(*sizes)) or networks[0]  # type: ignore[method-assign, func-returns-value]
    with pytest.raises(DivergenceError, match="diverged"):
        model.fit(wave())
    assert all(bool(torch.isfinite(parameter).all()) for parameter in networks[0].parameters())
    assert not hasattr(model, "network_")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000 bytes")],
    ids=["Python's", "torch's"],
)
def test_too_little_memory_is_one_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: LSTMForecaster, y: object) -> None:
        raise error

    monkeypatch.setattr(LSTMForecaster, "fit", fail)
    refused("fit", series(), "--target", "y", *QUICK, "--out", "new", says=["does not fit into memory", "--lags"])


def test_a_mistake_of_this_package_is_not_passed_off_as_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: LSTMForecaster, y: object) -> None:
        raise RuntimeError("the sizes of tensors must match")

    monkeypatch.setattr(LSTMForecaster, "fit", fail)
    with pytest.raises(RuntimeError, match="sizes of tensors"):
        longlag("fit", series(), "--target", "y", *QUICK, "--out", "new")
    assert not Path("new").exists()
