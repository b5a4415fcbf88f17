"""longlag forecast, predict and info: they print what the saved model answers. And --help teaches."""

from __future__ import annotations

import importlib.metadata
import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from commands import QUICK, done, longlag, refused, rows_of, series, table, tree, wave

from longlag.cli.main import app, main
from longlag.data import read_table
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor

Finished = Callable[[str], Path]


def numbers(rows: Sequence[Sequence[str]], *columns: int) -> np.ndarray:
    return np.array([[float(row[column]) for column in columns] for row in rows])


# -- forecast ----------------------------------------------------------------------------------------------------------


def test_a_forecast_is_the_models_and_times_go_on(finished: Finished) -> None:
    run = finished("forecast")
    header, rows = rows_of(done("forecast", run, "--steps", 5))
    assert header == ["step", "y", "lower", "upper"]
    assert [row[0] for row in rows] == ["61", "62", "63", "64", "65"]
    answers = LSTMForecaster.load(run / "model").predict_interval(5, 0.9)
    for column, name in enumerate(("y", "lower", "upper"), start=1):
        assert np.array_equal(numbers(rows, column)[:, 0], answers[name])


def test_without_steps_a_forecast_is_as_long_as_the_run_says(finished: Finished) -> None:
    _, rows = rows_of(done("forecast", finished("forecast")))
    assert [row[0] for row in rows] == ["61", "62", "63", "64", "65", "66"]  # a season


def test_a_forecast_begins_after_the_last_row_of_the_data(finished: Finished) -> None:
    model = LSTMForecaster.load(finished("forecast") / "model")
    assert np.array_equal(model.series(), wave())
    assert model.continuation_ is not None
    assert model.continuation_.last == [60]


def test_coverage_widens_the_interval_and_leaves_the_mean(finished: Finished) -> None:
    run = finished("forecast")
    found = {
        share: numbers(rows_of(done("forecast", run, "--steps", 4, "--coverage", share))[1], 1, 2, 3)
        for share in (0.3, 0.9, 0.98)
    }
    narrow, usual, wide = found.values()
    assert np.array_equal(narrow[:, 0], usual[:, 0])
    assert np.array_equal(wide[:, 0], usual[:, 0])
    assert (wide[:, 1] < usual[:, 1]).all()
    assert (usual[:, 1] < narrow[:, 1]).all()
    assert (narrow[:, 2] < usual[:, 2]).all()
    assert (usual[:, 2] < wide[:, 2]).all()


@pytest.mark.costly
@pytest.mark.parametrize("command", [("forecast", "run", "--steps", 3), ("predict", "run", "series.csv")])
def test_an_answer_goes_to_a_file_or_as_json_or_both(command: Sequence[object], finished: Finished) -> None:
    finished("forecast")
    Path("there.csv").write_text("an older answer", encoding="utf-8")
    printed = done(*command)
    assert done(*command, "--out", "there.csv") == ""
    assert Path("there.csv").read_text(encoding="utf-8") == printed
    header, rows = rows_of(printed)
    text = done(*command, "--json")
    document = json.loads(text)
    assert text.count("\n") == 1
    assert document["columns"] == header
    assert [[str(value) for value in row] for row in document["rows"]] == rows
    assert done(*command, "--json", "--out", "there.json") == ""
    assert Path("there.json").read_text(encoding="utf-8") == text
    assert not list(Path().glob(".*"))


@pytest.mark.costly
@pytest.mark.parametrize(
    ("times", "ahead"),
    [
        (range(1, 121, 2), ["121", "123", "125"]),
        ([number / 10 for number in range(60)], ["6", "6.1", "6.2"]),
        (
            [date(2024, 1, 1) + timedelta(days=number) for number in range(60)],
            ["2024-03-01", "2024-03-02", "2024-03-03"],
        ),
        (
            [date(2024, 1, 1) + timedelta(weeks=number) for number in range(60)],
            ["2025-02-24", "2025-03-03", "2025-03-10"],
        ),
        ([f"{2000 + m // 12}-{m % 12 + 1:02d}-01" for m in range(60)], ["2005-01-01", "2005-02-01", "2005-03-01"]),
        ([number**1.5 for number in range(60)], ["1", "2", "3"]),
    ],
    ids=["numbers", "decimals", "days", "weeks", "months", "unevenly"],
)
def test_times_go_on_where_they_are_evenly_spaced(times: Sequence[object], ahead: list[str], undrawn: None) -> None:
    name = table("data.csv", ("when", "y"), zip(times, wave(), strict=True))
    gaps = ("--gaps", "ignore") if ahead[0] == "1" else ()
    done("fit", name, "--target", "y", "--time", "when", *gaps, *QUICK, "--out", "run")
    header, rows = rows_of(done("forecast", "run", "--steps", 3))
    assert [row[0] for row in rows] == ahead
    assert header[0] == ("step" if ahead[0] == "1" else "when")


@pytest.mark.costly
def test_without_a_time_column_rows_are_counted(undrawn: None) -> None:
    done("fit", table("data.csv", ("y",), [(value,) for value in wave()]), "--target", "y", *QUICK, "--out", "run")
    header, rows = rows_of(done("forecast", "run", "--steps", 2))
    assert (header[0], [row[0] for row in rows]) == ("row", ["61", "62"])


# -- predict -----------------------------------------------------------------------------------------------------------


@pytest.mark.costly
def test_a_forecaster_predicts_each_row_from_the_rows_before_it(finished: Finished) -> None:
    run = finished("forecast")
    header, rows = rows_of(done("predict", run, "series.csv"))
    assert header == ["step", "y", "predicted"]
    assert [int(row[0]) for row in rows] == list(range(2, 61))  # nothing is before the first
    assert np.array_equal(numbers(rows, 1)[:, 0], wave()[1:])
    model = LSTMForecaster.load(run / "model")
    back = model.backtest({"step": np.arange(1, 61), "y": np.array(wave())}, 1, start=1)
    assert np.array_equal(numbers(rows, 2)[:, 0], back.mean[:, 0, 0])
    changed = wave()
    changed[40] += 5.0
    _, others = rows_of(done("predict", run, table("changed.csv", ("step", "y"), enumerate(changed, start=1))))
    assert [row[2] for row in others[:40]] == [row[2] for row in rows[:40]]  # of the rows up to the changed one
    assert others[40][2] != rows[40][2]


def test_a_stride_leaves_out_rows_and_changes_none(finished: Finished) -> None:
    run = finished("forecast")
    _, rows = rows_of(done("predict", run, "series.csv"))
    assert rows_of(done("predict", run, "series.csv", "--stride", 7))[1] == rows[::7]
    says = ["--stride is 7", "answers for whole sequences"]
    refused("predict", finished("classify"), "JapaneseVowels", "--stride", 7, says=says)


def test_a_classifier_predicts_a_class_and_how_sure_it_is_for_each_sequence(finished: Finished) -> None:
    run = finished("classify")
    Path("new.csv").write_text("id,b,a\nleft,0.5,1\nleft,0.25,2\nright,-1,0\nright,1,1\n", encoding="utf-8")
    header, rows = rows_of(done("predict", run, "new.csv"))
    assert header == ["sequence", "predicted", "probability"]
    assert [row[0] for row in rows] == ["left", "right"]
    model = LSTMClassifier.load(run / "model")
    arrays = [np.array([[1, 0.5], [2, 0.25]]), np.array([[0, -1.0], [1, 1]])]  # in the order of the fit: a, b
    assert [row[1] for row in rows] == model.predict(arrays).tolist()
    assert np.array_equal(numbers(rows, 2)[:, 0], model.predict_proba(arrays).max(axis=1))


def test_a_classifier_of_rows_predicts_for_each_line(finished: Finished) -> None:
    run = finished("rows")
    header, rows = rows_of(done("predict", run, "rows.csv"))
    data = read_table("rows.csv")
    assert header == ["sequence", "predicted", "probability"]
    assert [row[0] for row in rows] == [str(line) for line in range(2, 42)]
    model = LSTMClassifier.load(run / "model")
    expected = model.predict([row[:, None] for row in data.numbers(["a", "b", "c"])])
    assert [row[1] for row in rows] == [str(label) for label in expected]
    assert {row[1] for row in rows} <= {"1", "2"}


def test_a_regressor_predicts_a_number_for_each_sequence(finished: Finished) -> None:
    run = finished("regress")
    header, rows = rows_of(done("predict", run, "long.csv"))
    assert header == ["sequence", "predicted"]
    assert [row[0] for row in rows] == [f"s{number}" for number in range(24)]
    data = read_table("long.csv")
    values, names = data.numbers(["a", "b"]), data.text("id")
    arrays = [values[names == f"s{number}"] for number in range(24)]
    assert np.array_equal(numbers(rows, 1)[:, 0], LSTMRegressor.load(run / "model").predict(arrays))


@pytest.mark.parametrize("task", ["forecast", "classify", "regress", "rows"])
def test_reading_a_run_writes_nothing(task: str, finished: Finished) -> None:
    run = finished(task)
    before = tree(Path())
    data = next(Path().glob("*.csv"))
    done("predict", run, data)
    done("info", run)
    if task == "forecast":
        done("forecast", run, "--steps", 3)
    assert tree(Path()) == before


def test_a_run_can_be_moved(finished: Finished) -> None:
    run = finished("forecast")
    before = done("forecast", run, "--steps", 3)
    Path("elsewhere").mkdir()
    run.rename("elsewhere/moved")
    assert done("forecast", "elsewhere/moved", "--steps", 3) == before


# -- info --------------------------------------------------------------------------------------------------------------


def test_info_tells_what_is_installed() -> None:
    out = done("info")
    for part in ("longlag", "torch", torch.__version__, "python", "backends", "reference", "extension", "machine"):
        assert part in out
    document: dict[str, Any] = json.loads(done("info", "--json"))
    assert document["torch"] == str(torch.__version__)
    assert document["backends"][0] == "auto"
    if not torch.cuda.is_available():
        assert document["gpu_kernels"] == "not tried: PyTorch sees no CUDA device"


@pytest.mark.parametrize(
    ("task", "kind"), [("forecast", "LSTMForecaster"), ("classify", "LSTMClassifier"), ("regress", "LSTMRegressor")]
)
def test_info_of_a_run_tells_what_it_is_and_how_it_did(task: str, kind: str, finished: Finished) -> None:
    run = finished(task)
    out = done("info", run)
    for part in (kind, "CellSpec(", task, "weights", "on held-out data", "LSTM", "seed"):
        assert part in out
    document = json.loads(done("info", run, "--json"))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics.items() <= document.items()
    model = {"forecast": LSTMForecaster, "classify": LSTMClassifier, "regress": LSTMRegressor}[task].load(run / "model")
    runs = model.network_.lstm.backend_for(torch.zeros(5, model.network_.lstm.input_size))
    assert (document["run"], document["estimator"], document["backend"]) == ("run", kind, runs)


# -- help --------------------------------------------------------------------------------------------------------------

HELP = {
    (): ["fit", "predict", "forecast", "info", "LSTM networks for long time lags"],
    ("fit",): [
        *("--target", "--label", "--sequence", "--time", "--horizon", "--season", "--lags", "--test", "--optimizer"),
        *("--learning-rate", "--hidden-size", "--num-layers", "--max-epochs", "--seed", "--out", "--resume", "--json"),
        *("DATA", "CSV, TSV or Parquet", "sunspots, co2, elnino, JapaneseVowels", 'pip install "longlag[data]"'),
        *("longlag fit sales.csv --target units --horizon 12", "--label class --sequence id", "held out"),
        *(
            "sgd, momentum, adam, adamw, lbfgs, cg, hessian_free or levenberg_marquardt",
            "runs/<name of the data>",
            "0.25",
            "metrics.json",
            "longlag forecast",
        ),
    ],
    ("predict",): ["RUN", "DATA", "--out", "--json", "CSV", "for each sequence", "from the rows before it"],
    ("forecast",): ["RUN", "--steps", "--coverage", "--out", "--json", "intervals", "0.9"],
    ("info",): ["RUN", "--json", "installed", "how it did"],
}


@pytest.mark.parametrize(("command", "says"), HELP.items(), ids=[" ".join(words) or "longlag" for words in HELP])
def test_help_names_all_that_is_needed(command: Sequence[str], says: Sequence[str]) -> None:
    shown = done(*command, "--help")
    plain = " ".join(shown.split())
    for part in says:
        assert part in plain
    assert max(map(len, shown.splitlines())) <= 120


def test_every_option_of_every_command_is_explained() -> None:
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        assert command.help
        for parameter in command.params:
            assert parameter.help, f"{command.name} {parameter.name}"


def test_the_version_is_that_of_the_package() -> None:
    assert done("--version") == f"longlag {importlib.metadata.version('longlag')}\n"


def test_the_command_alone_shows_its_help() -> None:
    answer = longlag()
    assert "Usage: " in answer.out + answer.err
    assert "forecast" in answer.out + answer.err


# -- the real thing ----------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_the_installed_command_answers_as_it_does_in_this_process(finished: Finished, fitted_methods: None) -> None:
    run = finished("forecast")
    command = [str(Path(sys.executable).with_name("longlag"))]
    forecast = subprocess.run([*command, "forecast", run, "--steps", "3"], capture_output=True, text=True, check=False)
    assert (forecast.returncode, forecast.stderr) == (0, "")
    assert forecast.stdout == done("forecast", run, "--steps", 3)
    module = [sys.executable, "-m", "longlag.cli"]
    refusal = subprocess.run(
        [*module, "fit", "nowhere.csv", "--target", "y"], capture_output=True, text=True, check=False
    )
    assert (refusal.returncode, refusal.stdout) == (2, "")
    assert refusal.stderr == "longlag: there is no file 'nowhere.csv'; expected an existing one\n"


@pytest.mark.costly
def test_a_name_that_the_terminal_cannot_show_is_no_error(undrawn: None, monkeypatch: pytest.MonkeyPatch) -> None:
    name = series("s\udce9ries.csv", 120)  # a byte that is no UTF-8, as Python reads it from the command line
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "argv", ["longlag", "fit", name, "--target", "y", *map(str, QUICK), "--out", "run"])
    with pytest.raises(SystemExit) as ended:
        main()
    terminal.flush()
    shown = terminal.buffer.getvalue()  # type: ignore[attr-defined]
    assert ended.value.code == 0
    assert shown.isascii()
    assert rb"s\udce9ries.csv: y, season 13; 90 rows" in shown
