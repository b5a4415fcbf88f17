"""longlag fit on good data: what it prints, what it writes, and that the same seed writes the same bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from commands import QUICK, SHORT, done, refused, rows_to_classify, sequences, series, table, tree, wave
from pictures import check_picture
from pyarrow import parquet

import longlag.data.builtin
from longlag.cli.fit import _split
from longlag.data import Sequences, load_dataset
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor, load

pytestmark = pytest.mark.costly

Finished = Callable[[str], Path]


def strict(text: str) -> Any:
    """JSON as its standard has it: no NaN, no infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def read(path: Path) -> Any:
    return strict(path.read_text(encoding="utf-8"))


def check_run(run: Path, found: Mapping[str, Any]) -> None:
    """The parts of a run agree with each other and with what was printed."""
    names = {"run.json", "model", "checkpoints", "history.jsonl", "metrics.json", "learning.png"}
    question, metrics = read(run / "run.json"), read(run / "metrics.json")
    members = range(found["networks"])
    names |= {f"network-{member}" for member in members[1:]}
    if found["task"] == "forecast":
        names |= {"forecast.png"}
        # Each network goes on to learn the part that said when to stop and, after the score, that of the score.
        names |= {f"network-{member}-{stage}" for member in members for stage in ((1, 2) if found["refit"] else (1,))}
    assert {path.name for path in run.iterdir()} == names
    check_picture(run / "learning.png", (6.0, 3.6))
    assert {**metrics, "run": str(run)} == {name: value for name, value in found.items() if name != "notes"}
    assert question.items() <= metrics.items()
    record, *epochs = (strict(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines())
    assert set(record) == {"record"}
    assert {"config", "data", "environment"} <= set(record["record"])
    assert record["record"]["config"]["max_epochs"] == question["max_epochs"]
    assert [entry["epoch"] for entry in epochs] == list(range(1, found["epochs"] + 1))
    assert all(math.isfinite(entry["loss"]) for entry in epochs)
    assert 0 <= found["best_epoch"] <= found["epochs"] == len(epochs)
    model = load(run / "model")
    networks = model.networks()
    assert len(networks) == found["networks"]
    assert found["weights"] == sum(parameter.numel() for network in networks for parameter in network.parameters())


# -- forecasting -------------------------------------------------------------------------------------------------------


def test_a_fit_on_sunspots_prints_the_table_and_writes_the_run(fitted_methods: None) -> None:
    out = done("fit", "sunspots", *SHORT, "--networks", 2, "--out", "run")
    for part in (
        "sunspots as read: times in 'year' are yearly",
        "sunspots: sunspots, season 11; 232 rows to learn from, the last 77 held out; 34 forecasts of 11 steps",
        "on held-out data",
        "mean abs. error",
        "scaled (MASE)",
        "root mean sq. error",
        "MAE, first step",
        "MAE, last step",
        "LSTM",
        "networks alone",
        "last value",
        "seasonal naive",
        "Theta",
        "autoregression",
        "smoothing",
        "the answer is made of: networks ",
        "90% intervals held",
        "weights, best of 2 epochs",
        "run saved in run",
        "next: longlag forecast run --steps 11",
    ):
        assert part in out
    metrics = read(Path("run/metrics.json"))
    check_run(Path("run"), {**metrics, "run": "run"})
    check_picture(Path("run/forecast.png"), (9.0, 4.2))
    assert sum(metrics["score"]["answer"].values()) == pytest.approx(1.0, abs=1e-3)


def test_the_score_is_that_of_the_model_and_of_simple_methods_on_the_held_out_part() -> None:
    found = strict(done("fit", "sunspots", *SHORT, "--networks", 2, "--no-refit", "--json", "--out", "run"))
    table = load_dataset("sunspots").table
    values = table.number("sunspots")  # type: ignore[union-attr]
    start, horizon = 309 - 77, 11
    assert (found["training_rows"], found["test_rows"], found["horizon"]) == (start, 77, horizon)
    origins = range(start, 309 - horizon + 1, 2)
    truth = np.array([values[origin : origin + horizon] for origin in origins])
    last = np.array([[values[origin - 1]] * horizon for origin in origins])
    season = np.array([values[origin - 11 : origin] for origin in origins])
    scale = np.abs(values[11:start] - values[: start - 11]).mean()
    scores = {row["method"]: row for row in found["score"]["methods"]}
    assert found["score"]["origins"] == len(origins)
    for name, forecast in (("last value", last), ("seasonal naive", season)):
        errors = np.abs(forecast - truth)
        assert scores[name]["mae"] == pytest.approx(errors.mean(), rel=1e-9)
        assert scores[name]["mase"] == pytest.approx(errors.mean() / scale, rel=1e-9)
        assert scores[name]["rmse"] == pytest.approx(math.sqrt((errors**2).mean()), rel=1e-9)
        assert scores[name]["mae_first_step"] == pytest.approx(errors[:, 0].mean(), rel=1e-9)
        assert scores[name]["mae_last_step"] == pytest.approx(errors[:, -1].mean(), rel=1e-9)
    model = LSTMForecaster.load("run/model")
    back = model.backtest(table, horizon, start=start, stride=2, methods=["LSTM"])
    assert scores["LSTM"]["mae"] == pytest.approx(np.abs(back.mean[:, :, 0] - truth).mean(), rel=1e-12)
    alone = np.abs(back.methods["LSTM"][:, :, 0] - truth).mean()
    assert scores["networks alone"]["mae"] == pytest.approx(alone, rel=1e-12)
    inside = (back.lower <= back.truth) & (back.truth <= back.upper)
    assert found["score"]["interval"] == {"asked": 0.9, "found": pytest.approx(inside.mean(), rel=1e-12)}
    assert scores["LSTM"]["mae"] < scores["last value"]["mae"]


def held_out_raised(rows: int) -> str:
    """The series with other values in its last rows."""
    values = np.array(wave())
    values[-rows:] += 10.0
    return table("other.csv", ("step", "y"), enumerate(values, start=1))


def test_without_refit_the_saved_model_learned_from_the_rows_before_the_held_out_part_alone(undrawn: None) -> None:
    words = ("--target", "y", "--season", 6, "--horizon", 4, *QUICK, "--no-refit")
    done("fit", series(), *words, "--out", "run")
    values = np.array(wave())
    same = LSTMForecaster(lags=3, season=[6], horizon=4, n_networks=1, max_epochs=2, hidden_size=4, random_state=0).fit(
        values[:45]
    )
    same.update(values[45:])
    saved = LSTMForecaster.load("run/model")
    assert np.array_equal(saved.predict(6)["y"], same.predict(6))
    done("fit", held_out_raised(15), *words, "--out", "other")
    weights = "model/network.safetensors"
    assert Path("run", weights).read_bytes() == Path("other", weights).read_bytes()
    assert LSTMForecaster.load("other/model").predict(1)["y"][0] > saved.predict(1)["y"][0] + 5.0


def test_after_the_score_the_saved_model_has_learned_the_held_out_part_too(undrawn: None) -> None:
    words = ("--target", "y", "--season", 6, "--horizon", 4, *QUICK)
    found = strict(done("fit", series(), *words, "--json", "--out", "run"))
    values = np.array(wave())
    same = LSTMForecaster(lags=3, season=[6], horizon=4, n_networks=1, max_epochs=2, hidden_size=4, random_state=0).fit(
        values[:45]
    )
    same.update(values[45:], learn=True)
    assert np.array_equal(LSTMForecaster.load("run/model").predict(6)["y"], same.predict(6))
    before = strict(done("fit", "series.csv", *words, "--no-refit", "--json", "--out", "before"))
    assert found["score"] == before["score"]  # which knows nothing of what came after it
    weights = "model/network.safetensors"
    assert Path("run", weights).read_bytes() != Path("before", weights).read_bytes()


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "pq"])
def test_a_table_with_dates_is_fitted_from_each_kind_of_file(kind: str) -> None:
    days = [date(2020, 2, 1) + timedelta(days=number) for number in range(60)]
    name = f"data.{kind}"
    if kind in ("csv", "tsv"):
        table(name, ("day", "y"), zip(days, wave(), strict=True), delimiter="," if kind == "csv" else "\t")
    else:
        parquet.write_table(pa.table({"day": days, "y": wave()}), name)
    words = ("--target", "y", "--time", "day", "--season", 6, "--horizon", 4, *QUICK, "--json")
    found = strict(done("fit", name, *words, "--out", "run"))
    check_run(Path("run"), found)
    check_picture(Path("run/forecast.png"), (9.0, 4.2))
    assert (found["task"], found["target"], found["time"]) == ("forecast", "y", "day")
    assert (found["horizon"], found["season"], found["lags"]) == (4, 6, 3)
    assert (found["frequency"], found["series"]) == ("daily", 1)
    assert done("forecast", "run", "--steps", 1).splitlines()[1].startswith("2020-04-01,")
    assert [row["method"] for row in found["score"]["methods"]] == [
        *("LSTM", "networks alone", "last value", "seasonal naive", "Theta", "autoregression", "smoothing")
    ]


def test_every_kind_of_file_gives_the_same_model(undrawn: None) -> None:
    table("a.csv", ("y",), [(value,) for value in wave()])
    table("a.tsv", ("y",), [(value,) for value in wave()], delimiter="\t")
    parquet.write_table(pa.table({"y": wave()}), "a.parquet")
    models = []
    for kind in ("csv", "tsv", "parquet"):
        done("fit", f"a.{kind}", "--target", "y", *QUICK, "--out", kind)
        models.append(tree(Path(kind, "model")))
    assert models[0] == models[1] == models[2]


def test_without_options_the_defaults_are_those_of_the_help(undrawn: None) -> None:
    small = ("--hidden-size", 4, "--max-epochs", 1)
    smaller = (*small, "--networks", 1, "--no-refit")
    found = strict(done("fit", series(steps=120), "--target", "y", *small, "--json"))
    assert found["run"] == str(Path("runs/series"))
    assert Path("runs/series/model").is_dir()
    # A wave of 12.6 steps is found as a season, a season is forecast, and one value more than a season is read.
    assert (found["horizon"], found["season"], found["lags"], found["test_rows"]) == (13, 13, 14, 30)
    assert (found["networks"], found["refit"], len(load("runs/series/model").networks())) == (3, True, 3)
    found = strict(done("fit", "series.csv", "--target", "y", "--season", 7, *smaller, "--json", "--out", "a"))
    assert (found["season"], found["horizon"], found["lags"]) == (7, 7, 8)
    noise = np.random.default_rng(0).normal(size=80)
    name = table("noise.csv", ("y",), [(value,) for value in noise.tolist()])
    found = strict(done("fit", name, "--target", "y", *smaller, "--json", "--out", "b"))
    assert (found["season"], found["horizon"], found["lags"]) == (None, 6, 6)


@pytest.mark.parametrize(("name", "target", "last"), [("co2", "co2", "2001-12"), ("elnino", "temperature", "2010-12")])
def test_a_built_in_series_by_the_month_is_fitted_and_goes_on_by_months(name: str, target: str, last: str) -> None:
    pytest.importorskip("statsmodels")
    found = strict(done("fit", name, *SHORT, "--networks", 1, "--json", "--out", "run"))
    check_run(Path("run"), found)
    assert (found["target"], found["season"], found["horizon"], found["lags"]) == (target, 12, 12, 13)
    assert found["frequency"] == "monthly"
    lines = done("forecast", "run", "--steps", 2).splitlines()
    year = int(last[:4]) + 1
    assert [line.split(",")[0] for line in lines] == ["month", f"{year}-01", f"{year}-02"]


def test_another_column_of_a_built_in_set_can_be_the_target(undrawn: None) -> None:
    found = strict(done("fit", "sunspots", "--target", "year", *QUICK, "--json", "--out", "run"))
    assert (found["target"], found["time"], found["season"], found["horizon"]) == ("year", None, None, 6)


# -- sequences ---------------------------------------------------------------------------------------------------------


def test_a_long_table_is_classified_by_sequence(five_networks: None) -> None:
    words = ("--label", "kind", "--sequence", "id", "--max-epochs", 15, "--hidden-size", 8, "--out", "run")
    out = done("fit", sequences("kind"), *words)
    assert "long.csv: 18 sequences to learn from, 6 held out" in out
    assert "accuracy" in out
    assert "always " in out
    metrics = read(Path("run/metrics.json"))
    check_run(Path("run"), {**metrics, "run": "run"})
    assert (metrics["task"], metrics["features"], metrics["sequence"]) == ("classify", ["a", "b"], "id")
    model, common = (row["accuracy"] for row in metrics["score"]["methods"])
    assert model >= 5 / 6
    assert common == 0.5  # three of each class are held out
    assert "balanced accuracy" in out
    assert "log loss" in out
    assert "recall" in out
    assert [row["sequences"] for row in metrics["score"]["classes"]] == [3, 3]
    assert np.sum(metrics["score"]["confusion"]) == 6


def test_a_table_of_rows_is_classified_row_by_row(finished: Finished) -> None:
    run = finished("rows")
    metrics = read(run / "metrics.json")
    check_run(run, {**metrics, "run": "run"})
    assert (metrics["task"], metrics["features"], metrics["sequence"]) == ("classify", ["a", "b", "c"], None)
    assert (metrics["training_sequences"], metrics["test_sequences"], metrics["score"]["sequences"]) == (30, 10, 10)
    assert LSTMClassifier.load(run / "model").classes_.tolist() == [1, 2]


def test_a_number_is_predicted_for_each_sequence() -> None:
    words = ("--target", "score", "--sequence", "id", "--max-epochs", 30, "--hidden-size", 8, "--learning-rate", 0.02)
    words += ("--out", "run")
    out = done("fit", sequences("score"), *words)
    assert "training mean" in out
    metrics = read(Path("run/metrics.json"))
    check_run(Path("run"), {**metrics, "run": "run"})
    assert metrics["task"] == "regress"
    model, mean = metrics["score"]["methods"]
    assert (model["method"], mean["method"]) == ("LSTM", "training mean")
    assert model["mae"] < 0.5 * mean["mae"]
    assert isinstance(load("run/model"), LSTMRegressor)


def shuffled(name: str) -> str:
    """The rows of a long table in another order, with a column of times that says where they belong."""
    header, *lines = Path(name).read_text(encoding="utf-8").splitlines()
    ids = [line.split(",")[0] for line in lines]
    rows = [(f"{ids[:row].count(ids[row])}", *line.split(",")) for row, line in enumerate(lines)]
    order = np.random.default_rng(1).permutation(len(rows))
    return table(f"shuffled-{name}", ("at", *header.split(",")), [rows[row] for row in order])


@pytest.mark.parametrize(("answer", "option"), [("kind", "--label"), ("score", "--target")])
def test_rows_in_any_order_are_fitted_and_answered_as_those_in_order(answer: str, option: str, undrawn: None) -> None:
    rows = [line.split(",") for line in Path(sequences(answer)).read_text(encoding="utf-8").splitlines()]
    ordered = table("long.csv", rows[0], sorted(rows[1:], key=lambda row: row[0]))  # as identifiers are sorted
    words = (option, answer, "--sequence", "id", *SHORT)
    plain = strict(done("fit", ordered, *words, "--json", "--out", "plain"))
    timed = strict(done("fit", shuffled(ordered), *words, "--time", "at", "--json", "--out", "timed"))
    assert plain["score"] == timed["score"]
    assert (timed["time"], timed["features"]) == ("at", ["a", "b"])
    assert any("rows were sorted by 'at'" in note for note in timed["notes"])
    assert done("predict", "timed", "shuffled-long.csv") == done("predict", "plain", "long.csv")
    refused("fit", "shuffled-long.csv", *words, "--out", "new", says=["comes back after other rows", "or --time"])


def test_weights_of_sequences_and_classes_reach_the_training(undrawn: None) -> None:
    name = sequences("kind")
    header, *rows = [line.split(",") for line in Path(name).read_text(encoding="utf-8").splitlines()]
    table("weighted.csv", [*header, "count"], [(*row, 3 if row[-1] == "rising" else 1) for row in rows])
    words = ("--label", "kind", "--sequence", "id", *SHORT, "--json", "--out")
    plain = strict(done("fit", name, *words, "plain"))
    weighted = strict(done("fit", "weighted.csv", "--sample-weight", "count", *words, "weighted"))
    # Three times as much for one class, and then balanced, is no weight at all.
    balanced = strict(
        done("fit", "weighted.csv", "--sample-weight", "count", "--class-weight", "balanced", *words, "balanced")
    )
    assert (weighted["sample_weight"], weighted["class_weight"]) == ("count", None)
    assert (balanced["features"], balanced["class_weight"]) == (["a", "b"], "balanced")
    losses = [run["score"]["methods"][0]["log_loss"] for run in (plain, weighted, balanced)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)
    assert losses[0] == pytest.approx(losses[2], rel=1e-5)
    assert LSTMClassifier.load("balanced/model").class_weight == "balanced"
    says = ["holds a run with class_weight = 'balanced', not None"]
    refused("fit", "weighted.csv", "--sample-weight", "count", *words, "balanced", "--resume", says=says)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_the_held_out_part_has_every_class_in_proportion_and_leaves_one_of_each(share: float, undrawn: None) -> None:
    kinds = ["a"] * 20 + ["b"] * 12 + ["c"] * 7 + ["d"]
    rows = [(number, number % 5, kind) for number, kind in enumerate(kinds)]
    name = table("data.csv", ("x", "y", "kind"), rows)
    found = strict(done("fit", name, "--label", "kind", "--test", share, *SHORT, "--json", "--out", "run"))
    held_out = int(40 * share)
    assert held_out - 1 <= found["test_sequences"] <= held_out  # the only d stays, whether it was drawn or not
    assert found["training_sequences"] + found["test_sequences"] == 40
    assert LSTMClassifier.load("run/model").classes_.tolist() == ["a", "b", "c", "d"]


def test_the_split_depends_on_the_seed_and_parts_do_not_meet() -> None:
    data = Sequences(
        [np.full((2, 1), number, dtype=float) for number in range(40)],
        tuple(map(str, range(40))),
        ("x",),
        np.array(["uv"[number % 2] for number in range(40)], dtype=object),
    )
    parts = [_split(data, 0.3, seed, by_class=by_class) for seed in (0, 1) for by_class in (True, False)]
    for train, test in parts:
        assert (len(train), len(test)) == (28, 12)
        assert sorted([*train.ids, *test.ids], key=int) == list(data.ids)
        assert [int(array[0, 0]) for array in test.arrays] == list(map(int, test.ids))
        assert test.labels is not None
        assert all("uv"[int(name) % 2] == label for name, label in zip(test.ids, test.labels, strict=True))
    assert sum(label == "u" for label in parts[0][1].labels) == 6  # type: ignore[union-attr]
    assert parts[0][1].ids != parts[2][1].ids
    again = _split(data, 0.3, 0, by_class=True)
    assert again[1].ids == parts[0][1].ids


def test_japanese_vowels_keep_their_own_test_part() -> None:
    pytest.importorskip("aeon.datasets")
    found = strict(done("fit", "JapaneseVowels", "--max-epochs", 1, "--hidden-size", 4, "--json", "--out", "run"))
    check_run(Path("run"), found)
    assert (found["training_sequences"], found["test_sequences"]) == (270, 370)
    assert LSTMClassifier.load("run/model").classes_.tolist() == [str(speaker) for speaker in range(1, 10)]
    lines = done("predict", "run", "JapaneseVowels").splitlines()
    assert (lines[0], len(lines)) == ("sequence,predicted,probability", 371)


def test_bach_has_no_labels_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("music21")
    monkeypatch.setattr(longlag.data.builtin, "_CHORALES", 1)
    refused("fit", "bach", "--out", "new", says=["bach has sequences without labels", "expected"])


# -- bytes -------------------------------------------------------------------------------------------------------------

QUESTIONS = {
    "forecast": lambda: (series(), "--target", "y", *QUICK, "--networks", 2),
    "classify": lambda: (sequences("kind"), "--label", "kind", "--sequence", "id", *SHORT),
    "regress": lambda: (sequences("score"), "--target", "score", "--sequence", "id", *SHORT),
    "rows": lambda: (rows_to_classify(), "--label", "label", *SHORT),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    question: Callable[[], tuple[object, ...]], undrawn: None
) -> None:
    words = question()
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        done("fit", *words, "--seed", seed, "--out", name)
    first, second, third = (tree(Path(name, "model")) for name in "abc")
    members = {f"network_{member}.safetensors" for member in range(1, read(Path("a/metrics.json"))["networks"])}
    assert set(first) == {"manifest.json", "network.safetensors", "arrays.safetensors", *members}
    assert first == second
    assert first["network.safetensors"] != third["network.safetensors"]
    assert Path("a/metrics.json").read_bytes() == Path("b/metrics.json").read_bytes()


def test_the_same_seed_gives_the_same_pictures() -> None:
    for name in "ab":
        done("fit", series(), "--target", "y", *QUICK, "--out", name)
    for picture in ("forecast.png", "learning.png"):
        assert Path("a", picture).read_bytes() == Path("b", picture).read_bytes()


def test_resuming_a_finished_run_changes_no_byte(finished: Finished) -> None:
    run = finished("forecast")
    before = tree(run)
    words = ("series.csv", "--target", "y", "--time", "step", "--season", 6, *QUICK)
    out = done("fit", *words, "--out", run, "--resume")
    assert "run saved in run" in out
    assert tree(run) == before


def test_resuming_where_there_is_nothing_begins_a_run(undrawn: None) -> None:
    done("fit", series(), "--target", "y", *QUICK, "--resume", "--out", "a")
    done("fit", series(), "--target", "y", *QUICK, "--out", "b")
    assert tree(Path("a/model")) == tree(Path("b/model"))
