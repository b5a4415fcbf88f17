"""longlag forecast TABLE: an answer at once, without a run, in the manner of fit and of forecast RUN."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from commands import QUICK, done, longlag, panel, refused, rows_of, series, table, tree, wave
from pictures import check_picture
from test_fit_plain_tables import QUESTIONS

from longlag.data import load_dataset, open_data
from longlag.estimators import LSTMForecaster
from plain_tables import PLAIN_TABLES, PlainTable

Finished = Callable[[str], Path]


def answered(*words: object) -> tuple[list[str], list[list[str]], list[str]]:
    """Header, rows, and the lines on standard error of a forecast."""
    answer = longlag("forecast", *words)
    assert answer.code == 0, answer
    return *rows_of(answer.out), [line.removeprefix("longlag: ") for line in answer.err.splitlines()]


def months(count: int = 48) -> str:
    """sales.csv with the columns month and units: a season of twelve."""
    at = np.arange(count)
    values = (20 + 5 * np.sin(at * np.pi / 6) + np.random.default_rng(2).normal(size=count)).round(3)
    cells = [
        (f"{2015 + number // 12}-{number % 12 + 1:02d}-01", value) for number, value in zip(at, values, strict=True)
    ]
    return table("sales.csv", ("month", "units"), cells)


def test_a_file_is_all_that_must_be_given() -> None:
    header, rows, said = answered(months())
    assert header == ["month", "units", "lower", "upper"]
    assert [row[0] for row in rows] == [f"2019-{month:02d}-01" for month in range(1, 13)]
    for _, median, lower, upper in rows:
        assert 5 < float(lower) < float(median) < float(upper) < 35
    assert said == [
        "sales.csv as read: column 'month' is taken for the time; times in 'month' are monthly (month starts)",
        "sales.csv: units, season 12; 12 steps ahead with 90% intervals, by the network of the package; "
        "nothing was trained",
    ]
    assert tree(Path()).keys() == {"sales.csv"}


@pytest.mark.parametrize(
    ("rows", "who"),
    [
        ([("a", 5)], "the series"),
        ([("a", 5), ("a", 5), ("b", 1), ("b", 2), ("b", 4)], "1 of 2 series"),
    ],
)
def test_an_interval_without_width_is_told_why_it_has_none(rows: list[tuple[str, int]], who: str) -> None:
    cells = [(name, f"{2001 + sum(other == name for other, _ in rows[:k])}", v) for k, (name, v) in enumerate(rows)]
    _, answers, said = answered(table("still.csv", ("shop", "year", "units"), cells), "--id", "shop", "--horizon", 2)
    assert answers[0][-3:] == ["5.0", "5.0", "5.0"]
    reason = f"{who} never changed, which says nothing about how it might: the interval has no width"
    assert sum(reason in line for line in said) == 1


def test_values_are_those_of_python() -> None:
    expected = LSTMForecaster.zero_shot(open_data(months()), 4, coverage=0.8)
    _, rows, _ = answered("sales.csv", "--horizon", 4, "--coverage", 0.8)
    found = [[float(cell) for cell in row[1:]] for row in rows]
    assert np.array_equal(found, np.stack([expected[name] for name in ("units", "lower", "upper")], axis=1))


def test_many_series_are_one_answer() -> None:
    header, rows, said = answered(panel(), "--horizon", 2)
    assert header == ["store", "month", "units", "lower", "upper"]
    assert [row[:2] for row in rows] == [
        [f"s{number}", f"{2015 + at // 12}-{at % 12 + 1:02d}-01"]
        for number, length in enumerate((48, 40, 33))
        for at in range(length + 2 * number, length + 2 * number + 2)
    ]
    assert "units, 3 series, season 12; 2 steps ahead" in said[-1]
    for number in range(3):  # each in its own size
        assert 12 * 10**number < float(rows[2 * number][2]) < 28 * 10**number


def test_json_holds_what_was_understood_too() -> None:
    document = json.loads(longlag("forecast", months(), "--json").out)
    header, rows, _ = answered("sales.csv")
    assert document.pop("columns") == header
    assert [[str(cell) for cell in row] for row in document.pop("rows")] == rows
    assert document == {
        "data": "sales.csv",
        "target": "units",
        "series": 1,
        "frequency": "monthly (month starts)",
        "seasons": [12],
        "horizon": 12,
        "coverage": 0.9,
        "notes": ["column 'month' is taken for the time", "times in 'month' are monthly (month starts)"],
    }


def test_a_built_in_set_is_asked_its_usual_question() -> None:
    header, rows, said = answered("sunspots")
    assert (header, len(rows), rows[0][0]) == (["year", "sunspots", "lower", "upper"], 11, "2009")
    assert "sunspots: sunspots, season 11; 11 steps ahead" in said[-1]
    values = load_dataset("sunspots").table
    assert values is not None
    expected = LSTMForecaster.zero_shot(values.number("sunspots"), 11, season=11)
    assert [float(row[1]) for row in rows] == expected.tolist()
    assert answered("Sunspots", "--horizon", 3, "--season", 1)[2][-1].startswith(
        "Sunspots: sunspots, no season; 3 steps"
    )


def test_rows_are_counted_on_where_there_are_no_times() -> None:
    header, rows, said = answered(table("plain.csv", ("y",), [(value,) for value in wave()]), "--steps", 3)
    assert (header[0], [row[0] for row in rows]) == ("row", ["61", "62", "63"])
    assert "no column holds times" in said[0]


def test_seasons_are_named_once_or_twice() -> None:
    hours = [(f"2024-01-{1 + at // 24:02d} {at % 24:02d}:00", np.sin(at * np.pi / 12)) for at in range(24 * 15)]
    name = table("hours.csv", ("time", "load"), hours)
    assert ": load, seasons 24 and 168; 48 steps ahead" in answered(name)[2][-1]
    assert ": load, seasons 12 and 24; 24 steps ahead" in answered(name, "--season", 24, "--season", 12)[2][-1]
    assert ": load, no season; 1 step ahead" in answered(name, "--season", 1, "--horizon", 1)[2][-1]


def test_an_answer_goes_to_a_file_and_a_picture_is_drawn() -> None:
    assert done_quietly(panel(), "--out", "ahead.csv", "--figure", "ahead.png") == ""
    header, rows = rows_of(Path("ahead.csv").read_text(encoding="utf-8"))
    assert (header[:3], len(rows)) == (["store", "month", "units"], 36)
    check_picture(Path("ahead.png"), (9.0, 2.6 * 3 + 0.6))


def done_quietly(*words: object) -> str:
    answer = longlag("forecast", *words)
    assert answer.code == 0, answer
    return answer.out


@pytest.mark.parametrize("form", PLAIN_TABLES, ids=lambda form: form.name)
def test_a_plain_table_is_forecast_without_a_word_or_the_question_of_fit_is_asked(form: PlainTable) -> None:
    values = form.write(Path(form.name))
    if form.name in QUESTIONS:
        refused("forecast", form.name, says=QUESTIONS[form.name])
        return
    header, rows, said = answered(form.name, "--horizon", 2)
    assert header[-3:] == [form.target if isinstance(form.target, str) else "value", "lower", "upper"]
    assert len(rows) == 2 * len(values)
    assert said[-1].endswith("nothing was trained")
    for row in rows:
        median, lower, upper = map(float, row[-3:])
        assert lower <= median <= upper


def test_options_that_read_tables_are_those_of_fit() -> None:
    rows = [f"{number};{str(value).replace('.', ',')}" for number, value in enumerate(wave(), start=1)]
    Path("odd.txt").write_text("\n".join(["n;y", *rows, "61;weg"]), encoding="cp1252")
    words = ("odd.txt", "--sep", ";", "--decimal", ",", "--encoding", "cp1252", "--missing", "weg", "--time", "n")
    assert [row[0] for row in answered(*words, "--horizon", 2)[1]] == ["62", "63"]
    twice = table("twice.csv", ("day", "y"), [(f"2024-01-{1 + at // 2:02d}", at) for at in range(40)])
    refused("forecast", twice, says=["twice.csv, line 3", "2024-01-01"])
    assert len(answered(twice, "--duplicates", "mean")[1]) == 7
    gap = table("gap.csv", ("day", "y"), [(f"2024-01-{at:02d}", at % 7) for at in range(1, 30) if at != 9])
    refused("forecast", gap, "--gaps", "refuse", says=["2024-01-10"])
    assert len(answered(gap, "--gaps", "fill")[1]) == 7


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nowhere.csv",), ["no file 'nowhere.csv'; expected an existing one"]),
        (("sunspoots",), ["sunspoots is not a run", "expected"]),
        (("series.csv", "--target", "z"), ["series.csv has no column 'z'"]),
        (("series.csv", "--time", "z"), ["series.csv", "no column 'z'"]),
        (("series.csv", "--coverage", 1), ["coverage is 1.0", "between 0 and 1"]),
        (("series.csv", "--season", 4, "--season", 5, "--season", 6), ["season is", "expected a whole number, or two"]),
        (("series.csv", "--gaps", "heal"), ["--gaps is 'heal'; expected fill or mask or refuse or ignore"]),
        (("series.csv", "--duplicates", "all"), ["--duplicates is 'all'"]),
        (("series.csv", "--data", "series.csv"), ["--data was given, but series.csv is a table"]),
        (("series.csv", "--future", "series.csv"), ["--future was given, but series.csv is a table"]),
        (("series.csv", "--horizon", 10**9), ["horizon is 1000000000; expected"]),
        (("series.csv", "--out", "nowhere/out.csv"), ["nowhere/out.csv cannot be written"]),
        (("sunspots", "--sep", ";"), ["the form of a file was given for sunspots"]),
        (("two.csv",), ["two.csv", "a", "b"]),
        (("empty.csv",), ["empty.csv has a header but no rows"]),
        (("words.csv",), ["words.csv"]),
        (("nothing.csv", "--target", "y"), ["nothing.csv", "has no value in 3 steps"]),
        (("infinite.csv",), ["infinite.csv", "line 3"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_bad_input_ends_in_one_sentence(words: Sequence[object], says: Sequence[str]) -> None:
    series()
    table("two.csv", ("a", "b"), [(1.5, 2.5), (2.5, 1.5), (0.5, 3.5)])
    table("empty.csv", ("y",), [])
    table("words.csv", ("y",), [("a",), ("b",)])
    table("nothing.csv", ("x", "y"), [(1, ""), (2, ""), (3, "")])
    table("infinite.csv", ("y",), [(1,), ("inf",), (2,)])
    said = longlag("forecast", *words)
    assert (said.code, said.out) == (2, "")
    sentence = said.err.splitlines()[-1]
    assert sentence.startswith("longlag: ")
    assert "Traceback" not in said.err
    for part in says:
        assert part in sentence


@pytest.mark.parametrize(
    "words", [("--target", "y"), ("--season", 4), ("--gaps", "fill"), ("--time", "step"), ("--id", "x")]
)
def test_a_run_has_its_columns_already(words: Sequence[object], finished: Finished) -> None:
    run = finished("forecast")
    says = [f"{words[0]} was given, but run is a run", "expected it with a table"]
    refused("forecast", run, *words, says=says)


def test_a_run_named_like_a_set_or_a_table_is_a_run() -> None:
    """A folder is a run, whatever it is called."""
    done("fit", series(), "--target", "y", "--season", 6, *QUICK, "--out", "sunspots")
    Path("sunspots").rename("other.csv")
    assert done("forecast", "other.csv", "--steps", 2).startswith("step,y,lower,upper\n")
    Path("other.csv").rename("sunspots")
    assert done("forecast", "sunspots", "--horizon", 2).startswith("step,y,lower,upper\n")
