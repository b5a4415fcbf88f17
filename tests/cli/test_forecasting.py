"""longlag fit, forecast and backtest of series as people have them: found by themselves, many, dated, going on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from commands import QUICK, SHORT, done, longlag, panel, refused, rows_of, sentence, series, table, tree, wave
from pictures import check_picture

from longlag.data import read_table
from longlag.estimators import LSTMForecaster

pytestmark = pytest.mark.costly

Finished = Callable[[str], Path]
SMALL = (*SHORT, "--networks", 1)


def answer(*words: object) -> Any:
    """The JSON that a command prints, which has neither NaN nor infinities."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(done(*words, "--json"), parse_constant=refuse)


def months(count: int, first: int = 2020) -> list[date]:
    """The last days of months."""
    starts = [date(first + month // 12, month % 12 + 1, 1) for month in range(1, count + 1)]
    return [start - timedelta(days=1) for start in starts]


def weekdays(count: int) -> list[date]:
    """Mondays to Fridays."""
    days = (date(2024, 1, 1) + timedelta(days=number) for number in range(2 * count))
    return [day for day in days if day.weekday() < 5][:count]


def seasonal(count: int, period: int = 12) -> list[float]:
    noise = np.random.default_rng(2).normal(size=count)
    return [round(float(value), 4) for value in 20 + 5 * np.sin(np.arange(count) * 2 * np.pi / period) + 0.2 * noise]


# -- one series --------------------------------------------------------------------------------------------------------


def test_a_file_is_all_that_must_be_given(undrawn: None) -> None:
    name = table("sales.csv", ("month", "units"), zip(months(48), seasonal(48), strict=True))
    found = answer("fit", name, *SMALL)
    assert (found["target"], found["time"], found["id"], found["series"]) == ("units", "month", None, 1)
    assert (found["frequency"], found["season"], found["horizon"]) == ("monthly (month ends)", 12, 12)
    assert found["run"] == str(Path("runs/sales"))
    assert found["notes"] == ["column 'month' is taken for the time", "times in 'month' are monthly (month ends)"]
    assert set(found["score"]["answer"]) <= {row["method"] for row in found["score"]["methods"]} | {"drift"}
    assert len(done("forecast", "runs/sales").splitlines()) == 13


@pytest.mark.parametrize(
    ("dates", "ahead"),
    [
        (months(48), ["2024-01-31", "2024-02-29", "2024-03-31"]),
        (weekdays(50), ["2024-03-11", "2024-03-12", "2024-03-13"]),
        ([f"{2000 + number // 4}Q{number % 4 + 1}" for number in range(40)], ["2010Q1", "2010Q2", "2010Q3"]),
        ([f"{number + 1:02d}.01.2012" for number in range(30)], ["31.01.2012", "01.02.2012", "02.02.2012"]),
        ([20120101 + number for number in range(30)], ["20120131", "20120201", "20120202"]),
        ([round(1949 + number / 12, 3) for number in range(24)], ["1951", "1951.083", "1951.167"]),
    ],
    ids=["month ends", "weekdays", "quarters", "German days", "numbers", "decimal years"],
)
def test_a_forecast_has_the_dates_that_come_next(dates: Sequence[object], ahead: list[str], undrawn: None) -> None:
    name = table("data.csv", ("when", "y"), zip(dates, seasonal(len(dates)), strict=True))
    done("fit", name, "--time", "when", *SMALL, "--out", "run")
    header, rows = rows_of(done("forecast", "run", "--steps", 3))
    assert header == ["when", "y", "lower", "upper"]
    assert [row[0] for row in rows] == ahead
    assert all(float(row[2]) <= float(row[1]) <= float(row[3]) for row in rows)


def test_years_and_quarters_of_their_own_columns_are_so_in_forecasts_too(undrawn: None) -> None:
    rows = [(2000 + number // 4, number % 4 + 1, value) for number, value in enumerate(seasonal(41, 4))]
    name = table("data.csv", ("year", "quarter", "y"), rows)
    done("fit", name, *SMALL, "--out", "run")
    header, answers = rows_of(done("forecast", "run", "--steps", 4))
    assert header == ["year", "quarter", "y", "lower", "upper"]
    assert [row[:2] for row in answers] == [["2010", "2"], ["2010", "3"], ["2010", "4"], ["2011", "1"]]
    header, answers = rows_of(done("predict", "run", name, "--stride", 20))
    assert header == ["year", "quarter", "y", "predicted"]
    assert [row[:2] for row in answers] == [["2000", "2"], ["2005", "2"]]


def test_a_known_column_moves_the_forecast_of_its_step_alone(undrawn: None) -> None:
    """y = 10 x, and x is 0, 1, 1, 0 in the future."""
    x = np.random.default_rng(4).integers(0, 2, size=80)
    done("fit", table("data.csv", ("y", "x"), [(10.0 * k, k) for k in x]), "--target", "y", "--known", "x", "--horizon",
         4, *SMALL, "--out", "run")  # fmt: skip
    table("future.csv", ("x",), [(k,) for k in (0, 1, 1, 0)])
    header, rows = rows_of(done("forecast", "run", "--future", "future.csv"))
    assert header == ["row", "y", "lower", "upper"]
    assert [row[0] for row in rows] == ["81", "82", "83", "84"]
    assert [float(row[1]) for row in rows] == pytest.approx([0.0, 10.0, 10.0, 0.0], abs=2.0)
    refused("forecast", "run", says=["known columns", "expected the columns x of the next 4 steps", "give --future"])
    refused("forecast", "run", "--steps", 5, "--future", "future.csv", says=["future.csv has 4 rows", "5 steps"])
    refused("forecast", "run", "--future", table("z.csv", ("z",), [(1,)] * 4), says=["z.csv", "'x'"])


def test_what_was_found_out_about_new_rows_and_a_future_is_said_beside_the_answer(undrawn: None) -> None:
    x = np.random.default_rng(4).integers(0, 2, size=90)
    rows = [(10.0 * k, k) for k in x]
    done("fit", table("data.csv", ("y", "x"), rows[:60]), "--target", "y", "--known", "x", "--horizon", 4, *SMALL,
         "--out", "run")  # fmt: skip
    table("new.csv", ("y", "x"), rows[60:], delimiter=";")
    table("future.csv", ("x", "z"), [(k, 0) for k in (0, 1, 1, 0)], delimiter=";")
    plain = table("plain.csv", ("y", "x"), rows[60:]), table("ahead.csv", ("x", "z"), [(k, 0) for k in (0, 1, 1, 0)])
    expected = longlag("forecast", "run", "--data", plain[0], "--future", plain[1]).out
    answer = longlag("forecast", "run", "--data", "new.csv", "--future", "future.csv")
    assert (answer.code, answer.out) == (0, expected)
    notes = answer.err.splitlines()
    assert [note.partition(" as read: ")[0] for note in notes] == ["longlag: new.csv", "longlag: future.csv"]
    assert all("the separator is semicolon" in note for note in notes)
    score = longlag("backtest", "run", "new.csv")
    assert score.code == 0
    assert score.err == f"{notes[0]}\n"


def test_a_future_that_the_run_cannot_use_is_refused(finished: Finished) -> None:
    says = ["--future is series.csv", "knows no column", "expected none"]
    refused("forecast", finished("forecast"), "--future", "series.csv", says=says)


def test_forecasts_of_another_run_go_on_from_new_rows_and_nothing_is_learned(undrawn: None) -> None:
    values, words = seasonal(60), (*SMALL, "--no-refit", "--horizon", 12)
    rows = list(zip(months(60), values, strict=True))
    done("fit", table("old.csv", ("month", "y"), rows[:48]), *words, "--out", "run")
    before = tree(Path("run"))
    new = table("new.csv", ("month", "y"), rows[48:])
    _, answers = rows_of(done("forecast", "run", "--data", new, "--steps", 3))
    assert [row[0] for row in answers] == ["2025-01-31", "2025-02-28", "2025-03-31"]
    model = LSTMForecaster.load("run/model").update(read_table(new))
    expected = model.predict_interval(3, 0.9)
    assert [[float(cell) for cell in row[1:]] for row in answers] == np.stack(
        [expected["y"], expected["lower"], expected["upper"]], axis=1
    ).tolist()
    assert done("forecast", "run", "--data", table("all.csv", ("month", "y"), rows), "--steps", 3) == done(
        "forecast", "run", "--data", new, "--steps", 3
    )  # rows that the run has seen are passed over
    assert tree(Path("run")) == before
    refused("forecast", "run", "--data", "old.csv", says=["old.csv has no rows after 2023-12-31", "expected some"])
    refused("forecast", "run", "--data", table("z.csv", ("month", "z"), rows[48:]), says=["z.csv", "'y'"])


def test_rows_without_times_that_repeat_those_of_the_run_are_passed_over(undrawn: None) -> None:
    rows = [(value,) for value in seasonal(60)]
    done("fit", table("old.csv", ("y",), rows[:48]), *SMALL, "--horizon", 3, "--out", "run")
    whole, new = table("all.csv", ("y",), rows), table("new.csv", ("y",), rows[48:])
    for command in (("forecast", "run", "--steps", 2, "--data"), ("backtest", "run")):
        assert longlag(*command, whole).out == longlag(*command, new).out
    answers = rows_of(longlag("forecast", "run", "--steps", 2, "--data", whole).out)[1]
    assert [row[0] for row in answers] == ["61", "62"]
    refused("forecast", "run", "--data", "old.csv", says=["old.csv has no rows after the last of the run"])
    refused("backtest", "run", "old.csv", says=["old.csv has no 3 rows after those of run"])


def test_a_gap_before_new_rows_is_a_part_of_which_nothing_is_known(undrawn: None) -> None:
    rows = list(zip(months(60), seasonal(60), strict=True))
    done("fit", table("old.csv", ("month", "y"), rows[:48]), *SMALL, "--out", "run")
    _, answers = rows_of(done("forecast", "run", "--data", table("new.csv", ("month", "y"), rows[51:]), "--steps", 1))
    assert answers[0][0] == "2025-01-31"
    assert math.isfinite(float(answers[0][1]))


def test_a_method_that_cannot_be_asked_does_not_stand_beside_the_answer_as_the_last_value(undrawn: None) -> None:
    weeks = [str(np.datetime64("2020-01-06") + 7 * number) for number in range(140)]
    name = table("weeks.csv", ("week", "y"), zip(weeks, seasonal(140), strict=True))
    methods = {row["method"] for row in answer("fit", name, *SMALL, "--horizon", 4, "--out", "w")["score"]["methods"]}
    assert {"last value", "seasonal naive", "Theta", "autoregression"} < methods
    assert "smoothing" not in methods  # its season of 52 is too long
    name = table("few.csv", ("y",), [(value,) for value in seasonal(20)])
    methods = {row["method"] for row in answer("fit", name, *SMALL, "--out", "few")["score"]["methods"]}
    assert "Theta" in methods
    assert "autoregression" not in methods


# -- backtest ----------------------------------------------------------------------------------------------------------


def test_a_backtest_is_what_the_model_answers_on_rows_it_has_not_seen() -> None:
    values = np.array(seasonal(72))
    rows = list(zip(months(72), values.tolist(), strict=True))
    done("fit", table("old.csv", ("month", "y"), rows[:48]), *SMALL, "--horizon", 6, "--out", "run")
    new = table("new.csv", ("month", "y"), rows[48:])
    before = tree(Path("run"))
    score = answer("backtest", "run", new, "--stride", 4, "--coverage", 0.8)
    origins = range(48, 72 - 6 + 1, 4)
    assert (score["origins"], score["horizon"]) == (len(origins), 6)
    truth = np.array([values[at : at + 6] for at in origins])
    forecasts = {
        "last value": np.array([[values[at - 1]] * 6 for at in origins]),
        "seasonal naive": np.array([values[at - 12 : at - 6] for at in origins]),
    }
    lower, upper = np.empty_like(truth), np.empty_like(truth)
    forecasts["LSTM"] = np.empty_like(truth)
    for number, at in enumerate(origins):  # the same forecasts, one after the other
        model = LSTMForecaster.load("run/model")
        if at > 48:
            model.update({"month": np.array(months(at)[48:], dtype="datetime64[D]"), "y": values[48:at]})
        ends = model.predict_interval(6, 0.8)
        forecasts["LSTM"][number], lower[number], upper[number] = ends["y"], ends["lower"], ends["upper"]
    scale = np.abs(values[12:48] - values[:36]).mean()
    scores = {row["method"]: row for row in score["methods"]}
    for name, paths in forecasts.items():
        errors = np.abs(paths - truth)
        assert scores[name]["mae"] == pytest.approx(errors.mean(), rel=1e-5)
        assert scores[name]["rmse"] == pytest.approx(np.sqrt(np.square(errors).mean()), rel=1e-5)
        assert scores[name]["mase"] == pytest.approx(errors.mean() / scale, rel=1e-5)
        assert scores[name]["mae_last_step"] == pytest.approx(errors[:, -1].mean(), rel=1e-5)
    inside = (lower <= truth) & (truth <= upper)
    assert score["interval"] == {"asked": 0.8, "found": pytest.approx(inside.mean(), abs=1e-12)}
    assert answer("backtest", "run", table("all.csv", ("month", "y"), rows), "--stride", 4, "--coverage", 0.8) == score
    out = done("backtest", "run", new, "--horizon", 3)
    for part in ("22 forecasts of 3 steps", "LSTM", "networks alone", "seasonal naive", "90% intervals held"):
        assert part in out
    assert tree(Path("run")) == before
    refused("backtest", "run", new, "--horizon", 25, says=["new.csv has no 25 rows after those of run", "--horizon"])
    refused("backtest", "run", "old.csv", says=["old.csv has no 6 rows after those of run"])


def test_a_backtest_of_a_run_that_does_not_forecast_is_refused(finished: Finished) -> None:
    refused(
        "backtest",
        finished("classify"),
        "long.csv",
        says=["does not forecast (classify)", "expected one that longlag fit made of series"],
    )


# -- many series -------------------------------------------------------------------------------------------------------

LENGTHS = (48, 40, 33, 4)
"""The last series is too short for a part to be held out."""
ENDS = ["2019-01-01", "2018-07-01", "2018-02-01", "2015-11-01"]
"""The month after the last of each."""


def test_a_panel_is_fitted_and_each_series_goes_on_from_its_own_end() -> None:
    found = answer("fit", panel(lengths=LENGTHS), "--id", "store", *SMALL, "--out", "run")
    assert (found["series"], found["id"], found["target"], found["time"]) == (4, "store", "units", "month")
    assert (found["frequency"], found["season"]) == ("monthly (month starts)", 12)
    assert found["training_rows"] + found["test_rows"] == sum(LENGTHS)
    check_picture(Path("run/forecast.png"), (9.0, 2.6 * 3 + 0.6))
    header, rows = rows_of(done("forecast", "run", "--steps", 2, "--figure", "next.png"))
    check_picture(Path("next.png"), (9.0, 2.6 * 3 + 0.6))
    assert header == ["store", "month", "units", "lower", "upper"]
    assert [row[0] for row in rows] == [f"s{number // 2}" for number in range(8)]
    assert [row[1] for row in rows[::2]] == ENDS
    for number, row in enumerate(rows):
        assert 10 ** (number // 2) * 10 < float(row[2]) < 10 ** (number // 2) * 30
    assert all(math.isfinite(row["mase"]) for row in found["score"]["methods"])


def test_days_of_a_parquet_file_stay_days_and_the_series_keep_the_name_of_their_column(undrawn: None) -> None:
    days = np.datetime64("2024-01-01", "us") + np.arange(30) * np.timedelta64(1, "D")
    values = {"shop": np.repeat(["a", "b"], 30), "day": np.tile(days, 2), "sold": np.sin(np.arange(60.0))}
    pyarrow.parquet.write_table(pyarrow.table(values), "sales.parquet")
    done("fit", "sales.parquet", "--target", "sold", *SMALL, "--out", "run")
    for words, first in ((("forecast", "run", "--steps", 2), "2024-01-31"), (("predict", "run"), "2024-01-02")):
        header, rows = rows_of(longlag(*words, *(["sales.parquet"] if "predict" in words else [])).out)
        assert (header[:3], rows[0][:2]) == (["shop", "day", "sold"], ["a", first])


def test_new_rows_of_some_series_leave_the_others_where_they_were(undrawn: None) -> None:
    done("fit", panel(lengths=(48, 40, 33)), "--id", "store", *SMALL, "--out", "run")
    before = rows_of(done("forecast", "run", "--steps", 1))[1]
    after = rows_of(done("forecast", "run", "--data", panel("new.csv", (54, 40, 36)), "--steps", 1))[1]
    assert [row[1] for row in before] == ["2019-01-01", "2018-07-01", "2018-02-01"]
    assert [row[1] for row in after] == ["2019-07-01", "2018-07-01", "2018-05-01"]
    assert after[1] == before[1]
    assert after[0][2] != before[0][2]
    says = ["two.csv has the series s0, s1", "expected s0, s1, s2"]
    refused("forecast", "run", "--data", panel("two.csv", (54, 42)), says=says)


def test_a_panel_is_scored_on_new_rows_of_the_series_that_have_some(undrawn: None) -> None:
    done("fit", panel(lengths=(48, 40, 33)), "--id", "store", *SMALL, "--horizon", 3, "--out", "run")
    score = answer("backtest", "run", panel("new.csv", (54, 40, 36)))
    assert score["origins"] == 4 + 0 + 1


def test_a_panel_is_the_same_however_its_rows_stand(undrawn: None) -> None:
    _, *rows = Path(panel(lengths=(30, 26))).read_text(encoding="utf-8").splitlines()
    shuffled = [rows[number].split(",") for number in np.random.default_rng(0).permutation(len(rows))]
    table("shuffled.csv", ("store", "month", "units"), shuffled)
    for name in ("panel", "shuffled"):
        done("fit", f"{name}.csv", "--id", "store", *SMALL, "--out", name)
    assert tree(Path("panel/model")) == tree(Path("shuffled/model"))


def test_several_columns_are_a_series_each(undrawn: None) -> None:
    rows = [(day, value, 100 - value, -1) for day, value in zip(weekdays(50), seasonal(50, 5), strict=True)]
    name = table("prices.csv", ("day", "here", "there", "other"), rows)
    refused("fit", name, "--out", "new", says=["3 columns of numbers, 'here', 'there', 'other'", "--target"])
    found = answer("fit", name, "--target", "here", "--target", "there", *SMALL, "--out", "run")
    assert (found["series"], found["target"], found["frequency"]) == (2, ["here", "there"], "weekdays")
    header, rows = rows_of(done("forecast", "run", "--steps", 1))
    assert header == ["series", "day", "value", "lower", "upper"]
    assert [row[:2] for row in rows] == [["here", "2024-03-11"], ["there", "2024-03-11"]]
    assert float(rows[0][2]) < 40 < 60 < float(rows[1][2])
    assert f"{name}: here, there, 2 series" in done("fit", name, "--target", "here", "--target", "there", *SMALL)
    predicted = longlag("predict", "run", name)
    assert predicted.err == f"longlag: {name} as read: column 'other' is not used\n"
    header, rows = rows_of(predicted.out)
    assert (header, len(rows)) == (["series", "day", "value", "predicted"], 98)
    words = ("--target", "here", "--target", "there", "--sequence", "day", "--out", "new")
    refused("fit", name, *words, says=["--target was given 2 times with --sequence", "expected it once"])


def test_inputs_static_columns_and_the_calendar_are_read(undrawn: None) -> None:
    header, *lines = Path(panel(lengths=(40, 34))).read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines]
    name = table(
        "more.csv",
        (*header.split(","), "price", "region"),
        [(*row, float(row[2]) / 7, "north" if row[0] == "s0" else "south") for row in rows],
    )
    words = ("fit", name, "--target", "units", "--id", "store", *SMALL)
    plain = answer(*words, "--out", "plain")
    found = answer(*words, "--inputs", "price", "--static", "region", "--calendar", "--out", "run")
    assert (found["inputs"], found["static"], found["known"], found["calendar"]) == (["price"], ["region"], [], True)
    assert found["weights"] > plain["weights"]
    assert len(done("forecast", "run", "--steps", 2).splitlines()) == 5  # no future is needed
    assert plain["notes"][-1].endswith("are not used") or "'price'" in " ".join(plain["notes"])


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_the_picture_of_a_forecast_is_written_beside_the_answer(finished: Finished) -> None:
    run = finished("forecast")
    printed = done("forecast", run, "--steps", 3)
    assert done("forecast", run, "--steps", 3, "--figure", "next.png") == printed
    check_picture(Path("next.png"), (9.0, 4.2))
    told = sentence(longlag("forecast", run, "--figure", "nowhere/next.png"))
    assert told.startswith("nowhere/next.png cannot be written")


def test_a_series_without_any_season_or_change_is_answered_with_numbers(undrawn: None) -> None:
    found = answer("fit", table("data.csv", ("y",), [(7.5,)] * 40), *SMALL, "--out", "run")
    assert all(row["mase"] is None for row in found["score"]["methods"])
    assert all(row["mae"] == pytest.approx(0.0, abs=1e-6) for row in found["score"]["methods"])
    document = answer("forecast", "run", "--steps", 3)
    assert [row[1] for row in document["rows"]] == pytest.approx([7.5] * 3)


def test_one_value_and_no_value_are_refused() -> None:
    refused(
        "fit",
        table("one.csv", ("y",), [(1.5,)]),
        *QUICK,
        "--out",
        "new",
        says=["one.csv has 1 row in its longest series", "expected at least 5 to learn from"],
    )
    assert wave(3)
    refused("fit", series("three.csv", 3), "--target", "y", *QUICK, "--out", "new", says=["3 rows", "expected"])


def test_the_season_is_not_looked_for_in_the_rows_that_are_scored() -> None:
    noise = np.random.default_rng(3).normal(size=60)
    for name, held_out in (("flat", np.zeros(20)), ("wave", 50.0 * np.sin(np.arange(20) * np.pi / 2))):
        table(f"{name}.csv", ("y",), [(value,) for value in np.concatenate([noise, held_out])])
        done("fit", f"{name}.csv", *QUICK, "--test", 0.25, "--out", name)
    runs = [json.loads(Path(name, "run.json").read_text(encoding="utf-8")) for name in ("flat", "wave")]
    assert [run["seasons"] for run in runs] == [[], []]
    assert runs[0]["horizon"] == runs[1]["horizon"]
